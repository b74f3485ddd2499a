"""Every command and option, declared once.

`%beluga` and `%%beluga`, `python -m beluga_nb`, their help, the completion, the cheatsheet and the README's
reference are all made from these tables. A new command is one entry in `COMMANDS` and the function it names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

from beluga_nb.commands.arguments import WholeNumber, port, served_key
from beluga_nb.hints import Surface

NOTEBOOK = frozenset({Surface.MAGIC})
TERMINAL = frozenset({Surface.TERMINAL})
BOTH = NOTEBOOK | TERMINAL

Surfaces = frozenset[Surface]
"""The surfaces that have a command or an argument: `%beluga`, `python -m beluga_nb`."""

SERVED_PORT = 8787
CONNECTIONS = 256
"""Connections at a time: a whole class on one Hub, where S45 has 32 for one notebook."""

FIRST_NOTEBOOK = "01-quickstart"


class Option(NamedTuple):
    """An option: its flags, the argument it sets, what its value is called, and its line of help.

    Without a `metavar` it is a switch. `type` makes the value from its text, or raises `ValueError` with what
    is wrong and perhaps what to do. `kind` is what the value is, for the completion: a model, a size, a
    variable … One that may stand several times counts as `many`. In a terminal a `positional` one stands
    without its flag, one without help is hidden, and `default` is the value of one that is not given.
    """

    flags: tuple[str, ...]
    name: str
    metavar: str
    help: str
    kind: str = ""
    many: bool = False
    type: Callable[[str], object] = str
    on: Surfaces = BOTH
    positional: bool = False
    default: object = None


class Words(NamedTuple):
    """The words that may follow a command: what they are called, and a test of one and of the whole text.

    `endings` are those of file names, for the completion.
    """

    metavar: str
    whole: Callable[[str], bool]
    each: Callable[[str], bool]
    help: str = ""
    endings: tuple[str, ...] = ()
    on: Surfaces = BOTH

    @property
    def is_one(self) -> bool:
        """Whether exactly one word is needed."""
        return not self.metavar.startswith("[")


class Rest(NamedTuple):
    """What the rest of a command's line may be, as one piece: what it is called, and a test of the text.

    `kind` is how it is read: "setting", "alias" or "file".
    """

    metavar: str
    kind: str
    fits: Callable[[str], bool]
    needed: bool = False
    endings: tuple[str, ...] = ()


Function = Callable[..., Any]


class Command(NamedTuple):
    """A command: its line of help, its arguments, and the function that runs it.

    `run` is called with a session and a `CommandCall`, and returns what is shown: a text, a bundle, a result,
    or None. It is written as "module:name", so that it is imported only when it is used. In a terminal a
    `program` runs instead, and gets the words of the command line; `help_in_terminal` replaces a line of help
    that does not fit there, and `about` follows it. `examples` are lines of the cheatsheet and their effect.

    A command with a `prompt` takes it after its options: on the line, or as the cell below it. Its line is a
    `Comparison` (magics/parse.py), which needs no `run`.
    One with a `rest` takes the rest of the line as one piece, if it looks like that. One with `words` takes
    these, before its options or after. Where anything else follows its name, it is a prompt.
    """

    help: str
    options: tuple[Option, ...] = ()
    words: Words | None = None
    rest: Rest | None = None
    prompt: bool = False
    on: Surfaces = NOTEBOOK
    run: str | Function = ""
    program: str = ""
    help_in_terminal: str = ""
    about: str = ""
    examples: tuple[tuple[str, str], ...] = ()


class CommandCall(NamedTuple):
    """A command as it was typed: its words, its options by the arguments that they set, and `-o`."""

    name: str
    words: tuple[str, ...]
    options: dict[str, Any]
    output: str | None = None


def function(reference: str | Function) -> Function:
    """Return the function that "module:name" refers to, or the function itself."""
    if not isinstance(reference, str):
        return reference
    module, _, name = reference.partition(":")
    found: Function = getattr(import_module(module), name)
    return found


# --- options

_MODEL = Option(
    ("-m", "--model"), "model", "ID", "the model, or an alias; %beluga models lists them", "model"
)
_SIZE = Option(
    ("-s", "--size"), "size", "SIZE", "a label such as 16:9, auto, or pixels such as 1024x1024", "size"
)
_COUNT = Option(("-n",), "n", "N", "how many pictures", "count", type=int)
_QUALITY = Option(("-q", "--quality"), "quality", "Q", "standard or hd", "quality")
_OUTPUT = Option(
    ("-o", "--output"), "output", "NAME", "the variable that gets the result", "variable", on=NOTEBOOK
)
_YES = Option(("--yes",), "assume_yes", "", "do not ask before more than 10 new pictures")
_INSIST = Option(("--insist",), "allow_unknown_model", "", "send a model id that the catalogue does not know")
_QUIET = Option(("--quiet",), "quiet", "", "show nothing")
_DEBUG = Option(("--debug",), "debug", "", "show the whole trace of an error")
_ENDPOINT = Option(
    ("--endpoint",), "endpoint", "NAME", "a server that beluga.toml names; -m lab:sd says both", "endpoint"
)

OPTIONS = (
    _MODEL,
    _SIZE,
    _COUNT,
    _QUALITY,
    _OUTPUT,
    _ENDPOINT,
    Option(("--take",), "take", "LABEL", "another sampling of the same request"),
    Option(
        ("--sample",),
        "sample",
        "N",
        "the number of the first picture within its take, from 0 on",
        type=int,
    ),
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
    _YES,
    _INSIST,
    _QUIET._replace(help="show nothing; on a line, a ; at its end does the same"),
    _DEBUG,
    Option(("--help",), "help", "", "show this"),
)
"""The options of a prompt."""

ALIASED = (_MODEL, _SIZE, _QUALITY, _COUNT)
"""What an alias can stand for."""


# --- words, and what takes the rest of a line

_RUN = re.compile(r"[0-9a-f][0-9a-f-]{3,63}")


def _is_run(word: str) -> bool:
    # A run's name has a digit; words such as "cafe" begin a prompt.
    return _RUN.fullmatch(word) is not None and any(sign.isdecimal() for sign in word)


def _are_runs(text: str) -> bool:
    return all(map(_is_run, text.split()))


def _files(metavar: str, ending: str, help: str = "") -> Words:  # noqa: A002  argparse's own word
    return Words(
        metavar,
        lambda text: text.endswith((ending, f'{ending}"', f"{ending}'")),
        lambda word: word.endswith(ending),
        help,
        (ending,),
    )


_RUNS = Words("[RUN …]", _are_runs, _is_run, "of this name; history lists them")

_PICTURES = (".png", ".jpg", ".jpeg", ".webp")


def is_picture_name(text: str) -> bool:
    """Whether a text is the name of a picture's file, or of a folder: "whale.png", "my pictures/"."""
    quoted = len(text) > 1 and text[0] in "\"'" and text[0] == text[-1]
    name = text[1:-1] if quoted else text
    if name[1:].lower().endswith(_PICTURES):
        return not name[0].isspace()
    return name.endswith(("/", "\\")) and not any(map(str.isspace, name))


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


