"""What pictures cost, and how much may be spent.

The service publishes no prices: the table is the user's own, with a date. So the cost is an estimate, and
a model that is not in the table has an unknown price, never zero.
"""

from __future__ import annotations

import datetime
import json
import os
import re
import uuid
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

import beluga_nb.money as money
from beluga_nb.errors import BelugaError, OverBudgetError, SettingsError, StoreError
from beluga_nb.money import ZERO
from beluga_nb.process.forks import HERITAGE, NO_MEMORY, InheritedLedger
from beluga_nb.process.locks import ProcessLock
from beluga_nb.request import Request
from beluga_nb.result import CallCancelled, IncompleteError
from beluga_nb.text import plural, sanitize, shown
from beluga_nb.untrusted import DAMAGE, load_json, members, text, whole

_ANY_QUALITY = ""
_HEAD = {"date", "currency"}

LONGEST_LINE = 4096
"""Bytes of a ledger's line at most; a longer one was not written by beluga_nb and is not counted."""

MOST_IMAGES = 10**9

_DIGITS = re.compile(r"[0-9]+(\.[0-9]+)?", re.ASCII)  # the form in a line of the ledger
_TRIES = 100


@dataclass(frozen=True, kw_only=True)
class Prices:
    """The price of one picture by model and quality, as the user wrote it down on `date`."""

    date: datetime.date
    currency: str = "USD"
    table: Mapping[str, Mapping[str, Decimal]] = field(default_factory=dict)

    @classmethod
    def of(cls, given: object) -> Prices:
        """Return the prices of the table `[prices]` of `beluga.toml`; raise `SettingsError`.

        >>> Prices.of({"date": datetime.date(2026, 11, 1), "flux-2.0": {"standard": 0.03, "hd": 0.06}}).each(
        ...     Request(prompt="a fox", model="flux-2.0", quality="hd"))
        Decimal('0.06')
        """
        # Not isinstance: a datetime is a date too, and its time would be shown.
        if not isinstance(given, Mapping) or type(given.get("date")) is not datetime.date:
            raise SettingsError(
                "The setting prices has no date.", "Add the date of the prices: date = 2026-11-01"
            )
        table = {model: _by_quality(model, price) for model, price in given.items() if model not in _HEAD}
        currency = sanitize(str(given.get("currency", "USD")), 12)
        return cls(date=given["date"], currency=currency, table=table)

    @property
    def words(self) -> str:
        """A summary of the table."""
        return f"of {self.date}, in {self.currency}: {', '.join(map(sanitize, self.table)) or 'none'}"

    def each(self, request: Request) -> Decimal | None:
        """Return the price of one picture, at worst, or None where it is unknown."""
        prices = self.table.get(request.model, {})
        if request.quality is not None and request.quality in prices:
            return prices[request.quality]
        if _ANY_QUALITY in prices:
            return prices[_ANY_QUALITY]
        # The service's own default quality is not known here.
        return max(prices.values()) if prices and request.quality is None else None


def _by_quality(model: str, price: object) -> Mapping[str, Decimal]:
    by_quality = price if isinstance(price, Mapping) else {_ANY_QUALITY: price}
    return {str(quality): _price(str(model), value) for quality, value in by_quality.items()}


def _price(model: str, value: object) -> Decimal:
    price = money.amount(value)
    if price is None:
        raise SettingsError(
            f"The price of {sanitize(model, 80)} is {shown(value)}.",
            "Give an amount per picture, such as 0.04.",
        )
    return price


@dataclass(frozen=True, kw_only=True)
class Caps:
    """How much may be spent: pictures, and money by `prices`; None is no limit."""

    images: int | None = None
    cost: Decimal | None = None
    prices: Prices | None = None

    def worst(self, request: Request) -> Decimal | None:
        """Return what a request costs at worst, or None where the price is unknown."""
        each = self.prices.each(request) if self.prices else None
        return None if each is None else money.times(each, request.n)

    def amount(self, request: Request) -> Amount:
        """Return the pictures of a request, and what they cost at worst."""
        return _amount_of(request.n, self.worst(request))

    def words(self, amount: Decimal) -> str:
        """Return an amount of money as text."""
        currency = self.prices.currency if self.prices else ""
        return f"{money.words(amount)} {currency}".strip()


