"""The extension of JupyterLab and Notebook 7 in a real browser: prompts as prose, errors, a card for a study.

What is tried is what is committed in `beluga_nb/lab/built`, whatever the environment has installed.
"""

import json
import shutil
from pathlib import Path

import desk
import nbformat
import pytest
from kernels import COLOUR
from lab import IN_A_BROWSER, Lab, LabInFirefox, Notebook7, needs_firefox

from beluga_nb.errors import BelugaError, OutcomeUnknownError, RequestError, UnknownNameError
from beluga_nb.hints import Code, Hint, Remedy, Surface

BUILT = Path(__file__).parents[2] / "beluga_nb/lab/built"

pytestmark = IN_A_BROWSER

PYTHON = 'for each in styles:\n    print(each, "not a prompt", 2)  # {{name}}'
PROMPT = (
    '%%beluga -m gpt-image-2 --quiet -o "whale"\nWhales in arctic water, and {city} or {{1}}, isn\'t it :)'
)
COMPARISON = """
%%beluga compare --axis animal="a cat, asleep",fox -s {{size}} --dry-run
A {{animal}} in {{ style }}, with no import from 4K
---
%%beluga is not for {{animal}}"""
LINES = '''for animal in styles:
    %beluga -n 2 --quiet a {{animal}} in the snow (or not
x = %beluga compare it with a """lighthouse"""
text = """
%beluga in a text
"""
return x'''
RAW = "%%beluga --raw -q hd\nA {{name}}"
COMMANDS = """%beluga
fox = %beluga history -o fox 6611bcbd3494
%beluga status
%beluga status of a war, and config of it
%beluga config mode=replay
%beluga open 'a fox.png'
%beluga forget 6611bcbd3494
%beluga serve --stop
x = 7
x %beluga"""
CELLS = (PYTHON, PROMPT, COMPARISON, LINES, RAW, COMMANDS)


def notebook():
    cells = [*map(nbformat.v4.new_code_cell, CELLS), nbformat.v4.new_markdown_cell(PROMPT)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture(scope="module")
def jupyter_path(tmp_path_factory):
    folder = tmp_path_factory.mktemp("share")
    shutil.copytree(BUILT, folder / "labextensions/beluga-nb")
    return folder


@pytest.fixture(scope="module")
def lab(jupyter_path, request):
    """One JupyterLab for all of these tests but the last three, which name another front end."""
    app = getattr(request, "param", Lab)
    whole = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}
    with app(notebook(), settings=whole, JUPYTER_PATH=str(jupyter_path)) as lab:
        yield lab


@pytest.fixture
def opened(lab, request):
    """A notebook to change."""
    lab.open(notebook(), f"{request.node.name}.ipynb")
    language_of(lab, 0, "python")
    return lab


@pytest.fixture
def shown(lab):
    """A notebook to look at, the same for several tests."""
    if lab.notebook.name != "shown.ipynb":
        lab.open(notebook(), "shown.ipynb")
    language_of(lab, 0, "python")
    return lab


def language_of(lab, number, name):
    """Wait until a cell is read in that language."""
    lab.cell(number).locator(f".cm-content[data-language={name}]").wait_for(state="attached")


def spans(lab, number):
    """The words of each line of a cell that have a style of their own."""
    return lab.cell(number).evaluate(
        """cell => [...cell.querySelectorAll('.cm-line')].map(
            line => [...line.querySelectorAll('span')].map(span => span.textContent))"""
    )


def looks(lab, number):
    """Every piece of text of a cell, with how it looks."""
    return lab.cell(number).evaluate(
        """cell => {
            const walker = document.createTreeWalker(cell.querySelector('.cm-content'), NodeFilter.SHOW_TEXT);
            const names = ['color', 'backgroundColor', 'fontWeight', 'fontStyle', 'whiteSpace'];
            const found = [];
            while (walker.nextNode()) {
                const style = getComputedStyle(walker.currentNode.parentElement);
                found.push([walker.currentNode.data, ...names.map(name => style[name])]);
            }
            return found;
        }"""
    )


