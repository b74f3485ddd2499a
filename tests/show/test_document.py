"""A document says the same as HTML, Markdown and LaTeX, and text from outside is text in each.

Generator: the payloads of test_outside and those of Markdown and LaTeX, in every block of a document.
"""

import re
import shutil
import subprocess
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from needed import needed
from sampling import rounds
from test_outside import GREEN, PAYLOADS

from beluga_nb.show.document import Code, Document, Figure, Heading, Paragraph, TableBlock, latex, markdown
from beluga_nb.text import sanitize

HOSTILE = [
    *PAYLOADS,
    r"\input{/etc/passwd} \write18{id} \end{document} $x_1^2$ % & # ~ ^^M",
    r"\catcode`\%=12 \def\x#1{\x} ``'' --- ,, ?` !` << >> ^^5c",
    "# a\n## b\n- c\n1. d\n> e\n```\nf\n```\n---\n| g | h |",
    "![i](http://example.org/i.png) <http://example.org> www.example.org a@example.org http://example.org",
    r"\| a \\| b \* c | d || \\\| e",
    "~~a~~ **b** __c__ *d* _e_ ``f`` $g$ $$h$$ [^1] :smile: ==i== @someone #12",
    "- a", "+ b", "1. c", "12) d", "123456789. e", "=== f", "    indented", "| - |", "> h", "#", "~~~",
]  # fmt: skip
MARKS = "\\{}$&#_^~%<>|`'\"-,*[]()!@:./ \n=+w1aé−狐"


def document(text):
    rows = [(f"outside-cell {text}", "1"), (text, "2.5"), (f"a long cell of many words {text}", "")]
    return Document(
        f"outside-title {text}",
        [
            Heading(text),
            Paragraph(text),
            TableBlock(text, (text, f"n {text}"), rows),
            Figure("a", text, b"<svg/>", b""),
            Code("code"),
        ],
    )


def parser():
    """Markdown as GitHub reads it, but for emoji."""
    return needed("markdown_it").MarkdownIt("commonmark").enable(["table", "strikethrough"])


def rendered(text):
    """Return the tags and the texts of a document in Markdown."""
    html = parser().render(document(text).markdown())
    return re.findall(r"<[^>]+>", re.sub(r'alt="[^"]*"', "alt", html)), re.sub(r"<[^>]+>", "\n", html)


@pytest.mark.parametrize("payload", HOSTILE)
def test_text_from_outside_is_text_in_markdown(payload):
    tags, texts = rendered(payload)
    assert tags == rendered(GREEN)[0]
    shown = sanitize(payload, 4000).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert texts.count(shown.replace('"', "&quot;")) == rendered(GREEN)[1].count(GREEN)


@settings(max_examples=rounds(20, 200), deadline=None)
@given(st.text(st.sampled_from(MARKS), min_size=1, max_size=12))
def test_any_signs_are_text_in_markdown(text):
    written = markdown(text)
    parsed = parser().parse(written)
    [block] = [each for each in parsed if each.type == "inline"] or [None]
    assert block is None or parsed[0].type == "paragraph_open"
    read = "" if block is None else "".join(each.content for each in block.children)
    assert read == sanitize(text)
    # No address is written out, which GitHub would make a link.
    assert not re.search(r"https?://|www\.|@", re.sub(r"\\.", "", written), re.IGNORECASE)


COMMANDS = {
    "textbackslash": "\\",
    "textasciicircum": "^",
    "textasciitilde": "~",
    "textless": "<",
    "textgreater": ">",
    "textbar": "|",
    "textquotedbl": '"',
    "textasciigrave": "`",
    "textquotesingle": "'",
    "textminus": "−",
}
TOKEN = re.compile(r"\\(text\w+)\{\}|\\([&%$#_{}])|([-,])\{\}|([^\\{}$&#_^~%<>|\"`'])|\\allowbreak\{\}")


def read_latex(written):
    """Return the text that LaTeX sets; fail for a sign that means anything else."""
    read, place = "", 0
    while place < len(written):
        token = TOKEN.match(written, place)
        assert token, written[place:]
        read += COMMANDS[token[1]] if token[1] else token[2] or token[3] or token[4] or ""
        place = token.end()
    return read


@pytest.mark.parametrize("payload", HOSTILE)
def test_text_from_outside_is_text_in_latex(payload):
    assert read_latex(latex(payload)) == sanitize(payload, 4000)


@settings(max_examples=rounds(20, 200))
@given(st.text(st.sampled_from(MARKS), max_size=12))
def test_any_signs_are_text_in_latex(text):
    written = latex(text)
    assert read_latex(written) == sanitize(text)
    assert "--" not in written
    assert ",," not in written


