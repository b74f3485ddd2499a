"""An engine of one's own: `Session(engine=…)` drives the whole kit."""

import asyncio
import contextlib
import gc
import hashlib
import os
import pickle
import re
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pytest
from conftest import KEY, Counting, drawing, drawn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernels import Kernel
from PIL import Image
from sampling import rounds

from beluga_nb.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    BelugaError,
    EngineError,
    InvalidImageError,
    InvalidResponseError,
    NotRecordedError,
    OutcomeUnknownError,
    OverBudgetError,
    RateLimitError,
    RequestError,
    SettingsError,
)
from beluga_nb.request import Request
from beluga_nb.result import PROCEDURAL, ImagePayload, IncompleteError, Picture, Preview, Recipe, Result
from beluga_nb.session.default import default
from beluga_nb.session.session import Session
from beluga_nb.store import pending
from beluga_nb.widgets.data import PanelData


async def five_lines(request):
    words = "|".join([*map(str, request.parameters.values()), request.take, str(request.sample)])
    image = Image.new("RGB", (96, 64), "#" + hashlib.sha256(words.encode()).hexdigest()[:6])
    return Result.of(request, [image], engine="five lines")


def session_with(engine, folder, **more):
    more = {"environ": {}, "notify": lambda _: None, "confirm": lambda _: None} | more
    return Session(engine=engine, folder=folder, **more)


def run(mode, session):
    return session.generate("a fox", mode=mode)


def test_the_engine_answers_and_its_pictures_are_no_previews(tmp_path):
    fox = session_with(five_lines, tmp_path).generate("a fox", n=2)
    assert [image.size for image in fox] == [(96, 64)] * 2
    assert fox.recipe.engine == "five lines" != PROCEDURAL
    assert fox.request.model == "five_lines"
    assert "preview, not model output" not in str(fox._repr_mimebundle_())
    assert fox.recipe.created > time.time() - 60
    records = [path.read_text() for path in (tmp_path / "beluga_store" / "records").rglob("*.json")]
    assert len(records) == 2
    assert all('"five_lines"' in each for each in records)


def test_the_coroutine_gives_the_same(tmp_path):
    session = session_with(five_lines, tmp_path)
    assert asyncio.run(session.agenerate("a fox")) == session.generate("a fox")


def test_what_was_recorded_replays_in_another_session_without_asking(tmp_path):
    first = session_with(five_lines, tmp_path).generate("a fox")
    counting = Counting()
    never = session_with(counting, tmp_path, provider="five_lines")
    assert never.generate("a fox", model="five_lines", mode="replay") == first
    assert run("auto", never) == first
    with pytest.raises(NotRecordedError):
        never.generate("another fox", mode="replay")
    assert counting.requests == []


def test_another_name_has_recordings_of_its_own(tmp_path):
    counting = Counting()
    session_with(five_lines, tmp_path).generate("a fox", model="m")
    session_with(counting, tmp_path, provider="other").generate("a fox", model="m")
    assert len(counting.requests) == 1


@pytest.mark.parametrize(("mode", "asked", "runs"), [("auto", 1, 1), ("refresh", 2, 2), ("off", 2, 0)])
def test_each_mode_works_as_for_a_service(mode, asked, runs, tmp_path):
    counting = Counting()
    session = session_with(counting, tmp_path, provider="mine")
    for _ in range(2):
        run(mode, session)
    assert len(counting.requests) == asked
    assert len(session.store.history().runs) == runs


def test_two_sessions_that_ask_at_once_have_it_made_once(tmp_path):
    counting = Counting()
    sessions = [session_with(counting, tmp_path, provider="mine") for _ in range(2)]
    jobs = [each.submit("a fox") for each in sessions]
    assert jobs[0].result() == jobs[1].result()
    assert len(counting.requests) == 1


@pytest.mark.parametrize("model", ["stabilityai/sd-turbo", "flux-2.0", "lab:sd"])
def test_model_and_size_reach_the_engine_as_they_were_typed(model, tmp_path, messages):
    counting = Counting()
    session = session_with(counting, tmp_path, provider="mine", notify=messages.append)
    session.generate("a fox", model=model, size="96x64", n=3)
    assert [(each.model, each.size, each.n) for each in counting.requests] == [(model, "96x64", 1)] * 3
    assert messages == []


def test_what_the_environment_says_of_a_service_is_not_the_engines(tmp_path):
    environ = {
        "BELUGA_MODEL": "flux-2.0",
        "BELUGA_API_KEY": KEY,
        "BELUGA_BASE_URL": "https://gate.example/v1",
    }
    counting = Counting()
    session = session_with(counting, tmp_path, provider="mine", environ=environ)
    session.generate("a fox")
    [request] = counting.requests
    assert request.model == "mine"
    assert KEY not in repr(asdict(request))


