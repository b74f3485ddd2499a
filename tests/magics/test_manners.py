"""A good guest: nothing at load, nothing left behind, and at home wherever IPython runs."""

import sys

import nbformat
import pexpect
import pytest
from kernels import COLOUR, Kernel, clean_environment, plain
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbconvert import HTMLExporter, MarkdownExporter
from needed import needed

STATE = """
import sys, threading, gc
from pathlib import Path
shell = get_ipython()
manager = shell.input_transformer_manager
state = {
    "magics": {kind: sorted(shell.magics_manager.magics[kind]) for kind in ("line", "cell")},
    "registry": sorted(shell.magics_manager.registry),
    "configurables": sorted(type(each).__name__ for each in shell.configurables),
    "transforms": [manager.cleanup_transforms, manager.line_transforms, manager.token_transformers],
    "matchers": [shell.Completer.custom_matchers, getattr(shell.Completer, "magic_arg_matchers", [])],
    "hooks": [sys.excepthook, sys.displayhook, shell.custom_exceptions, shell.CustomTB, sys.meta_path],
    "events": shell.events.callbacks,
    "formatters": shell.display_formatter.mimebundle_formatter.type_printers,
    "threads": sorted(each.name for each in threading.enumerate()),
    "files": sorted(path.name for path in Path.cwd().iterdir()),
}
print(repr(state))
del state
"""

WATCHED = """
import builtins, socket, sys
def never(*said, **more): raise AssertionError(f"{said} at load")
kept = socket.socket.connect, builtins.open
before = set(sys.modules)
socket.socket.connect = never
"""


@pytest.fixture
def kernel(tmp_path):
    with Kernel(tmp_path) as running:
        running.run("%load_ext storemagic")  # IPython gets some of its own magics at their first use
        yield running


def test_loading_is_silent_opens_no_socket_and_imports_little(kernel):
    kernel.run(WATCHED)
    assert kernel.run("%load_ext beluga_nb").everything == repr(("", "", [], []))
    kernel.run("socket.socket.connect = kept[0]\nnew = sorted(set(sys.modules) - before)")
    [text] = kernel.run("new").texts
    names = set(eval(text))
    assert {name for name in names if not name.startswith("beluga_nb")} <= {"tomllib", "difflib"}
    assert len(names) <= 12, names


def test_unloading_restores_everything_and_reloading_adds_nothing(kernel):
    before = kernel.run(STATE).stdout
    kernel.run("%load_ext beluga_nb")
    loaded = kernel.run(STATE).stdout
    assert loaded != before
    for _ in range(10):
        assert kernel.run("%reload_ext beluga_nb").everything == repr(("", "", [], []))
    again = kernel.run(STATE).stdout
    kernel.run("%unload_ext beluga_nb")
    assert kernel.run(STATE).stdout == before

    def counted(state):
        return [state.count(name) for name in ("beluga", "Beluga", "Verbatim", "custom_matcher")]

    assert counted(again) == counted(loaded)
    assert kernel.run("%beluga a cat").stderr == "UsageError: Line magic function `%beluga` not found.\n"


def test_time_and_capture_go_around_it(kernel):
    kernel.run("%load_ext beluga_nb")
    shown = kernel.run("%%time\n%beluga a cat, really? ")
    assert shown.texts[0].startswith("1 picture of “a cat, really? ”") or shown.texts[0].startswith(
        "1 picture"
    )
    assert "Wall time" in shown.stdout
    shown = kernel.run("%time x = %beluga a dog")
    assert ("Wall time" in shown.stdout, shown.bundles) == (True, [])
    assert kernel.run("%%time\n%beluga --quiet a cat").bundles == []
    assert kernel.run("%%capture seen\n%beluga a cat\n%beluga a dog").bundles == []
    found = kernel.run("[each.data['text/plain'].split('”')[0] for each in seen.outputs]").texts
    assert found == ["['1 picture of “a cat', '1 picture of “a dog']"]


