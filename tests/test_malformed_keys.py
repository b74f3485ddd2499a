"""A key that cannot be sent, wherever it comes from: two lines that do not show it. Nothing else shows it."""

import os
import subprocess
import sys
import traceback
import types
from dataclasses import fields, is_dataclass
from pathlib import Path

import pytest

import beluga_nb
from beluga_nb.config import keys
from beluga_nb.engines.upstream import upstream
from beluga_nb.errors import BelugaError, RequestError, SettingsError
from beluga_nb.redaction import REDACTED, Environment, Secret, redact, redact_bytes
from beluga_nb.session.session import Session
from beluga_nb.text import sanitize

LEFT, RIGHT = "sk-Zy9Xw8Vu7Ts6", "Rq5Po4Nm3Lk2Ji1"
KEY = LEFT + RIGHT


class Odd:
    """A value that cannot even be shown."""

    def __repr__(self):
        raise RuntimeError(KEY)

    __str__ = __repr__


MARKS = {
    "a byte that is no UTF-8": "\udce9",
    "half a pair": "\ud83d",
    "the other half": "\ude00",
    "halves the wrong way round": "\ude00\ud83d",
    "NUL": "\0",
    "BEL": "\x07",
    "ESC": "\x1b",
    "a colour": "\x1b[1m",
    "DEL": "\x7f",
    "C1": "\x9b",
    "a line feed": "\n",
    "a carriage return": "\r\n",
    "a tab": "\t",
    "a blank": " ",
    "a wide blank": "\u3000",
    "zero width": "\u200b",
    "bidi": "\u202e",
    "an accent": "é",
    "a combining accent": "\u0301",
    "a full-width letter": "ｘ",
    "an emoji": "🦊",
}
TEXTS = {
    **{f"{name} within": f"{LEFT}{mark}{RIGHT}" for name, mark in MARKS.items()},
    **{f"{name} at the end": f"{KEY}{mark}x" for name, mark in MARKS.items()},
    **{f"{name} at the start": f"x{mark}{KEY}" for name, mark in MARKS.items()},
    "the last byte is no UTF-8": f"{KEY}\udce9",
    "with Bearer": f"Bearer {KEY}",
    "a whole line": f"export BELUGA_API_KEY={KEY} # mine",
    "too long": KEY * 200,
}
OTHERS = {
    "bytes": KEY.encode(),
    "bytes that are no UTF-8": KEY.encode() + b"\xe9",
    "a bytearray": bytearray(KEY.encode()),
    "a view": memoryview(KEY.encode()),
    "a list": [KEY],
    "a dict": {"key": KEY},
    "a path": Path(KEY),
    "a number": 12345678901234567890,
    "a function": lambda: KEY,
    "odd": Odd(),
    "false": False,
}
KINDS = TEXTS | OTHERS

QUIET = {"notify": lambda _: None, "environ": {}, "vaults": {}}


def keyring_with(monkeypatch, value):
    made = types.ModuleType("keyring")
    made.get_password = lambda *_: value
    monkeypatch.setitem(sys.modules, "keyring", made)


def colab_with(monkeypatch, value):
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("google.colab"))
    made = types.ModuleType("google.colab.userdata")
    made.get = lambda _: value
    monkeypatch.setitem(sys.modules, "google.colab.userdata", made)


def kaggle_with(monkeypatch, value):
    made = types.ModuleType("kaggle_secrets")
    made.UserSecretsClient = lambda: types.SimpleNamespace(get_secret=lambda _: value)
    monkeypatch.setitem(sys.modules, "kaggle_secrets", made)


def logged_in(value, folder):
    session = Session(folder=folder, hidden=lambda _: value, **QUIET)
    session.login()
    return session


def in_a_vault(vault, fill):
    def made(value, folder, monkeypatch):
        fill(monkeypatch, value)
        return Session(folder=folder, **QUIET | {"vaults": {f"a {vault.__name__}": vault}})

    return made


def of_a_server(variable, base_url):
    def made(value, folder, monkeypatch):
        endpoints = {"endpoints": {"lab": {"base_url": base_url, "model": "x"}}, "model": "lab:x"}
        return Session(folder=folder, **QUIET | {"environ": {variable: value}}, **endpoints)

    return made