@dataclass(frozen=True)
class Amount:
    """Pictures, and what they cost at worst; the price of `unpriced` among them is unknown."""

    images: int = 0
    cost: Decimal = ZERO
    unpriced: int = 0

    def __add__(self, other: Amount) -> Amount:
        cost = money.total([self.cost, other.cost])
        return Amount(self.images + other.images, cost, self.unpriced + other.unpriced)

    def __sub__(self, other: Amount) -> Amount:
        """Return the rest, which is never negative."""
        back = self.at_most(other)
        cost = money.less(self.cost, back.cost)
        return Amount(self.images - back.images, cost, self.unpriced - back.unpriced)

    def at_most(self, other: Amount) -> Amount:
        """Return the smaller value of each field."""
        return Amount(
            min(self.images, other.images), min(self.cost, other.cost), min(self.unpriced, other.unpriced)
        )

    def to_json(self) -> dict[str, object]:
        """Return it as the ledger stores it."""
        most = self.at_most(_MOST)
        return {"images": most.images, "cost": f"{most.cost:f}", "unpriced": most.unpriced}

    @classmethod
    def of(cls, entry: Mapping[str, object]) -> Amount:
        """Return the amount of a ledger's line, which is not trusted; raise one of `DAMAGE` for no amount."""
        images = whole(entry["images"], least=0, most=MOST_IMAGES)
        return cls(images, _cost(entry["cost"]), whole(entry["unpriced"], least=0, most=images))


_MOST = Amount(MOST_IMAGES, Decimal(money.MOST), MOST_IMAGES)


def _cost(value: object) -> Decimal:
    if not _DIGITS.fullmatch(text(value)) or (cost := money.amount(value)) is None:
        raise ValueError("no cost")
    return cost


class Ledger(Protocol):
    """An append-only file or memory of lines, in which several processes record their spending."""

    def add(self, line: bytes) -> None: ...
    def read(self, start: int) -> bytes | None: ...  # None: the file was replaced


