"""An OpenAI-compatible URL as an engine."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypedDict

import beluga_nb.chat as chat
from beluga_nb.api import answers, spool
from beluga_nb.api.addresses import absolute
from beluga_nb.api.download import Download
from beluga_nb.api.endpoint import App, Endpoint, Sleep
from beluga_nb.api.transport import MAX_IN_MEMORY, Outgoing, Response, Transport
from beluga_nb.catalog import Model
from beluga_nb.errors import (
    MAY_BE_BILLED,
    Address,
    BelugaError,
    EngineError,
    InvalidImageError,
    InvalidResponseError,
)
from beluga_nb.hints import Hint, Remedy
from beluga_nb.images import is_of_another_format
from beluga_nb.merge import merge_results, result_or_error, side_by_side
from beluga_nb.request import Question, Request
from beluga_nb.result import (
    Answer,
    CallCancelled,
    ImagePayload,
    PreviewMaker,
    Recipe,
    Result,
    causes,
    validate,
)
from beluga_nb.text import sanitize
from beluga_nb.wire import ENGINE_HEADER, NOT_SENT_AGAIN, Item, models_from_json

MOST_EXTRA = 8
"""How many pictures beyond those that were asked for are fetched."""

EXTRA_BYTES = 64 * 2**20
"""How many bytes these may have altogether."""

EXTRA_SECONDS = 10.0
"""How many seconds fetching them may take."""

_SMALL = 16 * 2**10  # bytes of an answer that are parsed in less time than it takes to wake a thread
_NO_PICTURE = 64 * 2**10  # bytes of an answer that are too few for a picture that was sold


class Http:
    """The engine behind an `Endpoint` that answers with the pictures.

    It sends each request once. With `app`, that ASGI application answers in this process; `make_preview`
    makes the small copies of its pictures. `on_answer` is called when an answer has come, before its pictures
    are downloaded and checked; each is checked in a block of `checking`. Deadlines are on the running loop's
    clock. Raises `APIConnectionError`, `APIStatusError`, `RateLimitError`, `OutcomeUnknownError`,
    `APITimeoutError`, `InvalidResponseError`, `InvalidImageError`, or `IncompleteError` where only some
    pictures are good.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        app: App | None = None,
        sleep: Sleep = asyncio.sleep,
        make_preview: PreviewMaker | None = None,
        on_answer: Callable[[], None] = lambda: None,
        checking: Callable[[], AbstractAsyncContextManager[object]] = contextlib.nullcontext,
    ) -> None:
        self.endpoint = endpoint
        self.sleep = sleep
        self.make_preview = make_preview
        self.on_answer = on_answer
        self.checking = checking
        self.transport = Transport(endpoint, app=app)

    async def __call__(self, request: Request) -> Result:
        deadline = min(request.deadline, asyncio.get_running_loop().time() + self.endpoint.timeout)
        response = await self.post(request, deadline)
        self.on_answer()
        return await self.understood(request, response, deadline)

    async def post(self, request: Request, deadline: float) -> Response:
        """Ask for pictures and return the answer, which may hold some whatever its status.

        Raises `EngineError` where there is no answer, or where its status proves that nothing was done.
        """
        # A service that receives the same call twice recognizes it by this key, and need not bill it twice.
        headers = {"Idempotency-Key": request.as_call().idempotency_key, "Content-Type": "application/json"}
        sent = await self.transport.send(
            Outgoing(
                method="POST",
                url=self.endpoint.url(request),
                headers=headers,
                content=await self._content(request),
                with_key=True,
                spool=request.spool,
                most=chat.LARGEST_ANSWER if isinstance(request, Question) else None,
            ),
            deadline,
        )
        if isinstance(sent, EngineError):
            raise sent
        error = sent.error
        if error and error.outcome == "refused":
            if error.status == 401 and (key := self.endpoint.key):
                known = f"The key comes from {key.source} and ends in {key.ending}. "
                error.hint = Hint(known, error.hint)
            elif self.endpoint.prefix and (hint := _hint_elsewhere(error.status, self.endpoint.provider)):
                error.hint = hint
            raise error
        return sent

    async def _content(self, request: Request) -> bytes:
        if not isinstance(request, Question):
            return self.endpoint.content(request)
        try:  # on a thread, since its pictures are read
            return await asyncio.to_thread(self.endpoint.content, request)
        except asyncio.CancelledError:
            raise CallCancelled(may_be_billed=False) from None

    async def get(self, path: str, deadline: float) -> Response | EngineError:
        """Return the response of a path below the base URL, or the error that explains why there is none."""
        outgoing = Outgoing(method="GET", url=f"{self.endpoint.base_url}{path}", with_key=True)
        sent = await self.transport.send(outgoing, deadline)
        if isinstance(sent, Response) and sent.is_success and sent.broken:
            return sent.broken
        return sent

    async def understood(self, request: Request, response: Response, deadline: float) -> Result:
        """Return what an answer to `request` holds, once its pictures are fetched and checked.

        Raises `InvalidResponseError`, `InvalidImageError`, what its status means or what broke it off, or
        `IncompleteError` where only some pictures are good; and `CallCancelled` with those that are there.
        """
        if isinstance(request, Question):
            return self._answered(request, response)
        failed = response.error or response.broken
        try:
            is_small = len(response.content) <= _SMALL
            parsed = _parsed(response) if is_small else await asyncio.to_thread(_parsed, response)
        except InvalidResponseError as error:
            if error.temporary:
                raise
            if not response.is_success and not error.job:
                await asyncio.to_thread(_discard, response)
            if failed:
                failed.job = error.job
                raise failed from None
            raise
        except asyncio.CancelledError:
            raise CallCancelled(partial(self.arrived, request, response)) from None
        engine, created = self.engine_of(response), parsed.created
        try:
            return await self.result(
                request, parsed.items, deadline, engine=engine, created=created, broken=failed
            )
        except EngineError as error:
            error.job = error.job or parsed.job
            for cause in causes(error):
                if (
                    isinstance(cause, InvalidImageError)
                    and response.broken
                    and is_of_another_format(cause.data)
                ):
                    cause.whole = False  # its end is not known
            raise

    async def result(
        self,
        request: Request,
        items: Sequence[Item | InvalidResponseError],
        deadline: float,
        *,
        engine: str,
        created: int,
        broken: EngineError | None = None,
    ) -> Result:
        """Fetch the pictures of an answer and return them as the result of `request`.

        Where fewer came than were asked for, `broken` is the reason if it is known. Raises as `understood`;
        the `addresses` of an error are those of pictures that may be fetched later.
        """
        here, parts = list(items), [request.slice(sample) for sample in request.samples]
        origin = _Origin(engine=engine, created=created)
        download = Download(self.transport, deadline, sleep=self.sleep)

        async def arrive(part: Request) -> Result:
            place = part.sample - request.sample
            here[place] = item = await _with_bytes(items[place], download)
            try:
                async with self.checking():
                    return await asyncio.to_thread(self._checked, part, item, origin)
            except InvalidResponseError:
                here[place] = items[place]  # its address may give an undamaged one later
                raise

        try:
            outcomes = await side_by_side(result_or_error(arrive, part) for part in parts[: len(items)])
        except asyncio.CancelledError:
            left = tuple(self._left(request, here, origin))
            raise CallCancelled(partial(self._arrived, request, here, origin), addresses=left) from None
        for part, each in zip(parts, outcomes, strict=False):
            if isinstance(each, EngineError):
                each.sample = part.sample
        if len(items) < request.n:
            outcomes.append(broken or _too_few(len(items), request.n))
        try:
            extra = partial(self._extra, items[request.n :], deadline) if len(items) > request.n else None
            return replace(merge_results(request, outcomes), extra=extra)
        except EngineError as error:
            error.addresses = tuple(self._left(request, here, origin))
            raise

    async def _extra(
        self, items: Sequence[Item | InvalidResponseError], deadline: float
    ) -> AsyncGenerator[ImagePayload, None]:
        """Yield the pictures beyond those that were asked for: all that are here, then a few others."""
        deadline = min(deadline, asyncio.get_running_loop().time() + EXTRA_SECONDS)
        left, fetched = EXTRA_BYTES, 0
        # Those at hand first: the limits are for what has to be fetched.
        for item in sorted(items, key=lambda item: not _is_here(item)):
            here = _is_here(item)
            fetched += not here
            if not here and (fetched > MOST_EXTRA or left <= 0):
                continue
            with contextlib.suppress(InvalidResponseError):
                download = Download(self.transport, deadline, sleep=self.sleep, most=left)
                answer = await asyncio.to_thread(_answer, await _with_bytes(item, download))
                left -= 0 if here else len(answer.data)
                yield answer

    def _left(
        self, request: Request, items: Sequence[Item | InvalidResponseError], origin: _Origin
    ) -> Iterator[Address]:
        """Yield the addresses of the pictures that have not been fetched."""
        for sample, item in zip(request.samples, items, strict=False):
            if isinstance(item, Item) and item.data is None and not str(item.url).startswith("data:"):
                url = absolute(str(item.url), self.endpoint.base_url)
                yield Address(sample=sample, url=url, revised_prompt=item.revised_prompt, **origin)

    def _answered(self, question: Question, response: Response) -> Result:
        """Return the answer of a model to a question; its length is bounded."""
        if response.error:
            _discard(response)
            raise response.error
        try:
            data, created = chat.answer_from_json(response.content)
        except InvalidResponseError as error:
            raise response.broken or error from None
        recipe = Recipe(request=question, engine=self.engine_of(response), created=created)
        return Result(question, (Answer(data, chat.JSON, recipe),))

    def engine_of(self, response: Response) -> str:
        """Return the name of what answered."""
        return sanitize(response.headers.get(ENGINE_HEADER, ""), 80) or self.endpoint.provider

    def arrived(self, request: Request, response: Response) -> list[Result | BelugaError]:
        """Return the pictures that the answer itself holds, or the errors of those that are damaged."""
        parsed = _parsed(response)
        origin = _Origin(engine=self.engine_of(response), created=parsed.created)
        return self._arrived(request, parsed.items, origin)

    def _arrived(
        self, request: Request, items: Sequence[Item | InvalidResponseError], origin: _Origin
    ) -> list[Result | BelugaError]:
        outcomes: list[Result | BelugaError] = []
        for sample, item in zip(request.samples, items, strict=False):
            if isinstance(item, Item) and item.data is not None:
                try:
                    outcomes.append(self._checked(request.slice(sample), item, origin))
                except BelugaError as error:
                    outcomes.append(error)
        return outcomes

    def _checked(self, part: Request, item: Item, origin: _Origin) -> Result:
        return Result.of(part, [_answer(item, self.make_preview)], **origin)


