"""Money is reckoned exactly, whatever a notebook does with decimal, and read from outside within bounds."""

import ast
import datetime
import decimal
from contextlib import contextmanager
from decimal import Decimal
from functools import partial

import pytest
from conftest import KEY, Counting, service
from hypothesis import given
from hypothesis import settings as tried
from hypothesis.strategies import decimals, integers, lists, sampled_from
from sampling import of_each, rounds
from test_architecture import MODULES, PACKAGE

from beluga_nb import money
from beluga_nb.budget import Amount, Budget, Caps, Prices
from beluga_nb.config.settings import Settings, load
from beluga_nb.errors import BelugaError, OverBudgetError, SettingsError
from beluga_nb.request import Request
from beluga_nb.session.session import Session

DATE = datetime.date(2026, 11, 1)
PRICES = {"date": DATE, "flux-2.0": "0.03"}
FOX = Request(prompt="a fox", model="flux-2.0")

SIGNALS = (decimal.Inexact, decimal.Rounded, decimal.FloatOperation, decimal.Subnormal, decimal.Clamped)
CONTEXTS = [
    {"prec": prec, "rounding": rounding, "traps": traps, "Emin": -small, "Emax": small}
    for prec in (1, 2, 3, 28)
    for rounding in (decimal.ROUND_DOWN, decimal.ROUND_UP)
    for traps in ((), SIGNALS, (decimal.InvalidOperation,))
    for small in (1, 999)
]


@contextmanager
def decimals_of(text):
    """A notebook that sets decimal's context, and the one that later contexts are made from."""
    default = decimal.DefaultContext
    before = {name: getattr(default, name) for name in ("prec", "rounding", "Emin", "Emax")}
    with decimal.localcontext(decimal.Context(**{**text, "traps": list(text["traps"])})):
        for name in before:
            setattr(default, name, text[name])
        try:
            yield
        finally:
            for name, value in before.items():
                setattr(default, name, value)


@pytest.fixture(scope="module")
def wire():
    engine = Counting()
    with service(engine) as url:
        engine.url = url
        yield engine


def spend(tmp_path, wire, kind, how):
    """How many pictures are bought for 0.10 at 0.03 each, in a way of asking."""
    environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": wire.url}
    session = Session(
        environ=environ,
        folder=tmp_path,
        notify=str,
        max_cost="0.10",
        prices=PRICES,
        model="flux-2.0",
        budget="store" if kind == "store" else "session",
    )
    if kind == "forked":
        session.budget._share()  # what a fork does before it
    before = len(wire.requests)
    asks = [session.grid("{{x}}", x=[f"owl {number}"]).run for number in range(6)]
    if how != "grid":
        asks = [partial(session.generate, f"a fox {number}") for number in range(6)]
    with pytest.raises(OverBudgetError) as failed:
        [ask() for ask in asks]
    assert failed.value.message.endswith("0.09 USD of 0.1 USD is spent.")
    if how == "plan":
        plan = session.plan("a hen", n=7)
        assert plan.cost == Decimal("0.21")
        assert "at most 0.21 USD by" in str(plan)
    assert "0.09 USD of 0.1 USD by your prices" in session.status()["spent"]
    return len(wire.requests) - before


@pytest.mark.sampled(10)
@pytest.mark.parametrize("how", ["plan", "grid"])
@pytest.mark.parametrize("kind", ["session", "store", "forked"])
@pytest.mark.parametrize(
    "value", [*CONTEXTS[::5], CONTEXTS[2]], ids=lambda value: f"{value['prec']}-{value['Emax']}"
)
def test_a_cap_on_money_holds_whatever_context_a_notebook_sets(tmp_path, wire, value, kind, how):
    with decimals_of(value):
        assert spend(tmp_path, wire, kind, how) == 3


AMOUNTS = decimals(0, money.MOST, places=money.PLACES, allow_nan=False)


@given(lists(AMOUNTS, min_size=1, max_size=9), integers(1, 10), sampled_from(CONTEXTS))
@tried(max_examples=rounds(60, 300), deadline=None)
def test_amounts_are_exact_in_any_context(amounts, count, messages):
    with decimal.localcontext(decimal.Context(prec=999)):
        sums, product = sum(amounts), amounts[0] * count
        less = sums - amounts[0]
        read = [Decimal(str(each)) for each in amounts]
    with decimals_of(messages):
        assert money.total(amounts) == sums
        assert money.times(amounts[0], count) == product
        assert money.less(sums, amounts[0]) == less
        assert Decimal(money.words(sums)) == sums
        assert [money.amount(str(each)) for each in amounts] == read
        held = Amount(1, sums) + Amount(1, product) - Amount(1, product)
        assert held.cost == sums


