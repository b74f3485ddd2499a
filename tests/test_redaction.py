"""A service echoes the key in every form, wherever an answer has words: it is in no output (S03, S07)."""

import ast
import contextlib
import copy
import json
import logging
import pickle
import re
import traceback

import pytest
from conftest import KEY, Counting, everything_said, on_a_port, service
from disguises import disguised
from echoes import BODIES, HEADS, echoing
from leaks import holds, leaks
from sampling import some
from test_architecture import MODULES, PACKAGE

from beluga_nb import redaction
from beluga_nb.errors import (
    BelugaError,
    ImpossibleCombinationError,
    NotSentError,
    OutcomeUnknownError,
    RequestError,
    UnknownNameError,
)
from beluga_nb.redaction import REDACTED, Secret
from beluga_nb.request import Request
from beluga_nb.result import Result
from beluga_nb.session.session import Session
from beluga_nb.terminal.cli import main

DISGUISES = [
    ("as it is", "whole", "text"),
    ("as it is", "U+200E", "text"),
    ("as it is", "U+00AD", "text"),
    ("as it is", "U+0000", "text"),
    ("as it is", "wrapped", "text"),
    ("as it is", "all of them", "text"),
    ("cut", "whole", "text"),
    ("quoted", "whole", "text"),
    ("percent", "whole", "text"),
    ("json", "whole", "text"),
    ("html decimal", "U+200B", "text"),
    ("hex", "whole", "text"),
    ("base64 of a header", "whole", "text"),
    ("base64, 1 before, 2 after", "wrapped", "text"),
    ("urlsafe, 2 before, 1 after", "U+200D", "text"),
]


def fits_into_a_head(names):
    text = disguised(KEY, *names)
    return text.isascii() and text.isprintable()


CASES = [(channel, names) for number, channel in enumerate(BODIES) for names in DISGUISES[number % 3 :: 3]]
CASES += [(channel, names) for channel in HEADS for names in DISGUISES if fits_into_a_head(names)]


def asked(session):
    try:
        return session.generate("a fox", model="flux-2.0", assume_yes=True)
    except BelugaError as failed:
        return failed


@pytest.mark.sampled(9)
@pytest.mark.parametrize("channel", [*BODIES, *HEADS])
def test_what_a_service_echoes_is_in_no_output(channel, tmp_path, caplog, capsys):
    cases = [names for each, names in CASES if each == channel]
    assert len(cases) >= 5
    for number, names in enumerate(some(cases, 3)):
        folder = tmp_path / str(number)
        folder.mkdir()
        outputs = dict(all_outputs(channel, names, folder, caplog, capsys))
        leaking = [name for name, output in outputs.items() if holds(output)]
        assert (names, leaking, leaks(folder)) == (names, [], [])


def all_outputs(channel, names, folder, caplog, capsys):
    messages = []
    with (
        caplog.at_level(logging.DEBUG),
        echoing(channel, lambda key: disguised(key, *names)) as base_url,
    ):
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
        session = Session(environ=environ, folder=folder, notify=messages.append)
        for _ in range(2):  # the second finds the journal and what was recorded
            came = asked(session)
            yield from shown_of(came)
            yield "pickled", pickle.dumps(came)
        yield "messages", "\n".join(messages)
        yield "status", "\n".join(map(str, session.status().items()))
        yield "history", "".join(session.store.history()._repr_mimebundle_().values())
        if isinstance(came, Result):
            yield "saved", came.save(folder / "fox.png")[0].read_bytes()
        main(["history"], session=session)
        main(["verify"], session=session)
        yield "command line", "".join(capsys.readouterr())
        yield "log", caplog.text + "".join(str(vars(record)) for record in caplog.records)
        caplog.clear()


def shown_of(came):
    if isinstance(came, Result):
        yield "bundle", "".join(came._repr_mimebundle_().values())
        yield "recipe", came.recipe.to_json("") + repr(came) + came.to_magic() + came.to_python()
        return
    yield "error", f"{came} {came!r} {came.lines()} {came.args} {vars(came)}"
    yield "rendered", "\n".join(came._render_traceback_())
    yield (
        "traceback",
        "".join(traceback.TracebackException.from_exception(came, capture_locals=True).format()),
    )
    yield "all that hangs on it", everything_said(came)


