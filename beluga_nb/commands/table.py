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
BALLOT_PORT = 8788
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
    ("-m", "--model"), "model", "ID", "the model or an alias; %beluga models lists all models", "model"
)
_SIZE = Option(
    ("-s", "--size"), "size", "SIZE", "a label such as 16:9, auto, or pixels such as 1024x1024", "size"
)
_COUNT = Option(("-n",), "n", "N", "how many pictures", "count", type=int)
_QUALITY = Option(("-q", "--quality"), "quality", "Q", "standard or hd", "quality")
_OUTPUT = Option(
    ("-o", "--output"), "output", "NAME", "the variable that gets the result", "variable", on=NOTEBOOK
)
_YES = Option(("--yes",), "assume_yes", "", "do not ask for confirmation of more than 10 new pictures")
_INSIST = Option(("--insist",), "allow_unknown_model", "", "send a model id that is not in the catalogue")
_QUIET = Option(("--quiet",), "quiet", "", "show nothing")
_DEBUG = Option(("--debug",), "debug", "", "show the full traceback of an error")
_ENDPOINT = Option(
    ("--endpoint",), "endpoint", "NAME", "a server of beluga.toml; -m lab:sd gives both", "endpoint"
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
        "the number of the first picture in its take, from 0",
        type=int,
    ),
    Option(("--raw",), "raw", "", "do not replace {{name}}, in the prompt and in options"),
    Option(("--mode",), "mode", "MODE", "whether the store may answer: auto, replay, refresh or off", "mode"),
    Option(
        ("--embed",),
        "embed",
        "WHAT",
        "how pictures are saved in the notebook: preview, original, link or none",
        "embed",
    ),
    Option(("--dry-run",), "dry_run", "", "show what would be sent and its cost; send nothing"),
    _YES,
    _INSIST,
    _QUIET._replace(help="show nothing; a ; at the end of a line does the same"),
    _DEBUG,
    Option(("--help",), "help", "", "show this help"),
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


_RUNS = Words("[RUN …]", _are_runs, _is_run, "the name of a run; history lists all")

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
    "base_url": "The address of the API.",
    "mode": "Whether the store may answer: auto, replay, refresh or off.",
    "store": "The folder of recordings, or an address such as s3://bucket/study.",
    "model": "The default model.",
    "embed": "How pictures are saved in the notebook: preview, original, link or none.",
    "response_format": "How the service sends pictures: b64_json or url.",
    "bridge": "Where coroutines run: thread, or nested (nest_asyncio).",
    "timeout": "Seconds for a whole call, downloads included.",
    "connect_timeout": "Seconds for making a connection.",
    "max_in_flight": "How many requests may run at once.",
    "max_images": "How many pictures one session may request with a key.",
    "max_cost": "How much money one session may spend, by your own prices.",
    "budget": 'Who shares these two caps: "session", or all who use its "store".',
    "prices": "Your own prices, with their date and currency.",
    "faults": "Whether a prompt may request a failure from the embedded BelugAPI.",
    "progress": "Whether calls show their progress: true or false.",
    "aliases": "Names for a model with options.",
    "endpoints": "Other servers by name: base_url, dialect, model, timeout.",
}
"""The settings, each with its line of help; `config/settings.py` has their types and defaults."""

# A dash after the equals sign: "alias poster=a cat" is a prompt.
_NAMED = re.compile(r"[A-Za-z][\w.-]*=(?:\s*-.*)?")


# --- commands