SETTINGS = {
    "base_url": "Where the API is.",
    "mode": "May the store answer: auto, replay, refresh or off.",
    "store": "The folder of recordings.",
    "model": "The model where none is named.",
    "embed": "What a notebook holds of its pictures: preview, original, link or none.",
    "response_format": "How pictures are asked for: b64_json or url.",
    "bridge": "Where coroutines run: thread, or nested (nest_asyncio).",
    "timeout": "Seconds for a whole call, downloads included.",
    "connect_timeout": "Seconds for making a connection.",
    "max_in_flight": "How many requests may be on their way at once.",
    "max_images": "How many pictures one session may have made for a key.",
    "max_cost": "How much money one session may spend, by your own prices.",
    "budget": 'Who shares these two caps: "session", or all who use its "store".',
    "prices": "Your own prices, with their date and currency.",
    "faults": "Whether a prompt may ask the embedded BelugAPI for a failure.",
    "aliases": "Names that stand for a model and what is asked of it.",
    "endpoints": "Other servers by name: base_url, dialect, model, timeout.",
}
"""The settings, each with its line of help; `config/settings.py` has their types and defaults."""

# A dash after the equals sign: "alias poster=a cat" is a prompt.
_NAMED = re.compile(r"[A-Za-z][\w.-]*=(?:\s*-.*)?")


# --- commands

