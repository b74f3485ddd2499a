"""An ensemble: several subjects as one group, each where the words put it: on, under, beside, holding."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import numpy as np

from beluga_nb.painter.figure import figures
from beluga_nb.painter.layers.formula import Formula, constant, formula
from beluga_nb.painter.marks import Shape, placed
from beluga_nb.painter.reading import table
from beluga_nb.painter.register import Register

WIDEST = 1.15  # of a group, for a height of one
LEAST_AREA = 0.032  # of a subject, in a group about one unit high: a hundredth of the picture
MOST_ENLARGED = 2.0  # times as large, at most, does each of three passes make a subject
LONGEST = 4.6  # of a row of equal things, for a height of one: few rows, so that all stand on the ground


@dataclass(frozen=True, slots=True)
class Block:
    """Shapes, their bounds, and the anchors of the first subject; y goes down, the ground is at 0."""

    shapes: tuple[Shape, ...]
    left: float
    top: float
    right: float
    bottom: float
    anchors: Mapping[str, tuple[float, ...]]
    subject: str
    more: float = 1.0
    """How many times as large as in the world it is beside others."""

    @property
    def middle(self) -> float:
        """Return the middle between left and right."""
        return (self.left + self.right) / 2

    @property
    def height(self) -> float:
        """Return how high it is."""
        return self.bottom - self.top

    @property
    def width(self) -> float:
        """Return how wide it is."""
        return self.right - self.left

    def at(self, x: float, y: float, size: float = 1.0) -> "Block":
        """Return it enlarged about the origin, then moved."""
        anchors = {
            name: (a[0] * size + x, a[1] * size - y, *(more * size for more in a[2:]))
            for name, a in self.anchors.items()
        }
        ends = (self.left * size + x, self.top * size + y, self.right * size + x, self.bottom * size + y)
        return Block(placed(self.shapes, x, y, size), *ends, anchors, self.subject)

    def standing(self, x: float, y: float = 0.0) -> "Block":
        """Return it with the middle of its foot here."""
        return self.at(x - self.middle, y - self.bottom)

    def enlarged(self, size: float) -> "Block":
        """Return it so many times as large, its foot at the origin."""
        return self.at(0, 0, size).standing(0.0) if size != 1 else self

    def with_(self, *others: "Block", behind: bool = False) -> "Block":
        """Return this and others as one, drawn after them or before them."""
        every = (*others, self) if behind else (self, *others)
        return Block(
            tuple(shape for block in every for shape in block.shapes),
            min(b.left for b in every),
            min(b.top for b in every),
            max(b.right for b in every),
            max(b.bottom for b in every),
            self.anchors,
            self.subject,
        )


def block(subject: str, shapes: Sequence[Shape]) -> Block:
    """Return a subject's shapes at their size in the world."""
    size = figures()[subject].size
    owned = placed(shapes, 0, 0, size)
    firm = [s for s in owned if s.soft < 0.07 * size and s.alpha > 0.5]  # no halo, no steam
    lefts, tops, rights, bottoms = zip(*(s.ends() for s in firm or owned), strict=True)
    anchors = {k: tuple(n * size for n in a) for k, a in figures()[subject].anchors.items()}
    ends = min(lefts), min(tops), max(rights), max(bottoms)
    return Block(owned, *ends, anchors, subject).standing(0.0)