def _hint_elsewhere(status: int, name: str) -> str:
    """Return what to do about a refusal of a server that `beluga.toml` names."""
    match status:
        case 401:
            return Hint(
                *(f"{name} wants a key of its own: ", Remedy("status"), " says where one is looked for."),
                " Nothing is billed.",
            )
        case 402:
            return f"Top up the balance at {name}. Nothing is billed."
        case 404:
            listing = Remedy("models at endpoint", name)
            return Hint(listing, " lists what it has; look at its base_url too. Nothing is billed.")
    return ""


async def recovered(
    endpoint: Endpoint, request: Request, left: Address | Path, *, make_preview: PreviewMaker | None = None
) -> Result:
    """Return pictures of `request` from their address, or from an answer that was kept; nothing is bought.

    Raises as `Http.understood`, and `InvalidResponseError` for a file that holds no answer.
    """
    http = Http(endpoint, make_preview=make_preview)
    deadline = asyncio.get_running_loop().time() + endpoint.timeout
    if isinstance(left, Path):
        result = await http.understood(request, await asyncio.to_thread(_kept, left), deadline)
        return await _with_extra_here(result)
    item = Item(url=left.url, revised_prompt=left.revised_prompt)
    return await http.result(request, [item], deadline, engine=left.engine, created=left.created)


