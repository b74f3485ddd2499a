"""Grids against a server on a real port: planned, run, stopped, resumed, retried, extended, looked at."""

import asyncio
import contextlib
import csv
import datetime
import json
import re
import time
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from xml.etree import ElementTree

import pytest
from conftest import KEY, Counting, drawing, drawn, service
from faulty import b64
from needed import needed
from PIL import Image

from beluga_nb.budget import Budget, Caps, Prices
from beluga_nb.compare.grid import Grid
from beluga_nb.config import preferences
from beluga_nb.errors import (
    APIStatusError,
    APITimeoutError,
    EngineError,
    ImpossibleCombinationError,
    NotConfirmedError,
    NotRecordedError,
    OutcomeUnknownError,
    OverBudgetError,
    RequestError,
    StoreError,
    UnknownNameError,
)
from beluga_nb.images import decode
from beluga_nb.redaction import redact
from beluga_nb.result import Picture, Result
from beluga_nb.session.session import Session
from beluga_nb.store import pending
from beluga_nb.store.records import Store

PRICES = Prices.of({"date": datetime.date(2026, 11, 1), "flux-2.0": 0.03})
MODELS = ["gpt-image-2", "flux-2.0"]
TEMPLATE = "a {{animal}} in {{style}}"
STYLES = {"oil": "oil paint", "ink": "ink, on paper"}


class Choosy(Counting):
    """An engine that fails for prompts with a word, in the way that is set, and counts."""

    def __init__(self, **failures):
        super().__init__(self.answer)
        self.failures = failures
        self.at_once = self.most_at_once = 0
        self.wanted_at_once = 1  # the first answers wait until as many requests are here

    async def answer(self, request):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        async with asyncio.timeout(30):
            while self.most_at_once < self.wanted_at_once:
                await asyncio.sleep(0.002)
        await asyncio.sleep(0.002)
        self.at_once -= 1
        for word, error in self.failures.items():
            if word in request.prompt:
                raise error
        return await drawing(request)


@pytest.fixture
def engine():
    return Choosy()


@pytest.fixture
def session(engine, tmp_path, messages):
    with service(engine) as base_url:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
        yield Session(
            environ=environ, folder=tmp_path, prices=PRICES, notify=messages.append, confirm=lambda _: None
        )


def study(session, **more):
    return session.grid(TEMPLATE, **{"animal": ["cat", "fox"], "style": STYLES, "model": MODELS} | more)


def bought(engine):
    return sum(request.n for request in engine.requests)


def test_a_grid_asks_for_every_combination_once_and_keeps_the_labels(session, engine):
    grid = study(session)
    assert engine.requests == []
    assert len(grid) == 8
    grid.run()
    assert sorted(request.prompt for request in engine.requests if request.model == "flux-2.0") == [
        "a cat in ink, on paper",
        "a cat in oil paint",
        "a fox in ink, on paper",
        "a fox in oil paint",
    ]
    assert grid.counts == {"done": 8, "failed": 0, "outcome unknown": 0, "not started": 0}
    fox = grid["fox", "ink", "flux-2.0"]
    assert fox.request.prompt == "a fox in ink, on paper"
    assert fox.recipe.template == TEMPLATE
    assert grid[{"model": "flux-2.0", "style": "ink", "animal": "fox"}] == fox
    assert grid.axes == {"animal": ("cat", "fox"), "style": ("oil", "ink"), "model": tuple(MODELS)}
    assert fox == session.generate(
        TEMPLATE, values={"animal": "fox", "style": "ink, on paper"}, model="flux-2.0"
    )
    assert bought(engine) == 8


@pytest.mark.parametrize("size", ["16:9", "1000x1000", "1280x720"])
@pytest.mark.parametrize("own", [None, drawing])
@pytest.mark.parametrize("more", [{}, {"quality": ["low", "high"]}, {"n": 2, "output_format": "jpeg"}])
def test_a_cell_asks_for_what_a_call_asks_for_and_remarks_are_the_same(own, size, more, tmp_path):
    words = ["fox", "owl | hen", "cat", "<sd_cpp_extra_args>"]
    endpoints = {
        name: {"base_url": f"http://127.0.0.1:9/{name}", "dialect": name, "model": "m"}
        for name in ("localai", "sdcpp")
    }
    models = ["flux-2.0"] if own else ["flux-2.0", "gpt-image-2", "localai:m", "sdcpp:m"]
    notices, expected = [], []
    session = Session(
        environ={}, folder=tmp_path, engine=own, notify=notices.append, endpoints={} if own else endpoints
    )
    grid = session.grid("a {{word}}", word=words, model=models, size=size, **more)
    fixed = {name: value for name, value in more.items() if name not in grid.axes}
    for cell in grid.cells:
        asked = {name: cell.labels[name] for name in cell.axes if name != "word"}
        request, remarks = session.resources.request(
            f"a {cell.labels['word']}", session.settings(), size=size, **asked, **fixed
        )
        assert cell.request == request
        expected += remarks
    assert notices == list(dict.fromkeys(expected))


def test_running_again_and_in_another_session_buys_nothing(session, engine):
    first = study(session, n=2).run(assume_yes=True)
    assert bought(engine) == 16
    first.run()
    again = study(session, n=2).run()
    assert bought(engine) == 16
    assert [each.picture for each in again.samples] == [each.picture for each in first.samples]