def rows(one: Callable[[int], Block], count: int, *, stacked: bool = False) -> Block:
    """Return equal things in rows, as large as they fit, or one on the other; one draws the nth."""
    if stacked:
        nearest = one(0)
        tower = nearest
        for k in range(1, max(2, count)):
            tower = tower.with_(one(k).standing(nearest.middle, tower.top + 0.12 * nearest.height))
        return tower
    found = [one(k) for k in range(count)]
    wide, high = 1.08 * max(each.width for each in found), 1.06 * max(each.height for each in found)
    fitting = (n for n in range(1, 4) if -(-count // n) * wide <= LONGEST * high and count // n > 1)
    lines = next(fitting, max(1, min(3, count // 2)))  # one above another looks like a stack
    columns = -(-count // lines)
    for k, each in enumerate(found):
        line, at = divmod(k, columns)
        across = min(columns, count - line * columns)
        found[k] = each.standing((at - (across - 1) / 2) * wide, -line * high)
    return found[0].with_(*found[1:]).standing(0.0)


@cache
def _rules() -> Mapping[str, Mapping[str, Formula]]:
    """Return the formulas of each relation of two subjects, a and b, in order; lexicon.toml explains them."""
    rules = {name: table("lexicon.toml", "relation", name) for name in table("lexicon.toml", "relation")}
    return {
        name: {key: formula(str(text)) for key, text in rule.items() if key != "words"}
        for name, rule in rules.items()
    }


def related(a: Block, b: Block, relation: str) -> Block:
    """Return two blocks as one, each as large and where the relation puts it; a's anchors are kept."""
    names = {"like": "", "b_moves": False, "behind": False, **_names(a, b)}
    if like := _rules()[relation].get("like", constant(""))(names):
        return related(a, b, like)
    common = min(a.more, b.more)
    more = a.more / common, b.more / common
    for key, value in _rules()[relation].items():
        if key == "x":  # Sizes are known: what would be too small to see is now larger than its rule has it.
            a, b = a.enlarged(more[0]), b.enlarged(more[1])
            names |= _names(a, b)
        names[key] = value(names)
        if key in ("a", "b"):
            a, b = (a.enlarged(names["a"]), b) if key == "a" else (a, b.enlarged(names["b"]))
            names |= _names(a, b)
    places = [(x, -names["y"]) for x in np.atleast_1d(names["x"]).tolist()]
    if names["b_moves"]:
        group = a.with_(*(b.standing(*place) for place in places), behind=bool(names["behind"]))
    else:
        group = a.standing(*places[0]).with_(b, behind=not names["behind"])
    return replace(group, more=common)


def _names(a: Block, b: Block) -> dict[str, Any]:
    """Return what the formulas of a relation may ask of its two blocks; y goes up there."""
    share, lift = figures()[b.subject].worn or (1.0, 0.0)
    names = {
        "seat": b.anchors.get("seat", (b.middle, -b.top)),
        "saddle": b.anchors.get("seat", (b.middle, 0.74 * b.height)),
        "hand": a.anchors.get("hand", (a.left + 0.12 * a.width, 0.42 * a.height)),
        "head": a.anchors.get("head", (a.left + 0.2 * a.width, 0.86 * a.height, 0.3 * a.height)),
        **{"share": share, "lift": lift, "thing": b.subject},
    }
    for name, block in (("a", a), ("b", b)):
        names |= {f"{name}_wide": block.width, f"{name}_high": block.height, f"{name}_x": block.middle}
        names |= {f"{name}_left": block.left, f"{name}_right": block.right, f"{name}_top": -block.top}
    return names


def joined(blocks: Sequence[Block], relations: Sequence[str]) -> tuple[Shape, ...]:
    """Return the blocks as one group about one unit high, its foot at the origin, and all large enough."""
    group = _group(blocks, relations)
    for _ in range(3):  # what one gains, the others lose
        areas = _areas(group, [each.shapes[0].owner for each in blocks])
        sizes = [min(MOST_ENLARGED, max(1.0, (LEAST_AREA / max(area, 1e-9)) ** 0.5)) for area in areas]
        if max(sizes) == 1:
            break
        blocks = [replace(each, more=each.more * size) for each, size in zip(blocks, sizes, strict=True)]
        group = _group(blocks, relations)
    return group.shapes


def _areas(group: Block, owners: Sequence[int]) -> list[float]:
    """Return how much of a square unit each actor would cover if no other one covered it."""
    register = Register(max(owners))
    frame = max(group.width, 0.01), max(group.height, 0.01)
    for _ in register.noting(placed(group.shapes, -group.left, -group.top, 1), *frame):
        pass
    wholes = [cover.whole * frame[0] * frame[1] for cover in register.covers]
    return [wholes[owner - 1] for owner in owners]


def _group(blocks: Sequence[Block], relations: Sequence[str]) -> Block:
    group = blocks[0]
    others = list(zip(blocks[1:], relations, strict=True))
    while others:
        following, relation = others.pop(0)
        if relation.endswith("<"):
            group = related(following, group, relation[:-1])
        elif relation == "between" and others and others[0][1] == "beside":
            group = related(related(following, group, "beside"), others.pop(0)[0], "beside")
        else:
            group = related(group, following, relation)
    size = 1 / max(group.height, group.width / WIDEST)
    return group.at(0, 0, size).standing(0.0)