COMMANDS: dict[str, Command] = {
    "lab": Command(
        "open JupyterLab on the quickstart or another notebook",
        (
            Option(
                (),
                "folder",
                "FOLDER",
                "copy the notebooks and their recordings here; a clone uses its own in place",
                positional=True,
            ),
            Option(
                ("--notebook",),
                "notebook",
                "NAME",
                "the notebook to open: its number, such as 02, or its name",
                default=FIRST_NOTEBOOK,
            ),
            Option(("--port",), "port", "N", "use this port instead of a free one", type=port),
            Option(("--no-browser",), "no_browser", "", "print the address; open no browser"),
        ),
        on=TERMINAL,
        program="beluga_nb.terminal.lab:main",
        about="Ctrl-C ends it. Everything after -- is passed to JupyterLab: -- --ip=0.0.0.0",
    ),
    "status": Command(
        "show which engine answers, where pictures are kept, and what was spent and saved",
        run="beluga_nb.terminal.actions:status",
    ),
    "models": Command(
        "list the models, their sizes and pictures per request; with a key, those of the service too",
        (
            Option(
                ("--search",), "search", "TEXT", "only models with this text in their id, name or provider"
            ),
            Option(("--provider",), "provider", "NAME", "only models of this provider", "provider"),
            Option(("-s", "--size"), "size", "LABEL", "only models with this size", "size"),
            _ENDPOINT._replace(help="list the models of this endpoint"),
        ),
        run="beluga_nb.terminal.actions:models",
        examples=(("%beluga models --search flux", "list models; %beluga sizes lists sizes"),),
    ),
    "sizes": Command(
        "list the size labels and their uses",
        (_MODEL._replace(help="only sizes of this model"),),
        run="beluga_nb.terminal.actions:sizes",
    ),
    "compare": Command(
        "a grid of pictures, one cell per combination of the axes; prompts are separated by ---",
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
                'values for {{name}}: red,"a, b",label:"a text"; or @variable, @file.csv with rows',
                "axis",
                many=True,
            ),
            Option(
                ("--replace",),
                "replace",
                "TERM=A,B",
                "replace a term of the prompt by these",
                "axis",
                many=True,
            ),
            Option(("--pairs",), "pairs", "NAME,NAME", "these axes advance together", many=True),
            Option(("--sample",), "sample", "N", "draw N of all combinations", type=int),
            Option(("--seed",), "seed", "N", "seed of the draw", type=int),
            Option(
                ("--max-images",),
                "max_images",
                "N",
                "send nothing if more new pictures are needed",
                type=int,
            ),
            Option(
                ("--max-cost",), "max_cost", "AMOUNT", "send nothing if the cost exceeds this, by your prices"
            ),
            Option(("--mode",), "mode", "MODE", "auto, replay, refresh or off", "mode"),
            _OUTPUT._replace(help="the variable that gets the grid"),
            Option(("--dry-run",), "dry_run", "", "show the plan; send nothing"),
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
        "show the settings, or set them for this kernel; NAME= resets one",
        rest=Rest("[NAME=VALUE …]", "setting", lambda text: text in SETTINGS or bool(pairs(text))),
        run="beluga_nb.terminal.actions:config",
        examples=(("%beluga config mode=replay", "a setting; %beluga status shows the current state"),),
    ),
    "alias": Command(
        "list the aliases, or set one: alias poster=-m flux-2.0 -s 3:4",
        rest=Rest("[NAME=OPTIONS]", "alias", lambda text: _NAMED.fullmatch(text) is not None),
        run="beluga_nb.terminal.actions:alias",
        examples=(("%beluga alias poster=-m flux-2.0 -s 3:4", "then -m poster"),),
    ),
    "login": Command(
        "enter the key without showing it, for this kernel",
        (Option(("--keep",), "keep", "", "also save it in the system's keyring"),),
        run="beluga_nb.terminal.actions:login",
    ),
    "last": Command("show the newest result again", (_OUTPUT,), run="beluga_nb.terminal.actions:last"),
    "open": Command(
        "show a saved picture and insert its cell",
        rest=Rest("FILE", "file", is_picture_name, needed=True, endings=_PICTURES),
        run="beluga_nb.magics.commands:open_picture",
    ),
    "history": Command(
        "list what is recorded, newest first; or restore a run",
        (
            Option(("--text",), "text", "TEXT", "only prompts with this text", positional=True),
            Option(("--model",), "model", "ID", "only this model", "model"),
            Option(("--since",), "since", "DATE", "on or after this day, such as 2026-11-22 (UTC)"),
            Option(("--until",), "until", "DATE", "on or before this day"),
            Option(("--limit",), "limit", "N", "at most N; default 50", type=WholeNumber(1)),
            Option(("--page",), "page", "N", "the next N with 2, and so on", type=WholeNumber(1)),
            _OUTPUT._replace(help="the variable that gets the run's result"),
        ),
        _RUNS._replace(on=NOTEBOOK),
        on=BOTH,
        run="beluga_nb.terminal.actions:history",
        help_in_terminal="list what is recorded, newest first",
        examples=(("%beluga history --text fox", "what is recorded; %beluga last shows the newest result"),),
    ),
    "verify": Command(
        "check that recordings are intact and notebooks are recorded",
        words=_files("[NOTEBOOK …]", ".ipynb", "the notebooks whose pictures must be recorded"),
        on=BOTH,
        run="beluga_nb.terminal.actions:verify",
        about="The exit status is 1 if there are problems.",
    ),
    "check": Command(
        "run a study and compare scores, judges and win rates with its thresholds",
        (Option(("--junit",), "junit", "FILE", "also write the checks as JUnit XML"),),
        _files("STUDY", ".toml", "the study, such as study.toml"),
        on=TERMINAL,
        run="beluga_nb.terminal.actions:check",
        about="The exit status is 1 if a check failed. Under CI nothing is sent: recordings answer.",
    ),
    "weight": Command(
        "show the size of pictures in notebooks",
        words=_files("[NOTEBOOK …]", ".ipynb", "default: all notebooks of the folder"),
        on=BOTH,
        run="beluga_nb.terminal.actions:weight",
    ),
    "forget": Command(
        "remove recordings that match all conditions",
        (
            Option(("--older",), "older", "AGE", "older than this, such as 90d or 12w"),
            Option(("--prompt",), "prompt", "TEXT", "with this text in the prompt"),
            Option(("--all",), "everything", "", "all recordings"),
            _YES._replace(help="do not ask for confirmation"),
        ),
        _RUNS,
        on=BOTH,
        run="beluga_nb.terminal.actions:forget",
        about="Asks for confirmation, unless --yes is given.",
    ),
    "pack": Command(
        "pack a notebook and its recordings into a zip",
        (Option(("-o", "--output"), "to", "FILE", "the zip; default: beside the notebook"),),
        _files("NOTEBOOK", ".ipynb"),
        on=BOTH,
        run="beluga_nb.terminal.actions:pack",
    ),
    "unpack": Command(
        "unpack a notebook and its recordings, checking every byte",
        (Option(("--into",), "into", "FOLDER", "default: the current folder"),),
        _files("FILE.zip", ".zip"),
        on=BOTH,
        run="beluga_nb.terminal.actions:unpack",
    ),
    "serve": Command(
        "serve the image API on this machine, for any OpenAI client",
        (
            Option(
                ("--port",),
                "port",
                "N",
                "use this port instead of a free one",
                type=port,
                on=NOTEBOOK,
            ),
            Option(("--stop",), "stop", "", "stop it", on=NOTEBOOK),
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
                "starts with bapi_; default: random",
                type=served_key,
                on=TERMINAL,
            ),
            Option(
                ("--upstream",),
                "upstream",
                "URL",
                "forward requests to a polled service; BELUGA_UPSTREAM_KEY holds its key",
                on=TERMINAL,
            ),
            Option(
                ("--faults",),
                "faults",
                "",
                "let prompts request failures: 'fault: 429 | a red bicycle'",
                on=TERMINAL,
            ),
            Option(
                ("--connections",),
                "connections",
                "N",
                f"at most N at a time; default {CONNECTIONS}",
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
    "ballot": Command(
        "serve a blind vote on the pictures of a notebook as a web page",
        (
            Option(
                ("--port",),
                "port",
                "N",
                f"default {BALLOT_PORT}; 0 takes a free one",
                type=port,
                default=BALLOT_PORT,
            ),
            Option(("--by",), "by", "LABEL", "what differs in a pair: model, size, … or prompt"),
            Option(("--question",), "question", "TEXT", "the question above the pictures"),
            Option(("--criterion",), "criterion", "TEXT", "a criterion with a ranking of its own"),
            Option(("--consent",), "consent", "FILE", "a text that voters agree to"),
            Option(("--each",), "each", "N", "at most N pairs for each voter", type=WholeNumber(1)),
            Option(("--voters",), "voters", "N", "a secret link for each of N voters", type=WholeNumber(1)),
            Option(("--links",), "links", "FILE", "the file of these links; default ballot-links.csv"),
            Option(
                ("--host",),
                "host",
                "ADDRESS",
                "let other machines reach the page under this address of yours; needs --voters",
            ),
            Option(("--close-after",), "close_after", "N", "end after N votes in all", type=WholeNumber(1)),
            Option(("--close-at",), "close_at", "TIME", "end at a time, such as 2026-12-01T18:00"),
        ),
        words=_files("NOTEBOOK", ".ipynb", "a saved notebook that shows the pictures"),
        on=TERMINAL,
        program="beluga_nb.terminal.ballot:main",
        about="Ctrl-C ends it; votes are in the store as they are cast.",
    ),
    "panel": Command("open the panel", run="beluga_nb.terminal.actions:panel"),
    "cheatsheet": Command("show a one-page summary", run="beluga_nb.terminal.actions:cheatsheet"),
    "help": Command("show all options and commands", run="beluga_nb.terminal.actions:help"),
}

PICTURE_EXAMPLES = (
    ("%beluga a red bicycle on a beach", "a line; the prompt goes to its end"),
    ("%%beluga -m flux-2.0 -s 16:9", "a cell; the lines below are the prompt"),
    ("fox = %beluga -n 4 a fox", "four pictures, kept and not shown"),
    ("%beluga -o owl an owl", "shown, and kept as owl"),
    ("%beluga a {{colour}} car", "filled from the variable colour"),
    ("%beluga --take 2 a fox", "another sampling of the same"),
    ("%beluga --dry-run -n 8 a fox", "what would be sent, and its cost by your prices"),
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
