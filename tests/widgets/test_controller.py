"""What happens on the panel, without a screen: the session is real, and its service our own server."""

import builtins
import hashlib
import io
import json
import keyword
import random
import re
import threading
import zipfile
from contextlib import suppress
from dataclasses import replace
from functools import partial
from html import unescape
from queue import SimpleQueue

import ipywidgets as widgets
import pytest
from benches import OneByOne, Patient, all_widgets, ask, fill, of_class, panel_at, rest, settled, widget
from conftest import KEY, Counting, drawing, service
from needed import NESTED, needed
from sampling import some

from beluga_nb.catalog import find, models
from beluga_nb.errors import APIStatusError, EngineError, RequestError
from beluga_nb.magics.parse import parse
from beluga_nb.result import Result
from beluga_nb.session.session import Session
from beluga_nb.store.forget import choose, forget
from beluga_nb.widgets.collection import WINDOW
from beluga_nb.widgets.controller import MOST_SHOWN
from beluga_nb.widgets.panel import Panel
from beluga_nb.widgets.view.parts import Words

PATIENCE = 20

LOST = "1 call may have been charged without a result"


@pytest.fixture(scope="module")
def base_url():
    with service(drawing) as running:
        yield running


@pytest.fixture
def panel(base_url, tmp_path):
    return panel_at(base_url, tmp_path)


def test_the_panel_says_who_answers_in_which_mode_and_that_there_is_a_key(panel, base_url):
    assert panel.state.provider == (f"Answers: {base_url}. Mode: auto. Key: BELUGA_API_KEY.")


def test_without_a_key_it_says_that_previews_are_drawn(tmp_path):
    panel = settled(Panel(Session(environ={}, folder=tmp_path)))
    assert "built-in painter: previews, not model output" in panel.state.provider
    fill(panel, prompt="a fox")
    assert settled(panel).state.estimate == "1 to draw, 0 already in the store; local previews, no cost."


def test_the_sizes_and_the_count_are_those_of_the_model(panel):
    state = panel.state
    fill(panel, model="flux-2.0", size="21:9", n=4)
    assert (len(state.sizes), state.n) == (13, 4)
    assert state.about_size == "21:9, best for cinematic headers."
    state.model = "seedream-4.0"
    assert [size.label for size in state.sizes] == ["1:1", "16:9", "9:16", "4:3", "3:4"]
    assert (state.size, state.message) == ("", "seedream-4.0 has no size 21:9: its default is chosen.")
    state.model = "gpt-image-2"
    assert state.n == 4, "more than the model takes at once are asked for in several requests"
    assert state.about_model == "GPT-Image-2, by OpenAI: 13 sizes, 1 picture per request."


def test_it_starts_with_the_model_of_the_settings(base_url, tmp_path):
    (tmp_path / "beluga.toml").write_text(
        'model = "poster"\n[aliases]\nposter = {model = "flux-2.0", size = "3:4", quality = "hd", n = 2}\n'
    )
    asked = panel_at(base_url, tmp_path).controller.composer.arguments
    assert {name: asked[name] for name in ("model", "size", "quality", "n")} == {
        "model": "flux-2.0",
        "size": "3:4",
        "quality": "hd",
        "n": 2,
    }
    made = panel_at(base_url, tmp_path, BELUGA_MODEL="new-model").state.message
    assert made == "The panel has no model 'new-model': gpt-image-2 is chosen."


def test_a_search_narrows_the_models_and_keeps_the_chosen_one(panel):
    fill(panel, model="flux-2.0", search="seedream bytedance")
    names = [model.id for model in panel.state.models]
    assert names == ["seedream-4.0", "seedream-4.5", "seedream-5.0-lite"]
    assert panel.state.about_model == f"Choose one: {', '.join(names)}."
    assert panel.state.model == "flux-2.0"
    panel.state.search = "nothing like it"
    assert "No model matches “nothing like it”" in panel.state.about_model
    panel.state.search = "seedream-4.5"
    assert panel.state.model == "seedream-4.5"
    assert len(panel.state.sizes) == 5


def test_before_the_click_it_says_what_it_would_take(panel):
    fill(panel, prompt="a fox", n=2)
    assert settled(panel).state.estimate == "2 to buy, 0 already in the store; the price is unknown."
    ask(panel, "a fox", n=2)
    fill(panel, prompt="a fox", n=3)
    assert settled(panel).state.estimate == "1 to buy, 2 already in the store; the price is unknown."
    fill(panel, prompt=" ")
    assert settled(panel).state.estimate == ""


