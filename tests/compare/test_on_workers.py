"""A grid on workers equals the grid at home, to the byte, also where some of them are killed."""

import asyncio
import concurrent.futures
import gzip
import json
import multiprocessing
import os
import pickle
import platform
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import pytest
import remote_engines
from clusters import IDLE, ROOT, Cluster, Scheduler
from conftest import CALL_ID, KEY, drawing, on_a_port, service, with_call_ids
from kernels import clean_environment
from leaks import holds, leaks
from needed import needed
from remote_engines import mixed
from sampling import rounds

from beluga_nb import __version__
from beluga_nb.compare.cluster import ClusterWorkers, SchedulerTicket
from beluga_nb.compare.executors import each
from beluga_nb.engines import worker
from beluga_nb.errors import BelugaError, NotRecordedError, OverBudgetError, RequestError, SettingsError
from beluga_nb.server.app import create_app
from beluga_nb.session.session import Session
from beluga_nb.store import pending
from beluga_nb.store.records import Store

pytestmark = [
    # Dask's own sockets and event loop, at their end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PASSING = re.compile(rb'"created": ?(?!1750000000)[0-9]+|"duration": ?[0-9.]+|req_[0-9a-f]+')
"""When a model declined or the painter drew, how long a call took, and ids of requests."""

ID = re.compile("(?<=call )[0-9a-f]{8}|req_[0-9a-f]+")

ENGINE = "remote_engines:mixed"

ANIMALS = ["fox", "lost fox", "declined fox", "refused fox", "odd fox", "owl", "hen"]


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    """Keep the journal of workers on this machine in a folder of the test."""
    monkeypatch.setenv(worker.STATE, str(tmp_path / "state"))
    worker.journal.cache_clear()
    yield tmp_path / "state" / "beluga_nb" / "worker" / "pending"
    worker.journal.cache_clear()


@pytest.fixture
def started():
    """Start executors by their names, and end them with the test."""
    with ExitStack() as stack:

        def start(kind):
            if kind == "threads":
                return stack.enter_context(ThreadPoolExecutor(2))
            spawn = multiprocessing.get_context("spawn")
            return stack.enter_context(ProcessPoolExecutor(2, mp_context=spawn))

        yield start


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """Two workers with two threads each, which have the key, and are started again when they are killed."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("cluster")
    with Cluster(folder, BELUGA_API_KEY=KEY, XDG_STATE_HOME=str(folder / "state")) as running:
        running.start("", "--nanny", "--nthreads=2", count=2)
        yield running


def grid_of(session, animals=ANIMALS, style=("oil", "ink"), **more):
    return session.grid("a {{animal}}, {{style}}", animal=animals, style=style, **more)


def kept(folder):
    """Every file of a store that is recorded, and the open calls without what differs from run to run."""
    files = {
        path.relative_to(folder).as_posix(): PASSING.sub(b"", path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name not in {"pending", "tmp"}
    }
    calls = [json.loads(path.read_text()) for path in (folder / "pending").glob("*.json")]
    passing = {"run", "started", "pid", "body"}
    calls = [json.dumps({name: call[name] for name in call if name not in passing}) for call in calls]
    return files, sorted(ID.sub("", call) for call in calls)


def outcome(grid, cell):
    """What a cell has come to: its pictures, and what its error says."""
    found = grid.outcome(cell)
    lines = found.error and [ID.sub("", line) for line in found.error.lines()]
    words = found.error and (type(found.error), lines, found.error.billing)
    return [(each.sha256, each.recipe) for each in found.pictures], words


def check_same(there, home, where):
    """Check that two grids have come to the same, in memory and on disk."""
    for cell, other in zip(there.cells, home.cells, strict=True):
        assert outcome(there, cell) == outcome(home, other), (where, cell.key)
    assert there.counts == home.counts, where
    stores = [grid._runner.workspace().store.folder for grid in (there, home)]
    (files, calls), (files_at_home, calls_at_home) = map(kept, stores)
    assert calls == calls_at_home, where
    assert list(files) == list(files_at_home), where
    assert [name for name in files if files[name] != files_at_home[name]] == [], where


def session_at(folder, **how):
    folder.mkdir()
    return Session(folder=folder, environ=how.pop("environ", {}), confirm=lambda _: True, **how)


def test_a_grid_on_threads_and_processes_equals_the_grid_at_home(tmp_path, started, state):
    home = grid_of(session_at(tmp_path / "home", engine=ENGINE)).run()
    assert home.counts["done"] == 6
    for kind in ("threads", "processes"):
        there = grid_of(session_at(tmp_path / kind, engine=ENGINE))
        there.run(executor=started(kind))
        check_same(there, home, kind)
        assert list(state.glob("*.answer*")) == list(state.glob("*.claim*")) == []


def test_a_grid_on_a_cluster_equals_the_grid_at_home(tmp_path, cluster):
    with service(mixed) as base_url:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
        sources = {
            "an engine": {"engine": ENGINE},
            "a service": {"environ": environ},
            "the painter": {},
        }
        for name, how in sources.items():
            animals = ANIMALS[:1] if name == "the painter" else ANIMALS
            home = grid_of(session_at(tmp_path / f"{name}, home", **how), animals).run()
            there = grid_of(session_at(tmp_path / f"{name}, there", **how), animals)
            there.run(executor=cluster.client)
            check_same(there, home, name)
            again = Session(folder=tmp_path / f"{name}, there", mode="replay", **{"environ": {}, **how})
            again = grid_of(again, animals)
            with suppress(NotRecordedError):  # of what has failed
                again.run()
            assert again.counts["done"] == home.counts["done"]
    assert leaks(cluster.folder) == leaks(tmp_path) == []
    assert list(cluster.folder.rglob("*.answer*")) == list(cluster.folder.rglob("*.claim.*")) == []


def test_an_engine_of_batches_equals_one_that_is_asked_for_each_cell(tmp_path, cluster):
    """Also where a model declines, fails, or draws nothing, and on workers, which ask it in two threads."""
    home = grid_of(session_at(tmp_path / "home", engine=ENGINE)).run()
    how = {"engine": "remote_engines:batched", "provider": "mixed"}
    with ThreadPoolExecutor(4) as threads:
        for number, executor in enumerate([None, threads, cluster.client]):
            there = grid_of(session_at(tmp_path / str(number), **how)).run(executor=executor)
            check_same(there, home, executor)
    for batch in remote_engines.BATCHES:
        assert len({(each.model, each.size) for each in batch}) == 1
    sizes = [len(batch) for batch in remote_engines.BATCHES]
    assert sum(sizes) == 2 * len(home)
    assert max(sizes) == 4


def asked_of(executor, folder, **how):
    with pytest.raises((RequestError, SettingsError)) as caught:
        grid_of(session_at(folder, **how)).run(executor=executor)
    assert not (folder / "beluga_store").exists(), "something was begun"
    return caught.value.message, caught.value.hint


def test_an_engine_that_only_this_process_has_is_refused_elsewhere_and_runs_on_threads(tmp_path, started):
    assert asked_of(started("processes"), tmp_path / "refused", engine=drawing) == (
        "The engine drawing is an object of this process, which the workers do not have.",
        'Name where they import it: Session(engine="package.module:factory").',
    )
    there = grid_of(session_at(tmp_path / "threads", engine=drawing))
    assert there.run(executor=started("threads")).counts["done"] == len(there)


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("remote_engines", "'remote_engines' does not name an engine."),
        ("no_such_module:fox", "The engine no_such_module:fox cannot be imported: ModuleNotFoundError: "),
        ("remote_engines:fox", "The engine remote_engines:fox cannot be imported: AttributeError: "),
        ("remote_engines:failing", "The engine remote_engines:failing cannot be made: RuntimeError: no GPU"),
        (
            "remote_engines:making_none",
            "The engine remote_engines:making_none cannot be made: SettingsError: ",
        ),
        (
            "remote_engines:made_later",
            "The engine made_later is an async function that does not take one argument.",
        ),
        ("remote_engines:MADE", "The engine remote_engines:MADE cannot be made: TypeError: "),
    ],
)
def test_a_path_that_names_no_engine_is_two_lines(path, reason, tmp_path):
    with pytest.raises(SettingsError) as caught:
        session_at(tmp_path / "s", engine=path).generate("a fox")
    assert caught.value.message.startswith(reason)
    assert caught.value.outcome == "not_sent"


@pytest.mark.parametrize("name", ["mixed", "batched", "BATCHED", "Drawing", "DRAWING.draw", "DRAWING"])
def test_a_path_names_a_function_a_class_an_object_or_its_method(name, tmp_path, started):
    session = session_at(tmp_path / "s", engine=f"remote_engines:{name}")
    grid = grid_of(session, ["fox"]).run(executor=started("threads"))
    assert grid.counts["done"] == len(grid)


def test_an_engine_is_made_once_in_a_process_whichever_cells_and_threads_ask(tmp_path, started):
    remote_engines.MADE.clear()
    there = grid_of(session_at(tmp_path / "s", engine="remote_engines:made"))
    assert there.run(executor=started("threads")).counts["done"] == len(there)
    assert len(remote_engines.MADE) == 1


def test_what_workers_lack_is_two_lines_before_the_first_cell(tmp_path, cluster, monkeypatch):
    module = tmp_path / "only_here.py"
    module.write_text("from remote_engines import mixed")
    monkeypatch.syspath_prepend(tmp_path)
    message, hint = asked_of(cluster.client, tmp_path / "engine", engine="only_here:mixed")
    assert message == (
        "On 2 of 2 workers of the cluster: The engine only_here:mixed cannot be imported: "
        "ModuleNotFoundError: No module named 'only_here'"
    )
    assert hint == "Nothing was sent. Install its module where it runs, or correct its name."
    first = [next(iter(cluster.client.nthreads()))]
    cluster.client.run(remote_engines.set_variable, "BELUGA_API_KEY", "", workers=first)
    try:
        assert asked_of(cluster.client, tmp_path / "key", environ={"BELUGA_API_KEY": KEY}) == (
            "On 1 of 2 workers of the cluster: A worker has no key for belugapi; nothing was sent.",
            "Set BELUGA_API_KEY where the workers run, and start them again: no key is sent to them.",
        )
    finally:
        cluster.client.run(remote_engines.set_variable, "BELUGA_API_KEY", KEY, workers=first)


def test_resources_that_no_worker_has_are_two_lines_and_are_not_waited_for(tmp_path, cluster):
    executor = cluster.client.get_executor(resources={"GPU": 1})
    assert asked_of(executor, tmp_path / "s", engine=ENGINE) == (
        "No worker of the cluster has the resources GPU=1.",
        "Start workers that have them, as docs/cluster.md shows.",
    )


def test_a_table_shows_what_each_worker_has(tmp_path, cluster, started):
    grid = grid_of(session_at(tmp_path / "s", environ={"BELUGA_API_KEY": KEY}))
    rows = grid.workers(cluster.client).rows
    assert len(rows) == 2
    for row in rows:
        assert (row["beluga_nb"], row["Python"]) == (__version__, platform.python_version())
        assert (row["engine"], row["key"]) == ("belugapi", "from BELUGA_API_KEY")
        assert row["answers kept in"].startswith(str(cluster.folder))
    shown = repr(grid.workers(cluster.client))
    assert shown.splitlines()[0].split()[:3] == ["worker", "beluga_nb", "Python"]
    assert "problem" not in shown
    assert not holds(shown)
    assert len(grid.workers(started("threads")).rows) == 1
    lacking = grid_of(session_at(tmp_path / "t", engine="no_such_module:fox")).workers(started("processes"))
    assert "No module named 'no_such_module'" in lacking.rows[0]["problem"]


PAGE = (ROOT / "docs" / "cluster.md").read_text("utf-8")


def block_of_page(beginning, page=PAGE):
    blocks = re.findall(r"^```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    [code] = [block for block in blocks if block.startswith(beginning)]
    return code


def test_the_page_on_clusters_runs_as_it_stands(tmp_path, cluster):
    code = block_of_page("from distributed").replace("tcp://127.0.0.1:8786", cluster.address)
    short = block_of_page("import beluga_nb\nfrom distributed", (ROOT / "README.md").read_text("utf-8"))
    code += short.replace("tcp://127.0.0.1:8786", cluster.address)
    code += "print(grid.counts['done'])\nclient.close()\n"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("worker ")
    assert done.stdout.endswith("\n2\n")


def test_the_commands_of_the_page_are_dasks():
    needed("distributed")
    from distributed.cli import dask_scheduler, dask_worker

    scheduler, workers = (line.split()[2:] for line in block_of_page("dask scheduler").splitlines())
    assert dask_scheduler.main.make_context("dask scheduler", scheduler).params["port"] == "8786"
    assert dask_worker.main.make_context("dask worker", workers).params["n_workers"] == "2"


def test_the_engines_of_the_page_are_made_by_their_names(tmp_path, monkeypatch, started):
    code = block_of_page("import asyncio") + block_of_page("from beluga_nb import BatchEngine")
    (tmp_path / "engines.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    for engine in ("painter", "batches"):
        grid = grid_of(session_at(tmp_path / engine, engine=f"engines:{engine}"))
        assert grid.run(executor=started("threads")).counts["done"] == len(grid)


def test_the_job_script_is_what_dask_jobqueue_prints(capsys):
    interrupt = signal.getsignal(signal.SIGINT)
    pytest.importorskip("dask_jobqueue")
    signal.signal(signal.SIGINT, interrupt)  # the import lets an interrupt end the process
    names = {}
    exec(block_of_page("from dask_jobqueue"), names)
    names["cluster"].close()
    printed = re.sub(r"tcp://\S+", "tcp://SCHEDULER", capsys.readouterr().out)
    assert [line.split() for line in printed.split("\n") if line] == [
        line.split() for line in block_of_page("#!/usr/bin/env bash").split("\n") if line
    ]


@pytest.mark.parametrize("kind", ["threads", "processes"])
def test_stop_begins_nothing_new_and_keeps_what_was_under_way(tmp_path, monkeypatch, started, state, kind):
    monkeypatch.setenv("REMOTE_ENGINES", str(tmp_path))
    session = session_at(tmp_path / "s", engine="remote_engines:waiting", max_in_flight=4)
    grid, executor = grid_of(session, ["fox", "owl", "hen"]), started(kind)
    job = grid.submit(executor=executor)
    store = grid._runner.workspace().store
    until(lambda: len(list(tmp_path.glob("asked-*"))) == 2)
    # What waits for a thread is in the journal too, before it is sent.
    until(lambda: len(pending.calls(store)) == 4)
    job.cancel()
    until(job.done)
    unknown = pending.calls(store)
    assert len(unknown) == 2, "the others had not begun"
    (tmp_path / "go").touch()
    grid.run(executor=executor)
    assert grid.counts["done"] == len(grid)
    assert len(list(tmp_path.glob("asked-*"))) == len(grid), "what was under way was asked for again"
    assert pending.calls(store) == []
    assert list(state.glob("*.answer*")) == []
    # A process had been handed some of the calls that were taken back.
    until(lambda: not list(state.glob("*.claim*")))


@pytest.mark.posix
def test_a_stop_that_reaches_a_process_of_a_pool_ends_no_call_that_it_has_begun(
    tmp_path, monkeypatch, started
):
    """Ctrl-C in a terminal and Stop in a notebook are sent to all processes of the group."""
    monkeypatch.setenv("REMOTE_ENGINES", str(tmp_path))
    executor = started("processes")
    session = session_at(tmp_path / "s", engine="remote_engines:waiting")
    job = grid_of(session, ["fox"]).submit(executor=executor)
    until(lambda: len(list(tmp_path.glob("asked-*"))) == 2)
    for process in executor._processes:
        os.kill(process, signal.SIGINT)
    (tmp_path / "go").touch()
    assert job.result().counts["done"] == 2
    assert len(list(tmp_path.glob("asked-*"))) == 2
    for process in executor._processes:  # They wait for tasks, and still do.
        os.kill(process, signal.SIGINT)
    assert executor.submit(int, "7").result() == 7


class LateSet(set):
    """A set of threads that learns of each one a moment after it has started."""

    def add(self, thread):
        time.sleep(0.2)
        super().add(thread)


def test_a_run_in_a_thread_of_its_own_executor_is_refused_and_does_not_wait_for_itself(tmp_path):
    grid = grid_of(session_at(tmp_path / "s", engine=ENGINE))
    with ThreadPoolExecutor(1) as executor:
        executor._threads = LateSet()
        for ask in (lambda: grid.run(executor=executor), lambda: list(each(len, [], executor=executor))):
            error = executor.submit(ask).exception(60)
            assert isinstance(error, RequestError)
            assert (
                error.message
                == "This thread belongs to the executor, whose calls might wait for this one to end."
            )
            assert error.hint == "Pass another executor, or call this outside of it."
    assert not (tmp_path / "s" / "beluga_store").exists(), "something was begun"


def test_a_task_that_runs_a_grid_on_its_own_cluster_is_refused_unless_it_frees_its_thread(tmp_path, cluster):
    submit = cluster.client.submit
    assert submit(remote_engines.run_within, str(tmp_path), is_free=False).result(60) == [
        "RequestError: This task occupies a thread of the cluster, for which its own calls might wait.",
        "Get the client by `with distributed.worker_client() as client:`, which frees the thread.",
    ]
    assert submit(remote_engines.run_within, str(tmp_path), is_free=True).result(60) == 2


class InterpreterPoolExecutor(ThreadPoolExecutor):
    """Has the name of the class that Python has since 3.14."""


def test_an_executor_of_interpreters_is_two_lines(tmp_path):
    made = getattr(concurrent.futures, "InterpreterPoolExecutor", InterpreterPoolExecutor)
    with made(1) as executor:
        assert asked_of(executor, tmp_path / "s", engine=ENGINE) == (
            "An InterpreterPoolExecutor makes no calls: its interpreters allow no daemon threads.",
            "Pass a ThreadPoolExecutor or a ProcessPoolExecutor.",
        )


def until(claim, seconds=60):
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_cap_is_exact_over_all_workers(tmp_path, cluster):
    grid = grid_of(session_at(tmp_path / "s", engine="remote_engines:drawing", max_images=9))
    with pytest.raises(OverBudgetError):
        grid.run(executor=cluster.client)  # 14 at once are refused before anything is sent
    first = grid.where(style="oil").run(executor=cluster.client)
    assert first.counts["done"] == 7
    with pytest.raises(OverBudgetError):
        grid.run(executor=cluster.client)
    assert grid._runner.resources.budget.spent.images == 7


class Strange(Executor):
    """An executor that does with each call what a function says."""

    def __init__(self, submit):
        self.submit = submit


def raising(*_):
    raise TypeError("cannot pickle 'lock'")


@pytest.mark.parametrize("executor", ["threads", 4, ThreadPoolExecutor])
def test_what_is_no_executor_is_two_lines(tmp_path, executor):
    expected = "Pass a dask.distributed.Client, or an executor of concurrent.futures."
    assert asked_of(executor, tmp_path / "s", engine=ENGINE)[1] == expected
    with pytest.raises(RequestError, match="is not an executor"):
        grid_of(session_at(tmp_path / "t", engine=ENGINE)).workers(executor)


def test_an_executor_that_breaks_its_promise_leaves_errors_in_cells(tmp_path):
    for number, submit in enumerate([raising, lambda *_: None, lambda *_: done("junk")]):
        grid = grid_of(session_at(tmp_path / str(number), engine=ENGINE), ["fox"])
        with suppress(BelugaError):  # None of them was made.
            grid.run(executor=Strange(submit))
        # It may have begun each of them.
        assert grid.counts["outcome unknown"] == len(grid)


def done(value):
    future = Future()
    future.set_result(value)
    return future


@pytest.mark.parametrize("mode", ["auto", "off", "refresh"])
def test_nothing_stays_with_the_workers_in_any_mode(tmp_path, started, state, mode):
    grid = grid_of(session_at(tmp_path / "s", engine="remote_engines:drawing", mode=mode))
    grid.run(executor=started("threads"))
    assert grid.counts["done"] == len(grid)
    assert list(state.iterdir()) == []


def test_an_error_of_an_engine_arrives_whatever_it_is_made_of(tmp_path, started):
    pool = started("processes")
    for engine in ("refusing", "ending", "ending_early", "one_of_two"):
        how = {"engine": f"remote_engines:{engine}"}
        home = grid_of(session_at(tmp_path / f"{engine}, home", **how), ["fox"], n=2)
        there = grid_of(session_at(tmp_path / f"{engine}, there", **how), ["fox"], n=2)
        for grid, executor in ((home, None), (there, pool)):
            with suppress(BelugaError):  # None of them was made.
                grid.run(executor=executor)
        check_same(there, home, engine)


def test_an_error_of_a_class_that_the_caller_lacks_is_of_the_nearest_one():
    class OnlyThere(remote_engines.Refused):
        pass

    error = OnlyThere("It is too large.", status=422)
    error.turn = threading.Lock()
    delivery = pickle.loads(pickle.dumps(worker.Delivery(worker="w", error=error)))
    assert type(delivery.error) is remote_engines.Refused
    assert delivery.error.lines() == ["Refused: It is too large. (status 422)"]
    assert delivery.error.outcome == error.outcome


def test_a_call_that_has_begun_is_not_taken_back_where_workers_cannot_write(tmp_path, monkeypatch, started):
    monkeypatch.setenv("REMOTE_ENGINES", str(tmp_path))
    (tmp_path / "file").touch()
    monkeypatch.setenv(worker.STATE, str(tmp_path / "file"))
    worker.journal.cache_clear()
    grid = grid_of(session_at(tmp_path / "s", engine="remote_engines:waiting", max_in_flight=4))
    job = grid.submit(executor=started("threads"))
    until(lambda: len(list(tmp_path.glob("asked-*"))) == 2)
    store = grid._runner.workspace().store
    until(lambda: len(pending.calls(store)) == 4)
    job.cancel()
    until(job.done)
    (tmp_path / "go").touch()
    assert len(pending.calls(store)) == 2
    assert grid._runner.resources.budget.spent.images == 2


def test_a_call_that_has_begun_is_not_taken_back_where_processes_have_another_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("REMOTE_ENGINES", str(tmp_path))
    variable = worker.STATE, str(tmp_path / "elsewhere")
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, remote_engines.set_variable, variable) as executor:
        grid = grid_of(session_at(tmp_path / "s", engine="remote_engines:waiting"), ["fox"])
        job = grid.submit(executor=executor)
        until(lambda: list(tmp_path.glob("asked-*")))
        job.cancel()
        until(job.done)
        assert len(pending.calls(grid._runner.workspace().store)) == 1
        (tmp_path / "go").touch()
        grid.run(executor=executor)
    assert grid.counts["done"] == len(grid) == len(list(tmp_path.glob("asked-*")))


SCRIPT = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from beluga_nb.session.session import Session
session = Session(folder=Path(), environ={}, engine="remote_engines:drawing", progress=False)
grid = session.grid("a {{animal}}", animal=["fox", "owl"])
grid.run(executor=ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")))
"""


def test_a_script_that_its_own_workers_import_ends_and_says_why(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    path = os.pathsep.join(map(str, [ROOT, ROOT / "tests"]))
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=tmp_path,
        env=clean_environment(PYTHONPATH=path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "This script is imported by a process that it has started itself." in done.stderr
    assert 'below `if __name__ == "__main__":`' in done.stderr


def test_a_client_that_is_closed_or_asynchronous_is_two_lines(tmp_path, cluster):
    from distributed import Client

    with Client(cluster.address) as client:
        pass
    grid = grid_of(session_at(tmp_path / "s", engine=ENGINE))
    for ask in (grid.workers, lambda client: grid.run(executor=client)):
        with pytest.raises(RequestError, match="The cluster cannot be reached"):
            ask(client)

    async def asynchronous():
        async with Client(cluster.address, asynchronous=True) as client:
            for ask in (grid.workers, lambda client: grid.submit(executor=client)):
                with pytest.raises(RequestError, match="The client is asynchronous"):
                    ask(client)

    asyncio.run(asynchronous())


def test_an_engine_whose_module_ends_python_is_two_lines(tmp_path, cluster):
    cluster.client.run(remote_engines.write_ending_module, str(tmp_path))
    message, _ = asked_of(cluster.client, tmp_path / "s", engine="ends_python:engine")
    assert message.endswith("The engine ends_python:engine cannot be imported: SystemExit: usage: fox")


def test_beside_a_late_worker_that_is_refused_the_others_end_what_they_have_begun(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    folder = tmp_path / "calls"
    folder.mkdir()
    with Cluster(tmp_path / "cluster", REMOTE_ENGINES=str(folder)) as cluster:
        cluster.start("", "--no-nanny")
        how = {"engine": "remote_engines:waiting", "max_in_flight": 2}
        grid = grid_of(session_at(tmp_path / "s", **how))
        job = grid.submit(executor=cluster.client)
        until(lambda: list(folder.glob("asked-*")))
        refused = threading.Event()
        look = ClusterWorkers.look

        def looked(workers):
            try:
                look(workers)
            except RequestError:
                refused.set()
                raise

        monkeypatch.setattr(ClusterWorkers, "look", looked)
        cluster.start("import os; os.environ['XDG_STATE_HOME'] = os.devnull", "--no-nanny")
        assert refused.wait(60)
        (folder / "go").touch()
        with pytest.raises(RequestError, match="A worker cannot write to"):
            job.result()
    assert grid.counts["outcome unknown"] == 0
    assert 1 <= grid.counts["done"] == len(list(folder.glob("asked-*")))


STOPPED = """
import sys
from pathlib import Path
from distributed import Client
from test_on_workers import hunted
client = Client(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0")
try:
    hunted(Path(sys.argv[1]), sys.argv[2]).run(executor=client)
except KeyboardInterrupt:
    print("stopped", flush=True)
"""


def test_a_ticket_is_taken_once_and_never_after_it_was_removed(cluster):
    client, ticket = cluster.client, SchedulerTicket("beluga-test")
    remove = ticket.issue(client)
    assert [ticket.take(client) for _ in range(2)] == [True, False]
    remove()
    assert not ticket.take(client)
    remove = ticket.issue(client)
    remove()
    until(lambda: "beluga-test" not in client.cluster.scheduler.extensions["queues"].queues)
    assert not ticket.take(client)


def test_a_scheduler_keeps_nothing_of_calls_that_have_ended(tmp_path, cluster):
    scheduler = cluster.client.cluster.scheduler
    grid = grid_of(session_at(tmp_path / "s", engine=ENGINE)).run(executor=cluster.client)
    assert grid.counts["done"] == 6
    until(lambda: not scheduler.tasks)
    until(lambda: not scheduler.extensions["queues"].queues)


@pytest.mark.posix
def test_a_process_with_its_own_workers_that_is_ended_by_ctrl_c_first_keeps_their_answers(tmp_path):
    pytest.importorskip("distributed")
    posts, go = Counter(), threading.Event()

    async def held(request):
        posts[CALL_ID.get()] += 1
        if not go.is_set():
            await asyncio.to_thread(go.wait)
            await asyncio.sleep(1)  # Without what is tested, the process has ended by then.
        return await drawing(request)

    with on_a_port(with_call_ids(create_app(held, key=KEY))) as base_url:
        environ = {"BELUGA_API_KEY": KEY, worker.STATE: os.environ[worker.STATE], **IDLE}
        with child_with(STOPPED, tmp_path, base_url, **environ) as child:
            until(lambda: len(posts) == 2)
            child.send_signal(signal.SIGINT)
            assert child.stdout.readline() == b"stopped\n"
            go.set()
            child.wait(60)
        grid = hunted(tmp_path, base_url)
        with ThreadPoolExecutor(2) as executor:
            grid.run(executor=executor)
    assert grid.counts["done"] == CELLS
    assert set(posts.values()) == {1}, "a call was made a second time"


HUNTED = ["cat", "fox", "owl", "hen", "dog", "cow", "elk", "bat"]
CELLS = 2 * len(HUNTED)

AT_ONCE = 4
"""Calls that the workers make at once."""

CAP = CELLS + AT_ONCE


RUN = """
import sys
from pathlib import Path
from distributed import Client
from test_on_workers import hunted
if __name__ == "__main__":
    with Client(sys.argv[1]) as client:
        hunted(Path(sys.argv[2]), sys.argv[3]).run(executor=client)
"""


class Striking:
    """An engine that counts what it is asked for, by cell and by id, and strikes at a random moment.

    The call that sets off the strike, and later ones, are answered after it: no run ends before.
    """

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.posts, self.ids = Counter(), {}
        self.strike, self.left, self.struck = None, 0, threading.Event()

    def arm(self, strike):
        self.strike, self.left = strike, self.random.randint(2, CELLS // 2)
        self.struck.clear()

    async def __call__(self, request):
        self.posts[CALL_ID.get()] += 1
        self.ids.setdefault(request.prompt, set()).add(CALL_ID.get())
        self.left -= 1
        if self.left == 0 and self.strike:
            asyncio.get_running_loop().call_later(self.random.uniform(0, 0.15), self._struck)
        await asyncio.sleep(self.random.uniform(0.02, 0.15))
        while self.strike and self.left <= 0 and not self.struck.is_set():
            await asyncio.sleep(0.01)
        return await drawing(request)

    def _struck(self):
        self.strike()
        self.struck.set()


def hunted(folder, base_url, animals=HUNTED, style=("oil", "ink"), max_images=CAP, **more):
    session = Session(
        folder=folder,
        environ={"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url},
        confirm=lambda _: True,
        notify=lambda _: None,
        budget="store",
        max_images=max_images,
        progress=False,
        **more,
    )
    return grid_of(session, animals, style, model="flux-2.0")


def kill(pids):
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@contextmanager
def child_with(code, *words, **environ):
    """Start Python with some code that imports from these tests."""
    path = os.pathsep.join(map(str, [ROOT, ROOT / "tests", ROOT / "tests" / "compare"]))
    environ = clean_environment(PYTHONPATH=path, **environ)
    command = [sys.executable, "-c", code, *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, env=environ, **pipes) as child:
        try:
            yield child
        finally:
            child.kill()


def run(grid, client):
    """Run a grid, whatever comes of it; return its error."""
    try:
        grid.run(executor=client)
    except BelugaError as error:
        return error


def check_end(engine, folder, base_url, client, in_flight):
    """Run the grid again, to its end, and check what was bought."""
    once = Counter(engine.posts)
    assert set(once.values()) <= {1}, "a call was sent again without anybody's asking"
    store = Store(folder / "beluga_store")
    open_calls = {call.run for call in pending.calls(store)}
    grid = hunted(folder, base_url)
    grid.run(executor=client)
    assert grid.counts["done"] == CELLS, grid.counts
    # A call whose end is unknown goes out again under its own id, which a service bills once.
    assert all(len(ids) == 1 for ids in engine.ids.values())
    again = {run for run, count in engine.posts.items() if count > 1}
    assert {each.decode() for each in again} <= open_calls
    assert engine.posts.total() <= CELLS + in_flight
    spent = grid._runner.resources.budget_of(grid._runner.workspace().settings).spent.images
    assert engine.posts.total() <= spent <= CAP
    assert pending.calls(store) == []


def rounds_of(what):
    return [pytest.param(number, id=f"{what} {number}") for number in range(rounds(1, 10))]


@pytest.mark.posix
@pytest.mark.parametrize("number", rounds_of("worker"))
def test_a_worker_that_is_killed_makes_no_second_purchase(number, cluster, tmp_path):
    engine = Striking(number)
    with on_a_port(with_call_ids(create_app(engine, key=KEY))) as base_url:
        pids = list(cluster.client.run(os.getpid).values())
        engine.arm(lambda: kill([engine.random.choice(pids)]))
        error = run(hunted(tmp_path, base_url), cluster.client)
        assert engine.struck.is_set(), error
        cluster.client.wait_for_workers(2, timeout=60)
        check_end(engine, tmp_path, base_url, cluster.client, in_flight=2)


SHARED_CAP = 18


class Gated(Striking):
    """Answers nothing before `may` is set."""

    def __init__(self, seed):
        super().__init__(seed)
        self.may = threading.Event()

    async def __call__(self, request):
        while not self.may.is_set():
            await asyncio.sleep(0.02)
        return await super().__call__(request)


@pytest.mark.posix
@pytest.mark.parametrize("number", rounds_of("worker at the cap"))
def test_a_cap_that_two_grids_reach_while_a_worker_is_killed_is_exact(number, cluster, tmp_path):
    engine = Gated(400 + number)
    with on_a_port(with_call_ids(create_app(engine, key=KEY))) as base_url:
        pids = list(cluster.client.run(os.getpid).values())
        engine.arm(lambda: kill([engine.random.choice(pids)]))

        def grid_in(*styles, animals=HUNTED[:5]):
            return hunted(tmp_path, base_url, animals, styles, max_images=SHARED_CAP)

        # Each would fit alone, also beside the calls of the other that are under way.
        first, second = grid_in("oil", "ink"), grid_in("chalk", "lead")
        jobs = [grid.submit(executor=cluster.client) for grid in (first, second)]
        engine.may.set()
        errors = []
        for job in jobs:
            try:
                job.result()
            except BelugaError as error:
                errors.append(error)
        assert [error for error in errors if isinstance(error, OverBudgetError)]
        assert engine.struck.wait(60)
        budget = first._runner.resources.budget_of(first._runner.workspace().settings)
        assert engine.posts.total() <= budget.spent.images <= SHARED_CAP
        assert set(engine.posts.values()) == {1}
        cluster.client.wait_for_workers(2, timeout=60)
        reach_cap(engine, budget, grid_in, cluster.client)


def reach_cap(engine, budget, grid_in, client):
    """Spend what is left below the cap, and check that no more can be bought."""
    if left := SHARED_CAP - budget.spent.images:
        others = grid_in("pen", animals=[f"bee {each}" for each in range(left)])
        assert others.run(executor=client).counts["done"] == left
    with pytest.raises(OverBudgetError):
        grid_in("pen", animals=["ant"]).run(executor=client)
    assert engine.posts.total() <= budget.spent.images == SHARED_CAP


CAPPED = RUN.replace("sys.argv[3])", f"sys.argv[3], {HUNTED[:5]}, max_images={SHARED_CAP})")


@pytest.mark.posix
@pytest.mark.parametrize("number", rounds_of("client at the cap"))
def test_what_a_client_that_is_killed_had_reserved_counts_in_the_next_one(number, cluster, tmp_path):
    engine = Striking(500 + number)
    with on_a_port(with_call_ids(create_app(engine, key=KEY))) as base_url:

        def grid_in(*styles, animals=HUNTED[:5]):
            return hunted(tmp_path, base_url, animals, styles, max_images=SHARED_CAP)

        with child_with(CAPPED, cluster.address, tmp_path, base_url) as child:
            engine.arm(child.kill)
            assert engine.struck.wait(60)
            assert child.wait(60) == -signal.SIGKILL
        grid = grid_in("oil", "ink")
        budget = grid._runner.resources.budget_of(grid._runner.workspace().settings)
        reserved = budget.spent.images
        assert 2 <= engine.posts.total() <= reserved <= len(grid)
        grid.run(executor=cluster.client)
        assert grid.counts["done"] == engine.posts.total() == len(grid), (
            "what workers kept is not bought again"
        )
        assert set(engine.posts.values()) == {1}
        reach_cap(engine, budget, grid_in, cluster.client)


MACHINE = ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME")
"""The variables that lead to the folders of a machine."""


def machine(folder):
    """The environment of a machine of its own, which has nothing on disk."""
    folder.mkdir()
    return {name: str(folder / name) for name in MACHINE}


@pytest.fixture
def address(tmp_path, monkeypatch):
    """The address of a store that machines share, and nothing else."""
    s3 = pytest.importorskip("s3")
    pytest.importorskip("s3fs")
    with s3.S3().running() as server:
        here = machine(tmp_path / "here")
        for name, value in (s3.CREDENTIALS | here | {"AWS_ENDPOINT_URL": server.url}).items():
            monkeypatch.setenv(name, value)
        s3.close_drivers()
        yield "s3://bucket/study"
        s3.close_drivers()


SHARING = CAPPED.replace("max_images", "style=sys.argv[4:6], store=sys.argv[6], max_images")


@pytest.mark.posix
@pytest.mark.sampled(1)
@pytest.mark.parametrize("victim", ["worker", "all workers", "client"])
@pytest.mark.parametrize("number", rounds_of("machines"))
def test_a_cap_is_exact_over_machines_that_share_no_disk(number, victim, tmp_path, address):
    pytest.importorskip("distributed")
    engine = Gated(600 + number)
    with ExitStack() as stack:
        cluster = stack.enter_context(Cluster(tmp_path / "cluster", BELUGA_API_KEY=KEY))
        for each in range(2):
            cluster.start("", "--nanny", "--nthreads=2", **machine(tmp_path / f"worker {each}"))
        base_url = stack.enter_context(on_a_port(with_call_ids(create_app(engine, key=KEY))))

        def client(folder, *styles):
            words = cluster.address, tmp_path / folder, base_url, *styles, address
            return stack.enter_context(child_with(SHARING, *words, **machine(tmp_path / folder)))

        children = [client("one", "oil", "ink"), client("other", "chalk", "lead")]
        pids = list(cluster.client.run(os.getpid).values())
        victims = {"worker": pids[:1], "all workers": pids, "client": [children[0].pid]}
        engine.arm(lambda: kill(victims[victim]))
        engine.may.set()
        assert engine.struck.wait(60)
        for child in children:
            child.wait(120)
        cluster.client.wait_for_workers(2, timeout=60)

        def grid_in(*styles, animals=HUNTED[:5]):
            more = {"store": address, "max_images": SHARED_CAP}
            return hunted(tmp_path / "here", base_url, animals, styles, **more)

        grid = grid_in("pen")
        budget = grid._runner.resources.budget_of(grid._runner.workspace().settings)
        assert engine.posts.total() <= budget.spent.images <= SHARED_CAP
        assert set(engine.posts.values()) == {1}
        reach_cap(engine, budget, grid_in, cluster.client)


@pytest.mark.posix
@pytest.mark.parametrize("number", rounds_of("all workers"))
def test_all_workers_that_are_killed_make_no_second_purchase(number, cluster, tmp_path):
    engine = Striking(100 + number)
    with on_a_port(with_call_ids(create_app(engine, key=KEY))) as base_url:
        pids = list(cluster.client.run(os.getpid).values())
        engine.arm(lambda: kill(pids))
        error = run(hunted(tmp_path, base_url), cluster.client)
        assert engine.struck.is_set(), error
        cluster.client.wait_for_workers(2, timeout=60)
        check_end(engine, tmp_path, base_url, cluster.client, in_flight=AT_ONCE)


@pytest.mark.posix
@pytest.mark.parametrize("number", rounds_of("client"))
def test_what_a_client_that_is_killed_had_under_way_arrives_in_the_next_one(number, cluster, tmp_path):
    engine = Striking(200 + number)
    with on_a_port(with_call_ids(create_app(engine, key=KEY))) as base_url:
        with child_with(RUN, cluster.address, tmp_path, base_url) as child:
            engine.arm(child.kill)
            assert engine.struck.wait(60)
            assert child.wait(60) == -signal.SIGKILL
        check_end(engine, tmp_path, base_url, cluster.client, in_flight=0)


def test_a_second_kernel_that_runs_the_same_grid_on_the_same_cluster_buys_nothing_twice(cluster, tmp_path):
    engine = Striking(5)
    with (
        on_a_port(with_call_ids(create_app(engine, key=KEY))) as base_url,
        child_with(RUN, cluster.address, tmp_path, base_url) as child,
    ):
        until(lambda: engine.posts)
        # Before it looks for what the other one buys, its plan and what is under way must be within its cap.
        grid = hunted(tmp_path, base_url, max_images=2 * CELLS).run(executor=cluster.client)
        assert child.wait(60) == 0
    assert grid.counts["done"] == engine.posts.total() == CELLS
    budget = grid._runner.resources.budget_of(grid._runner.workspace().settings)
    assert budget.spent.images == CELLS


def test_a_client_that_is_closed_in_mid_run_loses_nothing_and_another_goes_on(cluster, tmp_path):
    from distributed import Client

    engine = Striking(6)
    with on_a_port(with_call_ids(create_app(engine, key=KEY))) as base_url:
        with Client(cluster.address, set_as_default=False) as client:
            job = hunted(tmp_path, base_url).submit(executor=client)
            until(lambda: engine.posts.total() > CELLS // 4)
        with pytest.raises(BelugaError):
            job.result()
        assert engine.posts.total() < CELLS
        grid = hunted(tmp_path, base_url).run(executor=cluster.client)
    assert grid.counts["done"] == engine.posts.total() == CELLS
    assert set(engine.posts.values()) == {1}


class Stepped(Striking):
    """Answers one call for each step, and all calls once `may` is set."""

    def __init__(self, seed):
        super().__init__(seed)
        self.may, self.steps = threading.Event(), threading.Semaphore(0)

    async def __call__(self, request):
        while not (self.may.is_set() or self.steps.acquire(blocking=False)):
            await asyncio.sleep(0.02)
        return await super().__call__(request)


def test_workers_of_an_adaptive_cluster_come_and_go_and_each_call_is_made_once(tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    monkeypatch.setenv("BELUGA_API_KEY", KEY)
    monkeypatch.setenv("REMOTE_ENGINES", str(tmp_path))
    engine = Stepped(7)
    with (
        on_a_port(with_call_ids(create_app(engine, key=KEY))) as base_url,
        distributed.LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0") as local,
        distributed.Client(local, set_as_default=False) as client,
    ):
        local.adapt(minimum=1, maximum=3, interval="100ms", wait_count=1, target_duration="1ms")
        grid = hunted(tmp_path, base_url)
        job = grid.submit(executor=client)
        until(lambda: len(client.nthreads()) == 2)
        # More calls are sent when workers have joined, so that the cluster grows further.
        for _ in range(CELLS // 2):
            engine.steps.release()
            with suppress(AssertionError):
                until(lambda: len(client.nthreads()) == 3, seconds=8)
                break
        assert len(client.nthreads()) == 3
        engine.may.set()
        job.result()
        assert grid.counts["done"] == engine.posts.total() == CELLS
        until(lambda: len(client.nthreads()) == 1)
        session = session_at(tmp_path / "s", engine="remote_engines:waiting_batches", progress=False)
        batches = grid_of(session)
        job = batches.submit(executor=client)
        until(lambda: len(client.nthreads()) > 1)
        (tmp_path / "go").touch()
        job.result()
        assert batches.counts["done"] == len(batches) == len([*tmp_path.glob("asked-*")])
        assert [*tmp_path.glob("batch-2-*")]
    assert set(engine.posts.values()) == {1}


@pytest.mark.posix
@pytest.mark.parametrize("number", rounds_of("scheduler"))
def test_a_scheduler_that_is_killed_loses_no_answer(number, cluster, tmp_path):
    engine = Striking(300 + number)
    with on_a_port(with_call_ids(create_app(engine, key=KEY))) as base_url:
        with Scheduler(tmp_path / "first", **cluster.environ) as first:
            first.start("", "--no-nanny", "--nthreads=4")
            engine.arm(lambda: kill([first.process.pid]))
            error = run(hunted(tmp_path, base_url), first.client)
            assert engine.struck.is_set(), error
        # Other workers, which have the same folder for their answers.
        check_end(engine, tmp_path, base_url, cluster.client, in_flight=AT_ONCE)


def test_no_key_is_in_a_task_in_the_dump_of_a_cluster_or_in_its_files(cluster, tmp_path):
    asked, go = threading.Event(), threading.Event()

    async def held(request):
        asked.set()
        while not go.is_set():
            await asyncio.sleep(0.02)
        return await drawing(request)

    with service(held) as base_url:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
        grid = grid_of(session_at(tmp_path / "s", environ=environ))
        job = grid.submit(executor=cluster.client)
        assert asked.wait(60)
        tasks = list(cluster.client.cluster.scheduler.tasks.values())
        assert tasks
        for task in tasks:
            assert not holds(pickle.dumps(task.run_spec))
        cluster.client.dump_cluster_state(str(tmp_path / "dump"))
        go.set()
        job.result()
    assert grid.counts["done"] == len(grid)
    [dump] = tmp_path.glob("dump*")
    state = gzip.decompress(dump.read_bytes())
    assert b"perform" in state
    assert not holds(state)
    assert leaks(cluster.folder) == leaks(tmp_path) == []
