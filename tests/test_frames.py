"""What shows or keeps more than an error says: variables of frames, reports that are sent, pickles.

The key is in no variable of a frame that can raise, and no object that anyone can reach takes it along (S03).
"""

import asyncio
import contextlib
import copy
import dataclasses
import inspect
import io
import json
import os
import pickle
import socket
import subprocess
import sys
import traceback
from pathlib import Path

import pytest
from conftest import KEY, ask, deaf, drawing, on_a_port, service
from echoes import BODIES, HEADS, echoing
from leaks import holds

import beluga_nb
from beluga_nb.api.endpoint import endpoint_of, key_of
from beluga_nb.api.http import Http
from beluga_nb.config import keys
from beluga_nb.engines.upstream import upstream
from beluga_nb.errors import APIConnectionError, BelugaError
from beluga_nb.redaction import Environment, Secret
from beluga_nb.request import Request
from beluga_nb.server.app import create_app
from beluga_nb.server.child import Server
from beluga_nb.session.default import default
from beluga_nb.session.session import Session
from beluga_nb.widgets.panel import panel

cloudpickle = pytest.importorskip("cloudpickle")
dill = pytest.importorskip("dill")
rich_traceback = pytest.importorskip("rich.traceback")
rich_console = pytest.importorskip("rich.console")
sentry_sdk = pytest.importorskip("sentry_sdk")

BROKEN = {
    "malformed": f"{KEY} and more",
    "with Bearer": f"Bearer {KEY}",
    "invisible": f"{KEY[:9]}\u200e{KEY[9:]}",
}


def session_of(folder, base_url="http://127.0.0.1:9/v1", key=KEY, **more):
    environ = {"BELUGA_API_KEY": key, "BELUGA_BASE_URL": base_url, "OPENAI_API_KEY": key, **more}
    return Session(environ=environ, folder=folder, notify=lambda _: None, hidden=lambda _: key)


def asking(base_url="http://127.0.0.1:9/v1", **more):
    return lambda folder: session_of(folder, base_url, **more).generate("a fox", model="flux-2.0")


@contextlib.contextmanager
def always(call):
    yield call


@contextlib.contextmanager
def echoed(channel):
    with echoing(channel, lambda key: key) as base_url:
        yield asking(base_url)


@contextlib.contextmanager
def unanswered():
    with deaf() as base_url:
        yield (
            lambda folder: (
                (folder / "beluga.toml").write_text("timeout = 0.4\nconnect_timeout = 0.2\n")
                and asking(base_url, BELUGA_TRUST=str(folder))(folder)
            )
        )


@contextlib.contextmanager
def stopped():
    async def silent(scope, receive, send):
        await asyncio.sleep(60)

    with on_a_port(silent) as base_url:

        def call(folder):
            job = session_of(folder, base_url).submit("a fox", model="flux-2.0")
            with contextlib.suppress(TimeoutError):
                asyncio.run(asyncio.wait_for(asyncio.sleep(0.3), 1))
            job.cancel()
            job.result()

        yield call


@contextlib.contextmanager
def cut_off():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(5)

        def call(folder):
            import threading

            def hang_up():
                with contextlib.suppress(OSError):
                    listening.accept()[0].close()

            threading.Thread(target=hang_up, daemon=True).start()
            asking(f"http://127.0.0.1:{listening.getsockname()[1]}/v1")(folder)

        yield call


def is_asked_for(place, method=lambda session: session.generate):
    """A call that has the key in an argument."""

    def call(folder):
        asks = method(session_of(folder))
        answered = asks(**place())
        if inspect.iscoroutine(answered):
            asyncio.run(answered)

    return always(call)


def rerun(session):
    result = ask(drawing, Request(prompt="a fox", model="flux-2.0"))
    return dataclasses.replace(result, regenerate=session.generate).rerun


