"""Scenery: places as data. A TOML file holds groups of parts, with formulas; `docs/figures.md` says more."""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from beluga_nb.painter.colour import mix, under
from beluga_nb.painter.forms import FORMS
from beluga_nb.painter.layers import cast
from beluga_nb.painter.layers.formula import Formula, constant, formula
from beluga_nb.painter.layers.functions import names_of
from beluga_nb.painter.lettering import Lettering, lettered
from beluga_nb.painter.marks import Glow, Mark, Mirror, Mist, Panes, Shape, Wash, placed, recoloured
from beluga_nb.painter.scene import OUTDOORS, Frame, Scene

FOLDER = Path(__file__).parent.parent / "scenes"

SHAPE_KEYS = ("fill", "across", "soft", "alpha", "within", "ink", "name", "widths", "steps")
KEYS: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(FORMS, SHAPE_KEYS),
    "wash": ("fill",),
    "glow": ("fill", "alpha", "power"),
    "mist": ("fill", "alpha", "cells", "threshold", "edge", "child"),
    "mirror": ("fill", "alpha", "wave", "smear", "fading", "child"),
    "panes": ("fill",),
    "letters": ("text", "fill", "weight"),
    "cast": ("lamp", "haze", "lift", "flip", "tilt"),
}
"""The forms of a part, and what else may stand in it. A part that uses a group sets any names for it."""
MARKS: Mapping[str, Callable[..., Mark]] = {
    "wash": lambda given, fill, _: Wash(fill, *given),
    "glow": lambda given, fill, _, **values: Glow(*given, *fill, **values),
    "mist": lambda given, fill, stream, **values: Mist(stream, *fill, *given, **values),
    "mirror": lambda given, fill, stream, **values: Mirror(
        given[0], given[1], fill[0], stream=stream, **values
    ),
    "panes": lambda given, fill, _: Panes(*given, *fill),
    "letters": lambda given, fill, _, text, **values: Lettering(text, *given, *fill, **values),
}
"""Marks of the numbers of a part, its fill, and its stream."""
LISTS = (*KEYS, "fill", "widths", "cells")
WORDS = ("use", "name", "within", "child")


@dataclass(frozen=True, slots=True)
class Part:
    """A mark, the cast, or the use of a group: its form, its properties as formulas, its words."""

    form: str
    values: Mapping[str, Formula]
    words: Mapping[str, str]
    when: Formula | None
    repeat: Formula | None


@dataclass(frozen=True, slots=True)
class Group:
    """Names that are set, in this order, and parts that are painted after that."""

    file: str
    names: Mapping[str, Formula]
    parts: tuple[Part, ...]


# --- reading


@cache
def groups(file: str) -> Mapping[str, Group]:
    """Return the groups of a file; raises ValueError for one that cannot be painted."""
    path = FOLDER / f"{file}.toml"
    found = {}
    for name, entries in tomllib.loads(path.read_text(encoding="utf-8")).items():
        where = f"{path}, [{name}]"
        parts = [_part(part, f"{where}, part {k}") for k, part in enumerate(entries.pop("parts"), 1)]
        try:
            found[name] = Group(file, {key: _plain(value) for key, value in entries.items()}, tuple(parts))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    return found


def _part(entry: Mapping[str, object], where: str) -> Part:
    forms = [key for key in entry if key in KEYS or key == "use"]
    if len(forms) != 1:
        raise ValueError(f"{where}: it needs one of {', '.join((*KEYS, 'use'))}.")
    form = forms[0]
    known = (form, "when", *KEYS.get(form, ()))
    if form != "use" and (strange := [key for key in entry if key not in known]):
        raise ValueError(f"{where}: no {strange[0]!r} beside {form!r}. It may have: {', '.join(known)}.")
    try:
        values = {key: _property(key, value) for key, value in entry.items() if key not in WORDS}
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error
    words = {key: str(value) for key, value in entry.items() if key in WORDS}
    return Part(form, values, words, values.pop("when", None), values.pop("repeat", None))


def _property(key: str, value: object) -> Formula:
    if key in FORMS:
        return _outlines(value if isinstance(value, list) else [value])
    return formula(f"({value},)") if key in LISTS else _plain(value)


def _plain(value: object) -> Formula:
    return formula(value) if isinstance(value, str) else constant(value)