def test_samples_carry_labels_and_numbers_and_are_read_when_they_are_looked_at(session):
    samples = study(session, n=2).run(assume_yes=True).samples
    assert len(samples) == 16
    assert samples[3].labels == {"animal": "cat", "style": "oil", "model": "flux-2.0"}
    assert [each.number for each in samples[2:4]] == [0, 1]
    assert isinstance(samples[3].picture, Picture)
    assert samples[3].picture is not samples[3].picture, "nothing is held"


def test_r16_a_plan_of_a_grid_counts_prices_and_sends_nothing(session, engine, tmp_path):
    grid = study(session, n=2, model=["flux-2.0"])
    plan = grid.plan()
    assert (plan.cells, plan.images, plan.recorded, str(plan.cost)) == (4, 8, 0, "0.24")
    assert [body["prompt"] for body in plan.bodies][:2] == ["a cat in oil paint", "a cat in ink, on paper"]
    assert str(plan).splitlines()[0] == (
        "Dry run, nothing was sent: 4 combinations, 8 pictures, 0 recorded, 8 to make;"
        " at most 0.24 USD by your prices of 2026-11-01 (estimated)."
    )
    assert engine.requests == []
    assert list(tmp_path.iterdir()) == []


def test_what_is_recorded_is_subtracted_and_what_is_planned_is_sent(session, engine):
    session.generate("a cat in oil paint", model="flux-2.0")
    grid = study(session, n=2, model=["flux-2.0"])
    plan = grid.plan()
    assert (plan.recorded, plan.images) == (1, 7)
    engine.requests.clear()
    grid.run()
    assert sorted(engine.requests, key=repr) == sorted(plan.requests, key=repr)


def test_n_over_the_limit_of_a_model_is_sent_as_several_requests(session):
    plan = session.grid("a fox", n=6, model=MODELS).plan()
    assert [(request.model, request.n) for request in plan.requests] == [
        *[("gpt-image-2", 1)] * 6,
        ("flux-2.0", 4),
        ("flux-2.0", 2),
    ]


def test_an_unknown_price_is_reported_beside_the_known_ones(session):
    plan = study(session).plan()
    assert plan.cost is None
    assert "at most 0.12 USD" in str(plan)
    assert "and 4 of gpt-image-2, whose price is unknown" in str(plan)


def test_impossible_combinations_are_found_at_once_and_all_of_them(session, engine):
    with pytest.raises(ImpossibleCombinationError) as failed:
        study(session, model=["seedream-4.5", "flux-2.0", "flux2"], size=["21:9", "1:1"])
    assert failed.value.message.startswith("12 of 24 combinations are impossible:")
    assert len(failed.value.reasons) == 2
    assert "size 21:9, model seedream-4.5 and 3 more: seedream-4.5 has no size '21:9'" in str(failed.value)
    assert "and 7 more: No model 'flux2'. Did you mean 'flux-2.0'" in str(failed.value)
    assert engine.requests == []


def test_a_size_that_becomes_another_is_reported_once_before_anything_is_sent(session, messages):
    study(session, size="1792x1024", model=["flux-2.0"])
    assert messages == ["size 1792x1024 is asked for as 16:9, the nearest that flux-2.0 has."]


def test_r17_a_large_grid_asks_first(session, engine):
    asked = []
    session.resources.confirm = lambda question: asked.append(question)
    with pytest.raises(NotConfirmedError):
        study(session, n=2).run()
    assert engine.requests == []
    [question] = asked
    assert question.startswith("16 new pictures of gpt-image-2, flux-2.0, at most 0.24 USD")
    session.resources.confirm = lambda _: True
    assert study(session, n=2).run().counts["done"] == 8


def test_r18_a_cap_refuses_the_whole_grid_before_anything_is_sent(session, engine):
    grid = study(session, model=["flux-2.0"], n=2)
    with pytest.raises(OverBudgetError, match=r"8 pictures for 0\.24 USD would be more than max_cost"):
        grid.run(max_cost=0.2)
    with pytest.raises(OverBudgetError, match="max_images"):
        grid.run(max_images=7)
    assert engine.requests == []
    grid.run(max_cost=0.24, max_images=8)
    assert bought(engine) == 8
    grid.run(max_cost=0)
    study(session, model=["flux-2.0"], n=2).run(max_images=0)


def test_r19_a_cap_on_the_cost_refuses_a_model_without_a_price(session, engine):
    with pytest.raises(OverBudgetError, match="the price of gpt-image-2 is unknown"):
        study(session).run(max_cost=100)
    assert engine.requests == []


def test_the_caps_of_the_session_hold_for_grids_too(session, engine):
    session.preferences.set(max_images=5)
    with pytest.raises(OverBudgetError, match="8 pictures would be more than max_images"):
        study(session).run()
    assert engine.requests == []


def test_no_more_are_on_their_way_than_may_be(session, engine):
    engine.wanted_at_once = 4
    study(session, animal=list("abcdefgh"), model=["flux-2.0"]).run(assume_yes=True)
    assert bought(engine) == 16
    assert engine.most_at_once == 4


