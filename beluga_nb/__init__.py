"""Image generation in Jupyter: a prompt in a cell becomes pictures and PIL images.

>>> import beluga_nb                                            # doctest: +SKIP
>>> whale = beluga_nb.generate("a beluga whale", size="16:9")   # doctest: +SKIP
>>> whale[0].resize((256, 144))                                 # doctest: +SKIP
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

import beluga_nb.process.forks  # noqa: F401  registers what is to happen before a fork

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from beluga_nb.compare.dynamic import expand
    from beluga_nb.compare.grid import Grid
    from beluga_nb.compare.vote_plan import plan_votes
    from beluga_nb.config.settings import Settings
    from beluga_nb.engines.batch_engine import BatchEngine
    from beluga_nb.errors import (
        APIConnectionError,
        APIStatusError,
        APITimeoutError,
        AuthenticationError,
        BelugaError,
        CertificateError,
        CheckFailedError,
        EngineError,
        ImpossibleCombinationError,
        InvalidImageError,
        InvalidResponseError,
        InvalidVerdictError,
        MetadataError,
        NotConfirmedError,
        NotRecordedError,
        NotSentError,
        OutcomeUnknownError,
        OverBudgetError,
        RateLimitError,
        RequestError,
        SettingsError,
        StoreError,
        UnknownArgumentError,
        UnknownNameError,
    )
    from beluga_nb.request import Request
    from beluga_nb.result import Engine, IncompleteError, Picture, Recipe, Result
    from beluga_nb.session.default import (
        agenerate,
        check,
        gallery,
        generate,
        grid,
        open,  # noqa: A004, F401  not in `__all__`: `import *` would hide the builtin
        submit,
        use,
    )
    from beluga_nb.session.session import Session
    from beluga_nb.widgets.panel import panel

__version__ = "0.2.0"

__all__ = [
    "APIConnectionError",
    "APIStatusError",
    "APITimeoutError",
    "AuthenticationError",
    "BatchEngine",
    "BelugaError",
    "CertificateError",
    "CheckFailedError",
    "Engine",
    "EngineError",
    "Grid",
    "ImpossibleCombinationError",
    "IncompleteError",
    "InvalidImageError",
    "InvalidResponseError",
    "InvalidVerdictError",
    "MetadataError",
    "NotConfirmedError",
    "NotRecordedError",
    "NotSentError",
    "OutcomeUnknownError",
    "OverBudgetError",
    "Picture",
    "RateLimitError",
    "Recipe",
    "Request",
    "RequestError",
    "Result",
    "Session",
    "Settings",
    "SettingsError",
    "StoreError",
    "UnknownArgumentError",
    "UnknownNameError",
    "agenerate",
    "check",
    "expand",
    "gallery",
    "generate",
    "grid",
    "load_ipython_extension",
    "panel",
    "plan_votes",
    "submit",
    "unload_ipython_extension",
    "use",
]

_MODULES = {
    "BatchEngine": "engines.batch_engine",
    "Engine": "result",
    "Grid": "compare.grid",
    "IncompleteError": "result",
    "Picture": "result",
    "Recipe": "result",
    "Request": "request",
    "Result": "result",
    "Session": "session.session",
    "Settings": "config.settings",
    "agenerate": "session.default",
    "check": "session.default",
    "expand": "compare.dynamic",
    "gallery": "session.default",
    "generate": "session.default",
    "grid": "session.default",
    "open": "session.default",
    "panel": "widgets.panel",
    "plan_votes": "compare.vote_plan",
    "submit": "session.default",
    "use": "session.default",
}
"""The module of each public name that is no error; all are imported when they are used, and `%load_ext` waits
for none."""


def __getattr__(name: str) -> object:
    if name not in {*__all__, *_MODULES}:
        raise AttributeError(f"module 'beluga_nb' has no attribute '{name}'")
    return getattr(import_module(f"beluga_nb.{_MODULES.get(name, 'errors')}"), name)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]


def load_ipython_extension(shell: InteractiveShell) -> None:
    """Register `%beluga` and `%%beluga`: what `%load_ext beluga_nb` calls."""
    from beluga_nb.magics import register

    register(shell)


def unload_ipython_extension(shell: InteractiveShell) -> None:
    """Take them away again, and end what they started: what `%unload_ext beluga_nb` calls."""
    from beluga_nb.magics import unregister
    from beluga_nb.session.default import default

    unregister(shell)
    default.close()