ASKED = {
    "prompt": lambda: {"prompt": f"a fox {KEY}"},
    "take": lambda: {"prompt": "a fox", "take": KEY},
    "model": lambda: {"prompt": "a fox", "model": KEY},
    "model of a server": lambda: {"prompt": "a fox", "model": f"lab:{KEY}", "n": 0},
    "size": lambda: {"prompt": "a fox", "size": KEY},
    "output_format": lambda: {"prompt": "a fox", "output_format": KEY},
    "endpoint": lambda: {"prompt": "a fox", "endpoint": KEY},
    "mode": lambda: {"prompt": "a fox", "mode": KEY},
    "prompt that is wrong otherwise": lambda: {"prompt": KEY, "n": -1},
    "value": lambda: {"prompt": "a {{animal}}", "values": {"animal": KEY}},
}
COMPARED = {
    "prompt": lambda: {"template": f"a fox {KEY}"},
    "prompts": lambda: {"template": ["a fox", KEY]},
    "labelled prompts": lambda: {"template": {KEY: "a fox"}},
    "axis": lambda: {"template": "a {{animal}}", "animal": ["fox", KEY]},
    "axis that the prompt has not": lambda: {"template": "a fox", "animal": ["fox", KEY]},
    "label": lambda: {"template": "a {{animal}}", "animal": {KEY: "fox"}},
    "name of an axis": lambda: {"template": "a fox", KEY: ["fox"]},
    "rows": lambda: {"template": "a {{animal}}", "rows": [{"animal": "fox", "note": KEY}]},
    "replacement": lambda: {"template": "a fox", "replace": {"fox": ["owl", KEY]}},
    "pairs": lambda: {"template": "a {{animal}}", "animal": ["fox"], "pairs": [KEY]},
}
"""Arguments with a key in them, by where."""

ASKING = {
    "generate": lambda session: session.generate,
    "agenerate": lambda session: session.agenerate,
    "submit": lambda session: session.submit,
    "plan": lambda session: session.plan,
    "rerun": rerun,
}
COMPARING = {
    "grid": lambda session: session.grid,
    "extend": lambda session: session.grid("a {{animal}}", animal=["cat"], model="flux-2.0").extend,
}
"""Who takes them."""


def logs_in(folder, key):
    session_of(folder, key=key).login()


FAILURES = {
    **{f"an echo: {each}": lambda each=each: echoed(each) for each in [*BODIES, *HEADS]},
    "nobody there": lambda: always(asking()),
    "nobody answers": unanswered,
    "stopped": stopped,
    "cut off": cut_off,
    "not the service's": lambda: always(asking("https://api.belugapi.com/v1", key=f"sk-{KEY}")),
    "a bad address": lambda: always(asking("http://lab.example/v1")),
    "a bad setting": lambda: always(asking(BELUGA_MODE="later")),
    "a server that does not start": lambda: always(
        lambda _: Server.start(command=(sys.executable, "-c", "import sys; sys.exit(3)"))
    ),
    "no such file": lambda: always(lambda folder: session_of(folder).open("none.png")),
    "no such model": lambda: always(lambda folder: session_of(folder).generate("a fox", model="none")),
    "an upstream": lambda: always(lambda _: upstream("ftp://x", {"BELUGA_UPSTREAM_KEY": KEY})),
    **{f"a key that is {name}": lambda key=key: always(asking(key=key)) for name, key in BROKEN.items()},
    **{
        f"a typed key that is {name}": lambda key=key: always(lambda folder, key=key: logs_in(folder, key))
        for name, key in BROKEN.items()
    },
    **{
        f"a given key that is {name}": lambda key=key: always(
            lambda folder, key=key: Session(api_key=key, environ={}, folder=folder).generate("a fox")
        )
        for name, key in BROKEN.items()
    },
    **{
        f"{method}: a key as {where}": lambda place=place, asks=asks: is_asked_for(place, asks)
        for places, methods in ((ASKED, ASKING), (COMPARED, COMPARING))
        for method, asks in methods.items()
        for where, place in places.items()
    },
}
"""Calls that fail, by why."""

# Those that have it are the test's own: what a person writes into a cell is that person's to take out.
OURS = str(Path(beluga_nb.__file__).parent)