def test_status_and_panel_say_who_answers_and_no_key_is_wanted(tmp_path):
    session = session_with(five_lines, tmp_path, environ={"BELUGA_API_KEY": KEY})
    status = session.status()
    assert status["engine"] == "the engine five_lines"
    assert status["key"] == "none: an engine of this session's own needs none"
    assert PanelData(session).backend() == "Answers: the engine five_lines. Mode: auto. Key: none."
    assert session.models().note.startswith("This session asks its engine five_lines")


def test_caps_count_its_pictures(tmp_path):
    counting = Counting()
    session = session_with(counting, tmp_path, provider="mine", max_images=2)
    session.generate("a fox", n=2)
    with pytest.raises(OverBudgetError, match="2 of 2 are made"):
        session.generate("a cat")
    assert session.status()["spent"].startswith("2 pictures of 2")
    assert len(counting.requests) == 2


def test_a_plan_names_the_engine_and_sends_nothing(tmp_path):
    counting = Counting()
    plan = session_with(counting, tmp_path, provider="mine").plan("a fox", n=2)
    assert plan.images == 2
    assert "engine:mine" in str(plan)
    assert counting.requests == []


STRANGE = "The key is in\x1b[2J\nthe room"


async def fails(_request):
    raise ValueError(STRANGE)


async def returns_nothing(_request):
    return None


async def has_no_picture(request):
    return Result(request, ())


async def sends_text(request):
    return Result(request, (Picture(b"not a picture", "image/png", Recipe(request=request, engine="x")),))


async def has_no_tuple(request):
    return Result(request, None)


async def has_strange_pictures(request):
    return Result(request, ("junk",))


async def has_strange_bytes(request):
    return Result(request, (Picture("no bytes", "image/png", Recipe(request=request, engine="x")),))


async def has_no_recipe(request):
    return Result(request, (Picture(b"", "image/png", None),))


async def has_an_array(request):
    return Result.of(request, [memoryview(b"123")], engine="x")


class Plain:
    """A callable of which nobody can know, before it is called, that its result cannot be awaited."""

    def __call__(self, request):
        return Result(request, ())


async def is_slow(request):
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    ("engine", "kind", "words"),
    [
        (fails, OutcomeUnknownError, "The engine mine failed: ValueError: The key is in"),
        (returns_nothing, InvalidResponseError, "The engine mine returned NoneType, and no Result."),
        (
            has_no_picture,
            InvalidResponseError,
            r"returned 0 of 1 pictures\.\nReturn request\.n pictures\.",
        ),
        (has_no_tuple, InvalidResponseError, "returned a Result, but not of Pictures"),
        (has_strange_pictures, InvalidResponseError, "returned a Result, but not of Pictures"),
        (has_strange_bytes, InvalidResponseError, "returned a Result, but not of Pictures"),
        (has_no_recipe, InvalidResponseError, "returned a Result, but not of Pictures"),
        (has_an_array, InvalidImageError, r"memoryview is not a picture\.\n.* may have been billed\."),
        (
            Plain(),
            InvalidResponseError,
            "returned Result, and is not an async function.\nWrite it with async def",
        ),
        (sends_text, InvalidResponseError, "no readable PNG, JPEG or WebP"),
        (is_slow, APITimeoutError, "The engine mine did not answer in time."),
    ],
)
def test_what_an_engine_may_not_do_is_an_error_of_two_lines_that_may_have_been_billed(
    engine, kind, words, tmp_path
):
    session = session_with(engine, tmp_path, provider="mine", timeout=0.5)
    with pytest.raises(kind, match=words) as caught:
        session.generate("a fox")
    assert caught.value.may_be_billed
    assert 1 <= len(caught.value._render_traceback_()) <= 2
    assert "\x1b" not in str(caught.value)
    assert "1 call may have been charged" in session.status()["unfinished"]
    assert session.budget.images == 1


def test_an_error_of_ours_says_by_itself_whether_it_is_billed(tmp_path):
    async def refuses(request):
        raise APIStatusError("No more today.", status=402)

    session = session_with(refuses, tmp_path)
    with pytest.raises(APIStatusError, match="No more today"):
        session.generate("a fox")
    assert "unfinished" not in session.status()
    assert session.budget.images == 0


def test_some_pictures_may_come_and_others_fail(tmp_path):
    async def mostly(request):
        if request.sample == 1:
            raise EngineError("Out of memory.")
        return await drawing(request)

    session = session_with(mostly, tmp_path)
    with pytest.raises(
        IncompleteError, match="2 of 3 pictures arrived; the rest failed: Out of memory"
    ) as caught:
        session.generate("a fox", n=3)
    assert [each.recipe.request.sample for each in caught.value.result.pictures] == [0, 2]


