"""`%%beluga compare`: what a line and its cell ask for, and what a kernel makes of it."""

import pytest
from kernels import Kernel

from beluga_nb.errors import RequestError
from beluga_nb.magics.parse import Comparison, labelled, parse, prompts_of

CELL = "A {{animal}} in the style of {{style}}, accent colour #ff8800\n"


def test_the_line_names_the_axes_and_the_cell_is_the_prompt():
    call = parse(
        "compare -m gpt-image-2,flux-2.0 -n 2 --axis animal=cat,fox --axis style=@styles --max-cost 2 -o g",
        CELL,
    )
    assert isinstance(call, Comparison)
    assert call.prompts == (CELL.removesuffix("\n"),)
    assert call.output == "g"
    assert call.axes == {"animal": {"cat": "cat", "fox": "fox"}, "style": "@styles"}
    assert call.grid == {"model": ["gpt-image-2", "flux-2.0"], "n": 2}
    assert call.run == {"max_cost": "2"}


def test_all_that_a_line_can_say():
    call = parse(
        'compare -s 16:9,1:1 -q hd --take a,b --axis=style=oil:"thick, old",ink --pairs animal,style'
        " --axis animal='a cat',fox --replace water=\"salt water\",wine --sample 3 --seed 7 --max-images 9"
        " --mode off --yes --insist --dry-run --quiet --debug",
        CELL,
    )
    assert call.axes == {
        "style": {"oil": "thick, old", "ink": "ink"},
        "animal": {"a cat": "a cat", "fox": "fox"},
    }
    assert call.grid == {
        "size": ["16:9", "1:1"],
        "quality": ["hd"],
        "take": ["a", "b"],
        "sample": 3,
        "seed": 7,
        "allow_unknown_model": True,
        "pairs": [["animal", "style"]],
        "replace": {"water": {"salt water": "salt water", "wine": "wine"}},
    }
    assert call.run == {"max_images": 9, "mode": "off", "assume_yes": True}
    assert (call.dry_run, call.quiet, call.debug) == (True, True, True)


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ("cat,fox", {"cat": "cat", "fox": "fox"}),
        (" cat , a red fox", {"cat": "cat", "a red fox": "a red fox"}),
        ("16:9,1:1", {"16:9": "16:9", "1:1": "1:1"}),
        ("'a, b',c", {"a, b": "a, b", "c": "c"}),
        (r'say:"\"no\", he said"', {"say": '"no", he said'}),
    ],
)
def test_values_stand_between_commas_and_texts_in_quotes(values, found):
    assert labelled(values) == found


@pytest.mark.parametrize("values", ["a,,b", '"a" b,c', "a,a", 'x:"a",x:"b"'])
def test_what_is_no_list_of_values_is_an_error(values):
    with pytest.raises(RequestError):
        labelled(values)


def test_whole_prompts_stand_between_lines_of_dashes():
    assert prompts_of("a fox\nin snow\n---\nan owl --- really\n ---  \na --\n---x") == [
        "a fox\nin snow",
        "an owl --- really",
        "a --\n---x",
    ]


@pytest.mark.parametrize(
    "line", ["compare apples and oranges", "compare", "compare this: -n 2 of them", "comparing -n 2"]
)
def test_a_line_is_a_prompt_unless_options_follow(line):
    if line == "compare":
        with pytest.raises(RequestError, match="nothing to compare"):
            parse(line)
    else:
        assert parse(line).prompt == line
    assert parse("compare -m flux-2.0,gpt-image-2 a fox").prompts == ("a fox",)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("compare --axis animal", "--axis is 'animal'"),
        ("compare --axis a=b --axis a=c", "--axis a is given twice"),
        ("compare --axes a=b", "Did you mean '--axis'"),
        ("compare the two", "'the two' on the first line"),
        ("compare --sample many", "--sample is 'many'"),
    ],
)
def test_what_is_not_understood_says_what_is(line, message):
    with pytest.raises(RequestError, match=message):
        parse(line, CELL)


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare")
    (folder / "scenes.csv").write_text("label,animal,style\nnight,an owl,ink\nday,a cat,oil\n")
    with Kernel(folder, BELUGA_FAULTS="1") as running:
        running.run("%load_ext beluga_nb\nstyles = {'oil': 'thick oil paint', 'ink': 'ink on paper'}")
        yield running


FIRST = "%%beluga compare -m gpt-image-2,flux-2.0 --axis animal=cat,fox --axis style=@styles -o g\n" + CELL


def test_a_cell_shows_a_grid_and_keeps_it_and_again_with_the_same_bytes(kernel):
    shown = kernel.run(FIRST)
    assert shown.status == "ok", shown.everything
    [bundle] = shown.bundles
    assert set(bundle) == {"text/html", "image/jpeg", "text/plain"}
    assert bundle["text/html"].count("<img ") == 8
    assert bundle["text/html"].count("<script") == 1, "the lightbox"
    assert bundle["text/plain"].count("sha256:") == 8
    assert "local previews, not model output" in bundle["text/plain"]
    assert kernel.run(FIRST).everything == shown.everything
    assert kernel.run("g['fox', 'oil', 'flux-2.0'].request.prompt").texts == [
        "'A fox in the style of thick oil paint, accent colour #ff8800'"
    ]


