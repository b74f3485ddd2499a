"""What is made from the tables of commands: help, the README's reference, and parsers for the terminal."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Iterator

from beluga_nb.commands.arguments import Parser
from beluga_nb.commands.table import OPTIONS, Command, Option, Words, commands_on
from beluga_nb.hints import Surface

PROGRAM = "python -m beluga_nb"

USAGE = (
    ("%beluga [options] prompt", "a picture of the prompt, which goes to the end of the line"),
    ("%%beluga [options]", "a picture of the prompt in the lines below"),
    ("result = %beluga [options] …", "the same, kept and not shown"),
    ("%%beluga compare [options]", "a grid of pictures of the prompts in the lines below"),
)
NOTES = (
    "A prompt is sent as it is typed; only {{name}} is replaced, by the variable of that name.",
    "The result is a sequence of PIL images with .pictures, .recipe and .save().",
    "A line is a command only if nothing else follows: %beluga open sea at night is a prompt.",
    "A misspelt command draws nothing and asks; %beluga -- statsu draws a picture all the same.",
)

HELP_WIDTH = 104
"""Characters of a line of the help: what fits into a notebook."""

EXAMPLES = (
    "%beluga a red bicycle on a beach",
    "%beluga -m flux-2.0 -s 16:9 -o night a skyline at night",
    "fox = %beluga -n 4 a fox in the snow",
)
"""What the bare `%beluga` shows."""

Rows = list[tuple[str, str]]


# --- the magics


def help_text(command: str = "") -> str:
    """Return the help of `%beluga`, or of one of its commands."""
    sections = help_sections(command)
    width = max(len(what) for _, rows in sections for what, _ in rows)
    lines = [line for title, rows in sections for line in ["", f"{title}:", *_columns(rows, width)]]
    if command:
        return "\n".join(lines[2:])  # without the blank line and the title
    first = max(len(what) for what, _ in USAGE)
    return "\n".join([*(f"{what:{first}}   {about}" for what, about in USAGE), "", *NOTES, *lines])


def help_sections(command: str = "") -> list[tuple[str, Rows]]:
    """Return what can be typed and what it does, by section: of `%beluga`, or of one of its commands."""
    if command:
        return [(f"%beluga {command}", list(_rows_of(command, commands_on(Surface.MAGIC)[command])))]
    return [("Options, before the prompt", _option_rows()), ("Commands", list(_command_rows()))]


def reference() -> str:
    """Return the same as Markdown: a table of the options and one of the commands."""
    return f"{_markdown('option', _option_rows())}\n\n{_markdown('command', list(_command_rows()))}"


def _option_rows() -> Rows:
    return [(_flags(option), option.help) for option in OPTIONS]


def _command_rows() -> Iterator[tuple[str, str]]:
    for name, command in commands_on(Surface.MAGIC).items():
        yield from _rows_of(name, command)


def _rows_of(name: str, command: Command) -> Iterator[tuple[str, str]]:
    takes = command.words or command.rest
    metavar = takes.metavar if takes else "[options] prompt" if command.prompt else ""
    start = f"{'%%' if command.prompt else '%'}beluga {name}"
    yield f"{start} {metavar}".rstrip(), command.help
    for option in command.options:
        yield f"{start} {_flags(option)}", f"… {option.help.removeprefix('… ')}"


def _flags(option: Option) -> str:
    return f"{', '.join(option.flags)} {option.metavar}".rstrip()


def _columns(rows: Rows, width: int) -> list[str]:
    # Notebooks break longer lines anywhere, in the middle of words.
    return [
        f"  {what if first else '':{width}}  {line}"
        for what, about in rows
        for first, line in _wrapped(about, HELP_WIDTH - width - 4)
    ]


def _wrapped(text: str, width: int) -> Iterator[tuple[bool, str]]:
    for number, line in enumerate(textwrap.wrap(text, width, break_on_hyphens=False)):
        yield number == 0, line


def _markdown(heading: str, rows: Rows) -> str:
    lines = (f"| `{what}` | {about.replace('{{', '`{{').replace('}}', '}}`')} |" for what, about in rows)
    return "\n".join([f"| {heading} | what it does |", "|---|---|", *lines])


# --- the terminal


def terminal_usage() -> str:
    """Return what `python -m beluga_nb --help` prints."""
    commands = commands_on(Surface.TERMINAL)
    width = max(map(len, commands))
    lines = [f"  {name:{width}}  {_help_in_terminal(command)}" for name, command in commands.items()]
    return "\n".join([f"usage: {PROGRAM} COMMAND ...", "", *lines, "", "  COMMAND --help shows its options"])


def _help_in_terminal(command: Command) -> str:
    return command.help_in_terminal or command.help


def parser(name: str) -> Parser:
    """Return the parser of a command's arguments in a terminal."""
    command = commands_on(Surface.TERMINAL)[name]
    about = _help_in_terminal(command)
    made = Parser(
        prog=f"{PROGRAM} {name}",
        description=_escaped(f"{about[0].upper()}{about[1:]}. {command.about}".rstrip()),
        allow_abbrev=False,
    )
    if command.words:
        _add_words(made, command.words)
    for option in command.options:
        _add(made, option)
    return made


def _add_words(to: Parser, words: Words) -> None:
    metavar = words.metavar.strip("[]").partition(" ")[0]
    # argparse takes one word as it is; several become a list.
    to.add_argument("words", nargs=1 if words.is_one else "*", metavar=metavar, help=_escaped(words.help))


def _add(to: Parser, option: Option) -> None:
    about = _escaped(option.help) or argparse.SUPPRESS
    if option.positional:
        to.add_argument(option.name, nargs="?", metavar=option.metavar, help=about)
    elif option.metavar:
        to.add_argument(
            *option.flags,
            dest=option.name,
            metavar=option.metavar,
            type=_for_argparse(option.type),
            default=option.default,
            help=about,
        )
    else:
        to.add_argument(*option.flags, dest=option.name, action="store_true", help=about)


def _for_argparse(kind: Callable[[str], object]) -> Callable[[str], object]:
    def converted(text: str) -> object:
        try:
            return kind(text)
        except ValueError as error:
            # Of a `ValueError` argparse shows the name of the type alone.
            raise argparse.ArgumentTypeError("; ".join(map(str, error.args))) from None

    return converted


def _escaped(text: str) -> str:
    return text.replace("%", "%%")  # argparse formats its help with %.