def test_a_recipe_names_what_was_asked_whatever_the_engine_made_of_it(tmp_path):
    async def improves(request):
        better = Request(prompt=f"{request.prompt}, 8k", model="another")
        return Result.of(better, [drawn(request, 0)], engine="x")

    session = session_with(improves, tmp_path)
    fox = session.generate("a fox")
    assert (fox.recipe.request.prompt, fox.recipe.request.model) == ("a fox", "improves")
    assert session.generate("a fox", mode="replay") == fox


def test_bytes_stay_as_they_are_and_pictures_beyond_those_asked_for_are_kept(tmp_path, messages):
    request = Request(prompt="a fox", model="m")
    jpeg = drawn(request, 0, "JPEG")

    async def two(request):
        return Result.of(Request(prompt="a", model="m", n=2), [jpeg, drawn(request, 1)], engine="x")

    [picture] = session_with(two, tmp_path, notify=messages.append).generate("a fox").pictures
    assert (picture.data, picture.media_type) == (jpeg, "image/jpeg")
    assert "2 pictures where 1 were asked for; also kept" in messages[0]


def test_stop_cancels_the_engine_and_the_call_stays_in_the_journal(tmp_path):
    stopped = []

    async def waits(request):
        began.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            stopped.append(request.prompt)
            raise

    async def stop():
        job = session.submit("a fox")
        while not began.is_set():
            await asyncio.sleep(0.01)
        job.cancel()
        with pytest.raises(asyncio.CancelledError):
            await job

    began = threading.Event()
    session = session_with(waits, tmp_path)
    asyncio.run(stop())
    assert stopped == ["a fox"]
    assert "1 call may have been charged" in session.status()["unfinished"]


@pytest.mark.parametrize("ask", ["agenerate", "submit"])
def test_a_cancelled_call_is_explained_and_structured_concurrency_works_as_ever(tmp_path, ask):
    async def waits(request):
        began.set()
        await asyncio.sleep(60)

    async def call(prompt):
        return await getattr(session, ask)(prompt)

    async def cancelled(task):
        began.clear()
        while not began.is_set():
            await asyncio.sleep(0.01)
        task.cancel("by me")
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert (type(caught.value), caught.value.args) == (asyncio.CancelledError, ("by me",))
        assert not hasattr(caught.value, "__notes__")
        copied = pickle.loads(pickle.dumps(caught.value))
        assert copied._render_traceback_() == caught.value._render_traceback_()
        return caught.value._render_traceback_()

    async def in_time():
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await call("timeout")
        assert asyncio.current_task().cancelling() == 0

    async def in_a_group():
        async def fails():
            await asyncio.sleep(0.05)
            raise ValueError

        with pytest.raises(ExceptionGroup) as caught:  # noqa: PT012
            async with asyncio.TaskGroup() as group:
                task = group.create_task(call("group"))
                group.create_task(fails())
        assert [type(each) for each in caught.value.exceptions] == [ValueError]
        assert task.cancelled()

    async def caught_and_uncancelled():
        task = asyncio.current_task()
        asyncio.get_running_loop().call_later(0.05, task.cancel)
        try:
            await call("uncancel")
        except asyncio.CancelledError:
            assert task.uncancel() == 0
        await asyncio.sleep(0)

    async def all_of_it():
        lines = [
            "CancelledError: stopped; what has arrived is kept.",
            "Unfinished: 1 call may have been charged without a result."
            " Run it again: only what is missing is requested.",
        ]
        assert await cancelled(asyncio.ensure_future(call("task"))) == lines
        assert await cancelled(asyncio.gather(call("gathered"))) == lines
        await in_time()
        await asyncio.ensure_future(in_a_group())  # Python 3.11 leaves a count of its own on the task
        await caught_and_uncancelled()

    began = threading.Event()
    session = session_with(waits, tmp_path)
    asyncio.run(all_of_it())


def test_a_grid_scores_votes_and_shows_what_the_engine_made(tmp_path):
    session = session_with(five_lines, tmp_path)
    grid = session.grid("a {{animal}}", animal=["cat", "fox"]).run()
    assert {image.size for image in (grid["cat"][0], grid["fox"][0])} == {(96, 64)}
    assert "preview, not model output" not in str(grid._repr_mimebundle_())
    assert len(grid.score("sharpness")) == 2
    booth = grid.vote(by="animal", voter="me")
    booth._shown_at = 0.0  # the pictures have been looked at
    booth.press("left")
    assert set(grid.ranking(by="animal").names) == {"cat", "fox"}
    again = session_with(Counting(), tmp_path, provider="five_lines")
    replayed = again.grid("a {{animal}}", animal=["cat", "fox"]).run(mode="replay")
    assert replayed["fox"].pictures == grid["fox"].pictures