@pytest.mark.parametrize("n", range(1, 11))
@pytest.mark.parametrize("model", [model.id for model in models()])
def test_pictures_are_asked_for_in_the_requests_of_a_cell(model, n, tmp_path):
    engine = Counting()
    with service(engine) as base_url:
        for asks in (ask, lambda panel, *_, **request: panel.controller.session.generate("a fox", **request)):
            folder = tmp_path / f"{len(engine.requests)}"
            folder.mkdir()
            asks(panel_at(base_url, folder), "a fox", model=model, n=n)
    counts = [each.n for each in engine.requests]
    of_the_panel, of_the_cell = counts[: len(counts) // 2], counts[len(counts) // 2 :]
    assert sum(of_the_panel) == n
    assert sorted(of_the_panel) == sorted(of_the_cell)
    assert max(counts) <= find(model).n_max


def test_more_pictures_than_a_click_may_ask_for_are_refused_and_not_cut(panel):
    fill(panel, prompt="a fox", n=44)
    state = settled(panel).state
    assert (state.n, state.ready) == (44, False)
    assert state.estimate.startswith("The panel asks for 10 pictures at most, not 44. In a cell,")
    assert panel.controller.generate() is None
    assert state.error[0].endswith("at most, not 44.")
    fill(panel, prompt="a fox", n=2)
    assert settled(panel).state.ready


def test_a_variable_that_is_set_after_the_prompt_was_typed_fills_it(base_url, tmp_path):
    names = {}
    panel = panel_at(base_url, tmp_path, names=names)
    fill(panel, prompt="a {{animal}}")
    assert not settled(panel).state.ready
    names["animal"] = "fox"
    panel.controller.seen()
    assert settled(panel).state.ready


def test_in_a_replay_it_says_what_is_not_recorded(base_url, tmp_path):
    ask(panel_at(base_url, tmp_path), "a fox", n=2)
    panel = panel_at(base_url, tmp_path, BELUGA_MODE="replay")
    fill(panel, prompt="a fox", n=3)
    estimate = settled(panel).state.estimate
    assert estimate == "2 already in the store, 1 not recorded; no cost."


def test_what_comes_is_the_magics_own_object(panel):
    ask(panel, "a fox", n=3, size="16:9")
    assert isinstance(panel.result, Result)
    assert panel.result is panel.controller.session.last()
    assert panel.result == panel.controller.session.generate("a fox", model="flux-2.0", n=3, size="16:9")
    assert panel.selected.pictures == panel.result.pictures[:1]
    panel.controller.choose(panel.state.gallery[2])
    assert settled(panel).selected.pictures == panel.result.pictures[2:]
    ask(panel, "another fox", n=1)
    assert panel.selected is panel.result


def test_the_cell_of_a_picture_asks_for_the_same(base_url, tmp_path):
    panel = panel_at(base_url, tmp_path, {"really": "{{honestly}}"})
    ask(panel, "a fox -- {{really}}?\nYes.", n=2, size="16:9", quality="hd", take="b")
    first, _, body = panel.state.cell.partition("\n")
    call = parse(first.removeprefix("%%beluga"), body)
    again = panel.controller.session.generate(call.prompt, **call.options)
    assert again == panel.result


def test_a_click_returns_at_once_and_two_calls_run_side_by_side(tmp_path):
    engine = Patient()
    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path)
        fill(panel, prompt="a fox")
        first = panel.controller.generate()
        fill(panel, prompt="a whale", n=2)
        second = panel.controller.generate()
        for _ in range(2):
            assert engine.asked.acquire(timeout=PATIENCE)
        assert not first.done()
        assert not second.done()
        assert {(work.prompt, work.asked, work.arrived) for work in panel.state.work} == {
            ("a fox", 1, 0),
            ("a whale", 2, 0),
        }
        engine.answering.set()
        first.result(), second.result()
        settled(panel)
    assert panel.state.work == ()
    assert {piece.picture.recipe.request.prompt for piece in panel.state.gallery} == {"a fox", "a whale"}


def test_a_double_click_asks_once(tmp_path):
    engine = Patient()
    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path)
        fill(panel, prompt="a fox")
        job = panel.controller.generate()
        assert engine.asked.acquire(timeout=PATIENCE)
        assert panel.state.message == "Running: “a fox”."
        assert panel.controller.generate() is None
        assert panel.state.message == "The same is under way already."
        engine.answering.set()
        job.result()
        settled(panel)
    assert not engine.asked.acquire(blocking=False)


def again(panel):
    return panel.controller.again()


def generate(panel):
    of_class(panel, "generate")[0].click()


def new_take(panel):
    widget(panel, "New take").click()


CLICKS = {
    "Generate": (generate, {}),
    "Generate, each a new take": (generate, {"BELUGA_MODE": "refresh"}),
    "Generate, nothing kept": (generate, {"BELUGA_MODE": "off"}),
    "New take": (new_take, {}),
    "New take, by the controller": (again, {}),
}


@pytest.mark.sampled(6)
@pytest.mark.parametrize("threads", [False, True], ids=["one after the other", "in threads"])
@pytest.mark.parametrize("clicks", [2, 3, 30])
@pytest.mark.parametrize("name", CLICKS)
def test_many_clicks_on_the_same_buy_one(name, clicks, threads, tmp_path):
    click, more = CLICKS[name]
    engine = Patient()
    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path, **more)
        fill(panel, prompt="a fox")
        if "New take" in name:
            engine.answering.set()
            panel.controller.generate().result()
            settled(panel)
            assert engine.asked.acquire(timeout=PATIENCE)
            engine.answering.clear()
        pressing = [threading.Thread(target=click, args=[panel]) for _ in range(clicks)]
        for each in pressing:
            each.start()
            if not threads:
                each.join(PATIENCE)
        for each in pressing:
            each.join(PATIENCE)
        assert engine.asked.acquire(timeout=PATIENCE)
        engine.answering.set()
        settled(panel)
    assert not engine.asked.acquire(blocking=False)
    assert panel.controller._asked == panel.controller._calls == {}


def test_where_the_session_may_not_ask_there_is_no_new_take(tmp_path):
    engine = Counting()
    with service(engine) as base_url:
        panel = ask(panel_at(base_url, tmp_path), "a fox")
        assert not widget(panel, "New take").disabled
        panel.controller.session.preferences.set(mode="replay")
        assert again(panel) is None
        assert settled(panel).state.message == "Mode replay asks for nothing, so there is no new take."
        assert widget(panel, "New take").disabled
        assert widget(panel, "New take").tooltip == panel.state.message
        later = panel_at(base_url, tmp_path, BELUGA_MODE="replay")
        assert widget(later, "New take").disabled
        panel.controller.session.preferences.set(mode="auto")
        panel.controller.seen()
        assert not widget(settled(panel), "New take").disabled
    assert len(engine.requests) == 1


def forgotten(panel, names):
    collection = panel.controller.collection
    for item in panel.state.items:
        collection.pick(item)
    collection.ask_to_forget().result()
    collection.forget().result()


def forgotten_elsewhere(panel, names):
    store = panel.controller.session.store.open()
    forget(store, choose(store, {row.run for row in store.index.table().rows}))


def refreshed(panel, names):
    panel.controller.session.preferences.set(mode="refresh")


def renamed(panel, names):
    names["animal"] = "cat"


CHANGES = (renamed, forgotten_elsewhere, refreshed)


