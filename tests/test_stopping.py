"""Stop, in a real kernel and with both bridges: whatever a call does, the cell ends soon, nothing is lost.

The bounds here are loose: they catch a cell that waits for the network, the machine may be busy.
"""

import asyncio
import base64
import gc
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import KEY, deaf, drawn, on_a_port
from kernels import Kernel, clean_environment

from beluga_nb.request import Request
from beluga_nb.session.session import Session
from beluga_nb.session.watching import calling
from beluga_nb.store import pending
from beluga_nb.store.records import Store

SOON = 4
"""Seconds: no call that is not stopped ends before."""

A_MOMENT = 0.5
"""Seconds in which the client has read what was sent to it."""

LOST = "1 call may have been charged without a result"

SLOW_DECODING = """
import threading
import beluga_nb.result as validation
decode, decoding = validation.shared, threading.Event()
def slowly(data, **options):
    print("decoding", flush=True)
    decoding.wait(2.5)
    return decode(data, **options)
"""


class Service:
    """The API, which does as the prompt says, and remembers what it was asked and who hung up."""

    def __init__(self):
        self.posts, self.reached, self.left = [], threading.Event(), threading.Event()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http" and scope["method"] == "GET":
            await self.download(scope["path"], receive, send)
        elif scope["type"] == "http":
            await self.post(scope, receive, send)

    async def post(self, scope, receive, send):
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        prompt = json.loads(body + message["body"])["prompt"]
        self.posts.append(prompt)
        if "silent" in prompt:
            await self.stall(receive)
        elif "busy" in prompt:
            await answer(send, 429, b'{"error": {"message": "Later."}}', (b"retry-after", b"30"))
            self.reached.set()
        elif "link" in prompt:
            host = dict(scope["headers"])[b"host"].decode()
            items = [{"url": f"http://{host}/{name}.png"} for name in ("good", "stalled")]
            await answer(send, 200, json.dumps({"created": 1, "data": items}).encode())
        else:
            items = [{"b64_json": base64.b64encode(PICTURE).decode()}]
            await answer(send, 200, json.dumps({"created": 1, "data": items}).encode())

    async def download(self, path, receive, send):
        if path == "/good.png":
            return await answer(send, 200, PICTURE)
        headers = [(b"content-length", str(len(PICTURE)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": PICTURE[:100], "more_body": True})
        await self.stall(receive)

    async def stall(self, receive):
        self.reached.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.left.set()


async def answer(send, status, body, *headers):
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


PICTURE = drawn(Request(prompt="a fox", model="flux-2.0"), 0)


@pytest.fixture(scope="module", params=["thread", "nested"])
def bridge(request):
    return request.param


@pytest.fixture(scope="module")
def kernel(bridge, tmp_path_factory):
    folder = tmp_path_factory.mktemp(bridge)
    (folder / "beluga.toml").write_text(f'bridge = "{bridge}"')
    with Kernel(folder, BELUGA_API_KEY=KEY, BELUGA_MODEL="flux-2.0") as running:
        assert (
            running.run("%load_ext beluga_nb\nimport asyncio, os, beluga_nb.session.default").status == "ok"
        )
        yield running


@pytest.fixture
def service(kernel, tmp_path):
    service = Service()
    with on_a_port(service) as base_url:
        kernel.store = tmp_path / "store"
        environ = {"BELUGA_BASE_URL": base_url, "BELUGA_STORE": str(kernel.store)}
        assert kernel.run(f"os.environ.update({environ})").status == "ok"
        yield service


def stopped(kernel, cell, reached, *, presses=1, apart=0.05):
    """Run a cell, press Stop once it got there, and return what it showed; `seconds` count from the press."""
    number = kernel.start(cell)
    assert reached.wait(30)
    time.sleep(A_MOMENT)
    pressed = time.monotonic()
    for press in range(presses):
        time.sleep(apart if press else 0)
        kernel.manager.interrupt_kernel()
    shown = kernel.finish(number)
    shown.seconds = time.monotonic() - pressed
    print(f"idle after {shown.seconds:.2f} s")
    assert shown.seconds < SOON
    if presses > 1:  # the second may come while IPython is still writing down the first
        return shown
    assert shown.status == "error"
    assert any(name in "".join(shown.error) for name in ("KeyboardInterrupt", "CancelledError"))
    return shown


def unfinished(kernel):
    """What `%beluga` says of calls without a known end."""
    [text] = kernel.run("%beluga").texts
    return [line.split(maxsplit=1)[1] for line in text.splitlines() if line.startswith("unfinished")]


def recorded(kernel):
    return [json.loads(path.read_text())["sample"] for path in kernel.store.glob("records/**/*.json")]


def goes_on(kernel, service):
    """The next call works, and no request was sent but that one."""
    before = list(service.posts)
    assert kernel.run(f"len(beluga_nb.generate('the next one', take='{len(before)}'))").texts == ["1"]
    assert service.posts == [*before, "the next one"]
    threads = kernel.run("import threading; print(sum(t.name == 'beluga-io' for t in threading.enumerate()))")
    assert int(threads.stdout) <= 1


CALLS = {
    "magic": "%beluga {}",
    "sync cell": "beluga_nb.generate('{}')",
    "async cell": "await beluga_nb.agenerate('{}')",
    "blocking in an async cell": "await asyncio.sleep(0)\nbeluga_nb.generate('{}')",
}


@pytest.mark.sampled(4)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_r41_an_interrupted_post_is_closed_and_marked(kernel, service, call):
    stopped(kernel, call.format("silent"), service.reached)
    assert service.left.wait(SOON)
    assert unfinished(kernel) == [LOST]
    assert service.posts == ["silent"]
    goes_on(kernel, service)


@pytest.mark.parametrize(
    "cell",
    [
        "%beluga silent",
        "%beluga -n 2 link",
        "%%beluga compare --axis pet=silent,link\n{{pet}}",
        "beluga_nb.generate('silent')",
        "def study():\n    return beluga_nb.grid('{{pet}}', pet=['silent', 'link']).run()\nstudy()",
        "try:\n    beluga_nb.generate('silent')\nexcept KeyboardInterrupt:\n    print('caught')\n    raise",
        "beluga_nb.submit('silent').result()",
        "await beluga_nb.agenerate('silent')",
        "await beluga_nb.submit('silent')",
        "await beluga_nb.grid('{{pet}}', pet=['silent', 'link']).arun()",
    ],
)
def test_a_stopped_call_says_what_is_left_and_how_to_go_on(kernel, service, cell):
    shown = stopped(kernel, cell, service.reached)
    first, second = shown.error
    assert shown.coloured[0] == f"\x1b[1m{first}\x1b[0m", "as in any error of beluga_nb"
    name, _, words = first.partition(": ")
    # An awaited call is cancelled; with the bridge "nested" it is interrupted like any other.
    assert name == "KeyboardInterrupt" or (name == "CancelledError" and cell.startswith("await"))
    assert words == "stopped; what has arrived is kept."
    assert second.startswith("Unfinished: ")
    assert "may have been charged without a result" in second
    assert second.endswith("Run it again: only what is missing is requested.")
    goes_on(kernel, service)


def test_a_stopped_call_tells_of_its_own_request_and_of_no_earlier_one(kernel, service):
    for prompt in ("silent", "another silent"):
        service.reached.clear()
        _, second = stopped(kernel, f"%beluga {prompt}", service.reached).error
        assert second == f"Unfinished: {LOST}. Run it again: only what is missing is requested."
    assert unfinished(kernel) == ["2 calls may have been charged without a result"]


def test_a_stopped_call_that_keeps_nothing_says_so(kernel, service):
    assert stopped(kernel, "%beluga --mode off silent", service.reached).error == [
        "KeyboardInterrupt: stopped; nothing is kept in mode off.",
        "A service may charge for what it had begun. Run it again to request it anew.",
    ]


def test_r41_two_interrupts_at_once_are_as_one(kernel, service):
    stopped(kernel, "beluga_nb.generate('silent')", service.reached, presses=2)
    assert service.left.wait(SOON)
    assert unfinished(kernel) == [LOST]
    goes_on(kernel, service)


def test_r42_an_interrupted_download_keeps_the_picture_that_had_arrived(kernel, service):
    stopped(kernel, "beluga_nb.generate('link', n=2)", service.reached)
    assert service.left.wait(SOON)
    assert recorded(kernel) == [0]
    assert unfinished(kernel) == [LOST]
    assert service.posts == ["link"]
    goes_on(kernel, service)


def test_r42_a_picture_whose_decoding_was_interrupted_is_kept(kernel, service):
    kernel.run(SLOW_DECODING)
    number = kernel.start("validation.shared = slowly\nbeluga_nb.generate('a fox')")
    shown = kernel.finish(number, interrupt_when="decoding")
    assert "KeyboardInterrupt" in "".join(shown.error)
    idle = time.monotonic() - shown.interrupted_at
    print(f"idle after {idle:.2f} s")
    assert idle < SOON
    kernel.run("validation.shared = decode; decoding.set()")
    while not recorded(kernel):
        assert time.monotonic() < shown.interrupted_at + 10
    assert kernel.run("len(beluga_nb.generate('a fox'))").texts == ["1"]
    assert unfinished(kernel) == []
    assert service.posts == ["a fox"]
    goes_on(kernel, service)


def test_r41_an_interrupted_back_off_was_not_billed(kernel, service):
    before = int(kernel.run("beluga_nb.session.default.default.budget.images").texts[0])
    stopped(kernel, "beluga_nb.generate('busy')", service.reached)
    assert unfinished(kernel) == []
    assert service.posts == ["busy"]
    assert kernel.run("beluga_nb.session.default.default.budget.images").texts == [str(before)]


def test_r41_an_interrupted_connecting_has_sent_nothing(kernel, service):
    before = int(kernel.run("beluga_nb.session.default.default.budget.images").texts[0])
    with deaf() as base_url:
        kernel.run(f"os.environ['BELUGA_BASE_URL'], kept = {base_url!r}, os.environ['BELUGA_BASE_URL']")
        connecting = threading.Event()
        threading.Timer(A_MOMENT, connecting.set).start()
        stopped(kernel, "beluga_nb.generate('a fox')", connecting)
        kernel.run("os.environ['BELUGA_BASE_URL'] = kept")
    assert (unfinished(kernel), service.posts) == ([], [])
    assert kernel.run("beluga_nb.session.default.default.budget.images").texts == [str(before)]
    goes_on(kernel, service)


def test_r41_an_interrupted_question_sends_nothing(kernel, service):
    number = kernel.start("beluga_nb.generate('a fox', n=11)", answers=[])
    kernel.client.get_stdin_msg(timeout=30)
    pressed = time.monotonic()
    kernel.manager.interrupt_kernel()
    shown = kernel.finish(number)
    print(f"idle after {time.monotonic() - pressed:.2f} s")
    assert "KeyboardInterrupt" in "".join(shown.error)
    assert (unfinished(kernel), service.posts) == ([], [])
    goes_on(kernel, service)


def test_r42_an_interrupted_loop_keeps_what_is_finished_and_asks_no_more(kernel, service):
    loop = "for what in ('one', 'two', 'silent', 'four'):\n    beluga_nb.generate(what)"
    stopped(kernel, loop, service.reached)
    assert service.left.wait(SOON)
    assert service.posts == ["one", "two", "silent"]
    assert recorded(kernel) == [0, 0]
    assert unfinished(kernel) == [LOST]
    goes_on(kernel, service)


@pytest.mark.posix
def test_r45_a_kernel_that_is_shut_down_ends_with_four_calls_in_flight(bridge, tmp_path):
    service = Service()
    (tmp_path / "beluga.toml").write_text(f'bridge = "{bridge}"')
    with (
        on_a_port(service) as base_url,
        Kernel(tmp_path, BELUGA_API_KEY=KEY, BELUGA_BASE_URL=base_url) as kernel,
    ):
        pid = int(kernel.run("import beluga_nb, os; os.getpid()").texts[0])
        kernel.start("beluga_nb.generate('silent', n=4, model='gpt-image-2')")  # which gives one per request
        until = time.monotonic() + 30
        while len(service.posts) < 4:
            assert time.monotonic() < until
        began = time.monotonic()
        kernel.manager.shutdown_kernel()
        print(f"ended after {time.monotonic() - began:.2f} s")
        assert time.monotonic() - began < 5
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
    store = Store(tmp_path / "beluga_store")
    assert sorted(call.request.sample for call in pending.calls(store)) == [0, 1, 2, 3]
    assert not any(call.on_its_way for call in pending.calls(store))


def test_r48_unloading_leaves_no_thread_hook_or_log_handler(kernel, service):
    kernel.run("%unload_ext beluga_nb\n%reset -f out")
    left = (
        "import gc, logging, threading, time; gc.collect(); print([t.name for t in threading.enumerate()"
        " if t.name == 'beluga-io'], [name for name, logger in logging.Logger.manager.loggerDict.items()"
        " if name.startswith(('beluga', 'http')) and getattr(logger, 'handlers', ())],"
        " 'beluga' in get_ipython().magics_manager.magics['line'])"
    )
    assert kernel.run(left).stdout == "[] [] False\n"
    kernel.run("%load_ext beluga_nb")
    goes_on(kernel, service)
    kernel.run("%reload_ext beluga_nb")
    goes_on(kernel, service)


@pytest.mark.parametrize(
    "bridge", ["thread"], indirect=True
)  # with the other a job runs while it is waited for
def test_r48_reloading_while_a_call_is_on_its_way_ends_nothing(kernel, service):
    kernel.run("job = beluga_nb.submit('silent')")
    assert service.reached.wait(30)
    kernel.run("%reload_ext beluga_nb")
    assert kernel.run("print(job.done()); job.cancel()").stdout == "False\n"
    assert service.left.wait(SOON)
    goes_on(kernel, service)


@pytest.mark.parametrize("mode", ["auto", "refresh", "replay", "off"])
def test_a_stop_before_anything_was_counted_does_not_claim_that_nothing_was_requested(tmp_path, mode):
    # It may come between the start of a call and the wait for it: then the call goes on.
    session = Session(environ={}, folder=tmp_path, mode=mode)
    with pytest.raises(KeyboardInterrupt) as stopped, calling(session.resources):
        raise KeyboardInterrupt
    first, second = stopped.value._render_traceback_()
    assert first.startswith("KeyboardInterrupt: stopped;")
    assert "requested" not in first
    assert ("nothing is kept" in first) is (mode == "off")
    assert ("only what is missing" in second) is (mode in {"auto", "replay"})
    copied = pickle.loads(pickle.dumps(stopped.value))
    assert copied._render_traceback_() == [first, second]
    assert type(stopped.value) is KeyboardInterrupt, "a subclass would change the status of a script"


INTERRUPTED_SCRIPT = """
import asyncio, os, signal, threading, beluga_nb

async def slow(request):
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    await asyncio.sleep(30)

session = beluga_nb.Session(engine=slow)
{call}
"""


@pytest.mark.posix
@pytest.mark.parametrize("call", ["session.generate('a fox')", "session.grid('a {{x}}', x=['fox']).run()"])
def test_a_stopped_script_says_it_in_two_lines_and_ends_as_any_other(tmp_path, call):
    script = tmp_path / "script.py"
    script.write_text(INTERRUPTED_SCRIPT.format(call=call))
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGINT
    *traceback, first, second = done.stderr.splitlines()
    assert first == "KeyboardInterrupt: stopped; what has arrived is kept."
    assert "Unfinished: 1 call may have been charged without a result. Run it again" in second
    assert not [line for line in traceback if "asyncio" in line or "During handling" in line]
    assert len(traceback) < 12


def test_a_stop_of_what_reads_and_shows_is_two_lines_too(tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    session = Session(environ={}, folder=tmp_path)
    grid = session.grid("a {{x}}", x=["fox"]).run()
    monkeypatch.setattr(session.resources.preferences, "settings", stop)
    for call in (
        session.store.verify,
        session.store.history,
        lambda: grid.score("sharpness"),
        grid.ranking,
        grid._repr_mimebundle_,
    ):
        with pytest.raises(KeyboardInterrupt) as stopped:
            call()
        first, _ = stopped.value._render_traceback_()
        assert first.startswith("KeyboardInterrupt: stopped")
    assert first == "KeyboardInterrupt: stopped while showing; nothing is lost."


STARTING = ("Call.timeout", "Thread.submit", "ThreadJob.__init__")


@pytest.mark.parametrize("start", ["submit", "grid"])
def test_an_interrupt_while_a_call_is_started_leaves_no_coroutine_that_python_warns_of(tmp_path, start):
    async def never(request):
        raise AssertionError(request)

    def interrupt_at(step):
        """Interrupt at the beginning of a function, where Python looks for signals."""
        calls = 0

        def trace(frame, event, _):
            nonlocal calls
            if frame.f_code.co_qualname in STARTING:
                calls += 1
                if calls > step:
                    sys.settrace(None)
                    raise KeyboardInterrupt

        return trace

    session = Session(engine=never, environ={}, folder=tmp_path)
    starts = {"submit": lambda: session.submit("a fox"), "grid": session.grid("a {{x}}", x=["fox"]).submit}
    before, steps = sys.gettrace(), 0
    while True:
        sys.settrace(interrupt_at(steps))
        try:
            job = starts[start]()
        except KeyboardInterrupt:
            steps += 1
        else:
            break
        finally:
            sys.settrace(before)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        job.result()
    gc.collect()  # pytest makes an error of the warning
    assert steps >= 2