def failure(name, folder):
    """Return the error of a call, without the frames of this file."""
    with FAILURES[name]() as call:
        try:
            call(folder)
        except (BelugaError, asyncio.CancelledError) as error:
            return without_frames_of_this_file(error)
    return None


def without_frames_of_this_file(error):
    todo, seen = [error], set()
    while todo:
        each = todo.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        trace = each.__traceback__
        while trace and trace.tb_frame.f_code.co_filename == __file__:
            trace = trace.tb_next
        each.__traceback__ = trace
        todo += [each.__cause__, each.__context__]
    return error


def as_python_shows_it(error):
    whole = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(whole.format())


def as_rich_shows_it(error):
    console = rich_console.Console(file=(out := io.StringIO()), width=4000)
    trace = rich_traceback.Traceback.from_exception(
        type(error),
        error,
        error.__traceback__,
        show_locals=True,
        locals_max_length=999,
        locals_max_string=99_999,
        locals_hide_dunder=False,
        locals_hide_sunder=False,
        max_frames=0,
    )
    console.print(trace)
    return out.getvalue()


def as_sentry_sends_it(error):
    events = []

    class Kept(sentry_sdk.transport.Transport):
        def capture_envelope(self, envelope):
            events.append(envelope.serialize())

    # As little as possible is taken out by the SDK itself; what it hears of other tests is not in it.
    client = sentry_sdk.Client(
        "http://nobody@127.0.0.1:9/1",
        transport=Kept,
        include_local_variables=True,
        event_scrubber=None,
        max_value_length=10**6,
        default_integrations=False,
    )
    event, hint = sentry_sdk.utils.event_from_exception(error, client_options=client.options)
    client.capture_event(event, hint, scope=sentry_sdk.Scope())
    client.close()
    assert events
    return b"".join(events)


SHOWN = {"Python": as_python_shows_it, "rich": as_rich_shows_it, "Sentry": as_sentry_sends_it}


@pytest.mark.sampled(14)
@pytest.mark.parametrize("name", FAILURES)
def test_no_variable_of_a_frame_holds_the_key(name, tmp_path, monkeypatch):
    monkeypatch.setenv("BELUGA_API_KEY", KEY)  # no frame has the process's environment either
    error = failure(name, tmp_path)
    if error is None:  # some echoes are pictures
        assert name.startswith("an echo")
        return
    assert OURS in "".join(traceback.format_exception(error))
    for who, shows in SHOWN.items():
        assert not holds(shows(error)), (who, shows(error))


