"""An engine that splits a request into the parts that its engine may be asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from beluga_nb.merge import merge_results, result_or_error, side_by_side
from beluga_nb.request import Request
from beluga_nb.result import Engine, Result


class Batched:
    """Ask for the parts of a request side by side, and join the answers in order.

    `split` gives the parts (`catalog.split`: no more pictures each than the model allows).
    What arrived survives a part that fails: the error is `result.IncompleteError` then.
    """

    def __init__(self, engine: Engine, split: Callable[[Request], Sequence[Request]]) -> None:
        self.engine = engine
        self.split = split

    async def __call__(self, request: Request) -> Result:
        parts = self.split(request)
        if len(parts) == 1:
            return await self.engine(request)
        return merge_results(
            request, await side_by_side(result_or_error(self.engine, part) for part in parts)
        )
