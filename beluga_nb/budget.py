"""What pictures cost, and how much may be spent.

Nobody publishes prices here: the table is the user's own, and has a date. What is spent is therefore an
estimate, and what is not in the table is unknown, never nothing.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation

from beluga_nb.core import Engine, Incomplete, Request, Result, Stopped
from beluga_nb.errors import BelugaError, OverBudget, SettingsError, plain

ZERO = Decimal(0)

_ANY_QUALITY = ""
_HEAD = {"date", "currency"}


@dataclass(frozen=True, kw_only=True)
class Prices:
    """The price of one picture by model and quality, as the user wrote it down on `date`."""

    date: datetime.date
    currency: str = "USD"
    table: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)

    @classmethod
    def of(cls, said: object) -> Prices:
        """Return the prices of the table `[prices]` of `beluga.toml`; raise `SettingsError`.

        >>> Prices.of({"date": datetime.date(2026, 11, 1), "flux-2.0": {"standard": 0.03, "hd": 0.06}}).each(
        ...     Request(prompt="a fox", model="flux-2.0", quality="hd"))
        Decimal('0.06')
        """
        if not isinstance(said, Mapping) or type(said.get("date")) is not datetime.date:
            raise SettingsError("The setting prices has no date.", "Say when you looked: date = 2026-11-01")
        table = {model: _by_quality(model, price) for model, price in said.items() if model not in _HEAD}
        currency = plain(str(said.get("currency", "USD")), 12)
        return cls(date=said["date"], currency=currency, table=table)

    @property
    def words(self) -> str:
        """What is in the table, in words."""
        return f"of {self.date}, in {self.currency}: {', '.join(map(plain, self.table)) or 'none'}"

    def each(self, request: Request) -> Decimal | None:
        """Return the price of one picture, at worst, or None where it is unknown."""
        prices = self.table.get(request.model, {})
        if request.quality is not None and request.quality in prices:
            return prices[request.quality]
        if _ANY_QUALITY in prices:
            return prices[_ANY_QUALITY]
        # What the service takes for its default is not ours to say.
        return max(prices.values()) if prices and request.quality is None else None


def _by_quality(model: str, price: object) -> Mapping[str, Decimal]:
    by_quality = price if isinstance(price, Mapping) else {_ANY_QUALITY: price}
    return {str(quality): _amount(f"{model}", value) for quality, value in by_quality.items()}


def _amount(name: str, value: object) -> Decimal:
    try:
        amount = Decimal(str(value))
    except InvalidOperation:
        amount = Decimal("NaN")
    if isinstance(value, bool) or not amount.is_finite() or amount < 0:
        raise SettingsError(f"The price of {name} is {value!r}.", "Give an amount per picture, such as 0.04.")
    return amount


@dataclass(frozen=True, kw_only=True)
class Caps:
    """How much may be spent: pictures, and money by `prices`; None is no limit."""

    images: int | None = None
    cost: Decimal | None = None
    prices: Prices | None = None

    def worst(self, request: Request) -> Decimal | None:
        """Return what a request costs at worst, or None where the price is unknown."""
        each = self.prices.each(request) if self.prices else None
        return None if each is None else each * request.n

    def words(self, amount: Decimal) -> str:
        """Return an amount of money as people write it."""
        currency = self.prices.currency if self.prices else ""
        return f"{amount.normalize():f} {currency}".strip()


class Budget:
    """What was spent, and what is reserved for calls on their way: `spent + reserved <= cap` at any instant.

    Checking first and spending later goes over the cap as soon as two threads do it
    (research/reliability.md, R18). A call without a known end counts as spent (R20).
    """

    def __init__(self) -> None:
        self.images = 0
        self.cost = ZERO
        self.unpriced = 0  # pictures among them whose price is unknown
        self.replayed = 0  # pictures that the store had, and need not be made again
        self.saved = ZERO
        self._lock = threading.Lock()

    @contextmanager
    def reserved(self, request: Request, caps: Caps) -> Iterator[None]:
        """Hold what a request costs at worst while it is on its way, and settle what it did cost.

        Raises `OverBudget` before anything is sent.
        """
        worst = self._reserve(request, caps)
        try:
            yield
        except (BelugaError, Stopped) as error:
            arrived = len(error.result) if isinstance(error, Incomplete) else 0
            if not error.may_be_billed:
                self._settle(request, worst, arrived)
            raise

    def check(self, requests: Sequence[Request], caps: Caps) -> None:
        """Raise `OverBudget` where requests together would go over the caps; reserve nothing."""
        with self._lock:
            self._fitting(requests, caps)

    def save(self, request: Request, caps: Caps) -> None:
        """Count pictures that came from the store instead of being made again."""
        with self._lock:
            self.replayed += request.n
            self.saved += caps.worst(request) or ZERO

    def saved_words(self, caps: Caps) -> str:
        """Return what came from the store and what that saved, as people read it."""
        made = f"{_pictures(self.replayed)} came from the store"
        if not caps.prices or not self.saved:
            return made
        return f"{made}; {caps.words(self.saved)} by your prices of {caps.prices.date} (estimated)"

    def words(self, caps: Caps) -> str:
        """Return what this session has made and what that cost, as people read it.

        A price of the user's own table makes an estimate; without one the cost is unknown.
        """
        made = _pictures(self.images) + (f" of {caps.images}" if caps.images is not None else "")
        if not caps.prices or self.unpriced:
            unknown = f" of {self.unpriced}" if 0 < self.unpriced < self.images else ""
            made = f"{made}, the price{unknown} unknown"
        if not caps.prices:
            return made
        limit = f" of {caps.words(caps.cost)}" if caps.cost is not None else ""
        return f"{made}; {caps.words(self.cost)}{limit} by your prices of {caps.prices.date} (estimated)"

    def _reserve(self, request: Request, caps: Caps) -> Decimal | None:
        with self._lock:
            worst = self._fitting([request], caps)
            self.images += request.n
            self.cost += worst or ZERO
            self.unpriced += request.n if worst is None else 0
            return worst

    def _fitting(self, requests: Sequence[Request], caps: Caps) -> Decimal | None:
        count = sum(request.n for request in requests)
        costs = [caps.worst(request) for request in requests]
        worst = None if None in costs else sum((cost for cost in costs if cost is not None), ZERO)
        if caps.images is not None and self.images + count > caps.images:
            raise OverBudget(
                f"{_pictures(count)} would be more than max_images allows:"
                f" {self.images} of {caps.images} are made.",
                "Nothing was sent. Raise max_images, or ask for fewer.",
            )
        if caps.cost is None:
            return worst
        if worst is None:
            unknown = dict.fromkeys(each.model for each in requests if caps.worst(each) is None)
            raise OverBudget(
                f"There is a cap on the cost, and the price of {plain(', '.join(unknown), 80)} is unknown.",
                "Nothing was sent. Add it to [prices] in beluga.toml (where the cap is your own: in one that"
                " BELUGA_TRUST names), or take max_cost away.",
            )
        if self.cost + worst > caps.cost:
            raise OverBudget(
                f"{_pictures(count)} for {caps.words(worst)} would be more than max_cost allows:"
                f" {caps.words(self.cost)} of {caps.words(caps.cost)} is spent.",
                "Nothing was sent. Raise max_cost, or ask for fewer.",
            )
        return worst

    def _settle(self, request: Request, worst: Decimal | None, arrived: int) -> None:
        missing = request.n - arrived
        with self._lock:
            self.images -= missing
            self.cost -= (worst or ZERO) / request.n * missing
            self.unpriced -= missing if worst is None else 0


def _pictures(n: int) -> str:
    return f"{n} picture" + "s" * (n != 1)


class Budgeted:
    """Ask the engine within a budget: reserve before, settle after."""

    def __init__(self, engine: Engine, budget: Budget, caps: Caps) -> None:
        self.engine = engine
        self.budget = budget
        self.caps = caps

    async def __call__(self, request: Request) -> Result:
        with self.budget.reserved(request, self.caps):
            return await self.engine(request)