def in_a_terminal(command, folder, lines):
    """Type lines into a program in a terminal, each when it is ready, and return what it showed."""
    environment = clean_environment(IPYTHONDIR=str(folder / ".ipython"), TERM="dumb", NO_COLOR="1")
    child = pexpect.spawn(
        sys.executable, ["-m", *command], cwd=str(folder), env=environment, encoding="utf-8", timeout=60
    )
    child.setwinsize(40, 200)
    shown = []
    for number, line in enumerate(lines, 1):
        child.expect_exact(f"In [{number}]: ")
        shown.append(child.before)
        child.sendline(line)
    child.expect(pexpect.EOF)
    shown.append(child.before)
    child.close()
    return shown[1:]


TYPED = [
    "%load_ext beluga_nb",
    "%beluga -o cat a cat, really?",
    "cat[0].size",
    "%beluga -m flux2 a cat",
    "exit()",
]


FRONT_ENDS = {
    "ipython": ["IPython", "--simple-prompt", "--no-banner", "--colors=NoColor"],
    "jupyter console": ["jupyter_console", "--simple-prompt", "--ZMQTerminalInteractiveShell.banner="],
}


@pytest.mark.posix
@pytest.mark.parametrize("name", FRONT_ENDS)
def test_a_terminal_shows_useful_text(tmp_path, name):
    needed(FRONT_ENDS[name][0])
    load, picture, size, error, _ = in_a_terminal(FRONT_ENDS[name], tmp_path, TYPED)
    assert "beluga" not in load.replace(TYPED[0], "")  # some kernels warn of themselves as they start
    assert "1 picture of “a cat, really?”" in picture
    assert "gpt-image-2 · 1024 × 1024 · local preview, not model output · sha256:" in picture
    assert "(1024, 1024)" in size
    # A kernel does not know its front end: its errors are coloured in a terminal too, as IPython's own are.
    assert "\x1b" not in error or name == "jupyter console"
    error = COLOUR.sub("", error)
    assert "UnknownNameError: No model 'flux2'." in error
    assert "Did you mean 'flux-2.0'?" in error
    assert "Traceback" not in error


def test_tools_see_a_failed_cell_whose_text_has_the_two_lines(tmp_path):
    cells = map(nbformat.v4.new_code_cell, ["%load_ext beluga_nb", "%beluga -m flux2 a fox", "print('on')"])
    notebook = nbformat.v4.new_notebook(cells=list(cells))
    with pytest.raises(CellExecutionError, match="No model 'flux2'") as failed:
        NotebookClient(notebook, kernel_name="python3", resources={"metadata": {"path": tmp_path}}).execute()
    assert (failed.value.ename, failed.value.evalue.partition("\n")[0]) == (
        "UnknownNameError",
        "No model 'flux2'.",
    )
    [error] = notebook.cells[1].outputs
    assert error.output_type == "error"
    assert [plain(line) for line in error.traceback] == error.evalue.replace(
        "No model", "UnknownNameError: No model"
    ).split("\n")
    assert notebook.cells[2].outputs == []
    text, _ = MarkdownExporter().from_notebook_node(notebook)
    assert "\x1b" not in text
    assert "UnknownNameError: No model 'flux2'." in text
    html, _ = HTMLExporter().from_notebook_node(notebook)
    assert html.count("Did you mean") == 1


def test_papermill_sets_everything_by_a_cell_of_parameters(tmp_path, monkeypatch):
    papermill = needed("papermill")
    for name in ("CI", "BELUGA_MODE"):
        monkeypatch.delenv(name, raising=False)
    cells = [
        "model, size, n, prompt, mode = 'gpt-image-2', '1:1', 1, 'a cat', 'auto'",
        "%load_ext beluga_nb\n%config BelugaMagics.mode = mode",
        "%beluga -m {{model}} -s {{size}} -n {{n}} -o result {{prompt}}",
        "print(result.request.model, result.request.size, len(result), result.request.prompt)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.cells[0].metadata["tags"] = ["parameters"]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "study.ipynb")
    done = papermill.execute_notebook(
        tmp_path / "study.ipynb",
        tmp_path / "done.ipynb",
        parameters={"model": "flux-2.0", "size": "16:9", "n": 2, "prompt": "a fox; {x}"},
        cwd=str(tmp_path),
        progress_bar=False,
    )
    assert done.cells[-1].outputs[0].text == "flux-2.0 16:9 2 a fox; {x}\n"
    assert [output.output_type for output in done.cells[-2].outputs] == ["execute_result"]