def test_a_fatal_answer_stops_the_run(tmp_path):
    asked = []

    async def no_key(request):
        asked.append(request)
        raise APIStatusError("The key of the engine is wrong.", status=401)

    session = session_with(no_key, tmp_path, max_in_flight=1)
    with pytest.raises(APIStatusError, match="wrong"):
        session.grid("a {{animal}}", animal=["cat", "fox", "owl"]).run()
    assert len(asked) == 1


def test_the_panel_offers_the_engine_and_asks_it(tmp_path):
    from beluga_nb.widgets.controller import Controller
    from beluga_nb.widgets.state import State

    session = session_with(five_lines, tmp_path)
    state = State()
    controller = Controller(session, state)
    assert [each.id for each in state.models] == ["five_lines"]
    state.prompt = "a fox"
    controller.generate().result()
    assert state.result.recipe.engine == "five lines"
    assert state.error == ()


@pytest.mark.parametrize("name", ["", "local", "belugapi", "openai", "OpenRouter", "a b", "ä", "x" * 41, 7])
def test_a_name_that_is_none_or_a_services_is_refused(name, tmp_path):
    with pytest.raises(SettingsError, match=r"is not a valid engine name|is the name of a service"):
        session_with(drawing, tmp_path, provider=name)


@pytest.mark.parametrize("name", [None, "a b"])
def test_the_error_for_a_refused_name_says_what_a_name_may_be(name, tmp_path):
    with pytest.raises(SettingsError, match="up to 40 letters, digits, - and _, and begins with a letter"):
        session_with(partial(drawing), tmp_path, provider=name)


class Painter:
    async def __call__(self, request):
        return await drawing(request)

    async def paint(self, request):
        return await drawing(request)

    def plain(self, request):
        return Result(request, ())


class Awaited:
    """A callable with a plain `__call__` that returns what can be awaited."""

    def __call__(self, request):
        return drawing(request)


def plain(request):
    return Result(request, ())


async def several(request):
    yield request


def wrapped(make, depth):
    """Give what `make` gives in so many partials."""
    return wrapped(partial(make), depth - 1) if depth else make


ASYNC = {"function": drawing, "object": Painter(), "method": Painter().paint, "awaited": Awaited()}
NONE = {
    "number": 7,
    "lambda": lambda _: None,
    "function": plain,
    "class": Painter,
    "method": Painter().plain,
    "generator": several,
}


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("kind", NONE)
def test_what_is_certainly_no_async_function_is_refused_before_any_call(kind, depth, tmp_path):
    if depth and not callable(NONE[kind]):
        return  # Python makes no partial of it
    with pytest.raises(SettingsError, match=r"is not an async function\.\nWrite it with async def") as caught:
        session_with(wrapped(NONE[kind], depth), tmp_path, provider="mine")
    assert len(caught.value.lines()) == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("depth", [0, 1, 2])
@pytest.mark.parametrize("kind", ASYNC)
def test_whatever_can_be_awaited_is_an_engine(kind, depth, tmp_path):
    session = session_with(wrapped(ASYNC[kind], depth), tmp_path, provider="mine")
    assert session.generate("a fox").recipe.engine == "drawing"


@pytest.mark.parametrize("use", [Session, lambda provider: Session().use(None, provider=provider)])
def test_a_name_without_an_engine_is_refused(use):
    with pytest.raises(SettingsError, match="no engine is given") as caught:
        use(provider="mine")
    assert len(caught.value.lines()) == 2


ANYTHING = st.one_of(st.none(), st.integers(), st.text(), st.binary(), st.just(drawing), st.lists(st.none()))
OF_ANYTHING = st.builds(Picture, ANYTHING, ANYTHING, ANYTHING, ANYTHING)
RESULTS = st.one_of(ANYTHING, OF_ANYTHING, st.lists(st.one_of(ANYTHING, OF_ANYTHING)).map(tuple))


@settings(
    max_examples=rounds(10, 60), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pictures=RESULTS, answers=RESULTS)
def test_whatever_an_engine_puts_into_its_result_ends_in_an_error_of_two_lines(pictures, answers, tmp_path):
    async def strange(request):
        return Result(request, pictures) if request.prompt == "a" else Result.of(request, answers, engine="x")

    session = session_with(strange, tmp_path, mode="off")
    for prompt in "ab":
        with pytest.raises(InvalidResponseError) as caught:
            session.generate(prompt)
        assert len(caught.value.lines()) == 2