def test_a_long_word_may_be_broken_and_columns_fit_the_page():
    word = "a_b_c/path/to/very_long_file_name_without_any_space.png"
    assert latex("photographically") == "photographically"
    for text in (word, "水墨画，狐狸在雪中" * 9, "-" * 60, "," * 60):
        pieces = latex(text).split(r"\allowbreak{}")
        assert max(map(len, map(read_latex, pieces))) <= 24
        assert read_latex(latex(text)) == text
    assert "allowbreak" not in latex("a fox in the snow of 2026-11-30")
    heads = [f"Does it show {number}, and is it good?" for number in range(8)]
    for rows in ([["1.5"] * 8], [[word] * 8], [[word, *["1"] * 7]], [["水墨画"] * 8], [["一"] * 8]):
        written = Document("t", [TableBlock("a table", heads, rows)]).latex()
        shares = [float(each) for each in re.findall(r"p\{([\d.]+)\\linewidth\}", written)]
        assert len(shares) == 8
        assert sum(shares) + 8 * 0.017 < 1.01


def test_no_sign_at_the_start_of_a_row_is_read_by_the_command_before_it():
    signs = [chr(code) for code in range(33, 127)]
    table = TableBlock("a table", ["[1cm] head", "n"], [[f"{sign}2cm]", "1"] for sign in signs])
    written = Document("t", [table]).latex()
    rows = re.search(r"\\toprule.*longtable", written, re.DOTALL)[0]
    # A command reads on, across the line's end, for an argument in brackets or a star of its own.
    assert not re.search(r"\\(\\\*?|[a-z]+)\s*\[|\\(\\\*|\\\s|[a-z]+)\s*\*", rows)
    assert "[2cm]" in rows
    assert "*2cm]" in rows


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="There is no LaTeX on this machine.")
def test_latex_sets_every_hostile_text_and_runs_none(tmp_path):
    blocks = [block for text in HOSTILE for block in document(text).blocks if not isinstance(block, Figure)]
    (tmp_path / "report.tex").write_text(Document("All of it", blocks).latex(), "utf-8")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, timeout=240)
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "report.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.skipif(
    not (shutil.which("pdflatex") and shutil.which("pdftotext")), reason="There is no LaTeX on this machine."
)
def test_a_small_table_and_its_heading_stay_on_one_page_wherever_they_begin(tmp_path):
    rng, blocks, sizes = Random(1), [], (2, 5, 9, 12, 16, 4, 16, 7, 11, 16)
    for table, rows in enumerate(sizes):
        cells = [[f"t{table}r{row}", *["7.767 ± 6.797 (n = 10)"] * 4] for row in range(rows)]
        blocks += [
            Paragraph("words " * rng.randrange(60, 420)),
            Heading(f"heading{table}"),
            TableBlock("Means of 4 metrics", ["model", *"abcd"], cells),
        ]
    (tmp_path / "report.tex").write_text(Document("Small tables", blocks).latex(), "utf-8")
    words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "report.tex"]
    for _ in range(2):  # widths of columns are those of the first time
        subprocess.run(words, cwd=tmp_path, check=True, capture_output=True, timeout=240)
    text = subprocess.run(["pdftotext", "-layout", "report.pdf", "-"], cwd=tmp_path, capture_output=True)
    pages = text.stdout.decode().split("\f")
    found = [sorted(map(int, re.findall(r"\bt(\d+)r\d", page))) for page in pages]
    assert sum(map(len, found)) == sum(sizes)
    assert all(page.count(table) == sizes[table] for page in found for table in page)
    assert len(pages) > 3
    headings = [re.findall(r"\bheading(\d)", page) for page in pages]
    assert headings == [re.findall(r"\bt(\d)r0\b", page) for page in pages]


def test_no_figure_of_a_report_floats_so_that_long_tables_end_above_the_foot_of_a_page():
    written = document("a fox").latex()
    assert re.findall(r"\\begin\{figure\*?\}(.*)", written) == ["[H]"]
    assert re.search(r"\\usepackage\{[^}]*\bfloat\b", written)


def test_a_document_has_the_same_parts_in_each_form():
    shown = document("a fox")
    for text in (shown.html(), shown.markdown(), shown.latex()):
        assert [text.count(each) for each in ("outside-cell", "2.5", "n a fox")] == [1, 1, 1]
    assert shown.markdown().splitlines()[:3] == ["# outside-title a fox", "", "## a fox"]
    assert "| a fox | 2.5 |" in shown.markdown()
    assert "| --- | --: |" in shown.markdown()
    assert "\\section*{a fox}" in shown.latex()
    assert "a fox & 2.5 \\\\" in shown.latex()
    assert "\\includegraphics" in shown.latex()
    assert "{figures/a.pdf}" in shown.latex()
    assert "(figures/a.svg)" in shown.markdown()


def test_a_page_needs_nothing_else_and_runs_nothing():
    html = document("a fox").html()
    assert "default-src 'none'; img-src data:; style-src 'unsafe-inline'" in html
    assert not re.search(r"<(script|link|iframe)|(src|href)=\"(?!data:)", html)
