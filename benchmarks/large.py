"""Large grids and many votes: planning, showing and running so many cells, and ranking so many votes."""

from __future__ import annotations

import random
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from benchmarks.machine import peak, resident
from benchmarks.rows import MODEL, Job, Measures, Row, timed

if TYPE_CHECKING:
    from beluga_nb.compare.grid import Grid
    from beluga_nb.compare.vote import Duel
    from beluga_nb.request import Request
    from beluga_nb.result import Result
    from beluga_nb.session.session import Session

CELLS = (1_000, 10_000, 100_000)
COLUMNS = 10


async def tiny(request: Request) -> Result:
    """Answer with a picture of 8 x 8 that no other prompt has."""
    from PIL import Image

    from beluga_nb.result import Result

    number, written = int(request.prompt.split()[-1]), BytesIO()
    Image.new("RGB", (8, 8), (number % 256, number // 256 % 256, len(request.prompt))).save(written, "PNG")
    return Result.of(request, [written.getvalue()], engine="tiny")


def session_in(job: Job, mode: str) -> Session:
    """Return a session whose engine costs next to nothing."""
    from beluga_nb.session.session import Session

    return Session(engine=tiny, environ={}, folder=job.folder, mode=mode, progress=False)


def made(session: Session, cells: int) -> Grid:
    """Return a grid of so many cells."""
    styles = [f"style {'x' * number}" for number in range(COLUMNS)]
    return session.grid("{{style}} {{number}}", style=styles, number=range(cells // COLUMNS), model=MODEL)


def plan(job: Job) -> Measures:
    """Make a grid and plan it: which requests, how many pictures, what they cost."""
    session, before = session_in(job, "off"), resident()
    grids: list[Grid] = []

    def work() -> None:
        grids.append(made(session, job.size))
        assert grids[0].plan().images == job.size

    return {**timed(work), "grown": resident() - before}


def shown(job: Job) -> Measures:
    """Show a grid that is planned."""
    grid = made(session_in(job, "off"), job.size)
    html = grid._repr_mimebundle_()["text/html"]
    return {**timed(grid._repr_mimebundle_, repeat=3), "bytes": len(html)}


def run(mode: str, job: Job) -> Measures:
    """Run a grid; memory is what a planned cell grows by when its picture is there."""
    grid = made(session_in(job, mode), job.size)
    before = resident()

    def work() -> None:
        grid.run(assume_yes=True)
        assert grid.counts["done"] == job.size, grid.counts

    return {**timed(work), "grown": resident() - before, "mib": peak()}


def votes(count: int) -> list[Duel]:
    """Return so many votes on ten models, with twenty on each prompt."""
    from beluga_nb.compare.vote import Duel

    rng, cast = random.Random(1), []
    prompts = [(("animal", f"animal {number}"),) for number in range(count // 20)]
    for _ in range(count):
        one, other = rng.sample(range(10), 2)
        answer, prompt = rng.choice(("left", "right", "tie")), rng.choice(prompts)
        voter = f"voter {rng.randrange(50)}"
        cast.append(Duel(f"model {one}", f"model {other}", answer, prompt, (prompt, 0), voter))
    return cast


def rank(job: Job) -> Measures:
    """Rank ten models by votes that are read."""
    from beluga_nb.compare.rank import ranking

    cast = votes(job.size)
    return {**timed(lambda: ranking(cast, by="model")), "mib": peak()}


ROWS = {
    "plan": Row("a grid of so many cells, made and planned", {"beluga_nb": plan}, CELLS, rounds=1),
    "shown": Row("a planned grid of so many cells, shown", {"beluga_nb": shown}, CELLS, rounds=1),
    "run": Row(
        "a grid of so many cells, run with pictures of 8 x 8, not recorded",
        {"beluga_nb": partial(run, "off")},
        CELLS,
        rounds=1,
    ),
    "run-recorded": Row(
        "a grid of so many cells, run with pictures of 8 x 8, recorded",
        {"beluga_nb": partial(run, "auto")},
        CELLS[:2],
        rounds=1,
        in_quick=False,
    ),
    "votes": Row(
        "a ranking of ten models by so many votes",
        {"beluga_nb": rank},
        (10_000, 100_000, 1_000_000),
        rounds=1,
    ),
}
