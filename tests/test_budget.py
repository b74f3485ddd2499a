"""How much may be spent: caps hold at every instant, and what is unknown is never nothing."""

import asyncio
import contextlib
import datetime
import gc
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from decimal import Decimal
from pathlib import Path

import pytest
from conftest import KEY, Counting, ask, drawing, drawn, service
from faulty import Faulty, after, b64, images, silence
from faulty import error as refusal
from hypothesis import given, settings
from hypothesis.strategies import booleans, integers, lists, one_of, sampled_from, tuples
from sampling import rounds

from beluga_nb.budget import Amount, Budget, Caps, Prices
from beluga_nb.config.settings import Settings, load
from beluga_nb.engines.budgeted import Budgeted
from beluga_nb.errors import (
    APIStatusError,
    OutcomeUnknownError,
    OverBudgetError,
    RequestError,
    SettingsError,
    StoreError,
)
from beluga_nb.process import forks
from beluga_nb.request import Request
from beluga_nb.result import CallCancelled, IncompleteError
from beluga_nb.session.session import Session
from beluga_nb.store import ledger
from beluga_nb.store.claims import Claim, system
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.ledger import StoreLedger
from beluga_nb.store.records import Store
from beluga_nb.store.registry import is_ours
from beluga_nb.store.verify import verify

FOX = Request(prompt="a fox", model="flux-2.0")
DATE = datetime.date(2026, 11, 1)
PRICES = Prices.of({"date": DATE, "flux-2.0": "0.08", "gpt-image-2": {"standard": 0.04, "hd": 0.1}})


def caps(images=None, cost=None, prices=PRICES):
    return Caps(images=images, cost=None if cost is None else Decimal(cost), prices=prices)


def failing(error):
    async def engine(request):
        raise error

    return engine


# --- prices


@pytest.mark.parametrize(
    ("value", "each"),
    [
        ({"model": "flux-2.0"}, "0.08"),
        ({"model": "flux-2.0", "quality": "hd"}, "0.08"),
        ({"model": "gpt-image-2", "quality": "standard"}, "0.04"),
        ({"model": "gpt-image-2", "quality": "hd"}, "0.1"),
        ({"model": "gpt-image-2"}, "0.1"),
        ({"model": "gpt-image-2", "quality": "other"}, None),
        ({"model": "seedream-4.5"}, None),
    ],
    ids=str,
)
def test_a_price_is_the_users_own_and_unknown_where_there_is_none(value, each):
    assert PRICES.each(Request(prompt="a fox", **value)) == (each and Decimal(each))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "has no date"),
        ({}, "has no date"),
        ({"date": "2026-11-01"}, "has no date"),
        ({"date": DATE, "flux-2.0": "cheap"}, "The price of flux-2.0 is 'cheap'"),
        ({"date": DATE, "flux-2.0": -1}, "The price of flux-2.0 is -1"),
        ({"date": DATE, "flux-2.0": True}, "The price of flux-2.0 is True"),
        ({"date": DATE, "flux-2.0": float("nan")}, "The price of flux-2.0 is nan"),
        ({"date": DATE, "flux-2.0": {"hd": []}}, "The price of flux-2.0 is"),
    ],
    ids=str,
)
def test_a_price_that_is_none_is_refused(value, words):
    with pytest.raises(SettingsError, match=words):
        Prices.of(value)


def test_prices_and_caps_stand_in_the_settings_file(tmp_path):
    (tmp_path / "beluga.toml").write_text(
        'max_images = 20\nmax_cost = 1.5\n[prices]\ndate = 2026-11-01\ncurrency = "EUR"\n"flux-2.0" = 0.08\n'
    )
    found = load({"BELUGA_MAX_IMAGES": "30"}, tmp_path).caps
    assert (found.images, found.cost) == (30, Decimal("1.5"))
    assert found.words(found.worst(FOX.slice(0, 3))) == "0.24 EUR"


@pytest.mark.parametrize(
    "value", [{"max_images": 1.5}, {"max_images": -1}, {"max_cost": "much"}, {"max_cost": True}]
)
def test_a_cap_that_is_none_is_refused(value):
    with pytest.raises(SettingsError, match=f"The setting {next(iter(value))} is"):
        Settings(**value)


# --- the caps


def test_r19_a_cap_on_the_cost_refuses_a_model_without_a_price():
    counting = Counting()
    with pytest.raises(OverBudgetError, match=r"the price of seedream-4\.5 is unknown"):
        ask(Budgeted(counting, (Budget(), caps(cost=9))), Request(prompt="a fox", model="seedream-4.5"))
    assert counting.requests == []


def test_a_request_over_a_cap_is_not_sent():
    counting, budget = Counting(), Budget()
    engine = Budgeted(counting, (budget, caps(images=3, cost="0.2")))
    ask(engine, FOX.slice(0, 2))
    with pytest.raises(OverBudgetError) as caught:
        ask(engine, FOX.slice(2, 1))
    assert str(caught.value) == (
        "1 picture for 0.08 USD would be more than max_cost allows: 0.16 USD of 0.2 USD is spent.\n"
        "Nothing was sent. Raise max_cost, or ask for fewer."
    )
    with pytest.raises(
        OverBudgetError, match="2 pictures would be more than max_images allows: 2 of 3 are made"
    ):
        ask(engine, FOX.slice(2, 2))
    assert len(counting.requests) == 1


