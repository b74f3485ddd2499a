"""Figures: drawings as data. A TOML file holds the words, the home and the parts of each; `docs/figures.md`.

Coordinates are hundredths of the figure's height: x to the right of its middle, y up from the ground.
"""

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import ImageColor

from beluga_nb.errors import SettingsError
from beluga_nb.painter.colour import RGB, brightness, dark, light, rgb
from beluga_nb.painter.flags import DATA as FLAGS
from beluga_nb.painter.flags import flags, parts_of
from beluga_nb.painter.forms import FORMS, Groups
from beluga_nb.painter.marks import Shape
from beluga_nb.painter.outline import Outline, moved, turned
from beluga_nb.painter.stream import Floats, Stream

FOLDER = "BELUGA_FIGURES"
"""The environment variable that names a folder of your own figures."""
BUILT_IN = Path(__file__).parent / "figures"
ENGLISH, *_ = LANGUAGES = ("words", "de", "fr", "es", "zh", "ja")
STANCES = ("ground", "floor", "air", "float", "sea", "bust", "scenery")
KINDS = (
    *("landscape", "forest", "mountain", "desert", "beach", "coast", "lake", "garden", "city"),
    *("underwater", "studio", "room", "space", "portrait"),
)


class FigureError(SettingsError):
    """A figure that cannot be drawn: names the file, the figure, the line and the part."""


@dataclass(frozen=True, slots=True)
class Source:
    """The text of a figure: the file it is in, the figure's name, and how many lines come before it."""

    path: str
    name: str
    before: int
    text: str

    def __str__(self) -> str:
        """Return how errors call it."""
        return f"{self.path}, figure {self.name}"


TITLE = re.compile(r"\n\[([\w-]+)\][ \t]*(?=\n)")


def sources(path: str | Path) -> Iterator[Source]:
    """Yield the figures of a file: each below its [name]; without one, it is named as the file."""
    with open(path, encoding="utf-8") as file:
        top, *titled = TITLE.split("\n" + file.read())
    before = 0
    for name, text in zip((Path(path).stem, *titled[::2]), (top, *titled[1::2]), strict=True):
        if "=" in text or not titled:
            yield Source(str(path), name, before, text[1:])
        before += text.count("\n") + 1


@dataclass(frozen=True, slots=True)
class Coat:
    """A figure's own colour, an accent, whether lamps are on, moods, a random stream."""

    base: RGB
    accent: RGB
    night: bool
    moods: tuple[str, ...]
    stream: Stream


Paint = Callable[[Coat], RGB]


@dataclass(frozen=True, slots=True)
class Figure:
    """What stands before a figure's parts: where it lives, how large it is; `drawn` has the parts.

    The anchors are (x, y) in the figure's height: where it sits, holds, looks from, and how wide its head is.
    What is worn has a width, of the wearer's head's, and how far its lower edge is above the head's middle.
    """

    drawn: Source
    kind: str
    stance: str
    size: float
    colour: RGB
    front: bool
    holds: bool
    worn: tuple[float, ...]
    anchors: Mapping[str, tuple[float, ...]]

    @property
    def written(self) -> bool:
        """Return whether a text of its own is set on it."""
        return "board = '" in self.drawn.text


@dataclass(frozen=True, slots=True)
class Part:
    """A shape of a figure, without its fill; within is the number of the part that limits it."""

    shape: Shape
    fill: tuple[Paint, ...]
    within: int | None
    when: str
    joint: str

    def shows(self, coat: Coat) -> bool:
        """Return whether the part is drawn in this coat: some are for the night or for one of some moods."""
        wanted = self.when.removeprefix("not ")
        met = not wanted or any(
            coat.night if mood == "night" else mood in coat.moods for mood in wanted.split(" or ")
        )
        return met != self.when.startswith("not ")


@dataclass(frozen=True, slots=True)
class Drawing:
    """The parts of a figure, the joints that bend them, and how far a mood bends which joint."""

    parts: tuple[Part, ...]
    joints: Mapping[str, tuple[float, float, float]]
    poses: Mapping[str, Mapping[str, float]]

    def shapes(self, coat: Coat) -> tuple[Shape, ...]:
        """Return the figure in a coat, facing left."""
        bends = {
            name: coat.stream.one(f"joint {name}", -sway, sway) for name, (_, _, sway) in self.joints.items()
        }
        for mood in coat.moods:
            bends |= self.poses.get(mood, {})
        placed = [tuple(self._bent(o, p.joint, bends) for o in p.shape.outlines) for p in self.parts]
        return tuple(
            replace(
                part.shape,
                outlines=placed[k],
                fill=tuple(paint(coat) for paint in part.fill),
                within=() if part.within is None else placed[part.within],
            )
            for k, part in enumerate(self.parts)
            if part.shows(coat)
        )

    def _bent(self, outline: Outline, joint: str, bends: Mapping[str, float]) -> Outline:
        if not joint or not bends[joint]:
            return outline
        x, y, _ = self.joints[joint]
        return moved(turned(moved(outline, -x, -y), bends[joint]), x, y)


