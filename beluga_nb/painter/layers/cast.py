"""The cast: the subjects' figures, coloured, and placed in the scene."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from beluga_nb.painter.colour import RGB, brightness, mix
from beluga_nb.painter.figure import Coat, drawing, figures, paint_of
from beluga_nb.painter.layers.ensemble import Block, block, joined, rows
from beluga_nb.painter.marks import Shape, placed
from beluga_nb.painter.scene import Actor, Frame, Scene
from beluga_nb.painter.stream import Stream


def is_group(scene: Scene) -> bool:
    """Return whether the cast is drawn as one group, not each by itself."""
    return len(scene.cast) > 1 or any(actor.count > 1 for actor in scene.cast)


def glyph(scene: Scene) -> tuple[Shape, ...]:
    """Return the cast's shapes about the origin, facing left; empty when nothing of it can be drawn.

    What stands has its foot at (0, 0) and is about one unit high; what floats is centred.
    """
    if is_group(scene):
        return _together(scene)
    if not scene.cast and scene.kind != "portrait":
        return ()
    subject = scene.cast[0].subject if scene.cast else "bust"
    shapes = _drawn(scene, subject, scene.colour, scene.stream.child("cast0"), 1)
    # Signs, maps and letters face the reader however the scene is flipped.
    turned = scene.reversed and figures()[subject].front
    return placed(shapes, 0, 0, 1, flip=True) if turned else shapes


def _drawn(scene: Scene, subject: str, colour: RGB | None, stream: Stream, owner: int) -> tuple[Shape, ...]:
    """Return a figure's shapes with its number in the cast; those in the colour of its coat are dyed."""
    base = colour or figures()[subject].colour
    coat = Coat(base, scene.palette.accent, scene.night, scene.moods, stream)
    own = {paint_of(role)(coat) for role in ("base", "lit", "shade")}
    shapes = drawing(figures()[subject]).shapes(coat)
    return tuple(replace(shape, owner=owner, dyed=not own.isdisjoint(shape.fill)) for shape in shapes)


def _together(scene: Scene) -> tuple[Shape, ...]:
    """Return several subjects as one group, where the prompt puts them."""
    blocks: list[Block] = []
    relations: list[str] = []
    following = [actor.relation for actor in scene.cast[1:]]
    for number, actor in enumerate(scene.cast, 1):

        def one(member: int, number: int = number, actor: Actor = actor) -> Block:
            stream = scene.stream.child(f"cast{number}").child(member)
            return block(actor.subject, _drawn(scene, actor.subject, actor.colour(member), stream, number))

        is_around = actor.relation == "between" and following[number - 1 : number] != ["beside"]
        left = actor.count // 2 if is_around else 0  # half on either side
        if left:
            blocks.append(rows(one, left))
            relations.append("between")

        def rest(member: int, left: int = left, one: Callable[[int], Block] = one) -> Block:
            return one(left + member)

        blocks.append(rows(rest, actor.count - left, stacked=actor.stacked))
        relations.append("beside" if left else actor.relation)
    group = joined(blocks, relations[1:])
    # Flipping or mirroring a scene must not turn left into right.
    group = placed(group, 0, 0, 1, flip=True) if scene.reversed else group
    if scene.stance not in ("air", "float") and scene.kind != "underwater":
        return group
    return placed(group, 0, -0.5 * min(shape.ends()[1] for shape in group), 1)


def size_of(scene: Scene, frame: Frame) -> float:
    """Return the subject's size in units; a long frame has room for more, up to its height."""
    size = figures()[scene.subject].size if scene.subject else 0.5
    size = 0.72 if is_group(scene) else size
    roomy = min(1.3, float((frame.w * frame.h) ** 0.3))
    return min(size * scene.zoom * roomy, 0.78 * frame.h)


def _lamp(scene: Scene) -> RGB:
    """Return the light that falls on the cast: the hour's, weakened."""
    if scene.kind == "room":
        return neutral(scene, (238, 214, 186) if scene.night else (255, 249, 240))
    return neutral(scene, mix(scene.palette.lamp, (255, 255, 255), 0.32))


def neutral(scene: Scene, light: RGB) -> RGB:
    """Return a light that is nearly grey where a colour was named: pink stays pink by moonlight."""
    if not any(actor.colours for actor in scene.cast):
        return light
    grey = round(255 * brightness(light))
    return mix(light, (grey, grey, grey), 0.75)


def names_of(scene: Scene, frame: Frame) -> dict[str, Any]:
    """Return what formulas may ask of the cast."""
    drawn = bool(scene.cast)
    aside = 0.1 if is_group(scene) else 0.7 if frame.w > 1 else 0.35
    x = frame.w * (0.5 + scene.side * aside)
    return {
        "cast": drawn,
        "group": is_group(scene),
        "stands": drawn and scene.stance in ("ground", "floor", "bust", "float", "sea"),
        "flies": drawn and scene.stance == "air",
        "furnished": any(figures()[actor.subject].stance == "floor" for actor in scene.cast),
        "cast_x": min(max(x, 0.18), frame.w - 0.18),
        "cast_size": size_of(scene, frame),
        "cast_lamp": _lamp(scene),
    }