def test_r14_a_failure_stays_in_its_cell_and_the_counts_add_up(session, engine):
    engine.failures = {
        "cat in oil": APIStatusError("No such thing.", status=400, code="moderation_blocked"),
        "fox in ink": OutcomeUnknownError("The provider failed.", status=502),
    }
    grid = study(session)
    grid.run()
    assert grid.counts == {"done": 4, "failed": 2, "outcome unknown": 2, "not started": 0}
    assert sum(grid.counts.values()) == len(grid)
    assert set(grid.errors) == {("cat", "oil", m) for m in MODELS} | {("fox", "ink", m) for m in MODELS}
    with pytest.raises(APIStatusError):
        grid["cat", "oil", "flux-2.0"]
    assert len(grid.samples) == 4


@pytest.mark.parametrize("status", [401, 402, 403])
def test_r14_a_key_a_balance_or_a_permission_that_is_missing_stops_the_sweep(session, engine, status):
    engine.failures = {"a ": APIStatusError("Not you.", status=status)}
    grid = study(session, animal=list("abcdefgh"))
    with pytest.raises(APIStatusError):
        grid.run(assume_yes=True)
    assert len(engine.requests) <= 4
    counts = grid.counts
    assert counts["failed"] == len(engine.requests)
    assert counts["failed"] + counts["not started"] == len(grid) == 32


def test_what_is_recorded_is_shown_though_the_run_is_stopped(session, engine):
    study(session, animal=["fox"]).run()
    engine.failures = {"a ": APIStatusError("Not you.", status=402)}
    grid = study(session, animal=[*"abcdefgh", "fox"])
    with pytest.raises(APIStatusError):
        grid.run(assume_yes=True)
    assert grid.counts["done"] == 4


def test_after_the_balance_is_filled_up_the_same_run_continues(session, engine):
    engine.failures = {"fox": APIStatusError("Too little.", status=402)}
    grid = study(session)
    with pytest.raises(APIStatusError):
        grid.run()
    engine.failures = {}
    sent = bought(engine)
    done = grid.counts["done"]
    grid.run()
    assert grid.counts["done"] == 8
    assert bought(engine) == sent + 8 - done


def test_retry_asks_for_the_failed_and_for_nothing_else(session, engine):
    engine.failures = {"fox": OutcomeUnknownError("The provider failed.", status=502)}
    grid = study(session).run()
    engine.failures = {}
    engine.requests.clear()
    grid.retry()
    assert {request.prompt for request in engine.requests} == {"a fox in oil paint", "a fox in ink, on paper"}
    assert grid.errors == {}
    fresh = study(session, animal=["cat", "fox", "owl"])
    fresh.retry()
    assert bought(engine) == 4, "nothing has failed here yet"


def test_part_of_a_cell_is_kept_and_only_the_rest_is_asked_for_again(session, engine):
    real = engine.answer

    async def second_fails(request):
        if request.sample == 1 and request.model == "gpt-image-2":
            raise OutcomeUnknownError("The provider failed.", status=502)
        return await real(request)

    engine.engine = second_fails
    grid = study(session, n=2, model=["gpt-image-2"]).run()
    assert len(grid.errors) == 4
    assert len(grid.samples) == 4
    engine.engine = real
    engine.requests.clear()
    grid.retry()
    assert {request.sample for request in engine.requests} == {1}
    assert len(grid.samples) == 8


def test_where_everything_fails_the_run_fails(session, engine):
    engine.failures = {"a ": OutcomeUnknownError("The provider failed.", status=502)}
    with pytest.raises(OutcomeUnknownError):
        study(session).run()


def test_replay_lists_all_that_is_missing(session, engine):
    study(session, animal=["cat"]).run()
    with pytest.raises(NotRecordedError) as failed:
        study(session).run(mode="replay")
    assert len(failed.value.missing) == 4
    study(session, animal=["cat"]).run(mode="replay")
    assert bought(engine) == 4


def test_a_picture_of_a_grid_is_the_one_that_was_made_though_another_provider_has_that_take(
    session, tmp_path
):
    session.generate("a fox", model="flux-2.0", take="2")
    local = Session(environ={}, folder=tmp_path)
    [sample] = local.grid("a {{animal}}", animal=["fox"], model="flux-2.0").run(mode="refresh").samples
    assert sample.picture.recipe.procedural
    assert sample.picture.image.size == (1024, 1024)


def test_refresh_is_another_take_of_each(session, engine):
    first = study(session).run()
    again = study(session).run(mode="refresh")
    assert bought(engine) == 16
    assert {each.picture.recipe.request.take for each in again.samples} == {"2"}
    again.run(mode="refresh")
    assert bought(engine) == 24
    assert {each.picture.recipe.request.take for each in again.samples} == {"3"}
    assert {each.picture.sha256 for each in again.samples}.isdisjoint(
        each.picture.sha256 for each in first.samples
    )


@pytest.mark.parametrize("mode", ["auto", "refresh", "off"])
def test_cells_that_ask_for_the_same_are_planned_as_often_as_they_are_asked(session, engine, mode):
    grid = session.grid("a fox", size=[f"{1000 + more}x1000" for more in range(12)])
    assert grid.plan(mode=mode).images == 1
    with pytest.raises(OverBudgetError):
        grid.run(mode=mode, max_images=0)
    assert bought(engine) == 0
    grid.run(mode=mode)
    assert bought(engine) == 1
    assert len(grid.samples) == 12


def test_off_writes_nothing_and_the_pictures_are_there(session, tmp_path):
    grid = study(session).run(mode="off")
    assert list(tmp_path.iterdir()) == []
    assert grid["fox", "ink", "flux-2.0"][0].size == (96, 64)
    assert len(grid.samples) == 8


