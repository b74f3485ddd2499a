"""A real Jupyter kernel for tests: run a cell, get what it showed."""

import contextlib
import os
import queue
import re
import sys
import time
from dataclasses import dataclass, field

from jupyter_client.manager import KernelManager

PATIENCE = 60

BADGE = re.compile(r"\x1b\[(?:7|30;43)m ([a-z ]+) \x1b\[0m ?")
COLOUR = re.compile(r"\x1b\[[\d;]*m")


def plain(coloured):
    """A line of an error without its colours and its badge."""
    return COLOUR.sub("", BADGE.sub("", coloured))


def clean_environment(**more):
    """The environment without any setting of ours, and without CI, which is one."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BELUGA_")}
    kept.pop("CI", None)
    # In an environment of somebody else's its old libraries warn of one another.
    warned = "ignore" if "TESTS_ENVIRONMENT" in os.environ else "default"
    return kept | {"PYTHONWARNINGS": warned} | more


@dataclass
class Shown:
    """What one cell showed, and how it ended."""

    status: str = "ok"
    stdout: str = ""
    stderr: str = ""
    bundles: list = field(default_factory=list)
    error: list = field(default_factory=list)
    coloured: list = field(default_factory=list)
    seconds: float = 0.0

    @property
    def texts(self):
        return [bundle["text/plain"] for bundle in self.bundles]

    @property
    def badges(self):
        """What the badges of an error tell of the bill."""
        return [words for line in self.coloured for words in BADGE.findall(line)]

    def fails_with(self, first, second):
        """Check that the cell has failed in two lines: how the first starts, what the second says."""
        assert self.status == "error"
        assert len(self.error) == 2, self.error
        assert self.error[0].startswith(first)
        assert second in " ".join([*self.badges, self.error[1]])

    @property
    def everything(self):
        return repr((self.stdout, self.stderr, self.bundles, self.error))


class Kernel:
    """One kernel in a folder; `with Kernel(folder) as kernel: kernel.run("1 + 1")`."""

    def __init__(self, folder, *, python=sys.executable, **environment):
        self.python = python
        environment = clean_environment(IPYTHONDIR=str(folder / ".ipython"), **environment)
        for left in (2, 1, 0):
            self._start(folder, environment)
            try:
                self.client.wait_for_ready(timeout=PATIENCE)
            except RuntimeError:  # Jupyter chose a port that someone else has taken meanwhile
                self.__exit__()
                if not left:
                    raise
            else:
                return

    def _start(self, folder, environment):
        self.manager = KernelManager(kernel_name="python3")
        self.manager.kernel_spec.argv[0] = self.python
        self.manager.start_kernel(cwd=str(folder), env=environment)
        self.client = self.manager.client()
        self.client.start_channels()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)
        self.manager.cleanup_resources()

    def restart(self, *, now):
        """Restart it, and come back when what it shows is heard again."""
        self.manager.restart_kernel(now=now)
        self.client.wait_for_ready(timeout=PATIENCE)
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            number = self.client.kernel_info()
            with contextlib.suppress(queue.Empty):
                while message := self.client.get_iopub_msg(timeout=1):
                    if message["parent_header"].get("msg_id") == number:
                        return
        raise TimeoutError("nothing is heard of the new kernel")

    def start(self, code, *, answers=None, stop_on_error=True):
        return self.client.execute(code, allow_stdin=answers is not None, stop_on_error=stop_on_error)

    def run(self, code, *, answers=None, interrupt_when=None):
        """Run a cell; `answers` are typed when it asks, `interrupt_when` is text in stdout to stop it at."""
        began = time.monotonic()
        # Not to be aborted: after an error, ipykernel ends what arrives for a moment, as in Run All.
        number = self.start(code, answers=answers, stop_on_error=False)
        shown = self.finish(number, answers=answers, interrupt_when=interrupt_when)
        shown.seconds = time.monotonic() - began
        return shown

    def complete(self, code, position=None):
        """What is offered in a cell (at its end, unless said): matches, from where to where, types."""
        number = self.client.complete(code, len(code) if position is None else position)
        while (reply := self.client.get_shell_msg(timeout=PATIENCE))["parent_header"]["msg_id"] != number:
            pass
        content = reply["content"]
        types = {each["type"] for each in content["metadata"].get("_jupyter_types_experimental", ())}
        return content["matches"], (content["cursor_start"], content["cursor_end"]), types

    def asks(self):
        """Whether it asks for input: `stdin_channel.msg_ready` is a coroutine in jupyter_client 7."""
        with contextlib.suppress(queue.Empty):
            return bool(self.client.get_stdin_msg(timeout=0))
        return False

    def finish(self, number, *, answers=None, interrupt_when=None):
        shown, until = Shown(), time.monotonic() + PATIENCE
        waiting = list(answers or [])
        while time.monotonic() < until:
            if waiting and self.asks():
                self.client.input(waiting.pop(0))
            try:
                message = self.client.get_iopub_msg(timeout=0.1)
            except queue.Empty:
                continue
            if message["parent_header"].get("msg_id") != number:
                continue
            if self._read(message, shown):
                return shown
            if interrupt_when and interrupt_when in shown.stdout:
                interrupt_when = None
                shown.interrupted_at = time.monotonic()
                self.manager.interrupt_kernel()
        raise TimeoutError(f"the cell did not end: {shown}")

    def _read(self, message, shown):
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "stream":
            setattr(shown, content["name"], getattr(shown, content["name"]) + content["text"])
        elif kind in {"execute_result", "display_data"}:
            shown.bundles.append(content["data"])
        elif kind == "error":
            shown.status, shown.coloured = "error", content["traceback"]
            shown.error = [plain(line) for line in shown.coloured]
        return kind == "status" and content["execution_state"] == "idle"
