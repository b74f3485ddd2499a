"""Image generation in Jupyter: a prompt in a cell becomes pictures and PIL images.

>>> import beluga_nb                                            # doctest: +SKIP
>>> whale = beluga_nb.generate("a beluga whale", size="16:9")   # doctest: +SKIP
>>> whale[0].resize((256, 144))                                 # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_nb.core import Engine, Incomplete, Picture, Recipe, Request, Result
from beluga_nb.errors import (
    BadImage,
    BadReply,
    BelugaError,
    EngineError,
    NotConfirmed,
    NotRecorded,
    OutcomeUnknown,
    Overloaded,
    Refused,
    RequestError,
    SettingsError,
    StoreError,
    TimedOut,
    UnknownName,
    Unreachable,
)
from beluga_nb.session import Session, default
from beluga_nb.settings import Settings

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

__version__ = "0.1.0"

__all__ = [
    "BadImage",
    "BadReply",
    "BelugaError",
    "Engine",
    "EngineError",
    "Incomplete",
    "NotConfirmed",
    "NotRecorded",
    "OutcomeUnknown",
    "Overloaded",
    "Picture",
    "Recipe",
    "Refused",
    "Request",
    "RequestError",
    "Result",
    "Session",
    "Settings",
    "SettingsError",
    "StoreError",
    "TimedOut",
    "UnknownName",
    "Unreachable",
    "agenerate",
    "generate",
    "load_ipython_extension",
    "submit",
    "unload_ipython_extension",
]

generate = default.generate
agenerate = default.agenerate
submit = default.submit


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register `%beluga` and `%%beluga`: what `%load_ext beluga_nb` calls."""
    from beluga_nb.magics import register

    register(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take them away again: what `%unload_ext beluga_nb` calls."""
    from beluga_nb.magics import unregister

    unregister(shell)