class Budget:
    """What was spent, and what is reserved for calls on their way: `spent + reserved <= cap` at any instant.

    Checking and spending is one step: in two, two threads could exceed the cap together (R18). A call without
    a known end counts as spent (R20).

    Processes that share a `ledger` share the budget. A reservation stands there with its caps, and counts
    only where it fits with what stands before it, so that all readers decide alike. The reservations of a
    killed process stay counted: they may be billed. Forked children continue their parent's budget.
    A process that cannot share the count spends nothing that a cap limits.

    A ledger may come from elsewhere. So a line lowers the spending only if it releases an earlier
    reservation, which it names, and by no more than that reservation holds.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self.replayed = 0  # pictures that came from the store
        self.saved = ZERO
        self._ledger = ledger
        self._is_apart = False  # it cannot share a count with its forks
        self._spent = Amount()
        self._read = 0  # bytes of the ledger that were read
        self._overlong = False  # inside a line that is too long
        self._held: dict[str, Amount] = {}  # reservations that may be given back, by id
        self._fitted: dict[str, bool] = {}  # own reservations that are being written, by id
        self._lock = ProcessLock()
        self._saving = ProcessLock()
        _BUDGETS.add(self)

    @classmethod
    def inherited(cls) -> Budget:
        """Return the budget of the default session, which forked processes may share already."""
        heritage = HERITAGE.take()
        budget = cls(heritage.ledger)
        budget._is_apart = heritage.is_apart
        return budget

    @property
    def spent(self) -> Amount:
        """What was spent and is reserved, in all processes that share it."""
        with self._lock:
            self._catch_up()
            return self._spent

    @property
    def may_wait(self) -> bool:
        """Whether a reservation may wait for another process, which writes to the same ledger."""
        return self._ledger is not None

    @property
    def images(self) -> int:
        """The number of pictures spent and reserved."""
        return self.spent.images

    @contextmanager
    def reserved(self, request: Request, caps: Caps) -> Iterator[None]:
        """Reserve the worst cost of a request while it is on its way, then settle the real one.

        Raises `OverBudgetError` before anything is sent.
        """
        name = self._reserve(request, caps)
        try:
            yield
        except (BelugaError, CallCancelled) as error:
            # What provably cost nothing is given back; every other end counts as spent.
            if (free := request.n - billed(error, request.n)) > 0:
                amount = caps.amount(request.slice(request.sample, free))
                with suppress(StoreError), self._lock:  # if it cannot be written, it stays counted
                    self._write(amount.to_json() | {"of": name})
            raise
        finally:
            with self._lock:
                if self._ledger is None:  # only this process can give it back
                    self._held.pop(name, None)

    def check(self, requests: Sequence[Request], caps: Caps) -> None:
        """Raise `OverBudgetError` where requests together would go over the caps; reserve nothing."""
        with self._lock:
            self._catch_up()
            self._checked_cost(requests, caps)

    def save(self, request: Request, caps: Caps) -> None:
        """Count pictures that came from the store instead of being made again."""
        with self._saving:  # `_lock` may be held while a ledger is waited for.
            self.replayed += request.n
            self.saved = money.total([self.saved, caps.worst(request) or ZERO])

    def saved_words(self, caps: Caps) -> str:
        """Return what came from the store and what that saved, in words."""
        made = f"{plural(self.replayed, 'picture')} came from the store"
        if not caps.prices or not self.saved:
            return made
        return f"{made}; {caps.words(self.saved)} by your prices of {caps.prices.date} (estimated)"

    def words(self, caps: Caps) -> str:
        """Return what this session has made and what that cost, in words.

        A price of the user's own table makes an estimate; without one the cost is unknown.
        """
        spent = self.spent
        made = plural(spent.images, "picture") + (f" of {caps.images}" if caps.images is not None else "")
        if spent.images and (not caps.prices or spent.unpriced):
            unknown = f" of {spent.unpriced}" if 0 < spent.unpriced < spent.images else ""
            made = f"{made}, the price{unknown} unknown"
        if not caps.prices:
            return made
        limit = f" of {caps.words(caps.cost)}" if caps.cost is not None else ""
        return f"{made}; {caps.words(spent.cost)}{limit} by your prices of {caps.prices.date} (estimated)"

    def _reserve(self, request: Request, caps: Caps) -> str:
        name = uuid.uuid4().hex
        with self._lock:
            # Written first and then read back: so all processes decide alike, without a lock between them.
            for _ in range(_TRIES):  # again where another process was quicker
                self._catch_up()
                worst = self._checked_cost([request], caps)
                self._fitted[name] = False
                self._write(_amount_of(request.n, worst).to_json() | {"id": name, "caps": _limits(caps)})
                if self._fitted.pop(name):
                    return name
        raise StoreError(
            "What was spent could not be counted: what is written down here does not come to stand there.",
            'Nothing was sent. Ask again, or use the setting budget = "session".',
        )

    def _write(self, entry: Mapping[str, object]) -> None:
        if self._ledger is None:
            self._count(entry)
            return
        with self._or_apart():
            self._ledger.add(_line(entry))
        self._catch_up()

    @contextmanager
    def _or_apart(self) -> Iterator[None]:
        try:
            yield
        except OSError:
            # Memory that forks share is full or locked. (A ledger on disk raises StoreError instead.)
            self._ledger, self._is_apart = None, True

    def _catch_up(self) -> None:
        with self._or_apart():
            self._read_on()

    def _read_on(self) -> None:
        while self._ledger is not None:
            piece = self._ledger.read(self._read)
            # The file was replaced, as git does: it is counted from its beginning.
            if piece is None:
                self._forget()
            elif b"\n" in piece:
                self._count_lines(piece[: piece.rindex(b"\n")].split(b"\n"))
                self._read += piece.rindex(b"\n") + 1
            # No line of ours. Its rest is skipped piece by piece, so that it need not fit into memory.
            elif len(piece) > LONGEST_LINE:
                self._overlong = True
                self._read += len(piece)
            else:
                return

    def _count_lines(self, lines: Sequence[bytes]) -> None:
        # The first of them is the end of a line that was too long.
        for line in lines[self._overlong :]:
            if len(line) <= LONGEST_LINE:
                with suppress(*DAMAGE):  # truncated, or written by another program
                    self._count(members(load_json(str(line, "utf-8"))))
        self._overlong = False

    def _forget(self) -> None:
        self._spent, self._held = Amount(), {}
        self._read, self._overlong = 0, False

    def _count(self, entry: Mapping[str, object]) -> None:
        amount = Amount.of(entry)
        if "of" in entry:
            self._count_back(text(entry["of"]), amount)
            return
        name, limits = text(entry["id"]), entry.get("caps")
        fits = limits is None or _within(self._spent + amount, members(limits))
        if fits:
            self._spent += amount
            # Not replaced: a second line under the same id must not enlarge what may be given back.
            self._held.setdefault(name, amount)
        if name in self._fitted:
            self._fitted[name] = fits

    def _count_back(self, name: str, amount: Amount) -> None:
        # A KeyError, for a reservation that is not known, counts as damage: the line is skipped.
        back = self._held[name].at_most(amount)
        self._held[name] -= back
        self._spent -= back

    def _share(self) -> None:
        """Before this process forks: move to memory that its children share, where possible."""
        with self._lock, suppress(*NO_MEMORY):
            if self._ledger is None:
                ledger = InheritedLedger()
                settled = self._spent
                for amount in self._held.values():
                    settled -= amount
                # One line for each reservation: the children can still give each of them back.
                held = (_line(amount.to_json() | {"id": name}) for name, amount in self._held.items())
                ledger.add(_line(settled.to_json() | {"id": uuid.uuid4().hex}) + b"".join(held))
                self._ledger = ledger
                self._forget()

    def _begin_in_child(self) -> None:
        if self._ledger is None:
            self._is_apart = True
        else:
            self._forget()  # another thread may have changed it

    def _checked_cost(self, requests: Sequence[Request], caps: Caps) -> Decimal | None:
        """Return what requests cost at worst, or None; raise `OverBudgetError` where that is over a cap."""
        # Without a cap nothing has to be counted together.
        if self._is_apart and (caps.images, caps.cost) != (None, None):
            raise StoreError(
                "What is spent cannot be counted together with the other processes of a fork.",
                'Nothing was sent. Use the setting budget = "store", or make a new session in this process.',
            )
        count = sum(request.n for request in requests)
        wanted = plural(count, requests[0].unit if requests else "picture")
        costs = [caps.worst(request) for request in requests]
        worst = None if None in costs else money.total(cost for cost in costs if cost is not None)
        if caps.images is not None and self._spent.images + count > caps.images:
            raise OverBudgetError(
                f"{wanted} would be more than max_images allows:"
                f" {self._spent.images} of {caps.images} are made.",
                "Nothing was sent. Raise max_images, or ask for fewer.",
            )
        if caps.cost is None:
            return worst
        if worst is None:
            unknown = dict.fromkeys(each.model for each in requests if caps.worst(each) is None)
            raise OverBudgetError(
                "There is a cap on the cost, and the price of"
                f" {sanitize(', '.join(unknown), 80)} is unknown.",
                "Nothing was sent. Add it to [prices] in beluga.toml (where the cap is your own: in one that"
                " BELUGA_TRUST names), or take max_cost away.",
            )
        if money.total([self._spent.cost, worst]) > caps.cost:
            raise OverBudgetError(
                f"{wanted} for {caps.words(worst)} would be more than max_cost allows:"
                f" {caps.words(self._spent.cost)} of {caps.words(caps.cost)} is spent.",
                "Nothing was sent. Raise max_cost, or ask for fewer.",
            )
        return worst


_BUDGETS: weakref.WeakSet[Budget] = weakref.WeakSet()  # read only when a process forks


def _before_fork() -> None:
    for budget in list(_BUDGETS):
        budget._share()


def _in_child() -> None:
    for budget in list(_BUDGETS):
        budget._begin_in_child()


# Windows has no fork.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_in_child)


def _limits(caps: Caps) -> Mapping[str, object]:
    """Return caps as the ledger stores them; one that is too large for a line is none."""
    images = None if caps.images is None or caps.images > MOST_IMAGES else caps.images
    cost = None if caps.cost is None or caps.cost > money.MOST else f"{caps.cost:f}"
    return {"images": images, "cost": cost}


def _within(amount: Amount, limits: Mapping[str, object]) -> bool:
    images, cost = limits.get("images"), limits.get("cost")
    if images is not None and amount.images > whole(images):
        return False
    return cost is None or amount.cost <= _cost(cost)


def _line(entry: Mapping[str, object]) -> bytes:
    return json.dumps(entry, separators=(",", ":")).encode() + b"\n"


def billed(error: BelugaError | CallCancelled, n: int) -> int:
    """Return how many of `n` pictures may have been billed where an error ended their request."""
    if error.may_be_billed:
        return n
    return len(error.result) if isinstance(error, IncompleteError) else 0


def _amount_of(images: int, cost: Decimal | None) -> Amount:
    return Amount(images, cost or ZERO, images if cost is None else 0)