@pytest.mark.parametrize("mode", ["CMYK", "F", "HSV", "YCbCr", "LAB"])
def test_an_image_that_is_no_png_says_how_to_make_one(mode):
    request = Request(prompt="a fox", model="m")
    with pytest.raises(
        InvalidImageError, match=rf"mode {mode} cannot be written as a PNG\.\nConvert it"
    ) as caught:
        Result.of(request, [Image.new(mode, (8, 8))], engine="x")
    assert caught.value.billing == "", "no engine was asked"


def test_an_array_says_how_to_make_an_image_of_it():
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros((8, 8, 3), "uint8")
    for answers in ([array], array, Image.fromarray(array), b"bytes"):
        with pytest.raises(
            InvalidImageError, match=r"is not a .*\nGive a list of PIL images or bytes: .Image.fromarray"
        ) as caught:
            Result.of(Request(prompt="a fox", model="m"), answers, engine="x")
        assert caught.value.billing == "", "no engine was asked"


def test_a_result_by_hand_of_what_is_no_picture_says_nothing_of_a_bill():
    with pytest.raises(InvalidImageError) as caught:
        Result.of(Request(prompt="a fox", model="m"), [b"abc"], engine="x")
    assert "billed" not in f"{caught.value} {caught.value.billing}"
    assert len(caught.value.lines()) == 2


def test_pictures_that_cannot_be_decoded_and_of_which_an_engine_raises_may_have_been_billed(tmp_path):
    async def incomplete(request):
        with pytest.raises(InvalidImageError) as caught:
            Result.of(request, [b"abc"], engine="x")
        raise IncompleteError(Result.of(request.slice(0), [drawn(request, 0)], engine="x"), [caught.value])

    session = session_with(incomplete, tmp_path)
    with pytest.raises(IncompleteError) as caught:
        session.generate("a fox", n=2)
    assert caught.value.may_be_billed
    assert {each.outcome for each in caught.value.causes} == {"unknown"}
    assert session.budget.images == 2


def test_a_preview_that_an_engine_brings_goes_nowhere(tmp_path):
    async def with_a_page(request):
        answer = ImagePayload(drawn(request, 0), preview=Preview(b"<script>" * 99_999, "image/png"))
        return Result.of(request, [answer], engine="x")

    fox = session_with(with_a_page, tmp_path).generate("a fox")
    previews = [each for each in (tmp_path / "beluga_store").rglob("*") if each.is_file()]
    assert not [each for each in previews if b"<script>" in each.read_bytes()]
    assert fox.pictures[0].preview.data[:2] == b"\xff\xd8"


@pytest.mark.parametrize("model", [{"environ": {"BELUGA_MODEL": "flux-2.0"}}, {"model": "flux-2.0"}])
def test_the_settings_name_the_source_of_the_model_that_is_used(model, tmp_path):
    session = session_with(five_lines, tmp_path, **model)
    [listed] = [each for each in session.preferences.listed() if each.name == "model"]
    said_here = ("flux-2.0", "this notebook")
    assert (listed.value, listed.place) == (said_here if "model" in model else ("five_lines", "default"))


def test_errors_say_the_name_that_the_engine_has_now(tmp_path):
    session = session_with(fails, tmp_path, provider="one")
    for name in ("one", "two", "one"):
        session.use(fails, provider=name)
        with pytest.raises(OutcomeUnknownError, match=f"The engine {name} failed"):
            session.generate("a fox", mode="refresh")


def is_asked(session):
    session.generate("a fox", n=2)


def is_asked_on_a_nested_loop(session):
    session.generate("a fox", bridge="nested")


def fills_a_grid(session):
    session.kept = session.grid("a {{animal}}", animal=["cat", "fox"]).run()


def is_planned(session):
    session.kept = session.plan("a fox"), session.settings()
    session.kept = session.status()


def is_stopped(session):
    job = session.submit("a fox")
    job.cancel()
    with pytest.raises(asyncio.CancelledError):
        job.result()


def fails_in_the_end(session):
    session.use(Failing(session.preferences.own_engine.engine), provider="mine")
    with pytest.raises(OutcomeUnknownError):
        session.generate("a fox")


class Failing:
    def __init__(self, engine):
        self.engine = engine

    async def __call__(self, request):
        await self.engine(request)
        raise ValueError("no")


USES = [
    is_asked,
    fills_a_grid,
    is_planned,
    is_stopped,
    fails_in_the_end,
    repr,
]


