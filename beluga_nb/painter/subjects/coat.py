"""The colours of a glyph."""

from dataclasses import dataclass

from beluga_nb.painter.colour import RGB, dark, light
from beluga_nb.painter.stream import Stream


@dataclass(frozen=True, slots=True)
class Coat:
    """A colour with its lit and shaded sides, an accent, whether lamps are on, moods, a random stream."""

    base: RGB
    accent: RGB
    night: bool
    moods: tuple[str, ...]
    stream: Stream

    @property
    def lit(self) -> RGB:
        """Return the sunny side."""
        return light(self.base, 0.34)

    @property
    def shade(self) -> RGB:
        """Return the shady side."""
        return dark(self.base, 0.38)

    @property
    def deep(self) -> RGB:
        """Return the darkest folds."""
        return dark(self.base, 0.66)
