"""Parse a line or cell of `%beluga`: options first, then the prompt to the end, untouched."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from beluga_nb.commands.table import (
    ALIASED,
    COMMANDS,
    OPTIONS,
    SETTINGS,
    Command,
    CommandCall,
    Option,
    Rest,
    commands_on,
    pairs,
)
from beluga_nb.compare.axes import AXIS_PARAMETERS
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.hints import Code, Hint, Surface
from beluga_nb.magics.slips import OPTION, SKIP_A_QUESTION, meant_commands, meant_option
from beluga_nb.placeholders import PLACEHOLDER
from beluga_nb.text import nearest, sanitize

_ESCAPED = re.compile(r"""\\(["'\\])""")
_QUOTED = re.compile(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""")
WORD = re.compile(rf"""\s*({_QUOTED.pattern}|(?:{PLACEHOLDER}|\S)+)""")
"""A word of options, or a text in quotes; a `{{name}}` may hold blanks."""

AXIS = re.compile(rf"""\s*((?:{_QUOTED.pattern}|{PLACEHOLDER}|[^\s"'])+)""")
"""The same of an axis, in which texts in quotes may stand anywhere."""

# A label ends with a colon only before a quote: 16:9 is a value.
_LABEL = re.compile(r"""\s*([^,:"'\s][^,:"']*)?:(?=["'])""")
_RULE = re.compile(r"^[ \t]*---[ \t]*$\n?", re.MULTILINE)

_BEFORE_OPTIONS = re.compile(r"(?:(?!-)\S+(?:\s+(?!-)\S+)*)?")
# An entity such as &gt; has a ; of its own, which does not silence the line.
_ENTITY = re.compile(r"&#?\w+;$")


Values = dict[str, Any]
"""The values of options, by the arguments that they set."""


class Prompt(NamedTuple):
    """A prompt, with the arguments of `Session.submit` and how the result is shown."""

    prompt: str
    options: Values = {}  # noqa: RUF012  never changed
    output: str | None = None
    raw: bool = False
    dry_run: bool = False
    quiet: bool = False
    debug: bool = False


class Comparison(NamedTuple):
    """The prompts of a grid, its axes, the other arguments of `Session.grid`, and those of its `run`."""

    prompts: tuple[str, ...]
    axes: Values
    grid: Values
    run: Values
    output: str | None = None
    dry_run: bool = False
    quiet: bool = False
    debug: bool = False


class Help(NamedTuple):
    """The question what can be typed: `--help` among the options of a prompt, or after a `command`."""

    command: str = ""


Call = Prompt | Comparison | CommandCall | Help
"""What a line or cell asks for."""

Fill = Callable[[str], str]
"""Puts values in place of each `{{name}}` of a text."""


def parse(line: str, cell: str | None = None, *, fill: Fill = str) -> Call:
    """Return what is asked for; raise `RequestError` for an option that is not understood.

    `fill` puts values in place of each `{{name}}` in an option; the prompt is left as it is.

    >>> parse("-s 16:9 a cat -- really?").prompt
    'a cat -- really?'
    """
    if line.strip() and cell is not None and not cell.strip():
        cell = None  # A cell without a body is what its line says: %%beluga status buys no picture.
    quiet = cell is None and _is_silenced(line)
    if quiet:
        line = line.rstrip().removesuffix(";")
    name, _, after = line.strip().partition(" ")
    if after.strip() == "--help" and not name.startswith("-"):
        if name not in commands_on(Surface.MAGIC):
            raise _no_command(name, line)
        return Help(name)
    if (comparison := _comparison(line, cell, fill)) is not None:
        return comparison._replace(quiet=comparison.quiet or quiet)
    if cell is None:
        if (command := _command(line.strip())) is not None:
            return command
        _refuse_a_slip(line.strip())
    typed, rest = _typed(line.lstrip() if cell is None else line.strip(), OPTIONS)
    # Known before values are converted: --raw holds for the options before it, too.
    raw = any(option.name == "raw" for option, _ in typed)
    options = _converted(typed, fill=str if raw else fill)
    if options.pop("help", False):
        return Help()
    return Prompt(
        prompt=_prompt(rest, cell),
        output=options.pop("output", None),
        raw=options.pop("raw", False),
        dry_run=options.pop("dry_run", False),
        quiet=options.pop("quiet", quiet),
        debug=options.pop("debug", False),
        options=options,
    )


def _is_silenced(line: str) -> bool:
    # As in all of IPython, a ; at the end of a line means: show nothing.
    line = line.rstrip()
    return line.endswith(";") and not _ENTITY.search(line)


def _refuse_a_slip(line: str) -> None:
    """Refuse a line that is a command but for one slip: a prompt would be paid for."""
    name, _, after = line.partition(" ")
    for meant in meant_commands(line) if not line.startswith("-") else ():
        if _is_command(meant):
            command, _, arguments = meant.partition(" ")
            if command != name and arguments == after.strip():
                raise _no_command(name, line)
            raise RequestError(
                f"'{sanitize(line, 60)}' is not a command as it stands.",
                Hint("Did you mean ", Code(f"%beluga {sanitize(meant, 60)}"), "? ", *_for_a_picture(line)),
            )
    after = after.lstrip()
    if name in commands_on(Surface.MAGIC) and (OPTION.match(after) or meant_option(after, OPTIONS)):
        raise _no_option(name, after)


def _is_command(line: str) -> bool:
    if line.partition(" ")[2] == "--help":
        return True
    try:
        return (_comparison(line, None, str) or _command(line)) is not None
    except RequestError:  # A command that lacks something.
        return True


def _no_command(name: str, line: str) -> UnknownNameError:
    hint = Hint(*_for_a_picture(line))
    return UnknownNameError("command", name, commands_on(Surface.MAGIC), hint=hint)


def _for_a_picture(line: str) -> tuple[str, Code]:
    return "For a picture of it: ", Code(f"%beluga -- {sanitize(line.strip(), 60)}")


def _command(line: str) -> CommandCall | None:
    # The bare %beluga is a question about the state.
    name, _, after = (line or "status").partition(" ")
    command, after = commands_on(Surface.MAGIC).get(name), after.strip()
    if command is None:
        return None
    if command.rest and command.rest.needed and not after:
        raise _lacks_file(name)
    if command.rest and after:
        return _with_rest(name, command.rest, after) if command.rest.fits(after) else None
    if not _fits(after, command):
        return None
    words, rest = _words(name, command, after)
    typed, rest = _typed(rest, command.options, _for_a_picture(line))
    more, rest = _words(name, command, rest)
    if rest:
        raise _no_option(name, rest)
    words += more
    if command.words and command.words.is_one and len(words) != 1:
        raise _lacks_file(name)
    options = _converted(typed)
    output = options.pop("output", None)
    return CommandCall(name, tuple(words), options, output)


def _lacks_file(name: str) -> RequestError:
    takes = COMMANDS[name].words or COMMANDS[name].rest
    assert takes is not None
    example = Code(f"%beluga {name} study{takes.endings[0]}")
    return RequestError(f"%beluga {name} takes one file.", Hint("For example: ", example))


def _comparison(line: str, cell: str | None, fill: Fill) -> Comparison | None:
    name, _, after = line.strip().partition(" ") if cell is not None else line.lstrip().partition(" ")
    command = COMMANDS.get(name)
    if command is None or not command.prompt or not (cell is not None or _fits(after.lstrip(), command)):
        return None
    typed, rest = _typed(after.lstrip(), command.options, _for_a_picture(line))
    values = _converted(typed, fill=fill)
    prompts = prompts_of(_prompt(rest, cell))
    if not any(prompt.strip() for prompt in prompts):
        raise RequestError(
            f"There is nothing to {name}.",
            "Put the prompt below, for example: a {{animal}}, with --axis animal=cat,fox",
        )
    axes = _repeated(typed, "axes", fill)
    grid: Values = {
        **{each: texts(values[each]) for each in AXIS_PARAMETERS if each in values},
        **{each: values[each] for each in ("n", "sample", "seed", "allow_unknown_model") if each in values},
        "pairs": [texts(fill(text)) for option, text in typed if option.name == "pairs"],
        "replace": _repeated(typed, "replace", fill),
    }
    return Comparison(
        prompts=tuple(prompts),
        axes=axes,
        grid={each: value for each, value in grid.items() if value},
        run={
            each: values[each] for each in ("max_images", "max_cost", "mode", "assume_yes") if each in values
        },
        output=values.get("output"),
        dry_run=bool(values.get("dry_run")),
        quiet=bool(values.get("quiet")),
        debug=bool(values.get("debug")),
    )


def prompts_of(text: str) -> list[str]:
    """Return the whole prompts that stand between lines of three dashes.

    >>> prompts_of("a fox\\n---\\nan owl, -- really\\n")
    ['a fox', 'an owl, -- really\\n']
    """
    # The last prompt keeps its end, as a cell with a single prompt does.
    pieces = _RULE.split(text)
    return [piece.removesuffix("\n") for piece in pieces[:-1]] + pieces[-1:]


def _repeated(typed: Typed, name: str, fill: Fill) -> Values:
    found: Values = {}
    for option, text in typed:
        if option.name == name:
            if _QUOTED.fullmatch(text):  # As in a shell: --axis "animal=cat, fox".
                text = _unquoted(text)
            key, equals, values = text.partition("=")
            key = _unquoted(key.strip())
            if not key or not equals:
                raise RequestError(f"{option.flags[0]} is '{text[:60]}'.", f"It takes {option.metavar}.")
            if key in found:
                raise RequestError(f"{option.flags[0]} {key[:60]} is given twice.", "Keep one.")
            found[key] = values if values.startswith("@") else labelled(fill(values))
    return found


def texts(value: str) -> list[str]:
    """Return the texts between commas; those in quotes may hold commas themselves."""
    return list(labelled(value)) if value else []


def labelled(values: str) -> dict[str, str]:
    """Return the values of an axis by their labels.

    >>> labelled('red, 16:9, "a, b", oil:"thick oil paint, impasto"')
    {'red': 'red', '16:9': '16:9', 'a, b': 'a, b', 'oil': 'thick oil paint, impasto'}
    """
    found: dict[str, str] = {}
    place = 0
    while place < len(values):
        label, text, place = _value_at(values, place)
        if not text:
            raise RequestError(
                f"'{values[:80]}' is not a list of values.",
                'Put commas between them; put what holds a comma in quotes: red,"a, b",oil:"thick, old".',
            )
        text = _unquoted(text)
        label = label or text
        if label in found:
            raise RequestError(f"'{label[:60]}' is given twice.", "Give each value once.")
        found[label] = text
    return found


def _value_at(values: str, place: int) -> tuple[str, str, int]:
    """Return a value's label, its text, which is empty where there is none, and where the next one begins."""
    named = _LABEL.match(values, place)
    if named and (quoted := _quoted_at(values, named.end())):
        return (named[1] or "").strip(), *quoted
    start = _behind_blanks(values, place)
    if values[start : start + 1] in {'"', "'"}:
        return "", *(_quoted_at(values, start) or ("", start))
    end = values.find(",", start) % (len(values) + 1)  # Without a comma, the end of the text.
    return "", values[start:end].strip(), end + 1


def _quoted_at(values: str, place: int) -> tuple[str, int] | None:
    quoted = _QUOTED.match(values, place)
    end = _behind_blanks(values, quoted.end()) if quoted else place
    return (quoted[0], end + 1) if quoted and values[end : end + 1] in {"", ","} else None


def _behind_blanks(text: str, place: int) -> int:
    return len(text) - len(text[place:].lstrip())


def _with_rest(name: str, rest: Rest, text: str) -> CommandCall:
    if rest.kind == "setting" and text not in SETTINGS:
        return CommandCall(name, (), {each: _unquoted(value) for each, value in pairs(text)})
    if rest.kind == "alias":
        alias, _, options = text.partition("=")
        return CommandCall(name, (alias,), _aliased(options.strip()))
    return CommandCall(name, (_unquoted(text),), {})


def _aliased(text: str) -> Values:
    typed, rest = _typed(text, ALIASED)
    if rest:
        raise RequestError(
            f"'{rest[:60]}' is not an option.",
            Hint("For example: ", Code("%beluga alias poster=-m flux-2.0 -s 3:4")),
        )
    return _converted(typed)


def _fits(text: str, command: Command) -> bool:
    words = _BEFORE_OPTIONS.match(text)
    if words and words[0]:
        return command.words is not None and command.words.whole(words[0])
    return not text or OPTION.match(text) is not None


def _words(name: str, command: Command, text: str) -> tuple[list[str], str]:
    kind, found = command.words, []
    while kind and text and not text.startswith("-"):
        match = WORD.match(text)
        assert match is not None
        word = _unquoted(match[1])
        if not kind.each(word):
            raise _no_option(name, text)
        found.append(word)
        text = text[match.end() :].lstrip()
    return found, text


def _no_option(name: str, text: str) -> RequestError:
    quoted = "" if COMMANDS[name].words is None else " Put names with blanks in quotes."
    return RequestError(
        f"'{text[:60]}' is not an option of %beluga {name}.",
        Hint("For a picture of it all: ", Code(f"%beluga -- {name} …"), quoted),
    )


Typed = list[tuple[Option, str]]


Advice = tuple[str | Code, ...]

_DASH_FIRST: Advice = ("put ", Code("--"), " before a prompt that starts with a dash.")


def _typed(rest: str, table: Sequence[Option], otherwise: Advice = _DASH_FIRST) -> tuple[Typed, str]:
    """Return the options that a text begins with, and what follows; `otherwise` is for one that is none."""
    typed: Typed = []
    while rest.startswith("-"):
        match = WORD.match(rest)
        assert match is not None
        word, after = match[1], rest[match.end() :]
        if word == "--":
            return typed, after.removeprefix(" ")
        flag, equals, value = word.partition("=")
        option = _option(flag, table, otherwise)
        if equals and option.kind == "axis":
            value, after = _value(option, rest[match.start(1) + len(flag) + 1 :])
        if option.metavar and not equals:
            value, after = _value(option, after)
        typed.append((option, value if option.kind == "axis" else _unquoted(value)))
        rest = after.lstrip()
    if meant := meant_option(rest, table):
        raise _unknown_option(rest.split()[0].partition("=")[0], [meant[0]] if meant[0] else [], otherwise)
    return typed, rest


def _option(flag: str, table: Sequence[Option], otherwise: Advice) -> Option:
    by_flag = {each: option for option in table for each in option.flags}
    try:
        return by_flag[flag]
    except KeyError:
        # A long flag is never a slip for a short one, though both may hold the same letter.
        choices = [each for each in by_flag if (len(each) > 2) == (len(flag) > 2)]
        if (meant := nearest(flag, choices)) and by_flag[meant].name in SKIP_A_QUESTION:
            choices = []
        raise _unknown_option(flag, choices, otherwise) from None


def _unknown_option(flag: str, choices: Sequence[str], otherwise: Advice) -> UnknownNameError:
    separator = "; " if otherwise == _DASH_FIRST else ". "
    hint = Hint(Code("%beluga --help"), f" lists all options{separator}", *otherwise)
    return UnknownNameError("option", flag, choices, hint=hint)


def _value(option: Option, after: str) -> tuple[str, str]:
    match = (AXIS if option.kind == "axis" else WORD).match(after)
    if match is None:
        raise RequestError(f"{option.flags[-1]} has no value.", f"It takes {option.metavar}: {option.help}.")
    return match[1], after[match.end() :]


def _converted(typed: Typed, *, fill: Fill = str) -> Values:
    return {
        option.name: _value_of(option, fill(text)) if option.metavar else True
        for option, text in typed
        if option.kind != "axis"
    }


def _value_of(option: Option, value: str) -> object:
    if option.kind == "variable" and not value.isidentifier():
        raise RequestError(
            f"'{value}' is not a valid variable name.", Hint("For example: ", Code("-o whale"))
        )
    try:
        return option.type(value)
    except ValueError as error:
        flag = option.flags[0]
        _, *advice = error.args
        hint = (
            f"{advice[0][:1].upper()}{advice[0][1:]}."
            if advice
            else f"Give a whole number, for example {flag} 4."
        )
        raise RequestError(f"{flag} is '{value}'.", hint) from None


def _unquoted(value: str) -> str:
    quoted = value[:1] in {'"', "'"} and value[-1:] == value[:1]
    return _ESCAPED.sub(r"\1", value[1:-1]) if quoted else value


def _prompt(rest: str, cell: str | None) -> str:
    if cell is None:
        return rest
    if rest:
        raise RequestError(
            f"'{rest[:60]}' on the first line of the cell is not an option.",
            "In a cell the lines below are the prompt.",
        )
    return cell.removesuffix("\n")
