"""What a call would take, before anything is spent."""

import datetime
import json

import pytest
from conftest import KEY, Counting, service

from beluga_nb.budget import Prices
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.session.session import Session

PRICES = Prices.of({"date": datetime.date(2026, 11, 1), "flux-2.0": 0.03})


@pytest.fixture
def engine():
    return Counting()


@pytest.fixture
def session(engine, tmp_path):
    with service(engine) as base_url:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
        yield Session(environ=environ, folder=tmp_path, prices=PRICES)


def test_r16_a_plan_counts_and_prices_and_sends_nothing(session, engine, tmp_path):
    plan = session.plan("a fox", model="flux-2.0", size="1792x1024", n=6)
    assert engine.requests == []
    assert list(tmp_path.iterdir()) == []
    first, second = plan.bodies
    assert first == {
        "model": "flux-2.0",
        "prompt": "a fox",
        "n": 4,
        "size": "16:9",
        "response_format": "b64_json",
        "take": "",
        "sample": 0,
    }
    assert (second["n"], second["sample"]) == (2, 4)
    assert str(plan).splitlines() == [
        "Dry run, nothing was sent: 6 pictures, 0 recorded, 6 to make; at most 0.18 USD by your prices of"
        " 2026-11-01 (estimated).",
        f"POST {plan.posts[0].url}",
        json.dumps(first),
        f"POST {plan.posts[0].url}",
        json.dumps(second),
    ]


@pytest.mark.parametrize(("n", "lines"), [(1, 3), (2, 4), (50, 4)])
def test_requests_that_differ_in_their_sample_alone_are_shown_once(session, n, lines):
    plan = session.plan("a fox", model="gpt-image-2", n=n)
    assert len(plan.posts) == n
    shown = str(plan).splitlines()
    assert len(shown) == lines
    assert json.loads(shown[2])["sample"] == 0
    assert n == 1 or shown[3] == f"… and {n - 1} more like it, up to sample {n - 1}"


def test_r16_what_is_planned_is_what_is_sent(session, engine):
    plan = session.plan("a {{animal}}", model="flux-2.0", n=6, values={"animal": "fox"})
    session.generate("a {{animal}}", model="flux-2.0", n=6, values={"animal": "fox"})
    assert sorted(engine.requests, key=lambda request: request.sample) == list(plan.requests)


def test_what_is_recorded_is_not_in_the_plan(session, engine):
    session.generate("a fox", model="flux-2.0", n=2)
    session.generate("a fox", model="flux-2.0", sample=4)
    plan = session.plan("a fox", model="flux-2.0", n=6)
    assert [(request.sample, request.n) for request in plan.requests] == [(2, 2), (5, 1)]
    assert (plan.recorded, plan.images) == (3, 3)
    assert session.plan("a fox", model="flux-2.0", n=2).cost == 0


def test_a_replay_plans_no_post_and_says_what_is_missing(session, engine):
    session.generate("a fox", model="flux-2.0", n=2)
    plan = session.plan("a fox", model="flux-2.0", n=6, mode="replay")
    assert (list(plan.posts), plan.recorded, plan.images, plan.missing) == ([], 2, 0, 4)
    assert str(plan) == "Dry run, nothing was sent: 6 pictures, 2 recorded, 0 to make, 4 missing; no cost."
    grid = session.grid("a {{animal}}", animal=["fox", "cat"], model="flux-2.0")
    assert str(grid.plan(mode="replay")) == (
        "Dry run, nothing was sent: 2 combinations, 2 pictures, 1 recorded, 0 to make, 1 missing; no cost."
    )


def test_a_dry_run_prints_the_same_in_a_replay_of_its_notebook(session, engine):
    live = str(session.plan("a fox", model="flux-2.0", n=6))
    session.preferences.set(mode="replay")
    assert str(session.plan("a fox", model="flux-2.0", n=6)) == live


def test_a_plan_of_a_batch_of_which_some_is_recorded_is_what_is_sent(session, engine):
    session.generate("a fox", model="flux-2.0", n=2)
    plan = session.plan("a fox", model="flux-2.0", n=10)
    engine.requests.clear()
    session.generate("a fox", model="flux-2.0", n=10)
    assert [(request.sample, request.n) for request in plan.requests] == [(2, 2), (4, 4), (8, 2)]
    assert sorted(engine.requests, key=lambda request: request.sample) == list(plan.requests)


def test_an_unknown_price_is_reported_and_never_nothing(session):
    plan = session.plan("a fox", model="seedream-4.5")
    assert plan.cost is None
    assert "the price is unknown" in str(plan)


def test_local_previews_cost_nothing(tmp_path):
    plan = Session(environ={}, folder=tmp_path).plan("a fox")
    assert plan.cost == 0
    assert "local previews, no cost" in str(plan)


def test_a_plan_finds_what_cannot_be(session):
    with pytest.raises(UnknownNameError, match="Did you mean 'flux-2"):
        session.plan("a fox", model="flux2")
    with pytest.raises(RequestError, match="has no size"):
        session.plan("a fox", model="seedream-4.5", size="21:9")
