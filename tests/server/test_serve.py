"""The command `python -m beluga_nb serve`, as a real process on a real port."""

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager

import httpx
import openai
import pytest
from PIL import Image

from beluga_nb.commands.table import CONNECTIONS
from beluga_nb.server.serve import IDLE

COMMAND = [sys.executable, "-m", "beluga_nb"]
LINE = re.compile(
    r"BelugAPI \(procedural previews\) on (http://127\.0\.0\.1:(\d+)/v1)  key (bapi_[A-Za-z0-9_-]{32})\n"
)
PATIENCE = 30  # seconds that a test waits for a process before it gives up


@contextmanager
def process(*words, command=COMMAND):
    """Run the command; yield it, and end it if the test has not."""
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, *words], **pipes) as running:
        try:
            yield running
        finally:
            running.kill()


def interrupted(running):
    """Send Ctrl-C and return the exit status and what was printed."""
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=PATIENCE)
    return running.returncode, out, err


def run(*words):
    """Run a command that ends by itself."""
    ended = subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=PATIENCE)
    return ended.returncode, ended.stdout, ended.stderr


@pytest.fixture(scope="module")
def served():
    """The base URL and the key of a running server, from the line it prints."""
    with process("serve", "--port", "0") as running:
        base_url, _, key = LINE.fullmatch(running.stdout.readline()).groups()
        yield base_url, key
        assert interrupted(running) == (0, "", "")


# --- the contract's own examples


EXAMPLES = {
    "GPT-Image-2": (
        {
            "model": "gpt-image-2",
            "prompt": "A photorealistic beluga whale swimming through crystal clear arctic water, 4K",
            "size": "16:9",
            "n": 1,
        },
        (1536, 864),
    ),
    "Seedream": (
        {
            "model": "seedream-4.5",
            "prompt": "Anime-style warrior princess in a cherry blossom garden, vibrant colors",
            "size": "9:16",
        },
        (864, 1536),
    ),
    "Imagen 4.0": (
        {
            "model": "gpt-image-2",
            "prompt": "Hyper-realistic product photo of a glass bottle of mineral water, studio lighting",
            "size": "1:1",
        },
        (1024, 1024),
    ),
    "Flux 2.0": (
        {
            "model": "flux-2.0",
            "prompt": "Oil painting of a Renaissance-style portrait of a tech entrepreneur",
            "size": "3:4",
        },
        (768, 1024),
    ),
    "Wan 2.7": (
        {
            "model": "wan2.7-image-pro",
            "prompt": "Futuristic city skyline at night with neon reflections on rain-soaked streets",
            "size": "21:9",
        },
        (2016, 864),
    ),
}


def pixels(data):
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
        return image.size


@pytest.mark.posix
@pytest.mark.parametrize("name", EXAMPLES)
def test_the_openai_package_runs_the_services_examples(served, name):
    base_url, key = served
    found, size = EXAMPLES[name]
    with openai.OpenAI(api_key=key, base_url=base_url) as client:
        result = client.images.generate(**found)
    assert len(result.data) == 1
    assert pixels(httpx.get(result.data[0].url).content) == size


@pytest.mark.posix
@pytest.mark.skipif(
    shutil.which("curl") is None and not os.environ.get("TESTS_IN_CI"),
    reason="no curl on this machine; in CI this fails instead",
)
@pytest.mark.parametrize("name", EXAMPLES)
def test_curl_runs_the_services_examples(served, name):
    base_url, key = served
    found, size = EXAMPLES[name]
    headers = ["-H", f"Authorization: Bearer {key}", "-H", "Content-Type: application/json"]
    body = json.loads(curl(f"{base_url}/images/generations", *headers, "-d", json.dumps(found, indent=2)))
    assert set(body) == {"created", "data"}
    assert pixels(curl(body["data"][0]["url"])) == size


def curl(*words):
    return subprocess.run(["curl", "-sS", *words], capture_output=True, check=True, timeout=PATIENCE).stdout


@pytest.mark.posix
def test_the_openai_package_reads_the_models_and_the_errors(served):
    base_url, key = served
    with openai.OpenAI(api_key=key, base_url=base_url) as client:
        assert len(client.models.list().data) == 17
        assert client.models.retrieve("flux-2.0").owned_by == "Various"
        with pytest.raises(openai.NotFoundError) as caught:
            client.images.generate(model="flux2", prompt="a whale")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert caught.value.request_id.startswith("req_")


@pytest.mark.posix
def test_the_openai_package_with_a_wrong_key_is_refused(served):
    base_url, _ = served
    with (
        openai.OpenAI(api_key="bapi_wrong", base_url=base_url) as client,
        pytest.raises(openai.AuthenticationError),
    ):
        client.images.generate(model="flux-2.0", prompt="a whale")


@pytest.mark.posix
def test_only_this_machine_is_served(served):
    port = httpx.URL(served[0]).port
    with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.2", port), 5):
        pass


# --- start and end


@pytest.mark.posix
def test_ctrl_c_ends_an_idle_server_quietly_with_status_0():
    with process("serve", "--port", "0") as running:
        assert LINE.fullmatch(running.stdout.readline())
        assert interrupted(running) == (0, "", "")


ENDLESS = """
import asyncio, sys
from beluga_nb.server.serve import main

async def endless(request):
    await asyncio.Event().wait()

sys.exit(main(["--port", "0"], engine=endless))
"""


