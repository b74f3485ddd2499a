"""The grammar of `%beluga`: options first, then the prompt to the end, untouched.

One table of options and one of commands make the parser and the help.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, TypedDict, cast

from beluga_nb.errors import RequestError, UnknownName

_ESCAPED = re.compile(r"""\\(["'\\])""")
_WORD = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|\S+)""")


_BEFORE_OPTIONS = re.compile(r"(?:(?!-)\S+(?:\s+(?!-)\S+)*)?")


class Option(NamedTuple):
    """An option: its flags, the argument it sets, what its value is called, and its line of help."""

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
    Option(("--sample",), "sample", "N", "the number of the first picture within its take, from 0 on"),
    Option(("--raw",), "raw", "", "leave {{name}} in the prompt as it is"),
    Option(("--mode",), "mode", "MODE", "auto, replay, refresh or off: may the store answer?"),
    Option(("--dry-run",), "dry_run", "", "show what would be sent and what it would cost, and send nothing"),
    Option(("--yes",), "yes", "", "do not ask before more than 10 new pictures"),
    Option(("--insist",), "insist", "", "send a model id that the catalogue does not know"),
    Option(("--help",), "help", "", "show this"),
)


class Words(NamedTuple):
    """What a command may be followed by: how it is called, what the whole of it looks like, and each word."""

    metavar: str
    whole: re.Pattern[str]
    each: re.Pattern[str]


_RUN = r"(?=[0-9a-f-]*\d)[0-9a-f][0-9a-f-]{3,63}"
_RUNS = Words("[RUN …]", re.compile(rf"{_RUN}(\s+{_RUN})*"), re.compile(_RUN))
_NOTEBOOKS = Words(
    "[NOTEBOOK …]", re.compile(r""".*\.ipynb["']?""", re.DOTALL), re.compile(r".*\.ipynb", re.DOTALL)
)
_ZIP = Words("FILE.zip", re.compile(r""".*\.zip["']?""", re.DOTALL), re.compile(r".*\.zip", re.DOTALL))


class Command(NamedTuple):
    """A command: its line of help, and its own options, which set arguments of `Session.serve` and such.

    One with a `file` takes the rest of the line for the name of a picture, if it ends like one. One with
    `words` takes these, before its options or after. Where anything else follows its name, it is a prompt.
    """

    help: str
    options: tuple[Option, ...] = ()
    words: Words | None = None
    file: str = ""


COMMANDS = {
    "status": Command("who would answer, where pictures are kept, which calls have no known end"),
    "models": Command("list the models, their sizes and pictures per request"),
    "sizes": Command("list the size labels and what they are good for"),
    "open": Command("show a saved picture, and put the cell that asks for it into the notebook", file="FILE"),
    "login": Command(
        "type the key unseen, for this kernel",
        (Option(("--keep",), "keep", "", "and keep it in the system's keyring"),),
    ),
    "serve": Command(
        "serve the image API on this machine, for any OpenAI client",
        (
            Option(("--port",), "port", "N", "on this port, instead of a free one"),
            Option(("--stop",), "stop", "", "end it"),
        ),
    ),
    "verify": Command("check that recordings are whole, and that notebooks show them", words=_NOTEBOOKS),
    "history": Command(
        "list what is recorded, the newest first; or bring a run back",
        (
            Option(("--text",), "text", "TEXT", "only prompts with this text"),
            Option(("--model",), "model", "ID", "only this model"),
            Option(("--since",), "since", "DATE", "from this day on, as in 2026-11-22 (UTC)"),
            Option(("--until",), "until", "DATE", "up to this day"),
            Option(("--limit",), "limit", "N", "at most so many; 50 unless given"),
            Option(("-o", "--output"), "output", "NAME", "the variable that gets the run's result"),
        ),
        _RUNS,
    ),
    "forget": Command(
        "remove recordings: those that all of this is true of",
        (
            Option(("--older",), "older", "AGE", "older than this, as in 90d or 12w"),
            Option(("--prompt",), "prompt", "TEXT", "with this text in the prompt"),
            Option(("--all",), "everything", "", "everything that is recorded"),
            Option(("--yes",), "yes", "", "do not ask"),
        ),
        _RUNS,
    ),
    "pack": Command(
        "a notebook and the recordings that it needs, as one zip",
        (Option(("-o", "--output"), "to", "FILE", "the zip; beside the notebook unless given"),),
        _NOTEBOOKS._replace(metavar="NOTEBOOK"),
    ),
    "unpack": Command(
        "… and back, every byte checked",
        (Option(("--into",), "into", "FOLDER", "the current folder unless given"),),
        _ZIP,
    ),
}

_WHOLE_NUMBERS = {"n", "port", "sample", "limit"}
_PICTURE = re.compile(r"""(["']?)(\S.*\.(?:png|jpe?g|webp)|\S*[/\\])\1""", re.IGNORECASE)


class Options(TypedDict, total=False):
    """The arguments of `Session.submit` that a line can set."""

    model: str
    size: str
    n: int
    quality: str
    take: str
    sample: int
    mode: str
    yes: bool
    insist: bool


Said = dict[str, Any]
"""What the options of a command say, by the arguments that they set."""


class Call(NamedTuple):
    """What a line or cell asks for: a command with its options, help, or a prompt with options."""

    prompt: str = ""
    command: str | None = None
    words: tuple[str, ...] = ()
    said: Said = Said()
    file: str = ""
    output: str | None = None
    help: bool = False
    raw: bool = False
    dry_run: bool = False
    options: Options = Options()


