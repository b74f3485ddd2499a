"""How far the calls of a session are, and what a Stop leaves behind, such as calls that may be billed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial

import beluga_nb.session.status as status
from beluga_nb.compare.workspace import Arriving
from beluga_nb.engines.call import Tally
from beluga_nb.errors import BelugaError
from beluga_nb.progress.watched import watched
from beluga_nb.session.resources import Resources

Watching = AbstractContextManager[tuple[Tally, Callable[[], None]]]
"""A block in which progress is shown; it begins with a tally to count in, and the heartbeat."""


@contextmanager
def calling(
    resources: Resources,
    tally: Tally | None = None,
    *,
    label: str = "",
    arrivals: Callable[[], Arriving] | None = None,
) -> Iterator[tuple[Tally, Callable[[], None]]]:
    """Show how far a call is; where it is stopped, say what may have been billed."""
    tally = tally or Tally()
    tally.label = label
    with watched(tally, left=partial(left_of, resources, tally), arrivals=arrivals) as beat:
        yield tally, beat


@contextmanager
def working(
    resources: Resources, label: str, *, unit: str, progress: bool | None, left: Sequence[str]
) -> Iterator[tuple[Tally, Callable[[], None]]]:
    """Show how far work is that asks for no pictures; `left` are two lines of what a Stop leaves behind."""
    tally = Tally(label=label, unit=unit, settings=resources.settings(progress=progress))
    with watched(tally, left=lambda: left) as beat:
        yield tally, beat


def left_of(resources: Resources, tally: Tally) -> list[str]:
    """Return two lines on what a Stop leaves behind of the calls that a tally counts."""
    mode = "auto"
    with suppress(BelugaError):  # A store that cannot be read hides no interrupt.
        mode = (tally.settings or resources.settings()).mode
    return lines(mode, unfinished(resources, tally))


def unfinished(resources: Resources, tally: Tally) -> str:
    """Return, in words, which calls counted in a tally have no result; earlier calls are not counted."""
    with suppress(BelugaError):
        settings = tally.settings or resources.settings()
        return status.unfinished(resources, settings, tally.calls) if settings.uses_store else ""
    return ""


def lines(mode: str, unfinished: str) -> list[str]:
    """Return two lines on calls that were stopped."""
    # Whether anything was requested is not known here: a call may have begun at the moment of the Stop.
    first = "what has arrived is kept" if mode != "off" else "nothing is kept in mode off"
    again = {
        "off": "A service may charge for what it had begun. Run it again to request it anew.",
        "refresh": "Run it again in mode refresh: all of it is sampled anew.",
    }.get(mode, "Run it again: only what is missing is requested.")
    return [f"stopped; {first}.", f"Unfinished: {unfinished}. {again}" if unfinished else again]
