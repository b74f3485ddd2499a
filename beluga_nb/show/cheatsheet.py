"""The cheat sheet, which is all commands on one card, and the help."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from beluga_nb.commands.table import COMMANDS, PICTURE_EXAMPLES, commands_on
from beluga_nb.commands.usage import NOTES, USAGE, help_sections, help_text
from beluga_nb.hints import Surface
from beluga_nb.result import Bundle
from beluga_nb.show.markup import outside
from beluga_nb.show.tables import Cell, Column, Kind, table_html

Section = tuple[str, tuple[tuple[str, str], ...]]


def card() -> tuple[Section, ...]:
    """Return what can be typed and what it does, by section."""
    return (
        ("A picture", PICTURE_EXAMPLES),
        (
            "A comparison",
            (
                *COMMANDS["compare"].examples,
                ("g.retry()", "only what failed; g.run() continues after Stop"),
                ("g.to_html('cats.html')", "one page to share; g.sheet('cats.png'), g.to_frame()"),
            ),
        ),
        (
            "Results",
            (
                ("fox[0].resize((256, 256))", "each is a PIL image"),
                ("fox.save('fox.png')", "the exact bytes, with the recipe inside"),
                ("fox.rerun(size='16:9')", "the same, changed"),
                ("print(fox.to_magic())", "the cell that asks for it"),
            ),
        ),
        ("More commands", tuple(_of_other_commands())),
    )


def _of_other_commands() -> Iterator[tuple[str, str]]:
    for command in commands_on(Surface.MAGIC).values():
        if not command.prompt:
            yield from command.examples


def cheatsheet() -> Bundle:
    """Return the card as a table for each section, and as text."""
    sections = card()
    width = max(len(code) for _, lines in sections for code, _ in lines)
    text = "\n\n".join(
        "\n".join([title, *(f"  {code.ljust(width)}  {effect}" for code, effect in lines)])
        for title, lines in sections
    )
    return {"text/html": _tables(sections), "text/plain": text}


def help_bundle(command: str = "") -> Bundle:
    """Return the help of `%beluga`, or of one of its commands."""
    html = _tables(help_sections(command))
    if not command:
        notes = "".join(f"<div>{outside(note)}</div>" for note in NOTES)
        html = f'{_tables([("Usage", USAGE)])}<div style="margin:0 0 12px">{notes}</div>{html}'
    return {"text/html": html, "text/plain": help_text(command)}


def _tables(sections: Iterable[tuple[str, Iterable[tuple[str, str]]]]) -> str:
    columns = (Column("", Kind.ID), Column(""))
    return "".join(
        f'<div style="margin:0 0 12px">'
        f"{table_html([(Cell(code), Cell(effect)) for code, effect in lines], columns, title)}</div>"
        for title, lines in sections
    )