@pytest.mark.parametrize("change", CHANGES)
def test_a_button_that_says_show_buys_nothing_before_it_says_so(change, tmp_path):
    engine, names = Counting(), {"animal": "fox"}
    with service(engine) as base_url:
        panel = ask(panel_at(base_url, tmp_path, names), "a {{animal}}")
        assert panel.state.action == "Show 1 recorded"
        change(panel, names)
        rest(panel)
        for _ in range(3):
            generate(panel)
            settled(panel)
        assert panel.state.action == "Generate 1"
        assert len(engine.requests) == 1
        rest(panel)
        generate(panel)
        settled(panel)
    assert len(engine.requests) == 2


def test_what_is_forgotten_here_is_not_said_to_be_recorded(panel):
    ask(panel, "a fox", n=3)
    assert panel.state.action == "Show 3 recorded"
    forgotten(panel, {})
    assert settled(panel).state.action == "Generate 3"


@pytest.mark.parametrize("change", CHANGES)
def test_a_grid_that_was_said_to_be_recorded_buys_nothing_before_it_says_so(change, tmp_path):
    engine, names = Counting(), {"animal": "fox"}
    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path, names)
        fill(panel, prompt="a {{style}} {{animal}}")
        panel.state.axes = "style: flat, ink"
        settled(panel).controller.run_grid().result()
        assert "2 recorded, 0 to make" in settled(panel).state.grid_plan
        change(panel, names)
        rest(panel)
        for _ in range(3):
            panel.controller.run_grid()
            settled(panel)
        assert "2 to make" in panel.state.grid_plan
        assert len(engine.requests) == 2
        rest(panel)
        panel.controller.run_grid().result()
        settled(panel)
    assert len(engine.requests) == 4
    assert {request.prompt for request in engine.requests[2:]} == {
        f"a {style} {names['animal']}" for style in ("flat", "ink")
    }


def settings(**values):
    def set_them(panel, names, folder):
        panel.controller.session.preferences.set(**values)

    return set_them


def form(**values):
    def set_them(panel, names, folder):
        fill(panel, **({"model": panel.state.model} | values))

    return set_them


def file(text):
    def write(panel, names, folder):
        (folder / "beluga.toml").write_text(text)

    return write


def all_forgotten(panel, names, folder):
    with suppress(RequestError):  # nothing is recorded
        forgotten_elsewhere(panel, names)


CHANGED = {
    "a variable": lambda panel, names, _: renamed(panel, names),
    "a variable is gone": lambda _, names, __: names.clear(),
    "what is recorded": all_forgotten,
    "a name that was a model's": settings(aliases={"flux-2.0": {"model": "gpt-image-2", "n": 4}}),
    "mode refresh": settings(mode="refresh"),
    "mode off": settings(mode="off"),
    "mode replay": settings(mode="replay"),
    "a cap on the cost": settings(max_cost=0.01),
    "no cap": settings(max_images=None),
    "a lower cap": settings(max_images=1),
    "prices": file('[prices]\ndate = 2026-11-01\n"flux-2.0" = 9.0\n'),
    "the prompt": form(prompt="a whale"),
    "the number": form(n=4),
    "the model": form(model="gpt-image-2"),
    "the size": form(size="9:16"),
    "the quality": form(quality="standard"),
    "the take": form(take="other"),
    "the axes": form(axes="style: flat, ink, oil"),
}
"""What may change between a click and its run, while the kernel is busy with a cell."""


def sampled_from(requests):
    """Each picture of some requests; in mode refresh, a take is numbered as the call begins."""
    plain = [replace(each, take="" if each.take.isdigit() else each.take) for each in requests]
    return {
        each
        for request in plain
        for each in map(request.slice, range(request.sample, request.sample + request.n))
    }


@pytest.mark.sampled(24)
@pytest.mark.parametrize("seed", range(240))
def test_a_click_that_waited_buys_what_was_shown_at_the_click_or_says_that_it_bought_nothing(seed, tmp_path):
    chance = random.Random(seed)
    engine, elsewhere, names = Counting(), Counting(), {"animal": "fox"}
    is_grid = chance.random() < 0.4
    with service(engine) as base_url, service(elsewhere) as other:
        may_change = CHANGED | {"the server": settings(base_url=other)}
        panel = panel_at(base_url, tmp_path, names)
        prompt = chance.choice(["a fox", "a {{animal}}"]) + (", {{style}}" if is_grid else "")
        fill(panel, prompt=prompt, n=chance.randint(1, 3), size=chance.choice(["", "1:1"]))
        panel.state.axes = "style: flat, ink" if is_grid else ""
        settled(panel)
        click = panel.controller.run_grid if is_grid else panel.controller.generate
        if chance.random() < 0.5:  # it is recorded
            click().result()
            settled(panel)
        rest(panel)
        shown = panel.controller.composer.form
        promising = panel.controller.builder if is_grid else panel.controller.composer
        allowed = sampled_from(promising.promised(shown).plan.requests)
        already, mode = len(engine.requests), panel.controller.session.settings().mode
        panel.controller.cell_begins()
        changes = chance.sample(sorted(may_change), chance.randint(1, 4))
        for name in changes:
            may_change[name](panel, names, tmp_path)
            if chance.random() < 0.3:
                settled(panel)  # long enough for the panel to say something else
        if chance.random() < 0.6:  # else the click is heard before the cell has ended
            panel.controller.cell_has_run()
        before = panel.state.message, panel.state.error, panel.state.grid_words
        if job := click(shown):
            job.result()
        settled(panel)
        bought = sampled_from(engine.requests[already:])
    assert bought <= allowed, changes
    assert not bought or panel.controller.session.settings().mode == mode, changes
    assert elsewhere.requests == [], changes
    says = panel.state.message, panel.state.error, panel.state.grid_words
    assert bought or not allowed or says != before or panel.state.failures, changes
    if bought < allowed and "Nothing was sent" in panel.state.message:
        assert not bought, changes