def test_a_list_of_models_that_holds_the_key_shows_none(tmp_path):
    async def app(scope, receive, send):
        key = dict(scope["headers"]).get(b"authorization", b"").decode()[7:] or KEY
        broken = "\u200e".join(key)
        body = json.dumps({"data": [{"id": f"m-{broken}", "name": key, "owned_by": key}]})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body.encode()})

    with on_a_port(app) as base_url:
        session = Session(environ={"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}, folder=tmp_path)
        listing = session.models()
    assert REDACTED in repr(listing)
    assert not holds(repr(listing))


# --- a key in what is asked for

PLACES = {
    "prompt": lambda text: {"prompt": f"a fox {text}"},
    "take": lambda text: {"prompt": "a fox", "take": text},
    "model": lambda text: {"prompt": "a fox", "model": f"lab:{text}"},
    "unknown model": lambda text: {"prompt": "a fox", "model": text, "allow_unknown_model": True},
    "size": lambda text: {"prompt": "a fox", "size": text},
    "quality": lambda text: {"prompt": "a fox", "quality": text},
    "output_format": lambda text: {"prompt": "a fox", "output_format": text},
    "endpoint": lambda text: {"prompt": "a fox", "endpoint": text},
    "mode": lambda text: {"prompt": "a fox", "mode": text},
    "value": lambda text: {"prompt": "a {{animal}}", "values": {"animal": text}},
}


@pytest.mark.parametrize("place", PLACES)
def test_a_key_in_what_is_asked_for_is_refused_in_two_lines_before_anything_is_sent(
    place, tmp_path, messages
):
    counting = Counting()
    with service(counting) as base_url:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
        session = Session(environ=environ, folder=tmp_path, notify=messages.append)
        for names in DISGUISES:
            with pytest.raises(BelugaError) as failed:
                session.generate(**{"model": "flux-2.0"} | PLACES[place](disguised(KEY, *names)))
            assert len(str(failed.value).splitlines()) == 2
            assert not holds(f"{failed.value} {failed.value!r} {messages}"), names
    assert counting.requests == []
    assert leaks(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("names", DISGUISES)
def test_a_key_in_a_grid_is_refused_in_its_prompts_values_and_labels(names, tmp_path):
    session = Session(
        environ={"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": "http://127.0.0.1:9/v1"}, folder=tmp_path
    )
    key = disguised(KEY, *names)
    for grid in (
        {"prompts": ["a fox", f"an owl {key}"]},
        {"prompts": "a {{animal}}", "animal": ["fox", key]},
        {"prompts": "a {{animal}}", "animal": {key: "fox", "b": "owl"}},
        {"prompts": "a fox", "take": ["1", key]},
        {"prompts": "a fox", "replace": {"fox": ["owl", key]}},
    ):
        with pytest.raises(RequestError) as failed:
            session.grid(grid.pop("prompts"), model="flux-2.0", **grid)
        assert not holds(str(failed.value))


def test_a_key_of_another_server_is_refused_too(tmp_path):
    (tmp_path / "beluga.toml").write_text('[endpoints.lab]\nbase_url = "http://127.0.0.1:9/v1"\n')
    environ = {"BELUGA_LAB_API_KEY": KEY, "OPENAI_API_KEY": KEY[::-1]}
    session = Session(environ=environ, folder=tmp_path)
    for key in (KEY, KEY[::-1]):
        with pytest.raises(RequestError, match="The prompt holds a key"):
            session.generate(f"a fox {key}")


# --- errors, as values

ERRORS = [
    RequestError("A message.", "A hint.", param="size"),
    UnknownNameError("model", "flux2", ["flux-2.0"]),
    ImpossibleCombinationError(1, 2, ["a reason"]),
    OutcomeUnknownError("It broke.", status=502, request_id="r-1"),
    NotSentError(OutcomeUnknownError("It broke.")),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_an_error_is_pickled_and_copied_with_all_it_says(error, again):
    other = again(error)
    assert type(other) is type(error)
    assert (str(other), other.args, other.lines()) == (str(error), error.args, error.lines())
    assert {**vars(other)} == {**vars(error)}


def test_what_is_added_to_an_error_later_is_redacted_too():
    secret = Secret(KEY, "a test")
    error = OutcomeUnknownError("It broke.")
    error.hint, error.request_id = f"Look at {secret.reveal()}.", secret.reveal()
    for shown in (str(error), repr(error), "".join(error.lines()), pickle.dumps(error)):
        assert not holds(shown)


def test_every_bundle_that_is_shown_passes_the_filter():
    found = 0
    for module in MODULES:
        for node in ast.walk(ast.parse((PACKAGE / module).read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef) and node.name == "_repr_mimebundle_":
                returned = [each for each in ast.walk(node) if isinstance(each, ast.Return)]
                assert all(ast.unparse(each.value).startswith("redacted_bundle(") for each in returned), (
                    module
                )
                found += 1
    assert found >= 8


def test_every_line_that_is_printed_passes_the_filter():
    """Whoever prints says it filtered, but for words of our own."""
    printing = {
        module
        for module in MODULES
        for node in ast.walk(ast.parse((PACKAGE / module).read_text("utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print"
    }
    imports = re.compile(r"^from beluga_nb.redaction import .*\bredact\b", re.MULTILINE)
    filtered = {each for each in printing if imports.search((PACKAGE / each).read_text("utf-8"))}
    # The usage; the line that gives a served key to the person who started the server.
    assert printing - filtered == {"__main__.py", "server/serve.py"}


def test_an_engine_that_fails_with_a_key_in_its_words_leaves_it_in_no_log(caplog, tmp_path):
    secret = Secret(KEY, "a test")

    async def failing(request: Request) -> Result:
        raise ValueError(f"no such key: {secret.reveal()}")

    with caplog.at_level(logging.DEBUG), service(failing, key="bapi_another-key-of-the-server") as base_url:
        environ = {"BELUGA_API_KEY": "bapi_another-key-of-the-server", "BELUGA_BASE_URL": base_url}
        with contextlib.suppress(BelugaError):
            Session(environ=environ, folder=tmp_path).generate("a fox", model="flux-2.0")
    assert "The engine failed in job" in caplog.text
    assert "no such key: (your key)" in caplog.text
    assert not holds(caplog.text)


# --- the work that a text makes


@pytest.mark.parametrize(
    ("layer", "signs"),
    [
        (redaction._STRIPPED, b"\x1b\\%&\xc2"),
        (redaction._ESCAPES[0], b"\\%&"),
        (redaction._ESCAPES[1], b"\\%&"),
        (redaction._ESCAPES[2], b"\\%&="),
    ],
)
def test_a_long_run_of_one_sign_is_read_in_one_step(layer, signs):
    """`re` would try every escape at each of its bytes."""
    for sign in signs:
        run = bytes((sign,)) * 1000
        assert layer.escapes.match(run).end() >= 999
        assert layer.read(run) == run


@pytest.mark.parametrize("sign", ["\\", "#", "x", "X", "x0"])
def test_a_long_run_in_which_an_escape_may_grow_is_read_in_one_step(sign):
    assert len(redaction._GROWING.findall(sign.encode() * 1000)) == 1


def test_a_run_of_backslashes_is_looked_through_once_when_its_end_is_known(monkeypatch):
    key, sizes, keys_in = Secret("bapi_SENTINEL-SENTINEL", "test"), [], redaction._keys_in
    monkeypatch.setattr(
        redaction, "_keys_in", lambda data, *more: sizes.append(len(data)) or keys_in(data, *more)
    )
    stream, piece = redaction.RedactedStream(), b"\\" * redaction._BLOCK
    passed = b"".join(stream.feed(piece) for _ in range(8)) + stream.finish()
    large = [size for size in sizes if size > 2**10]  # Other threads may pass something on, too.
    assert (passed, large) == (8 * piece, [len(passed)]), key


def test_a_key_behind_a_run_of_signs_is_found():
    key = Secret("&&bapi_SENTINEL-&&&-SENTINEL", "test")
    for sign in ("&", "%", "\x1b", "=", "\xc2", "\\", "#x"):
        text = f"{sign * 100}{key.reveal()}{sign * 100}&#38;{key.reveal()[1:]}"
        assert "SENTINEL" not in redaction.redact(text), sign
