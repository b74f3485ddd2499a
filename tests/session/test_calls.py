"""What is decided once for a call or a grid, what its mode means, and where its files are read."""

import asyncio
import inspect
import typing

import pytest
from conftest import drawing

import beluga_nb.config.preferences as preferences
from beluga_nb.config.settings import MODES, Settings, SettingsOptions, names
from beluga_nb.engines.call import Tally
from beluga_nb.errors import RequestError
from beluga_nb.session.session import Session
from beluga_nb.store import takes
from beluga_nb.store.records import Store


@pytest.fixture
def session(tmp_path):
    return Session(engine=drawing, environ={}, folder=tmp_path, notify=lambda _: None)


@pytest.fixture
def loads(monkeypatch):
    """Every load of settings."""
    load, loaded = preferences.load, []

    def counted(*args):
        loaded.append(args)
        return load(*args)

    monkeypatch.setattr(preferences, "load", counted)
    return loaded


@pytest.mark.parametrize("mode", MODES)
def test_a_call_loads_its_settings_once(session, loads, mode):
    session.generate("a fox")
    for _ in range(3):
        loads.clear()
        session.generate("a fox", mode=mode)
        assert len(loads) == 1


def test_a_grid_loads_its_settings_once_to_be_made_and_once_to_be_run(session, loads):
    session.generate("a fox")
    loads.clear()
    grid = session.grid("a {{animal}}", animal=["fox", "cat", "hen"], model=["flux-2.0", "gpt-image-2"])
    assert len(loads) == 1
    grid.run()
    assert len(loads) == 2


@pytest.mark.parametrize(
    ("mode", "reads", "writes", "uses", "asks", "anew"),
    [
        ("auto", True, True, True, True, False),
        ("replay", True, False, True, False, False),
        ("refresh", False, True, True, True, True),
        ("off", False, False, False, True, False),
    ],
)
def test_what_a_mode_means_is_asked_of_the_settings(mode, reads, writes, uses, asks, anew):
    settings = Settings(mode=mode)
    assert (settings.reads_store, settings.writes_store, settings.uses_store) == (reads, writes, uses)
    assert (settings.may_ask, settings.samples_anew) == (asks, anew)


def test_every_setting_is_a_typed_keyword_of_a_session():
    assert list(typing.get_type_hints(SettingsOptions)) == names()


def test_a_plan_takes_what_a_call_takes():
    called = inspect.signature(Session.submit).parameters
    planned = inspect.signature(Session.plan).parameters
    assert called.keys() - planned.keys() == {"bridge", "progress", "assume_yes", "tally"}
    assert all(planned[name] == called[name] for name in planned)


def is_on_a_loop():
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@pytest.mark.parametrize("mode", MODES)
def test_neither_a_call_nor_a_grid_reads_the_store_on_the_event_loop(session, mode, monkeypatch):
    session.generate("a fox")
    read = []

    def watched(function):
        def called(*args, **kwargs):
            read.append(function.__name__)
            assert not is_on_a_loop(), function.__name__
            return function(*args, **kwargs)

        return called

    for name in ("has", "read", "preview"):
        monkeypatch.setattr(Store, name, watched(getattr(Store, name)))
    monkeypatch.setattr("beluga_nb.session.resources.next_free_take", watched(takes.next_free_take))
    session.generate("a fox", mode=mode)
    session.grid("a {{animal}}", animal=["fox"]).run(mode=mode)
    assert bool(read) is (mode != "off")


def test_a_tally_counts_what_is_asked_for_and_what_arrives(session):
    tally = Tally()
    session.generate("a fox", tally=tally)
    session.generate("a fox", n=3, tally=tally)
    assert (tally.asked, tally.arrived) == (3, 3), "the first picture is in the store"
    session.grid("a {{animal}}", animal=["cat", "hen"]).run(tally=tally)
    assert (tally.asked, tally.arrived) == (5, 5)


@pytest.mark.parametrize("n", [10_001, 10**6, 10**9])
def test_a_plan_of_far_too_many_pictures_is_refused_before_any_is_looked_up(n, tmp_path):
    session = Session(environ={}, folder=tmp_path)
    with pytest.raises(RequestError) as refused:
        session.plan("a fox", n=n)
    assert refused.value.message == f"n is {n}."
    assert refused.value.hint == "Ask for at most 10,000 pictures at once."
    assert not list(tmp_path.iterdir())
