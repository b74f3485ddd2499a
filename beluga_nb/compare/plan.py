"""What it would take, before anything is spent: which requests, how many pictures, what they cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from beluga_nb.budget import Caps
from beluga_nb.core import Request


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a call would send: nothing of it was sent.

    `requests` are the POSTs in order, with their exact JSON in `bodies`; `recorded` pictures are in the
    store already. `url` is empty where the built-in painter would draw, which costs nothing.
    """

    requests: Sequence[Request]
    bodies: Sequence[Mapping[str, object]]
    recorded: int
    url: str
    caps: Caps

    @property
    def images(self) -> int:
        """How many pictures would be made."""
        return sum(request.n for request in self.requests)

    @property
    def cost(self) -> Decimal | None:
        """What they cost at worst, by the user's own prices, or None where one is unknown."""
        if not self.url:
            return Decimal(0)
        costs = [self.caps.worst(request) for request in self.requests]
        return None if None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))

    def __str__(self) -> str:
        return "\n".join([self._summary(), *self._sent()])

    def _summary(self) -> str:
        total = self.images + self.recorded
        words = [
            f"{total} picture{'s' * (total != 1)}",
            f"{self.recorded} recorded",
            f"{self.images} to make",
        ]
        return f"Dry run, nothing was sent: {', '.join(words)}; {self.price}."

    @property
    def price(self) -> str:
        """What that costs, in words."""
        if not self.requests:
            return "no cost"
        if not self.url:
            return "local previews, no cost"
        if self.cost is None or self.caps.prices is None:
            return "the price is unknown"
        return f"at most {self.caps.words(self.cost)} by your prices of {self.caps.prices.date} (estimated)"

    def _sent(self) -> list[str]:
        where = self.url or "the embedded BelugAPI"
        return [f"POST {where}\n{json.dumps(body, ensure_ascii=False)}" for body in self.bodies]
