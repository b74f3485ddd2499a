"""An ensemble: several subjects as one group, each where the words put it: on, under, beside, holding."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from beluga_nb.painter.figure import figures
from beluga_nb.painter.marks import Shape, placed

WIDEST = 1.15  # of a group, for a height of one
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
    lines = next((n for n in range(1, 4) if -(-count // n) * wide <= LONGEST * high), min(4, count))
    columns = -(-count // lines)
    for k, each in enumerate(found):
        line, at = divmod(k, columns)
        across = min(columns, count - line * columns)
        found[k] = each.standing((at - (across - 1) / 2) * wide, -line * high)
    return found[0].with_(*found[1:]).standing(0.0)


def _clamped(a: Block, least: float, most: float) -> Block:
    """Return a block enlarged or reduced to a height between these."""
    size = min(max(a.height, least), most) / a.height
    return a.at(0, 0, size).standing(0.0) if size != 1 else a


def _beside(a: Block, b: Block) -> Block:
    a, b = _clamped(a, 0.3 * b.height, 9), _clamped(b, 0.3 * a.height, 9)
    gap = 0.06 * max(a.height, b.height)
    return a.with_(b.at(a.right + gap - b.left, 0))


def _right(a: Block, b: Block) -> Block:
    a, b = _clamped(a, 0.3 * b.height, 9), _clamped(b, 0.3 * a.height, 9)
    return a.with_(b.at(a.left - 0.06 * max(a.height, b.height) - b.right, 0))


def _on(a: Block, b: Block) -> Block:
    a = _clamped(a, 0.4 * b.height, 1.5 * b.height)
    if a.width > 1.5 * b.width:
        a = a.at(0, 0, 1.5 * b.width / a.width).standing(0.0)
    x, y, *_ = b.anchors.get("seat", (b.middle, -b.top))
    return _over(a.standing(x, -y + 0.015), b)


def _over(a: Block, b: Block) -> Block:
    """Return a drawn over b, keeping a's anchors."""
    return a.with_(b, behind=True)


def _riding(a: Block, b: Block) -> Block:
    a = _clamped(a, 0.6 * b.height, 1.1 * b.height)
    x, y, *_ = b.anchors.get("seat", (b.middle, 0.74 * b.height))
    return a.standing(x, -y + 0.42 * a.height).with_(b)


def _under(a: Block, b: Block) -> Block:
    if b.subject == "umbrella":
        return _holding(a, b)
    low = b.subject in ("table", "bench", "chair", "bridge", "bed")
    a = _clamped(a, 0.2 * b.height, (0.5 if low else 0.62) * b.height)
    return _over(a.standing(b.middle - (0.0 if low else 0.16 * b.width), 0.02), b)


def _behind(a: Block, b: Block) -> Block:
    a = _clamped(a, 1.15 * b.height, 9)
    return a.standing(b.middle + 0.3 * b.width, -0.05).with_(b)


def _front(a: Block, b: Block) -> Block:
    b = _clamped(b, 1.2 * a.height, 9)
    return _over(a.standing(b.middle - 0.22 * b.width, 0.05), b)


def _in(a: Block, b: Block) -> Block:
    a = _clamped(a, 0.6 * b.height, 0.9 * b.height)
    a = a.at(0, 0, min(1.0, 0.8 * b.width / a.width)).standing(b.middle, b.top + 0.4 * b.height)
    return a.with_(b)


def _above(a: Block, b: Block) -> Block:
    a = _clamped(a, 0.3 * b.height, 0.9 * b.height)
    return a.standing(b.middle, b.top - 0.1 * b.height).with_(b)


def _holding(a: Block, b: Block) -> Block:
    x, y, *_ = a.anchors.get("hand", (a.left + 0.12 * a.width, 0.42 * a.height))
    if b.subject in ("umbrella", "balloon", "flag"):
        b = _clamped(b, 0.8 * a.height, 0.9 * a.height)
        # Behind the one who holds it, whose face shows.
        return _over(a, b.standing(x, -y + 0.06 * a.height))
    b = _clamped(b, 0.25 * a.height, 0.45 * a.height)
    return a.with_(b.standing(x, -y + b.height / 2))


def _wearing(a: Block, b: Block) -> Block:
    x, y, wide = a.anchors.get("head", (a.left + 0.2 * a.width, 0.86 * a.height, 0.3 * a.height))
    share, lift = figures()[b.subject].worn
    b = b.at(0, 0, share * wide / b.width)
    bottom = -y - lift * wide
    return a.with_(b.standing(x, bottom))


def _between(a: Block, b: Block) -> Block:
    b = _clamped(b, a.height, 9)
    gap = 0.5 * a.width + 0.08 * a.height
    return a.with_(b.at(gap - b.left, 0), b.at(-gap - b.right, 0))


Placing = Callable[[Block, Block], Block]
PLACINGS: Mapping[str, Placing] = {
    "beside": _beside,
    "left": _beside,
    "right": _right,
    "on": _on,
    "riding": _riding,
    "under": _under,
    "behind": _behind,
    "front": _front,
    "in": _in,
    "above": _above,
    "holding": _holding,
    "wearing": _wearing,
    "between": _between,
}


def joined(blocks: Sequence[Block], relations: Sequence[str]) -> tuple[Shape, ...]:
    """Return the blocks as one group about one unit high, its foot at the origin."""
    group = blocks[0]
    for following, relation in zip(blocks[1:], relations, strict=True):
        if relation.endswith("<"):
            group = PLACINGS[relation[:-1]](following, group)
        elif relation == "between" and len(blocks) == 3:
            group = _beside(_beside(following, group), blocks[2])
            break
        else:
            group = PLACINGS[relation](group, following)
    size = 1 / max(group.height, group.width / WIDEST)
    return group.at(0, 0, size).standing(0.0).shapes
