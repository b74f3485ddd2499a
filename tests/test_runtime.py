"""Where coroutines run, and how Stop stops them."""

import asyncio
import contextlib
import contextvars
import os
import subprocess
import sys
import threading
import time

import pytest
from needed import NESTED, needed

from beluga_nb.errors import RequestError
from beluga_nb.runtime import HEARTBEAT, Thread

PLACE = contextvars.ContextVar("PLACE", default="nowhere")


async def answer(value=42):
    await asyncio.sleep(0)
    return value


async def failing():
    raise ZeroDivisionError("on purpose")


class Endless:
    """A coroutine that ends only when it is cancelled, and remembers that it cleaned up."""

    def __init__(self):
        self.begun, self.clean = threading.Event(), threading.Event()

    async def __call__(self):
        try:
            self.begun.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.clean.set()


@pytest.fixture
def bridge():
    return Thread()


# --- the background thread


def test_a_result_comes_from_the_other_thread(bridge):
    async def where():
        return threading.current_thread().name

    assert bridge.submit(where()).result() == "beluga-io"


def test_awaited_jobs_share_one_heartbeat(bridge):
    over, beats = asyncio.Event(), []

    async def wait():
        while not over.is_set():
            await asyncio.sleep(0.01)

    async def main():
        loop = asyncio.get_running_loop()
        call_later = loop.call_later

        def counting(delay, callback, *args, **options):
            if delay == HEARTBEAT:
                beats.append(callback)
            return call_later(delay, callback, *args, **options)

        loop.call_later = counting
        waiting = [asyncio.ensure_future(bridge.submit(wait())) for _ in range(50)]
        while len(beats) < 3:
            await asyncio.sleep(0.01)
        early = len(beats)
        over.set()
        await asyncio.gather(*waiting)
        assert early < 10
        assert not any(not each.cancelled() for each in loop._scheduled)

    asyncio.run(main())


def test_a_result_can_be_read_again(bridge):
    job = bridge.submit(answer())
    assert [job.result(), job.result(), job.done()] == [42, 42, True]


def test_an_exception_passes_through(bridge):
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        bridge.submit(failing()).result()


def test_a_blocking_call_inside_a_running_loop_works(bridge):
    async def cell():
        return bridge.submit(answer()).result()

    assert asyncio.run(cell()) == 42


def test_a_job_can_be_awaited_in_another_loop(bridge):
    async def cell():
        return await bridge.submit(answer())

    assert asyncio.run(cell()) == 42


def test_an_exception_passes_through_an_await(bridge):
    async def cell():
        await bridge.submit(failing())

    with pytest.raises(ZeroDivisionError):
        asyncio.run(cell())


def test_a_job_can_be_awaited_in_its_own_loop(bridge):
    async def outer():
        return await bridge.submit(answer())

    assert bridge.submit(outer()).result() == 42


def test_all_jobs_share_one_loop(bridge):
    async def loop():
        return asyncio.get_running_loop()

    assert bridge.submit(loop()).result() is bridge.submit(loop()).result()


def test_nothing_starts_before_the_first_job():
    before = threading.active_count()
    Thread()
    assert threading.active_count() == before


def test_a_job_has_the_context_of_who_started_it(bridge):
    async def place():
        return PLACE.get()

    token = PLACE.set("in this cell")
    job = bridge.submit(place())
    PLACE.reset(token)
    assert job.result() == "in this cell"


