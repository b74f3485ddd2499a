"""Subjects: what stands in a scene, as shapes about the origin.

Most are figures, drawn from their files. These few vary by chance and are drawn here. Standing ones have
their foot at (0, 0) and are about one unit high; floating ones are centred. All face left.
"""

from collections.abc import Callable, Mapping

from beluga_nb.painter.figure import Coat, drawing, figures
from beluga_nb.painter.marks import Shape
from beluga_nb.painter.subjects import people, plants

Glyph = Callable[[Coat], tuple[Shape, ...]]

GLYPHS: Mapping[str, Glyph] = {"bust": people.bust, "tree": plants.tree}


def glyph_of(name: str | None) -> Glyph | None:
    """Return how a subject is drawn; None for scenery, such as mountains and the moon."""
    if name is None or name in GLYPHS:
        return GLYPHS.get(name or "")
    return drawing(figures()[name]).shapes if name in figures() else None


__all__ = ["GLYPHS", "Coat", "Glyph", "glyph_of"]
