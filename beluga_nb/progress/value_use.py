"""How a cell uses the value that a magic or a call returns.

IPython shows the value of a cell's last line, and only that: in a loop, or on any other line, what a magic
returns is discarded; in an assignment it is kept. The instruction that follows the call tells which.
"""

from __future__ import annotations

import dis
from enum import Enum
from types import FrameType

from beluga_nb.caller import caller


class ValueUse(Enum):
    """The value is discarded, shown by IPython, or kept by the calling code."""

    DISCARDED = "discarded"
    SHOWN = "shown"
    KEPT = "kept"


_BY_INSTRUCTION = {
    "POP_TOP": ValueUse.DISCARDED,
    "PRINT_EXPR": ValueUse.SHOWN,
    "INTRINSIC_PRINT": ValueUse.SHOWN,
}


def value_use(frame: FrameType | None) -> ValueUse:
    """Return what the cell's code does with the value of the call that this frame belongs to."""
    frame = caller(frame)
    if frame is None:
        return ValueUse.KEPT
    following = (each for each in dis.get_instructions(frame.f_code) if each.offset > frame.f_lasti)
    instruction = next(following, None)
    if instruction is None:
        return ValueUse.KEPT
    if instruction.opname == "RETURN_VALUE" and frame.f_code.co_name == "<module>":
        return ValueUse.SHOWN  # %%time and such evaluate the last line, and return its value to IPython.
    # Since Python 3.12 printing is one of several intrinsics, named by the argument.
    by_name = _BY_INSTRUCTION.get(instruction.argrepr, ValueUse.KEPT)
    return _BY_INSTRUCTION.get(instruction.opname, by_name)
