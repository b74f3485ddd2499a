"""The workers of a real Dask cluster are asked first: what is missing there is two lines here, at once."""

import asyncio
import concurrent.futures
import importlib
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import dots
import pytest
from clusters import Cluster, Scheduler
from conftest import drawn

from beluga_nb import __version__
from beluga_nb.compare import cluster
from beluga_nb.compare.executors import each
from beluga_nb.compare.metrics import of_bytes, sharpness
from beluga_nb.errors import RequestError
from beluga_nb.request import Request

distributed = pytest.importorskip("distributed")

pytestmark = [
    # Dask's own sockets and event loop, at their end.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

SOON = 15  # seconds; without being asked first, a call waited more than 200

LACKS = """
import sys
class Lacking:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(f"No module named '{{name}}'", name=name)
sys.meta_path.insert(0, Lacking())
"""
ANOTHER = "import beluga_nb\nbeluga_nb.__version__ = {version!r}\n"


@pytest.fixture
def workers(tmp_path):
    with Cluster(tmp_path) as started:
        yield started


@pytest.fixture(scope="module")
def two_workers(tmp_path_factory):
    with Cluster(tmp_path_factory.mktemp("two")) as started:
        started.start(count=2)
        yield started


@pytest.fixture(scope="module", params=["--nanny", "--no-nanny"])
def one_worker(request, tmp_path_factory):
    """A cluster with one worker that has everything, and how workers are started in it."""
    with Cluster(tmp_path_factory.mktemp("one")) as started:
        started.start("", request.param)
        yield started, request.param


def measured(client, metric, count=6, **how):
    """The outcomes of a metric, for a picture each."""
    calls = [(metric, PICTURE, None)] * count
    return [outcome for _, outcome in each(of_bytes, calls, executor=client, metric=metric, **how)]


def refusal(client, metric):
    began = time.monotonic()
    with pytest.raises(RequestError) as caught:
        measured(client, metric)
    assert time.monotonic() - began < SOON
    assert len(str(caught.value).splitlines()) == 2
    return caught.value.message, caught.value.hint


PICTURE = drawn(Request(prompt="a fox", model="flux-2.0"), 0)
INSTALL = f"Install beluga_nb {__version__} where the workers run, and start them again."


def by_hand(image):
    """As if it had been written in a notebook: it travels by its code, and `dots` does not."""
    return dots.red(image)


by_hand.__module__ = "__main__"


@pytest.mark.parametrize(
    "metric",
    [sharpness, dots.red, partial(dots.red), by_hand],
    ids=["ours", "a module's", "partial", "by hand"],
)
def test_workers_that_have_everything_measure(two_workers, metric):
    found = measured(two_workers.client, metric)
    assert len(set(found)) == 1
    assert isinstance(found[0], float | int)


CASES = {
    "the package": (
        (LACKS, {"names": ["beluga_nb"]}),
        [sharpness],
        ("beluga_nb is missing on 1 of 2 workers of the cluster: No module named 'beluga_nb'.", INSTALL),
    ),
    "a library of ours": (
        (LACKS, {"names": ["PIL", "numpy"]}),
        [sharpness],
        (
            "The module 'beluga_nb.compare.metrics' is missing on 1 of 2 workers of the cluster: "
            "No module named 'numpy'.",
            "Install it where the workers run.",
        ),
    ),
    "an older version": (
        (ANOTHER, {"version": "0.0.1"}),
        [sharpness],
        (f"beluga_nb is 0.0.1 on 1 of 2 workers of the cluster; here it is {__version__}.", INSTALL),
    ),
    "a newer version": (
        (ANOTHER, {"version": "9.0"}),
        [sharpness],
        (f"beluga_nb is 9.0 on 1 of 2 workers of the cluster; here it is {__version__}.", INSTALL),
    ),
    "the module of a metric, of its part, and of a cell's": (
        (LACKS, {"names": ["dots"]}),
        [dots.red, partial(dots.red), by_hand],
        (
            "The module 'dots' is missing on 1 of 2 workers of the cluster: No module named 'dots'.",
            "Install it where the workers run, or send it: client.upload_file('dots.py').",
        ),
    ),
}


@pytest.mark.sampled(3)
@pytest.mark.parametrize("what", CASES)
def test_what_a_worker_lacks_is_reported_at_once_with_its_remedy(one_worker, what):
    (start, words), metrics, expected = CASES[what]
    workers, nanny = one_worker
    workers.start(start.format(**words), nanny)
    try:
        for metric in metrics:
            assert refusal(workers.client, metric) == expected, metric
        assert len(workers.client.nthreads()) == 2  # and none has ended of it
        assert all(each.poll() is None for each in workers.workers)
    finally:
        workers.end_last()


def test_a_module_that_is_sent_is_there(workers, tmp_path, monkeypatch):
    (tmp_path / "width_of_ours.py").write_text("def width(image):\n    return image.width\n")
    monkeypatch.syspath_prepend(tmp_path)
    metric = importlib.import_module("width_of_ours").width
    workers.start()
    assert refusal(workers.client, metric)[1].endswith("client.upload_file('width_of_ours.py').")
    workers.client.upload_file(str(tmp_path / "width_of_ours.py"))
    assert measured(workers.client, metric) == [96] * 6


def test_a_cluster_without_workers_is_not_waited_for(workers):
    message, hint = refusal(workers.client, sharpness)
    assert message == "The cluster has no workers."
    assert hint == "Start some first: cluster.scale(2), or adapt(minimum=1)."


def test_a_worker_that_joins_later_is_asked_too(workers):
    workers.start()
    outcomes = each(dots.resting, [(0.2,)] * 200, executor=workers.client)
    next(outcomes)
    workers.start(LACKS.format(names=["beluga_nb"]))
    with pytest.raises(RequestError, match="beluga_nb is missing on 1 of 1 workers"):
        list(outcomes)


def test_a_worker_that_dies_is_started_again_and_its_picture_has_an_error(workers):
    workers.start("", "--nanny")
    workers.client.cluster.scheduler.allowed_failures = 0  # a second death could come before its nanny looks
    deadline = time.monotonic() + 60
    while not all(workers.client.run(dots.is_running, nanny=True).values()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = [outcome for _, outcome in each(dots.dying, [(1,)], executor=workers.client)]
    assert [type(each).__name__ for each in found] == ["KilledWorker"]
    workers.client.wait_for_workers(1, timeout=60)
    assert len(measured(workers.client, sharpness)) == 6


def test_a_worker_that_dies_once_costs_nothing(workers, tmp_path):
    workers.start("", "--nanny")
    (tmp_path / "alive").touch()
    calls = [(str(tmp_path / "alive"), number) for number in range(6)]
    found = dict(each(dots.dying_once, calls, executor=workers.client))
    assert found == {number: number for number in range(6)}


def test_when_the_last_worker_is_gone_nobody_waits_for_ever(workers, monkeypatch):
    monkeypatch.setattr(cluster, "EMPTY_FOR", 2.0)
    workers.start("", "--no-nanny")
    began = time.monotonic()
    with pytest.raises(RequestError) as caught:
        list(each(dots.dying, [(1,)], executor=workers.client))
    assert time.monotonic() - began < SOON
    assert caught.value.message == "The cluster has had no workers for 2 seconds."


def test_a_client_that_is_asynchronous_is_two_lines(two_workers):
    async def asked():
        async with distributed.Client(two_workers.address, asynchronous=True) as client:
            with pytest.raises(RequestError, match="The client is asynchronous"):
                measured(client, sharpness)

    asyncio.run(asked())


WAITS = {
    "the workers": lambda client, _: cluster.present_in(client),
    "a function on workers": lambda client, _: cluster.run_on(client, ["tcp://127.0.0.1:1"], os.getpid),
    "a ticket that is issued": lambda client, ticket: ticket.issue(client),
    "a ticket that is taken": lambda client, ticket: ticket.take(client),
    "a result": lambda client, _: cluster.reply(client, client.submit(os.getpid).result),
}


@pytest.fixture(scope="module")
def scheduler(tmp_path_factory):
    with Scheduler(tmp_path_factory.mktemp("scheduler")) as running:
        yield running


@pytest.mark.posix
@pytest.mark.parametrize("is_late", [False, True], ids=["before", "while it ends"])
@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS)
def test_who_waits_for_a_client_is_told_when_another_thread_closes_it(wait, is_late, scheduler, monkeypatch):
    monkeypatch.setattr(cluster, "CLOSED_CHECK", 0.05)
    ended = threading.Event()
    with ThreadPoolExecutor() as pool:
        client = distributed.Client(scheduler.address, set_as_default=False)

        def end():
            """Do what `close` does at its end, and let the loop run on for a while, as it may."""
            asyncio.get_running_loop().run_in_executor(None, ended.wait)
            client.status = "closed"
            client.loop.stop()

        try:
            os.kill(scheduler.process.pid, signal.SIGSTOP)  # It answers nothing.
            if is_late:
                client.loop.add_callback(end)
            waiting = pool.submit(wait, client, cluster.SchedulerTicket("a call"))
            if not is_late:
                assert not concurrent.futures.wait([waiting], 4 * cluster.CLOSED_CHECK).done
                client.loop.add_callback(end)
            with pytest.raises(ConnectionError, match="The client was closed"):
                waiting.result(SOON)
        finally:
            ended.set()
            os.kill(scheduler.process.pid, signal.SIGCONT)
