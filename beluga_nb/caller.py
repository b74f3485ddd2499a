"""The code of a person that called the package: whose line a warning names."""

from __future__ import annotations

import sys
import warnings
from types import FrameType


def warn(message: str) -> None:
    """Warn of something that happened in a call of the package, at the line that made the call."""
    level, frame, found = 2, sys._getframe(1), caller(sys._getframe(1))
    while frame.f_back is not None and frame is not found:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)


def caller(frame: FrameType | None) -> FrameType | None:
    """Return the frame of the code that made the call which this frame belongs to."""
    while frame is not None and _is_machinery(frame):
        frame = frame.f_back
    return frame


def _is_machinery(frame: FrameType) -> bool:
    # IPython 7 decorates magics by means of `decorator`, whose older versions make modules without a name.
    is_generated = frame.f_code.co_filename.startswith("<decorator-gen")
    module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
    return is_generated or module in {"IPython", "beluga_nb", "contextlib", "decorator"}
