"""The commands that a line may have been meant as: such a line is asked about, since a prompt is paid for."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence

from beluga_nb.catalog import labels, models
from beluga_nb.commands.table import OPTIONS, SETTINGS, Command, Option, commands_on, pairs
from beluga_nb.hints import Surface
from beluga_nb.text import is_one_slip, is_swapped

SHORT = 4
"""Letters of a command whose misspellings are mostly words of their own."""

OPTION = re.compile(r"--\w|-[A-Za-z]\d*(?=[\s=]|$)")
"""The beginning of an option; "- a waiter" and "-old books" begin a prompt."""

SKIP_A_QUESTION = frozenset({"assume_yes", "allow_unknown_model"})
"""Options that are never suggested: without their question, money is spent or recordings are removed."""

_KEYS = "qwertyuiop asdfghjkl zxcvbnm"

# What editors put in place of a hyphen, or of two.
_DASHES = "-\u2010-\u2015\u2212\ufe58\ufe63\uff0d"
_DASHED = re.compile(rf"[{_DASHES}]+([^\s=]+)(.*)", re.DOTALL)

# Possessive quantifiers: a long text is not tried again from each of its places.
_SETTING = re.compile(rf"(?:set\s++)?[{_DASHES}]*+([\w-]++)(?:\s*+[=:]\s*+(.*)|\s++(\S++))", re.DOTALL)
_ALIAS = re.compile(r"([A-Za-z][\w.-]*+)(?:\s*+[=:]\s*+|\s++)(-.*)", re.DOTALL)
_ALIAS_OF_MODEL = re.compile(r"([A-Za-z][\w.-]*)\s*=\s*([^\s-]\S*)")

_WORDS = re.compile(r""""[^"]*"(?!\S)|'[^']*'(?!\S)|\S+""")
_COMMENT = re.compile(r"\s#(?:\s|\Z)")
_PROGRAM = re.compile(r"[%!]*+beluga(?:_nb)?\s++")
# A {{name}} stands for a text of the user's.
_BEFORE, _AFTER = re.compile(r"[^\w{}-]*+"), re.compile(r"[^\w{}]*+")


def meant_option(text: str, options: Sequence[Option]) -> tuple[str, str] | None:
    """Return the option that a text with a dash of another kind begins with, and what follows it.

    Its flag is empty for an option that is never suggested.

    >>> meant_option("\u2014dry-run -n 8 a fox", OPTIONS)
    ('--dry-run', ' -n 8 a fox')
    """
    found = _DASHED.match(text)
    flags = {flag.lstrip("-"): (flag, option) for option in options for flag in option.flags}
    for name in _meant_names(found[1].casefold(), flags) if found else ():
        assert found is not None
        flag, option = flags[name]
        return "" if option.name in SKIP_A_QUESTION else flag, found[2]
    return None


def _meant_names(typed: str, names: Collection[str]) -> list[str]:
    """Return the name that was typed, or else those that are one slip away."""
    if typed in names:
        return [typed]
    return [name for name in names if len(name) > SHORT and is_one_slip(typed, name)]


def meant_commands(line: str) -> Iterator[str]:
    """Yield what a line, which is no command, becomes where one slip is mended.

    The parser decides which of them are commands.

    >>> list(meant_commands("serve stop"))
    ['serve --stop']
    """
    name, _, after = line.partition(" ")
    known, after = commands_on(Surface.MAGIC), after.strip()
    for command in known.keys() - {name}:
        if _is_near(name.casefold(), command, alone=not after):
            yield f"{command} {after}".rstrip()
    # Two words that are one: log in, cheat sheet.
    second, _, rest = after.partition(" ")
    if second and (name + second).casefold() in known:
        yield f"{(name + second).casefold()} {rest}".rstrip()
    tidied = _tidied(line)
    if tidied != line and tidied.partition(" ")[0] in known:
        yield tidied
    if (settings := pairs(line)) and all(each in SETTINGS for each, _ in settings):
        yield f"config {line}"
    if (of := known.get(name.casefold())) is not None:
        yield from (f"{name.casefold()} {each}".rstrip() for each in _meant_arguments(of, after))
    if name.casefold() == "help" and after.casefold() in known:
        yield f"{after.casefold()} --help"


def _is_near(typed: str, command: str, *, alone: bool) -> bool:
    if typed == command:
        return True
    if len(command) > SHORT or not alone:
        return is_one_slip(typed, command)
    # One other letter makes common words of short commands: park, oven, list.
    return is_swapped(typed, command) or any(
        typed in {start + end[1:], start + end[0] + end, *(start + key + end[1:] for key in _beside(end[0]))}
        for start, end in ((command[:at], command[at:]) for at in range(len(command)))
    )


def _beside(letter: str) -> list[str]:
    """Return the keys on both sides of a letter."""
    return [key for key in _KEYS if letter + key in _KEYS or key + letter in _KEYS]