def parse(line: str, cell: str | None = None) -> Call:
    """Return what is asked for; raise `RequestError` for an option that is not understood.

    >>> parse("-s 16:9 a cat -- really?").prompt
    'a cat -- really?'
    """
    if cell is None and (command := _command(line.strip())) is not None:
        return command
    options, rest = _options(line.strip(), OPTIONS)
    output = options.pop("output", None)
    if options.pop("help", False):
        return Call(help=True)
    raw, dry_run = bool(options.pop("raw", False)), bool(options.pop("dry_run", False))
    return Call(
        prompt=_prompt(rest, cell),
        output=cast("str | None", output),
        raw=raw,
        dry_run=dry_run,
        options=cast(Options, options),
    )


def _command(line: str) -> Call | None:
    name, _, after = line.partition(" ")
    if not line:
        return Call(command="")
    if name in COMMANDS and COMMANDS[name].file:
        picture = _PICTURE.fullmatch(after.strip())
        return picture and Call(command=name, file=picture[2])
    if name not in COMMANDS or not _fits(after.strip(), COMMANDS[name]):
        return None
    words, rest = _words(name, after.strip())
    options, rest = _options(rest, COMMANDS[name].options)
    more, rest = _words(name, rest)
    if rest:
        raise _no_option(name, rest)
    output = cast("str | None", options.pop("output", None))
    return Call(command=name, words=(*words, *more), output=output, said=options)


def _fits(text: str, command: Command) -> bool:
    words = _BEFORE_OPTIONS.match(text)
    if words and words[0]:
        return command.words is not None and command.words.whole.fullmatch(words[0]) is not None
    flags = {flag for option in command.options for flag in option.flags}
    long = bool(command.options) and re.match(r"--\w", text) is not None
    return not text or long or text.partition(" ")[0] in flags


def _words(name: str, text: str) -> tuple[list[str], str]:
    kind, found = COMMANDS[name].words, []
    while kind and text and not text.startswith("-"):
        match = _WORD.match(text)
        assert match is not None
        word = _unquoted(match[1])
        if not kind.each.fullmatch(word):
            raise _no_option(name, text)
        found.append(word)
        text = text[match.end() :].lstrip()
    return found, text


def _no_option(name: str, text: str) -> RequestError:
    quoted = "" if COMMANDS[name].words is None else " Names with blanks stand in quotes."
    return RequestError(
        f"'{text[:60]}' is no option of %beluga {name}.",
        f"For a picture of it all: %beluga -- {name} …{quoted}",
    )


def _options(rest: str, table: Sequence[Option]) -> tuple[dict[str, object], str]:
    options: dict[str, object] = {}
    while rest.startswith("-"):
        match = _WORD.match(rest)
        assert match is not None
        word, after = match[1], rest[match.end() :]
        if word == "--":
            return options, after.removeprefix(" ")
        flag, equals, value = word.partition("=")
        option = _option(flag, table)
        if option.metavar and not equals:
            value, after = _value(option, after)
        options[option.name] = _converted(option, value) if option.metavar else True
        rest = after.lstrip()
    return options, rest


def _option(flag: str, table: Sequence[Option]) -> Option:
    by_flag = {each: option for option in table for each in option.flags}
    try:
        return by_flag[flag]
    except KeyError:
        raise UnknownName(
            "option",
            flag,
            by_flag,
            hint="%beluga --help lists them; put -- before a prompt that starts with a dash.",
        ) from None


def _value(option: Option, after: str) -> tuple[str, str]:
    match = _WORD.match(after)
    if match is None:
        raise RequestError(f"{option.flags[-1]} has no value.", f"It takes {option.metavar}: {option.help}.")
    return match[1], after[match.end() :]


def _converted(option: Option, value: str) -> str | int:
    value = _unquoted(value)
    if option.name == "output" and not value.isidentifier():
        raise RequestError(f"'{value}' is no name for a variable.", "For example: -o whale")
    if option.name not in _WHOLE_NUMBERS:
        return value
    try:
        return int(value)
    except ValueError:
        flag = option.flags[0]
        raise RequestError(f"{flag} is '{value}'.", f"Give a whole number, for example {flag} 4.") from None


def _unquoted(value: str) -> str:
    quoted = value[:1] in {'"', "'"} and value[-1:] == value[:1]
    return _ESCAPED.sub(r"\1", value[1:-1]) if quoted else value


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
    """Return the help of `%beluga`, written from the tables of options and commands."""
    options, commands = [(_flags(option), option.help) for option in OPTIONS], list(_command_lines())
    width = max(len(what) for what, _ in [*options, *commands])
    lines = [[f"  {what.ljust(width)}  {told}" for what, told in each] for each in (options, commands)]
    return "\n".join([*_USAGE, "", "Options, before the prompt:", *lines[0], "", "Commands:", *lines[1]])


def _flags(option: Option) -> str:
    return ", ".join(option.flags) + (f" {option.metavar}" if option.metavar else "")


def _command_lines() -> Iterator[tuple[str, str]]:
    for name, command in COMMANDS.items():
        takes = command.words.metavar if command.words else command.file
        yield f"%beluga {name} {takes}".rstrip(), command.help
        for option in command.options:
            yield f"%beluga {name} {_flags(option)}", f"… {option.help}"


_USAGE = (
    "%beluga [options] prompt       a picture of the prompt, which goes to the end of the line",
    "%%beluga [options]             a picture of the prompt in the lines below",
    "result = %beluga [options] …   the same, kept and not shown",
    "",
    "A prompt is sent as it is typed; only {{name}} is replaced, by the variable of that name.",
    "The result is a sequence of PIL images with .pictures, .recipe and .save().",
    "A line is a command only if nothing else follows: %beluga open sea at night is a prompt.",
)

EXAMPLES = (
    "%beluga a red bicycle on a beach",
    "%beluga -m flux-2.0 -s 16:9 -o night a skyline at night",
    "fox = %beluga -n 4 a fox in the snow",
)
"""What the bare `%beluga` shows."""
