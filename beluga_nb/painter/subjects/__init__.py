"""Subjects: parametric glyphs. Each is a function from a coat of colours to shapes about the origin.

Standing glyphs have their foot at (0, 0) and are about one unit high; floating ones are centred and about one
unit long. They face left.
"""

from collections.abc import Callable, Mapping

from beluga_nb.painter.marks import Shape
from beluga_nb.painter.subjects import animals, people, plants, structures, suits, things, vehicles
from beluga_nb.painter.subjects.coat import Coat

Glyph = Callable[[Coat], tuple[Shape, ...]]

GLYPHS: Mapping[str, Glyph] = {
    "whale": animals.whale,
    "fish": animals.fish,
    "cat": animals.cat,
    "dog": animals.dog,
    "fox": animals.fox,
    "tiger": animals.cat,
    "wolf": animals.fox,
    "crow": animals.bird,
    "horse": animals.horse,
    "bird": animals.bird,
    "bust": people.bust,
    "figure": people.figure,
    "knight": suits.knight,
    "robot": suits.robot,
    "astronaut": suits.astronaut,
    "tree": plants.tree,
    "flower": plants.flower,
    "bottle": things.bottle,
    "cup": things.cup,
    "lamp": things.lamp,
    "book": things.book,
    "balloon": things.balloon,
    "bicycle": vehicles.bicycle,
    "car": vehicles.car,
    "ship": vehicles.ship,
    "rocket": vehicles.rocket,
    "house": structures.house,
    "lighthouse": structures.lighthouse,
    "castle": structures.castle,
}

__all__ = ["GLYPHS", "Coat", "Glyph"]
