"""Amounts of money: read within bounds, and reckoned exactly in a context of our own.

A notebook may set decimal's precision, rounding and traps to anything. No other module adds, subtracts or
multiplies money, or reads it from outside.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal

ZERO = Decimal(0)

MOST = 10**12
"""The largest amount."""

PLACES = 30
"""Decimals of an amount; a price that was divided has some twenty."""

LONGEST = 80
"""Characters of an amount."""

# Every field is set: others would come from decimal.DefaultContext, which can be changed. An amount has at
# most 43 digits, so that sums of 10**50 of them are exact.
_EXACT = Context(
    prec=100, rounding=ROUND_HALF_EVEN, Emin=MIN_EMIN, Emax=MAX_EMAX, capitals=1, clamp=0, flags=[], traps=[]
)


def amount(value: object) -> Decimal | None:
    """Return a value from outside as an amount, or None where it is not one from 0 to `MOST`.

    >>> amount("0.040"), amount(1e3), amount("-1"), amount("1e-999")
    (Decimal('0.040'), Decimal('1000.0'), None, None)
    """
    try:
        words = str(value)
    except ValueError:  # an integer of thousands of digits
        return None
    if isinstance(value, bool) or len(words) > LONGEST:
        return None
    read = Decimal(words, _EXACT)
    exponent = read.as_tuple().exponent
    if not isinstance(exponent, int) or exponent < -PLACES or not 0 <= read <= MOST:  # no int: NaN, infinity
        return None
    return _EXACT.add(read, ZERO)  # 1E+3 becomes 1000, and -0 becomes 0


def total(amounts: Iterable[Decimal]) -> Decimal:
    """Return the sum of amounts."""
    result = ZERO
    for each in amounts:
        result = _EXACT.add(result, each)
    return result


def less(one: Decimal, other: Decimal) -> Decimal:
    """Return an amount without another."""
    return _EXACT.subtract(one, other)


def times(each: Decimal, count: int) -> Decimal:
    """Return what so many cost."""
    return _EXACT.multiply(each, count)


def words(amount: Decimal) -> str:
    """Return an amount in plain digits, without zeros at its end."""
    return f"{amount.normalize(_EXACT):f}"