def test_stop_keeps_what_arrived_and_the_same_run_continues(session, engine):
    async def held(request):
        if "fox in oil" in request.prompt:  # two, which leave room for the others, whatever comes first
            await asyncio.sleep(60)
        return await drawing(request)

    engine.engine = held
    grid = study(session)
    job = grid.submit()
    until = time.monotonic() + 30
    while grid.counts["done"] < 6 or len(engine.requests) < 8:
        assert time.monotonic() < until
        time.sleep(0.01)
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        job.result()
    counts = grid.counts
    assert counts == {"done": 6, "failed": 0, "outcome unknown": 2, "not started": 0}
    engine.engine = drawing
    engine.requests.clear()
    grid.run()
    assert grid.counts["done"] == 8
    assert {request.prompt for request in engine.requests} == {"a fox in oil paint"}


@pytest.mark.parametrize("take", ["", "2", "3", "4"])
def test_what_stands_first_in_a_grid_is_bought_first(session, engine, take):
    grid = study(session, take=take).run()
    first = {cell.request.prompt for cell in grid.cells[:4]}
    assert {request.prompt for request in engine.requests[:4]} == first
    assert len(first) == 2
    assert len(engine.requests) == 8


def test_an_extended_grid_buys_only_the_new_cells(session, engine):
    grid = study(session).run()
    wider = grid.extend(animal=["owl"])
    assert wider.counts == {"done": 8, "failed": 0, "outcome unknown": 0, "not started": 4}
    engine.requests.clear()
    wider.run()
    assert {request.prompt for request in engine.requests} == {"a owl in oil paint", "a owl in ink, on paper"}
    assert len(grid) == 8
    with pytest.raises(UnknownNameError, match="No axis 'place'"):
        grid.extend(place=["town"])
    with pytest.raises(RequestError, match="a part of a grid"):
        grid.where(animal="fox").extend(animal=["hen"])


def test_a_part_of_a_grid_has_what_the_whole_one_has(session, engine):
    grid = study(session).run()
    part = grid.where(animal="fox", model=["flux-2.0"])
    assert list(part.axes.values()) == [("fox",), ("oil", "ink"), ("flux-2.0",)]
    assert part.counts["done"] == 2
    assert part["fox", "oil", "flux-2.0"] == grid["fox", "oil", "flux-2.0"]
    with pytest.raises(UnknownNameError, match="No animal 'fix'"):
        grid.where(animal="fix")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (("fox", "ink"), "3 labels: animal, style, model"),
        (("fix", "ink", "flux-2.0"), "No animal 'fix'"),
        ("fox", "3 labels"),
        ({"animal": "fox"}, "3 labels"),
    ],
)
def test_a_wrong_label_says_what_there_is(session, labels, message):
    with pytest.raises(RequestError, match=message):
        study(session)[labels]


def test_a_label_that_is_a_number_is_found_as_it_was_given(session):
    grid = session.grid("{{count}} foxes", count=[1, 2, 10]).run()
    assert grid[10] == grid["10"] == grid[{"count": 10}]
    assert len(grid.where(count=10)) == 1
    assert len(grid.where(count=[1, 2])) == 2


def test_one_label_or_none_is_reported_as_such(session):
    with pytest.raises(RequestError, match=r"A cell has 1 label: animal\.\nGive it alone\."):
        session.grid("a {{animal}}", animal=["cat"])["cat", "dog"]
    with pytest.raises(RequestError, match=r"has no label\.\nIts result is grid\[\(\)\]\."):
        session.grid("a cat")["cat"]
    assert len(session.grid("a cat").run()[()]) == 1


def test_a_cell_that_nobody_asked_for_says_so(session):
    with pytest.raises(RequestError, match="no pictures yet"):
        study(session)["fox", "ink", "flux-2.0"]


def test_the_same_request_in_two_cells_is_bought_once_and_planned_once(session, engine):
    grid = session.grid(["a fox", "a {{animal}}"], animal=["fox", "cat"], model="flux-2.0")
    assert (grid.plan().images, len(grid)) == (2, 4)
    grid.run()
    assert bought(engine) == 2
    assert grid.counts["done"] == 4


