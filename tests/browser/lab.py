"""JupyterLab in a headless browser, for a with-block: `with Lab(notebook) as lab: lab.run_all()`.

Nothing of the user's own configuration takes part: every Jupyter folder is a temporary one.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
from firefox import FIREFOX
from kernels import clean_environment
from nbformat.reader import NotJSONError
from playwright.sync_api import expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

IN_A_BROWSER = [
    pytest.mark.browser,
    pytest.mark.skipif(
        CHROMIUM is None and not os.environ.get("TESTS_IN_CI"),
        reason="no Chromium on this machine; in CI this fails instead",
    ),
]
"""The marks of what is tested in a browser."""

needs_firefox = pytest.mark.skipif(FIREFOX is None, reason="no Firefox on this machine")

# Chromium calls home at start otherwise, which a closed network refuses many times a second.
_QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


def launch(playwright, browser="chromium"):
    """Start the Chromium or the Firefox of this machine."""
    if browser == "firefox":  # as its makers build it, over WebDriver BiDi
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        program = Path(__file__).with_name("firefox.py")
        environment = {**os.environ, "PATH": path}
        return playwright.firefox.launch(channel="moz-firefox", executable_path=program, env=environment)
    return playwright.chromium.launch(executable_path=CHROMIUM, args=_QUIET)


_SETTINGS = {"@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}
_NOT_USED = {"nbdime": False, "jupyter_lsp": False}
"""Extensions of the server that take a second to import, as Voilà does."""
_PATIENCE = 60
expect.set_options(timeout=_PATIENCE * 1000)

# In the page that is loaded: to load it anew takes ten times as long.
_SHOW = """async path => {
    const { shell, commands } = window.jupyterapp;
    for (const widget of [...shell.widgets('main')]) {
        widget.dispose();
    }
    const { context } = await commands.execute('docmanager:open', { path });
    await context.ready;
    await context.sessionContext.ready;
    await context.sessionContext.session.kernel.info;
}"""


class Lab:
    """One JupyterLab on a free port with one notebook open, its outputs untrusted as a stranger's are.

    `open` puts another notebook in its place, on the same server and in the same browser.
    """

    browser_name = "chromium"
    app = "lab"
    module = ("jupyter", "lab")
    path = "lab/tree/{}?reset&token=test"
    options = ("--LabApp.expose_app_in_browser=True",)
    cells = ".jp-Notebook .jp-Cell"
    source, prompt = ".cm-content", ".jp-InputPrompt"
    """Where a cell has its text, and its number."""

    def __init__(
        self,
        notebook,
        *,
        files=(),
        settings=None,
        size=(1280, 1000),
        voila=False,
        python=sys.executable,
        **environment,
    ):
        self.python = python
        self.extensions = {**_NOT_USED, "voila.server_extension": voila}
        self.folder = Path(tempfile.mkdtemp(prefix="beluga-lab-"))
        self.work = self.folder / "work"
        self.work.mkdir()
        self.notebook = self.work / "notebook.ipynb"
        nbformat.write(notebook, self.notebook)
        for path in files:
            (shutil.copytree if path.is_dir() else shutil.copy)(path, self.work / path.name)
        for plugin, values in (_SETTINGS | (settings or {})).items():
            self.set(plugin, values)
        self.size = size
        self.environment = clean_environment(
            **{f"JUPYTER_{name}_DIR": str(self.folder / name) for name in ("CONFIG", "DATA", "RUNTIME")},
            JUPYTERLAB_SETTINGS_DIR=str(self.folder / "settings"),
            JUPYTERLAB_WORKSPACES_DIR=str(self.folder / "workspaces"),
            IPYTHONDIR=str(self.folder / "ipython"),
            **environment,
        )

    def __enter__(self):
        try:
            self._start_server()
            self._start_browser()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if hasattr(self, "playwright"):
            self.browser.close()
            self.playwright.stop()
        if hasattr(self, "server"):
            self.server.terminate()
            try:
                self.server.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self.server.kill()  # busy with ending its kernels
                self.server.wait()
            finally:
                self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start_server(self):
        words = [
            *(self.python, "-m", *self.module, "--no-browser", "--allow-root", "--ip=127.0.0.1"),
            *("--port=0", "--IdentityProvider.token=test", f"--ServerApp.root_dir={self.work}"),
            f"--ServerApp.jpserver_extensions={self.extensions}",
            *self.options,
        ]
        self.log = open(self.folder / "server.log", "w")  # noqa: SIM115  closed at the end of the block
        self.server = subprocess.Popen(words, env=self.environment, stdout=self.log, stderr=self.log)
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            if self.server.poll() is not None:
                break
            for file in (self.folder / "RUNTIME").glob("jpserver-*.json"):
                self.url = json.loads(file.read_text() or "{}").get("url")
                if self.url and self._answers():
                    return
            time.sleep(0.1)
        raise RuntimeError((self.folder / "server.log").read_text()[-3000:])

    def _answers(self):
        try:
            urllib.request.urlopen(f"{self.url}api?token=test", timeout=5).read()
        except OSError:
            return False
        return True

    def _start_browser(self):
        self.playwright = sync_playwright().start()
        self.browser = launch(self.playwright, self.browser_name)
        width, height = self.size
        self.page = self.browser.new_page(viewport={"width": width, "height": height})
        self.page.set_default_timeout(_PATIENCE * 1000)
        self.page.on("dialog", lambda dialog: dialog.accept())  # whether to leave what is not saved
        self.visit()

    def open(self, notebook, name):
        """Show another notebook, which gets a kernel of its own."""
        self.notebook = self.work / name
        self.notebook.parent.mkdir(exist_ok=True)
        nbformat.write(notebook, self.notebook)
        can_open = (
            "Boolean(window.jupyterapp?.commands.hasCommand('docmanager:open'))"  # not in a page of Voilà
        )
        if self.are_settings_new or not self.page.evaluate(can_open):
            self.visit()
        else:
            self.page.evaluate(_SHOW, self._place())
            self.cell(0).wait_for()

    def set(self, plugin, values):
        """Write settings, which hold from the next visit on."""
        file = self.folder / "settings" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(values))
        self.are_settings_new = True

    @property
    def address(self):
        """Where the notebook is, for any browser."""
        return self.url + self.path.format(self._place())

    def _place(self):
        return self.notebook.relative_to(self.work).as_posix()

    def visit(self):
        """Load the page of the notebook."""
        self.are_settings_new = False
        self.page.goto(self.address)
        self.cell(0).wait_for()
        self._connected().wait_for(state="attached")

    def _connected(self):
        return self.page.get_by_text("| Idle").first  # in the status bar

    def menu(self, name, entry):
        """Choose an entry of a menu."""
        for words in (name, entry):
            self.page.get_by_role("menuitem", name=words, exact=True).click()

    def restart(self):
        """Restart the kernel, and clear all that it had shown."""
        self.menu("Kernel", "Restart Kernel and Clear Outputs of All Cells…")
        self.page.get_by_role("button", name="Restart", exact=True).or_(
            self.page.get_by_role("button", name="Confirm Kernel Restart")
        ).click()
        self.page.wait_for_function(
            "![...document.querySelectorAll('.jp-InputPrompt')].some(each => /\\d/.test(each.innerText))"
        )
        self._connected().wait_for(state="attached")

    def restart_kernel(self):
        """Restart the kernel, and leave all that it had shown."""
        self.page.evaluate(
            """void window.jupyterapp.commands.execute('kernelmenu:restart')
                .then(() => { window.restarted = true; })"""
        )
        self.page.get_by_role("button", name="Restart", exact=True).or_(
            self.page.get_by_role("button", name="Confirm Kernel Restart")
        ).click()
        # Another restart while this one goes on would fail.
        self.page.wait_for_function("window.restarted")
        self.page.evaluate("delete window.restarted")
        self._connected().wait_for(state="attached")

    def interrupt(self):
        """Interrupt the kernel."""
        self.page.evaluate("void window.jupyterapp.commands.execute('kernelmenu:interrupt')")

    def shut_down(self):
        """End the kernel; the next visit begins another."""
        self.menu("Kernel", "Shut Down Kernel")
        self._connected().wait_for(state="detached")

    @contextlib.contextmanager
    def at_width(self, width):
        """Make the window this wide for a while, with nothing beside the notebook."""
        self._turn_side_bar()
        self.page.set_viewport_size({"width": width, "height": self.size[1]})
        yield
        self.page.set_viewport_size({"width": self.size[0], "height": self.size[1]})
        self._turn_side_bar()

    def _turn_side_bar(self):
        self.page.keyboard.press("Control+b")

    def cell(self, number):
        """The cell of that number, from 0."""
        return self.page.locator(self.cells).nth(number)

    def start(self, number):
        """Run a cell."""
        self.cell(number).locator(self.source).first.click()
        self.page.keyboard.press("Control+Enter")

    def run(self, number):
        """Run a cell and wait for its end."""
        self.start(number)
        self.cell(number).locator(self.prompt).filter(has_text=re.compile(r"\d")).first.wait_for()

    def run_all(self):
        """Run every cell and wait until the last code cell has its number."""
        self._connected().wait_for(state="attached")  # Before, JupyterLab runs nothing and says nothing.
        self.menu("Run", "Run All Cells")
        self.page.wait_for_function(
            """() => {
                const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
                const last = prompts[prompts.length - 1];
                return last && /\\d/.test(last.innerText);
            }"""
        )

    def save(self):
        """Save, and return the notebook as it was written."""
        before = self.notebook.stat().st_mtime_ns
        self._start_saving()
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            time.sleep(0.05)
            # The server empties the file before it writes it.
            with contextlib.suppress(NotJSONError):
                if self.notebook.stat().st_mtime_ns != before:
                    return nbformat.read(self.notebook, 4)
        raise TimeoutError("the notebook was not saved")

    def _start_saving(self):
        self.page.keyboard.press("Control+s")

    def picture(self, path):
        """Write a screenshot."""
        self.page.screenshot(path=str(path))


class LabInFirefox(Lab):
    """The same in Firefox."""

    browser_name = "firefox"


class Notebook7(Lab):
    """The same in Notebook 7, which has no status bar, and nothing beside the notebook."""

    app = "notebook"
    module = ("jupyter", "notebook")
    path = "notebooks/{}?token=test"
    options = ()

    def _connected(self):
        # Its word on the kernel fades once there is a kernel to speak to.
        state = ".jp-NotebookKernelStatus"
        return self.page.locator(f"{state}-fade:not({state}-info, {state}-warn, {state}-error)")

    def restart_kernel(self):
        self.menu("Kernel", re.compile("^Restart Kernel…"))  # its name ends with its keys
        self.page.get_by_role("button", name="Restart", exact=True).or_(
            self.page.get_by_role("button", name="Confirm Kernel Restart")
        ).click()

    def interrupt(self):
        self.menu("Kernel", re.compile("^Interrupt Kernel"))

    def _turn_side_bar(self):
        pass


class Notebook7InFirefox(Notebook7):
    """The same in Firefox."""

    browser_name = "firefox"


class NbClassic(Lab):
    """The same in NbClassic, the page of Notebook 6."""

    app = "nbclassic"
    module = ("nbclassic",)
    path = "nbclassic/notebooks/{}?token=test"
    options = ()
    cells = "#notebook-container .cell"
    source, prompt = ".CodeMirror", ".input_prompt"

    def _connected(self):
        return self.page.locator("#kernel_indicator_icon.kernel_idle_icon")

    def restart(self):
        self.page.evaluate("void Jupyter.notebook.restart_clear_output({confirm: false})")
        self._connected().wait_for(state="detached")
        self._connected().wait_for(state="attached")

    def restart_kernel(self):
        self.page.evaluate("void Jupyter.notebook.kernel.restart()")

    def interrupt(self):
        self.page.evaluate("void Jupyter.notebook.kernel.interrupt()")

    def shut_down(self):
        self.page.evaluate("Jupyter.notebook.session.delete()")
        self._connected().wait_for(state="detached")

    def _start_saving(self):
        # NbClassic has no keys while the focus is in an output.
        self.page.evaluate("void Jupyter.notebook.save_checkpoint()")

    def run_all(self):
        self.page.evaluate("Jupyter.notebook.execute_all_cells()")
        last = self.page.locator(".code_cell .input_prompt").last
        last.filter(has_text=re.compile(r"\d")).wait_for()

    def _turn_side_bar(self):
        pass
