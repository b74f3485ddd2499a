"""JupyterLab on the quickstart, in one command: `python -m beluga_nb lab`.

In a clone it opens the repository itself. From an installed package the notebooks, their recordings and the
documentation are copied into a folder that you name; files that exist are never replaced.
"""

from __future__ import annotations

import os
import socket
import sys
import warnings
import webbrowser
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from beluga_nb.commands.arguments import USAGE_ERROR
from beluga_nb.commands.usage import PROGRAM, parser
from beluga_nb.errors import BelugaError, RequestError, SettingsError, UnknownNameError
from beluga_nb.paths import has_content, replacing
from beluga_nb.redaction import redact
from beluga_nb.store.files import NOT_FOR_GIT, is_inside
from beluga_nb.text import sanitize

PACKAGE = Path(__file__).parents[1]
SHARED = ("README.md", "docs", "notebooks")
"""What of the repository a folder gets; a wheel has it in `share/`."""

Run = Callable[[list[str]], int]
"""Runs JupyterLab with some options until it is ended, and returns the exit status."""

_NAMED = 5  # Files that are listed by name.


def main(words: Sequence[str]) -> int:
    """Run JupyterLab until Ctrl-C and return the exit status; an error is two lines on stderr."""
    own, jupyters = _divided(words)
    arguments = parser("lab").parse_args(own)
    try:
        source = repository() or shared()
        notebook = notebook_named(arguments.notebook, source / "notebooks")
        _check_port(arguments.port)
        run = _jupyterlab()
        root = _root(arguments.folder)
    except BelugaError as error:
        print(redact(f"{PROGRAM} lab: {error}"), file=sys.stderr)
        return USAGE_ERROR
    opens = not arguments.no_browser and can_open_a_browser(os.environ)
    if is_root():
        print("This is the root account: JupyterLab is started with --allow-root.")
    print(
        redact(f"JupyterLab on {sanitize(str(root / 'notebooks' / notebook))}; Ctrl-C ends it."), flush=True
    )
    return run([*options(root, notebook, port=arguments.port, opens=opens, as_root=is_root()), *jupyters])


def _divided(words: Sequence[str]) -> tuple[list[str], list[str]]:
    both = [*words, "--"]
    end = both.index("--")
    return both[:end], both[end + 1 : -1]


def options(root: Path, notebook: str, *, port: int | None, opens: bool, as_root: bool) -> list[str]:
    """Return what JupyterLab is started with."""
    return [
        f"--ServerApp.root_dir={root}",
        f"--LabApp.default_url=/lab/tree/notebooks/{notebook}",
        "--ServerApp.answer_yes=True",  # Otherwise it asks at Ctrl-C whether to stop.
        "--Application.log_level=ERROR",  # Its address is printed here.
        *([f"--ServerApp.port={port}", "--ServerApp.port_retries=0"] if port else []),
        *([] if opens else ["--no-browser"]),
        *(["--allow-root"] if as_root else []),
    ]


def is_root() -> bool:
    """Whether this is the root account, which JupyterLab refuses without --allow-root."""
    return hasattr(os, "geteuid") and os.geteuid() == 0


