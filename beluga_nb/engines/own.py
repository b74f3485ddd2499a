"""An engine that somebody else wrote: its name, and a wrapper that holds it to what an engine promises."""

from __future__ import annotations

import asyncio
import math
import re
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from functools import partial

from beluga_nb.api.dialects import DIALECTS
from beluga_nb.api.endpoint import DEADLINE
from beluga_nb.api.fetch import looked_at
from beluga_nb.core import Answer, Engine, Picture, Request, Result, Stopped
from beluga_nb.endpoints import NAME, TAKEN
from beluga_nb.errors import BadImage, BadReply, BelugaError, OutcomeUnknown, SettingsError, TimedOut
from beluga_nb.merge import joined
from beluga_nb.text import sanitize

_SERVICES = {name for name, dialect in DIALECTS.items() if dialect.service}
_HINT = 'Its pictures are recorded under a name of your own: Session(engine=…, provider="my-engine").'


def provider_of(engine: Engine, provider: str | None = None) -> str:
    """Return the name that an engine's pictures are recorded under: the given one, or that of its function.

    Raises `SettingsError` for what is no name, or is the name of a service.
    """
    # Two partials of one function are two engines, and have no names by which to tell them apart.
    own = "" if isinstance(engine, partial) else getattr(engine, "__name__", type(engine).__name__)
    name = own if provider is None else provider
    if not callable(engine):
        raise SettingsError(f"The engine is {sanitize(repr(engine), 60)}.", "Give an async function.")
    if not isinstance(name, str) or not re.fullmatch(NAME, name):
        raise SettingsError(f"'{sanitize(str(name), 60)}' is no name for an engine.", _HINT)
    if name.lower() in TAKEN | _SERVICES:
        raise SettingsError(f"'{name}' is the name of a service.", _HINT)
    return name


class Checked:
    """Ask an engine, and accept from it only what an engine may answer: a `Result`, or a `BelugaError`.

    Every picture is decoded once, and its recipe names the request that was made. Any other exception, and no
    answer in time, leave the outcome unknown: nobody knows what the engine has paid for.
    """

    def __init__(self, engine: Engine, provider: str) -> None:
        self.engine = engine
        self.provider = provider

    async def __call__(self, request: Request) -> Result:
        answer = await self._asked(request)
        try:
            return await asyncio.to_thread(self._checked, request, answer)
        except asyncio.CancelledError:
            raise Stopped(lambda: [self._checked(request, answer)]) from None

    async def _asked(self, request: Request) -> object:
        deadline = DEADLINE.get()
        limit = asyncio.timeout_at(None if math.isinf(deadline) else deadline)
        try:
            async with limit:
                return await self.engine(request)
        except BelugaError:
            raise
        except Exception as error:  # a stranger's code
            if limit.expired():
                raise TimedOut(
                    f"The engine {self.provider} did not answer in time.",
                    "What it has begun may have been billed. The setting timeout says how long it may take.",
                ) from None
            words = sanitize(str(error), 200)
            raise OutcomeUnknown(
                f"The engine {self.provider} failed: {type(error).__name__}{words and ': '}{words}",
                "What it has begun may have been billed. Where that is known, raise a BelugaError instead.",
            ) from error

    def _checked(self, request: Request, answer: object) -> Result:
        if not isinstance(answer, Result):
            raise BadReply(
                f"The engine {self.provider} returned {type(answer).__name__}, and no Result.",
                'Let it return Result.of(request, [image], engine="the name of its model").',
            )
        parts = zip(request.samples, answer.pictures, strict=False)
        outcomes = [_picture(request.part(sample), picture) for sample, picture in parts]
        if len(outcomes) < request.n:
            count = f"{len(outcomes)} of {request.n} pictures"
            outcomes.append(BadReply(f"The engine {self.provider} returned {count}."))
        result = joined(request, outcomes)
        further = answer.pictures[request.n :]
        return replace(result, extra=partial(_answers, further) if further else answer.extra)


def _picture(request: Request, picture: Picture) -> Result | BelugaError:
    try:
        media_type, small = looked_at(picture.data)
    except BadImage as error:
        error.sample = request.sample
        return error
    created = picture.recipe.created or int(time.time())
    recipe = replace(picture.recipe, request=request, created=created)
    picture = replace(picture, media_type=media_type, preview=picture.preview or small, recipe=recipe)
    return Result(request, (picture,))


async def _answers(pictures: Sequence[Picture]) -> AsyncGenerator[Answer, None]:
    for each in pictures:
        yield Answer(each.data, each.media_type)
