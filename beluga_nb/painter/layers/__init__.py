"""Layers: a scene becomes marks, from the farthest to the nearest."""

from collections.abc import Iterator

from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.layers.scenery import Scenery
from beluga_nb.painter.marks import Mark
from beluga_nb.painter.scene import OUTDOORS, Scene


def marks(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield the marks of a scene in the order in which they are painted."""
    scenery = Scenery(scene, frame)
    yield from scenery.marks(scene.kind)
    if scene.kind in OUTDOORS:
        yield from scenery.marks("weather")
    if "bokeh" in scene.camera:
        yield from scenery.marks("lens")


__all__ = ["Frame", "marks"]