@pytest.mark.parametrize("use", USES)
def test_an_engine_lives_as_long_as_the_session_that_has_it(use, tmp_path):
    engine = Painter()
    session, alive = session_with(engine, tmp_path, provider="mine"), weakref.ref(engine)
    del engine
    use(session)
    gc.collect()
    assert alive() is not None
    session.use(None)
    until = time.monotonic() + 10
    while alive() and time.monotonic() < until:  # a loop lets go of its last step at its next one
        session.generate("a preview", mode="off")
        gc.collect()
    assert alive() is None


def test_an_engine_that_is_asked_on_a_nested_loop_lives_as_long_too(tmp_path):
    pytest.importorskip("nest_asyncio" if sys.version_info < (3, 12) else "nest_asyncio2")
    # In a process of its own: nest_asyncio changes asyncio for all that comes after it.
    code = """if True:
        import pathlib, test_session_engine as these
        these.test_an_engine_lives_as_long_as_the_session_that_has_it(
            these.is_asked_on_a_nested_loop, pathlib.Path())"""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ, check=True, timeout=120)


class Switching(dict):
    """An environment that lets a session use another engine when it is read for the `at`-th time."""

    def __init__(self, at):
        super().__init__()
        self.reads, self.at, self.switch = 0, at, lambda: None

    def __getitem__(self, name):
        if name == "BELUGA_MODEL":
            self.reads += 1
            if self.reads == self.at:
                self.switch()
        return super().__getitem__(name)


async def other_lines(request):
    image = Image.new("RGB", (64, 96), "red")
    return Result.of(request, [image], engine="other lines")


@pytest.mark.parametrize("other", [other_lines, None])
@pytest.mark.parametrize("at", range(1, 9))
def test_an_engine_that_is_changed_meanwhile_changes_no_call_that_has_begun(at, other, tmp_path):
    environ = Switching(at)
    session = session_with(five_lines, tmp_path, environ=environ)
    environ.reads, environ.switch = 0, lambda: session.use(other)
    [picture] = session.generate("a fox").pictures
    made = {"five lines": "five_lines", "other lines": "other_lines", PROCEDURAL: "gpt-image-2"}
    assert picture.recipe.request.model == made[picture.recipe.engine]
    provider = "local" if picture.recipe.procedural else made[picture.recipe.engine]
    assert session.store.open().has(picture.recipe.request, provider=provider)


def test_a_call_reads_who_answers_while_threads_change_it(tmp_path):
    def change():
        while not over.is_set():
            for engine in (other_lines, None, five_lines):
                session.use(engine)

    over, session = threading.Event(), session_with(five_lines, tmp_path, mode="off")
    changing = threading.Thread(target=change)
    changing.start()
    try:
        found = [session.generate("a fox").recipe for _ in range(rounds(8, 30))]
    finally:
        over.set()
        changing.join()
    made = {"five lines": "five_lines", "other lines": "other_lines", PROCEDURAL: "gpt-image-2"}
    assert [each.request.model for each in found] == [made[each.engine] for each in found]


def test_a_name_that_an_endpoint_has_is_refused_before_anything_is_asked(tmp_path):
    counting = Counting()
    endpoints = {"lab": {"base_url": "https://lab.example/v1"}}
    session = session_with(counting, tmp_path, provider="lab", endpoints=endpoints)
    with pytest.raises(SettingsError, match="'lab' is the name of an endpoint"):
        session.generate("a fox")
    assert counting.requests == []


def test_a_recorded_refusal_is_no_picture_that_came_from_the_store(tmp_path):
    async def refusing_the_second(request):
        if request.sample == 1:
            raise APIStatusError("Not that.", status=400, code="moderation_blocked")
        return await five_lines(request)

    session = session_with(refusing_the_second, tmp_path)
    for _ in range(2):
        with pytest.raises(IncompleteError):
            session.generate("a fox", n=3)
    assert (session.budget.images, session.budget.replayed) == (2, 2)


def test_what_needs_a_service_says_so_in_two_lines(tmp_path):
    session = session_with(five_lines, tmp_path)
    for ask in (
        session.serve,
        lambda: session.generate("a fox", endpoint="lab"),
        lambda: session.models(endpoint="lab"),
    ):
        with pytest.raises(RequestError, match="This session asks its engine five_lines, and not") as caught:
            ask()
        assert len(caught.value.lines()) == 2


def test_a_session_with_an_engine_is_not_pickled(tmp_path):
    with pytest.raises(TypeError, match="not copied or pickled"):
        pickle.dumps(session_with(five_lines, tmp_path))
    default.use(five_lines)
    try:
        with pytest.raises(TypeError, match="not copied or pickled"):
            pickle.dumps(default)
    finally:
        default.use(None)
    assert pickle.loads(pickle.dumps(default)) is default


