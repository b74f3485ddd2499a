"""What `%beluga` understands: one table of options and one of commands.

The parser, the help, the completion and the README's reference are all read off them.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator
from typing import NamedTuple


class Option(NamedTuple):
    """An option: its flags, the argument it sets, what its value is called, and its line of help.

    `kind` says what the value is, for the completion: a model, a size, a variable … One that may stand
    several times counts as `many`.
    """

    flags: tuple[str, ...]
    name: str
    metavar: str
    help: str
    kind: str = ""
    many: bool = False


_MODEL = Option(
    ("-m", "--model"), "model", "ID", "the model, or an alias; %beluga models lists them", "model"
)
_SIZE = Option(
    ("-s", "--size"), "size", "SIZE", "a label such as 16:9, auto, or pixels such as 1024x1024", "size"
)
_COUNT = Option(("-n",), "n", "N", "how many pictures", "count")
_QUALITY = Option(("-q", "--quality"), "quality", "Q", "standard or hd", "quality")
_OUTPUT = Option(("-o", "--output"), "output", "NAME", "the variable that gets the result", "variable")
_YES = Option(("--yes",), "assume_yes", "", "do not ask")
_DEBUG = Option(("--debug",), "debug", "", "show the whole trace of an error")

OPTIONS = (
    _MODEL,
    _SIZE,
    _COUNT,
    _QUALITY,
    _OUTPUT,
    Option(
        ("--endpoint",),
        "endpoint",
        "NAME",
        "a server that beluga.toml names; -m lab:sd says both",
        "endpoint",
    ),
    Option(("--take",), "take", "LABEL", "another sampling of the same request"),
    Option(("--sample",), "sample", "N", "the number of the first picture within its take, from 0 on"),
    Option(("--raw",), "raw", "", "leave {{name}} as it is, in the prompt and in options"),
    Option(("--mode",), "mode", "MODE", "auto, replay, refresh or off: may the store answer?", "mode"),
    Option(
        ("--embed",),
        "embed",
        "WHAT",
        "what the notebook holds of it: preview, original, link or none",
        "embed",
    ),
    Option(("--dry-run",), "dry_run", "", "show what would be sent and what it would cost, and send nothing"),
    Option(("--yes",), "assume_yes", "", "do not ask before more than 10 new pictures"),
    Option(("--insist",), "allow_unknown_model", "", "send a model id that the catalogue does not know"),
    Option(("--quiet",), "quiet", "", "show nothing; on a line, a ; at its end does the same"),
    _DEBUG,
    Option(("--help",), "help", "", "show this"),
)

ALIASED = (_MODEL, _SIZE, _QUALITY, _COUNT)
"""What an alias can stand for."""


class Words(NamedTuple):
    """What words may follow a command: their metavar, a test of the whole text, and one of each word."""

    metavar: str
    whole: Callable[[str], bool]
    each: Callable[[str], bool]


class Rest(NamedTuple):
    """What the rest of a command's line may be, as one piece: its metavar, and a test of the text."""

    metavar: str
    fits: Callable[[str], bool]
    needed: bool = False


_RUN = re.compile(r"[0-9a-f][0-9a-f-]{3,63}")


def _is_run(word: str) -> bool:
    return _RUN.fullmatch(word) is not None and any(sign.isdecimal() for sign in word)


def _are_runs(text: str) -> bool:
    return all(map(_is_run, text.split()))


def _ends(*endings: str) -> Callable[[str], bool]:
    return lambda text: text.endswith(endings)


_RUNS = Words("[RUN …]", _are_runs, _is_run)
_NOTEBOOKS = Words("[NOTEBOOK …]", _ends(".ipynb", '.ipynb"', ".ipynb'"), _ends(".ipynb"))
_ZIP = Words("FILE.zip", _ends(".zip", '.zip"', ".zip'"), _ends(".zip"))


def _is_picture_name(text: str) -> bool:
    quoted = len(text) > 1 and text[0] in "\"'" and text[0] == text[-1]
    name = text[1:-1] if quoted else text
    if name[1:].lower().endswith((".png", ".jpg", ".jpeg", ".webp")):
        return not name[0].isspace()
    return name.endswith(("/", "\\")) and not any(map(str.isspace, name))


_PICTURE = Rest("FILE", _is_picture_name, needed=True)
_PAIR = re.compile(r"""(\w+)=("[^"]*"(?!\S)|'[^']*'(?!\S)|\S*)\s*""")


