"""A user's own engine: its name, and a wrapper that checks what it returns and raises."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import math
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial
from types import MethodType
from weakref import WeakKeyDictionary

from beluga_nb.api.dialects import DIALECTS
from beluga_nb.config.endpoints import NAME, TAKEN
from beluga_nb.engines.asynchronous import WRITE_ASYNC, check_async
from beluga_nb.engines.imported import imported
from beluga_nb.engines.retrying import Backoff, Retrying
from beluga_nb.errors import (
    Address,
    APITimeoutError,
    BelugaError,
    EngineError,
    InvalidImageError,
    InvalidResponseError,
    OutcomeUnknownError,
    SettingsError,
)
from beluga_nb.merge import merge_results
from beluga_nb.request import Request
from beluga_nb.result import (
    CallCancelled,
    Engine,
    ImagePayload,
    OwnEngine,
    Picture,
    PreviewMaker,
    Recipe,
    Result,
    causes,
    validate,
)
from beluga_nb.runtime import GRACE, Thread, ThreadJob
from beluga_nb.text import sanitize

_SERVICES = {name for name, dialect in DIALECTS.items() if dialect.service}
_HINT = (
    "A name is up to 40 letters, digits, - and _, and begins with a letter:"
    ' Session(engine=…, provider="my-engine").'
)
_WORKERS = 64  # threads of an engine; one whose call was stopped may be busy for a while
_LATEST = 2**40  # seconds since 1970


def own_engine(
    engine: Engine | str, provider: str | None = None, *, make_preview: PreviewMaker | None = None
) -> OwnEngine:
    """Return an engine with the name that its pictures are recorded under.

    That is `provider`, or the name of its function or class. A text such as "package.module:factory" names an
    engine that each process makes once (`engines/imported.py`). Raises `SettingsError` for a function that is
    certainly not async, for an invalid name, and for the name of a service.
    """
    path = engine if isinstance(engine, str) else ""
    engine = imported(engine) if isinstance(engine, str) else engine
    check_async(engine, "engine", "request")
    name = _name_of(engine, provider)
    checked, backoff = Checked(engine, name, _thread_of(engine), make_preview), Backoff()
    return OwnEngine(
        engine=engine,
        name=name,
        path=path,
        within=lambda timeout: Retrying(checked, timeout=timeout, backoff=backoff),
    )


_THREADS: WeakKeyDictionary[object, Thread] = WeakKeyDictionary()


def _thread_of(engine: object) -> Thread:
    """Return the loop and threads of an engine, shared by all sessions: its locks belong to one loop."""
    owner = engine.__self__ if isinstance(engine, MethodType) else engine
    try:
        return _THREADS.setdefault(owner, Thread(workers=_WORKERS))
    except TypeError:  # it has no hash, or no weak references
        return Thread(workers=_WORKERS)


def _name_of(engine: Engine, provider: str | None) -> str:
    # Two partials of one function are two engines, and have no names by which to tell them apart.
    own = "" if isinstance(engine, partial) else getattr(engine, "__name__", type(engine).__name__)
    name = own if provider is None else provider
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise SettingsError(f"'{sanitize(str(name), 60)}' is not a valid engine name.", _HINT)
    if name.lower() in TAKEN | _SERVICES:
        raise SettingsError(
            f"'{name}' is the name of a service.",
            'Give the engine a name of its own: Session(engine=…, provider="my-engine").',
        )
    return name


class Checked:
    """Ask an engine, and accept only a `Result` or a `BelugaError`.

    Every picture is decoded once, and its recipe names the request that was made. Any other exception, and no
    answer in time, leave the outcome unknown: the engine may have paid for something. The engine has
    a loop and threads of its own, so that one that blocks delays no other call.
    """

    def __init__(
        self,
        engine: Engine,
        provider: str,
        thread: Thread | None = None,
        make_preview: PreviewMaker | None = None,
    ) -> None:
        self.engine = engine
        self.provider = provider
        self.thread = thread or Thread(workers=_WORKERS)
        self.make_preview = make_preview

    async def __call__(self, request: Request) -> Result:
        answer = await self._asked(request)
        try:
            return await asyncio.to_thread(self._checked, request, answer)
        except asyncio.CancelledError:
            # The answer is here and may be paid for; checking it takes too long for a stopped call.
            raise CallCancelled(lambda: [self._checked(request, answer)]) from None
        except BelugaError:
            raise
        except Exception as error:  # of an object that only looks like a Result
            raise self._failure(error) from error

    async def _asked(self, request: Request) -> object:
        bound = None if math.isinf(request.deadline) else request.deadline
        # Python does not end while the engine may still answer.
        hold = max(0.0, bound - asyncio.get_running_loop().time()) + GRACE if bound else 0.0
        job = self.thread.submit(self._called(request), hold=hold)
        try:
            async with asyncio.timeout_at(bound):
                return await job
        except TimeoutError:
            if (late := await _late(job)) is not None:
                return late
            raise APITimeoutError(
                f"The engine {self.provider} did not answer in time.",
                "What it has begun may have been billed. The setting timeout says how long it may take.",
            ) from None
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if not (task and task.cancelling()):  # the engine cancelled itself
                raise self._failure(error) from error
            if (late := await _late(job)) is not None:
                raise CallCancelled(lambda: [self._checked(request, late)]) from None
            raise

    async def _called(self, request: Request) -> object:
        try:
            answer: object = self.engine(request)
            if not inspect.isawaitable(answer):
                returned = type(answer).__name__
                raise InvalidResponseError(
                    f"The engine {self.provider} returned {returned}, and is not an async function.",
                    WRITE_ASYNC.format("engine", "request"),
                )
            return await answer
        except BelugaError as error:
            _mark_as_unknown(error)
            if not _is_sound(error):
                raise self._failure(error) from error
            raise
        except (asyncio.CancelledError, GeneratorExit):
            raise
        except BaseException as error:  # the user's code; Ctrl-C reaches the main thread only
            raise self._failure(error) from error

    def _failure(self, error: BaseException) -> OutcomeUnknownError:
        words = ""
        with contextlib.suppress(Exception):  # its __str__ is the user's code too
            words = sanitize(str(error), 200)
        return OutcomeUnknownError(
            f"The engine {self.provider} failed: {type(error).__name__}{words and ': '}{words}",
            "What it has begun may have been billed. Where that is known, raise a BelugaError instead.",
        )

    def _checked(self, request: Request, answer: object) -> Result:
        if not isinstance(answer, Result) or not _has_pictures(answer):
            is_result = isinstance(answer, Result)
            what = "a Result, but not of Pictures" if is_result else f"{type(answer).__name__}, and no Result"
            raise InvalidResponseError(
                f"The engine {self.provider} returned {what}.",
                'Let it return Result.of(request, [image], engine="the name of its model").',
            )
        parts = zip(request.samples, answer.pictures, strict=False)
        outcomes = [self._picture(request.slice(sample), picture) for sample, picture in parts]
        if len(outcomes) < request.n:
            count = f"{len(outcomes)} of {request.n} pictures"
            outcomes.append(
                InvalidResponseError(
                    f"The engine {self.provider} returned {count}.", "Return request.n pictures."
                )
            )
        result = merge_results(request, outcomes)
        further = answer.pictures[request.n :]
        return replace(result, extra=partial(_answers, further) if further else None)

    def _picture(self, request: Request, picture: Picture) -> Result | BelugaError:
        try:
            media_type, preview = validate(picture.data, self.make_preview)
        except InvalidImageError as error:
            error.sample = request.sample
            return error
        given = picture.recipe
        recipe = replace(
            given,
            request=request,
            engine=sanitize(given.engine, 80) if isinstance(given.engine, str) else self.provider,
            created=_seconds(given.created),
            revised_prompt=_text(given.revised_prompt),
        )
        # Ours is the preview too: one that the engine brings may be of any size, and of anything.
        return Result(request, (Picture(picture.data, media_type, recipe, preview),))


def _mark_as_unknown(error: BelugaError) -> None:
    """Say of pictures that cannot be decoded that they may have been billed: `Result.of` knows of no call."""
    with contextlib.suppress(Exception):  # Fields that the user's code has set may be anything.
        for each in causes(error):
            if isinstance(each, InvalidImageError) and each.outcome is None:
                each.hint = f"{each.hint} What the engine has begun may have been billed."
                each.outcome = "unknown"


def _is_sound(error: BelugaError) -> bool:
    """Whether the fields of an error are of the kinds that its readers expect: the user's code sets them."""
    try:
        words: list[object] = [error.message, error.hint]
        if isinstance(error, EngineError):
            words += [error.outcome, error.job, error.idempotency_key]
        wait = getattr(error, "retry_after", None)
        return (
            all(isinstance(each, str) for each in words)
            and all(isinstance(each, BelugaError) for each in causes(error))
            and all(isinstance(each, Address) for each in getattr(error, "addresses", ()))
            and isinstance(wait, int | float | None)
            and not math.isnan(wait or 0.0)
        )
    except (AttributeError, TypeError, OverflowError):
        return False


async def _late(job: ThreadJob[object]) -> object | None:
    """Return the result of a stopped job, if it still ends with one soon."""
    with contextlib.suppress(Exception, asyncio.CancelledError):
        async with asyncio.timeout(GRACE):
            await job.ended()
        return job.result()
    return None


def _seconds(value: object) -> int:
    """Return a time as a recording stores it; the current one where the engine gave none."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < _LATEST:
        return int(value)
    return int(time.time())


def _text(value: object) -> str | None:
    """Return a text without half surrogate pairs, which cannot be written."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _has_pictures(result: Result) -> bool:
    pictures: object = result.pictures
    return isinstance(pictures, tuple | list) and all(
        isinstance(each, Picture) and isinstance(each.data, bytes) and isinstance(each.recipe, Recipe)
        for each in pictures
    )


async def _answers(pictures: Sequence[Picture]) -> AsyncGenerator[ImagePayload, None]:
    for each in pictures:
        yield ImagePayload(each.data, each.media_type)