# --- headers: their words are read for all figures, once


class Gallery(Mapping[str, Figure]):
    """Figures by name; each header is read when it is asked for."""

    def __init__(self, every: Iterable[Source]) -> None:
        """Hold these figures; a later one replaces one of the same name."""
        self.sources = {source.name: source for source in every}

    def __getitem__(self, name: str) -> Figure:
        """Return a figure's header."""
        return header(self.sources[name])

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(self.sources)

    def __len__(self) -> int:
        """Return how many figures there are."""
        return len(self.sources)

    def words(self) -> Iterator[tuple[str, list[str], str]]:
        """Yield (language, words, name) of all figures, first those that are the names themselves."""
        yield from ((ENGLISH, [name.replace("-", " ")], name) for name in self)
        for name, source in self.sources.items():
            entries = _header_of(source)
            for language in LANGUAGES:
                if language in entries:
                    # A prompt is read without its hyphens and apostrophes.
                    listed = str(entries[language]).lower()
                    for sign in "-'’":
                        listed = listed.replace(sign, " ")
                    yield language, [*map(str.strip, listed.split(","))], name


def figures(environ: Mapping[str, str] = os.environ) -> Gallery:
    """Return all figures; those of your own folder come after the built-in ones and replace them."""
    return _gallery(environ.get(FOLDER, ""))


@lru_cache(maxsize=4)
def _gallery(own: str) -> Gallery:
    if own and not Path(own).expanduser().is_dir():
        raise FigureError(
            f"{FOLDER} names {own!r}, which is no folder.", "Set it to a folder of *.toml files."
        )
    folders = [BUILT_IN, *([Path(own).expanduser()] if own else [])]
    paths = [sorted(folder.glob("*.toml")) for folder in folders]
    # By name, whatever file a figure is in: where two share a word, the order decides.
    found = [sorted((s for path in each for s in sources(path)), key=lambda s: s.name) for each in paths]
    cloths = (Source(str(FLAGS), name, 0, text) for name, text in flags())
    return Gallery(chain(cloths, *found))


PLAIN_LINE = re.compile(r'^(\w+) = (?:"([^"\\\n]*)"|([\d.]+))$', re.MULTILINE)


def _header_of(source: Source) -> Mapping[str, object]:
    """Return what stands before a figure's parts."""
    top = source.text.partition("\nparts")[0]
    found = PLAIN_LINE.findall(top)
    # TOML's own parser takes ten times as long, and all headers are read before the first picture.
    plain = len(found) == top.strip().count("\n") + 1
    return {name: word or number for name, word, number in found} if plain else _toml(source, top)


@cache
def header(source: Source) -> Figure:
    """Return what stands before a figure's parts; raises `FigureError` where that is not right."""
    entries = _header_of(source)
    known = {
        *LANGUAGES,
        *(
            "kind",
            "stance",
            "size",
            "colour",
            "facing",
            "like",
            "unit",
            "joints",
            "poses",
            "worn",
            "holds",
            "flag",
        ),
        *ANCHORS,
    }
    if strange := sorted({*entries} - known):
        raise FigureError(
            f"{source}: no {strange[0]!r} in a figure.", f"It may have: {', '.join(sorted(known))}."
        )
    kind, stance = str(entries.get("kind", "landscape")), str(entries.get("stance", "ground"))
    for name, value, options in (("kind", kind, KINDS), ("stance", stance, STANCES)):
        if value not in options:
            raise FigureError(f"{source}: {name} = {value!r}.", f"It is one of: {', '.join(options)}.")
    try:
        colour, size = rgb(str(entries.get("colour", "#b0a89c"))), float(str(entries.get("size", 0.5)))
        unit = float(str(entries.get("unit", 100)))
        worn = tuple(_numbers(str(entries.get("worn", "")))[0].tolist())
        if len(worn) not in (0, 2):
            raise ValueError(f"worn = {entries['worn']!r} is not a width and a lift")
        anchors = {
            a: tuple(float(n) / unit for n in _numbers(str(entries[a]))[0]) for a in ANCHORS if a in entries
        }
    except ValueError as error:
        raise FigureError(f"{source}: {error}.") from error
    like = str(entries.get("like", ""))
    drawn = {**figures().sources, **Gallery(sources(source.path)).sources} if like else {"": source}
    if like not in drawn:
        raise FigureError(f"{source}: like = {like!r}, but no figure has that name.")
    return Figure(
        drawn[like],
        kind,
        stance,
        size,
        colour,
        entries.get("facing") == "front",
        bool(entries.get("holds")),
        worn,
        anchors,
    )


