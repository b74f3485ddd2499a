"""How often a grid looks at settings, at the journal and at the disk: never more for each of many cells."""

import os
import threading
from collections import Counter

import pytest
from conftest import drawing

from beluga_nb.config.preferences import Preferences
from beluga_nb.session.session import Session
from beluga_nb.store import pending

STATES = ("stat", "lstat", "access", "readlink")
LISTINGS = ("listdir", "scandir")


def counting(monkeypatch, counts, module, name, of=None):
    function = getattr(module, name)

    def counted(*args, **options):
        counts[threading.current_thread() is threading.main_thread(), of or name] += 1
        return function(*args, **options)

    monkeypatch.setattr(module, name, counted)


def counted(monkeypatch, folder, cells, mode):
    """What a grid of so many cells does, from its making to its end."""
    if mode == "replay":
        made(folder, cells, "auto").submit(assume_yes=True).result()
    counts = Counter()
    with monkeypatch.context() as patch:
        for name in STATES:
            counting(patch, counts, os, name, "states")
        for name in LISTINGS:
            counting(patch, counts, os, name, "listings")
        counting(patch, counts, os, "open", "opened")
        counting(patch, counts, Preferences, "settings")
        counting(patch, counts, pending, "calls", "journal")
        grid = made(folder, cells, mode)
        job = grid.submit(assume_yes=True)
        # The loop's thread may have begun already.
        scheduled = Counter({name: count for (here, name), count in counts.items() if here})
        job.result()
    assert grid.counts["done"] == cells
    in_all = Counter()
    for (_, name), count in counts.items():
        in_all[name] += count
    return scheduled, in_all


def made(folder, cells, mode):
    session = Session(engine=drawing, environ={}, folder=folder, mode=mode)
    return session.grid("a {{animal}}", animal=[f"fox {number}" for number in range(cells)])


@pytest.mark.parametrize("mode", ["off", "auto", "replay"])
def test_settings_are_loaded_and_the_journal_is_listed_as_often_for_many_cells_as_for_few(
    monkeypatch, tmp_path, mode
):
    (_, few), (_, many) = (counted(monkeypatch, tmp_path / str(each), each, mode) for each in (10, 60))
    assert few["settings"] == many["settings"] == 3  # when session and grid are made, and when it is run
    assert few["journal"] == many["journal"] <= 1


@pytest.mark.posix
@pytest.mark.parametrize(
    ("mode", "states", "listings", "opened"),
    # What the store takes: nothing, the claim, the journal, two blobs and the record, or reading these.
    [("off", 0, 0, 0), ("auto", 90, 15, 30), ("replay", 20, 0, 5)],
)
def test_the_disk_is_asked_a_fixed_number_of_times_for_each_cell(
    monkeypatch, tmp_path, mode, states, listings, opened
):
    (_, few), (_, many) = (counted(monkeypatch, tmp_path / str(each), each, mode) for each in (10, 60))
    each = {name: (many[name] - few[name]) / 50 for name in ("states", "listings", "opened")}
    assert each["states"] <= states
    assert each["listings"] <= listings
    assert each["opened"] <= opened


@pytest.mark.posix
def test_scheduling_asks_the_disk_once_for_each_cell(monkeypatch, tmp_path):
    (few, _), (many, _) = (counted(monkeypatch, tmp_path / str(each), each, "replay") for each in (10, 60))
    assert (many["states"] - few["states"]) / 50 <= 2
    assert many["listings"] == few["listings"]
