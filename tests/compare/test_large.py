"""What a large grid holds in memory: bytes per cell, counted as the slope between two sizes."""

import contextlib
import gc
import io
import json
import subprocess
import sys
import tracemalloc

import pytest
from PIL import Image

from beluga_nb.result import Result
from beluga_nb.session.session import Session

SMALL = 150
BUFFER = io.BytesIO()
Image.new("RGB", (8, 8), "navy").save(BUFFER, "PNG")
PNG = BUFFER.getvalue()
# Pillow's decoded pictures are held up to a number, and the dictionary of interned names grows in leaps.
ELSEWHERE = [tracemalloc.Filter(False, name) for name in ("*/pathlib*", "*/PIL/*", tracemalloc.__file__)]


async def drawn(request):
    return Result.of(request, [bytes(bytearray(PNG))], engine="drawn")


@contextlib.contextmanager
def tracing():
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


def held():
    gc.collect()
    statistics = tracemalloc.take_snapshot().filter_traces(ELSEWHERE).statistics("filename")
    return sum(each.size for each in statistics)


def grids(session, *sizes):
    for size in sizes:
        numbers = range(size // 2)
        yield session.grid("{{style}} {{number}} of {{of}}", style=["a", "b"], number=numbers, of=[size])


def slope(grids, work):
    """Return how many bytes more are held for each cell more after some work on two grids."""
    grown, kept = [], []
    with tracing():
        for _ in range(2):
            before = held()
            kept.append(work(next(grids)))
            grown.append(held() - before)
    return (grown[1] - grown[0]) / (len(kept[1]) - len(kept[0]))


def planned(grid):
    assert grid.plan().images == len(grid)
    return grid


def run(grid):
    return grid.run(assume_yes=True)


def measured(mode, folder):
    """Return the slopes of a plan and of a run, in a process that has done nothing else."""
    session = Session(engine=drawn, environ={}, folder=folder, mode=mode, progress=False)
    for grid in grids(session, 40):
        run(planned(grid))  # What is held once, such as modules and caches.
    of_plan = slope(grids(session, 2 * SMALL, 4 * SMALL), planned)
    made = list(grids(session, SMALL, 3 * SMALL))
    return {"plan": of_plan, "run": slope(iter(made), run)}


@pytest.mark.parametrize(("mode", "least"), [("auto", 0), ("off", len(PNG))])
def test_a_cell_leaves_little_in_memory_and_its_bytes_only_if_they_are_not_recorded(mode, least, tmp_path):
    command = [sys.executable, __file__, mode, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert not done.returncode, done.stderr
    found = json.loads(done.stdout)
    assert found["plan"] < 600
    assert least < found["run"] < least + 450, found


def test_a_table_takes_the_provider_from_the_grid_and_reads_no_index(tmp_path):
    session = Session(engine=drawn, environ={}, folder=tmp_path, provider="mine", progress=False)
    grid = session.grid("{{style}}", style=["a", "b"]).run()
    assert list(grid.to_frame()["provider"]) == ["mine", "mine"]
    assert "index" not in vars(grid.workspace().store)


if __name__ == "__main__":
    print(json.dumps(measured(*sys.argv[1:])))