def test_the_grid_is_filled_at_the_click(tmp_path):
    engine, names = Counting(), {"animal": "fox"}
    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path, names)
        fill(panel, prompt="a {{style}} {{animal}}")
        panel.state.axes = "style: flat, ink"
        settled(panel)
        names["animal"] = "cat"
        panel.controller.run_grid().result()
        settled(panel)
    assert {request.prompt for request in engine.requests} == {"a flat cat", "a ink cat"}


def retry(panel):
    return panel.controller.retry(panel.state.failures[0])


def run_grid(panel):
    return panel.controller.run_grid()


@pytest.mark.parametrize("click", [generate, run_grid, again, retry])
@pytest.mark.parametrize("mode", ["auto", "refresh", "off"])
def test_a_second_click_buys_nothing_though_the_first_has_failed_at_once(click, mode, tmp_path):
    asked, failing = [], []

    async def engine(request):
        asked.append(request)
        if failing:
            raise EngineError("No.", "", status=502)
        return await drawing(request)

    with service(engine) as base_url:
        panel = ask(panel_at(base_url, tmp_path, BELUGA_MODE=mode), "a fox")
        fill(panel, prompt="a {{style}} owl" if click is run_grid else "an owl")
        if click is run_grid:
            panel.state.axes = "style: flat"
        settled(panel)
        failing.append(True)
        if click is retry:
            ask(panel, "an owl")
        rest(panel)
        before = len(asked)
        for _ in range(3):
            click(panel)
            settled(panel)
        bought = len(asked)
        assert bought > before
        rest(panel)
        click(panel)
        settled(panel)
    assert len(asked) - bought == bought - before, "one click, and then one"


HOSTILE = (
    "pay $5 and $10",
    r"$\href{javascript:alert(1)}{click}$ $\phantom{hidden}$",
    r"\(\color{white}{x}\) \[x\] \begin{equation}x\end{equation} $$x$$",
    "<b>$x$</b><script>alert(1)</script>",
)


@pytest.mark.parametrize("prompt", HOSTILE)
def test_no_prompt_is_typeset(panel, prompt):
    ask(panel, prompt, take="$t$")
    panel.controller.collection.pick(panel.state.items[0])
    ask(panel, f"{prompt} {KEY}")  # refused: its tile and the card show it too
    fill(panel, prompt=prompt)
    panel.state.axes = "$x$: 1"
    settled(panel)
    shown = 0
    for each in all_widgets(panel):
        if isinstance(each, widgets.Label | widgets.HTMLMath):
            assert not set("$\\") & set(each.value), each.value
        elif isinstance(each, Words):
            assert not re.search(r"[$\\](?!</span>)", each.value), each.value
            assert unescape(re.sub("</?span[^>]*>", "", each.value)) == each.text
            shown += prompt[:9] in each.text
    assert shown > 2


@pytest.mark.parametrize("name", CLICKS)
def test_a_key_that_is_held_down_buys_one_though_calls_end_meanwhile(name, tmp_path):
    click, more = CLICKS[name]
    engine = Counting()
    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path, **more)
        ask(panel, "a fox")
        if name == "Generate":  # else its picture is in the store
            fill(panel, prompt="an owl")
            settled(panel)
        bought = len(engine.requests)
        now = panel.controller._clock() + 10
        panel.controller._clock = lambda: now
        for wait in (0.66, *[0.03] * 20):
            click(panel)
            settled(panel)
            now += wait
        assert len(engine.requests) == bought + 1
        now += 1.0
        click(panel)
        settled(panel)
        assert len(engine.requests) == bought + 1 + (name != "Generate"), "a click of its own is one"


def test_stop_closes_the_connection_and_leaves_the_others_running(tmp_path):
    engine = Patient()
    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path)

        def start(prompt):
            fill(panel, prompt=prompt)
            panel.controller.generate()
            assert engine.asked.acquire(timeout=PATIENCE)

        start("an owl")
        panel.controller.stop(panel.state.work[0].number)
        settled(panel)
        engine.left.clear()
        for prompt in ("a fox", "a whale"):
            start(prompt)
        [fox, _] = panel.state.work
        threading.Thread(target=panel.controller.stop, args=[fox.number]).start()  # as in a subshell
        assert engine.left.wait(PATIENCE)
        heard = []
        panel.state.observe(lambda change: heard.append(change.new), "message")
        engine.answering.set()
        settled(panel)
    stopped = "Stopped: “a fox”. What had arrived is in the store."
    assert f"{stopped} {LOST}." in [*heard, panel.state.message], "the owl is not counted again"
    assert [piece.picture.recipe.request.prompt for piece in panel.state.gallery] == ["a whale"]
    assert panel.state.work == ()
    assert panel.state.error == ()


def test_progress_says_what_has_arrived_and_how_long_it_takes(tmp_path):
    ticks = iter(range(1000))
    seen = []
    with service(drawing) as base_url:
        panel = panel_at(base_url, tmp_path)
        panel.controller._clock = lambda: next(ticks)
        panel.state.observe(lambda change: seen.extend(change.new), "work")
        ask(panel, "foxes", model="flux-2.0", n=4)
    assert (seen[0].model, seen[0].asked, seen[0].arrived, seen[0].seconds) == ("flux-2.0", 4, 0, 0)
    assert seen[-1].seconds > 0


def test_progress_counts_each_picture_that_is_bought_as_it_arrives(tmp_path):
    engine, seen = OneByOne(), SimpleQueue()

    def arrive(job, *, asked):
        for arrived in range(asked):
            for _ in iter(partial(seen.get, timeout=PATIENCE), (arrived, asked)):
                pass
            engine.let.release()
        job.result()
        return len(settled(panel).result)

    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path)
        panel.controller._clock = lambda: 0.0  # else each second would be seen too
        panel.state.observe(lambda change: [seen.put((it.arrived, it.asked)) for it in change.new], "work")
        engine.let.release()
        panel.controller.session.generate("foxes", model="gpt-image-2")
        foxes = {"prompt": "foxes", "model": "gpt-image-2", "n": 3}
        assert arrive(panel.controller._ask(foxes), asked=2) == 3, "one is in the store"
        assert arrive(panel.controller.again(), asked=3) == 3


