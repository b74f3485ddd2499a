"""The key is nowhere: not in an output, a traceback in any mode, a log, the store, a child (S03, S07, S10).

Every failure is run in a real kernel, in each of IPython's traceback modes, and everything that came out or
was written is searched for the key in all its spellings.
"""

import base64

import pytest
from conftest import KEY, drawing, on_a_port, service
from kernels import Kernel
from leaks import different, holds, leaks, spellings

from beluga_nb.errors import APIStatusError, OutcomeUnknownError
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result

MODES = ["Plain", "Context", "Verbose", "Minimal"]

ENVIRON = "environ({"  # how a frame's locals would show the environment, and with it the key


async def broken(request: Request) -> Result:
    raise OutcomeUnknownError("The provider failed.", status=502)


async def poor(request: Request) -> Result:
    raise APIStatusError("Your balance is too low.", status=402)


async def no_picture(request: Request) -> Result:
    return Result.of(request, [ImagePayload(b"no picture")], engine="odd")


def saying(status, body, *headers):
    """An app that gives one answer to everything, with the key that it was given in it."""

    async def app(scope, receive, send):
        key = dict(scope["headers"]).get(b"authorization", b"")
        sent = [(name, value.replace(b"KEY", key)) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": sent})
        await send({"type": "http.response.body", "body": written(body, key)})

    return app


def written(body, key):
    ways = {
        b"KEY": key,
        b"BROKEN": "\\u200e".join(key.decode()).encode(),
        b"DIGITS": key.hex().encode(),
        b"PERCENT": "".join(f"%{byte:02x}" for byte in key).encode(),
        b"BASE64": base64.b64encode(key),
    }
    for name, way in ways.items():
        body = body.replace(name, way)
    return body


APPS = {
    "a 401 that repeats the key": saying(401, b'{"error": {"message": "wrong key: KEY", "code": "KEY"}}'),
    "a redirect": saying(307, b"", (b"location", b"https://elsewhere.example/?key=KEY")),
    "no JSON": saying(200, b"<html>KEY</html>"),
    "a 500 that repeats the key": saying(500, b"KEY"),
    "a header that repeats the key": saying(200, b'{"data": []}', (b"x-request-id", b"KEY")),
    "the key, broken": saying(400, b'{"error": {"message": "BROKEN", "code": "DIGITS"}}'),
    "the key, escaped": saying(500, b'{"error": {"message": "PERCENT or BASE64"}}'),
}
ENGINES = {
    "a provider that fails": broken,
    "no balance": poor,
    "no picture": no_picture,
    "a picture": drawing,
}

CELL = "%beluga --mode auto --take {} a fox"


@pytest.fixture(scope="module", params=MODES)
def kernel(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    environ = {"BELUGA_BASE_URL": "http://127.0.0.1:9/v1", "BELUGA_TRUST": str(folder)}
    with Kernel(folder, BELUGA_API_KEY=KEY, **environ) as running:
        running.folder, running.seen = folder, []
        (folder / "beluga.toml").write_text("timeout = 2\n")
        run(running, "import logging, os; logging.basicConfig(level=logging.DEBUG, filename='debug.log')")
        run(running, f"%load_ext beluga_nb\n%xmode {request.param}")
        yield running


def run(kernel, cell, **how):
    shown = kernel.run(cell, **how)
    kernel.seen.append(shown)
    return shown


def fail_at(kernel, base_url, name):
    """Ask there, and then for the whole traceback, which shows each frame's variables in mode Verbose."""
    run(kernel, f"os.environ['BELUGA_BASE_URL'] = {base_url!r}")
    shown = run(kernel, CELL.format(name.replace(" ", "-")))
    run(kernel, "%tb")
    return shown


def test_s03_no_failure_shows_the_key(kernel):
    for name, engine in ENGINES.items():
        with service(engine) as base_url:
            assert fail_at(kernel, base_url, name).status == ("ok" if engine is drawing else "error")
    for name, app in APPS.items():
        with on_a_port(app) as base_url:
            assert fail_at(kernel, base_url, name).status == "error"
    assert fail_at(kernel, "http://127.0.0.1:9/v1", "nobody there").status == "error"
    assert fail_at(kernel, "https://user:word@127.0.0.1/v1", "a bad address").status == "error"


def test_s03_no_interrupt_shows_the_key(kernel):
    async def slow(scope, receive, send):
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
            while (await receive())["type"] != "http.disconnect":
                pass

    with on_a_port(slow) as base_url:
        run(kernel, f"os.environ['BELUGA_BASE_URL'] = {base_url!r}")
        run(kernel, "import threading, _thread; threading.Timer(0.7, _thread.interrupt_main).start()")
        shown = run(kernel, CELL.format("stopped"))
        assert "KeyboardInterrupt" in "".join(shown.error)
        run(kernel, "%tb")


def test_s03_no_store_that_is_full_shows_the_key(kernel):
    (kernel.folder / "blocked").write_text("a file where the folder should be")
    with service(drawing) as base_url:
        run(kernel, f"os.environ.update(BELUGA_BASE_URL={base_url!r}, BELUGA_STORE='blocked')")
        assert "cannot be recorded" in run(kernel, CELL.format("blocked")).stdout
        run(kernel, "del os.environ['BELUGA_STORE']")


@pytest.mark.posix
def test_s17_the_child_does_not_get_the_key(kernel):
    shown = run(kernel, "server = %beluga serve\nfrom pathlib import Path\nprint(server.pid)")
    child = f"/proc/{int(shown.stdout)}"
    with open(f"{child}/environ", "rb") as environ, open(f"{child}/cmdline", "rb") as words:
        assert KEY.encode() not in environ.read() + words.read()
    run(kernel, "%beluga serve --stop")


def test_s10_the_key_is_nowhere(kernel):
    """The last of them: it looks at all that the others left."""
    run(kernel, "%beluga")
    run(kernel, "%config")
    logging_shown = run(kernel, "logging.getLogger().handlers[0].flush()")
    assert logging_shown.status == "ok"
    assert len(kernel.seen) > 25
    for shown in kernel.seen:
        assert not holds(shown.everything), shown
        assert ENVIRON not in shown.everything
    log = (kernel.folder / "debug.log").read_text()
    assert "DEBUG:beluga_nb:POST http://127.0.0.1" in log
    assert "httpcore" not in log
    assert leaks(kernel.folder) == []


def test_a_leak_would_be_found(tmp_path):
    key = "bapi_a-key-for-this-test-only"
    for number, spelling in enumerate(spellings(key)):
        (tmp_path / f"{number}.txt").write_bytes(b"xx" + spelling + b"yy")
    assert len(leaks(tmp_path, key)) == len(spellings(key))


def test_of_files_with_the_same_bytes_one_is_searched(tmp_path):
    paths = [tmp_path / f"{number}.txt" for number in range(5)]
    for path, data in zip(paths, [b"one", b"two", b"one", b"three", b"two"], strict=True):
        path.write_bytes(data)
    assert different(paths) == [paths[0], paths[1], paths[3]]