@pytest.mark.posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_a_forked_child_asks_the_same_engine_on_a_loop_of_its_own(tmp_path):
    session = session_with(five_lines, tmp_path)
    here = session.generate("a fox")
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            alike = session.generate("a fox") == here
            ended = 0 if alike and session.generate("a cat").recipe.engine == "five lines" else 2
        finally:
            os._exit(ended)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert session.generate("a cat", mode="replay").recipe.engine == "five lines"


def test_the_documented_engine_answers_in_a_notebook(tmp_path):
    """The examples of docs/servers.md, word for word, and then a grid and what a saved notebook says."""
    docs = Path(__file__).parents[2] / "docs" / "servers.md"
    section = docs.read_text("utf-8").split("## An engine of your own")[1].split("\n## ")[0]
    python, load, cell = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    [engine] = re.findall(r"^async def .*?(?=\n\n)", python, re.DOTALL | re.MULTILINE)
    assert len(engine.splitlines()) <= 5
    with Kernel(tmp_path) as kernel:
        assert kernel.run(python).status == "ok"
        assert kernel.run("sky.recipe.engine, sky[0].size").texts == ["('gradient', (512, 512))"]
        assert kernel.run(load).status == "ok"
        [shown] = kernel.run(cell).bundles
        assert "1 picture of “an evening sky”" in shown["text/plain"]
        assert "preview, not model output" not in shown["text/plain"] + shown["text/html"]
        assert "the engine gradient" in kernel.run("%beluga status").everything
        grid = kernel.run("%%beluga compare --quality standard,hd\na sky")
        assert grid.status == "ok", grid.everything
        assert "preview, not model output" not in grid.everything


SAID = st.one_of(ANYTHING, st.floats(), st.booleans(), st.just("\ud800"), st.just("yesterday"))