def _outlines(texts: list[object]) -> Formula:
    """Return what gives for each text its groups of numbers, which stand between semicolons."""
    each = [[formula(f"({group.strip()},)") for group in str(text).split(";")] for text in texts]
    return lambda names: [[group(names) for group in outline] for outline in each]


# --- painting


def marks(scene: Scene, frame: Frame) -> Iterator[Mark]:
    """Yield the marks of a scene in the order in which they are painted."""
    scenery = Scenery(scene, frame)
    yield from scenery.marks(scene.kind)
    if scene.kind in OUTDOORS:
        yield from scenery.marks("weather")
    if "bokeh" in scene.camera:
        yield from scenery.marks("lens")


class Scenery:
    """A scene's place, and its cast, as marks."""

    def __init__(self, scene: Scene, frame: Frame) -> None:
        """Hold what is painted."""
        self._scene, self._frame = scene, frame

    def marks(self, file: str) -> Iterator[Mark]:
        """Yield the marks of a file's scenery in the order in which they are painted."""
        yield from self._group(groups(file)[file], self._names, {})

    @cached_property
    def _names(self) -> Mapping[str, Any]:
        return names_of(self._scene, self._frame) | cast.names_of(self._scene, self._frame)

    def _group(self, group: Group, names: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[Mark]:
        """Yield the marks of a group; its own names are set unless settings has them."""
        inner = {**names, **settings}
        for name, value in group.names.items():
            if name not in settings:
                inner[name] = value(inner)
        for part in group.parts:
            if part.form == "use":
                yield from self._used(part, inner, group.file)
            elif not part.when or part.when(inner):
                yield from self._mark(part, inner)

    def _mark(self, part: Part, names: dict[str, Any]) -> Iterator[Mark]:
        values = {key: value(names) for key, value in part.values.items()}
        stream = names["stream"]
        if "child" in part.words:
            stream = stream.child(part.words["child"].format_map(names))
        given = values.pop(part.form)
        fill = values.pop("fill", ())
        if part.form == "cast":
            yield from self._cast(*given, **values)
        elif part.form in MARKS:
            yield MARKS[part.form](given, fill, stream, **values)
        else:
            yield from self._shape(part, names, given, fill, values)

    def _used(self, part: Part, names: dict[str, Any], file: str) -> Iterator[Mark]:
        """Yield the marks of another group, perhaps several times: k is the number of each, n how many."""
        name, k, n = part.words["use"], names["k"], names["n"]
        group = groups(file).get(name) or groups(name.partition(".")[0])[name.rpartition(".")[2]]
        times = round(part.repeat(names)) if part.repeat else 1
        for turn in range(times):
            if part.repeat:
                names |= {"k": turn, "n": times}
            if part.when and not part.when(names):
                continue
            settings = {key: value(names) for key, value in part.values.items()}
            if "child" in part.words:
                settings["stream"] = names["stream"].child(part.words["child"].format_map(names))
            yield from self._group(group, names, settings)
        names |= {"k": k, "n": n}

    @cached_property
    def _glyph(self) -> tuple[Shape, ...]:
        return cast.glyph(self._scene)

    def _cast(
        self,
        x: float,
        y: float,
        size: float,
        *,
        lamp: Any = None,
        haze: Any = None,
        lift: float = 0,
        **values: Any,
    ) -> Iterator[Mark]:
        shapes = recoloured(self._glyph, lambda c: under(c, lamp)) if lamp else self._glyph
        shapes = placed(shapes, 0, lift, 1) if lift else shapes
        shapes = recoloured(shapes, lambda c: mix(c, haze, 0.04)) if haze else shapes
        for shape in placed(shapes, x, y, size, **{"flip": self._scene.flip, **values}):
            yield shape
            if shape.board:
                own = shape.board if isinstance(shape.board, str) else ""
                yield from lettered(shape, self._scene.letters or own)

    def _shape(
        self, part: Part, names: dict[str, Any], given: Any, fill: Any, values: dict[str, Any]
    ) -> Iterator[Mark]:
        form, widths, steps = FORMS[part.form], values.pop("widths", ()), values.pop("steps", 0)
        outlines = tuple(outline for groups in given for outline in form(groups, widths, steps))
        if "name" in part.words:
            names[part.words["name"]] = outlines
        within = names[part.words["within"]] if "within" in part.words else ()
        if outlines and fill:
            yield Shape(outlines, fill, within=within, **values)
