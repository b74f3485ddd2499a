"""Twelve things that people do with a magic for pictures, beside the magics that can still be installed.

    python -m benchmarks.peers [FOLDER]

Each package is installed from the index into an environment of its own, in FOLDER (else a temporary one),
and is used in a kernel of its own. All ask the same server on loopback, which draws at once and remembers
what it was asked. For each task: the lines that the notebook shows (a picture counts as one), the seconds
until the kernel is idle, and whether it was done: a picture is shown, the text that was typed has arrived,
a failure has failed the cell. The service makes one picture per request with the model that is asked for,
as its contract says; pictures from jupyter-ai 2 need another provider, by its documentation.
"""

import contextlib
import io
import os
import queue
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import venv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn
from jupyter_client.manager import KernelManager
from PIL import Image

from beluga_nb.errors import APIStatusError
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result
from beluga_nb.server.app import create_app

KEY = "bapi_a-key-for-benchmarks"
ROOT = Path(__file__).parents[1]
PATIENCE = 60
"""Seconds for a cell."""

JSON = 'a card that says {"name": "fox", "legs": [4]}'
FILLED = "a red bicycle"


@dataclass(frozen=True)
class Package:
    """A package with a magic, and the cell for each task; what it has no way for is not there."""

    name: str
    installed: Sequence[str]
    cells: dict[str, str]
    tab: str


@dataclass
class Seen:
    """What one cell showed."""

    text: str = ""
    pictures: int = 0
    failed: bool = False
    seconds: float = 0.0
    prompts: list[str] = field(default_factory=list)
    matches: list[str] = field(default_factory=list)

    @property
    def lines(self) -> int:
        """Lines on the screen, a picture being one."""
        return len(self.text.strip().splitlines()) + self.pictures


Done = Callable[[Seen], bool]

MODELS = ["gpt-image-2", "gpt-image-2-official", "gpt-image-1-official", "gpt-image-1.5-official"]

TASKS: dict[str, Done] = {
    "load it": lambda seen: not seen.failed,
    "a picture from a line": lambda seen: seen.pictures == 1,
    "a picture from a cell": lambda seen: seen.pictures == 1,
    "the picture as a PIL image": lambda seen: "(64, 64)" in seen.text,
    "four pictures": lambda seen: seen.pictures in {1, 4},
    "a prompt with JSON in it": lambda seen: [each.strip() for each in seen.prompts] == [JSON],
    "a variable in the prompt": lambda seen: [each.strip() for each in seen.prompts] == [FILLED],
    "help": lambda seen: "model" in seen.text,
    "Tab after the option for the model": lambda seen: seen.matches == MODELS,
    "an option that does not exist": lambda seen: seen.failed,
    "a model that does not exist": lambda seen: seen.failed,
    "a balance that is too low": lambda seen: seen.failed,
}

OURS = Package(
    "beluga_nb",
    ("-e", str(ROOT)),
    {
        "load it": "%load_ext beluga_nb",
        "a picture from a line": "%beluga a fox",
        "a picture from a cell": "%%beluga\na hen",
        "the picture as a PIL image": "x = %beluga an owl\nx[0].size",
        "four pictures": "%beluga -n 4 a goose",
        "a prompt with JSON in it": f"%%beluga\n{JSON}",
        "a variable in the prompt": "colour = 'red'\n%beluga a {{colour}} bicycle",
        "help": "%beluga --help",
        "an option that does not exist": "%beluga --sise 1:1 a fox",
        "a model that does not exist": "%beluga -m gpt-image-9 a fox",
        "a balance that is too low": "%beluga a poor fox",
    },
    "%beluga -m gpt",
)

CHATBOOK = Package(
    "JupyterChatbook",
    ("JupyterChatbook==0.1.6",),
    {
        "load it": "%load_ext JupyterChatbook",
        "a picture from a cell": "%%dalle -m gpt-image-2 --no_clipboard\na hen",
        "four pictures": "%%dalle -m gpt-image-2 -n 4 --no_clipboard\na goose",
        "a prompt with JSON in it": f"%%dalle -m gpt-image-2 --no_clipboard\n{JSON}",
        "help": "%%dalle?",
        "an option that does not exist": "%%dalle --sise 1:1\na fox",
        "a model that does not exist": "%%dalle -m gpt-image-9 --no_clipboard\na fox",
        "a balance that is too low": "%%dalle -m gpt-image-2 --no_clipboard\na poor fox",
    },
    "%%dalle -m gpt",
)

JUPYTEE = Package(
    "jupytee",
    ("jupytee==0.0.4", "openai"),  # which it needs and does not name
    {
        "load it": "%load_ext jupytee",
        "a picture from a line": "%pic a fox",
        "a picture from a cell": "%%pic\na hen",
        "four pictures": "%pic -n 4 a goose",
        "a prompt with JSON in it": f"%%pic\n{JSON}",
        "a variable in the prompt": "colour = 'red'\n%pic a {colour} bicycle",
        "help": "%pic?",
        "an option that does not exist": "%pic --sise 1:1 a fox",
        "a balance that is too low": "%pic a poor fox",
    },
    "%pic -m gpt",
)

JUPYTER_AI = Package(
    "jupyter-ai 2",
    ("jupyter_ai_magics==2.31.7", "langchain-openai"),
    {
        "load it": "%load_ext jupyter_ai_magics",
        "help": "%ai help",
        "an option that does not exist": "%%ai openai-chat-custom:gpt-image-2 --sise 1:1\na fox",
        "a model that does not exist": "%%ai gpt-image-9 -f image\na fox",
    },
    "%%ai gpt",
)

