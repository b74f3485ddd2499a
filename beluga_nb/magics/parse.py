"""The grammar of `%beluga`: options first, then the prompt to the end, untouched.

One table of options makes the parser and the help.
"""

from __future__ import annotations

import re
from typing import NamedTuple, TypedDict, cast

from beluga_nb.errors import RequestError, UnknownName

COMMANDS = {
    "models": "list the models, their sizes and pictures per request",
    "sizes": "list the size labels and what they are good for",
}

_WORD = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\S+)""")


class Option(NamedTuple):
    """An option: its flags, the argument of `Session.submit` it sets, and its line of help."""

    flags: tuple[str, ...]
    name: str
    metavar: str
    help: str


OPTIONS = (
    Option(("-m", "--model"), "model", "ID", "the model; %beluga models lists them"),
    Option(("-s", "--size"), "size", "SIZE", "a label such as 16:9, auto, or pixels such as 1024x1024"),
    Option(("-n",), "n", "N", "how many pictures"),
    Option(("-q", "--quality"), "quality", "Q", "standard or hd"),
    Option(("-o", "--output"), "output", "NAME", "the variable that gets the result"),
    Option(("--take",), "take", "LABEL", "another sampling of the same request"),
    Option(("--mode",), "mode", "MODE", "auto, replay, refresh or off: may the store answer?"),
    Option(("--yes",), "yes", "", "do not ask before more than 10 new pictures"),
    Option(("--insist",), "insist", "", "send a model id that the catalogue does not know"),
    Option(("--help",), "help", "", "show this"),
)

_BY_FLAG = {flag: option for option in OPTIONS for flag in option.flags}


class Options(TypedDict, total=False):
    """The arguments of `Session.submit` that a line can set."""

    model: str
    size: str
    n: int
    quality: str
    take: str
    mode: str
    yes: bool
    insist: bool


class Call(NamedTuple):
    """What a line or cell asks for: a command, help, or a prompt with options."""

    prompt: str = ""
    command: str | None = None
    output: str | None = None
    help: bool = False
    options: Options = Options()


def parse(line: str, cell: str | None = None) -> Call:
    """Return what is asked for; raise `RequestError` for an option that is not understood.

    >>> parse("-s 16:9 a cat -- really?").prompt
    'a cat -- really?'
    """
    options, rest = _options(line)
    output = options.pop("output", None)
    if options.pop("help", False):
        return Call(help=True)
    if output is not None and not (isinstance(output, str) and output.isidentifier()):
        raise RequestError(f"'{output}' is no name for a variable.", "For example: -o whale")
    prompt = _prompt(rest, cell)
    command = prompt.strip() if cell is None and not options and rest == line.strip() else None
    if command in COMMANDS or command == "":
        return Call(command=command)
    return Call(prompt=prompt, output=output, options=cast(Options, options))


def _options(line: str) -> tuple[dict[str, object], str]:
    options: dict[str, object] = {}
    rest = line.strip()
    while rest.startswith("-"):
        match = _WORD.match(rest)
        assert match is not None
        word, after = match[1], rest[match.end() :]
        if word == "--":
            return options, after.removeprefix(" ")
        flag, equals, value = word.partition("=")
        option = _option(flag)
        if option.metavar and not equals:
            value, after = _value(option, after)
        options[option.name] = _converted(option, value) if option.metavar else True
        rest = after.lstrip()
    return options, rest


def _option(flag: str) -> Option:
    try:
        return _BY_FLAG[flag]
    except KeyError:
        raise UnknownName(
            "option",
            flag,
            _BY_FLAG,
            hint="%beluga --help lists them; put -- before a prompt that starts with a dash.",
        ) from None


def _value(option: Option, after: str) -> tuple[str, str]:
    match = _WORD.match(after)
    if match is None:
        raise RequestError(f"{option.flags[-1]} has no value.", f"It takes {option.metavar}: {option.help}.")
    return match[1], after[match.end() :]


def _converted(option: Option, value: str) -> str | int:
    if value[:1] in {'"', "'"} and value[-1:] == value[:1]:
        value = value[1:-1]
    if option.name != "n":
        return value
    try:
        return int(value)
    except ValueError:
        raise RequestError(f"-n is '{value}'.", "Give a whole number, for example -n 4.") from None


def _prompt(rest: str, cell: str | None) -> str:
    if cell is None or not cell.strip():
        return rest
    if rest:
        raise RequestError(
            f"'{rest[:60]}' on the first line of the cell is no option.",
            "In a cell the lines below are the prompt.",
        )
    return cell.removesuffix("\n")


def help_text() -> str:
    """Return the help of `%beluga`, written from the table of options."""
    flags = [", ".join(option.flags) + (f" {option.metavar}" if option.metavar else "") for option in OPTIONS]
    width = max(len(each) for each in flags)
    options = [f"  {each.ljust(width)}  {option.help}" for each, option in zip(flags, OPTIONS, strict=True)]
    commands = [f"  %beluga {name.ljust(width - 8)}  {what}" for name, what in COMMANDS.items()]
    return "\n".join([*_USAGE, "", "Options, before the prompt:", *options, "", "Commands:", *commands])


_USAGE = (
    "%beluga [options] prompt       a picture of the prompt, which goes to the end of the line",
    "%%beluga [options]             a picture of the prompt in the lines below",
    "result = %beluga [options] …   the same, kept and not shown",
    "",
    "A prompt is sent as it is typed; only {{name}} is replaced, by the variable of that name.",
    "The result is a sequence of PIL images with .pictures, .recipe and .save().",
)

EXAMPLES = (
    "%beluga a red bicycle on a beach",
    "%beluga -m flux-2.0 -s 16:9 -o night a skyline at night",
    "fox = %beluga -n 4 a fox in the snow",
)
"""What the bare `%beluga` shows."""