async def broken(request):
    raise APIStatusError("The prompt was <b>refused</b>.", "Write another.", status=400)


def test_an_error_is_the_cells_own_two_lines_and_the_next_call_works(tmp_path):
    async def engine(request):
        return await (broken if "bad" in request.prompt else drawing)(request)

    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path)
        ask(panel, "bad")
        with pytest.raises(EngineError) as caught:
            panel.controller.session.generate("bad", model="flux-2.0")
        found = caught.value.lines(beside_badge=True)
        assert [line.partition(", request ")[0] for line in panel.state.error] == [
            line.partition(", request ")[0] for line in found
        ]
        assert panel.state.billing == caught.value.billing == "not billed"
        assert panel.state.gallery == ()
        ask(panel, "good")
    assert panel.state.error == ()
    assert len(panel.state.gallery) == 1


def test_a_hint_on_the_panel_names_a_setting_and_no_option(base_url, tmp_path):
    panel = panel_at(base_url, tmp_path, BELUGA_MODE="replay")
    ask(panel, "a new one")
    assert panel.state.error[1] == 'The store is empty. Use the setting mode = "auto" to have it made.'


def test_what_is_refused_before_it_is_sent_is_reported_there_too(panel):
    ask(panel, " ")
    assert panel.state.error[0] == "RequestError: The prompt is empty."
    ask(panel, f"a fox {KEY}")
    assert "holds a key, or what looks like one; nothing was sent" in panel.state.error[0]
    assert KEY not in "".join(panel.state.error)


def test_a_fault_of_other_code_is_reported_and_kept(panel, monkeypatch):
    def odd(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr(panel.controller.session, "submit", odd)
    ask(panel, "a fox")
    assert panel.state.error == ("BelugaError: ZeroDivisionError in the panel.", "panel.failure holds it.")
    assert isinstance(panel.failure, ZeroDivisionError)


def test_what_arrived_of_an_incomplete_answer_is_in_the_gallery(tmp_path):
    async def engine(request):
        if request.sample:
            raise EngineError("No more.", status=500)
        return await drawing(request)

    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path)
        job = panel.controller._ask({"prompt": "foxes", "model": "gpt-image-2", "n": 2})
        job.result()
        settled(panel)
    assert len(panel.state.gallery) == 1
    assert panel.state.error[0].startswith("IncompleteError: 1 of 2 pictures arrived")


def test_the_messages_of_a_call_are_shown_on_the_panel_and_printed_nowhere(base_url, tmp_path, capsys):
    (tmp_path / "blocked").write_text("a file where the folder should be")
    panel = panel_at(base_url, tmp_path, BELUGA_STORE="blocked")
    heard = []
    panel.state.observe(lambda change: heard.append(change.new), "message")
    ask(panel, "a fox")
    assert any("cannot be recorded" in words for words in heard)
    assert len(panel.state.gallery) == 1
    assert capsys.readouterr() == ("", "")


def test_a_new_take_is_another_sampling_of_the_same(panel):
    ask(panel, "a fox", n=2, size="16:9")
    first = panel.result
    panel.controller.again().result()
    settled(panel)
    assert panel.result.request.prompt == "a fox"
    assert (panel.result.request.take, panel.result.request.size, len(panel.result)) == ("2", "16:9", 2)
    assert {each.sha256 for each in first.pictures}.isdisjoint(each.sha256 for each in panel.result.pictures)
    assert "--take 2" in panel.state.cell


@pytest.mark.parametrize("n", [1, 9, 10, 11, 30])
def test_no_click_makes_more_pictures_than_are_made_without_a_question(tmp_path, n):
    engine = Counting()
    session = Session(environ={}, folder=tmp_path, engine=engine, provider="mine")
    session.generate("foxes", n=n, assume_yes=True)
    panel = settled(Panel(session))
    panel.controller.show(panel.state.items[0]).result()
    settled(panel)
    if job := panel.controller.again():
        job.result()
    settled(panel)
    made = sum(request.n for request in engine.requests) - n
    assert made == (n if n <= 10 else 0)
    assert bool(panel.state.error) is (n > 10)


def test_the_nested_bridge_does_not_keep_a_click_waiting(base_url, tmp_path):
    needed(NESTED)
    (tmp_path / "beluga.toml").write_text('bridge = "nested"\n')
    assert len(ask(panel_at(base_url, tmp_path), "a fox").state.gallery) == 1


def use(panel, name):
    panel.state.name = name
    return panel.controller.use()


def test_a_picture_becomes_a_variable(base_url, tmp_path):
    names = {}
    panel = panel_at(base_url, tmp_path, names)
    assert not use(panel, "whale"), "nothing is chosen yet"
    ask(panel, "a fox")
    assert use(panel, " whale ")
    assert names == {"whale": panel.selected}
    builtin = [each for each in dir(builtins) if each.isidentifier() and not keyword.iskeyword(each)]
    for name in some(builtin, 12):
        assert use(panel, name)
        assert f"It hides Python's own {name}: del {name} brings that back." in panel.state.message
        assert use(panel, f"{name}_of_mine")
        assert "hides" not in panel.state.message
    for wrong in ("class", "a b", "1x", ""):
        assert not use(panel, wrong)
        assert "is not a valid variable name" in panel.state.error[0]


def test_the_download_is_the_original_to_the_byte(panel):
    ask(panel, "a fox")
    panel.controller.download().result()
    picture = panel.result.pictures[0]
    original = panel.state.file
    assert (original.data, original.media_type) == (picture.data, "image/png")
    assert original.name == f"beluga-{picture.sha256[:12]}.png"
    panel.controller.choose(panel.state.gallery[0])
    assert panel.state.file is None, "what is heavy does not stay"


