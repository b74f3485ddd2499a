"""`python -m beluga_nb lab`: a real JupyterLab, as root and as somebody, from a clone and from a wheel."""

import contextlib
import json
import os
import pty
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from installed import Environment
from kernels import clean_environment

from beluga_nb.errors import RequestError
from beluga_nb.terminal import lab

pytestmark = pytest.mark.posix  # accounts and terminals

ROOT = Path(__file__).parents[2]
PYTHONPATH = os.pathsep.join(map(str, (ROOT / "tests/lean", ROOT)))
PATIENCE = 60
ADDRESS = re.compile(r"http://(?:localhost|127\.0\.0\.1):\d+/lab/tree/\S*")


def environment(home, **more):
    """The environment of an account that has used nothing yet, without a screen."""
    kept = {name: value for name, value in clean_environment().items() if not name.startswith("JUPYTER")}
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        kept.pop(name, None)
    # jupyter_server_config.json: extensions of the server that take a second to import.
    kept["JUPYTER_CONFIG_PATH"] = str(Path(__file__).parent)
    return kept | {"HOME": str(home), "PYTHONPATH": PYTHONPATH, "PYTHONWARNINGS": ""} | more


class Running:
    """JupyterLab as a terminal shows it: Ctrl-C is typed, and what it prints is read."""

    def __init__(self, command, folder, environ):
        self.terminal, theirs = pty.openpty()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=_take_the_terminal,
        )
        os.close(theirs)
        self.printed = ""

    def address(self):
        until = time.monotonic() + PATIENCE
        while not (found := ADDRESS.findall(self.printed)) and time.monotonic() < until:
            if not self._read():
                break
        assert found, self.printed
        return found[-1]

    def stop(self):
        os.write(self.terminal, b"\x03")
        return self.end()

    def end(self):
        while self._read():
            pass
        return self.process.wait(PATIENCE)

    def _read(self):
        try:
            some = os.read(self.terminal, 65536)
        except OSError:  # on Linux, that nobody has it open any more
            return False
        self.printed += some.decode(errors="replace")
        return bool(some)

    def kill(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(PATIENCE)
        os.close(self.terminal)


def _take_the_terminal():
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@contextlib.contextmanager
def running(*words, command=(sys.executable, "-m", "beluga_nb"), folder, **more):
    started = Running([*command, "lab", *words], folder, environment(folder, **more))
    try:
        yield started
    finally:
        started.kill()


def asked(address, path, token=None):
    """What the server says about a path, asked as a browser would, with the address that was printed."""
    parts = urlsplit(address)
    token = token or parts.query.partition("token=")[2]
    request = urllib.request.Request(
        f"{parts.scheme}://{parts.netloc}/{path}", headers={"Authorization": f"token {token}"}
    )
    until = time.monotonic() + PATIENCE
    while True:  # it prints its address a moment before it listens
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.read()
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError) or time.monotonic() > until:
                raise
        time.sleep(0.1)


def opened(address, path):
    return json.loads(asked(address, f"api/contents/{path}"))


def test_it_opens_the_quickstart_with_the_repository_as_its_root_and_ctrl_c_ends_it(tmp_path):
    with running(folder=tmp_path) as server:
        address = server.address()
        assert urlsplit(address).path == "/lab/tree/notebooks/01-quickstart.ipynb"
        page = asked(address, "lab/tree/notebooks/01-quickstart.ipynb")
        assert b"<title>JupyterLab</title>" in page
        quickstart = opened(address, "notebooks/01-quickstart.ipynb")
        assert "beluga_nb" in json.dumps(quickstart["content"]["cells"][0])
        names = {each["name"] for each in opened(address, "")["content"]}
        assert {"README.md", "docs", "notebooks"} <= names
        assert server.stop() == 0
    assert "Traceback" not in server.printed
    assert "[y/N]" not in server.printed
    lines = server.printed.replace("\r", "").splitlines()
    if os.geteuid() == 0:
        assert lines.pop(0) == "This is the root account: JupyterLab is started with --allow-root."
    assert lines[0] == f"JupyterLab on {ROOT}/notebooks/01-quickstart.ipynb; Ctrl-C ends it."
    assert "not recommended" not in server.printed


