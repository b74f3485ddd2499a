"""A prompt is sent as it is typed: a hundred of them (five hundred in the whole check), in all places."""

import random

import pytest
from conftest import KEY, Counting, service
from kernels import Kernel
from sampling import rounds
from servers import png

from beluga_nb.result import ImagePayload, Result

PIECES = (
    r'''
a|cat|fox's|"quoted"|'single|it's 5$|$HOME|${x}|{1+1}|{x}|{{|}}|{{ 1+1 }}|{# no #}|{% if %}
{"json": [1, null]}|[0]|<b>bold</b>|&lt;b&gt;|&|<img src="x">|--style|-n 3|--|- dash -|%time|%beluga|!ls
?|??|really?|:|;|; and|,|.|…|“curled”|naïve|北京|🦊|é|  two  blanks  |#|# comment|TICKS|TABBED|JOINED
\\|\n|C:\cats|(|)|[|]|"""|`|~|^|*|**|/|//|@|=|x = 1|models|sizes|status|config|alias|help
lambda:|f"{x}"|r"\d"|def f():|import os|<script>alert(1)</script>|100%|1/2|-m
'''.strip()
    .replace("\n", "|")
    .split("|")
)
PIECES = [
    {"TICKS": "'" * 3, "TABBED": "a\tb", "JOINED": "👩\u200d🚀\u00a0"}.get(each, each) for each in PIECES
]

ENDS = ("", "", "", " ", "   ", "?", "??", "!", " ?", "&gt;", '"', "'", "}", ")", "%", " --", "🦊", "\t")


COUNT = rounds(100, 500)


def typed(count=COUNT, seed=19):
    """Prompts of one line. In all of IPython a `;` or a backslash at its end belongs to the line."""
    chance = random.Random(seed)
    found = {}
    while len(found) < count:
        words = " ".join(chance.choices(PIECES, k=chance.randint(1, 7))).lstrip() + chance.choice(ENDS)
        of_the_line = words.rstrip().endswith(("\\", ";")) and not words.endswith("&gt;")
        if words.strip() and not of_the_line:
            found[words] = None
    return list(found)


def after_options(prompt):
    return f"-- {prompt}" if prompt.startswith("-") else prompt


FORMS = {
    "line": lambda prompt: f"%beluga --mode off {after_options(prompt)}",
    "assignment": lambda prompt: f"x = %beluga --mode off {after_options(prompt)}",
    "loop": lambda prompt: f"for _ in range(1):\n    %beluga --mode off --quiet {after_options(prompt)}",
}

TINY = ImagePayload(png(8, 8), "image/png")


async def tiny(request):
    return Result.of(request, [TINY], engine="tiny", created=1_750_000_000)


TOGETHER = 25
"""Prompts in one cell."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory):
    """Run a cell in a kernel, and return the prompts that the server got."""
    engine = Counting(tiny)
    with (
        service(engine) as base_url,
        Kernel(tmp_path_factory.mktemp("typed"), BELUGA_API_KEY=KEY, BELUGA_BASE_URL=base_url) as kernel,
    ):
        kernel.run("%load_ext beluga_nb")

        def prompts(cell):
            engine.requests.clear()
            shown = kernel.run(cell)
            assert shown.status == "ok", (cell, shown.error)
            return [request.prompt for request in engine.requests]

        yield prompts


@pytest.mark.parametrize("form", FORMS)
def test_a_prompt_on_a_line_is_sent_as_it_is_typed(asked, form):
    prompts = typed()
    assert len(prompts) == COUNT
    for start in range(0, len(prompts), TOGETHER):
        some = prompts[start : start + TOGETHER]
        assert asked("\n".join(map(FORMS[form], some))) == some


def test_a_prompt_in_a_cell_is_sent_as_it_is_typed(asked):
    for prompt in typed():
        assert asked(f"%%beluga --mode off --quiet\n{prompt}") == [prompt]


def test_a_prompt_of_several_lines_is_sent_as_it_is_typed(asked):
    lines = [
        "  a cat;\n\n\tand a dog  \n",
        "%beluga a fox?\n!ls\n%%beluga\n",
        "{\n  'json': {{ 1+1 }}\n}\n;",
        "<p>\n&amp;\n</p>\\",
    ]
    for prompt in lines:
        assert asked(f"%%beluga --mode off --quiet\n{prompt}") == [prompt.removesuffix("\n")]


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        ("%beluga --mode off a cat;", "a cat"),
        ("%beluga --mode off a cat ;  ", "a cat "),
        ("%beluga --mode off a cat;;", "a cat;"),
        ("%beluga --mode off a sign: &lt;", "a sign: &lt;"),
        ("%beluga --mode off a cat \\\n  asleep", "a cat   asleep"),
        ("%beluga --mode off C:\\cats\\", "C:\\cats\\"),
    ],
)
def test_what_belongs_to_the_line_is_no_part_of_the_prompt(asked, line, prompt):
    assert asked(line) == [prompt]