JUPYTER_AI_3 = Package(
    "jupyter-ai 3",
    ("jupyter_ai_magic_commands==0.0.4",),
    {
        "load it": "%load_ext jupyter_ai_magic_commands",
        "a picture from a cell": "%%ai openai/gpt-image-2 -f image\na hen",
        "help": "%ai help",
        "an option that does not exist": "%%ai openai/gpt-image-2 --sise 1:1\na fox",
        "a model that does not exist": "%%ai gpt-image-9 -f image\na fox",
    },
    "%%ai gpt",
)

PACKAGES = (OURS, CHATBOOK, JUPYTEE, JUPYTER_AI, JUPYTER_AI_3)


class Drawing:
    """An engine that draws at once, refuses the poor, and remembers what it was asked."""

    def __init__(self) -> None:
        self.prompts: list[str] = []

    async def __call__(self, request: Request) -> Result:
        self.prompts.append(request.prompt)
        if "poor" in request.prompt:
            raise APIStatusError("Your balance is too low.", status=402, type="insufficient_quota")
        buffer = io.BytesIO()
        Image.new("RGB", (64, 64), "teal").save(buffer, "PNG")
        return Result.of(
            request, [ImagePayload(buffer.getvalue()) for _ in request.samples], engine="drawing"
        )


@contextlib.contextmanager
def serving(engine: Drawing) -> Iterator[str]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = uvicorn.Config(create_app(engine, key=KEY), lifespan="off", log_level="error")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        server.should_exit = True
        thread.join(10)


class Kernel:
    """A kernel of an environment, in a folder of its own."""

    def __init__(self, python: Path, folder: Path, base_url: str) -> None:
        keys = {"BELUGA_API_KEY": KEY, "OPENAI_API_KEY": KEY}
        bases = dict.fromkeys(("BELUGA_BASE_URL", "OPENAI_BASE_URL", "OPENAI_API_BASE"), base_url)
        kept = {name: value for name, value in os.environ.items() if name != "CI"}
        self.manager = KernelManager()
        assert self.manager.kernel_spec
        self.manager.kernel_spec.argv = [
            str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}",
        ]  # fmt: skip
        environment = kept | keys | bases | {"IPYTHONDIR": str(folder / ".ipython")}
        self.manager.start_kernel(cwd=str(folder), env=environment, stderr=subprocess.DEVNULL)
        self.client = self.manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE)

    def close(self) -> None:
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)

    def run(self, cell: str) -> Seen:
        began, seen = time.monotonic(), Seen()
        number = self.client.execute(cell, allow_stdin=False)
        while time.monotonic() < began + PATIENCE:
            with contextlib.suppress(queue.Empty):
                message = self.client.get_iopub_msg(timeout=1)
                if message["parent_header"].get("msg_id") == number and self._idle(message, seen):
                    break
        seen.seconds = time.monotonic() - began
        reply = self.client.get_shell_msg(timeout=PATIENCE)["content"]
        seen.failed = reply["status"] == "error"
        for payload in reply.get("payload", ()):  # the pager, which shows help
            seen.text += _plain(str(payload.get("data", {}).get("text/plain", "")))
        return seen

    def complete(self, typed: str) -> Seen:
        began = time.monotonic()
        self.client.complete(typed, len(typed))
        matches = self.client.get_shell_msg(timeout=PATIENCE)["content"]["matches"]
        return Seen("\n".join(matches), matches=matches, seconds=time.monotonic() - began)

    def _idle(self, message: dict[str, dict[str, object]], seen: Seen) -> bool:
        kind, content = message["header"]["msg_type"], message["content"]
        data = content.get("data")
        if kind == "stream":
            seen.text += str(content["text"])
        elif kind == "error":
            seen.text += _plain("\n".join(map(str, content["traceback"] or ())))  # type: ignore[call-overload]
        elif kind in {"display_data", "execute_result"} and isinstance(data, dict):
            html = str(data.get("text/html", ""))
            shown = html.count("<img") or int(any(name.startswith("image/") for name in data))
            seen.pictures += shown
            seen.text += "" if shown else _plain(str(data.get("text/plain", ""))) + "\n"
        return kind == "status" and content["execution_state"] == "idle"


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[\d;]*m", "", text)


def python_of(package: Package, folder: Path) -> Path:
    """Return the interpreter of an environment that has the package, made if it is not there."""
    place = folder / re.sub(r"\W+", "-", package.name)
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "ipykernel", *package.installed], check=True)
    return python


def measured(package: Package, folder: Path) -> Iterator[str]:
    engine = Drawing()
    python = python_of(package, folder)
    with tempfile.TemporaryDirectory() as work, serving(engine) as base_url:
        kernel = Kernel(python, Path(work), base_url)
        try:
            for task, done in TASKS.items():
                cell, tab = package.cells.get(task), task.startswith("Tab")
                if cell is None and not tab:
                    yield "no way"
                    continue
                engine.prompts.clear()
                seen = kernel.complete(package.tab) if tab else kernel.run(str(cell))
                seen.prompts = list(engine.prompts)
                yield f"{'' if done(seen) else 'no: '}{seen.lines}, {seen.seconds:.2f} s"
        finally:
            kernel.close()


def main(folder: str = "") -> None:
    with contextlib.ExitStack() as stack:
        place = Path(folder or stack.enter_context(tempfile.TemporaryDirectory()))
        columns = {package.name: list(measured(package, place)) for package in PACKAGES}
    print("| task: lines shown, seconds |", " | ".join(columns), "|")
    print("|---" * (len(columns) + 1) + "|")
    for task, *cells in zip(TASKS, *columns.values(), strict=True):
        print(f"| {task} |", " | ".join(cells), "|")


if __name__ == "__main__":
    main(*sys.argv[1:])
