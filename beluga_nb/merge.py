"""The parts of a request: asked side by side, and their results merged in order."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Coroutine, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, TypeVar

from beluga_nb.errors import BelugaError, EngineError, InvalidResponseError, NotRecordedError
from beluga_nb.request import Request
from beluga_nb.result import Engine, IncompleteError, Picture, Result, causes

T = TypeVar("T")


async def side_by_side(coroutines: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return their results in order; a failure or a stop is raised when each has ended."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            if not task.cancelling():  # a second cancel would interrupt its clean-up
                task.cancel()
        await asyncio.wait(tasks)  # gather() would return before connections are closed
        raise


async def result_or_error(engine: Engine, request: Request) -> Result | BelugaError:
    """Return what the engine answers, or the error it raises."""
    try:
        return await engine(request)
    except BelugaError as error:
        return error


async def completed(request: Request, known: Mapping[int, Picture | BelugaError], engine: Engine) -> Result:
    """Return the result of the known samples of a request, and of asking the engine for the rest."""
    outcomes: list[Result | BelugaError] = []
    for sample, n in contiguous_ranges(request.samples, known):
        part = request.slice(sample, n)
        found = known.get(sample)
        if isinstance(found, Picture):
            outcomes.append(Result(part, (found,)))
        else:
            outcomes.append(found or await result_or_error(engine, part))
    return merge_results(request, outcomes)


def contiguous_ranges(samples: Sequence[int], known: Container[int]) -> Iterator[tuple[int, int]]:
    """Yield (first, count): each known sample by itself, and the unknown ones in ranges."""
    for is_known, group in groupby(samples, known.__contains__):
        run = list(group)
        yield from ((sample, 1) for sample in run) if is_known else [(run[0], len(run))]


def merge_results(request: Request, outcomes: Sequence[Result | BelugaError]) -> Result:
    """Merge the outcomes of the parts of `request`, in order.

    Raises the first error as it is where nothing arrived, and `IncompleteError` where something did. Errors
    of what may be billed come first, since the words of the first one are shown.
    """
    arrived = [each.result if isinstance(each, IncompleteError) else each for each in outcomes]
    results = [each for each in arrived if isinstance(each, Result)]
    errors = [each for each in outcomes if isinstance(each, BelugaError)]
    missing = billed_first(_together([cause for error in errors for cause in causes(error)]))
    if not results:
        first, *others = missing
        # Their bytes are kept too, although only one error can be raised.
        if isinstance(first, EngineError):
            first.others = tuple(each for each in others if isinstance(each, InvalidResponseError))
        raise first
    result = Result(request, tuple(picture for each in results for picture in each.pictures))
    if missing:
        incomplete = IncompleteError(result, missing)
        incomplete.idempotency_key = next(
            (error.idempotency_key for error in errors if isinstance(error, EngineError)), ""
        )
        raise incomplete
    return result


def billed_first(errors: Iterable[BelugaError]) -> list[BelugaError]:
    """Return errors in their order, but those of what may be billed before the others."""
    return sorted(errors, key=lambda error: not error.may_be_billed)


def _together(errors: Sequence[BelugaError]) -> Sequence[BelugaError]:
    # A replay reports everything that is missing at once.
    missing = [error for error in errors if isinstance(error, NotRecordedError)]
    if len(missing) < 2:
        return errors
    whole = NotRecordedError(*(line for error in missing for line in error.missing))
    return [whole, *(error for error in errors if error not in missing)]
