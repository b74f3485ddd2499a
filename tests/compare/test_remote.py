"""A grid on workers equals the grid at home, to the byte; and what a worker lacks is said before anything."""

import json
import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import ExitStack, suppress

import pytest
import remote_engines
from clusters import Cluster
from conftest import KEY, drawing, service
from leaks import leaks
from remote_engines import mixed

from beluga_nb.engines import worker
from beluga_nb.errors import NotRecordedError, OverBudgetError, RequestError, SettingsError
from beluga_nb.session.session import Session

pytestmark = [
    # Dask's own sockets and event loop, at their end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

PASSING = re.compile(rb'"created": ?(?!1750000000)[0-9]+|req_[0-9a-f]+')
"""When a model declined or the painter drew, and ids of requests: the other engines name one second."""

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
    """Two workers that have the key, and a folder for each one's journal."""
    pytest.importorskip("distributed")
    folder = tmp_path_factory.mktemp("cluster")
    with Cluster(folder, BELUGA_API_KEY=KEY, XDG_STATE_HOME=str(folder / "state")) as running:
        running.start(count=2)
        yield running


def grid_of(session, **more):
    return session.grid("a {{animal}}, {{style}}", animal=ANIMALS, style=["oil", "ink"], **more)


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
            home = grid_of(session_at(tmp_path / f"{name}, home", **how)).run()
            there = grid_of(session_at(tmp_path / f"{name}, there", **how))
            there.run(executor=cluster.client)
            check_same(there, home, name)
            again = grid_of(
                Session(folder=tmp_path / f"{name}, there", mode="replay", **{"environ": {}, **how})
            )
            with suppress(NotRecordedError):  # of what has failed
                again.run()
            assert again.counts["done"] == home.counts["done"]
    assert leaks(cluster.folder) == leaks(tmp_path) == []
    assert list(cluster.folder.rglob("*.answer*")) == list(cluster.folder.rglob("*.claim.*")) == []


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
    ],
)
def test_a_path_that_names_no_engine_is_two_lines(path, reason, tmp_path):
    with pytest.raises(SettingsError) as caught:
        session_at(tmp_path / "s", engine=path).generate("a fox")
    assert caught.value.message.startswith(reason)
    assert caught.value.outcome == "not_sent"


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
    cluster.start("import os\nos.environ.pop('BELUGA_API_KEY')", "--no-nanny")
    try:
        environ = {"BELUGA_API_KEY": KEY}
        assert asked_of(cluster.client, tmp_path / "key", environ=environ) == (
            "On 1 of 3 workers of the cluster: A worker has no key for belugapi; nothing was sent.",
            "Set BELUGA_API_KEY where the workers run, and start them again: no key is sent to them.",
        )
    finally:
        cluster.end_last()


def test_a_cap_is_exact_over_all_workers(tmp_path, cluster):
    grid = grid_of(session_at(tmp_path / "s", engine="remote_engines:drawing", max_images=9))
    with pytest.raises(OverBudgetError):
        grid.run(executor=cluster.client)  # 14 at once are refused before anything is sent
    first = grid.where(style="oil").run(executor=cluster.client)
    assert first.counts["done"] == 7
    with pytest.raises(OverBudgetError):
        grid.run(executor=cluster.client)
    assert grid._runner.resources.budget.spent.images == 7