def test_another_notebook_and_a_port_of_ones_own(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with running("--notebook", "02", "--port", str(port), folder=tmp_path) as server:
        address = server.address()
        assert urlsplit(address).port == port
        assert urlsplit(address).path.endswith("/02-prompt-comparison.ipynb")
        assert server.stop() == 0


def test_two_at_once_have_ports_of_their_own_and_jupyters_own_options_stand_after_two_dashes(tmp_path):
    token = "--IdentityProvider.token=abc"
    with running(folder=tmp_path) as one, running("--", token, folder=tmp_path) as other:
        address = other.address()
        assert urlsplit(one.address()).port != urlsplit(address).port
        assert address.endswith("/lab/tree/notebooks/01-quickstart.ipynb")
        assert json.loads(asked(address, "api/contents", token="abc"))["type"] == "directory"
        assert (one.stop(), other.stop()) == (0, 0)


@pytest.mark.skipif(os.geteuid() != 0, reason="Only root becomes somebody else.")
def test_an_ordinary_account_needs_no_allow_root(tmp_path):
    become = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    if subprocess.run([*become, sys.executable, "-c", ""], capture_output=True).returncode:
        pytest.skip("This Python lies where no other account can read it.")
    home = Path("/var/tmp") / f"beluga_nb-{os.getpid()}"
    home.mkdir(mode=0o700)
    os.chown(home, 65534, 65534)
    try:
        with running(
            "there", command=(*become, sys.executable, "-m", "beluga_nb"), folder=home, TMPDIR=str(home)
        ) as server:
            assert opened(server.address(), "notebooks/01-quickstart.ipynb")["writable"]
            assert server.stop() == 0
        assert "root account" not in server.printed
        assert (home / "there/notebooks/01-quickstart.ipynb").stat().st_uid == 65534
    finally:
        shutil.rmtree(home)


# --- what is not right is two lines


def refused(folder, *words, **more):
    done = subprocess.run(
        [sys.executable, "-m", "beluga_nb", "lab", *words],
        cwd=folder,
        env=environment(folder, **more),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 2, done.stderr
    return done.stderr


@pytest.mark.sampled(4)
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["--notebook", "99"],
            "No notebook '99'.\nAvailable: 01-quickstart, 02-prompt-comparison, ",
        ),
        (["--notebook", "quikstart"], "Did you mean '01-quickstart'? Available: "),
        (["--notebook", "../../etc/passwd"], "No notebook '../../etc/passwd'."),
        (["--notebook", ""], "No notebook ''."),
        (["--port", "65536"], "'65536' is not a port; give a number from 0 to 65535"),
        (["--port", "many"], "'many' is not a port"),
        (["a-file"], "a-file is not a folder.\nName another folder."),
        (["one", "two"], "unrecognized arguments: two"),
        (["--everything"], "unrecognized arguments: --everything"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else "",
)
def test_what_cannot_be_is_two_lines(tmp_path, words, expected):
    (tmp_path / "a-file").touch()
    assert expected in refused(tmp_path, *words)


def test_a_port_in_use_is_two_lines(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        text = refused(tmp_path, "--port", str(port))
    assert text.endswith(
        f"Port {port} cannot be used (Address already in use).\nLeave --port out, and a free one is taken.\n"
    )


def test_without_jupyterlab_it_says_what_to_install(tmp_path):
    (tmp_path / "jupyterlab").mkdir()
    (tmp_path / "jupyterlab/__init__.py").write_text("raise ImportError('not here')\n")
    found = refused(tmp_path, PYTHONPATH=f"{tmp_path}{os.pathsep}{PYTHONPATH}")
    assert "JupyterLab is not installed in this environment.\n" in found
    assert found.endswith(f"Install it: {sys.executable} -m pip install 'beluga_nb[lab]'\n")


# --- the folder that gets a copy


NAMES = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("spelt", ["name", "stem", "number", "rest"])
def test_a_notebook_is_named_as_one_likes(name, spelt):
    number, _, rest = name.removesuffix(".ipynb").partition("-")
    words = {"name": name, "stem": f"{number}-{rest}", "number": number, "rest": rest}[spelt]
    assert lab.notebook_named(words, ROOT / "notebooks") == name


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "source"
    for name in ("README.md", "docs/a.md", "notebooks/01-a.ipynb", "notebooks/beluga_store/store.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"ours: {name}")
    hidden = ("notebooks/.ipynb_checkpoints/x.ipynb", "notebooks/.ruff.toml", "docs/.cache/x")
    for name in (*hidden, "notebooks/beluga_store/tmp/half", "pyproject.toml"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("not to be copied")
    return folder


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()
    }


def test_everything_that_is_shared_is_copied_once(source, tmp_path):
    copied = lab.copy(source, tmp_path / "new/folder")
    assert str(copied) == f"{tmp_path}/new/folder: 4 new files (0.0 MB)."
    assert contents(tmp_path / "new/folder") == {
        name: f"ours: {name}"
        for name in ("README.md", "docs/a.md", "notebooks/01-a.ipynb", "notebooks/beluga_store/store.json")
    }
    assert str(lab.copy(source, tmp_path / "new/folder")) == f"{tmp_path}/new/folder: unchanged."


@pytest.mark.parametrize("what", ["another text", "a folder", "a link", "a dangling link", "nothing"])
def test_what_is_there_is_never_replaced_and_that_is_reported(source, tmp_path, what):
    folder, mine, kept = tmp_path / "mine", tmp_path / "mine/README.md", tmp_path / "elsewhere.md"
    folder.mkdir()
    match what:
        case "another text" | "nothing":
            mine.write_text("mine" if what == "another text" else "")
        case "a folder":
            mine.mkdir()
        case _:
            mine.symlink_to(kept)
            if what == "a link":
                kept.write_text("mine")
    before = contents(tmp_path / "mine")
    assert str(lab.copy(source, folder)).splitlines()[1] == "Not overwritten, although different: README.md."
    assert {name: text for name, text in contents(folder).items() if name in before} == before
    assert kept.exists() == (what == "a link")


@pytest.mark.posix
@pytest.mark.parametrize("name", ["docs", "notebooks", "notebooks/beluga_store"])
def test_nothing_is_written_through_a_link_that_leads_out_of_the_folder(source, tmp_path, name):
    (tmp_path / "mine/notebooks").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    if name == "notebooks":
        (tmp_path / "mine/notebooks").rmdir()
    (tmp_path / "mine" / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(RequestError, match="cannot be written: a link in it leads elsewhere"):
        lab.copy(source, tmp_path / "mine")
    assert contents(tmp_path / "elsewhere") == {}


def test_a_folder_that_cannot_be_written_is_two_lines(source, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RequestError, match="cannot be written"):
        lab.copy(source, tmp_path / "file/folder")


# --- a browser


@pytest.mark.parametrize(
    ("environ", "opens"),
    [({}, False), ({"DISPLAY": ":0"}, True), ({"WAYLAND_DISPLAY": "wayland-0"}, True)],
)
def test_a_browser_is_opened_where_there_is_a_screen_and_never_by_root(environ, opens, monkeypatch):
    monkeypatch.setattr(lab.webbrowser, "get", lambda: object())
    assert lab.can_open_a_browser(environ) == (opens and not lab.is_root())


@pytest.mark.parametrize("as_root", [True, False])
def test_allow_root_is_given_to_root_alone(as_root):
    words = lab.options(ROOT, "01-quickstart.ipynb", port=None, opens=False, as_root=as_root)
    assert ("--allow-root" in words) is as_root


# --- a wheel


@pytest.mark.environment
@pytest.mark.whole
def test_an_installed_wheel_copies_its_notebooks_and_opens_them(wheel, tmp_path):
    """It installs all of JupyterLab.

    Every check tries what is copied, above, and what a wheel holds, in `test_release.py`.
    """
    assert wheel.stat().st_size < 7_700_000
    installed = Environment(tmp_path / "env", f"{wheel}[lab]")
    work = tmp_path / "work"
    work.mkdir()
    environ = {"PYTHONPATH": "", "TERM": "dumb"}
    shown = installed.run("-m", "beluga_nb", "lab", cwd=work, status=2)
    assert shown.splitlines() == [
        f"{lab.PROGRAM} lab: The notebooks are part of an installed package, and need a folder of yours.",
        "Name one, and they are copied there: python -m beluga_nb lab pictures",
    ]
    extensions = installed.run("-m", "jupyter", "labextension", "list", cwd=work, **environ)
    assert re.search(r"beluga-nb v[\d.]+ \S*enabled\S* \S*OK", extensions), extensions
    command = (installed.python, "-m", "beluga_nb")
    with running("pictures", "--notebook", "07", command=command, folder=work, **environ) as server:
        address = server.address()
        assert opened(address, "notebooks/07-judging.ipynb")["type"] == "notebook"
        assert {each["name"] for each in opened(address, "")["content"]} == {"README.md", "docs", "notebooks"}
        assert server.stop() == 0
    shown = installed.run(
        *("-m", "beluga_nb", "verify", *map(str, sorted((work / "pictures/notebooks").glob("*.ipynb")))),
        cwd=work,
    )
    assert shown.count("all well") == 1, shown
    ours = set(lab.files(ROOT))
    assert {
        path.relative_to(work / "pictures") for path in (work / "pictures").rglob("*") if path.is_file()
    } >= ours