def colours(lab, number):
    """The colour of each piece of text of a cell, as `color: …` computes it."""
    return {text: colour for text, colour, *_ in looks(lab, number)}


def variable(lab, name):
    """The colour of a variable of JupyterLab's theme."""
    return lab.page.evaluate(
        """name => {
            const probe = document.body.appendChild(document.createElement('i'));
            probe.style.color = `var(--jp-${name})`;
            const { color } = getComputedStyle(probe);
            probe.remove();
            return color;
        }""",
        name,
    )


def test_the_option_line_of_a_prompt_is_coloured_and_the_rest_is_prose(shown):
    assert spans(shown, 1) == [["%%beluga", "-m", "gpt-image-2", "--quiet", "-o", '"whale"'], []]
    assert spans(shown, 2) == [
        [],
        ["%%beluga", "compare", "--axis", 'animal="a cat, asleep",fox', "-s", "{{size}}", "--dry-run"],
        ["{{animal}}", "{{ style }}"],
        ["---"],
        ["{{animal}}"],
    ]
    assert spans(shown, 4) == [["%%beluga", "--raw", "-q", "hd"], []]


def test_the_words_of_a_prompt_can_be_checked_for_spelling_and_wrap_at_the_edge(shown):
    for number in (1, 2):
        content = shown.cell(number).locator(".cm-content")
        assert content.get_attribute("spellcheck") == "true"
        assert content.evaluate("each => getComputedStyle(each).whiteSpace") == "break-spaces"
        assert content.locator(".cm-line[spellcheck=false]").all_inner_texts() == [
            CELLS[number].strip().partition("\n")[0]
        ]
    assert shown.cell(0).locator(".cm-content").get_attribute("spellcheck") == "false"


def test_a_prompt_on_a_line_of_python_is_prose_and_the_python_around_it_stays_python(shown):
    assert spans(shown, 3) == [
        ["for", "in"],
        ["%beluga", "-n", "2", "--quiet", "{{animal}}"],
        ["=", "%beluga"],
        ["=", '"""'],
        ["%beluga in a text"],
        ['"""'],
        ["return"],
    ]


def test_a_command_on_a_line_and_what_it_takes_are_coloured(shown):
    assert spans(shown, 5) == [
        ["%beluga"],
        ["=", "%beluga", "history", "-o", "fox", "6611bcbd3494"],
        ["%beluga", "status"],
        ["%beluga"],
        ["%beluga", "config", "mode=replay"],
        ["%beluga", "open", "'a fox.png'"],
        ["%beluga", "forget", "6611bcbd3494"],
        ["%beluga", "serve", "--stop"],
        ["=", "7"],
        ["%"],
    ]


def test_the_colours_change_as_the_first_line_is_typed(opened):
    opened.cell(0).locator(".cm-line").first.click()
    keys = opened.page.keyboard
    keys.press("Control+Home")
    keys.type("%%belug")
    language_of(opened, 0, "python")
    keys.type("a\n")
    language_of(opened, 0, "beluga")
    assert spans(opened, 0) == [["%%beluga"], [], ["{{name}}"]]
    for _ in range(2):
        keys.press("Backspace")
    language_of(opened, 0, "python")
    opened.cell(0).locator(".cm-line").last.click()
    keys.press("Control+End")
    keys.type("\n%beluga")
    keys.type(" a")
    opened.page.wait_for_function(
        "() => [...document.querySelectorAll('.jp-Cell:first-child .cm-line:last-child span')].length === 1"
    )
    assert spans(opened, 0)[-1] == ["%beluga"]