def can_open_a_browser(environ: Mapping[str, str]) -> bool:
    """Whether a browser with a window can be opened here; one in the terminal would take it over."""
    if sys.platform == "linux" and not (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return not is_root()  # Browsers refuse to run as root.


def repository() -> Path | None:
    """Return the folder of the repository, where this package is part of one."""
    folder = PACKAGE.parent
    return folder if (folder / "notebooks").is_dir() and (folder / "pyproject.toml").is_file() else None


def shared() -> Path:
    """Return where an installed package has its notebooks."""
    folder = PACKAGE / "share"
    if not (folder / "notebooks").is_dir():
        raise SettingsError(
            "This installation has no notebooks.", "Install a wheel, or clone the repository."
        )
    return folder


def notebook_named(name: str, folder: Path) -> str:
    """Return the notebook's file for a number or a name; raise `RequestError` where there is none."""
    names = sorted(path.stem for path in folder.glob("*.ipynb"))
    wanted = name.removesuffix(".ipynb")
    found = [each for each in names if wanted in {each, each.partition("-")[0], each.partition("-")[2]}]
    if found:
        return f"{found[0]}.ipynb"
    raise UnknownNameError("notebook", name, names)


def _check_port(port: int | None) -> None:
    try:
        if port:
            socket.create_server(("127.0.0.1", port)).close()
    except OSError as error:
        raise SettingsError(
            f"Port {port} cannot be used ({os.strerror(error.errno or 0)}).",
            "Leave --port out, and a free one is taken.",
        ) from None


def _jupyterlab() -> Run:
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        raise SettingsError(
            "JupyterLab is not installed in this environment.",
            f"Install it: {sanitize(sys.executable)} -m pip install 'beluga_nb[lab]'",
        ) from None

    def run(options: list[str]) -> int:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # Jupyter's own, about itself.
                server = LabApp.initialize_server(argv=options)
                # With a token of its own making, Jupyter prints its address itself.
                if not server.identity_provider.token_generated:
                    print(redact(f"  {server.connection_url.rstrip('/')}{server.default_url}"), flush=True)
                server.start()
        except KeyboardInterrupt:  # Ctrl-C before the server had started.
            return 130
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)
        return 0

    return run


def _root(folder: str | None) -> Path:
    here = repository()
    if folder is None:
        if here:
            return here
        raise RequestError(
            "The notebooks are part of an installed package, and need a folder of yours.",
            f"Name one, and they are copied there: {PROGRAM} lab pictures",
        )
    copied = copy(here or shared(), Path(folder))
    print(redact(str(copied)))
    return Path(folder).resolve()


@dataclass
class Copied:
    """What was copied into a folder, and which files were there already with other content."""

    folder: Path
    new: int = 0
    size: int = 0
    kept: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        name = sanitize(str(self.folder))
        lines = [
            f"{name}: {self.new} new files ({self.size / 1e6:.1f} MB)." if self.new else f"{name}: unchanged."
        ]
        if self.kept:
            more = f" and {len(self.kept) - _NAMED} more" if len(self.kept) > _NAMED else ""
            names = ", ".join(sanitize(each, 80) for each in self.kept[:_NAMED])
            lines.append(f"Not overwritten, although different: {names}{more}.")
        return "\n".join(lines)


def copy(source: Path, folder: Path) -> Copied:
    """Copy what a repository shares into a folder; replace nothing.

    Raises `RequestError` where the folder cannot be written.
    """
    copied = Copied(folder)
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{sanitize(str(folder))} is not a folder.", "Name another folder.")
    try:
        for path in files(source):
            _copy(source / path, folder / path, str(path), copied)
    except OSError as error:
        raise RequestError(
            f"{sanitize(str(folder))} cannot be written: {error.strerror or error}.", "Name another folder."
        ) from None
    return copied


def files(source: Path) -> Iterator[Path]:
    """Yield the shared files, as paths below the source; what is hidden only for git, not what it ignores."""
    for name in SHARED:
        top = source / name
        for path in sorted(top.rglob("*")) if top.is_dir() else [top]:
            inner = path.relative_to(source)
            is_hidden = any(part.startswith(".") and not part.startswith(".git") for part in inner.parts)
            if path.is_file() and not is_hidden and not {*NOT_FOR_GIT} & {*inner.parts}:
                yield inner


def _copy(source: Path, target: Path, name: str, copied: Copied) -> None:
    data = source.read_bytes()
    if os.path.lexists(target):
        if not has_content(target, data):
            copied.kept.append(name)
        return
    if not is_inside(target, copied.folder):
        raise PermissionError("a link in it leads elsewhere")
    target.parent.mkdir(parents=True, exist_ok=True)
    with replacing(target, new=True) as file:
        file.write(data)
    copied.new += 1
    copied.size += len(data)
