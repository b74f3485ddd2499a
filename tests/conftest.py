"""What the tests share: real pictures, engines of five lines instead of mocks, and our own server."""

import contextlib
import gc
import os
import socket
import subprocess
import sys
import threading
import traceback
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from pathlib import Path

import hypothesis
import pytest
import sampling
import uvicorn
from drawings import Counting as Counting
from drawings import ask as ask
from drawings import drawing as drawing
from drawings import drawn as drawn
from leaks import KEY as KEY

# Where CI is set, a session replays and buys nothing: that is tried by tests of their own.
if in_ci := os.environ.pop("CI", ""):
    os.environ["TESTS_IN_CI"] = in_ci

from beluga_nb.server.app import create_app
from beluga_nb.server.connection import Connection
from beluga_nb.server.guard import Guard

TESTS = Path(__file__).parent

# How long an example may take is a matter of the machine and of what else it does.
hypothesis.settings.register_profile("any machine", deadline=None, max_examples=sampling.rounds(25, 100))
hypothesis.settings.load_profile("any machine")


CALL_ID = ContextVar("CALL_ID")
"""The `Idempotency-Key` of the request that an engine behind `with_call_ids` is asked for."""


def with_call_ids(app):
    """A service whose engine knows the id of each call, as one that bills each id once does."""

    async def wrapped(scope, receive, send):
        if scope["type"] == "http":
            CALL_ID.set(dict(scope["headers"]).get(b"idempotency-key"))
        await app(scope, receive, send)

    return wrapped


def service(engine, key=KEY):
    """Our own server in front of an engine, on a real port; yields its base URL."""
    return on_a_port(create_app(engine, key=key))


@contextlib.contextmanager
def on_a_port(app, log_level="error"):
    """An app on a real port, guarded as `serve` is; yields its base URL."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()  # who calls before the server runs waits, and is not refused
        config = uvicorn.Config(
            Guard(app, port=listening.getsockname()[1]),
            http=Connection,
            lifespan="off",
            log_level=log_level,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            server.should_exit = True
            thread.join(10)


@contextlib.contextmanager
def deaf():
    """A base URL whose queue is full: whoever connects waits."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


def everything_said(failed):
    """All that an error, its causes and what they hold can show."""
    texts, seen, todo = traceback.format_exception(failed), set(), [failed]
    while todo:
        thing = todo.pop()
        if id(thing) in seen or len(seen) > 5000:
            continue
        seen.add(id(thing))
        # Some hold 64 MiB, whose repr takes seconds; what containers hold is looked at by itself.
        if isinstance(thing, bytes | bytearray):
            texts.append(thing.decode("latin-1"))
        elif isinstance(thing, str):
            texts.append(thing)
        elif not isinstance(thing, dict | list | tuple | set):
            texts.append(repr(thing))
        if isinstance(thing, BaseException):
            todo += [thing.args, vars(thing), thing.__cause__, thing.__context__]
        elif isinstance(thing, dict):
            todo += [*thing, *thing.values()]
        elif isinstance(thing, list | tuple | set):
            todo += thing
        elif hasattr(thing, "__dict__"):
            todo.append(vars(thing))
        elif is_dataclass(thing):  # with slots
            todo += (getattr(thing, each.name) for each in fields(thing))
    return "".join(texts)


@pytest.fixture
def without_pauses(monkeypatch):
    """Fetch a picture that does not arrive again at once: many tests would wait for a second."""
    monkeypatch.setattr("beluga_nb.api.download.PAUSE", 0.01)


@pytest.fixture
def messages():
    """What a session prints for the person: pass `messages.append` as `notify`."""
    return []


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """A folder with the sdist, and the wheel out of it, as the release workflow builds them."""
    folder = tmp_path_factory.mktemp("dist")
    words = ["-m", "build", "--no-isolation", "--outdir", str(folder), str(TESTS.parent)]
    subprocess.run([sys.executable, *words], check=True, capture_output=True, timeout=120)
    return folder


@pytest.fixture(scope="session")
def wheel(built):
    [path] = built.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def with_wheel(wheel, tmp_path_factory):
    """An environment with the wheel and what it needs, and nothing else: to be copied, not changed."""
    from installed import Environment

    return Environment(tmp_path_factory.mktemp("wheel") / "env", str(wheel))


@pytest.fixture(scope="module", autouse=True)
def frozen():
    """Freeze what earlier files have left, or each `gc.collect()` of a test would look through it."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def closed():
    """Close the widgets of a test, which ipywidgets keeps, and with them keys.

    Every output is searched for all keys that are in use: a hundred would make each error ten times as slow.
    """
    yield
    if widgets := sys.modules.get("ipywidgets"):
        widgets.Widget.close_all()


HEAVY = (
    *("browser/test_panel.py", "test_engine_room.py", "test_notebooks.py", "browser/test_committed.py"),
    *("compare/test_on_workers.py", "widgets/test_controller.py", "browser/test_prose.py", "test_text.py"),
    *("compare/test_cluster.py", "test_kept.py", "test_fault_matrix.py", "test_readme.py"),
    *("magics/test_progress.py", "test_budget.py", "compare/test_pages.py", "browser/test_booth.py"),
    *("magics/test_commands.py", "test_frames.py", "test_metadata.py", "store/test_zips.py"),
    *("store/test_ours.py", "server/test_openapi.py", "config/test_project.py", "test_judging.py"),
    *("browser/test_outputs.py", "test_stopping.py", "test_injection.py", "browser/test_grid_print.py"),
    *("browser/test_ballot_page.py", "test_loop.py", "test_callers.py", "test_damaged.py"),
)
"""Files that take longest, from the longest on, but no three of them with a browser at the same time."""


def pytest_collection_modifyitems(config, items):
    items[:], left = sampling.chosen(items)
    config.hook.pytest_deselected(items=left)
    # Each worker takes whole files: one that began such a file last would end long after the others.
    places = {TESTS / path: place for place, path in enumerate(HEAVY)}
    items.sort(key=lambda item: places.get(item.path, len(places)))
    if os.name == "nt":
        for item in items:
            if item.get_closest_marker("posix"):
                item.add_marker(pytest.mark.skip(reason="It needs a POSIX system."))