@settings(
    max_examples=rounds(10, 40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(engine=SAID, created=SAID, revised_prompt=SAID)
def test_whatever_an_engine_says_of_a_picture_it_replays(engine, created, revised_prompt, tmp_path):
    counting, folder = Counting(five_lines), Path(tempfile.mkdtemp(dir=tmp_path))

    async def says(request):
        [picture] = (await counting(request)).pictures
        found = replace(picture.recipe, engine=engine, created=created, revised_prompt=revised_prompt)
        return Result(request, (replace(picture, recipe=found),))

    session = session_with(says, folder)
    first = session.generate("a fox")
    assert session_with(says, folder).generate("a fox") == first
    assert len(counting.requests) == 1
    assert session.store.history().runs


def odd_words():
    class OddError(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    return OddError()


@pytest.mark.parametrize(
    "error", [asyncio.CancelledError(), odd_words(), RateLimitError("Busy.", retry_after="soon")], ids=repr
)
def test_whatever_an_engine_raises_ends_in_two_lines(error, tmp_path):
    async def raises(_request):
        raise error

    with pytest.raises(OutcomeUnknownError) as failed:
        session_with(raises, tmp_path).generate("a fox")
    assert len(failed.value.lines()) == 2


class Bare(EngineError):
    """An error of a user who has forgotten `super().__init__()`."""

    def __init__(self):
        pass


ODD_FIELDS = [
    *(("job", each) for each in (object(), 7, None, b"x")),
    *(("addresses", each) for each in (("x",), None, 7, [object()])),
    *(("others", each) for each in (("x",), None, 7)),
    *(("idempotency_key", each) for each in (7, None)),
    *(("message", each) for each in (None, 7)),
    *(("hint", each) for each in (None, 7)),
    *(("retry_after", each) for each in ("soon", 10**400, float("nan"), object())),
]
"""Fields of an error with values that only the user's own code gives them."""


@pytest.mark.parametrize("make", [APIConnectionError, RateLimitError, Bare])
@pytest.mark.parametrize(("name", "value"), ODD_FIELDS)
def test_an_error_of_the_engine_with_an_odd_field_leaves_the_outcome_unknown(make, name, value, tmp_path):
    error = make() if make is Bare else make("No.", "No more.")
    setattr(error, name, value)
    asked = []

    async def odd(request):
        asked.append(request)
        raise error

    session = session_with(odd, tmp_path)
    with pytest.raises(OutcomeUnknownError) as caught:
        session.generate("a fox")
    assert len(caught.value.lines()) == 2
    assert len(asked) == session.budget.images == len(pending.calls(session.store.open())) == 1


def test_threads_that_an_engine_keeps_busy_hold_up_nobody_else(tmp_path):
    free = threading.Event()

    async def busy(request):
        await asyncio.to_thread(free.wait, 60)
        return await five_lines(request)

    kept = session_with(five_lines, tmp_path).generate("a fox")
    session = session_with(busy, tmp_path / "busy", timeout=0.2)
    try:
        for number in range(4):
            with pytest.raises(APITimeoutError):
                session.generate(f"fox {number}", n=4)
        assert session_with(five_lines, tmp_path).generate("a fox") == kept
        assert len(session_with(five_lines, tmp_path).generate("another fox", n=4)) == 4
    finally:
        free.set()


def test_an_engine_that_blocks_its_own_loop_holds_up_nobody_else(tmp_path):
    free = threading.Event()

    async def blocks(request):
        free.wait(60)
        return await five_lines(request)

    waiting = session_with(blocks, tmp_path / "blocks").submit("a fox")
    try:
        assert len(session_with(five_lines, tmp_path).generate("a fox")) == 1
    finally:
        free.set()
    assert len(waiting.result()) == 1


def test_an_engine_may_ask_another_session_on_as_many_threads_as_it_likes(tmp_path):
    inner = session_with(five_lines, tmp_path / "inner")

    async def asks(request):
        words = f"{request.prompt} {request.sample}"
        return Result.of(request, [(await asyncio.to_thread(inner.generate, words))[0]], engine="asks")

    outer = session_with(asks, tmp_path, max_in_flight=24)
    assert len(outer.generate("a fox", n=24, assume_yes=True)) == 24


class Paid:
    """An engine that has paid before it is stopped, and brings the picture all the same."""

    def __init__(self):
        self.bought, self.begun = 0, threading.Event()

    async def _buy(self, request):
        self.bought += 1
        self.begun.set()
        await asyncio.sleep(0.5)
        return await five_lines(request)

    async def __call__(self, request):
        job = asyncio.ensure_future(self._buy(request))
        try:
            return await asyncio.shield(job)
        except asyncio.CancelledError:
            return await job


@pytest.mark.parametrize("how", ["stop", "timeout"])
def test_what_an_engine_brings_though_it_was_stopped_is_recorded(how, tmp_path):
    engine = Paid()
    session = session_with(engine, tmp_path, **({"timeout": 0.2} if how == "timeout" else {}))
    job = session.submit("a fox")
    engine.begun.wait(10)
    if how == "stop":
        job.cancel()
        with contextlib.suppress(asyncio.CancelledError, BelugaError):
            job.result()
        until = time.monotonic() + 10
        while not session.store.history().runs[0].count and time.monotonic() < until:
            time.sleep(0.05)
    assert len(session.generate("a fox")) == 1
    assert engine.bought == 1


def test_an_engine_has_one_loop_for_all_callers(tmp_path):
    lock, loops = asyncio.Lock(), set()

    async def alone(request):
        async with lock:
            await asyncio.sleep(0.01)
            loops.add(id(asyncio.get_running_loop()))
        return await five_lines(request)

    for number in range(3):
        session = session_with(alone, tmp_path)
        jobs = [each.submit(f"fox {number}", n=3) for each in (session, session_with(alone, tmp_path / "b"))]
        assert [len(job.result()) for job in jobs] == [3, 3]
        session.use(None)
        session.use(alone)
        assert len(session.generate(f"hen {number}")) == 1
    assert len(loops) == 1


class OwnExit(BaseException):
    """Of somebody's library."""


async def cancels_itself(_request):
    asyncio.current_task().cancel()
    await asyncio.sleep(1)


async def cancels_everything(_request):
    for task in asyncio.all_tasks():
        task.cancel()
    await asyncio.sleep(1)


def raising(error):
    async def raises(_request):
        raise error

    return raises


@pytest.mark.parametrize(
    "engine",
    [cancels_itself, cancels_everything]
    + [raising(error) for error in (OwnExit(), SystemExit(3), KeyboardInterrupt())],
)
def test_whatever_an_engine_does_to_its_loop_is_two_lines_and_the_next_call_works(engine, tmp_path):
    with pytest.raises(OutcomeUnknownError) as failed:
        session_with(engine, tmp_path, provider="wild").generate("a fox")
    assert len(failed.value.lines()) == 2
    assert len(session_with(five_lines, tmp_path).generate("a fox")) == 1


def test_an_engine_that_stops_its_loop_ends_no_call(tmp_path):
    async def stops_the_loop(request):
        await asyncio.sleep(0.05)
        asyncio.get_running_loop().stop()
        await asyncio.sleep(0.05)
        return await five_lines(request)

    session = session_with(stops_the_loop, tmp_path)
    jobs = [session.submit(f"fox {number}") for number in range(3)]
    assert [len(job.result()) for job in jobs] == [1, 1, 1]
