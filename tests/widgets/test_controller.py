"""What happens on the panel, without a screen: the session is real, and its service our own server."""

import json
import threading
from functools import partial
from queue import SimpleQueue

import pytest
from benches import OneByOne, Patient, ask, fill, panel_at, settled, widget
from conftest import KEY, Counting, drawing, service
from needed import NESTED, needed

from beluga_nb.errors import APIStatusError, EngineError
from beluga_nb.magics.parse import parse
from beluga_nb.result import Result
from beluga_nb.session.session import Session
from beluga_nb.show.comparison import CURTAIN
from beluga_nb.widgets.controller import MOST_SHOWN
from beluga_nb.widgets.panel import Panel

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
    assert (len(state.sizes), state.max_n, state.n) == (13, 4, 4)
    assert state.about_size == "21:9, best for cinematic headers."
    state.model = "seedream-4.0"
    assert [size.label for size in state.sizes] == ["1:1", "16:9", "9:16", "4:3", "3:4"]
    assert (state.size, state.message) == ("", "seedream-4.0 has no size 21:9: its default is chosen.")
    state.model = "gpt-image-2"
    assert (state.max_n, state.n) == (1, 1)
    assert state.about_model == "GPT-Image-2, by OpenAI: 13 sizes, 1 picture per request."


def test_it_starts_with_the_model_of_the_settings(base_url, tmp_path):
    (tmp_path / "beluga.toml").write_text(
        'model = "poster"\n[aliases]\nposter = {model = "flux-2.0", size = "3:4", quality = "hd", n = 2}\n'
    )
    asked = panel_at(base_url, tmp_path).controller.arguments
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
    assert names == ["flux-2.0", "seedream-4.0", "seedream-4.5", "seedream-5.0-lite"]
    assert panel.state.model == "flux-2.0"
    panel.state.search = "nothing like it"
    assert "No model matches “nothing like it”" in panel.state.message


def test_before_the_click_it_says_what_it_would_take(panel):
    fill(panel, prompt="a fox", n=2)
    assert settled(panel).state.estimate == "2 to buy, 0 already in the store; the price is unknown."
    ask(panel, "a fox", n=2)
    fill(panel, prompt="a fox", n=3)
    assert settled(panel).state.estimate == "1 to buy, 2 already in the store; the price is unknown."
    fill(panel, prompt=" ")
    assert settled(panel).state.estimate == ""


def test_in_a_replay_it_says_what_is_not_recorded(base_url, tmp_path):
    ask(panel_at(base_url, tmp_path), "a fox", n=2)
    panel = panel_at(base_url, tmp_path, BELUGA_MODE="replay")
    fill(panel, prompt="a fox", n=3)
    estimate = settled(panel).state.estimate
    assert estimate == "0 to draw, 2 already in the store, 1 not recorded; no cost."


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


def test_the_cell_of_a_picture_asks_for_the_same(panel):
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
        assert panel.controller.generate() is None
        assert panel.state.message == "The same is under way already."
        engine.answering.set()
        job.result()
        settled(panel)
    assert not engine.asked.acquire(blocking=False)


def again(panel):
    panel.controller.again()


def clicked(name):
    return lambda panel: widget(panel, name).click()


CLICKS = {
    "Generate": (clicked("Generate"), {}),
    "Generate, each a new take": (clicked("Generate"), {"BELUGA_MODE": "refresh"}),
    "Generate, nothing kept": (clicked("Generate"), {"BELUGA_MODE": "off"}),
    "New take": (clicked("New take"), {}),
    "New take, by the controller": (again, {}),
}


@pytest.mark.sampled(12)
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


@pytest.mark.parametrize("name", [name for name in CLICKS if name != "Generate"])
def test_a_key_that_is_held_down_buys_one_though_calls_end_meanwhile(name, tmp_path):
    click, more = CLICKS[name]
    engine = Counting()
    with service(engine) as base_url:
        panel = panel_at(base_url, tmp_path, **more)
        ask(panel, "a fox")
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
        assert len(engine.requests) == bought + 2, "a click of its own is one"


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
        found = caught.value.lines()
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
    panel.controller.recall(panel.state.found[0]).result()
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


def test_a_picture_becomes_a_variable(base_url, tmp_path):
    names = {}
    panel = panel_at(base_url, tmp_path, names)
    assert not panel.controller.use("whale"), "nothing is chosen yet"
    ask(panel, "a fox")
    assert panel.controller.use(" whale ")
    assert names == {"whale": panel.selected}
    for wrong in ("class", "a b", "1x", ""):
        assert not panel.controller.use(wrong)
        assert "is not a valid variable name" in panel.state.error[0]


