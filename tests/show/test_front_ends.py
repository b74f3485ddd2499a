"""What a front end without widgets or HTML gets of everything that is shown: useful text, or a sentence."""

import re
import sys

import pexpect
import pytest
from kernels import Kernel, clean_environment

MAKES = "import beluga_nb; g = beluga_nb.grid('a {{x}}', x=['fox', 'hare']).run()"
PANEL = "The panel of beluga_nb: run this cell in JupyterLab or Notebook to use it."
BOOTH = "A booth for blind votes, in JupyterLab or Notebook; the ranking is shown here at its end."

SHOWN = {
    "beluga_nb.generate('a fox')": "1 picture of “a fox”",
    "beluga_nb.generate('a fox', n=3)": "3 pictures of “a fox”",
    "g": "fox: gpt-image-2 · ",
    "g.plan()": "nothing is missing",
    "g.score('sharpness')": "sharpness",
    "g.ranking(by='x')": "No votes yet",
    "g.leaderboard('contrast', by='x')": "mean contrast",
    "g.duplicates()": "",
    "beluga_nb.panel()": PANEL,
    "g.vote(by='x', voter='Ada')": BOOTH,
}
GARBAGE = re.compile(r"\x1b|object at 0x|VBox\(|HTML\(|Widget|<div|<IPython")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    with Kernel(tmp_path_factory.mktemp("folder")) as running:
        assert running.run(MAKES).status == "ok"
        yield running


@pytest.mark.parametrize("code", SHOWN)
def test_the_text_of_everything_that_is_shown_is_useful(kernel, code):
    shown = kernel.run(code)
    assert shown.status == "ok", shown
    assert shown.texts, "each bundle has a text"
    assert SHOWN[code] in "\n".join(shown.texts)
    assert not GARBAGE.search("\n".join(shown.texts)), shown.texts


@pytest.mark.parametrize("code", ["beluga_nb.generate('a fox', n=3)", "g"])
def test_what_shows_a_single_image_gets_one_of_all_pictures(kernel, code):
    [bundle] = kernel.run(code).bundles
    assert [kind for kind in bundle if kind.startswith("image/")] == ["image/jpeg"]


@pytest.mark.posix
@pytest.mark.parametrize("command", [["-m", "IPython", "--no-banner", "--simple-prompt"]], ids=["ipython"])
def test_a_terminal_shows_them_as_text(tmp_path, command):
    environment = clean_environment(
        IPYTHONDIR=str(tmp_path), TERM="dumb", NO_COLOR="1", BELUGA_PROGRESS="false"
    )
    child = pexpect.spawn(
        sys.executable, command, cwd=str(tmp_path), env=environment, encoding="utf-8", timeout=60
    )
    child.setwinsize(60, 250)
    shown = {}
    for code in [MAKES, *SHOWN]:
        child.expect(r"In \[\d+\]: ")
        child.sendline(code)
        child.expect_exact(code)
        child.expect(r"(?s)(.*?)(?=In \[\d+\]: )")
        shown[code] = child.match.group(1)
    child.sendline("exit()")
    child.expect(pexpect.EOF)
    child.close()
    for code, words in SHOWN.items():
        assert words in shown[code], code
        assert not GARBAGE.search(shown[code]), shown[code]


MARIMO = """
import marimo
app = marimo.App()
@app.cell
def _():
    {makes}
    return beluga_nb, g
{cells}
"""
CELL = "@app.cell\ndef _(beluga_nb, g):\n    {code}\n    return\n"
OUTPUTS = """
import json, sys
for cell in json.load(open("out.ipynb"))["cells"]:
    for output in cell.get("outputs", []):
        print(json.dumps({kind: "".join(data)[:20000] for kind, data in output.get("data", {}).items()}))
"""


@pytest.mark.environment
def test_marimo_shows_pictures_and_grids_and_says_where_the_panel_works(with_wheel, tmp_path):
    fresh = with_wheel.copy(tmp_path)
    fresh.install("marimo", "nbformat")
    cells = "\n".join(CELL.format(code=code) for code in SHOWN)
    (tmp_path / "study.py").write_text(MARIMO.format(makes=MAKES, cells=cells))
    fresh.run(
        *("-m", "marimo", "export", "ipynb", "study.py", "-o", "out.ipynb", "--include-outputs"), cwd=tmp_path
    )
    output = fresh.run("-c", OUTPUTS, cwd=tmp_path)
    assert output.count('"image/jpeg"') >= 3
    assert PANEL in output
    assert BOOTH in output
    assert "object at 0x" not in output