def test_many_threads_may_submit_at_once(bridge):
    results, together = [], threading.Barrier(8)

    def submit(number):
        together.wait(10)
        results.append(bridge.submit(answer(number)).result())

    threads = [threading.Thread(target=submit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == list(range(8))


# --- stopping


def test_cancelling_stops_the_job_and_runs_its_clean_up(bridge):
    endless = Endless()
    job = bridge.submit(endless())
    assert endless.begun.wait(5)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        job.result()
    assert endless.clean.is_set()
    assert job.done()


def test_a_job_that_is_cancelled_before_it_begins_never_begins(bridge):
    holding = threading.Event()

    async def hold():
        holding.wait(5)

    endless = Endless()
    first = bridge.submit(hold())
    job = bridge.submit(endless())
    job.cancel()
    holding.set()
    first.result()
    with pytest.raises(asyncio.CancelledError):
        job.result()
    assert not endless.begun.is_set()


def test_a_job_that_is_cancelled_between_its_start_and_its_first_step_never_begins(bridge):
    gates = [(threading.Event(), threading.Event()) for _ in range(2)]

    async def hold(entered, left):
        entered.set()
        left.wait(5)

    # Both later jobs start in one turn of the loop; the second then waits for its first step.
    first = bridge.submit(hold(*gates[0]))
    assert gates[0][0].wait(5)
    second = bridge.submit(hold(*gates[1]))
    endless = Endless()
    job = bridge.submit(endless())
    gates[0][1].set()
    assert gates[1][0].wait(5)
    job.cancel()
    gates[1][1].set()
    first.result()
    second.result()
    with pytest.raises(asyncio.CancelledError):
        job.result()
    assert not endless.begun.is_set()


def test_cancelling_what_is_done_changes_nothing(bridge):
    job = bridge.submit(answer())
    job.result()
    job.cancel()
    assert job.result() == 42


def test_cancelling_an_await_stops_the_job(bridge):
    endless = Endless()

    async def cell():
        waiting = asyncio.ensure_future(bridge.submit(endless()))
        await asyncio.to_thread(endless.begun.wait, 5)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        return await asyncio.to_thread(endless.clean.wait, 5)

    assert asyncio.run(cell())


def run(script, **environ):
    """Run a script of its own: what it does to signals, forks and asyncio stays there."""
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environ},
        check=False,
    )


INTERRUPTED = """
import _thread, asyncio, threading, time
from beluga_nb.runtime import {bridge}

begun, clean = threading.Event(), threading.Event()

async def endless():
    try:
        begun.set()
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        clean.set()

def stop():
    begun.wait(10)
    global pressed
    pressed = time.monotonic()
    _thread.interrupt_main()

threading.Thread(target=stop, daemon=True).start()
try:
    {bridge}().submit(endless()).result()
except KeyboardInterrupt:
    assert clean.is_set()
    assert time.monotonic() - pressed < 1
    print("stopped")
"""


def test_an_interrupt_cancels_the_job_and_waits_for_its_clean_up():
    done = run(INTERRUPTED.format(bridge="Thread"))
    assert (done.stdout, done.stderr) == ("stopped\n", "")


INTERRUPTED_EARLY = """
import asyncio, contextlib, sys
from beluga_nb.runtime import {bridge}, blocking

bridge, ended = {bridge}(), []

class Caller:
    def submit(self, step):
        job = bridge.submit(slow(step))
        return job

    generate = blocking("generate", submit)

async def slow(step):
    await asyncio.sleep(0.4)
    ended.append(step)

def interrupt_at(step):
    passed = 0

    def trace(frame, event, _):
        nonlocal passed
        code = frame.f_code
        if not code.co_filename.endswith(("runtime.py", "<string>")):
            return None
        begun = event == "return" and code.co_qualname in ("ThreadJob.__init__", "_NestedJob.__init__")
        if passed or begun:
            passed += 1
            if passed > step:
                sys.settrace(None)
                raise KeyboardInterrupt
        return trace

    return trace

bridge.submit(slow(-1)).result()
interrupted = set()
for step in range(20):
    sys.settrace(interrupt_at(step))
    try:
        Caller().generate(step)
    except KeyboardInterrupt:
        interrupted.add(step)
    finally:
        sys.settrace(None)
bridge.submit(asyncio.sleep(0.6)).result()
print(len(interrupted), interrupted & {{*ended}})
"""


@pytest.mark.parametrize("bridge", ["Thread", "Nested"])
def test_an_interrupt_between_the_start_of_a_job_and_the_wait_for_it_stops_it(bridge):
    done = run(INTERRUPTED_EARLY.format(bridge=bridge))
    assert (done.stdout, done.stderr) == ("20 set()\n", "")


def test_a_blocking_call_inside_its_own_loop_is_refused_instead_of_hanging(bridge):
    endless = Endless()

    async def outer():
        return bridge.submit(endless()).result()

    with pytest.raises(RequestError) as caught:
        bridge.submit(outer()).result()
    assert str(caught.value) == (
        "A blocking call was made inside a coroutine of its own event loop.\n"
        'Await agenerate() there, or use the setting bridge = "nested".'
    )
    assert not endless.begun.is_set()


def test_an_engine_that_exits_ends_its_job_and_not_the_loop(bridge):
    async def leaving():
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        bridge.submit(leaving()).result()
    assert bridge.submit(answer()).result() == 42


@pytest.mark.posix
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_gets_a_loop_of_its_own(bridge):
    assert bridge.submit(answer()).result() == 42
    child = os.fork()
    if not child:
        os._exit(0 if bridge.submit(answer()).result() == 42 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert bridge.submit(answer()).result() == 42


LEAVING = """
import asyncio, threading
from beluga_nb.runtime import HEARTBEAT, Thread

begun = threading.Event()

async def endless():
    try:
        begun.set()
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("clean", flush=True)

Thread().submit(endless())
begun.wait(10)
"""


def test_a_script_that_ends_stops_its_jobs_without_a_word():
    done = run(LEAVING)
    assert (done.returncode, done.stdout, done.stderr) == (0, "clean\n", "")


# --- nest_asyncio; in processes of their own, since it patches asyncio itself

ON_NESTED = """
import asyncio, threading
from beluga_nb.runtime import Nested

nested = Nested()

async def answer():
    await asyncio.sleep(0)
    return 42

async def again():
    return nested.submit(answer()).result() + nested.submit(answer()).result()

async def awaiting():
    return await nested.submit(answer())

async def failing():
    raise ZeroDivisionError
"""


@pytest.mark.parametrize(
    ("expression", "printed"),
    [
        ("nested.submit(answer()).result()", "42"),
        ("nested.submit(again()).result()", "84"),
        ("nested.submit(awaiting()).result()", "42"),
        ("asyncio.run(again())", "84"),
        ("asyncio.run(awaiting())", "42"),
        ("type(nested.submit(again()).result()).__name__", "int"),
        ("(lambda job: [job.result(), job.result(), job.done()])(nested.submit(answer()))", "[42, 42, True]"),
    ],
    ids=["blocking", "re-entrant", "awaited", "in a running loop", "awaited in one", "type", "twice"],
)
def test_a_nested_job_runs_on_the_calling_thread(expression, printed):
    done = run(f"{ON_NESTED}\nprint({expression})")
    assert (done.stdout.strip(), done.stderr) == (printed, "")


def test_an_exception_passes_through_a_nested_job():
    caught = "try:\n    nested.submit(failing()).result()\nexcept ZeroDivisionError:\n    print('yes')"
    done = run(f"{ON_NESTED}\n{caught}")
    assert (done.stdout, done.stderr) == ("yes\n", "")


def test_an_interrupt_cancels_a_nested_job_and_waits_for_its_clean_up():
    done = run(INTERRUPTED.format(bridge="Nested"))
    assert (done.stdout, done.stderr) == ("stopped\n", "")


def test_the_loop_class_of_others_stays_as_it_is():
    script = f"{ON_NESTED}\nbefore = dict(vars(asyncio.SelectorEventLoop))\nnested.submit(again()).result()\n"
    done = run(script + "print(dict(vars(asyncio.SelectorEventLoop)) == before)")
    assert (done.stdout, done.stderr) == ("True\n", "")


MISSING = """
import sys
sys.modules["nest_asyncio"] = sys.modules["nest_asyncio2"] = None
from beluga_nb.runtime import Nested
from beluga_nb.errors import SettingsError

async def answer():
    return 42

try:
    Nested().submit(answer())
except SettingsError as error:
    print(error)
"""


def test_a_missing_nest_asyncio_is_a_settings_error():
    done = run(MISSING)
    assert done.stdout == (
        "bridge = \"nested\" needs nest_asyncio, which is not installed.\npip install 'beluga_nb[nested]'\n"
    )
    assert done.stderr == ""


def test_a_call_that_needs_what_is_missing_leaves_no_warning():
    start = MISSING.partition("async def")[0]
    call = (
        "from beluga_nb import Session\n"
        "try:\n    Session(environ={}).generate('a fox', bridge='nested')\n"
        "except SettingsError as error:\n    print(error.message)\n"
    )
    done = run(start + call)
    assert done.stdout == 'bridge = "nested" needs nest_asyncio, which is not installed.\n'
    assert done.stderr == ""


STOPPED = """
import asyncio, importlib
from beluga_nb.runtime import HEARTBEAT, Thread

for patch in {patches}:
    importlib.import_module(patch).apply()

async def wait():
    await asyncio.sleep(0.1)
    return 42

async def stop():
    asyncio.get_running_loop().stop()
    return await wait()

bridge = Thread()
jobs = [bridge.submit(each()) for each in (wait, stop, wait)]
print([job.result() for job in jobs], bridge.submit(wait()).result())
"""


@pytest.mark.parametrize("patches", [[], [NESTED]], ids=["as it is", "patched"])
def test_a_job_that_stops_the_loop_ends_no_job(patches):
    if patches:
        needed(NESTED)
    done = run(STOPPED.format(patches=patches))
    assert (done.stdout, done.stderr) == ("[42, 42, 42] 42\n", "")


# --- a cancellation is heard, however early it comes


def check_stopped(job):
    until = time.monotonic() + 5
    while not job.done():
        assert time.monotonic() < until, "it runs on"
        time.sleep(0.01)
    with pytest.raises(asyncio.CancelledError):
        job.result()


class Blocked:
    """A bridge whose loop takes no step until it is let go."""

    def __enter__(self):
        self.bridge, self.letting = Thread(), threading.Event()
        self.began = threading.Event()

        async def hold():
            self.began.set()
            self.letting.wait(20)

        self.holding = self.bridge.submit(hold())
        assert self.began.wait(20)
        return self

    def __exit__(self, *_):
        self.letting.set()
        self.holding.result()


def cancelled_from(thread):
    def cancel(job):
        if not thread:
            return job.cancel()
        other = threading.Thread(target=job.cancel)
        other.start()
        other.join(20)

    return cancel


@pytest.mark.parametrize("times", [1, 2, 5])
@pytest.mark.parametrize("thread", [False, True], ids=["here", "in another thread"])
def test_a_job_that_is_cancelled_while_its_loop_is_blocked_takes_no_step(times, thread):
    endless = Endless()
    with Blocked() as blocked:
        job = blocked.bridge.submit(endless())
        for _ in range(times):
            cancelled_from(thread)(job)
    check_stopped(job)
    assert (job.done(), endless.begun.is_set()) == (True, False)


async def task(job):
    """A task that waits, cancelled before its first step."""
    waiting = asyncio.ensure_future(job)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()


async def gathered(job):
    together = asyncio.gather(job, asyncio.sleep(0))
    together.cancel()
    await asyncio.gather(together, return_exceptions=True)


async def made_a_task(job):
    waiting = asyncio.get_running_loop().create_task(job)
    waiting.cancel()
    await asyncio.wait({waiting})


async def timed_out(job):
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(job, 0)


async def in_a_group(job):
    with contextlib.suppress(ExceptionGroup):
        async with asyncio.TaskGroup() as group:
            group.create_task(failing())
            group.create_task(job)


EARLY = [task, gathered, made_a_task, timed_out, in_a_group]


@pytest.mark.parametrize("cancel", EARLY, ids=lambda cancel: cancel.__name__)
def test_whoever_is_cancelled_before_it_waits_stops_the_job(cancel, bridge):
    endless = Endless()
    job = bridge.submit(endless())
    asyncio.run(cancel(job))
    check_stopped(job)
    assert endless.clean.is_set() or not endless.begun.is_set()


@pytest.mark.parametrize("cancel", EARLY, ids=lambda cancel: cancel.__name__)
def test_whoever_is_cancelled_before_it_waits_stops_a_job_that_has_not_begun(cancel):
    endless = Endless()
    with Blocked() as blocked:
        job = blocked.bridge.submit(endless())
        asyncio.run(cancel(job))
    check_stopped(job)
    assert not endless.begun.is_set()


EARLY_NESTED = f"""
{ON_NESTED}
async def begins():
    print("begun")

async def task(job):
    waiting = asyncio.ensure_future(job)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

async def cancelled(job):
    job.cancel()

async def elsewhere(job):
    thread = threading.Thread(target=job.cancel)
    thread.start()
    thread.join()

for cancel in (task, cancelled, elsewhere):
    asyncio.run(cancel(nested.submit(begins())))
    nested.submit(answer()).result()
print("end")
"""


def test_a_nested_job_that_is_cancelled_before_anybody_waits_never_begins():
    done = run(EARLY_NESTED)
    assert (done.stdout, done.stderr) == ("end\n", "")


def test_tasks_that_wait_for_one_job_each_get_its_result(bridge):
    async def slow():
        await asyncio.sleep(0.2)  # longer than a heartbeat
        return 42

    async def several():
        job = bridge.submit(slow())
        return await asyncio.gather(job, asyncio.ensure_future(job), asyncio.wait_for(job, 20))

    assert asyncio.run(several()) == [42, 42, 42]


@pytest.mark.parametrize("waiting", range(4))
def test_a_cancelled_task_stops_the_job_wherever_it_waits(waiting, bridge):
    endless = Endless()

    async def cell():
        task = asyncio.ensure_future(bridge.submit(endless()))
        for _ in range(waiting):
            await asyncio.sleep(0.03)
        task.cancel()
        await asyncio.wait({task})
        return task.cancelled()

    assert asyncio.run(cell())
    assert not endless.begun.is_set() or endless.clean.wait(20)


# --- forks


@pytest.mark.posix
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_that_waits_for_a_job_of_its_parent_says_so(bridge):
    endless = Endless()
    job = bridge.submit(endless())
    assert endless.begun.wait(20)
    child = os.fork()
    if not child:
        try:
            job.result()
        except RequestError as error:
            os._exit(0 if "the process that this one was forked from" in error.message else 2)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    job.cancel()


BUSY_FORKS = """
import warnings
warnings.simplefilter("ignore")  # of forks beside threads, from Python 3.12 on
import os, threading
from beluga_nb.runtime import HEARTBEAT, Thread

async def answer():
    return 42

bridge, going = Thread(), True

def submit():
    while going:
        bridge.submit(answer()).result()

threads = [threading.Thread(target=submit) for _ in range(4)]
for thread in threads:
    thread.start()
for _ in range(20):
    child = os.fork()
    if not child:
        os._exit(0 if bridge.submit(answer()).result() == 42 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
going = False
"""


@pytest.mark.posix
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_of_a_busy_process_has_a_loop_of_its_own_and_no_lock_of_others():
    done = run(
        BUSY_FORKS.replace("import os,", "import warnings\nwarnings.simplefilter('ignore')\nimport os,")
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


# --- a loop that cannot start

UNSTARTED = """
import sys
from beluga_nb.runtime import HEARTBEAT, Thread
from beluga_nb.errors import RequestError
bridge = Thread()
async def answer():
    return 42
def ask():
    try:
        return bridge.submit(answer()).result()
    except RequestError as error:
        return str(error)
{}
"""

NO_DESCRIPTORS = """
import os, resource
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
held = []
try:
    while True:
        held.append(os.open(os.devnull, 0))
except OSError:
    pass
for _ in range({free}):
    os.close(held.pop())
print(ask(), ask(), sep="\\n")
for each in held:
    os.close(each)
print(ask())
"""

A_BAD_HANDLER = """
import logging
class Bad(logging.Handler):
    def emit(self, record):
        raise {error}("the log is away")
bad = Bad()
logging.getLogger().addHandler(bad)
logging.getLogger().setLevel(logging.DEBUG)
print(ask(), ask(), sep="\\n")
logging.getLogger().removeHandler(bad)
print(ask())
"""

A_BAD_PROFILE = """
import threading
def bad(frame, event, argument):
    if frame.f_code.co_name == "_run" and "runtime" in frame.f_code.co_filename:
        raise ValueError("no profile")
threading.setprofile(bad)
print(ask(), ask(), sep="\\n")
threading.setprofile(None)
print(ask())
"""


@pytest.mark.posix
@pytest.mark.parametrize(
    ("trouble", "reason"),
    [(NO_DESCRIPTORS.format(free=free), "OSError: [Errno 24] Too many open files") for free in range(3)]
    + [
        (A_BAD_HANDLER.format(error=name), f"{name}: the log is away")
        for name in ("RuntimeError", "OSError", "KeyError")
    ]
    + [(A_BAD_PROFILE, "the thread ended")],
    ids=["0 free", "1 free", "2 free", "RuntimeError", "OSError", "KeyError", "profile"],
)
def test_what_keeps_the_loop_from_starting_is_reported_in_two_lines_and_the_next_call_tries_anew(
    trouble, reason
):
    done = subprocess.run(
        [sys.executable, "-c", UNSTARTED.format(trouble)], capture_output=True, text=True, timeout=60
    )
    reason = reason.replace("KeyError: the log is away", "KeyError: 'the log is away'")
    refused = [
        f"The event loop that sends requests could not start ({reason}).",
        "Nothing was sent. Close files, or restart the kernel, and ask again.",
    ]
    assert done.stdout.splitlines() == [*refused, *refused, "42"], done.stderr


OUTLASTING = """
import time
from beluga_nb.process.workers import Holding
holding = Holding()
end_late = holding.begin(0)
time.sleep(0.2)  # The waiting thread finds it.
for _ in range(100):
    holding.begin(60)()
end_late()
print("ended")
"""


def test_work_that_outlasts_its_time_holds_up_no_other_work_and_not_the_end_of_python():
    done = subprocess.run([sys.executable, "-c", OUTLASTING], capture_output=True, text=True, timeout=50)
    assert done.stdout == "ended\n", done.stderr