@pytest.mark.posix
def test_a_picture_under_way_does_not_keep_ctrl_c_waiting_or_complain():
    with process("-c", ENDLESS, command=[sys.executable]) as running:
        base_url, port, key = LINE.fullmatch(running.stdout.readline()).groups()
        body = json.dumps({"model": "flux-2.0", "prompt": "a whale"})
        head = f"POST /v1/images/generations HTTP/1.1\r\nhost: localhost:{port}\r\n"
        head += f"authorization: Bearer {key}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", int(port))) as caller:
            caller.sendall((head + body).encode())
            assert httpx.get(f"{base_url}/health").status_code == 200
            assert interrupted(running) == (0, "", "")


def test_a_key_of_ones_own_is_used_and_printed():
    with process("serve", "--port", "0", "--key", "bapi_mine") as running:
        line = running.stdout.readline()
    assert line.endswith("  key bapi_mine\n")


@pytest.mark.posix
def test_an_answer_that_is_cut_off_on_demand_leaves_no_trace_in_the_terminal():
    with process("serve", "--port", "0", "--faults") as running:
        base_url, key = re.search(r"on (\S+/v1)  key (\S+)", running.stdout.readline()).groups()
        asked = {"model": "gpt-image-2", "prompt": "fault: cut | a fox"}
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.post(
                f"{base_url}/images/generations", json=asked, headers={"Authorization": f"Bearer {key}"}
            )
        assert interrupted(running) == (0, "", "")


def test_two_servers_have_different_keys_and_ports():
    with process("serve", "--port", "0") as one, process("serve", "--port", "0") as other:
        lines = [LINE.fullmatch(each.stdout.readline()).groups() for each in (one, other)]
    assert all(first != second for first, second in zip(*lines, strict=True))


def test_a_port_in_use_is_one_line_and_status_2():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert run("serve", "--port", str(port)) == (
            2,
            "",
            f"python -m beluga_nb serve: port {port} cannot be used (Address already in use);"
            " --port 0 takes a free one\n",
        )


@pytest.mark.sampled(3)
@pytest.mark.parametrize("port", ["-1", "65536", "eight", "", "1e3", "9" * 5000, "٣"])
def test_a_bad_port_is_two_lines_and_status_2(port):
    status, out, err = run("serve", f"--port={port}")
    assert (status, out) == (2, "")
    assert err == (
        f"python -m beluga_nb serve: argument --port: '{port}' is not a port; give a number from 0 to 65535\n"
        "python -m beluga_nb serve --help shows the options.\n"
    )


@pytest.mark.sampled(2)
@pytest.mark.parametrize("count", ["0", "-1", "many", "70000", ""])
def test_a_bad_number_of_connections_is_two_lines_and_status_2(count):
    assert run("serve", "--port", "0", f"--connections={count}") == (
        2,
        "",
        "python -m beluga_nb serve: "
        f"argument --connections: '{count}' is not a whole number from 1 to 65535\n"
        "python -m beluga_nb serve --help shows the options.\n",
    )


@pytest.mark.posix
def test_no_more_connections_are_served_than_configured():
    with process("serve", "--port", "0", "--connections", "1") as running:
        base_url, port, _ = LINE.fullmatch(running.stdout.readline()).groups()
        with socket.create_connection(("127.0.0.1", int(port))):
            answer = httpx.get(f"{base_url}/health")
            assert (answer.status_code, answer.headers["connection"]) == (503, "close")
            assert answer.headers["retry-after"] == "1"
            assert answer.json()["error"]["message"] == "No connection is left, of 1. Close some, or wait."
        assert interrupted(running) == (0, "", "")


def test_two_hundred_and_fifty_six_callers_are_a_class_and_their_clients_hang_up_first():
    assert CONNECTIONS == 256
    assert httpx.Limits().keepalive_expiry < IDLE


@pytest.mark.posix
@pytest.mark.parametrize("header", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
def test_what_is_served_is_guarded(served, header):
    assert httpx.get(f"{served[0]}/health", headers=header).status_code == 403


@pytest.mark.sampled(3)
@pytest.mark.parametrize("key", ["secret", "bapi_", "bapi_a b", "bapi_ü", "bapi_a\nb", "xbapi_a", ""])
def test_a_malformed_key_is_two_lines_without_the_key_and_status_2(key):
    assert run("serve", "--port", "0", f"--key={key}") == (
        2,
        "",
        "python -m beluga_nb serve: argument --key:"
        " the key must be bapi_ and letters, digits or _ . ~ + / = -\n"
        "python -m beluga_nb serve --help shows the options.\n",
    )


def test_a_missing_uvicorn_is_one_line_and_status_2(tmp_path):
    (tmp_path / "uvicorn.py").write_text("raise ImportError('not here')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [*COMMAND, "serve", "--port", "0"],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env=os.environ | {"PYTHONPATH": path},
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "python -m beluga_nb serve: uvicorn is missing: pip install 'beluga_nb[server]'\n"
    )


@pytest.mark.sampled(2)
@pytest.mark.parametrize("words", [["--host", "0.0.0.0"], ["--por", "0"], ["more"]])
def test_an_option_that_does_not_exist_is_two_lines_and_status_2(words):
    status, out, err = run("serve", *words)
    assert (status, out, err.count("\n")) == (2, "", 2)
    assert err.startswith("python -m beluga_nb serve: unrecognized arguments: ")


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_no_words_print_the_usage(words):
    status, out, err = run(*words)
    assert (status, err) == (0, "")
    assert out.startswith("usage: python -m beluga_nb COMMAND ...\n\n  lab ")


def test_an_unknown_command_is_one_line_and_status_2():
    known = "lab, history, verify, check, weight, forget, pack, unpack, serve, ballot"
    assert run("sevre") == (2, "", f"python -m beluga_nb: no command 'sevre'; available: {known}\n")