async def _with_extra_here(result: Result) -> Result:
    """Return the result with its further pictures at hand, so that they need no client any more."""
    if not result.extra:
        return result
    async with contextlib.aclosing(result.extra()) as extra:
        fetched = [each async for each in extra]

    async def here() -> AsyncGenerator[ImagePayload, None]:
        for each in fetched:
            yield each

    return replace(result, extra=here)


def _kept(path: Path) -> Response:
    try:
        with _in_memory():
            status, headers, content = spool.read(path, MAX_IN_MEMORY)
    except (OSError, ValueError) as error:
        reason = sanitize(str(error), 120)
    else:
        whole = path.suffix == spool.SUFFIX
        broken = None if whole else InvalidResponseError("The answer broke off.", NOT_SENT_AGAIN)
        return Response(status=status, headers=headers, content=content, broken=broken, kept=path)
    raise InvalidResponseError(
        f"The kept answer cannot be read: {reason}", f"It stays where it is. {NOT_SENT_AGAIN}"
    )


async def models(endpoint: Endpoint) -> list[Model]:
    """Return the image models that the service lists, as they are named here; BelugAPI needs no key for it.

    Raises `EngineError` where it does not answer with a list in `connect_timeout`.
    """
    # A key is sent only where it is needed.
    key, dialect = endpoint.key if endpoint.prefix else None, endpoint.dialect
    http = Http(replace(endpoint, key=key, timeout=endpoint.connect_timeout))
    deadline = asyncio.get_running_loop().time() + endpoint.connect_timeout
    sent = await http.get(f"{dialect.models}?category=image", deadline)
    if isinstance(sent, EngineError):
        raise sent
    if error := sent.error:
        raise error
    listed = models_from_json(sent.content)
    return [replace(each, id=f"{endpoint.prefix}{each.id}") for each in listed]