SOURCES = {
    "code": lambda value, folder, _: Session(folder=folder, api_key=value, **QUIET),
    "the environment": lambda value, folder, _: Session(
        folder=folder, **QUIET | {"environ": {"BELUGA_API_KEY": value}}
    ),
    "login": lambda value, folder, _: logged_in(value, folder),
    "the keyring": in_a_vault(keys.keyring, keyring_with),
    "Colab": in_a_vault(keys.colab, colab_with),
    "Kaggle": in_a_vault(keys.kaggle, kaggle_with),
    "a server's own": of_a_server("BELUGA_LAB_API_KEY", "http://127.0.0.1:9/v1"),
    "a service's": of_a_server("OPENAI_API_KEY", "https://api.openai.com/v1"),
}
NEEDED = {
    "generate": lambda session: session.generate("a fox"),
    "submit": lambda session: session.submit("a fox").result(),
    "grid": lambda session: session.grid("a {{animal}}", animal=["cat"]).run(),
}
UNNEEDED = {
    "status": lambda session: session.status(),
    "history": lambda session: "".join(session.store.history()._repr_mimebundle_().values()),
    "plan": lambda session: str(session.plan("a fox")),
    "asked for": lambda session: session.generate(f"a fox {KEY}"),
}


def bare(text):
    """What is left of a text of all that is seen in ASCII."""
    return "".join(each for each in text if "!" <= each <= "~")


def shows(text):
    return any(part in bare(text) for part in (LEFT, RIGHT))


def within(thing, depth=5, seen=None):
    """Whether the key is in a value, or in what hangs on it."""
    seen = set() if seen is None else seen
    if id(thing) in seen or not depth:
        return False
    seen.add(id(thing))
    if isinstance(thing, str):
        return shows(thing)
    if isinstance(thing, bytes | bytearray | memoryview):
        return shows(bytes(thing).decode("latin-1"))
    if isinstance(thing, Path):
        return shows(str(thing))
    held = [*thing, *thing.values()] if isinstance(thing, dict) else []
    held += thing if isinstance(thing, list | tuple | set) else []
    held += vars(thing).values() if hasattr(thing, "__dict__") and not isinstance(thing, type) else []
    held += (getattr(thing, each.name) for each in fields(thing)) if is_slotted(thing) else []
    return any(within(each, depth - 1, seen) for each in held)


def is_slotted(thing):
    return is_dataclass(thing) and not hasattr(thing, "__dict__")


OURS = str(Path(beluga_nb.__file__).parent)


def frames_of(error):
    trace = error.__traceback__
    while trace:
        if trace.tb_frame.f_code.co_filename.startswith(OURS):
            yield trace.tb_frame
        trace = trace.tb_next


def check_refusal(failed):
    """Two lines that do not show the key, and no frame of ours that holds it, or that cannot be shown."""
    assert isinstance(failed, SettingsError | RequestError), repr(failed)
    assert len(str(failed).splitlines()) == 2
    each = failed
    while each:
        assert not within([str(each), each.args, vars(each)])
        for frame in frames_of(each):
            assert not within(dict(frame.f_locals)), (frame.f_code.co_name, [*frame.f_locals])
            assert not shows(str({name: repr(value) for name, value in frame.f_locals.items()}))
        each = each.__cause__ or each.__context__


