"""The cheat sheet: all commands on one card."""

from __future__ import annotations

from beluga_nb.result import Bundle
from beluga_nb.show.markup import outside
from beluga_nb.show.template import fill

CARD = (
    (
        "A picture",
        (
            ("%beluga a red bicycle on a beach", "a line; the prompt goes to its end"),
            ("%%beluga -m flux-2.0 -s 16:9", "a cell; the lines below are the prompt"),
            ("fox = %beluga -n 4 a fox", "four, kept and not shown"),
            ("%beluga -o owl an owl", "shown, and kept as owl"),
            ("%beluga a {{colour}} car", "filled from the variable colour"),
            ("%beluga --take 2 a fox", "another sampling of the same"),
            ("%beluga --dry-run -n 8 a fox", "what would be sent, and its price by your table"),
        ),
    ),
    (
        "A comparison",
        (
            ("%%beluga compare -m flux-2.0,gpt-image-2", "a grid of the prompt in the lines below"),
            ("g = %beluga compare --axis animal=cat,fox a {{animal}}", "every combination of the axes, kept"),
            ("g.retry()", "only what failed; g.run() goes on after Stop"),
            ("g.to_html('cats.html')", "one page to share; g.sheet('cats.png'), g.to_frame()"),
        ),
    ),
    (
        "What comes of it",
        (
            ("fox[0].resize((256, 256))", "each is a PIL image"),
            ("fox.save('fox.png')", "the exact bytes, with the recipe inside"),
            ("fox.rerun(size='16:9')", "the same, changed"),
            ("print(fox.to_magic())", "the cell that asks for it"),
        ),
    ),
    (
        "What there is",
        (
            ("%beluga models --search flux", "models; %beluga sizes, their sizes"),
            ("%beluga alias poster=-m flux-2.0 -s 3:4", "then -m poster"),
            ("%beluga config mode=replay", "settings; %beluga status, what holds now"),
            ("%beluga history --text fox", "what is recorded; %beluga last, the newest"),
        ),
    ),
)
"""What can be typed and what it does, by section."""


def cheatsheet() -> Bundle:
    """Return the card as a table and as text."""
    width = max(len(code) for _, lines in CARD for code, _ in lines)
    text = "\n\n".join(
        "\n".join([title, *(f"  {code.ljust(width)}  {meaning}" for code, meaning in lines)])
        for title, lines in CARD
    )
    sections = "".join(_section(title, lines) for title, lines in CARD)
    return {"text/html": f"<table>{sections}</table>", "text/plain": text}


def _section(title: str, lines: tuple[tuple[str, str], ...]) -> str:
    rows = "".join(
        fill("show/cheatsheet-row.html", code=outside(code), meaning=outside(meaning))
        for code, meaning in lines
    )
    return fill("show/cheatsheet-section.html", title=outside(title), rows=rows)