def test_a_recorded_request_goes_back_into_the_form(panel):
    ask(panel, "a fox", n=2, size="16:9", take="b", quality="hd")
    fill(panel, prompt="another", model="seedream-4.0", size="1:1", n=1, take="", quality="")
    panel.controller.reuse_prompt()
    asked = {"prompt": "a fox", "model": "flux-2.0", "n": 2, "take": "b", "size": "16:9", "quality": "hd"}
    assert panel.controller.composer.arguments == asked


def test_favourites_and_notes_are_in_the_store_and_come_back(base_url, tmp_path):
    panel = panel_at(base_url, tmp_path)
    ask(panel, "a fox")
    ask(panel, "a whale")
    panel.controller.toggle_favourite().result()
    panel.controller.annotate("the one for the <poster>").result()
    settled(panel)
    later = panel_at(base_url, tmp_path)
    assert [each.prompt for each in later.state.items if each.favourite] == ["a whale"]
    later.state.favourites = True
    assert [each.prompt for each in settled(later).state.items] == ["a whale"]
    later.controller.show(later.state.items[0]).result()
    settled(later)
    assert (later.state.favourite, later.state.note) == (True, "the one for the <poster>")
    later.controller.toggle_favourite().result()
    assert not settled(later).state.favourite


def test_a_note_that_cannot_be_kept_says_so(panel):
    ask(panel, "a fox")
    panel.controller.annotate("x" * 5000).result()
    assert panel.state.error[0] == "RequestError: The note has 5,000 characters."


def test_the_history_is_there_after_a_restart_and_can_be_searched(base_url, tmp_path):
    before = panel_at(base_url, tmp_path)
    for prompt, model in (("a fox", "flux-2.0"), ("a whale", "flux-2.0"), ("a fox", "seedream-4.0")):
        ask(before, prompt, model=model)
    panel = panel_at(base_url, tmp_path)
    state = panel.state
    assert state.total == len(state.items) == 3
    assert all(each.preview for each in state.items)
    assert [bool(each.day) for each in state.items] == [True, False, False]
    assert state.chosen.picture.sha256 == state.items[0].sha256, "the newest is on the stage"
    state.history_query = "FOX"
    assert {each.model for each in settled(panel).state.items} == {"flux-2.0", "seedream-4.0"}
    state.history_model = "seedream-4.0"
    assert [each.model for each in settled(panel).state.items] == ["seedream-4.0"]
    panel.controller.show(state.items[0]).result()
    assert settled(panel).result.pictures == before.result.pictures
    state.history_query = state.history_model = ""
    state.since = "2000-01-01"
    assert len(settled(panel).state.items) == 3
    state.until = "2000-01-02"
    assert settled(panel).state.items == ()


def test_the_filmstrip_has_what_is_in_view_of_a_large_store(base_url, tmp_path):
    panel = panel_at(base_url, tmp_path)
    for number in range(11):
        ask(panel, f"foxes {number}", n=4)
    later = panel_at(base_url, tmp_path)
    state = later.state
    assert (state.first, len(state.items), state.total) == (0, WINDOW, 44)
    seen = {each.sha256 for each in state.items}
    state.at = 20
    settled(later)
    assert (state.first, len(state.items), state.total) == (20, 24, 44)
    assert len(seen | {each.sha256 for each in state.items}) == 44


def test_what_a_cell_or_another_panel_records_appears(panel):
    other = settled(Panel(panel.controller.session))
    panel.controller.session.generate("a fox", model="flux-2.0")
    assert [each.prompt for each in settled(panel).state.items] == ["a fox"]
    assert [each.prompt for each in settled(other).state.items] == ["a fox"]


def test_the_history_knows_the_models_of_the_store_as_it_is(panel, base_url, tmp_path):
    model = widget(panel, "Of model")
    assert [value for _, value in model.options] == [""]
    panel_at(base_url, tmp_path).controller.session.generate("a fox", model="seedream-4.0")
    panel.controller.session.generate("a whale", model="flux-2.0")
    panel.controller.collection.refresh()
    settled(panel)
    assert [value for _, value in model.options] == ["", "flux-2.0", "seedream-4.0"]
    model.value = "flux-2.0"
    assert [each.model for each in settled(panel).state.items] == ["flux-2.0"]
    forgotten_elsewhere(panel, {})
    panel.controller.collection.refresh()
    assert (settled(panel).state.total, model.value) == (0, "flux-2.0")
    assert [value for _, value in model.options] == ["", "flux-2.0"]


def test_selected_pictures_are_tagged_found_by_their_tag_and_downloaded(panel):
    ask(panel, "foxes", n=2)
    ask(panel, "a whale", n=1)
    state, collection = panel.state, panel.controller.collection
    for item in state.items[:2]:
        collection.pick(item)
    state.new_tag = "two words"
    collection.tag().result()
    assert "is not a tag" in state.error[0]
    state.new_tag = "#poster"
    collection.tag().result()
    assert state.message == "2 pictures tagged #poster."
    state.tag = "poster"
    assert {each.prompt for each in settled(panel).state.items} == {"a whale", "foxes"}
    assert state.total == 2
    collection.download().result()
    with zipfile.ZipFile(io.BytesIO(state.file.data)) as zipped:
        hashes = {hashlib.sha256(zipped.read(name)).hexdigest() for name in zipped.namelist()}
    assert hashes == {each.sha256 for each in state.picked}


def test_what_is_to_be_forgotten_is_asked_first_and_says_what_else_goes(panel):
    ask(panel, "a whale")
    ask(panel, "foxes", n=2)
    state, collection = panel.state, panel.controller.collection
    collection.pick(state.items[0])
    collection.ask_to_forget().result()
    assert state.question.startswith("Forget 1 run, 2 pictures? 1 of them not selected")
    collection.keep()
    assert (state.question, len(state.picked)) == ("", 1), "what was selected still is"
    collection.forget().result()
    assert settled(panel).state.total == 3, "nothing was asked for any more"
    collection.pick(state.items[0])
    collection.ask_to_forget().result()
    collection.forget().result()
    assert [each.prompt for each in settled(panel).state.items] == ["a whale"]
    assert state.message.startswith("Forgotten: 1 run, 2 pictures")
    assert state.chosen is None
    assert state.picked == ()