def test_r18_eight_threads_spend_no_more_than_the_cap():
    counting, budget = Counting(slowly), Budget()
    engine = Budgeted(counting, (budget, caps(cost="1.00")))
    refused = []

    def ten_calls():
        for _ in range(10):
            try:
                asyncio.run(engine(FOX))
            except OverBudgetError as error:
                refused.append(error)

    threads = [threading.Thread(target=ten_calls) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(counting.requests) == 12
    assert len(refused) == 68
    assert (budget.images, budget.spent.cost) == (12, Decimal("0.96"))


async def slowly(request):
    await asyncio.sleep(0.002)
    return await drawing(request)


def test_what_was_not_billed_is_given_back():
    budget = Budget()
    with pytest.raises(APIStatusError):
        ask(Budgeted(failing(APIStatusError("No.", status=402)), (budget, caps(cost=1))), FOX.slice(0, 4))
    assert (budget.images, budget.spent.cost) == (0, 0)


# Its collection of garbage finds what other tests have left, too.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_r20_what_may_have_been_billed_counts_as_spent():
    budget = Budget()
    for error in (OutcomeUnknownError("Lost.", status=502), KeyboardInterrupt()):
        with pytest.raises(type(error)):
            ask(Budgeted(failing(error), (budget, caps(cost=1))), FOX)
    assert (budget.images, budget.spent.cost) == (2, Decimal("0.16"))
    del error
    gc.collect()  # asyncio logs the interrupt when its task goes; Python 3.11 cannot have that in ast.parse


ENDS = [
    (CallCancelled(may_be_billed=False), 0),
    (CallCancelled(), 2),
    (asyncio.CancelledError(), 2),
    (RuntimeError("of a wrapper's own"), 2),
    (APIStatusError("No.", status=402), 0),
    (OutcomeUnknownError("Lost.", status=502), 2),
    (RequestError("Python is ending.", "Nothing was sent."), 0),
]


@pytest.mark.parametrize(("error", "spent"), ENDS, ids=repr)
@pytest.mark.parametrize("shared", [False, True])
def test_only_a_call_that_provably_never_left_or_was_refused_gives_its_reservation_back(
    tmp_path, error, spent, shared
):
    budget = Budget(ledger_of(tmp_path)) if shared else Budget()
    with pytest.raises(type(error)):
        ask(Budgeted(failing(error), (budget, caps(cost=1))), FOX.slice(0, 2))
    assert budget.images == spent


def test_what_cannot_be_given_back_stays_counted_and_the_call_ends_as_it_did(tmp_path):
    budget, lines = Budget(ledger_of(tmp_path)), tmp_path / "pending" / "spent.jsonl"

    async def no_room(request):
        lines.with_suffix(".kept").write_bytes(lines.read_bytes())
        lines.unlink()
        lines.mkdir()
        raise APIStatusError("No.", status=402)

    with pytest.raises(APIStatusError, match="No\\."):
        ask(Budgeted(no_room, (budget, caps(cost=1))), FOX)
    lines.rmdir()
    lines.with_suffix(".kept").rename(lines)
    assert Budget(ledger_of(tmp_path)).images == 1


def test_of_an_incomplete_answer_only_what_arrived_is_spent():
    async def two_of_four(request):
        raise IncompleteError(
            (await drawing(request))[:2], [APIStatusError("No.", code="moderation_blocked")]
        )

    budget = Budget()
    with pytest.raises(IncompleteError):
        ask(Budgeted(two_of_four, (budget, caps(cost=1))), FOX.slice(0, 4))
    assert (budget.images, budget.spent.cost) == (2, Decimal("0.16"))


# --- through a session


@pytest.fixture
def engine():
    return Counting()


@pytest.fixture
def session(engine, tmp_path, messages):
    with service(engine) as base_url:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url, "BELUGA_MODEL": "flux-2.0"}
        yield Session(
            environ=environ, folder=tmp_path, notify=messages.append, confirm=lambda _: None, max_images=5
        )


def test_a_call_over_the_cap_sends_none_of_its_parts(session, engine):
    with pytest.raises(OverBudgetError, match="6 pictures would be more than max_images allows: 0 of 5"):
        session.generate("a fox", n=6)
    assert engine.requests == []


def test_the_cap_holds_across_calls_and_what_is_recorded_costs_nothing(session, engine):
    session.generate("a fox", n=4)
    session.generate("a fox", n=4)
    session.generate("a fox", n=5)
    with pytest.raises(OverBudgetError, match="5 of 5 are made"):
        session.generate("a whale")
    assert sum(request.n for request in engine.requests) == 5
    assert session.status()["spent"] == "5 pictures of 5, the price unknown"


def test_the_painter_costs_nothing(tmp_path):
    session = Session(environ={}, folder=tmp_path, max_images=0, max_cost=0)
    assert session.generate("a fox", size="3:4").recipe.procedural


def test_the_status_calls_an_estimate_an_estimate(engine, tmp_path):
    with service(engine) as base_url:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
        session = Session(environ=environ, folder=tmp_path, prices=PRICES, max_cost=1)
        session.generate("a fox", model="flux-2.0", n=2)
    assert session.status()["spent"] == (
        "2 pictures; 0.16 USD of 1 USD by your prices of 2026-11-01 (estimated)"
    )


# --- a budget of several processes

FORKED = """
import os, sys
from pathlib import Path
from beluga_nb.session.session import Session

folder, children, calls = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
session = Session(folder=folder, notify=lambda _: None)
before, when = int(sys.argv[4]), sys.argv[5]

def buy(name, count):
    bought = 0
    for number in range(count):
        try:
            session.generate(f"{name} {number}")
            bought += 1
        except Exception as error:
            assert type(error).__name__ in {"OverBudgetError", "APIConnectionError", "APIStatusError"}, error
    return bought

buy("parent", before)
pids = []
for child in range(children):
    pid = os.fork()
    if not pid:
        if when == "grandchildren" and not os.fork():
            buy(f"grandchild {child}", calls)
            os._exit(0)
        buy(f"child {child}", calls)
        if when == "grandchildren":
            os.wait()
        os._exit(0)
    pids.append(pid)
if when == "parent too":
    buy("parent again", calls)
for pid in pids:
    os.waitpid(pid, 0)
print(session.budget.images, session.status()["spent"])
"""

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")