def _tidied(line: str) -> str:
    """Return a line without a comment, quotes, marks around its first word, and the program's name."""
    if comment := _COMMENT.search(line):
        line = line[: comment.start()].rstrip()
    if program := _PROGRAM.match(line):
        line = line[program.end() :]
    if len(line) > 1 and line[0] in "\"'" and line[-1] == line[0]:
        line = line[1:-1]
    name, *after = line.split(maxsplit=1) or [""]
    kept = [each for each in after if re.search(r"\w", each)]
    return " ".join([_bare(name).casefold(), *kept])


def _bare(word: str) -> str:
    """Return a word without the marks around it."""
    word = word[_end(_BEFORE, word) :][::-1]
    return word[_end(_AFTER, word) :][::-1]


def _end(pattern: re.Pattern[str], text: str) -> int:
    found = pattern.match(text)
    return found.end() if found else 0


def _meant_arguments(command: Command, text: str) -> Iterator[str]:
    """Yield the arguments of a command that a text may stand for."""
    first, *more = text.split()[:3] or [""]
    if first.casefold() == "help" and not more:
        yield "--help"
    if command.rest:
        yield from _SETTINGS_AND_ALIASES.get(command.rest.kind, lambda _: iter(()))(text)
    for flag, option in ((flag, each) for each in command.options for flag in each.flags):
        if flag == f"--{first.casefold()}" and len(more) == bool(option.metavar):
            yield "" if option.name in SKIP_A_QUESTION else " ".join([flag, *more])
    if text:
        yield from _meant_values(command, text)
    if not OPTION.match(text) and (found := meant_option(text, (*command.options, *OPTIONS))):
        yield "".join(found).strip()


def _meant_setting(text: str) -> Iterator[str]:
    if found := _SETTING.fullmatch(text):
        for name in _meant_names(found[1].casefold().replace("-", "_"), SETTINGS):
            yield f"{name}={found[2] or found[3] or ''}"
    name, _, value = text.partition("=")
    if name in SETTINGS and " " in value.strip() and '"' not in value:
        yield f'{name}="{value.strip()}"'


def _meant_alias(text: str) -> Iterator[str]:
    if (found := _ALIAS.fullmatch(text)) and OPTION.match(found[2]):
        yield f"{found[1]}={found[2]}"
    elif found := _ALIAS_OF_MODEL.fullmatch(text):
        yield f"{found[1]}=-m {found[2]}"


def _is_model(word: str) -> bool:
    ids = [model.id for model in models()]
    return word.casefold() in ids or any(is_one_slip(word.casefold(), each) for each in ids)


def _is_size(word: str) -> bool:
    return word.casefold() in {*labels(), "auto"} or re.fullmatch(r"\d+[x×]\d+", word) is not None


def _is_provider(word: str) -> bool:
    return word.casefold() in {model.provider.casefold() for model in models()}


_TAKES: dict[str, Callable[[str], bool]] = {
    "model": _is_model,
    "size": _is_size,
    "provider": _is_provider,
    "N": str.isdecimal,
    "DATE": lambda word: re.fullmatch(r"\d{4}-\d\d?(-\d\d?)?", word) is not None,
    "AGE": lambda word: re.fullmatch(r"\d+[a-z]", word) is not None,
}
"""Whether a word is a value of an option, by the kind of the option or the name of its value."""

_MOST_VALUES = 3


def _meant_values(command: Command, text: str) -> Iterator[str]:
    """Yield the arguments that are meant by a text that begins with values without their flags."""
    if command.prompt:
        first, _, after = text.partition(" ")
        flags = [_flag_of(word, command) for word in first.split(",")]
        # "compare 3 foxes" is a prompt.
        if all(flags) and not (after and first.isdecimal()):
            yield f"{flags[0]} {first} {after}".rstrip()
        return
    words = _WORDS.findall(text)
    known = {flag for option in command.options for flag in option.flags}
    count = next((place for place, word in enumerate(words) if word.partition("=")[0] in known), len(words))
    values, rest = words[:count], words[count:]
    found = [_flag_of(word, command) for word in values[: _MOST_VALUES + 1]]
    if count == 1 and not found[0]:
        found = [each.flags[0] for each in command.options if each.metavar == "TEXT"][:1]
    if 0 < len(found) <= _MOST_VALUES and all(found):
        yield " ".join([*(f"{flag} {word}" for flag, word in zip(found, values, strict=True)), *rest])
    elif text.isdecimal():  # A number alone is no prompt.
        yield ""


def _flag_of(word: str, command: Command) -> str:
    """Return the flag of the option that a word is a value of; empty if there is none."""
    for option in command.options:
        is_value = _TAKES.get(option.kind) or _TAKES.get(option.metavar)
        if is_value and is_value(word):
            return option.flags[-1]
    return ""


_SETTINGS_AND_ALIASES = {"setting": _meant_setting, "alias": _meant_alias}