def pairs(text: str) -> list[tuple[str, str]]:
    """Return each NAME=VALUE of a text that holds nothing else; of any other text, nothing.

    >>> pairs("mode=replay store='my pictures'")
    [('mode', 'replay'), ('store', "'my pictures'")]
    """
    found, place = [], 0
    while match := _PAIR.match(text, place):
        found.append((match[1], match[2]))
        place = match.end()
    return found if place == len(text) else []


SETTINGS = (
    *("base_url", "mode", "store", "model", "embed", "response_format", "bridge", "timeout"),
    *(
        "connect_timeout",
        "max_in_flight",
        "max_images",
        "max_cost",
        "budget",
        "prices",
        "faults",
        "aliases",
        "endpoints",
    ),
)
"""The names of the settings: one alone asks what it is, and is no prompt."""

_NAMED = re.compile(r"[A-Za-z][\w.-]*=(?:\s*-.*)?")
_SETTINGS = Rest("[NAME=VALUE …]", lambda text: text in SETTINGS or bool(pairs(text)))
_ALIAS = Rest("[NAME=OPTIONS]", lambda text: _NAMED.fullmatch(text) is not None)


class Command(NamedTuple):
    """A command: its line of help, and its own options, which set arguments of the session's methods.

    One with a `prompt` takes it after its options: on the line, or as the cell below it.
    One with a `rest` takes the rest of the line as one piece, if it looks like that. One with `words` takes
    these, before its options or after. Where anything else follows its name, it is a prompt.
    """

    help: str
    options: tuple[Option, ...] = ()
    words: Words | None = None
    rest: Rest | None = None
    prompt: bool = False


_LIMIT = Option(("--limit",), "limit", "N", "at most so many; 50 unless given")