ANCHORS = ("seat", "hand", "head")


def _toml(source: Source, text: str) -> dict[str, object]:
    try:
        return tomllib.loads("\n" * source.before + text)
    except tomllib.TOMLDecodeError as error:
        raise FigureError(f"{source}: {error}") from error


# --- parts: read when a figure is first drawn


def drawing(figure: Figure) -> Drawing:
    """Return a figure's parts; raises `FigureError` for one that cannot be drawn."""
    return _drawing(figure.drawn)


@cache
def _drawing(source: Source) -> Drawing:
    entries = _toml(source, source.text)
    unit = float(str(entries.get("unit", 100)))
    joints = {
        name: (x / unit, -y / unit, sway)
        for name, spec in _table(entries.get("joints")).items()
        for x, y, sway in [(*_numbers(str(spec))[0].tolist(), 0.0)[:3]]
    }
    poses = {
        pose: {name: float(str(bend)) for name, bend in _table(bends).items()}
        for pose, bends in _table(entries.get("poses")).items()
    }
    listed = parts_of(str(entries["flag"])) if "flag" in entries else entries.get("parts")
    if not isinstance(listed, list) or not listed:
        raise FigureError(f"{source}: it has no parts. A part is {{ellipse = '0 50 20', fill = 'base'}}.")
    rows = enumerate(source.text.split("\n"), source.before + 1)
    lines = [n for n, row in rows if re.match(r"\s*(parts = \[\s*)?\{", row)]
    parts: list[Part] = []
    names: dict[str, int] = {}
    for k, entry in enumerate(listed):
        try:
            parts.append(_part(_table(entry), unit, names, joints))
        except (ValueError, KeyError, TypeError) as error:
            line = f", line {lines[k]}" if len(lines) == len(listed) else ""
            raise FigureError(f"{source}{line}, part {k + 1}: {error}") from error
        if name := str(entry.get("name", "")):
            names[name] = k
    return Drawing(tuple(parts), joints, poses)


def _table(value: object) -> Mapping[str, object]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"A table was expected, not {value!r}.")
    return value


def _numbers(text: str) -> list[Floats]:
    """Return the numbers of each group; groups end with a semicolon, commas are spaces."""
    groups = [group.replace(",", " ").split() for group in text.split(";")]
    return [np.array([float(number) for number in group]) for group in groups]


KEYS = (
    *("fill", "across", "soft", "alpha", "within", "name", "ink", "when", "joint", "mirror"),
    *("repeat", "spin", "widths", "board"),
)


def _part(
    entry: Mapping[str, object], unit: float, names: Mapping[str, int], joints: Mapping[str, object]
) -> Part:
    forms = [key for key in entry if key in FORMS]
    if strange := [key for key in entry if key not in (*FORMS, *KEYS)]:
        raise ValueError(f"no {strange[0]!r} in a part. It may have: {', '.join((*FORMS, *KEYS))}.")
    if not forms:
        raise ValueError(f"it needs one of {', '.join(FORMS)}.")
    widths = [(w / unit).tolist() for w in _numbers(str(entry.get("widths", "4")))]
    outlines = [
        outline
        for form in forms
        for k, numbers in enumerate(_numbers(str(entry[form])))
        for outline in FORMS[form](_group(form, numbers, unit), widths[min(k, len(widths) - 1)], 0)
    ]
    outlines = list(_copies(outlines, entry, unit))
    within, joint = str(entry.get("within", "")), str(entry.get("joint", ""))
    if within and within not in names:
        raise ValueError(f"within = {within!r}, but no part before it has that name.")
    if joint and joint not in joints:
        raise ValueError(f"joint = {joint!r} is not in [joints].")
    shape = Shape(
        tuple(outlines),
        (),
        across=bool(entry.get("across", False)),
        soft=float(str(entry.get("soft", 0))) / unit,
        alpha=float(str(entry.get("alpha", 1))),
        ink=bool(entry.get("ink", True)),
        open=forms == ["ribbon"],
        board=board if isinstance(board := entry.get("board"), str) else bool(board),
    )
    fill = tuple(paint_of(token) for token in str(entry.get("fill", "base")).split())
    return Part(shape, fill, names[within] if within else None, str(entry.get("when", "")), joint)


NUMBERS: Mapping[str, tuple[str, int]] = {
    "ellipse": ("x y radius radius tilt", 3),
    "box": ("x y x y rounding", 4),
    "ring": ("x y radius width", 4),
    "leaves": ("x y radius radius number size", 6),
}
"""The numbers of each form that is not a list of points: what they mean, and how many it needs at least."""


