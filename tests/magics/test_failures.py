"""With a key, against a server that fails: two lines in the cell, nothing lost, and never the key."""

import re
import socket

import pytest
from conftest import KEY, drawing, drawn, service
from kernels import Kernel

from beluga_nb.errors import APIStatusError, OutcomeUnknownError, RateLimitError
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result


async def poor(request: Request) -> Result:
    raise APIStatusError("Your balance is too low.", status=402, type="insufficient_quota")


async def declining(request: Request) -> Result:
    raise APIStatusError("Your request was rejected by the safety system.", code="moderation_blocked")


async def failing(request: Request) -> Result:
    raise OutcomeUnknownError("The provider <b>failed</b>\x1b[31m.", status=502)


async def busy(request: Request) -> Result:
    raise RateLimitError("The catalogue is unavailable.", status=503)


async def damaged(request: Request) -> Result:
    return Result.of(request, [ImagePayload(drawn(request, 0)[:-40])], engine="damaged")


async def one_of_two(request: Request) -> Result:
    return Result.of(request, [ImagePayload(drawn(request, 0)), ImagePayload(b"no picture")], engine="half")


async def none_at_all(request: Request) -> Result:
    return Result.of(request, [], engine="none")


REFUSED = {poor, declining}

FAILURES = [
    (
        poor,
        "a fox",
        "APIStatusError: Your balance is too low. (status 402, request req_",
        "Top up the balance",
    ),
    (
        declining,
        "a fox",
        "APIStatusError: Your request was rejected by the safety system.",
        "not billed",
    ),
    (
        failing,
        "a fox",
        "OutcomeUnknownError: The provider <b>failed</b>. (status 502",
        "may have been billed",
    ),
    (busy, "a fox", "RateLimitError: The catalogue is unavailable. (status 503", "try again later"),
    (damaged, "a fox", "InvalidImageError: ", "Its bytes are kept as"),
    (
        one_of_two,
        "-m flux-2.0 -n 2 a fox",
        "IncompleteError: 1 of 2 pictures arrived",
        "Running it again asks only for",
    ),
    (
        none_at_all,
        "a fox",
        "InvalidResponseError: The answer holds no picture.",
        "may have declined the prompt",
    ),
]


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("failing")
    with Kernel(folder, BELUGA_API_KEY=KEY, BELUGA_BASE_URL="http://127.0.0.1:9/v1") as running:
        running.folder = folder
        running.run("%load_ext beluga_nb\nimport os")
        yield running


@pytest.fixture(autouse=True)
def the_key_is_nowhere(kernel):
    seen = []
    run = kernel.run

    def watched(*args, **kwargs):
        seen.append(run(*args, **kwargs))
        return seen[-1]

    kernel.run = watched
    yield
    kernel.run = run
    assert seen
    for shown in seen:
        assert KEY not in shown.everything
    for path in kernel.folder.rglob("*"):
        assert not path.is_file() or path.suffix == ".sqlite" or KEY.encode() not in path.read_bytes()


def point_at(kernel, base_url):
    kernel.run(f"os.environ['BELUGA_BASE_URL'] = {base_url!r}")


@pytest.mark.parametrize(
    ("engine", "call", "first", "second"), FAILURES, ids=lambda each: getattr(each, "__name__", None)
)
def test_a_failure_takes_two_lines_and_the_cell_has_failed(kernel, engine, call, first, second):
    with service(engine) as base_url:
        point_at(kernel, base_url)
        shown = kernel.run(f"%beluga --mode auto --take {engine.__name__} {call}")
    shown.fails_with(first, second)
    assert shown.badges == ["not billed" if engine in REFUSED else "may have been billed"]


def test_what_is_asked_for_in_python_fails_in_the_same_card(kernel):
    with service(poor) as base_url:
        point_at(kernel, base_url)
        magic = kernel.run("%beluga --mode off a fox")
        python = kernel.run("import beluga_nb\nbeluga_nb.generate('a fox', mode='off')")
    hide = re.compile(r"req_\w+")
    assert [hide.sub("", line) for line in magic.coloured] == [hide.sub("", line) for line in python.coloured]
    assert python.badges == ["not billed"]


def test_a_shell_without_colours_gets_none(kernel):
    kernel.run("get_ipython().colors, kept = 'nocolor', get_ipython().colors")
    shown = kernel.run("%beluga -m flux2 a fox")
    kernel.run("get_ipython().colors = kept")
    assert shown.coloured == shown.error
    assert shown.error[0] == "UnknownNameError: No model 'flux2'."


def test_a_revoked_key(kernel):
    with service(drawing, key="bapi_some-other-key-altogether") as base_url:
        point_at(kernel, base_url)
        shown = kernel.run("%beluga a fox")
    assert shown.error[0].startswith("AuthenticationError: The API key is missing or wrong.")
    assert shown.error[1].startswith("The key comes from BELUGA_API_KEY and ends in ")


def test_a_server_that_is_not_there(kernel):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        point_at(kernel, f"http://127.0.0.1:{taken.getsockname()[1]}/v1")
        shown = kernel.run("%beluga a fox")
    assert shown.error[0].startswith("APIConnectionError: No connection to 127.0.0.1")
    assert shown.error[1].startswith("Look at the network and BELUGA_BASE_URL")
    assert shown.badges == ["not billed"]


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("bapi_with a blank in it", "SettingsError: BELUGA_API_KEY is malformed"),
        ("Bearer bapi_0123456789abcdef", "SettingsError: BELUGA_API_KEY starts with 'Bearer'."),
    ],
)
def test_a_malformed_key_is_not_sent(kernel, key, expected):
    kernel.run(f"kept, os.environ['BELUGA_API_KEY'] = os.environ['BELUGA_API_KEY'], {key!r}")
    shown = kernel.run("%beluga a fox")
    kernel.run("os.environ['BELUGA_API_KEY'] = kept")
    assert shown.error[0].startswith(expected)
    assert len(shown.error) == 2
    assert key not in shown.everything


def test_what_arrived_of_several_is_shown_and_named(kernel):
    with service(one_of_two) as base_url:
        point_at(kernel, base_url)
        shown = kernel.run("%beluga -m flux-2.0 -n 2 -o pair --take shown a fox")
    assert shown.status == "error"
    assert [text.partition("\n")[0] for text in shown.texts] == ["1 picture of “a fox”"]
    assert kernel.run("len(pair)").texts == ["1"]


def test_a_damaged_picture_leaves_its_bytes_in_the_store(kernel):
    request = Request(prompt="a fox", model="gpt-image-2", take="kept bytes")
    with service(damaged) as base_url:
        point_at(kernel, base_url)
        shown = kernel.run('%beluga --take "kept bytes" a fox')
    name = shown.error[1].rpartition("kept as ")[2].removesuffix(".")
    assert (kernel.folder / name).read_bytes() == drawn(request, 0)[:-40]


@pytest.mark.parametrize("mode", ["Plain", "Context", "Verbose", "Minimal"])
def test_no_traceback_mode_shows_the_key(kernel, mode):
    kernel.run(f"%xmode {mode}")
    with service(failing) as base_url:
        point_at(kernel, base_url)
        assert kernel.run("%beluga a fox in trouble").status == "error"
        assert kernel.run("%tb").stderr == ""
        assert kernel.run("import beluga_nb; beluga_nb.generate('a fox in trouble')").status == "error"
    kernel.run("%xmode Context")