def test_rows_come_from_a_frame_a_list_or_a_file(session, tmp_path):
    pandas = needed("pandas")
    rows = [{"animal": "cat", "style": "oil, thick"}, {"animal": "fox", "style": "ink"}]
    with open(tmp_path / "scenes.csv", "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, ["animal", "style"])
        writer.writeheader()
        writer.writerows(rows)
    prompts = [
        [cell.request.prompt for cell in session.grid(TEMPLATE, scene=given, model="flux-2.0").cells]
        for given in (rows, pandas.DataFrame(rows), type(tmp_path)("scenes.csv"))
    ]
    assert prompts == [["a cat in oil, thick", "a fox in ink"]] * 3
    [series] = {
        tuple(
            session.grid("a {{animal}}", animal=pandas.Series(["cat", "fox"]), model="flux-2.0").axes[
                "animal"
            ]
        )
    }
    assert series == ("cat", "fox")


def test_an_alias_is_a_model_with_all_that_it_stands_for(session):
    session.preferences.alias("poster", model="flux-2.0", size="3:4")
    grid = session.grid("a fox", model=["poster", "gpt-image-2"])
    assert [(cell.key, cell.request.model, cell.request.size) for cell in grid.cells] == [
        (("poster",), "flux-2.0", "3:4"),
        (("gpt-image-2",), "gpt-image-2", None),
    ]


def test_the_frame_has_a_line_for_each_picture_and_each_failure(session, engine):
    engine.failures = {"cat in oil": APIStatusError("No <b>such</b> thing.", status=400)}
    grid = study(session, n=2, model=["flux-2.0"]).run()
    frame = grid.to_frame()
    assert list(frame.columns[:3]) == ["animal", "style", "model"]
    assert len(frame) == 7
    failed = frame[frame["error"].notna()]
    assert list(failed["animal"]) == ["cat"]
    assert failed["sha256"].isna().all()
    done = frame[frame["error"].isna()]
    assert list(done["sha256"]) == [each.picture.sha256 for each in grid.samples]
    assert set(done["width"]) == {96}
    assert set(done["provider"]) == {session.resources.settings().provider}
    assert set(done["version"]) == {version("beluga_nb")}
    assert all(date.year >= 2025 for date in done["date"])
    assert set(done["cost"]) == {0.03}
    html = grid.style().to_html()
    assert html == grid.style().to_html()
    assert html.count('<img src="data:image/') == 6
    assert (
        html.count('width="128" style="max-width:none"') == 6
    )  # a notebook would make it as narrow as its head
    assert "<b>" not in html


def test_the_sheet_is_a_labelled_png_and_scales_down_to_its_limit(session, tmp_path):
    grid = study(session, n=2).run(assume_yes=True)
    whole = decode(grid.sheet(tmp_path / "sheet.png").read_bytes()).size
    small = decode(grid.sheet(tmp_path / "small.png", limit=60_000).read_bytes()).size
    assert small[0] * small[1] <= 60_000 < whole[0] * whole[1]
    with pytest.raises(RequestError, match="does not fit into 100 pixels"):
        grid.sheet(tmp_path / "none.png", limit=100)


def sheet_of(session, tmp_path, name, **options):
    return study(session, n=2).run(assume_yes=True).sheet(tmp_path / name, **options).read_bytes()


@pytest.mark.parametrize("name", ["a.png", "a.pdf", "a.svg"])
def test_a_sheet_has_the_format_of_its_name_its_size_in_print_and_the_same_bytes_each_time(
    session, tmp_path, name
):
    data = sheet_of(session, tmp_path, name, title="Cats & foxes", dpi=150)
    assert data == sheet_of(session, tmp_path, name, title="Cats & foxes", dpi=150)
    wide, _ = decode(sheet_of(session, tmp_path, "b.png")).size
    if name == "a.png":
        assert [round(each) for each in decode(data).info["dpi"]] == [150, 150]
    elif name == "a.pdf":
        box = re.search(rb"MediaBox \[ 0 0 ([\d.]+) ([\d.]+) \]", data)
        assert float(box[1]) == pytest.approx(wide * 72 / 150)
    else:
        root = ElementTree.fromstring(data)
        assert root.get("width") == f"{wide / 150:.4g}in"
        assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) == 16
        words = " ".join(each.text for each in root.iter("{http://www.w3.org/2000/svg}text"))
        named = "rows: style · columns: model · groups: animal"
        assert words.startswith(f"Cats & foxes a [animal] in [style] {named} ")
        for label in ("animal: cat", "animal: fox", "oil", "ink", *MODELS):
            assert label in words


def words_of_sheet(session, tmp_path, prompt, **axes):
    path = session.grid(prompt, model="flux-2.0", **axes).run(assume_yes=True).sheet(tmp_path / "a.svg")
    root = ElementTree.fromstring(path.read_bytes())
    return [each.text for each in root.iter("{http://www.w3.org/2000/svg}text")]


def test_the_prompt_of_a_sheet_is_filled_with_what_is_the_same_everywhere_and_its_axes_are_named(
    session, tmp_path
):
    words = words_of_sheet(
        session, tmp_path, "a {{animal}} in {{place}}", animal=["cat", "fox"], values={"place": "snow"}
    )
    assert words[:2] == ["a [animal] in snow", "Compared by animal"]


def test_a_long_prompt_wraps_and_no_word_of_it_is_lost(session, tmp_path):
    prompt = " ".join(f"word{number}" for number in range(120)) + " " + "x" * 300
    words = words_of_sheet(session, tmp_path, prompt, size=["1:1", "16:9"])
    assert len(words) > 5
    assert prompt.replace(" ", "") in "".join(words).replace(" ", "")


@pytest.mark.parametrize("label", ["groß", "кит", "φάλη"])
def test_letters_that_a_font_has_bring_no_warning(session, tmp_path, label):
    assert label in words_of_sheet(session, tmp_path, "a {{animal}}", animal=[label, "cat"])


def test_letters_that_no_font_has_are_reported(session, tmp_path):
    grid = session.grid("a {{animal}}", model="flux-2.0", animal=["cat \U00013000", "fox"]).run()
    with pytest.warns(UserWarning, match="No font that is looked for has 1 letter of the sheet") as caught:
        grid.sheet(tmp_path / "a.png")
    [warned] = map(str, (each.message for each in caught))
    assert all(each in warned for each in ("DejaVuSans.ttf", "NotoSansCJK-Regular.ttc", "msyh.ttc"))
    assert warned.endswith(", or write an SVG instead.")
    grid.sheet(tmp_path / "a.svg")
    assert len(caught) == 1