def _group(form: str, numbers: Floats, unit: float) -> Groups:
    """Return the numbers of an outline in the figure's height, y down."""
    if form not in NUMBERS:
        if len(numbers) % 2 or len(numbers) < 4:
            raise ValueError(f"{len(numbers)} numbers are no list of points x,y.")
        return [(x / unit, -y / unit) for x, y in numbers.reshape(-1, 2).tolist()]
    meaning, least = NUMBERS[form]
    kinds = meaning.split()
    if not least <= len(numbers) <= len(kinds):
        raise ValueError(f"{len(numbers)} numbers do not make {form} = {meaning!r}.")
    scales = {"y": -unit, "tilt": 1.0, "number": 1.0}
    return [tuple(n / scales.get(kind, unit) for n, kind in zip(numbers.tolist(), kinds, strict=False))]


def _count_and_place(key: str, text: str) -> tuple[int, float, float]:
    numbers = _numbers(text)[0].tolist()
    if len(numbers) != 3:
        raise ValueError(f"{key} = {text!r} is not a number of copies, x and y.")
    n, x, y = numbers
    return int(n), x, y


def _copies(outlines: list[Outline], entry: Mapping[str, object], unit: float) -> Iterator[Outline]:
    """Yield the outlines, repeated along a line, round a centre, and mirrored, as a part asks for."""
    if "repeat" in entry:
        n, dx, dy = _count_and_place("repeat", str(entry["repeat"]))
        outlines = [moved(o, k * dx / unit, -k * dy / unit) for k in range(n) for o in outlines]
    if "spin" in entry:
        n, x, y = _count_and_place("spin", str(entry["spin"]))
        x, y = x / unit, -y / unit
        outlines = [moved(turned(moved(o, -x, -y), 360 / n * k), x, y) for k in range(n) for o in outlines]
    yield from outlines
    if entry.get("mirror") is not None and entry["mirror"] is not False:
        axis = 0.0 if entry["mirror"] is True else float(str(entry["mirror"])) / unit
        yield from (moved(o * (-1, 1), 2 * axis, 0) for o in outlines)


SKINS: tuple[RGB, ...] = ((242, 205, 176), (224, 172, 132), (176, 120, 84), (122, 80, 58))
GREY: RGB = (196, 194, 192)
HAIRS: tuple[RGB, ...] = ((44, 28, 24), (74, 46, 30), (22, 20, 28), (132, 78, 42))
ROLES: Mapping[str, Paint] = {
    "base": lambda coat: coat.base,
    # The sunny side: black stays black there.
    "lit": lambda coat: light(coat.base, min(0.34, 0.14 + 0.6 * brightness(coat.base))),
    "shade": lambda coat: dark(coat.base, 0.38),
    "deep": lambda coat: dark(coat.base, 0.66),
    "accent": lambda coat: coat.accent,
    "skin": lambda coat: coat.stream.pick("skin", SKINS),
    "hair": lambda coat: GREY if "aged" in coat.moods else coat.stream.pick("hair", HAIRS),
    "pane": lambda coat: (255, 222, 130) if coat.night else (150, 196, 216),
}
NAMED: Mapping[str, RGB] = {
    "white": (250, 248, 242),
    "ink": (28, 26, 34),
    "steel": (190, 198, 208),
    "rubber": (38, 38, 46),
    "wood": (154, 106, 62),
    "leaf": (84, 146, 70),
    "gold": (232, 190, 96),
    "red": (216, 50, 47),
}


TOKEN = re.compile(r"(#[0-9a-fA-F]{6}|[a-z]+)([+-](?:\d+(?:\.\d+)?|\.\d+))?")


@cache
def paint_of(token: str) -> Paint:
    """Return the paint of a role or colour; +0.3 makes it lighter, -0.3 darker.

    >>> paint_of("gold-0.5")(Coat((0, 0, 0), (0, 0, 0), False, (), Stream(1)))
    (123, 93, 63)
    """
    found = TOKEN.fullmatch(token)
    name, change = (found[1], float(found[2] or 0)) if found else ("", 0.0)
    colour = NAMED.get(name) or (rgb(name) if name.startswith("#") or name in ImageColor.colormap else None)
    if not colour and name not in ROLES:
        raise ValueError(f"{token!r} is no colour. Write base, lit, shade, deep, a CSS name or #rrggbb.")
    paint: Paint = (lambda _: colour) if colour else ROLES[name]
    if not change:
        return paint
    changed = light if change > 0 else dark
    return lambda coat: changed(paint(coat), abs(change))