def test_the_gallery_keeps_the_newest(panel):
    for number in range(6):
        ask(panel, f"fox {number}", n=4)
    assert len(panel.state.gallery) == MOST_SHOWN == 20
    assert panel.state.gallery[0].picture.recipe.request.prompt == "fox 5"
    ask(panel, "fox 5", n=4)
    assert len(panel.state.gallery) == 20, "what is shown already is not shown twice"


def test_four_of_the_selected_pictures_are_compared(panel):
    ask(panel, "foxes", n=4)
    ask(panel, "a whale")
    state, collection = panel.state, panel.controller.collection
    for item in state.items:
        collection.pick(item)
    assert len(settled(panel).state.compared) == 4
    first = state.compared[0]
    collection.pick(state.items[1])
    assert len(settled(panel).state.compared) == 4
    assert state.compared[0] is first, "what was sent is not sent again"
    collection.clear()
    assert settled(panel).state.compared == ()


def test_names_are_filled_from_the_notebook_or_refused(base_url, tmp_path):
    names = {}
    panel = panel_at(base_url, tmp_path, names)
    fill(panel, prompt="a {{animal}}")
    assert settled(panel).state.estimate.startswith("No value for '{{animal}}'. Set it first")
    fill(panel, axes="animal: fox, hen")
    assert settled(panel).state.estimate == "The axes of the grid fill this prompt: press Run grid."
    assert not panel.state.ready
    fill(panel, axes="style: flat, ink")
    assert settled(panel).state.estimate.startswith("No value for '{{animal}}'. Set it first")
    assert not panel.state.ready
    ask(panel, "a {{animal}}")
    assert panel.state.error[0] == "UnknownNameError: No value for '{{animal}}'."
    assert panel.state.gallery == ()
    names["animal"] = "fox {{x}}"
    ask(panel, "a {{animal}}")
    assert panel.result.request.prompt == "a fox {{x}}"
    assert panel.result.recipe.template == "a {{animal}}"
    panel.controller.again().result()
    assert settled(panel).result.request.prompt == "a fox {{x}}"


@pytest.mark.parametrize("seed", range(20))
def test_the_meter_is_the_share_of_the_cap_that_is_nearest_and_hidden_without_a_cap(seed, base_url, tmp_path):
    chance = random.Random(seed)
    images, cost = chance.choice([None, 3, 4, 9]), chance.choice([None, 2, 3, 7])
    caps = {"max_images": images, "max_cost": cost}
    lines = [f"{name} = {cap}" for name, cap in caps.items() if cap is not None]
    (tmp_path / "beluga.toml").write_text("\n".join([*lines, '[prices]\ndate = 2026-11-01\n"flux-2.0" = 1']))
    panel = panel_at(base_url, tmp_path, BELUGA_TRUST=str(tmp_path))
    [meter] = of_class(panel, "meter")
    for spent in range(min(chance.randint(1, 4), images or 4, cost or 4) + 1):
        if spent:
            ask(panel, f"fox {spent}")
        shares = [spent / cap for cap in (images, cost) if cap]
        assert (meter.layout.display == "none") is (not shares)
        assert not shares or meter.value == pytest.approx(max(shares))
        assert meter.bar_style == ("danger" if shares and max(shares) == 1 else "")


def test_the_button_says_what_a_click_would_do(base_url, tmp_path):
    (tmp_path / "beluga.toml").write_text('max_images = 6\n[prices]\ndate = 2026-11-01\n"flux-2.0" = 0.05\n')
    panel = panel_at(base_url, tmp_path, BELUGA_TRUST=str(tmp_path))
    state = panel.state
    assert not state.ready, "there is no prompt"
    fill(panel, prompt="a fox", n=4)
    assert (settled(panel).state.action, state.ready) == ("Generate 4 · at most 0.2 USD", True)
    ask(panel, "a fox", n=4)
    assert state.action == "Show 4 recorded"
    assert state.spent.startswith("4 pictures of 6; 0.2 USD by your prices")
    assert state.share == pytest.approx(4 / 6)
    fill(panel, prompt="a fox", n=6)
    assert settled(panel).state.action == "Generate 2, show 4 · at most 0.1 USD"
    fill(panel, prompt="a whale", n=3)
    assert (settled(panel).state.action, state.ready) == ("Over your cap", False)


def test_an_alias_fills_the_form_and_says_so(base_url, tmp_path):
    (tmp_path / "beluga.toml").write_text(
        '[aliases]\nposter = {model = "flux-2.0", size = "3:4", quality = "hd", n = 30}\n'
    )
    panel = panel_at(base_url, tmp_path)
    assert "poster" in widget(panel, "Model").options
    widget(panel, "Model").value = "poster"
    [received] = of_class(panel, "received-search")
    assert widget(panel, "Model").value == received.value == "flux-2.0", "or a click would wait for ever"
    assert (panel.state.model, panel.state.size, panel.state.n) == ("flux-2.0", "3:4", 10)
    assert panel.state.message == "poster is flux-2.0, 3:4, hd, 10 pictures."
    panel.controller.session.preferences.alias("sketch", model="flux-2.0", size="16:9")
    panel.controller.seen()
    settled(panel)
    assert "sketch" in widget(panel, "Model").options, "an alias that a cell has set since"