def test_an_axis_of_one_value_takes_no_room_on_a_sheet_and_is_named_below_the_prompt(session, tmp_path):
    axes = {"animal": ["cat", "fox"], "style": ["oil", "ink"], "place": ["snow"], "size": ["9:16"]}
    words = words_of_sheet(session, tmp_path, "a {{animal}} in {{style}}, {{place}}", **axes)
    assert words[:2] == ["a [animal] in [style], snow", "rows: animal · columns: style · size: 9:16"]
    assert sorted(words[2:6]) == ["cat", "fox", "ink", "oil"]
    assert words_of_sheet(session, tmp_path, "a {{animal}}", animal=["cat"])[0] == "a cat"


def test_a_lone_picture_is_as_wide_as_its_title_on_a_sheet(session, tmp_path):
    grid = session.grid("a {{animal}}", model="flux-2.0", animal=["cat"], size=["1:1"]).run()
    edge = grid["cat", "1:1"].image.width
    sheet = decode(grid.sheet(tmp_path / "a.png", edge=edge // 2).read_bytes())
    assert edge < sheet.width < edge * 1.3


def test_a_sheet_that_would_be_tall_and_narrow_has_its_rows_as_columns(tmp_path):
    async def tall(request):
        return Result.of(request, [Image.new("RGB", (360, 640))], engine="tall")

    session = Session(engine=tall, environ={}, folder=tmp_path)
    for animals, words in {
        "abc": "rows: style · columns: animal",
        "ab": "rows: animal · columns: style",
    }.items():
        axes = {"animal": list(animals), "style": ["oil", "ink"]}
        assert words_of_sheet(session, tmp_path, "a {{animal}} in {{style}}", **axes)[1] == words


def test_the_heads_of_columns_end_above_their_pictures_and_keep_their_distance(session, tmp_path):
    long = "soft watercolour on wet paper with visible grain, and on"
    grid = session.grid("a fox, {{style}}", model="flux-2.0", style=["ink", long], size=["1:1", "16:9"]).run()
    root = ElementTree.fromstring(grid.where(size="1:1").sheet(tmp_path / "a.svg").read_bytes())
    lines = {each.text: each for each in root.iter("{http://www.w3.org/2000/svg}text")}
    last = next(lines[text] for text in lines if text.endswith("and on"))
    assert last.get("y") == lines["ink"].get("y")


@pytest.mark.parametrize("count", [1, 2, 5, 8, 18])
def test_the_sheet_of_a_lone_axis_is_no_strip(session, tmp_path, count):
    grid = session.grid("a {{animal}}", animal=[f"cat {number}" for number in range(count)], model="flux-2.0")
    wide, tall = decode(grid.run(assume_yes=True).sheet(tmp_path / "a.png").read_bytes()).size
    assert 0.6 < wide / tall < 3.2


def test_a_parameter_that_is_an_axis_may_stand_in_the_prompt(session):
    grid = session.grid("a fox, {{take}}", model="flux-2.0", take=["one", "two"])
    assert [cell.request.prompt for cell in grid.cells] == ["a fox, one", "a fox, two"]


def test_a_frame_has_no_column_for_what_was_not_asked_for(session):
    pytest.importorskip("pandas")
    columns = list(session.grid("a {{animal}}", animal=["cat"], model="flux-2.0").run().to_frame().columns)
    assert columns[:3] == ["animal", "model", "sample"]
    assert not {"size", "quality", "take"} & set(columns)
    sized = session.grid("a {{animal}}", animal=["cat"], model="flux-2.0", size="1:1", take="2")
    assert {"size", "take"} <= set(sized.to_frame().columns)


def test_an_export_is_a_folder_of_lone_pictures_with_names_and_recipes(session, tmp_path):
    grid = study(session, n=2, animal={"cat": "cat", "../é fox?": "fox"}).run(assume_yes=True)
    paths = grid.export(tmp_path / "out")
    assert [path.name for path in paths][:2] == ["cat-oil-gpt-image-2-1.png", "cat-oil-gpt-image-2-2.png"]
    assert [path.name for path in paths][-1] == "é-fox-ink-flux-2.0-2.png"
    assert len(set(paths)) == 16
    assert all(path.parent == tmp_path / "out" for path in paths)
    again = session.open(paths[-1])
    assert again.pictures[0].sha256 == grid.samples[15].picture.sha256
    assert again.recipe.template == TEMPLATE


def test_an_export_to_what_is_no_folder_fails_in_two_lines(session, tmp_path):
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StoreError) as failed:
        study(session).run(assume_yes=True).export(tmp_path / "out")
    assert failed.value.message == "The folder 'out' cannot be made: File exists."


def test_one_cell_with_one_picture_is_reported_in_the_singular(session):
    grid = session.grid("a {{animal}}", animal=["cat"])
    assert "1 cell: 1 not started; 1 picture to make" in grid._repr_mimebundle_()["text/plain"]
    assert "1 cell: 1 done; 1 picture\n" in grid.run()._repr_mimebundle_()["text/plain"]


def test_the_plan_of_a_finished_grid_says_that_nothing_is_missing(session):
    grid = study(session).run(assume_yes=True)
    assert str(grid.plan()) == "Dry run, nothing was sent: nothing is missing."


def test_r18_a_cap_on_the_pictures_of_a_run_holds_for_previews_too(tmp_path):
    grid = study(Session(environ={}, folder=tmp_path))
    with pytest.raises(OverBudgetError, match=r"8 pictures would be more than max_images allows: 0 of 7"):
        grid.run(max_images=7)
    assert grid.counts["not started"] == 8


def test_a_sheet_is_called_what_it_is(session, tmp_path):
    grid = session.grid("a cat").run()
    assert grid.sheet(tmp_path / "cats") == tmp_path / "cats.png"
    with pytest.raises(RequestError, match=r"'cats\.jpg' is not a file name for a sheet"):
        grid.sheet(tmp_path / "cats.jpg")
    assert grid.sheet(tmp_path / "cats.PDF").read_bytes().startswith(b"%PDF")
    with pytest.raises(RequestError, match="dpi is 0"):
        grid.sheet(tmp_path / "cats.png", dpi=0)


def test_one_impossible_combination_is_reported_in_the_singular(session):
    with pytest.raises(ImpossibleCombinationError) as failed:
        session.grid("a cat", model=["seedream-4.5", "flux-2.0"], size=["1:1", "21:9"])
    assert failed.value.message.startswith("1 of 4 combinations is impossible:")


def test_a_grid_is_the_same_from_a_thread_a_job_and_a_coroutine(session):
    async def awaited():
        return await study(session).arun()

    grid = asyncio.run(awaited())
    assert isinstance(grid, Grid)
    assert grid.counts["done"] == 8
    assert study(session).submit().result().counts["done"] == 8


def test_a_stopped_call_of_another_kernel_is_unknown_and_not_lost(session, tmp_path):
    grid = study(session)
    cell = grid.cells[3]
    store = Store(tmp_path / "beluga_store")
    call = pending.begin(store, cell.request.as_call(), provider="127.0.0.1")
    assert grid.counts == {"done": 0, "failed": 0, "outcome unknown": 0, "not started": 7, "running": 1}
    pending.mark_unknown(store, call, "It was interrupted.")
    assert grid.counts == {"done": 0, "failed": 0, "outcome unknown": 1, "not started": 7}


ANIMALS = ["cat", "fox", "owl"]


@pytest.mark.parametrize("done", range(4))
@pytest.mark.parametrize("state", ["not started", "running", "outcome unknown"])
def test_a_grid_says_of_each_cell_how_it_stands_and_of_none_with_a_picture_that_it_is_open(
    session, tmp_path, state, done
):
    grid = session.grid("a {{animal}}", animal=ANIMALS[: done or 3], model="flux-2.0")
    if done:
        grid.run()
    if 0 < done < 3:
        grid = grid.extend(animal=ANIMALS[done:])
    store = Store(tmp_path / "beluga_store")
    if state != "not started":
        call = pending.begin(store, grid.cells[-1].request.as_call(), provider="127.0.0.1")
        if state == "outcome unknown":
            pending.mark_unknown(store, call, "It was interrupted.")
    stands = ["done"] * 3 if done == 3 else ["done"] * done + ["not started"] * (2 - done) + [state]
    _, caption, *lines = grid._repr_mimebundle_()["text/plain"].splitlines()
    for line, animal, stand in zip(lines, ANIMALS, stands, strict=True):
        assert line.startswith(f"{animal}: flux-2.0 ·" if stand == "done" else f"{animal}: {stand}")
    counts = {stand: stands.count(stand) for stand in stands}
    assert {stand: count for stand, count in grid.counts.items() if count} == counts
    for stand, count in counts.items():
        assert f"{count} {stand}" in caption


def test_a_grid_is_scored_voted_on_and_ranked_by_any_axis(session, tmp_path):
    grid = study(session)
    grid.run()
    scores = grid.score("brightness")
    assert len(scores) == len(grid.samples) == 8
    assert {row.labels["model"] for row in scores.rows} == set(MODELS)
    booth = grid.vote(by="style", voter="me", seed=1)
    booth._shown_at = 0.0  # the pictures have been looked at
    booth.press("left")
    assert set(grid.ranking(by="style").names) == set(STYLES)
    assert list((tmp_path / "beluga_store" / "votes").glob("*.jsonl"))
    cats = grid.where(animal="cat").score("brightness")
    assert list(cats) == [row.value for row in scores.rows if row.labels["animal"] == "cat"]


def lose(session, request):
    """Leave the whole answer to a request, as a kernel does that ends before it reads it."""
    store = Store(session.settings().store)
    call = pending.begin(store, request.as_call(), provider=session.settings().provider)
    pending.mark_unknown(store, call, "The kernel ended.")
    body = json.dumps({"data": [b64(drawn(request, sample)) for sample in request.samples]})
    (store.folder / "pending" / f"{call.run}-1.answer").write_text(f"HTTP/1.1 200\r\n\r\n{body}", newline="")


def test_pictures_that_lost_calls_have_left_are_in_no_plan_count_for_no_cap_and_need_no_yes(session, engine):
    grid = study(session, n=3, model=["flux-2.0"])
    for cell in grid.cells[:3]:
        lose(session, cell.request)
    plan = grid.plan()
    assert (plan.images, plan.recoverable, plan.recorded, str(plan.cost)) == (3, 9, 0, "0.09")
    assert str(plan).splitlines()[0] == (
        "Dry run, nothing was sent: 4 combinations, 12 pictures, 0 recorded, 9 left by lost calls, 3 to make;"
        " at most 0.09 USD by your prices of 2026-11-01 (estimated)."
    )
    grid.run(max_images=3, max_cost=0.09)
    assert grid.counts["done"] == 4
    assert engine.requests == list(plan.requests)


def test_a_call_whose_pictures_lost_calls_have_left_needs_no_yes(session, engine):
    for request in session.plan("a cat", model="flux-2.0", n=12).requests:
        lose(session, request)
    assert session.plan("a cat", model="flux-2.0", n=12).images == 0
    assert len(session.generate("a cat", model="flux-2.0", n=12)) == 12
    assert engine.requests == []


def test_the_files_of_lost_calls_are_read_once_for_a_plan(session, monkeypatch):
    grid = study(session, model=["flux-2.0"])
    for cell in grid.cells:
        lose(session, cell.request)
    read, parse = [], pending.CALLS.parse
    monkeypatch.setattr(
        pending, "CALLS", replace(pending.CALLS, parse=lambda fields: read.append(fields) or parse(fields))
    )
    assert grid.plan().images == 0
    assert len(read) == 4


def test_the_caps_of_each_call_of_a_run_hold(session, engine):
    resources = session.resources
    calls = resources.calls(
        [cell.request for cell in study(session, model=["flux-2.0"], n=2).cells], session.settings()
    )
    free, capped = Budget(), Budget()
    calls = [
        replace(call, budgets=[(capped if number else free, Caps(images=5))])
        for number, call in enumerate(calls)
    ]
    with pytest.raises(OverBudgetError, match="6 pictures would be more than max_images allows: 0 of 5"):
        resources.check_budgets(resources.missing(calls))
    resources.check_budgets(resources.missing(calls[:3]))


@pytest.fixture
def loads(monkeypatch):
    """The folders whose settings were loaded."""
    loaded, load = [], preferences.load
    monkeypatch.setattr(preferences, "load", lambda *given: loaded.append(given[1]) or load(*given))
    return loaded


def test_a_call_and_a_display_load_the_settings_once(session, engine, tmp_path, loads):
    def once(action):
        loads.clear()
        done = action()
        assert len(loads) == 1
        return done

    once(lambda: session.generate("a cat", model="flux-2.0"))
    once(lambda: session.generate("a cat", model="flux-2.0"))
    once(lambda: session.plan("a cat", model="flux-2.0"))
    once(Session(environ={}, folder=tmp_path).last)
    grid = once(lambda: study(session))
    once(grid._repr_mimebundle_)
    once(lambda: repr(grid))
    once(lambda: grid.run(assume_yes=True))
    once(grid._repr_mimebundle_)
    assert len(once(lambda: list(grid.items()))) == 8
    once(lambda: grid["cat", "oil", "flux-2.0"])


def test_the_key_of_a_server_that_nothing_names_yet_is_watched(tmp_path, loads):
    key = "another-key-of-another-server-7"
    session = Session(environ={"BELUGA_LAB_API_KEY": key}, folder=tmp_path)
    session.resources.watch()
    assert loads == []
    assert key not in redact(f"It is {key}.")


ENDS = {
    "done": lambda: None,
    "bad": partial(APIStatusError, "No.", "Nothing is billed.", status=400),
    "unpaid": partial(APIStatusError, "No.", "Nothing is billed.", status=402),
    "unknown": partial(OutcomeUnknownError, "No.", "It may have been billed.", status=500),
    "late": partial(APITimeoutError, "No.", "It may have been billed."),
}


@pytest.mark.parametrize("first", ENDS)
@pytest.mark.parametrize("second", ENDS)
def test_the_error_of_a_run_counts_the_cells_that_arrived_and_those_that_may_be_billed(
    session, engine, first, second
):
    ends = {"cat": ENDS[first](), "fox": ENDS[second]()}
    engine.failures = {animal: end for animal, end in ends.items() if end}
    grid = session.grid("a {{animal}}", animal=list(ends), model="flux-2.0")
    if "done" in {first, second} and "unpaid" not in {first, second}:
        grid.run()
        return
    with pytest.raises(EngineError) as failed:
        grid.run()
    may_be_billed = any(error.may_be_billed for error in grid.errors.values())
    assert ("may have been billed" in str(failed.value)) is may_be_billed
    assert ("1 cell arrived" in str(failed.value)) is any(grid.samples)
    if "unpaid" in {first, second}:
        assert failed.value.status == 402


@pytest.mark.parametrize("mode", [None, "auto", "refresh", "off", "replay"])
@pytest.mark.parametrize("done", ["nothing", "some", "all"])
def test_a_plan_says_what_a_run_sends_in_every_mode_and_state(session, engine, mode, done):
    grid = session.grid("a {{animal}}", animal=["cat", "fox", "owl"], model="flux-2.0")
    engine.failures = {"fox": APIStatusError("No.", status=400)} if done == "some" else {}
    if done != "nothing":
        grid.run()
    engine.failures = {}
    before = len(engine.requests)
    plan = grid.plan(mode=mode)
    with contextlib.suppress(NotRecordedError):
        grid.run(mode=mode)
    sent = [replace(request, take="") for request in engine.requests[before:]]
    assert sorted(sent, key=str) == sorted(plan.requests, key=str)