def _parsed(response: Response) -> answers.ParsedAnswer:
    with _in_memory():
        return answers.parse(response.content, response.headers, status=response.status)


@contextlib.contextmanager
def _in_memory() -> Iterator[None]:
    try:
        yield
    except MemoryError:
        error = InvalidResponseError(
            "There is too little memory to read the answer.",
            f"{MAY_BE_BILLED} Free some memory and ask again: an answer that is kept is read first.",
        )
        error.temporary = True
    else:
        return
    raise error


def _discard(response: Response) -> None:
    """Delete the spooled answer of a failure without pictures."""
    if response.kept and len(response.content) < _NO_PICTURE:
        with contextlib.suppress(OSError):
            response.kept.unlink()


class _Origin(TypedDict):
    """What made the pictures of an answer, and when."""

    engine: str
    created: int


def _is_here(item: Item | InvalidResponseError) -> bool:
    return isinstance(item, Item) and item.data is not None


async def _with_bytes(item: Item | InvalidResponseError, download: Download) -> Item:
    if isinstance(item, InvalidResponseError):
        raise item
    return item if item.data is not None else replace(item, data=await download(str(item.url)))


def _answer(item: Item, make_preview: PreviewMaker | None = None) -> ImagePayload:
    assert item.data is not None
    media_type, preview = validate(item.data, make_preview)
    return ImagePayload(item.data, media_type, item.revised_prompt, preview)


def _too_few(arrived: int, wanted: int) -> EngineError:
    return InvalidResponseError(
        f"The service sent {arrived} of {wanted}.",
        f"The model may have declined the others. {NOT_SENT_AGAIN}",
    )
