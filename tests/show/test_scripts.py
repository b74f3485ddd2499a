"""A notebook as a script: nbconvert's own keeps each prompt, and IPython runs it from the recordings."""

import ast
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from kernels import clean_environment
from nbconvert import ScriptExporter

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))


def script(path):
    """What `nbconvert --to script` writes, and the ending of its name."""
    text, resources = ScriptExporter().from_notebook_node(nbformat.read(path, 4))
    return text, resources["output_extension"]


def magics(source):
    """The calls of `%beluga` and `%%beluga` in a cell: how, the rest of the line, and the cell's text."""
    if source.startswith("%%beluga"):
        line, _, text = source.partition("\n")
        return [("run_cell_magic", line.removeprefix("%%beluga").strip(), text.rstrip("\n"))]
    found = re.findall(r"^(?:\s*)(?:[\w, ]+ = )?%beluga\b(.*)$", source, re.MULTILINE)
    return [("run_line_magic", line.strip(), None) for line in found]


def calls(text):
    """The same in a script, read as Python."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            words = [each.value for each in node.args if isinstance(each, ast.Constant)]
            if node.func.attr.startswith("run_") and words[:1] == ["beluga"]:
                yield node.func.attr, words[1], words[2].rstrip("\n") if words[2:] else None


@pytest.mark.parametrize("name", NAMES)
def test_each_notebook_becomes_python_with_all_of_its_prompts(name):
    text, ending = script(NOTEBOOKS / name)
    assert ending == ".py"
    cells = json.loads((NOTEBOOKS / name).read_text("utf-8"))["cells"]
    written = [
        call for cell in cells if cell["cell_type"] == "code" for call in magics("".join(cell["source"]))
    ]
    assert sorted(calls(text), key=repr) == sorted(written, key=repr)
    assert "'pinfo" not in text


@pytest.mark.parametrize("name", [each for each in NAMES if each[:2] in {"01", "02", "07"}])
def test_ipython_runs_the_script_from_the_recordings(tmp_path, name):
    shutil.copytree(NOTEBOOKS, tmp_path / "notebooks")
    folder = tmp_path / "notebooks"
    (folder / "script.py").write_text(script(folder / name)[0], "utf-8")
    environ = clean_environment(
        BELUGA_MODE="replay", IPYTHONDIR=str(tmp_path), TERM="dumb", NO_COLOR="1", PYTHONWARNINGS=""
    )
    done = subprocess.run(
        [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "script.py"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout
