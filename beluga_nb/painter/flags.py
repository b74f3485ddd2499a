"""Flags: a line of `flags.toml` is a design and a country's names, and becomes a figure here.

A design is a list of shapes on a cloth of width and height 1, from its upper left corner. Each has the
letters of its colours, and numbers: `h` and `v` are stripes, `disc`, `ring`, `star`, `moon` and `arms` have
x, y and a radius in heights.
"""

import math
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

DATA = Path(__file__).with_name("flags.toml")
PREFIX = "flag-of-"
WIDE, HIGH, LEFT, TOP = 96.0, 64.0, -46.0, 104.0  # of the cloth, in hundredths of the figure's height
JACK = "box:n,0,0,1,1 salt:w,.2 salt:r,.07 cross:wr,.5"
LANGUAGES = ("de", "fr", "es", "zh", "ja", "words")

Point = tuple[float, float]
Entry = Mapping[str, object]


@cache
def _data() -> Mapping[str, Mapping[str, str]]:
    return tomllib.loads(DATA.read_text(encoding="utf-8"))


def flags() -> Iterator[tuple[str, str]]:
    """Yield the name and the text of each figure."""
    for country, line in _data()["flags"].items():
        design, *names = line.split(" / ")
        names += [""] * (len(LANGUAGES) - len(names))
        names[-1] = ", ".join(filter(None, [country.replace("-", " "), names[-1]]))
        listed = zip(LANGUAGES, (name.replace(",", "?,") for name in names), strict=True)
        words = "".join(f'{language} = "{each}?"\n' for language, each in listed if each)
        yield PREFIX + country, f'{words}size = 0.62\nfacing = "front"\nflag = "{design}"\n'


def parts_of(design: str) -> list[Entry]:
    """Return a flag on its pole as parts of a figure; raises `ValueError` or `KeyError` for no design."""
    colours = _data()["colours"]
    cloth = [
        {form: numbers, "fill": colours[colour], "within": "cloth", "ink": False}
        for colour, form, numbers in _shapes(design)
    ]
    return [
        {"line": "-47,0 -47,107", "widths": "3", "fill": "#8a8f98"},
        {"ellipse": "-47 108 3.4", "fill": "gold"},
        {"box": "-46 104 50 40", "fill": "#888888", "name": "cloth"},
        *cloth,
    ]


def _shapes(design: str, scale: float = 1.0) -> Iterator[tuple[str, str, str]]:
    """Yield the colour, the form and the numbers of each shape, as a part of a figure has them."""

    def polygon(points: list[Point]) -> tuple[str, str]:
        placed = (f"{LEFT + WIDE * x * scale:.1f},{TOP - HIGH * y * scale:.1f}" for x, y in points)
        return "polygon", " ".join(placed)

    def box(left: float, top: float, right: float, bottom: float) -> tuple[str, str]:
        return polygon([(left, top), (right, top), (right, bottom), (left, bottom)])

    def round_(form: str, x: float, y: float, *radii: float) -> tuple[str, str]:
        numbers = (LEFT + WIDE * x, TOP - HIGH * y, *(HIGH * r for r in radii))
        return form, " ".join(f"{number:.1f}" for number in numbers)

    def star(points: int, inner: float, x: float, y: float, radius: float) -> tuple[str, str]:
        tips = ((radius * (inner if k % 2 else 1), math.pi * k / points) for k in range(2 * points))
        return polygon([(x + r * math.sin(a) * HIGH / WIDE, y - r * math.cos(a)) for r, a in tips])

    for at, token in enumerate(design.split()):
        head, *numbers = token.split(",")
        kind, _, colours = head.partition(":")
        n = [float(number) for number in numbers]
        colour, behind = colours[:1], colours[1:]
        match kind:
            case "jack":
                yield from _shapes(JACK, 0.5 if at else 1.0)
            case "f":
                yield colour, *box(0, 0, 1, 1)
            case "h" | "v":
                for k, each in enumerate(colours):
                    a, b = k / len(colours), (k + 1) / len(colours)
                    yield each, *(box(0, a, 1, b) if kind == "h" else box(a, 0, b, 1))
            case "box":
                yield colour, *box(*n)
            case "poly":
                yield colour, *polygon(list(zip(n[::2], n[1::2], strict=True)))
            case "tri":
                yield colour, *polygon([(0, 0), (n[0] if n else 0.4, 0.5), (0, 1)])
            case "cross":
                middle, first = (n[0] if n else 0.36), (n[1] if n[1:] else 0.24)
                for each, wide in zip(colours, (first, first / 2), strict=False):
                    half = wide / 2 * HIGH / WIDE
                    yield each, *box(0, 0.5 - wide / 2, 1, 0.5 + wide / 2)
                    yield each, *box(middle - half, 0, middle + half, 1)
            case "plus":
                x, y, size = n
                for wide, high in ((size, size / 3), (size / 3, size)):
                    half = wide / 2 * HIGH / WIDE * 2
                    yield colour, *box(x - half, y - high, x + half, y + high)
            case "salt":
                w = n[0]
                yield colour, *polygon([(-w / 2, 0), (w / 2, 0), (1 + w / 2, 1), (1 - w / 2, 1)])
                yield colour, *polygon([(1 - w / 2, 0), (1 + w / 2, 0), (w / 2, 1), (-w / 2, 1)])
            case "disc":
                yield colour, *round_("ellipse", *n)
            case "ring":
                yield colour, *round_("ring", *n, n[2] / 4)
            case "moon":
                x, y, radius, right, down = (*n, 0.35, 0.0)[:5]
                yield colour, *round_("ellipse", x, y, radius)
                inner = x + right * radius * HIGH / WIDE, y + down * radius
                yield behind, *round_("ellipse", *inner, 0.82 * radius)
            case "star":
                yield colour, *star(5, 0.4, *n)
            case "sun":
                yield colour, *star(int(n[3]) if n[3:] else 14, 0.62, *n[:3])
            case "arms":
                x, y, radius = n
                for each, r in zip(colours, (radius, radius * 0.6), strict=False):
                    w = r * HIGH / WIDE * 0.8
                    shield = [(-w, -r), (w, -r), (w, r * 0.2), (0, r), (-w, r * 0.2)]
                    yield each, *polygon([(x + dx, y + dy) for dx, dy in shield])
            case _:
                raise ValueError(f"{kind!r} is no shape of a flag.")