def test_what_sentrys_own_integrations_hear_of_it_holds_no_key(tmp_path):
    script = Path(__file__).with_name("reports.py")
    there = os.pathsep.join([str(Path(OURS).parent), str(script.parent)])
    output = subprocess.run(
        [sys.executable, script, tmp_path],
        env={**os.environ, "PYTHONPATH": there},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    counts = f"{len(FAILURES)} calls, 0 not heard of, 0 with the key"
    assert output.stdout.splitlines() == [counts, "heard"], output.stdout + output.stderr


def test_what_shows_variables_would_show_a_key():
    def fails():
        key = KEY
        raise APIConnectionError(f"No way, {len(key)}.")

    with pytest.raises(APIConnectionError) as failed:
        fails()
    for shows in SHOWN.values():
        assert holds(shows(failed.value))


# --- pickles

PICKLERS = {
    "pickle": pickle.dumps,
    "cloudpickle": cloudpickle.dumps,
    "dill": dill.dumps,
    "dill, by value": lambda thing: dill.dumps(thing, byref=False, recurse=True),
    "copy": lambda thing: dill.dumps(copy.copy(thing)),
    "deepcopy": lambda thing: dill.dumps(copy.deepcopy(thing)),
}


@pytest.fixture
def things(tmp_path, monkeypatch):
    """Everything that a notebook can lay hands on, of a session with a key."""
    monkeypatch.setenv("BELUGA_API_KEY", KEY)
    monkeypatch.setenv("BELUGA_LAB_API_KEY", KEY)
    monkeypatch.setenv("BELUGA_TRUST", str(tmp_path))
    (tmp_path / "beluga.toml").write_text('[endpoints.lab]\nbase_url = "http://127.0.0.1:9/v1"\n')
    with service(drawing) as base_url:
        monkeypatch.setenv("BELUGA_BASE_URL", base_url)
        monkeypatch.chdir(tmp_path)
        session = Session(folder=tmp_path, api_key=KEY, notify=lambda _: None)
        result = session.generate("a fox", model="flux-2.0", n=2)
        grid = session.grid("a {{animal}}", model="flux-2.0", animal=["cat", "fox"]).run()
        now = session.settings()
        secret = Secret(KEY, "a test")
        named = now.endpoints["lab"]
        with pytest.raises(BelugaError) as failed:
            session.generate("a fox", model="none")
        yield {
            "default": default,
            "default.preferences": default.preferences,
            "default.generate": default.generate,
            "beluga_nb.generate": beluga_nb.generate,
            "session": session,
            "session.resources": session.resources,
            "session.preferences": session.preferences,
            "session.generate": session.generate,
            "session.budget": session.budget,
            "notify": session.resources.notify,
            "the finder of keys": session.resources.keys,
            "the environment": session.resources.environment,
            "an environment": Environment({"BELUGA_API_KEY": KEY}),
            "settings": now,
            "result": result,
            "result.pictures": result.pictures,
            "result.rerun": result.rerun,
            "grid": grid,
            "grid.run": grid.run,
            "history": session.store.history(),
            "plan": session.plan("a fox", model="flux-2.0"),
            "panel": panel(session),
            "panel.controller": vars(panel(session)),
            "engines": dict(session.resources.room._services),
            "the engine room": session.resources.room,
            "engine": Http(session.resources.backend(now).endpoint()),
            "endpoint": session.resources.backend(now).endpoint(),
            "named endpoint": endpoint_of(now, named, key_of(named, session.resources.environment)),
            "an upstream": upstream(base_url, {"BELUGA_UPSTREAM_KEY": KEY}),
            "an app": create_app(drawing, key=KEY),
            "a secret": secret,
            "made up": session.resources._local_key,
            "an error": failed.value,
            "a function that asks": lambda: session.generate("a fox"),
            "a function that asks by default": lambda: default.generate("a fox"),
            "a vault": keys.KEY_SOURCES,
        }
        session.close()


def pickled(dumps, thing):
    """Return what a pickler writes, or what it says of why it cannot, and whether it could."""
    try:
        return dumps(thing), True
    except Exception as error:  # each has its own
        return f"{error} {error!r}".encode(), False


def test_no_pickle_of_anything_holds_the_key(things):
    made = {}
    for name, thing in things.items():
        for how, dumps in PICKLERS.items():
            written, done = pickled(dumps, thing)
            assert not holds(written), (name, how)
            made.setdefault(how, []).extend([name] * done)
    assert {"default", "settings", "result", "an error", "plan"} <= set(made["pickle"])
    assert {"a function that asks by default", "default.generate"} <= set(made["cloudpickle"])
    assert {"a secret", "session", "the environment", "an environment"}.isdisjoint(
        {*made["pickle"], *made["dill"], *made["copy"]}
    )


@pytest.mark.parametrize("library", [pickle, cloudpickle, dill])
def test_the_default_session_is_the_default_session_elsewhere(library):
    assert library.loads(library.dumps(default)) is default
    assert library.loads(library.dumps(default.generate)).__self__ is default
    assert library.loads(library.dumps({"ask": default.generate}))["ask"].__self__ is default


def test_nothing_that_json_or_vars_can_see_holds_the_key(things):
    for name, thing in things.items():
        shown = repr(thing) + str(thing)
        with contextlib.suppress(TypeError):
            shown += repr(vars(thing))
        with contextlib.suppress(TypeError):
            shown += json.dumps(vars(thing), default=repr)
        assert not holds(shown), name
