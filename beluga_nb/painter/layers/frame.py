"""The frame: the picture's size in units, and its level of detail."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """Width and height in units (the short edge is 1), and a factor for the number of small things."""

    w: float
    h: float
    detail: float = 1.0

    def many(self, per_unit: float) -> int:
        """Return how many small things this frame holds, by its width."""
        return max(1, round(per_unit * self.w * self.detail))
