"""A poster: the prompt's own words, large, where nothing in them can be drawn."""

from collections.abc import Iterator

import numpy as np

from beluga_nb.painter.colour import RGB, brightness, dark, light, mix, vivid
from beluga_nb.painter.layers.frame import Frame
from beluga_nb.painter.lettering import LEADING, Lettering, fitted, letters
from beluga_nb.painter.marks import Glow, Mark, Mist, Wash, shape
from beluga_nb.painter.outline import box, ellipse, polygon, ring
from beluga_nb.painter.scene import Scene
from beluga_nb.painter.stream import Stream, seed_of

MOST_LETTERS = 140
Colours = tuple[RGB, RGB, RGB, RGB]  # ground, letters, and two for the forms behind them


def poster(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield a ground, a few forms, and the words."""
    stream = Stream(seed_of(scene.seed, scene.text))
    colours = _colours(scene, stream)
    ground = colours[0]
    yield Wash((light(ground, 0.12), ground, dark(ground, 0.12)), 0, frame.h)
    yield Glow(frame.w * (0.5 + 0.3 * scene.sun), 0.1 * frame.h, 0.8, 0.8, light(ground, 0.4), 0.35)
    yield Mist(stream.child("grain"), light(ground, 0.3), -0.1, frame.h + 0.1, 0.16, (3, 3), 0.4, 0.4)
    yield from stream.pick("form", (_discs, _bands, _rings, _steps))(stream, frame, colours)
    yield from _words(scene.text, frame, colours)


def _colours(scene: Scene, stream: Stream) -> Colours:
    hue = stream.one("hue", 0, 360)
    own = scene.colour or vivid(hue, 0.55, 0.7)
    turn = stream.pick("turn", (35, 150, 180, 210))
    other = vivid(hue + turn, 0.62, 0.75) if scene.colour is None else light(own, 0.35)
    if scene.night or "dark" in scene.moods or stream.one("night") < 0.4:
        ground, ink = mix(dark(own, 0.85), (16, 16, 34), 0.4), (250, 246, 236)
    else:
        ground, ink = mix((248, 242, 228), own, 0.12), mix((24, 22, 34), own, 0.1)
    if "calm" in scene.moods:
        own, other = mix(own, ground, 0.4), mix(other, ground, 0.4)
    return ground, ink, own, other


def _discs(stream: Stream, frame: Frame, colours: Colours) -> Iterator[Mark]:
    """Yield one great disc and a small one."""
    x, r = frame.w * stream.one("x", 0.55, 0.8), stream.one("r", 0.28, 0.36)
    disc = ellipse(x, frame.h * 0.36, r, r, n=96)
    yield shape(disc, light(colours[2], 0.25), colours[2], dark(colours[2], 0.25), ink=False)
    small = ellipse(x - r * 0.95, frame.h * 0.36 + r * 0.62, r * 0.3, r * 0.3, n=64)
    yield shape(small, light(colours[3], 0.3), colours[3], ink=False)


def _bands(stream: Stream, frame: Frame, colours: Colours) -> Iterator[Mark]:
    """Yield slanting bands from an upper corner."""
    wide, lean = stream.one("wide", 0.07, 0.11), 0.7
    for k in range(5):
        x = frame.w - 0.1 - 1.7 * k * wide
        band = polygon(
            [(x, -0.02), (x + wide, -0.02), (x + wide + lean, frame.h * 0.62), (x + lean, frame.h * 0.62)]
        )
        tone = mix(colours[2], colours[3], k / 4)
        yield shape(band, light(tone, 0.15), dark(tone, 0.2), alpha=0.95, ink=False)


def _rings(stream: Stream, frame: Frame, colours: Colours) -> Iterator[Mark]:
    """Yield rings about a corner."""
    x = frame.w * stream.pick("corner", (0.98, 0.8))
    for k in range(6):
        r = 0.14 + 0.095 * k
        tone = colours[2 + k % 2]
        yield shape(ring(x, 0.06, r, 0.055, n=120), light(tone, 0.2), dark(tone, 0.15), ink=False)


def _steps(stream: Stream, frame: Frame, colours: Colours) -> Iterator[Mark]:
    """Yield bars of different heights along the top."""
    heights = stream.many("heights", 7, 0.12, 0.46) * frame.h
    for k, (left, height) in enumerate(zip(np.linspace(0, frame.w, 8), heights, strict=False)):
        tone = mix(colours[2], colours[3], k / 6)
        yield shape(box(left, -0.1, left + frame.w / 7, height), light(tone, 0.2), tone, ink=False)


def _words(text: str, frame: Frame, colours: Colours) -> Iterator[Mark]:
    """Yield the words, set from the left and standing on the lower margin."""
    margin = 0.085
    text = text if len(text) <= MOST_LETTERS else text[:MOST_LETTERS].rsplit(" ", 1)[0] + " ..."
    lines, size = fitted(text, frame.w - 2 * margin, 0.66 * frame.h, largest=0.3)
    top = frame.h - margin - 0.05 - len(lines) * LEADING * size
    ink = colours[1]
    # Letters on the forms need a quiet ground.
    veil = colours[0]
    yield shape(
        box(-0.2, top - 0.5 * size, frame.w + 0.2, frame.h + 0.2), veil, soft=0.12, alpha=0.82, ink=False
    )
    rule = dark(colours[2], 0.1) if brightness(colours[0]) > 0.5 else light(colours[2], 0.2)
    yield shape(box(margin, top - 0.045, margin + 0.16, top - 0.03), rule, ink=False)
    for k, line in enumerate(lines):
        yield Lettering(line, margin, top + k * LEADING * size, size, ink, 0.022)
    if "\u25a0" in letters(text):
        note = "Blocks: letters that the built-in font does not have."
        yield Lettering(note, margin, frame.h - margin + 0.012, 0.026, ink)