@pytest.mark.sampled(24)
@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_cannot_be_sent_is_refused_in_two_lines_that_do_not_show_it(
    kind, source, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    try:
        session = SOURCES[source](KINDS[kind], tmp_path, monkeypatch)
    except BelugaError as error:
        assert source == "login"
        check_refusal(error)
        return
    for name, ask in NEEDED.items():
        with pytest.raises(SettingsError) as failed:
            ask(session)
        assert "malformed" in failed.value.message or "Bearer" in failed.value.message or kind in OTHERS, name
        check_refusal(failed.value)
    for ask in UNNEEDED.values():
        try:
            assert not shows(str(ask(session)))
        except BelugaError as error:
            check_refusal(error)
    assert not shows(repr(vars(session)) + repr(vars(session.resources)))
    if kind in TEXTS or "byte" in kind:
        assert REDACTED in redact(f"It was {KEY} or {TEXTS.get(kind, KEY)}, they say.")
    session.close()


@pytest.mark.parametrize("kind", TEXTS)
def test_it_is_taken_out_of_all_that_leaves(kind):
    text = f"It was {TEXTS[kind]}, they say."
    secret = Secret(TEXTS[kind], "a test")
    shown = [redact(text), sanitize(text), repr(secret), f"{secret}", secret.source, str([secret])]
    assert not any(map(shows, shown))
    assert REDACTED in redact(text)
    whole = redact_bytes(text.encode("utf-8", "surrogatepass"))
    assert not shows(whole.decode("latin-1"))
    spelt = redact_bytes(text.encode("utf-8", "backslashreplace"))
    assert not shows(spelt.decode()) or "\\u" in spelt.decode()
    assert secret == Secret(TEXTS[kind], "another")
    assert hash(secret) == hash(Secret(TEXTS[kind], "another"))
    with pytest.raises(SettingsError) as failed:
        upstream("http://127.0.0.1:9/v1", {"BELUGA_UPSTREAM_KEY": TEXTS[kind]})
    check_refusal(failed.value)


@pytest.mark.parametrize("kind", KINDS)
def test_no_secret_fails_as_it_is_made_and_one_half_made_can_be_shown(kind):
    secret = Secret(KINDS[kind], "a test")
    assert repr(secret) == "<key from a test>"
    half = Secret.__new__(Secret)
    half.source = "a test"
    assert repr(half) == "<key from a test>"

    def fails(environ):
        found = Secret(environ["BELUGA_API_KEY"], "BELUGA_API_KEY")
        raise RuntimeError(found.source)

    try:
        fails(Environment({"BELUGA_API_KEY": KINDS[kind]}))
    except RuntimeError as error:
        whole = traceback.TracebackException.from_exception(error, capture_locals=True)
        [*_, last] = whole.stack
        assert not shows(str(last.locals))


TYPED = """
import pty, os, sys
pid, terminal = pty.fork()
if not pid:
    code = "from beluga_nb.session.default import default; default.login()"
    os.execv(sys.executable, [sys.executable, "-c", code])
output = b""
while b"not shown" not in output:
    output += os.read(terminal, 1024)
os.write(terminal, bytes.fromhex(sys.argv[1]) + b"\\n")
try:
    while more := os.read(terminal, 65536):
        output += more
except OSError:
    pass
sys.stdout.buffer.write(output)
"""
BYTES = f"{KEY}".encode() + b"\xe9"


@pytest.mark.posix
def test_a_byte_that_is_no_utf_8_can_be_typed_and_shows_nothing():
    done = subprocess.run(
        [sys.executable, "-c", TYPED, BYTES.hex()], capture_output=True, timeout=60, check=True
    )
    output = done.stdout.decode("latin-1")
    assert "the key that was typed is malformed" in output
    assert not shows(output)


IPYTHON = """
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("load_ext", "beluga_nb")
shell.run_line_magic("xmode", "Verbose")
for line in ("%beluga a fox", "%beluga", "%beluga history", "import beluga_nb; beluga_nb.generate('a fox')"):
    shell.run_cell(line)
"""


@pytest.mark.sampled(4)
@pytest.mark.posix
@pytest.mark.parametrize("variable", ["BELUGA_API_KEY", "BELUGA_LAB_API_KEY", "OPENAI_API_KEY"])
@pytest.mark.parametrize(
    "command",
    [
        ["-c", IPYTHON],
        ["-m", "beluga_nb", "history"],
        ["-m", "beluga_nb", "doctor"],
        ["-m", "beluga_nb", "verify"],
    ],
    ids=["IPython", "history", "doctor", "verify"],
)
def test_a_byte_of_the_environment_that_is_no_utf_8_shows_nothing(variable, command, tmp_path):
    (tmp_path / "beluga.toml").write_text('[endpoints.lab]\nbase_url = "http://127.0.0.1:9/v1"\n')
    environ = {
        **os.environb,
        variable.encode(): BYTES,
        b"PYTHONPATH": os.fsencode(Path(OURS).parent),
        b"IPYTHONDIR": os.fsencode(tmp_path / "ipython"),
        b"BELUGA_LAB_BASE_URL": b"http://127.0.0.1:9/v1",
    }
    done = subprocess.run(
        [sys.executable, *command], env=environ, cwd=tmp_path, capture_output=True, timeout=120, check=False
    )
    output = (done.stdout + done.stderr).decode("utf-8", "replace")
    assert output.strip()
    assert not shows(output)
    assert "Traceback" not in output
    assert "UnicodeEncodeError" not in output
