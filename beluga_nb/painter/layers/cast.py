"""The cast: the subject's glyph, coloured and placed in the scene."""

from collections.abc import Iterator
from dataclasses import replace

from beluga_nb.painter.colour import RGB, brightness, dark, mix, under
from beluga_nb.painter.figure import figures
from beluga_nb.painter.layers.ensemble import Block, block, joined, rows
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.marks import Glow, Mark, Shape, hazed, lit, placed, shape
from beluga_nb.painter.outline import ellipse, polygon
from beluga_nb.painter.reading import subjects
from beluga_nb.painter.scene import Actor, Scene
from beluga_nb.painter.stream import Stream
from beluga_nb.painter.subjects import Coat, Glyph, glyph_of

# Side, depth and size of up to twelve figures, nearest first.
PLACES = ((0.0, 0.0, 1.0), (-0.42, 0.5, 0.7), (0.4, 0.42, 0.76), (0.2, 0.95, 0.5), (-0.2, 0.85, 0.54),
          (0.56, 1.0, 0.44), (-0.56, 0.95, 0.46), (0.0, 1.25, 0.4), (0.36, 1.35, 0.36), (-0.36, 1.3, 0.38),
          (0.62, 1.45, 0.34), (-0.66, 1.4, 0.35))  # fmt: skip

Spot = tuple[float, float, float, float]  # x, y, size, depth


def coat(scene: Scene, stream: Stream, member: int = 0) -> Coat:
    """Return the colours the subject wears."""
    colour = scene.cast[0].colour(member) if scene.cast else scene.colour
    return _coat(scene, scene.subject or "bust", colour, stream)


def _coat(scene: Scene, subject: str, colour: RGB | None, stream: Stream) -> Coat:
    own = colour or subjects()[subject].colour
    return Coat(own, scene.palette.accent, scene.night, scene.moods, stream)


def is_group(scene: Scene) -> bool:
    """Return whether the cast is drawn as one group, not each by itself."""
    return len(scene.cast) > 1 or any(actor.stacked for actor in scene.cast)


def glyph(scene: Scene, member: int = 0) -> tuple[Shape, ...]:
    """Return the subject's shapes about the origin; empty when it has no glyph."""
    if is_group(scene):
        return _together(scene)
    drawn = glyph_of(scene.subject)
    if not drawn:
        return ()
    worn = coat(scene, scene.stream.child(f"cast{member}"), member)
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
    return placed(group, 0, 0.5, 1) if scene.stance in ("air", "float") else group


def size_of(scene: Scene, frame: Frame) -> float:
    """Return the subject's size in units; a long frame has room for more, but nobody loses his head."""
    size = subjects()[scene.subject].size if scene.subject else 0.5
    size = 0.72 if is_group(scene) else size
    roomy = min(1.3, float((frame.w * frame.h) ** 0.3))
    return min(size * scene.zoom * roomy * (0.86 if scene.count > 1 else 1.0), 0.78 * frame.h)


def lamp(scene: Scene) -> RGB:
    """Return the light that falls on the cast: the hour's, weakened; nearly grey where a colour was named."""
    if scene.kind == "room":
        return (238, 214, 186) if scene.night else (255, 249, 240)
    tone = mix(scene.palette.lamp, (255, 255, 255), 0.32)
    if not any(actor.colours for actor in scene.cast):
        return tone
    grey = round(255 * brightness(tone))
    return mix(tone, (grey, grey, grey), 0.75)  # Pink stays pink by moonlight.


def spots(scene: Scene, frame: Frame, y: float, *, rise: float = 0.1) -> list[Spot]:
    """Return where each fellow stands, the farthest first; y is where the nearest has its foot."""
    size, chance = size_of(scene, frame), scene.stream
    aside = 0.1 if is_group(scene) else 0.7 if frame.w > 1 else 0.35
    x0 = frame.w * (0.5 + scene.side * aside)
    found = []
    size *= 0.75 if scene.count > 6 else 1.0
    for member in range(scene.count):
        dx, depth, scale = PLACES[member]
        dx += chance.one(f"dx{member}", -0.04, 0.04) * (member > 0)
        x = x0 + dx * min(1.0, 0.62 * frame.w) * (1 if not scene.flip else -1)
        found.append((min(max(x, 0.18), frame.w - 0.18), y - depth * rise, size * scale, depth))
    return found[::-1]


def standing(scene: Scene, frame: Frame, y: float) -> Iterator[Mark]:
    """Yield the subject on the ground at y, with its shadow."""
    if not glyph_of(scene.subject):
        return
    for member, (x, foot, size, depth) in enumerate(spots(scene, frame, y)):
        yield from shadow(scene, x, foot, size)
        yield from staged(scene, glyph(scene, member), x, foot, size, depth)


def shadow(scene: Scene, x: float, y: float, size: float) -> Iterator[Mark]:
    """Yield the shadow a standing thing throws away from the sun."""
    tone = under(dark(scene.palette.near, 0.6), scene.palette.lamp)
    lean = -0.22 * size * (1 if scene.sun > 0 else -1)
    yield shape(
        ellipse(x + lean * 0.6, y + 0.004, size * 0.52, size * 0.05), tone, soft=0.05 * size, alpha=0.5
    )
    yield shape(ellipse(x, y, size * 0.36, size * 0.028), tone, soft=0.03 * size, alpha=0.65)


def staged(
    scene: Scene, shapes: tuple[Shape, ...], x: float, y: float, size: float, depth: float
) -> Iterator[Mark]:
    """Yield a glyph in the hour's light, hazier when farther."""
    shown = lit(shapes, lamp(scene))
    if depth:
        shown = hazed(shown, scene.palette.haze, 0.16 * depth)
    yield from placed(shown, x, y, size, flip=scene.flip)


def aloft(scene: Scene, frame: Frame, y: float) -> Iterator[Mark]:
    """Yield the subject in the air about y."""
    if not glyph_of(scene.subject):
        return
    for member, (x, at, size, depth) in enumerate(spots(scene, frame, y, rise=-0.02)):
        reach = 2.2 if scene.count > 5 else 1.0
        lift = reach * scene.stream.one(f"lift{member}", -0.14, 0.12) * (depth > 0)
        yield from staged(scene, glyph(scene, member), x, at + lift, size, depth)


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
