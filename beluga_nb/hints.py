"""Hints that fit the surface they are shown on.

A hint is written once, with what to do as data: `Remedy("mode", "auto")`. A Python caller reads it as an
argument, a user of the magics as an option, and the panel, the terminal and a client of the embedded server
have words of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import NamedTuple, Self


class Surface(Enum):
    """Where a text is shown: to a Python caller, below a magic, in the panel, in a terminal, over HTTP."""

    PYTHON = "python"
    MAGIC = "magic"
    PANEL = "panel"
    TERMINAL = "terminal"
    API = "api"


class Words(NamedTuple):
    """The words for one action on each surface; `{}` is its value.

    Python and the magics can do everything, so the other surfaces refer to them unless they have words here.
    """

    python: str
    magic: str
    panel: str = ""
    terminal: str = ""
    api: str = ""

    def on(self, surface: Surface) -> str:
        """Return the words for a surface."""
        if words := getattr(self, surface.value):
            return str(words)
        if surface is not Surface.API and self.magic.startswith("%"):
            return f"{self.magic} in a {'cell' if surface is Surface.PANEL else 'notebook'}"
        return f"{self.python} in Python"


_EXAMPLE = "a red bicycle on a beach"

ACTIONS: Mapping[str, Words] = {
    # Arguments of a call.
    "mode": Words(
        'mode="{}"', "--mode {}", panel='the setting mode = "{}"', terminal='the setting mode = "{}"'
    ),
    "model at endpoint": Words('model="{}:NAME"', "-m {}:NAME"),
    "seed": Words("seed={}", "--seed {}"),
    "values": Words('{}=["red", "blue"]', "--axis {}=red,blue"),
    "yes": Words("assume_yes=True", "--yes", terminal="--yes"),
    "older": Words('older="{}"', "--older {}", terminal="--older {}"),
    "prompt": Words('prompt="{}"', "--prompt {}", terminal="--prompt {}"),
    "everything": Words("everything=True", "--all", terminal="--all"),
    "page": Words("page={}", "--page {}", terminal="--page {}"),
    "to": Words('to="{}"', "-o {}", terminal="-o {}"),
    "into": Words('into="{}"', "--into {}", terminal="--into {}"),
    # Commands, and the methods that do the same.
    "generate": Words(
        f'beluga_nb.generate("{_EXAMPLE}")', f"%beluga {_EXAMPLE}", panel=_EXAMPLE, api=_EXAMPLE
    ),
    "models": Words("Session.models()", "%beluga models", panel="The model menu", api="GET /v1/models"),
    "models at endpoint": Words('Session.models(endpoint="{}")', "%beluga models --endpoint {}"),
    "sizes": Words(
        "beluga_nb.catalog.sizes()", "%beluga sizes", panel="the size buttons", api="the catalogue"
    ),
    "aliases": Words("Session.settings().aliases", "%beluga alias"),
    "status": Words("Session.status()", "%beluga status"),
    "history": Words("Session.store.history()", "%beluga history", terminal="python -m beluga_nb history"),
    "login": Words("Session.login()", "%beluga login"),
    "stop serving": Words("Session.stop_serving()", "%beluga serve --stop"),
}
"""What a hint can recommend, in the words of each surface."""


class Remedy(NamedTuple):
    """What to do: an action of `ACTIONS`, and its value."""

    action: str
    value: str = ""

    def on(self, surface: Surface) -> str:
        """Return the words for a surface.

        >>> remedy = Remedy("mode", "auto")
        >>> remedy.on(Surface.PYTHON), remedy.on(Surface.MAGIC)
        ('mode="auto"', '--mode auto')
        """
        return ACTIONS[self.action].on(surface).format(self.value)


class Code(str):
    """A part of a hint that is to be typed as it stands, on every surface: a name, a line of code."""

    def on(self, _: Surface) -> str:
        """Return the text, which is the same on all surfaces."""
        return str(self)


class Hint(str):
    """A text with remedies and code in it. As a `str` it is what a Python caller reads.

    >>> hint = Hint("Use ", Remedy("mode", "auto"), " to have it made.")
    >>> hint
    'Use mode="auto" to have it made.'
    >>> on(hint, Surface.MAGIC)
    'Use --mode auto to have it made.'
    """

    parts: tuple[str | Remedy | Code, ...]

    def __new__(cls, *parts: str | Remedy | Code) -> Self:
        """Return the hint that some texts, remedies, code and other hints make together."""
        flat: list[str | Remedy | Code] = []
        for part in parts:
            # Flat, so that an inner hint too is worded for the surface of the outer one.
            flat += part.parts if isinstance(part, Hint) else [part]
        text = "".join(part.on(Surface.PYTHON) if isinstance(part, Remedy) else part for part in flat)
        made = super().__new__(cls, text)
        made.parts = tuple(flat)
        return made

    def __reduce__(self) -> tuple[type[Self], tuple[str | Remedy | Code, ...]]:
        # str would pickle the text alone.
        return type(self), self.parts


def did_you_mean(name: str | None, *advice: str | Remedy | Code) -> Hint:
    """Return the question whether another name was meant, if there is one that is near, and then the advice.

    >>> did_you_mean("flux-2.0"), did_you_mean("flux-2.0", "Or 1."), did_you_mean(None, "Or 1.")
    ("Did you mean 'flux-2.0'?", "Did you mean 'flux-2.0'? Or 1.", 'Or 1.')
    """
    question = ["Did you mean '", Code(name), "'? " if advice else "'?"] if name else []
    return Hint(*question, *advice)


def on(
    text: str, surface: Surface, *, code: Callable[[str], str] = str, words: Callable[[str], str] = str
) -> str:
    """Return a text in the words of a surface; one that is no hint is the same on all of them.

    `code` marks up what is to be typed, and `words` the rest.
    """
    parts = text.parts if isinstance(text, Hint) else [text]
    return "".join(
        code(part.on(surface)) if isinstance(part, Remedy | Code) else words(part) for part in parts
    )


def mapped(text: str, change: Callable[[str], str]) -> str:
    """Return a text with a change made to it; of a hint, to its texts and to the values of its remedies."""
    if not isinstance(text, Hint):
        return change(text)
    return Hint(*(_changed(part, change) for part in text.parts))


def _changed(part: str | Remedy | Code, change: Callable[[str], str]) -> str | Remedy | Code:
    if isinstance(part, Remedy):
        return part._replace(value=change(part.value))
    return Code(change(part)) if isinstance(part, Code) else change(part)