def test_a_new_line_of_a_prompt_is_not_indented_as_python(opened):
    opened.cell(1).locator(".cm-line").last.click()
    opened.page.keyboard.press("Control+End")
    opened.page.keyboard.type(" for:\nwhales")
    assert opened.save().cells[1].source == f"{PROMPT} for:\nwhales"


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_the_colours_are_those_of_the_theme(theme, shown):
    command = "theme => window.jupyterapp.commands.execute('apputils:change-theme', { theme })"
    shown.page.evaluate(command, f"JupyterLab {theme}")
    shown.page.locator(f"body[data-jp-theme-name='JupyterLab {theme}']").wait_for(state="attached")
    found = colours(shown, 1) | colours(shown, 2)
    for words, name in {
        "%%beluga": "mirror-editor-keyword-color",
        "-m": "mirror-editor-attribute-color",
        "gpt-image-2": "mirror-editor-string-color",
        "{{animal}}": "mirror-editor-variable-2-color",
        " in ": "content-font-color1",
    }.items():
        assert (words, found[words]) == (words, variable(shown, name))


def failed(*errors):
    """A notebook of cells that have failed with these errors, as a kernel reports them."""
    cells = []
    for error in errors:
        error.surface = Surface.MAGIC
        output = nbformat.v4.new_output(
            "error", ename=type(error).__name__, evalue=str(error), traceback=error._coloured()
        )
        cells.append(nbformat.v4.new_code_cell("…", outputs=[output]))
    lines = ["\x1b[1mdivision\x1b[0m", "by \x1b[1mzero\x1b[0m"]
    other = nbformat.v4.new_output("error", ename="ZeroDivisionError", evalue="", traceback=lines)
    cells.append(nbformat.v4.new_code_cell("…", outputs=[other]))
    return nbformat.v4.new_notebook(cells=cells, metadata=notebook().metadata)


def test_each_suggestion_of_an_error_has_a_button_that_copies_it(lab):
    unknown = UnknownNameError("model", "flux2", ["flux-2.0"], hint=Hint(Remedy("models"), " lists all 17."))
    lost = OutcomeUnknownError(
        "No answer from http://127.0.0.1:1/v1.", Hint("Run ", Code("<b>x</b> & y"), ".")
    )
    lab.open(failed(unknown, lost, BelugaError("It is closed.", "Open it.")), "failed.ipynb")
    buttons = [lab.cell(number).locator(".jp-OutputArea button") for number in range(4)]
    buttons[1].wait_for()
    titles = [[each.get_attribute("title") for each in found.all()] for found in buttons]
    assert titles == [["Copy flux-2.0", "Copy %beluga models"], ["Copy <b>x</b> & y"], [], []]
    for number, error in enumerate([unknown, lost]):
        shown = lab.cell(number).locator("pre").inner_text()
        assert shown.splitlines() == [COLOUR.sub("", line) for line in error._coloured()]
    breaks = "each => getComputedStyle(each).wordBreak"
    assert [lab.cell(number).locator("pre").evaluate(breaks) for number in (2, 3)] == ["normal", "break-all"]
    lab.page.context.grant_permissions(["clipboard-read"])
    buttons[1].click()
    assert lab.page.evaluate("navigator.clipboard.readText()") == "<b>x</b> & y"
    buttons[0].last.focus()
    lab.page.keyboard.press("Enter")
    lab.cell(0).get_by_role("button", name="Copied").wait_for()
    assert lab.page.evaluate("navigator.clipboard.readText()") == "%beluga models"
    lab.page.keyboard.press("Tab")
    assert buttons[0].last.get_attribute("title") == "Copy %beluga models"


@desk.needs_axe
def test_the_buttons_of_an_error_can_be_used_by_all(lab):
    closed = BelugaError("It is closed.", Hint("Run ", Code("open()"), "."))
    lab.open(failed(closed, RequestError("It is no result.", "Give one.")), "usable.ipynb")
    lab.cell(0).locator(".jp-OutputArea button").wait_for()
    assert desk.violations(lab.page, "errors", where=".jp-OutputArea-output") == []
    scroll = "each => each.scrollHeight > each.clientHeight && getComputedStyle(each).overflowY !== 'visible'"
    assert [lab.cell(number).locator("pre").evaluate(scroll) for number in (0, 1)] == [False, False]


