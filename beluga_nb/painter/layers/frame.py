"""The frame: how large the picture is in units, and how much detail it is worth."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Frame:
    """Width and height in units (the short edge is 1), and a factor for how many small things there are."""

    w: float
    h: float
    detail: float = 1.0

    def many(self, per_unit: float) -> int:
        """Return how many small things this frame holds, by its width."""
        return max(1, round(per_unit * self.w * self.detail))