FORKED_WITH_THREADS = "ignore:This process:DeprecationWarning"
"""What Python says from 3.12 on, and what these tests are about."""


def in_process(script, base_url, folder, *arguments, **more):
    environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url, "BELUGA_MODEL": "flux-2.0"} | more
    return subprocess.Popen(
        [sys.executable, "-W", FORKED_WITH_THREADS, "-c", script, str(folder), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
    )


def ended(process):
    out, err = process.communicate(timeout=90)
    assert (err, process.returncode) == ("", 0)
    return out.strip()


@pytest.mark.sampled(3)
@pytest.mark.posix
@needs_fork
@pytest.mark.parametrize("shared", ["session", "store"])
@pytest.mark.parametrize("before", [0, 2], ids=["forked before the first call", "forked after two"])
@pytest.mark.parametrize("when", ["children", "parent too", "grandchildren"])
def test_forked_children_spend_one_budget_with_their_parent(shared, before, when, tmp_path):
    with Faulty(after(0.02, images(b64(drawn(FOX, 0))))) as server:
        more = {"BELUGA_MAX_IMAGES": "5", "BELUGA_BUDGET": shared}
        output = ended(in_process(FORKED, server.url, tmp_path, 3, 4, before, when, **more))
        assert server.count("POST") == 5
    assert output.endswith("5 pictures of 5, the price unknown")


@pytest.mark.posix
@needs_fork
def test_what_children_were_refused_is_given_back_for_all(tmp_path):
    script = [refusal(402, "No balance.")] * 6 + [images(b64(drawn(FOX, 0)))]
    with Faulty(script) as server:
        output = ended(in_process(FORKED, server.url, tmp_path, 3, 5, 1, "children", BELUGA_MAX_IMAGES="4"))
        assert server.count("POST") == 6 + 4
    assert output == "4 4 pictures of 4, the price unknown"


CROWD = """
import os, sys
from beluga_nb.budget import Budget, Caps
from beluga_nb.request import Request
from beluga_nb.errors import OverBudgetError, APIStatusError

budget, caps = Budget(), Caps(images=300)

def bought(n, fails):
    try:
        with budget.reserved(Request(prompt="a fox", model="flux-2.0", n=n), caps):
            if fails:
                raise APIStatusError("No.", status=402)
        return n
    except OverBudgetError:
        return 0
    except APIStatusError:
        return 0

for child in range(6):
    if not os.fork():
        count = sum(bought(1 + (number + child) % 3, number % 4 == child % 4) for number in range(200))
        os.write(1, b"%d\\n" % count)
        os._exit(0)
for child in range(6):
    os.wait()
print(budget.images)
"""


@pytest.mark.posix
@needs_fork
def test_forked_processes_that_reserve_at_once_use_up_the_cap_and_no_more(tmp_path):
    *counts, spent = map(int, ended(in_process(CROWD, "", tmp_path)).split())
    assert (len(counts), sum(counts)) == (6, spent)
    assert spent == 300


# --- forks where something is missing

SPOILED = """
import os, resource, sys, threading
from pathlib import Path
from beluga_nb.session.session import Session

folder, what, when, who = Path(sys.argv[1]), *sys.argv[2:]
session = Session(folder=folder, notify=lambda _: None)
own = []

def limited(kind, most):
    resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))

def no_temporary_folder():
    os.environ["TMPDIR"] = "/nowhere"

def no_file_grows():
    limited(resource.RLIMIT_FSIZE, 0)

def no_descriptor_is_left():
    limited(resource.RLIMIT_NOFILE, 3)

def no_memory_is_left():
    limited(resource.RLIMIT_AS, 2**20)

def closed_as_by_a_daemon():
    os.closerange(3, 256)
    name = f"{os.getpid()} {len(own)}"
    own.extend(open(folder / f"{name} {number}.own", "w+") for number in range(12))

def mend():  # without these there is no connection either
    for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_AS):
        limited(kind, resource.getrlimit(kind)[1])

def buy(name, count=3):
    for number in range(count):
        try:
            session.generate(f"{name} {number}")
        except Exception as error:
            assert type(error).__name__ in {"OverBudgetError", "StoreError"}, error
            happened, advice = str(error).splitlines()
            assert advice.startswith("Nothing was sent. "), advice

def child(number):
    mend()
    if when == "in the child":
        globals()[what]()
    if who == "grandchildren" and not os.fork():
        buy(f"grandchild {number}")
        os._exit(0)
    buy(f"child {number}")
    if who == "grandchildren":
        os.wait()

def fork(number):
    if when == "before the fork":
        globals()[what]()
    if not (pid := os.fork()):
        try:
            child(number)
        except BaseException as error:
            print(repr(error), flush=True)
        os._exit(0)
    mend()
    if when == "after the fork":
        globals()[what]()
    os.waitpid(pid, 0)

buy("parent", 1)
for number in range(3):
    if who == "children of threads":
        thread = threading.Thread(target=fork, args=(number,))
        thread.start()
        thread.join()
    else:
        fork(number)
buy("parent again")
print([path.name for path in folder.glob("*.own") if path.read_bytes()])
"""

WHEN = ["before the fork", "in the child", "after the fork"]
LACKING = [(what, when) for what in ("no_temporary_folder", "no_file_grows") for when in WHEN]
LACKING += [("no_descriptor_is_left", "before the fork"), ("no_memory_is_left", "before the fork")]
LACKING += [("closed_as_by_a_daemon", "in the child")]


@pytest.mark.sampled(5)
@pytest.mark.posix
@needs_fork
@pytest.mark.parametrize("who", ["children", "grandchildren", "children of threads"])
@pytest.mark.parametrize(("what", "when"), LACKING)
def test_whatever_forks_lack_and_when_no_more_is_bought_than_the_cap_and_no_file_is_written_into(
    what, when, who, tmp_path
):
    with Faulty(images(b64(drawn(FOX, 0)))) as server:
        output = ended(in_process(SPOILED, server.url, tmp_path, what, when, who, BELUGA_MAX_IMAGES="6"))
        assert output == "[]"
        # Children that cannot count with the others buy nothing; else all together use up the cap.
        is_apart = when == "before the fork" and what != "no_temporary_folder"
        assert server.count("POST") == (4 if is_apart else 6)


@pytest.mark.parametrize("limits", [caps(), caps(images=99), caps(cost=9)], ids=["no cap", "images", "cost"])
@pytest.mark.parametrize("why", ["the memory is full", "whoever wrote was killed"])
@pytest.mark.posix
@needs_fork
def test_who_cannot_count_with_forked_processes_any_more_spends_nothing_that_has_a_cap(
    why, limits, monkeypatch
):
    monkeypatch.setattr(forks, "LOCK_TIMEOUT", 0.2)
    monkeypatch.setattr(forks, "MEMORY", 500)
    budget = Budget()
    assert bought(budget, limits)
    budget._share()
    if why == "the memory is full":
        while budget._ledger and bought(budget, caps()):
            pass
    elif not (pid := os.fork()):
        budget._ledger._lock.acquire()
        os._exit(0)
    else:
        os.waitpid(pid, 0)
    before = budget.images
    if limits == caps():
        assert bought(budget, limits)
        assert budget.images == before + 1
        return
    for ask_budget in (lambda: bought(budget, limits), lambda: budget.check([FOX], limits)):
        with pytest.raises(StoreError, match="cannot be counted together") as caught:
            ask_budget()
        assert caught.value.hint.startswith("Nothing was sent. Use the setting budget = ")
    assert budget.images == before


# --- forks before the default session is made

UNUSED = """
import multiprocessing, os, sys, threading
sys.path.insert(0, os.getcwd())
import beluga_nb

used, who, lacking = sys.argv[2:]

def bought(*names):
    count = 0
    for name in names:
        try:
            count += len(beluga_nb.generate(name))
        except beluga_nb.BelugaError as error:
            assert type(error).__name__ in {"OverBudgetError", "StoreError"}, error
    return count

def use():
    if used == "loaded as an extension":
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        shell.run_line_magic("load_ext", "beluga_nb")
        sys.modules["__main__"].bought = bought  # IPython has put a module of its own there
    elif used == "a name was looked up":
        beluga_nb.generate
    elif used == "the settings were read":
        beluga_nb.submit.__self__.settings()
    elif used == "forked before, for nothing":
        fork(lambda: None)

def fork(child):
    if not (pid := os.fork()):
        try:
            child()
        except BaseException as error:
            print(repr(error), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)

def spoil():
    if lacking == "descriptors":
        import resource
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

def mend():
    if lacking == "descriptors":
        resource = sys.modules["resource"]
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)

def child(number):
    mend()
    bought(f"{number} a", f"{number} b")
    if who == "grandchildren":
        fork(lambda: bought(f"{number} c", f"{number} d"))

use()
if who == "a pool":
    with multiprocessing.get_context("fork").Pool(4) as pool:
        pool.map(bought, map(str, range(8)), chunksize=1)
else:
    for number in range(3):
        spoil()
        of_thread = threading.Thread(target=fork, args=(lambda: child(number),))
        of_thread.run() if who != "children of threads" else (of_thread.start(), of_thread.join())
        mend()
bought("parent a", "parent b")
print(beluga_nb.generate.__self__.budget.images)
"""

BEFORE = ["imported", "loaded as an extension", "a name was looked up", "the settings were read"]
BEFORE += ["forked before, for nothing"]


@pytest.mark.sampled(2)
@pytest.mark.posix
@needs_fork
@pytest.mark.parametrize(
    ("used", "who"),
    [
        *((used, "a pool") for used in BEFORE),
        *(("imported", who) for who in ("children", "grandchildren", "children of threads")),
    ],
)
def test_who_forks_before_the_first_use_shares_the_cap_of_the_default_session(
    used, who, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with Faulty(after(0.02, images(b64(drawn(FOX, 0))))) as server:
        assert ended(in_process(UNUSED, server.url, tmp_path, used, who, "", BELUGA_MAX_IMAGES="3")) == "3"
        assert server.count("POST") == 3


@pytest.mark.sampled(2)
@pytest.mark.posix
@needs_fork
@pytest.mark.parametrize(
    ("used", "who"), [("imported", "children"), ("imported", "grandchildren"), (BEFORE[-1], "children")]
)
def test_where_there_is_nothing_to_share_before_the_first_use_children_buy_nothing_that_has_a_cap(
    used, who, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    with Faulty(images(b64(drawn(FOX, 0)))) as server:
        output = ended(
            in_process(UNUSED, server.url, tmp_path, used, who, "descriptors", BELUGA_MAX_IMAGES="3")
        )
        # What was forked before, when nothing was lacking, has made what is shared.
        shared = 3 if used.startswith("forked before") else 2
        assert (output, server.count("POST")) == (str(shared), shared)


NOBODY_FORKS = """
import subprocess, sys
before = set(sys.modules)
import beluga_nb
subprocess.run([sys.executable, "-c", ""], check=True)
subprocess.run("exit 0", shell=True, check=True, start_new_session=True, cwd="/")
print(sorted({"mmap", "multiprocessing"} & set(sys.modules) - before))
print(sys.modules["beluga_nb.process.forks"].HERITAGE.ledger)
"""


def test_whoever_starts_programs_pays_nothing_for_forks(tmp_path):
    assert ended(in_process(NOBODY_FORKS, "", tmp_path)).split("\n") == ["[]", "None"]


SEVERAL = """
import sys, threading
from pathlib import Path
from beluga_nb.session.session import Session

name, session = sys.argv[2], Session(folder=Path(sys.argv[1]), notify=lambda _: None)

def buy(number):
    try:
        session.generate(f"{name} {number}", bridge="thread")
    except Exception as error:
        assert type(error).__name__ == "OverBudgetError", error

threads = [threading.Thread(target=buy, args=(number,)) for number in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_kernels_that_share_a_store_may_share_its_budget_and_so_may_later_ones(tmp_path):
    with Faulty(after(0.05, images(b64(drawn(FOX, 0))))) as server:
        more = {"BELUGA_MAX_IMAGES": "7", "BELUGA_BUDGET": "store"}
        for process in [in_process(SEVERAL, server.url, tmp_path, f"kernel {n}", **more) for n in range(4)]:
            ended(process)
        assert server.count("POST") == 7
        ended(in_process(SEVERAL, server.url, tmp_path, "a later one", **more))
        assert server.count("POST") == 7


KILLED = """
import os, sys, threading, time
from pathlib import Path
from beluga_nb.session.session import Session

session = Session(folder=Path(sys.argv[1]), notify=lambda _: None)
session.submit("a fox")
sys.stdin.read()
"""


def test_what_a_killed_process_had_on_its_way_stays_counted(tmp_path):
    more = {"BELUGA_MAX_IMAGES": "2", "BELUGA_BUDGET": "store"}
    with Faulty([silence, images(b64(drawn(FOX, 0)))]) as server:
        process = in_process(KILLED, server.url, tmp_path, **more)
        until = time.monotonic() + 30
        while not server.count("POST"):
            assert time.monotonic() < until
            time.sleep(0.02)
        process.kill()
        process.communicate(timeout=30)
        ended(in_process(SEVERAL, server.url, tmp_path, "later", **more))
        assert server.count("POST") == 2


# --- the ledger of a store


def ledger_of(folder):
    return StoreLedger(Store(folder))


def test_budgets_on_one_ledger_agree_on_every_writer(tmp_path):
    first, second = Budget(ledger_of(tmp_path)), Budget(ledger_of(tmp_path))
    with first.reserved(FOX.slice(0, 2), caps(images=3)):
        with (
            pytest.raises(OverBudgetError, match="2 of 3 are made"),
            second.reserved(FOX.slice(0, 2), caps(images=3)),
        ):
            pytest.fail("two more do not fit")
        with second.reserved(FOX, caps(images=3)):
            assert (first.images, second.images) == (3, 3)
    assert (first.spent, second.spent) == (Amount(3, Decimal("0.24")), Amount(3, Decimal("0.24")))


def hostile(images=1, cost="0.08", unpriced=0, **more):
    return json.dumps({"images": images, "cost": cost, "unpriced": unpriced} | more).encode()


NO_COUNT = [-1000, -1, 10**10, 10**3000, 1.5, float("nan"), float("inf"), "1", "-1", None, True, [], {}]
NO_COST = [
    "-1000",
    "1e999999999",
    "-1e9",
    "1e-999999999",
    "NaN",
    "Infinity",
    "sNaN",
    "",
    "\u0661",
    "9" * 99,
    -1,
    0.5,
]
NO_COST += [None, True, [], {}, "1_000", " 1", "1\n", "\ud800"]
NO_NAME = [None, 1, [], {}, "\ud800"]
NO_LINES = [
    *(hostile(value, id="h") for value in NO_COUNT),
    *(hostile(cost=value, id="h") for value in NO_COST),
    *(hostile(unpriced=value, id="h") for value in [*NO_COUNT, 2]),
    *(hostile(id=value) for value in NO_NAME),
    *(hostile(1000, "1000", of=value) for value in [*NO_NAME, "h", "", "0" * 32]),
    *(hostile(-1000, "-1000", of=value) for value in ["h", ""]),
    *(
        hostile(id="h", caps=value)
        for value in (1, "x", [], {"images": -1}, {"images": "9"}, {"cost": "1e9"})
    ),
    hostile(-1000, "-1000"),
    hostile(-1000, "-1000", id="h"),
    hostile(id="h" * 5000),
    hostile(id="h") + b" " * 2**21,
    hostile(id="h").decode().encode("utf-16"),
    *(sign * 4000 for sign in (b"[", b'{"a":', b"9", b"\xff", b"\x00", b"\r")),
    *(b"null", b"[]", b"{}", b"NaN", b'"x"', b"", b'{"images":1,"co', b'{"schema":2}', b"\xff\x00"),
]
LINES = [
    *NO_LINES,
    hostile(id="h"),
    hostile(0, "0", id="h"),
    hostile(2, "1000", of="h"),
    hostile(1, "0", of="h"),
]


def append(folder, *lines):
    (folder / "pending").mkdir(exist_ok=True)
    with (folder / "pending" / "spent.jsonl").open("ab") as file:
        file.writelines(line + b"\n" for line in ([] if file.tell() else [b'{"schema":1}']) + list(lines))


def bought(budget, caps):
    try:
        with budget.reserved(FOX, caps):
            return 1
    except OverBudgetError:
        return 0


@pytest.mark.parametrize("line", NO_LINES, ids=lambda line: repr(line[:60]))
def test_a_line_that_is_none_of_ours_counts_nothing_and_raises_nothing(line, tmp_path):
    budget = Budget(ledger_of(tmp_path))
    assert bought(budget, caps(images=3, cost=9))
    before = budget.spent
    append(tmp_path, line, line)
    assert (budget.spent, Budget(ledger_of(tmp_path)).spent) == (before, before)
    assert [bought(budget, caps(images=3, cost=9)) for _ in range(3)] == [1, 1, 0]


@given(steps=lists(one_of(sampled_from(LINES), sampled_from([0, 1, 2])), max_size=14), money=booleans())
@settings(max_examples=rounds(40, 150), deadline=None)
def test_no_lines_in_any_order_let_more_through_than_a_cap(steps, money):
    limits = caps(cost="0.16") if money else caps(images=2)
    with tempfile.TemporaryDirectory() as name:
        folder, count = Path(name) / "store", 0
        shared = [Budget(ledger_of(folder)) for _ in range(2)]
        assert not bought(shared[0], caps(images=0))
        folder.mkdir(exist_ok=True)
        for step in [*steps, 0, 1, 2]:
            if isinstance(step, bytes):
                append(folder, step)
            else:
                count += bought([*shared, Budget(ledger_of(folder))][step], limits)
        seen = {budget.spent for budget in [*shared, Budget(ledger_of(folder))]}
    assert count <= 2
    assert len(seen) == 1, "all read alike"


@given(
    steps=lists(tuples(integers(0, 1), integers(1, 4), integers(0, 4), booleans()), max_size=12),
    kind=sampled_from(["session", "shared", "inherited on the way"]),
)
@settings(max_examples=rounds(25, 60), deadline=None)
def test_what_is_given_back_is_what_did_not_arrive_and_nothing_else(steps, kind):
    with tempfile.TemporaryDirectory() as name:
        budgets = [Budget() if kind != "shared" else Budget(ledger_of(Path(name) / "s")) for _ in range(2)]
        spent = [0, 0]
        for who, n, arrived, fails in steps:

            async def engine(request, budget=budgets[who], arrived=arrived, fails=fails):
                if kind == "inherited on the way":
                    budget._share()
                if fails:
                    raise APIStatusError("No.", status=402)
                if arrived < request.n:
                    raise IncompleteError(
                        (await drawing(request))[:arrived], [APIStatusError("No.", status=400)]
                    )
                return await drawing(request)

            with contextlib.suppress(APIStatusError, IncompleteError):
                ask(Budgeted(engine, (budgets[who], caps(cost=99))), FOX.slice(0, n))
            spent[who] += 0 if fails else min(n, arrived) if arrived < n else n
        lines = [(budget.images, budget.spent.cost) for budget in budgets]
    expected = [sum(spent)] * 2 if kind == "shared" else spent
    assert lines == [(each, each * Decimal("0.08")) for each in expected]


def test_a_reservation_is_given_back_once_and_to_its_own_amount(tmp_path):
    budget = Budget(ledger_of(tmp_path))
    assert [bought(budget, caps(images=3)) for _ in range(3)] == [1, 1, 1]
    lines = (tmp_path / "pending" / "spent.jsonl").read_bytes().splitlines()
    name = json.loads(lines[-1])["id"]
    append(tmp_path, *[hostile(1000, "1000", of=name)] * 5)
    assert (budget.images, Budget(ledger_of(tmp_path)).spent) == (2, Amount(2, Decimal("0.16")))


def held_by_another(folder):
    """The ledger of a store, once begun, and the claim by which another keeps it."""
    budget = Budget(ledger_of(folder))
    assert bought(budget, caps(images=9))
    return budget, Claim.take(folder / "pending" / "spent.lock", folder)


def test_a_ledger_that_another_process_holds_keeps_no_other_call_waiting(tmp_path):
    budget, claim = held_by_another(tmp_path)

    async def others():
        call = asyncio.ensure_future(Budgeted(drawing, (budget, caps(images=2)))(FOX))
        for _ in range(20):
            await asyncio.sleep(0.01)
            assert not call.done()
        claim.release()
        assert len(await call) == 1

    asyncio.run(others())
    assert budget.images == 2


def test_a_call_that_is_stopped_while_it_waits_for_a_ledger_leaves_no_reservation(tmp_path):
    budget, claim = held_by_another(tmp_path)
    counting = Counting()

    async def stopped():
        call = asyncio.ensure_future(Budgeted(counting, (budget, caps(images=2)))(FOX))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        claim.release()

    asyncio.run(stopped())  # its end waits for its threads
    assert (counting.requests, budget.images) == ([], 1)
    assert Budget(ledger_of(tmp_path)).images == 1


FORKING = """
import contextlib, os
from beluga_nb.budget import Budget, Caps
from beluga_nb.request import Request
from beluga_nb.errors import APIStatusError

budget, request = Budget(), Request(prompt="a fox", model="flux-2.0", n=2)
with budget.reserved(request, Caps()), contextlib.suppress(APIStatusError), budget.reserved(request, Caps()):
    if pid := os.fork():
        os.waitpid(pid, 0)
    raise APIStatusError("No.", status=402)
if not pid:
    os._exit(0)
print(budget.images)
"""


@pytest.mark.posix
@needs_fork
def test_a_call_that_is_on_its_way_in_two_processes_is_given_back_once(tmp_path):
    assert ended(in_process(FORKING, "", tmp_path)) == "2"


def a_link(lock):
    lock.symlink_to("nowhere")
    os.utime(lock, (1, 1), follow_symlinks=False)


def a_folder(lock):
    lock.mkdir()
    os.utime(lock, (1, 1))


def a_full_folder(lock):
    lock.mkdir()
    (lock / "x").touch()
    os.utime(lock, (1, 1))


def a_pipe(lock):
    os.mkfifo(lock)
    os.utime(lock, (1, 1))


def a_closed_file(lock):
    lock.touch(0)
    os.utime(lock, (1, 1))


def a_strangers_file(lock):
    lock.write_text("three years of work")
    os.utime(lock, (1, 1))


@pytest.mark.posix
@pytest.mark.parametrize("later", [False, True], ids=["old", "of a time to come"])
def test_a_lock_that_says_nothing_is_nobodys_after_the_silence(later, tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "LOCK_TIMEOUT", 0.3)
    monkeypatch.setattr(ledger, "LOCK_ABANDONED_AFTER", 0.4)
    budget, lock = Budget(ledger_of(tmp_path)), tmp_path / "pending" / "spent.lock"
    assert bought(budget, caps(images=9))
    a_closed_file(lock)
    if later:
        os.utime(lock, (2**32, 2**32), follow_symlinks=False)
        with pytest.raises(StoreError, match="does not let go"):
            bought(budget, caps(images=9))
        time.sleep(0.2)
    assert bought(budget, caps(images=9))
    assert budget.images == 2


def listing(folder):
    return {
        path.name: (path.lstat().st_ino, path.lstat().st_mode, path.is_file() and path.read_bytes())
        for path in folder.rglob("*")
    }


@pytest.mark.posix
@pytest.mark.parametrize("made", [a_link, a_folder, a_full_folder, a_pipe, a_strangers_file])
@pytest.mark.parametrize("name", ["spent.lock", "spent.jsonl"])
@pytest.mark.parametrize("later", [False, True], ids=["old", "of a time to come"])
def test_what_is_not_ours_in_the_place_of_the_ledger_or_its_lock_stays_and_nothing_is_bought(
    later, name, made, tmp_path
):
    place = tmp_path / "pending" / name
    if name == "spent.lock":
        assert bought(Budget(ledger_of(tmp_path)), caps(images=9))
    place.parent.mkdir(exist_ok=True)
    made(place)
    if later:
        os.utime(place, (2**32, 2**32), follow_symlinks=False)
    before = listing(place.parent)
    with pytest.raises(StoreError, match="What was spent cannot be written down") as failed:
        bought(Budget(ledger_of(tmp_path)), caps(images=9))
    assert len(failed.value.lines()) == 2
    assert listing(place.parent) == before


NOT_THE_LEDGER = [
    b"my own notes\n",
    b"\nnotes",
    b"{}",
    b'{"schema":2}\n',
    b'{\n "image": null\n}',
    b"\0" * 13,
]


@pytest.mark.posix
@pytest.mark.parametrize("how", ["file", "link"])
@pytest.mark.parametrize("data", NOT_THE_LEDGER)
def test_no_line_is_added_to_a_file_that_does_not_begin_as_the_ledger_does_nor_through_a_link(
    data, how, tmp_path
):
    place = tmp_path / "pending" / "spent.jsonl"
    place.parent.mkdir()
    other = tmp_path / "store.json" if how == "link" else place
    other.write_bytes(b'{"schema":1}\n' if how == "link" else data)
    if how == "link":
        place.symlink_to(other)
    with pytest.raises(StoreError, match=r"spent\.jsonl is a file or folder of something else"):
        bought(Budget(ledger_of(tmp_path)), caps(images=9))
    assert other.read_bytes() == (b'{"schema":1}\n' if how == "link" else data)


@pytest.mark.parametrize("cut", range(13))
def test_a_ledger_whose_beginning_was_cut_off_goes_on(cut, tmp_path):
    place = tmp_path / "pending" / "spent.jsonl"
    place.parent.mkdir()
    place.write_bytes(b'{"schema":1}\n'[:cut])
    budget = Budget(ledger_of(tmp_path))
    assert [bought(budget, caps(images=2)) for _ in range(3)] == [1, 1, 0]


@pytest.mark.parametrize("changed", [None, 2**32], ids=["just now", "of a time to come"])
def test_what_a_dead_machine_holds_is_free_within_one_call(changed, tmp_path):
    budget, lock = Budget(ledger_of(tmp_path)), tmp_path / "pending" / "spent.lock"
    assert bought(budget, caps(images=9))
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 7, "token": "t", "system": "another"}))
    if changed:
        os.utime(lock, (changed, changed))
    assert bought(budget, caps(images=9))
    assert not lock.exists()


def test_a_timeout_for_the_ledger_says_to_ask_again(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "LOCK_TIMEOUT", 0.2)
    budget, lock = Budget(ledger_of(tmp_path)), tmp_path / "pending" / "spent.lock"
    assert bought(budget, caps(images=9))
    lock.write_text(
        json.dumps({"host": platform.node(), "pid": os.getpid(), "token": "t", "system": system()})
    )
    with pytest.raises(StoreError, match="does not let go") as caught:
        bought(budget, caps(images=9))
    assert caught.value.hint.startswith("Nothing was sent. Ask again")


@pytest.mark.posix
@pytest.mark.parametrize("made", [os.mkfifo, os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_a_ledger_that_is_no_file_is_refused_at_once(made, tmp_path):
    (tmp_path / "pending").mkdir()
    made(tmp_path / "pending" / "spent.jsonl")
    with pytest.raises(StoreError, match="What was spent cannot be written down"):
        bought(Budget(ledger_of(tmp_path)), caps(images=9))


@pytest.mark.parametrize(("by", "made"), [("file", 2), ("file, trusted", 3), ("environment", 3)])
def test_a_file_that_nobody_trusts_shares_a_budget_and_frees_from_none(by, made, tmp_path):
    more = {"BELUGA_TRUST": str(tmp_path)} if "trusted" in by else {}
    if by == "environment":
        more = {"BELUGA_BUDGET": "store"}
    else:
        (tmp_path / "beluga.toml").write_text('budget = "store"\n')
    counting = Counting()
    with service(counting) as base_url:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url, "BELUGA_MODEL": "flux-2.0"} | more
        session = Session(
            environ=environ | {"BELUGA_MAX_IMAGES": "2"}, folder=tmp_path, notify=lambda _: None
        )
        assert session.settings().budget == "store"
        for number in range(3):
            with contextlib.suppress(OverBudgetError):
                session.generate(f"a fox {number}")
            if number == 1:
                (tmp_path / "beluga_store" / "pending" / "spent.jsonl").unlink()
    assert len(counting.requests) == made


def test_a_file_that_moves_the_store_frees_from_no_cap(tmp_path):
    counting = Counting()
    with service(counting) as base_url:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url, "BELUGA_MODEL": "flux-2.0"}
        session = Session(
            environ=environ | {"BELUGA_BUDGET": "store", "BELUGA_MAX_IMAGES": "2"},
            folder=tmp_path,
            notify=lambda _: None,
        )
        for number in range(4):
            (tmp_path / "beluga.toml").write_text(f'store = "store-{number}"\n')
            with contextlib.suppress(OverBudgetError):
                session.generate(f"a fox {number}")
        assert (tmp_path / "store-1" / "records").exists()
    assert len(counting.requests) == 2


@pytest.mark.parametrize("found", ["in the environment", "in the notebook"])
def test_a_file_that_moves_a_store_which_is_named_frees_no_kernel_from_what_was_spent_there(found, tmp_path):
    counting, lesson = Counting(), tmp_path / "lesson"
    lesson.mkdir()
    (tmp_path / "beluga.toml").write_text('store = "common"\n')
    with service(counting) as base_url:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url, "BELUGA_TRUST": str(tmp_path)}
        caps_said = {"budget": "store", "max_images": 2}
        if found == "in the environment":
            environ |= {f"BELUGA_{name.upper()}": str(value) for name, value in caps_said.items()}
            caps_said = {}
        for number in range(5):
            if number:
                (lesson / "beluga.toml").write_text(f'store = "store-{number}"\n')
            session = Session(environ=environ, folder=lesson, notify=lambda _: None, **caps_said)
            with contextlib.suppress(OverBudgetError, SettingsError):
                session.generate(f"a fox {number}", model="flux-2.0")
    assert len(counting.requests) == 2


@pytest.mark.parametrize(
    "rest", [b'{"images":1,"co', b"\xff\x00", b"null", b'{"images":"x","cost":"y"}', b"[]"]
)
def test_a_line_that_was_cut_off_is_passed_over(rest, tmp_path):
    budget = Budget(ledger_of(tmp_path))
    with budget.reserved(FOX, caps(images=3)):
        pass
    with (tmp_path / "pending" / "spent.jsonl").open("ab") as file:
        file.write(rest)
    with budget.reserved(FOX, caps(images=3)):
        pass
    assert (budget.images, Budget(ledger_of(tmp_path)).images) == (2, 2)


FORGED = [b"[" * 100_000, b'{"a":' * 100_000, b'{"images":-9,"cost":"-9","unpriced":-9}']
FORGED += [
    b'{"images":0,"cost":"%s","unpriced":0}' % cost for cost in (b"NaN", b"sNaN", b"-Infinity", b"-1e999")
]


@pytest.mark.parametrize("line", FORGED, ids=range(len(FORGED)))
def test_no_line_that_came_with_a_store_gives_anything_back(line, tmp_path):
    ledger = ledger_of(tmp_path)
    ledger.add(line + b"\n")
    budget = Budget(ledger)
    with budget.reserved(FOX, caps(images=1)):
        assert budget.spent == Amount(1, Decimal("0.08"))
    with pytest.raises(OverBudgetError), budget.reserved(FOX, caps(images=1)):
        pytest.fail("one was all")


def test_a_ledger_that_was_removed_begins_anew(tmp_path):
    budget = Budget(ledger_of(tmp_path))
    with budget.reserved(FOX, caps(images=1)):
        pass
    (tmp_path / "pending" / "spent.jsonl").unlink()
    assert budget.images == 0
    with budget.reserved(FOX, caps(images=1)):
        assert budget.images == 1


def test_a_lock_that_a_dead_process_left_is_nobodys(tmp_path):
    budget = Budget(ledger_of(tmp_path))
    with budget.reserved(FOX, caps(images=2)):
        pass
    lock = tmp_path / "pending" / "spent.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    with budget.reserved(FOX, caps(images=2)):
        assert budget.images == 2
    assert not lock.exists()


def test_a_lock_whose_process_has_ended_is_taken_over_at_once_and_that_of_a_living_one_is_not(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(ledger, "LOCK_TIMEOUT", 0.2)
    budget = Budget(ledger_of(tmp_path))
    with budget.reserved(FOX, caps(images=9)):
        pass
    lock = tmp_path / "pending" / "spent.lock"
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    for pid, is_free in ((ended.pid, True), (os.getpid(), False)):
        lock.write_text(json.dumps({"host": platform.node(), "pid": pid, "token": "t", "system": system()}))
        expected = contextlib.nullcontext() if is_free else pytest.raises(StoreError, match="does not let go")
        with expected, budget.reserved(FOX, caps(images=9)):
            pass
        assert lock.exists() == (not is_free)
    assert budget.images == 2


def test_forgetting_everything_gives_no_budget_back_and_leaves_no_lock(tmp_path):
    store, budget = Store(tmp_path), Budget(ledger_of(tmp_path))
    with budget.reserved(FOX, caps(images=1)):
        pass
    lock = tmp_path / "pending" / "spent.lock"
    lock.write_text(json.dumps({"host": "elsewhere", "pid": 1, "token": "t"}))
    os.utime(lock, (1, 1))
    assert {is_ours(store, each) for each in (lock, lock.with_name("spent.jsonl"))} == {True}
    assert not verify(store).problems
    assert not verify(store).unnamed
    forget(store, choose(store, everything=True))
    assert os.listdir(tmp_path / "pending") == ["spent.jsonl"]
    assert Budget(ledger_of(tmp_path)).images == 1


def test_a_cap_that_cannot_be_written_down_buys_nothing(tmp_path):
    (tmp_path / "file").touch()
    counting = Counting()
    with pytest.raises(StoreError) as caught:
        ask(Budgeted(counting, (Budget(ledger_of(tmp_path / "file" / "store")), caps(images=2))), FOX)
    assert counting.requests == []
    assert str(caught.value).startswith("What was spent cannot be written down in spent.jsonl: ")
    assert caught.value.hint.startswith("Nothing was sent. ")
