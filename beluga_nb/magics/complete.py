"""What can stand at the cursor, from the same tables as the parser: nothing else is offered in our lines.

Nothing is read but the names of files: what is known of the notebook and the catalogue is passed in.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from beluga_nb.commands.table import ALIASED, OPTIONS, Command, Option, commands_on
from beluga_nb.hints import Surface
from beluga_nb.magics.parse import AXIS, WORD

_LINE = re.compile(r"""(?P<before>[^%#'"]*)%beluga[ \t](?P<typed>.*)""", re.DOTALL)
_OPERATORS = "=!<>+*/&|^@-"  # With a = behind them, these are other operators than an assignment.
_CELL = re.compile(r"\s*%%beluga(?P<typed>[ \t][^\n]*)?(?P<body>\n.*)?", re.DOTALL)
_OPTIONS = re.compile(r"(?:^|\s)(-.*)", re.DOTALL)
_OPEN_NAME = re.compile(r"\{\{\s*(?P<name>\w*)$")


@dataclass(frozen=True)
class Known:
    """What a notebook and the catalogue know.

    `choices` returns the values of a kind ("model", "size" …) for a model, or for the default one; files are
    looked for in `folder`.
    """

    choices: Callable[[str, str], Sequence[str]]
    variables: Sequence[str] = ()
    folder: Path = Path()


class Candidate(NamedTuple):
    """A text to replace the fragment with, and its kind."""

    text: str
    kind: str


class Offer(NamedTuple):
    """The fragment before the cursor, and the candidates to replace it."""

    fragment: str
    candidates: list[Candidate]


def offer(before: str, after: str, known: Known) -> Offer | None:
    """Return what to offer between the text of a cell before the cursor and after it, if it is ours."""
    if cell := _CELL.fullmatch(before):
        if cell["body"] is not None:
            return _in_prompt(before, after, known)
        return _in_cell(cell["typed"].lstrip(), after, known) if cell["typed"] else None
    line = _LINE.fullmatch(before.rpartition("\n")[2])
    if line is None or not _may_stand_behind(line["before"].rstrip()):
        return None
    return _in_line(line["typed"].lstrip(" \t"), after, known)


def _may_stand_behind(before: str) -> bool:
    """Whether a magic may follow: at the beginning of a line, and behind a = that assigns."""
    return not before or (before[-1] == "=" and len(before) > 1 and before[-2] not in _OPERATORS)


def _in_cell(typed: str, after: str, known: Known) -> Offer:
    name, blank, rest = typed.partition(" ")
    with_prompt = {each: command for each, command in commands_on(Surface.MAGIC).items() if command.prompt}
    if blank and name in with_prompt:
        return _in_options(rest.lstrip(), after, known, with_prompt[name].options)
    if name and not blank and not name.startswith("-"):
        return _starting(name, with_prompt, "command")
    return _in_options(typed, after, known, OPTIONS)


def _in_line(typed: str, after: str, known: Known) -> Offer:
    name, blank, rest = typed.partition(" ")
    commands = commands_on(Surface.MAGIC)
    if not blank and not typed.startswith("-"):
        named = _starting(typed, commands, "command")
        return named if named.candidates else _in_prompt(typed, after, known)
    if name in commands:
        return _in_command(commands[name], rest.lstrip(), after, known)
    return _in_options(typed, after, known, OPTIONS)


def _in_command(command: Command, rest: str, after: str, known: Known) -> Offer:
    word = _last_word(rest)
    if command.rest and command.rest.kind == "setting":
        return _in_setting(word, known)
    if command.rest and command.rest.kind == "alias":
        _, equals, options = rest.partition("=")
        return _in_options(options.lstrip(), after, known, ALIASED) if equals else _nothing(word)
    if dashed := _OPTIONS.search(rest):
        return _in_options(dashed[1], after, known, command.options)
    flags = [] if rest else _not_given(command.options, ())
    takes = command.words or command.rest
    files = _files(known.folder, takes.endings) if takes else []
    return _starting(word, [*files, *flags], "file" if rest else "option")


def _in_setting(word: str, known: Known) -> Offer:
    name, equals, value = word.partition("=")
    if equals:
        return _starting(value, known.choices(name, ""), name)
    return _starting(word, [f"{each}=" for each in known.choices("setting", "")], "setting")


def _in_options(typed: str, after: str, known: Known, table: Sequence[Option]) -> Offer:
    by_flag = {flag: option for option in table for flag in option.flags}
    given: dict[str, str] = {}
    rest = typed
    while rest.startswith("-"):
        match = WORD.match(rest)
        assert match is not None
        word, rest = match[1], rest[match.end() :]
        flag, equals, value = word.partition("=")
        option = by_flag.get(flag)
        # The cursor stands right behind a flag that is still being typed.
        if not rest and not (option and equals):
            return _starting(word, _not_given(table, given), "option")
        if word == "--" or option is None:
            return _in_prompt(typed, after, known)
        if option.metavar and not equals:
            match = (AXIS if option.kind == "axis" else WORD).match(rest)
            value, rest = (match[1], rest[match.end() :]) if match else ("", "")
        if option.metavar and not rest:
            return _in_value(option, value, given.get("model", ""), after, known)
        given[option.name] = value
        rest = rest.lstrip()
    if rest or not typed:
        return _in_prompt(rest, after, known)
    return _starting("", _not_given(table, given), "option")


def _not_given(table: Iterable[Option], given: Iterable[str]) -> list[str]:
    return [flag for option in table if option.many or option.name not in given for flag in option.flags]


def _in_value(option: Option, value: str, model: str, after: str, known: Known) -> Offer:
    if _OPEN_NAME.search(value):
        return _in_prompt(value, after, known)
    if option.kind == "axis":
        return _in_axis(value, known)
    if option.metavar.endswith(",…"):
        value = value.rpartition(",")[2]
    choices = known.variables if option.kind == "variable" else known.choices(option.kind, model)
    return _starting(value, choices, option.kind)


def _in_axis(value: str, known: Known) -> Offer:
    name, equals, given = value.partition("=")
    if not equals:
        return _starting(name, [f"{each}=" for each in known.variables], "variable")
    if given.startswith("@"):
        return _starting(given[1:], [*known.variables, *_files(known.folder, (".csv",))], "variable")
    return _nothing(given)


def _in_prompt(text: str, after: str, known: Known) -> Offer:
    name = _OPEN_NAME.search(text)
    if name is None:
        return _nothing(_last_word(text))
    close = "" if after.lstrip().startswith("}}") else "}}"
    found = [Candidate(each + close, "variable") for each in known.variables if each.startswith(name["name"])]
    return Offer(name["name"], found)


def _starting(fragment: str, choices: Iterable[str], kind: str) -> Offer:
    return Offer(fragment, [Candidate(each, kind) for each in choices if each.startswith(fragment)])


def _nothing(fragment: str) -> Offer:
    return Offer(fragment, [])


def _last_word(text: str) -> str:
    return "" if text[-1:].isspace() else "".join(text.split()[-1:])


def _files(folder: Path, endings: Sequence[str]) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in endings) if endings else []