# --- what is read from outside

ODD = [
    '"1E+999999999"',
    '"1E+999999"',
    '"1E+3000000"',
    '"1E-999999999"',
    '"1E-1000000"',
    "1e308",
    "5e-324",
    '"1e99999999999999999999"',
    f'"0.{"1" * 300_000}"',
    f'"{"9" * 300_000}"',
    "1" * 4000,
    "0x" + "f" * 4000,
    "0x" + "f" * 17,
    '"nan"',
    '"-nan"',
    '"sNaN"',
    '"nan123"',
    '"inf"',
    "inf",
    "nan",
    "-1",
    '"-0.01"',
    '"much"',
    '""',
    "true",
    "[]",
    "[0x" + "f" * 5000 + "]",
    '"1e-31"',
    '"1000000000000.01"',
    "2026-11-01",
]
ZEROS = ['"0E+999999999"', '"0E+99"', '"-0"', "-0.0"]
PLACES = [
    "max_cost = {}",
    "max_images = {}",
    '[prices]\ndate = 2026-11-01\n"flux-2.0" = {}',
    '[prices]\ndate = 2026-11-01\n"flux-2.0" = {{ hd = {} }}',
]


@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd[:20])
@pytest.mark.parametrize("trapping", [True, False])
def test_an_odd_number_in_a_file_is_two_short_lines(tmp_path, odd, place, trapping):
    (tmp_path / "beluga.toml").write_text(place.format(odd))
    context = decimal.Context(traps=[decimal.InvalidOperation] if trapping else [])
    with decimal.localcontext(context), pytest.raises(SettingsError) as failed:
        load({}, tmp_path)
    assert failed.value.hint
    assert len(str(failed.value)) < 300


OTHERS = ["currency", "date"]


@pytest.mark.parametrize("name", [*Settings.__dataclass_fields__, *OTHERS])
@pytest.mark.parametrize("odd", ["0x" + "f" * 4000, "[0x" + "f" * 4000 + "]"], ids=["integer", "list"])
def test_an_integer_that_python_cannot_print_is_two_short_lines_everywhere(tmp_path, odd, name):
    text = f"[prices]\n{name} = {odd}" if name in OTHERS else f"{name} = {odd}"
    (tmp_path / "beluga.toml").write_text(text)
    with pytest.raises(BelugaError) as failed:
        load({}, tmp_path)
    assert failed.value.hint
    assert len(str(failed.value)) < 500
    if name in Settings.__dataclass_fields__:
        with pytest.raises(BelugaError):
            Settings().with_(**{name: 16**9999})


@pytest.mark.parametrize("zero", ZEROS)
def test_no_zero_is_long(tmp_path, zero):
    (tmp_path / "beluga.toml").write_text(PLACES[2].format(zero))
    caps = load({}, tmp_path).caps
    assert caps.words(caps.worst(FOX)) == "0 USD"
    assert str(caps.worst(FOX)) in {"0", "0.0"}


@pytest.mark.parametrize("odd", ["1e-31", "1e13", "1e999999999", "nan", "-1", "9" * 3000, "inf", "", " "])
def test_an_odd_amount_in_a_ledger_counts_nothing(odd):
    with pytest.raises(ValueError, match="no cost"):
        Amount.of({"images": 1, "cost": odd, "unpriced": 0})


def test_a_price_that_was_divided_is_exact_to_the_last_place():
    price = Prices.of({"date": DATE, "flux-2.0": 1e-7 / 3})
    budget, caps = Budget(), Caps(cost=Decimal(1), prices=price)
    with budget.reserved(FOX, caps):
        pass
    assert budget.spent.cost == Decimal(str(1e-7 / 3))


ARITHMETIC = ("Decimal", "localcontext", "getcontext", "Context")


@of_each(module=sorted(set(MODULES) - {"money.py"}))
def test_money_is_read_and_reckoned_in_one_module(module):
    calls = [
        ast.unparse(node)
        for node in ast.walk(ast.parse((PACKAGE / module).read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ARITHMETIC
    ]
    assert set(calls) <= {"Decimal(money.MOST)"}