COMMANDS: dict[str, Command] = {
    "lab": Command(
        "JupyterLab on the quickstart, or another of the notebooks",
        (
            Option(
                (),
                "folder",
                "FOLDER",
                "copy the notebooks and their recordings here; in a clone they are used where they are",
                positional=True,
            ),
            Option(("--notebook",), "notebook", "NAME", "another one: 02, or a name", default=FIRST_NOTEBOOK),
            Option(("--port",), "port", "N", "on this port, instead of a free one", type=port),
            Option(("--no-browser",), "no_browser", "", "print the address, and open nothing"),
        ),
        on=TERMINAL,
        program="beluga_nb.terminal.lab:main",
        about="Ctrl-C ends it. What stands after -- goes to JupyterLab as it is: -- --ip=0.0.0.0",
    ),
    "status": Command(
        "who would answer, where pictures are kept, what this session spent and saved",
        run="beluga_nb.terminal.actions:status",
    ),
    "models": Command(
        "list the models, their sizes and pictures per request; with a key, those of the service too",
        (
            Option(("--search",), "search", "TEXT", "only with this text in id, name or provider"),
            Option(("--provider",), "provider", "NAME", "only of this provider", "provider"),
            Option(("-s", "--size"), "size", "LABEL", "only those that have this size", "size"),
            _ENDPOINT._replace(help="ask this server of beluga.toml what it has"),
        ),
        run="beluga_nb.terminal.actions:models",
        examples=(("%beluga models --search flux", "models; %beluga sizes, their sizes"),),
    ),
    "sizes": Command(
        "list the size labels and what they are good for",
        (_MODEL._replace(help="only those of this model"),),
        run="beluga_nb.terminal.actions:sizes",
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
            Option(("--sample",), "sample", "N", "so many combinations of all, drawn by the seed", type=int),
            Option(("--seed",), "seed", "N", "the seed, for the same ones again", type=int),
            Option(
                ("--max-images",),
                "max_images",
                "N",
                "at most so many new pictures, or nothing is sent",
                type=int,
            ),
            Option(("--max-cost",), "max_cost", "AMOUNT", "… and at most so much, by your own prices"),
            Option(("--mode",), "mode", "MODE", "auto, replay, refresh or off", "mode"),
            _OUTPUT._replace(help="the variable that gets the grid"),
            Option(("--dry-run",), "dry_run", "", "show the plan, and send nothing"),
            _YES,
            _INSIST,
            _QUIET,
            _DEBUG,
        ),
        prompt=True,
        examples=(
            ("%%beluga compare -m flux-2.0,gpt-image-2", "a grid of the prompt in the lines below"),
            (
                "g = %beluga compare --axis animal=cat,fox a {{animal}}",
                "every combination of the axes, kept",
            ),
        ),
    ),
    "config": Command(
        "show the settings, or set them for this kernel; NAME= takes one back",
        rest=Rest("[NAME=VALUE …]", "setting", lambda text: text in SETTINGS or bool(pairs(text))),
        run="beluga_nb.terminal.actions:config",
        examples=(("%beluga config mode=replay", "settings; %beluga status, what holds now"),),
    ),
    "alias": Command(
        "list the aliases, or set one: alias poster=-m flux-2.0 -s 3:4",
        rest=Rest("[NAME=OPTIONS]", "alias", lambda text: _NAMED.fullmatch(text) is not None),
        run="beluga_nb.terminal.actions:alias",
        examples=(("%beluga alias poster=-m flux-2.0 -s 3:4", "then -m poster"),),
    ),
    "login": Command(
        "type the key unseen, for this kernel",
        (Option(("--keep",), "keep", "", "and keep it in the system's keyring"),),
        run="beluga_nb.terminal.actions:login",
    ),
    "last": Command("show the newest result again", (_OUTPUT,), run="beluga_nb.terminal.actions:last"),
    "open": Command(
        "show a saved picture, and put the cell that asks for it into the notebook",
        rest=Rest("FILE", "file", is_picture_name, needed=True, endings=_PICTURES),
        run="beluga_nb.magics.commands:open_picture",
    ),
    "history": Command(
        "list what is recorded, the newest first; or bring a run back",
        (
            Option(("--text",), "text", "TEXT", "only prompts with this text", positional=True),
            Option(("--model",), "model", "ID", "only this model", "model"),
            Option(("--since",), "since", "DATE", "from this day on, as in 2026-11-22 (UTC)"),
            Option(("--until",), "until", "DATE", "up to this day"),
            Option(("--limit",), "limit", "N", "at most so many; 50 unless given", type=WholeNumber(1)),
            _OUTPUT._replace(help="the variable that gets the run's result"),
        ),
        _RUNS._replace(on=NOTEBOOK),
        on=BOTH,
        run="beluga_nb.terminal.actions:history",
        help_in_terminal="list what is recorded, the newest first",
        examples=(("%beluga history --text fox", "what is recorded; %beluga last, the newest"),),
    ),
    "verify": Command(
        "check that recordings are whole, and that notebooks show them",
        words=_files("[NOTEBOOK …]", ".ipynb", "what it shows must be recorded"),
        on=BOTH,
        run="beluga_nb.terminal.actions:verify",
        about="The exit status is 1 where one is not.",
    ),
    "weight": Command(
        "what the pictures in notebooks weigh: in these, or all of the folder",
        words=_files("[NOTEBOOK …]", ".ipynb", "all of the folder unless given"),
        on=BOTH,
        run="beluga_nb.terminal.actions:weight",
    ),
    "forget": Command(
        "remove recordings: those that all of this is true of",
        (
            Option(("--older",), "older", "AGE", "older than this, as in 90d or 12w"),
            Option(("--prompt",), "prompt", "TEXT", "with this text in the prompt"),
            Option(("--all",), "everything", "", "everything that is recorded"),
            _YES._replace(help="do not ask"),
        ),
        _RUNS,
        on=BOTH,
        run="beluga_nb.terminal.actions:forget",
        about="Asks first, unless --yes.",
    ),
    "pack": Command(
        "a notebook and the recordings that it needs, as one zip",
        (Option(("-o", "--output"), "to", "FILE", "the zip; beside the notebook unless given"),),
        _files("NOTEBOOK", ".ipynb"),
        on=BOTH,
        run="beluga_nb.terminal.actions:pack",
    ),
    "unpack": Command(
        "… and back, every byte checked",
        (Option(("--into",), "into", "FOLDER", "the current folder unless given"),),
        _files("FILE.zip", ".zip"),
        on=BOTH,
        run="beluga_nb.terminal.actions:unpack",
        help_in_terminal="a packed notebook and its recordings back, every byte checked",
    ),
    "serve": Command(
        "serve the image API on this machine, for any OpenAI client",
        (
            Option(
                ("--port",),
                "port",
                "N",
                "on this port, instead of a free one",
                type=port,
                on=NOTEBOOK,
            ),
            Option(("--stop",), "stop", "", "end it", on=NOTEBOOK),
            Option(
                ("--port",),
                "port",
                "N",
                f"default {SERVED_PORT}; 0 takes a free one",
                type=port,
                on=TERMINAL,
                default=SERVED_PORT,
            ),
            Option(
                ("--key",),
                "key",
                "KEY",
                "starts with bapi_; random unless given",
                type=served_key,
                on=TERMINAL,
            ),
            Option(
                ("--upstream",),
                "upstream",
                "URL",
                "pass requests on to a service that is polled; BELUGA_UPSTREAM_KEY holds its key",
                on=TERMINAL,
            ),
            Option(
                ("--faults",),
                "faults",
                "",
                "let prompts ask for failures: 'fault: 429 | a red bicycle'",
                on=TERMINAL,
            ),
            Option(
                ("--connections",),
                "connections",
                "N",
                f"at most so many at a time; default {CONNECTIONS}",
                type=WholeNumber(1, 65535),
                on=TERMINAL,
                default=CONNECTIONS,
            ),
            # How `server/child.py` starts it: descriptors of two pipes that it has inherited.
            Option(("--ready-fd",), "ready_fd", "N", "", type=int, on=TERMINAL),
            Option(("--parent-fd",), "parent_fd", "N", "", type=int, on=TERMINAL),
        ),
        on=BOTH,
        run="beluga_nb.terminal.actions:serve",
        program="beluga_nb.__main__:serve",
        about="The built-in painter draws previews.",
    ),
    "panel": Command(
        "the workbench: all of this for those who would rather click", run="beluga_nb.terminal.actions:panel"
    ),
    "cheatsheet": Command("the whole kit on one card", run="beluga_nb.terminal.actions:cheatsheet"),
    "help": Command("every option and command", run="beluga_nb.terminal.actions:help"),
}

PICTURE_EXAMPLES = (
    ("%beluga a red bicycle on a beach", "a line; the prompt goes to its end"),
    ("%%beluga -m flux-2.0 -s 16:9", "a cell; the lines below are the prompt"),
    ("fox = %beluga -n 4 a fox", "four, kept and not shown"),
    ("%beluga -o owl an owl", "shown, and kept as owl"),
    ("%beluga a {{colour}} car", "filled from the variable colour"),
    ("%beluga --take 2 a fox", "another sampling of the same"),
    ("%beluga --dry-run -n 8 a fox", "what would be sent, and its price by your table"),
)
"""Lines of the cheatsheet about a prompt, with what they do."""


def commands_on(surface: Surface) -> dict[str, Command]:
    """Return the commands that a surface has, each with its arguments there."""
    return {
        name: command._replace(
            options=tuple(option for option in command.options if surface in option.on),
            words=command.words if command.words and surface in command.words.on else None,
        )
        for name, command in COMMANDS.items()
        if surface in command.on
    }