def test_a_dry_run_shows_the_plan(kernel):
    assert kernel.run(FIRST.replace("cat,fox", "cat")).status == "ok"
    shown = kernel.run(FIRST.replace("cat,fox", "cat,hen").replace(" -o g", " --dry-run"))
    [text] = shown.texts
    assert text.startswith("Dry run, nothing was sent: 8 combinations, 8 pictures, 4 recorded, 4 to make;")
    assert text.count("POST") == 4
    assert shown.stdout == ""


def test_rows_of_a_file_and_whole_prompts(kernel):
    prompts = "{{animal}}, {{style}}\n---\n{{animal}} asleep\n"
    shown = kernel.run(f"%%beluga compare --axis scene=@scenes.csv --quiet -o g\n{prompts}")
    assert (shown.status, shown.bundles) == ("ok", [])
    assert kernel.run("[cell.request.prompt for cell in g.cells]").texts == [
        "['an owl, ink', 'a cat, oil', 'an owl asleep', 'a cat asleep']"
    ]


def test_an_assignment_keeps_the_grid_and_shows_nothing(kernel):
    shown = kernel.run("h = %beluga compare --replace cat=fox,owl a cat asleep")
    assert (shown.status, shown.bundles) == ("ok", [])
    assert kernel.run("h.axes").texts == ["{'cat': ('cat', 'fox', 'owl')}"]


def test_a_cell_that_fails_is_readable_in_the_grid(kernel):
    shown = kernel.run("%%beluga compare --axis kind='fault: 500 | a cat','a dog'\n{{kind}}\n")
    assert shown.status == "ok"
    assert "OutcomeUnknownError" in shown.bundles[0]["text/html"]
    assert shown.bundles[0]["text/html"].count("<img ") == 1


def test_what_arrived_is_shown_and_kept_where_the_run_is_stopped(kernel):
    kernel.run("%beluga config max_in_flight=1\n%beluga --quiet a dog, night")  # so that one arrives
    shown = kernel.run(
        "%%beluga compare --axis kind='a dog','fault: 401 | a cat',bee -o s\n{{kind}}, night\n"
    )
    kernel.run("%beluga config max_in_flight=")
    assert shown.status == "error"
    assert shown.bundles[0]["text/plain"].count("sha256:") >= 1
    assert "not started" in kernel.run("s").texts[0] or "failed" in kernel.run("s").texts[0]


STOPPER = """
import os, signal, threading

def stop():
    while "w" not in globals() or w.counts["done"] < 1:
        threading.Event().wait(0.01)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=stop, daemon=True).start()
"""


@pytest.mark.posix
def test_stop_keeps_and_shows_what_arrived_and_the_same_cell_goes_on(kernel):
    kernel.run(STOPPER)
    code = "%%beluga compare --axis kind='a hare','fault: slow seconds=30 | a hare' -o w\n{{kind}} at noon\n"
    shown = kernel.run(code)
    assert shown.status == "error"
    assert "KeyboardInterrupt" in shown.error[0]
    assert shown.bundles[-1]["text/plain"].count("sha256:") == 1
    assert kernel.run("w.counts").texts == [
        "{'done': 1, 'failed': 0, 'outcome unknown': 1, 'not started': 0}"
    ]
    kernel.run("%beluga config timeout=1")
    again = kernel.run("w.run()")
    kernel.run("%beluga config timeout=")
    assert again.status == "ok"
    assert again.bundles[-1]["text/plain"].count("sha256:") == 1
    assert "APITimeoutError" in again.bundles[-1]["text/html"]


@pytest.mark.parametrize(
    ("line", "first", "second"),
    [
        ("--axis animal=@stiles", "UnknownNameError: No variable 'stiles'.", "Did you mean 'styles'?"),
        ("--axis animal=@none.csv", "RequestError: none.csv cannot be read", "CSV"),
        ("--axis anmal=cat", "RequestError: There is an axis anmal", "Write {{anmal}}"),
    ],
)
def test_an_error_is_two_lines(kernel, line, first, second):
    kernel.run(f"%%beluga compare {line}\na {{{{animal}}}}\n").fails_with(first, second)


def test_many_pictures_ask_first(kernel):
    code = "%%beluga compare --axis a=1,2,3,4,5,6,7,8,9,10,11\nnumber {{a}}\n"
    kernel.run(code).fails_with(
        "NotConfirmedError: 11 new pictures of gpt-image-2, local previews, no cost",
        "Nothing was sent. Ask for fewer at a time",
    )
    assert kernel.run(code, answers=["y"]).status == "ok"


@pytest.mark.parametrize(
    ("code", "offered"),
    [
        ("%%beluga co", ["compare"]),
        ("%%beluga compare -m gpt-image-2,fl", ["flux-kontext", "flux-2.0"]),
        ("%%beluga compare --axis a=b --ax", ["--axis"]),
        ("%%beluga compare --axis style=@st", ["styles"]),
        ("%%beluga compare --axis scene=@sc", ["scenes.csv"]),
        ("%beluga compare -s 21", ["21:9"]),
    ],
)
def test_tab_knows_the_axes(kernel, code, offered):
    assert kernel.complete(code)[0] == offered