COMMANDS = {
    "status": Command("who would answer, where pictures are kept, what this session spent and saved"),
    "models": Command(
        "list the models, their sizes and pictures per request; with a key, those of the service too",
        (
            Option(("--search",), "search", "TEXT", "only with this text in id, name or provider"),
            Option(("--provider",), "provider", "NAME", "only of this provider", "provider"),
            Option(("-s", "--size"), "size", "LABEL", "only those that have this size", "size"),
            Option(
                ("--endpoint",), "endpoint", "NAME", "ask this server of beluga.toml what it has", "endpoint"
            ),
        ),
    ),
    "sizes": Command(
        "list the size labels and what they are good for",
        (Option(("-m", "--model"), "model", "ID", "only those of this model", "model"),),
    ),
    "compare": Command(
        "a grid of pictures, for every combination of the axes; whole prompts stand between lines of ---",
        (
            _MODEL._replace(metavar="ID,…", help="the models, or aliases"),
            _SIZE._replace(metavar="SIZE,…", help="the sizes"),
            _QUALITY._replace(metavar="Q,…", help="the qualities"),
            Option(("--take",), "take", "LABEL,…", "the takes"),
            _COUNT._replace(help="how many pictures of each combination"),
            Option(
                ("--axis",),
                "axes",
                "NAME=A,B",
                'fills {{name}}: red,"a, b",label:"a text"; or @variable, @file.csv with rows',
                "axis",
                many=True,
            ),
            Option(
                ("--replace",), "replace", "TERM=A,B", "puts others in place of a term too", "axis", many=True
            ),
            Option(("--pairs",), "pairs", "NAME,NAME", "these axes advance together", many=True),
            Option(("--sample",), "sample", "N", "so many combinations of all, drawn by the seed"),
            Option(("--seed",), "seed", "N", "the seed, for the same ones again"),
            Option(("--max-images",), "max_images", "N", "at most so many new pictures, or nothing is sent"),
            Option(("--max-cost",), "max_cost", "AMOUNT", "… and at most so much, by your own prices"),
            Option(("--mode",), "mode", "MODE", "auto, replay, refresh or off", "mode"),
            _OUTPUT._replace(help="the variable that gets the grid"),
            Option(("--dry-run",), "dry_run", "", "show the plan, and send nothing"),
            Option(("--yes",), "assume_yes", "", "do not ask before more than 10 new pictures"),
            Option(
                ("--insist",), "allow_unknown_model", "", "send a model id that the catalogue does not know"
            ),
            Option(("--quiet",), "quiet", "", "show nothing"),
            _DEBUG,
        ),
        prompt=True,
    ),
    "config": Command("show the settings, or set them for this kernel; NAME= takes one back", rest=_SETTINGS),
    "alias": Command("list the aliases, or set one: alias poster=-m flux-2.0 -s 3:4", rest=_ALIAS),
    "login": Command(
        "type the key unseen, for this kernel",
        (Option(("--keep",), "keep", "", "and keep it in the system's keyring"),),
    ),
    "last": Command("show the newest result again", (_OUTPUT,)),
    "open": Command(
        "show a saved picture, and put the cell that asks for it into the notebook", rest=_PICTURE
    ),
    "history": Command(
        "list what is recorded, the newest first; or bring a run back",
        (
            Option(("--text",), "text", "TEXT", "only prompts with this text"),
            Option(("--model",), "model", "ID", "only this model", "model"),
            Option(("--since",), "since", "DATE", "from this day on, as in 2026-11-22 (UTC)"),
            Option(("--until",), "until", "DATE", "up to this day"),
            _LIMIT,
            _OUTPUT._replace(help="the variable that gets the run's result"),
        ),
        _RUNS,
    ),
    "verify": Command("check that recordings are whole, and that notebooks show them", words=_NOTEBOOKS),
    "weight": Command(
        "what the pictures in notebooks weigh: in these, or all of the folder", words=_NOTEBOOKS
    ),
    "forget": Command(
        "remove recordings: those that all of this is true of",
        (
            Option(("--older",), "older", "AGE", "older than this, as in 90d or 12w"),
            Option(("--prompt",), "prompt", "TEXT", "with this text in the prompt"),
            Option(("--all",), "everything", "", "everything that is recorded"),
            _YES,
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
    "serve": Command(
        "serve the image API on this machine, for any OpenAI client",
        (
            Option(("--port",), "port", "N", "on this port, instead of a free one"),
            Option(("--stop",), "stop", "", "end it"),
        ),
    ),
    "panel": Command("the workbench: all of this for those who would rather click"),
    "cheatsheet": Command("the whole kit on one card"),
    "help": Command("every option and command"),
}

_USAGE = (
    "%beluga [options] prompt       a picture of the prompt, which goes to the end of the line",
    "%%beluga [options]             a picture of the prompt in the lines below",
    "result = %beluga [options] …   the same, kept and not shown",
    "%%beluga compare [options]     a grid of pictures of the prompts in the lines below",
    "",
    "A prompt is sent as it is typed; only {{name}} is replaced, by the variable of that name.",
    "The result is a sequence of PIL images with .pictures, .recipe and .save().",
    "A line is a command only if nothing else follows: %beluga open sea at night is a prompt.",
)

HELP_WIDTH = 104
"""Characters of a line of the help: what fits into a notebook."""

EXAMPLES = (
    "%beluga a red bicycle on a beach",
    "%beluga -m flux-2.0 -s 16:9 -o night a skyline at night",
    "fox = %beluga -n 4 a fox in the snow",
)
"""What the bare `%beluga` shows."""


def help_text() -> str:
    """Return the help of `%beluga`."""
    options, commands = [(_flags(option), option.help) for option in OPTIONS], list(_command_lines())
    width = max(len(what) for what, _ in [*options, *commands])
    lines = [
        [line for what, told in each for line in _help_lines(what, told, width)]
        for each in (options, commands)
    ]
    return "\n".join([*_USAGE, "", "Options, before the prompt:", *lines[0], "", "Commands:", *lines[1]])


def _help_lines(what: str, told: str, width: int) -> list[str]:
    # Notebooks break longer lines anywhere, in the middle of words.
    first, *others = textwrap.wrap(told, HELP_WIDTH - width - 4, break_on_hyphens=False)
    return [f"  {what.ljust(width)}  {first}", *(f"  {'':{width}}  {line}" for line in others)]


def reference() -> str:
    """Return the same as Markdown: a table of the options and one of the commands."""
    options = [(_code(_flags(option)), option.help) for option in OPTIONS]
    commands = [(_code(what), told) for what, told in _command_lines()]
    return f"{_markdown('option', options)}\n\n{_markdown('command', commands)}"


def _flags(option: Option) -> str:
    return ", ".join(option.flags) + (f" {option.metavar}" if option.metavar else "")


def _command_lines() -> Iterator[tuple[str, str]]:
    for name, command in COMMANDS.items():
        takes = command.words or command.rest
        metavar = takes.metavar if takes else "[options] prompt" if command.prompt else ""
        sign = "%%" if command.prompt else "%"
        yield f"{sign}beluga {name} {metavar}".rstrip(), command.help
        for option in command.options:
            told = option.help if option.help.startswith("…") else f"… {option.help}"
            yield f"{sign}beluga {name} {_flags(option)}", told


def _markdown(head: str, rows: list[tuple[str, str]]) -> str:
    lines = (f"| {what} | {told.replace('{{', '`{{').replace('}}', '}}`')} |" for what, told in rows)
    return "\n".join([f"| {head} | what it does |", "|---|---|", *lines])


def _code(text: str) -> str:
    return f"`{text}`"
