"""The register: how much of a picture each actor covers, by a small map of whose paint is on top."""

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image, ImageDraw

from beluga_nb.painter.marks import Mark, Mirror, Panes, Shape, Wash

UNIT = 96  # pixels of the map for a unit
OPAQUE = 0.8  # what covers others
SEEN = 0.35  # what shows of an actor
SOFT = 0.02  # what is softer covers nothing for sure


class Register:
    """Follows the marks as they are painted; ask for the shares when all of them are."""

    def __init__(self, actors: int) -> None:
        """Keep an account for this many actors."""
        self._actors = actors
        self._map = Image.new("L", (1, 1))

    @property
    def shares(self) -> list[float]:
        """Return how much of the picture shows each actor, 0 to 1."""
        counts = np.bincount(np.asarray(self._map).ravel(), minlength=self._actors + 1)
        return [float(count / counts.sum()) for count in counts[1 : self._actors + 1]]

    def noting(self, marks: Iterable[Mark], width: float, height: float) -> Iterator[Mark]:
        """Yield the marks; what each covers is noted."""
        self._map = Image.new("L", (max(1, round(width * UNIT)), max(1, round(height * UNIT))))
        draw, anyone = ImageDraw.Draw(self._map), False
        for mark in marks:
            yield mark
            if isinstance(mark, Shape):
                anyone = anyone or mark.owner > 0
                least = SEEN if mark.owner else OPAQUE
                if anyone and mark.alpha > least and mark.soft < SOFT and not (mark.within and mark.owner):
                    self._note(draw, mark)
            elif anyone and isinstance(mark, Wash | Mirror):
                top = mark.top if isinstance(mark, Wash) else mark.y
                draw.rectangle((0, top * UNIT, self._map.width, mark.bottom * UNIT), 0)
            elif anyone and isinstance(mark, Panes) and mark.alpha == 1:
                for left, top, right, bottom in mark.boxes:
                    draw.rectangle((left * UNIT, top * UNIT, right * UNIT, bottom * UNIT), 0)

    def _note(self, draw: ImageDraw.ImageDraw, mark: Shape) -> None:
        if not mark.within:
            for outline in mark.outlines:
                draw.polygon((outline * UNIT).ravel().tolist(), mark.owner)
            return
        # What lies within another shape covers only that.
        masks = []
        for outlines in (mark.outlines, mark.within):
            mask = Image.new("1", self._map.size)
            inner = ImageDraw.Draw(mask)
            for outline in outlines:
                inner.polygon((outline * UNIT).ravel().tolist(), 1)
            masks.append(mask)
        self._map.paste(mark.owner, (0, 0), Image.composite(masks[0], Image.new("1", mask.size), masks[1]))