def test_a_grid_is_planned_as_it_is_typed_run_and_written_as_a_cell(panel):
    state = panel.state
    fill(panel, prompt="a {{animal}}, {{style}}", n=1)
    state.axes = "animal: fox"
    assert "{{style}}" in settled(panel).state.grid_plan
    assert not state.grid_ready
    state.axes = 'animal: fox, "sea lion, wet"\nstyle: ink, flat\n'
    assert settled(panel).state.grid_plan.startswith("4 combinations, 4 pictures, 0 recorded, 4 to make;")
    line, _, body = state.grid_cell.partition("\n")
    call = parse(line.removeprefix("%%beluga"), body)
    assert call.axes == {
        "animal": {"fox": "fox", "sea lion, wet": "sea lion, wet"},
        "style": {"ink": "ink", "flat": "flat"},
    }
    assert call.prompts == ("a {{animal}}, {{style}}",)
    panel.controller.run_grid().result()
    assert settled(panel).state.total == 4
    assert state.grid_sheet.media_type.startswith("image/")
    assert state.grid_words == "4 of 4 cells done."
    assert state.spent.startswith("4 pictures"), "the header counts them at once"
    assert len(state.gallery) == 4, "they come first in the filmstrip, and in a saved notebook"
    assert "4 recorded, 0 to make" in state.grid_plan


def test_a_grid_that_is_stopped_says_what_may_have_been_charged(tmp_path):
    engine = Patient()
    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path)
        fill(panel, prompt="a fox")
        panel.state.axes = "size: 1:1"
        settled(panel)
        panel.controller.run_grid()
        assert engine.asked.acquire(timeout=PATIENCE)
        panel.controller.stop_all()
        engine.answering.set()
        settled(panel)
    assert panel.state.message == f"Stopped: “a fox”. What had arrived is in the store. {LOST}."


def test_the_grid_of_a_cell_comes_back_into_the_form(base_url, tmp_path):
    names = {"x": 1}
    panel = panel_at(base_url, tmp_path, names=names)
    state, make = panel.state, panel.controller.builder.session.grid
    names["g"] = make(
        "a {{animal}}",
        animal=["fox", 'sea "lion", wet'],
        size=["1:1", "16:9"],
        model="flux-2.0",
        quality="hd",
        n=2,
    )
    state.axes = "@g"
    settled(panel)
    assert state.axes == 'animal: fox, "sea ""lion"", wet"\nsize: 1:1, 16:9'
    assert (state.prompt, state.model, state.quality, state.n) == ("a {{animal}}", "flux-2.0", "hd", 2)
    assert settled(panel).state.grid_plan.startswith("4 combinations, 8 pictures")
    fox = {"animal": ["fox", "hen"]}
    for odd in (
        make("a {{animal}}", animal={"oil": "fox, in oil", "ink": "hen"}),
        make("a {{animal}}", animal=["fox", " hen "]),
        make("a {{animal}}", **fox, output_format="webp"),
        make("a fox", replace={"fox": ["owl", "hen"]}),
        make(["a fox", "an owl"], **{"size": ["1:1"]}),
        make("a {{animal}}, {{style}}", **fox, style=["a", "b"], sample=2, seed=1),
    ):
        names["g"] = odd
        state.axes = ""
        state.axes = "@g"
        assert "made of more" in settled(panel).state.grid_plan or "is no axis" in state.grid_plan
        assert (state.axes, state.grid_ready) == ("@g", False)
    state.axes = "@x"
    assert "The variable x is no grid." in settled(panel).state.grid_plan


def test_a_grid_of_many_pictures_is_run_by_a_second_click_only(tmp_path):
    engine = Counting()
    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path)
        fill(panel, prompt="a {{animal}}", n=4)
        panel.state.axes = "animal: cat, fox, owl"
        settled(panel)
        for _ in range(3):
            assert panel.controller.run_grid() is None
        assert engine.requests == []
        assert "Press Run again to make 12 pictures." in panel.state.grid_plan
        rest(panel)
        panel.controller.run_grid().result()
        settled(panel)
        assert sum(request.n for request in engine.requests) == 12
        rest(panel)
        assert panel.controller.run_grid() is not None, "all of it is recorded"
        settled(panel)
    assert sum(request.n for request in engine.requests) == 12


def test_a_grid_of_many_previews_is_run_by_the_first_click(tmp_path):
    panel = settled(Panel(Session(environ={}, folder=tmp_path)))
    fill(panel, prompt="a {{animal}}", n=4, size="1:1")
    panel.state.axes = "animal: cat, fox, owl"
    settled(panel).controller.run_grid().result()
    assert settled(panel).state.total == 12


def test_nothing_is_asked_twice_by_looking(tmp_path):
    engine = Counting()
    with service(engine) as base_url:
        panel = ask(panel_at(base_url, tmp_path), "a fox", n=2)
        fill(panel, prompt="another fox", n=3)
        settled(panel)
        panel.state.history_query = "fox"
        panel.state.at = 1
        settled(panel)
    assert sum(request.n for request in engine.requests) == 2


def test_the_still_names_every_picture_and_weighs_little(panel):
    for number in range(5):
        ask(panel, f"fox {number}", n=4)
    still = settled(panel).state.snapshot
    assert still["text/plain"].count("sha256:") == 20
    assert still["text/html"].count("<img") == 20
    assert len(json.dumps(still)) < 2_000_000


def test_a_server_of_the_file_is_among_the_models_and_is_asked(base_url, tmp_path):
    (tmp_path / "beluga.toml").write_text(
        f'[endpoints.lab]\nbase_url = "{base_url}"\ndialect = "generic"\nmodel = "flux-2.0"\n'
    )
    panel = panel_at(base_url, tmp_path, BELUGA_LAB_API_KEY=KEY, BELUGA_TRUST=str(tmp_path))
    panel.state.search = "lab"
    assert [model.id for model in panel.state.models] == ["lab:flux-2.0"]
    ask(panel, model="lab:flux-2.0", size="16:9")
    assert panel.state.about_model == "lab:flux-2.0, by lab: 13 sizes, 1 picture per request."
    assert panel.state.provider.endswith("Key: BELUGA_LAB_API_KEY.")
    assert panel.result.request.model == "lab:flux-2.0"
    assert panel.state.cell.startswith("%%beluga -m lab:flux-2.0 -s 16:9")
    panel.state.search = "lab:gpt-image-2"
    assert panel.state.model == "lab:gpt-image-2", "the file names but one model of a server"
    panel.state.search = "lab:"
    assert panel.state.model == "lab:gpt-image-2", "the name of a server alone is no model"