def test_a_card_opens_a_study_that_runs_without_a_key(lab):
    lab.page.evaluate("() => [...window.jupyterapp.shell.widgets('main')].forEach(each => each.dispose())")
    lab.page.locator(".jp-LauncherCard", has_text="New prompt study").click()
    lab.page.locator("h1:visible", has_text="A prompt study").wait_for()
    # It is shown before it is the current one, which the menu is about.
    path = lab.page.wait_for_function("() => window.jupyterapp.shell.currentWidget?.context?.path")
    lab.notebook = lab.work / path.json_value()
    lab.run_all()
    grid = lab.page.locator("details summary img")
    grid.nth(3).wait_for()
    assert grid.count() == 4
    lab.page.get_by_text("left is better").wait_for()
    saved = nbformat.read(lab.notebook, 4)
    nbformat.validate(saved)
    assert saved.metadata.kernelspec.language == "python"
    assert "%%beluga compare" in str(saved.cells)


def test_where_it_is_absent_nothing_else_changes(lab):
    lab.open(notebook(), "with.ipynb")
    language_of(lab, 0, "python")
    python = looks(lab, 0)
    folder = lab.folder / "CONFIG/labconfig"
    folder.mkdir(parents=True)
    (folder / "page_config.json").write_text(json.dumps({"disabledExtensions": {"beluga-nb": True}}))
    lab.are_settings_new = True
    lab.open(notebook(), "without.ipynb")
    language_of(lab, 1, "python")
    assert "and" in spans(lab, 1)[1]
    assert looks(lab, 0) == python
    assert not lab.page.evaluate("() => window.jupyterapp.commands.hasCommand('beluga-nb:new-study')")


@pytest.mark.parametrize("lab", [Notebook7], indirect=True)
def test_in_notebook_7_a_prompt_is_prose_and_the_palette_opens_a_study(lab):
    language_of(lab, 1, "beluga")
    assert spans(lab, 2)[2] == ["{{animal}}", "{{ style }}"]
    lab.page.keyboard.press("Control+Shift+c")
    lab.page.locator(".lm-CommandPalette-input").fill("New prompt study")
    with lab.page.expect_popup() as popup:
        lab.page.keyboard.press("Enter")
    popup.value.locator("h1", has_text="A prompt study").wait_for()
    popup.value.close()


@pytest.mark.parametrize("lab", [Notebook7], indirect=True)
def test_in_notebook_7_a_suggestion_of_an_error_has_its_button(lab):
    lab.open(failed(BelugaError("It is closed.", Hint("Run ", Code("open()"), "."))), "failed.ipynb")
    lab.cell(0).locator(".jp-OutputArea").get_by_role("button", name="Copy open()").click()
    lab.cell(0).get_by_role("button", name="Copied").wait_for()


@pytest.mark.parametrize("lab", [Notebook7], indirect=True)
def test_in_notebook_7_a_panel_generates_and_its_pictures_are_kept_in_the_notebook(lab):
    lab.open(desk.notebook(), "panel.ipynb")
    lab.run(0)
    panel = desk.Desk(lab.page).ready()
    panel.generate("a fox", n=2)
    pictures = "document.querySelectorAll('.jp-OutputArea figure img[alt^=\"a fox\"]')"
    lab.page.wait_for_function(f"{pictures}.length == 2")
    assert str(lab.save().cells[0].outputs).count('alt="a fox') == 2


@pytest.mark.everywhere
@needs_firefox
@pytest.mark.parametrize("lab", [LabInFirefox], indirect=True)
def test_in_firefox_a_prompt_is_prose_in_the_colours_of_the_theme(lab, tmp_path):
    language_of(lab, 1, "beluga")
    assert spans(lab, 2)[2] == ["{{animal}}", "{{ style }}"]
    assert len(set(colours(lab, 1).values())) > 2
    lab.picture(tmp_path / "prose.png")