def test_the_download_is_the_original_to_the_byte(panel):
    ask(panel, "a fox")
    panel.controller.download().result()
    picture = panel.result.pictures[0]
    original = panel.state.original
    assert (original.data, original.media_type) == (picture.data, "image/png")
    assert original.name == f"beluga-{picture.sha256[:12]}.png"
    panel.controller.choose(panel.state.gallery[0])
    assert panel.state.original is None, "what is heavy does not stay"


def test_a_recorded_request_goes_back_into_the_form(panel):
    ask(panel, "a fox", n=2, size="16:9", take="b", quality="hd")
    fill(panel, prompt="another", model="seedream-4.0", size="1:1", n=1, take="", quality="")
    panel.controller.reuse_prompt()
    asked = {"prompt": "a fox", "model": "flux-2.0", "n": 2, "take": "b", "size": "16:9", "quality": "hd"}
    assert panel.controller.arguments == asked


def test_favourites_and_notes_are_in_the_store_and_come_back(base_url, tmp_path):
    panel = panel_at(base_url, tmp_path)
    ask(panel, "a fox")
    ask(panel, "a whale")
    panel.controller.toggle_favourite().result()
    panel.controller.annotate("the one for the <poster>").result()
    settled(panel)
    later = panel_at(base_url, tmp_path)
    assert [each.run.prompt for each in later.state.found if each.favourite] == ["a whale"]
    later.state.favourites = True
    assert [each.run.prompt for each in settled(later).state.found] == ["a whale"]
    later.controller.recall(later.state.found[0]).result()
    settled(later)
    assert (later.state.favourite, later.state.note) == (True, "the one for the <poster>")
    later.controller.toggle_favourite().result()
    assert not later.state.favourite


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
    assert len(state.found) == 3
    assert all(each.preview for each in state.found)
    state.history_query = "FOX"
    assert {each.run.model for each in settled(panel).state.found} == {"flux-2.0", "seedream-4.0"}
    state.history_model = "seedream-4.0"
    assert [each.run.model for each in settled(panel).state.found] == ["seedream-4.0"]
    panel.controller.recall(state.found[0]).result()
    assert settled(panel).result.pictures == before.result.pictures
    state.history_query = state.history_model = ""
    state.since = "2000-01-01"
    assert len(settled(panel).state.found) == 3
    state.until = "2000-01-02"
    assert settled(panel).state.found == ()


def test_the_gallery_keeps_the_newest(panel):
    for number in range(6):
        ask(panel, f"fox {number}", n=4)
    assert len(panel.state.gallery) == MOST_SHOWN == 20
    assert panel.state.gallery[0].picture.recipe.request.prompt == "fox 5"
    ask(panel, "fox 5", n=4)
    assert len(panel.state.gallery) == 20, "what is shown already is not shown twice"


def test_two_to_four_pictures_are_compared(panel):
    ask(panel, "foxes", n=4)
    ask(panel, "a whale")
    state = panel.state
    for piece in state.gallery[:4]:
        panel.controller.choose(piece)
        panel.controller.compare()
    assert len(settled(panel).state.comparison_images) == 4
    panel.controller.choose(state.gallery[4])
    panel.controller.compare()
    assert state.error[0] == "RequestError: Four pictures are compared at most."
    panel.controller.choose(state.gallery[1])
    panel.controller.compare()
    assert len(settled(panel).state.comparison_images) == 3
    before = state.comparison_images
    state.zoom, state.across = 3.0, 0.2
    assert settled(panel).state.comparison_images != before
    state.mode = CURTAIN
    assert len(settled(panel).state.comparison_images) == 1
    panel.controller.clear_comparison()
    assert settled(panel).state.comparison_images == ()


def test_nothing_is_asked_twice_by_looking(tmp_path):
    engine = Counting()
    with service(engine) as base_url:
        panel = ask(panel_at(base_url, tmp_path), "a fox", n=2)
        fill(panel, prompt="another fox", n=3)
        settled(panel)
        panel.state.history_query = "fox"
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
    assert [model.id for model in panel.state.models] == ["gpt-image-2", "lab:flux-2.0"]
    ask(panel, model="lab:flux-2.0", size="16:9")
    assert panel.state.about_model == "lab:flux-2.0, by lab: 13 sizes, 1 picture per request."
    assert panel.state.provider.endswith("Key: BELUGA_LAB_API_KEY.")
    assert panel.result.request.model == "lab:flux-2.0"
    assert panel.state.cell.startswith("%%beluga -m lab:flux-2.0 -s 16:9")
