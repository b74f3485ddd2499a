"""Layers: a scene becomes marks, from the farthest to the nearest."""

from collections.abc import Callable, Iterator, Mapping

from beluga_nb.painter.layers import (
    city,
    garden,
    indoors,
    land,
    lens,
    poster,
    shore,
    space,
    underwater,
    weather,
)
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.marks import Mark
from beluga_nb.painter.scene import Scene

Layers = Callable[[Scene, Frame], Iterator[Mark]]

KINDS: Mapping[str, Layers] = {
    "landscape": land.hills,
    "forest": land.forest,
    "mountain": land.mountains,
    "desert": land.desert,
    "beach": shore.beach,
    "coast": shore.coast,
    "lake": shore.lake,
    "garden": garden.garden,
    "city": city.city,
    "underwater": underwater.underwater,
    "studio": indoors.studio,
    "portrait": indoors.portrait,
    "room": indoors.room,
    "space": space.space,
    "poster": poster.poster,
}


def marks(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield the marks of a scene in the order in which they are painted."""
    yield from KINDS[scene.kind](scene, frame)
    yield from weather.falling(scene, frame)
    if "bokeh" in scene.camera:
        yield from lens.bokeh(scene, frame)


__all__ = ["KINDS", "Frame", "marks"]
