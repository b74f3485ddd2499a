"""What becomes of the value that a magic returns.

IPython shows the value of a cell's last line, and only that: in a loop, or on any other line, what a magic
returns is thrown away unseen. There the magic shows it itself, which it knows from the instruction that
follows its call: POP_TOP.
"""

from __future__ import annotations

import dis
from types import FrameType


def thrown_away(frame: FrameType | None) -> bool:
    """Whether the cell's code drops the value of the magic that this frame belongs to."""
    while frame is not None and _is_machinery(frame):
        frame = frame.f_back
    if frame is None:
        return False
    following = (each for each in dis.get_instructions(frame.f_code) if each.offset > frame.f_lasti)
    return next((each.opname for each in following), "") == "POP_TOP"


def _is_machinery(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0] in {"IPython", "beluga_nb"}
