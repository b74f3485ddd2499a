"""`%beluga serve` in a real kernel: the API as a process, and what becomes of it (R50)."""

import json
import time
from pathlib import Path

import httpx
import pytest
from kernels import Kernel
from needed import needed


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone(pid, within=2.5):
    until = time.monotonic() + within
    while alive(pid) and time.monotonic() < until:
        time.sleep(0.02)
    return not alive(pid)


def healthy(url):
    return httpx.get(f"{url}/health").json() == {"status": "ok"}


def served(kernel):
    """The URL, key and process of the kernel's server."""
    shown = kernel.run(
        "import json\nserver = %beluga serve\nprint(json.dumps([server.url, server.key, server.pid]))"
    )
    assert shown.status == "ok", shown
    return json.loads(shown.stdout)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    with Kernel(tmp_path_factory.mktemp("serving")) as running:
        running.run("%load_ext beluga_nb")
        yield running


def test_it_shows_the_url_and_the_way_to_the_key_and_not_the_key(kernel):
    shown = kernel.run("%beluga serve")
    url, key, _ = served(kernel)
    assert shown.texts == [
        f"<BelugAPI (procedural previews) on {url}, running>\n"
        "The key is not shown. With server = %beluga serve, it is server.key:\n"
        "  openai.OpenAI(base_url=server.url, api_key=server.key)\n"
        "It serves this machine until the kernel ends, or %beluga serve --stop."
    ]
    assert key not in shown.everything
    assert (shown.stdout, shown.stderr) == ("", "")
    assert healthy(url)


def test_the_shown_way_to_use_it_works(kernel):
    needed("openai")
    shown = kernel.run(
        "import openai\nserver = %beluga serve\n"
        "with openai.OpenAI(base_url=server.url, api_key=server.key) as client:\n"
        "    print(len(client.images.generate(model='flux-2.0', prompt='a whale').data))"
    )
    assert (shown.stdout, shown.bundles) == ("1\n", [])


def test_a_second_call_tells_of_the_running_one(kernel):
    first = served(kernel)
    assert (
        kernel.run("%beluga serve\nNone")
        .texts[0]
        .startswith(f"<BelugAPI (procedural previews) on {first[0]}")
    )
    assert served(kernel) == first


def test_another_port_than_the_running_ones_is_an_error(kernel):
    url, _, _ = served(kernel)
    shown = kernel.run("%beluga serve --port 1")
    assert shown.error == [
        f"RequestError: The server runs already, on {url}.",
        "Stop it first: %beluga serve --stop",
    ]


def test_a_traceback_with_all_locals_does_not_show_the_key(kernel):
    _, key, _ = served(kernel)
    shown = kernel.run("%xmode Verbose\ndef fail(server):\n    return server.nothing\nfail(server)")
    kernel.run("%xmode Context")
    assert shown.status == "error"
    assert key not in shown.everything


def test_the_kernel_itself_can_ask_it(kernel):
    served(kernel)
    shown = kernel.run(
        "import os\n"
        "os.environ |= {'BELUGA_BASE_URL': server.url, 'BELUGA_API_KEY': server.key}\n"
        "%beluga a fox in the snow"
    )
    assert "local preview, not model output" in shown.texts[0]
    assert "127.0.0.1" in kernel.run("%beluga").texts[0]
    kernel.run("del os.environ['BELUGA_BASE_URL'], os.environ['BELUGA_API_KEY']")


@pytest.mark.posix
def test_an_interrupted_cell_leaves_it_running(kernel):
    url, _, pid = served(kernel)
    shown = kernel.run("print('now', flush=True)\nimport time\ntime.sleep(30)", interrupt_when="now")
    assert shown.status == "error"
    assert alive(pid)
    assert healthy(url)


@pytest.mark.posix
def test_stop_ends_it_and_says_so(kernel):
    _, _, pid = served(kernel)
    assert kernel.run("%beluga serve --stop").stdout == "The server has ended.\n"
    assert not alive(pid)
    assert kernel.run("%beluga serve --stop").stdout == "No server is running. %beluga serve starts one.\n"
    assert kernel.run("server").texts[0].endswith(", stopped>")


def test_after_the_stop_a_new_one_has_another_key(kernel):
    first = served(kernel)
    kernel.run("%beluga serve --stop")
    second = served(kernel)
    assert first[1] != second[1]
    kernel.run("%beluga serve --stop")


@pytest.mark.posix
def test_one_that_has_died_is_replaced(kernel):
    _, _, pid = served(kernel)
    kernel.run("import os, signal\nos.kill(server.pid, signal.SIGKILL)\nwhile server.running:\n    pass")
    assert gone(pid)
    url, _, _ = served(kernel)
    assert healthy(url)
    kernel.run("%beluga serve --stop")


@pytest.mark.parametrize(
    ("cell", "first", "second"),
    [
        ("%beluga serve --port 99999", "RequestError: --port is '99999'.", "Give a number from 0 to 65535."),
        ("%beluga serve --port eight", "RequestError: --port is 'eight'.", "Give a number from 0 to 65535."),
        ("%beluga serve --stpo", "UnknownNameError: No option '--stpo'.", "Did you mean '--stop'?"),
        (
            "%beluga serve --stop it",
            "RequestError: 'it' is not an option of %beluga serve.",
            "%beluga -- serve",
        ),
    ],
)
def test_an_error_takes_two_lines(kernel, cell, first, second):
    shown = kernel.run(cell)
    assert len(shown.error) == 2
    assert shown.error[0] == first
    assert second in shown.error[1]


@pytest.mark.posix
def test_unloading_the_extension_ends_it_and_says_nothing(kernel):
    _, _, pid = served(kernel)
    assert kernel.run("%unload_ext beluga_nb").everything == repr(("", "", [], []))
    assert not alive(pid)
    kernel.run("%load_ext beluga_nb")


@pytest.mark.posix
@pytest.mark.parametrize("now", [False, True], ids=["asked", "killed"])
def test_a_kernel_restart_leaves_no_orphan(kernel, now):
    _, _, pid = served(kernel)
    kernel.restart(now=now)
    assert gone(pid)
    assert kernel.run("%load_ext beluga_nb").status == "ok"


@pytest.mark.posix
def test_a_kernel_that_ends_leaves_no_orphan(tmp_path):
    with Kernel(tmp_path) as kernel:
        kernel.run("%load_ext beluga_nb")
        _, _, pid = served(kernel)
    assert gone(pid)
