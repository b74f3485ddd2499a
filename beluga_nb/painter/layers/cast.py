"""The cast: the subject's glyph, coloured and placed in the scene."""

from collections.abc import Iterator
from dataclasses import replace

from beluga_nb.painter.colour import RGB, brightness, dark, mix, under
from beluga_nb.painter.figure import figures
from beluga_nb.painter.layers.ensemble import Block, block, joined, rows
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.marks import Glow, Mark, Shape, lit, placed, shape
from beluga_nb.painter.outline import ellipse, polygon
from beluga_nb.painter.reading import subjects
from beluga_nb.painter.scene import Actor, Scene
from beluga_nb.painter.stream import Stream
from beluga_nb.painter.subjects import Coat, Glyph, glyph_of


def coat(scene: Scene) -> Coat:
    """Return the colours the subject wears."""
    return _coat(scene, scene.subject or "bust", scene.colour, scene.stream.child("cast0"))


def _coat(scene: Scene, subject: str, colour: RGB | None, stream: Stream) -> Coat:
    own = colour or subjects()[subject].colour
    return Coat(own, scene.palette.accent, scene.night, scene.moods, stream)


def is_group(scene: Scene) -> bool:
    """Return whether the cast is drawn as one group, not each by itself."""
    return len(scene.cast) > 1 or any(actor.count > 1 for actor in scene.cast)


def glyph(scene: Scene) -> tuple[Shape, ...]:
    """Return the subject's shapes about the origin; empty when it has no glyph."""
    if is_group(scene):
        return _together(scene)
    drawn = glyph_of(scene.subject)
    if not drawn:
        return ()
    worn = coat(scene)
    return _owned(_readable(scene, scene.subject, drawn(worn)), worn, 1)


def _owned(shapes: tuple[Shape, ...], worn: Coat, owner: int) -> tuple[Shape, ...]:
    """Return a subject's shapes with its number; those in the colour of its coat are dyed."""
    own = {worn.base, worn.lit, worn.shade}
    return tuple(replace(shape, owner=owner, dyed=not own.isdisjoint(shape.fill)) for shape in shapes)


def _readable(scene: Scene, subject: str | None, shapes: tuple[Shape, ...]) -> tuple[Shape, ...]:
    """Return the shapes so that they face the reader however the scene is flipped: signs, maps, letters."""
    turned = scene.reversed and subject and subject in figures() and figures()[subject].front
    return placed(shapes, 0, 0, 1, flip=True) if turned else shapes


def _together(scene: Scene) -> tuple[Shape, ...]:
    """Return several subjects as one group, where the prompt puts them."""
    blocks = []
    for number, actor in enumerate(scene.cast, 1):
        drawn = glyph_of(actor.subject)
        assert drawn

        def one(member: int, number: int = number, actor: Actor = actor, drawn: Glyph = drawn) -> Block:
            stream = scene.stream.child(f"cast{number}").child(member)
            worn = _coat(scene, actor.subject, actor.colour(member), stream)
            return block(actor.subject, _owned(drawn(worn), worn, number))

        blocks.append(rows(one, actor.count, stacked=actor.stacked))
    group = joined(blocks, [actor.relation for actor in scene.cast[1:]])
    # Flipping or mirroring a scene must not turn left into right.
    group = placed(group, 0, 0, 1, flip=True) if scene.reversed else group
    if scene.stance not in ("air", "float") and scene.kind != "underwater":
        return group
    return placed(group, 0, -0.5 * min(shape.ends()[1] for shape in group), 1)


def size_of(scene: Scene, frame: Frame) -> float:
    """Return the subject's size in units; a long frame has room for more, but nobody loses his head."""
    size = subjects()[scene.subject].size if scene.subject else 0.5
    size = 0.72 if is_group(scene) else size
    roomy = min(1.3, float((frame.w * frame.h) ** 0.3))
    return min(size * scene.zoom * roomy, 0.78 * frame.h)


def lamp(scene: Scene) -> RGB:
    """Return the light that falls on the cast: the hour's, weakened; nearly grey where a colour was named."""
    if scene.kind == "room":
        return (238, 214, 186) if scene.night else (255, 249, 240)
    tone = mix(scene.palette.lamp, (255, 255, 255), 0.32)
    if not any(actor.colours for actor in scene.cast):
        return tone
    grey = round(255 * brightness(tone))
    return mix(tone, (grey, grey, grey), 0.75)  # Pink stays pink by moonlight.


def place(scene: Scene, frame: Frame) -> tuple[float, float]:
    """Return the subject's x and its size."""
    aside = 0.1 if is_group(scene) else 0.7 if frame.w > 1 else 0.35
    x = frame.w * (0.5 + scene.side * aside)
    return min(max(x, 0.18), frame.w - 0.18), size_of(scene, frame)


def standing(scene: Scene, frame: Frame, y: float) -> Iterator[Mark]:
    """Yield the subject on the ground at y, with its shadow."""
    if not glyph_of(scene.subject):
        return
    x, size = place(scene, frame)
    yield from shadow(scene, x, y, size)
    yield from staged(scene, glyph(scene), x, y, size)


def shadow(scene: Scene, x: float, y: float, size: float) -> Iterator[Mark]:
    """Yield the shadow a standing thing throws away from the sun."""
    tone = under(dark(scene.palette.near, 0.6), scene.palette.lamp)
    lean = -0.22 * size * (1 if scene.sun > 0 else -1)
    yield shape(
        ellipse(x + lean * 0.6, y + 0.004, size * 0.52, size * 0.05), tone, soft=0.05 * size, alpha=0.5
    )
    yield shape(ellipse(x, y, size * 0.36, size * 0.028), tone, soft=0.03 * size, alpha=0.65)


def staged(scene: Scene, shapes: tuple[Shape, ...], x: float, y: float, size: float) -> Iterator[Mark]:
    """Yield a glyph in the hour's light."""
    yield from placed(lit(shapes, lamp(scene)), x, y, size, flip=scene.flip)


def aloft(scene: Scene, frame: Frame, y: float) -> Iterator[Mark]:
    """Yield the subject in the air about y."""
    if not glyph_of(scene.subject):
        return
    x, size = place(scene, frame)
    yield from staged(scene, glyph(scene), x, y, min(size, 2 * y))


def lamplight(scene: Scene, x: float, y: float, size: float) -> Iterator[Mark]:
    """Yield the lighthouse's beam and halo when it is dark or the weather bad."""
    if scene.time == "day" and scene.weather == "clear":
        return
    warm, side = (255, 246, 206), -1 if scene.flip else 1
    for s, alpha in ((side, 0.66), (-side, 0.46)):
        beam = polygon([(x, y - 0.012), (x + s * 2.2, y - 0.34), (x + s * 2.2, y + 0.02), (x, y + 0.012)])
        yield shape(beam, *((warm, scene.palette.haze) if s > 0 else (scene.palette.haze, warm)), across=True,
                    soft=0.03, alpha=alpha)  # fmt: skip
    yield Glow(x, y, size * 0.5, size * 0.5, warm, 0.85, 2.4)
