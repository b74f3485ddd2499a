"""A vision model as a judge, over a real socket: asked once, recorded as it answers, replayed to the byte."""

import asyncio
import base64
import concurrent.futures
import contextlib
import datetime
import json
import os
import signal
import time
from dataclasses import replace
from functools import partial
from itertools import product

import pytest
from conftest import KEY, ask, drawing, service
from faulty import Faulty, error, http, repeating, reset, reset_after, silence
from leaks import holds, leaks
from stores import notebook

from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http
from beluga_nb.chat import answer_from_json, checked_answer
from beluga_nb.compare.agreement import Share
from beluga_nb.compare.judge import Rubric
from beluga_nb.config.keys import Secret
from beluga_nb.errors import (
    AuthenticationError,
    InvalidResponseError,
    InvalidVerdictError,
    NotConfirmedError,
    NotRecordedError,
    OverBudgetError,
    RequestError,
    UnknownNameError,
)
from beluga_nb.request import Question, Request
from beluga_nb.result import Answer, Recipe
from beluga_nb.server.app import create_app
from beluga_nb.server.previews import previews
from beluga_nb.session.session import Session
from beluga_nb.store import pending
from beluga_nb.store.claims import Claim
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.format import key
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.unpack import unpack
from beluga_nb.store.verdicts import VERDICTS, Verdicts
from beluga_nb.store.verify import verify
from beluga_nb.store.votes import Box

MODEL = "lab:vlm"
ASKED = "Does it show {{count}} foxes?"
SENTINEL = "sk-judge-SENTINEL-0123456789"


def completion(content, **more):
    message = {"role": "assistant", "content": content}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 900, "completion_tokens": 12}
    return {"created": 1_750_000_000, "model": "vlm-2026", "choices": [choice], "usage": usage} | more


def says(verdict, reason="I counted."):
    return http(json.dumps(completion(json.dumps({"reason": reason, "verdict": verdict}))).encode())


YES = says("yes")


class Desk:
    """A folder with pictures of an engine of its own, and a server that judges them."""

    def __init__(self, folder, server):
        self.folder, self.server, self.messages = folder, server, []

    def session(self, **options):
        environ = options.pop("environ", {"BELUGA_LAB_API_KEY": SENTINEL})
        endpoints = {"lab": {"base_url": self.server.url}}
        given = {"engine": drawing, "endpoints": endpoints, "timeout": 60, "max_in_flight": 1} | options
        notify, nobody = self.messages.append, lambda _: None
        return Session(environ=environ, folder=self.folder, notify=notify, confirm=nobody, **given)

    def foxes(self, count=("one",), **options):
        grid = self.session(**options).grid("{{count}} foxes", count=list(count), model=["a", "b"])
        return grid.where(model="a").run() if len(count) == 1 else grid.run()

    @property
    def store(self):
        return Store(self.folder / "beluga_store")

    @property
    def posts(self):
        return self.server.asked("POST")


@pytest.fixture
def desk(tmp_path):
    with Faulty(YES) as server:
        yield Desk(tmp_path, server)


def shown(value):
    return value._repr_mimebundle_()


# --- what is sent


def test_a_judge_gets_the_question_as_typed_the_exact_picture_and_the_schema(desk):
    grid = desk.foxes()
    [score] = grid.judge(
        "Does it show {{count}} foxes, 50 % {off}?", model=MODEL, choices=["yes", "no"]
    ).run()
    assert score == 1
    [heard] = desk.posts
    assert heard.path == "/v1/chat/completions"
    assert heard.headers["authorization"] == f"Bearer {SENTINEL}"
    assert len(heard.headers["idempotency-key"]) == 36
    body = json.loads(heard.body)
    assert body["model"] == "vlm"
    [message] = body["messages"]
    words, picture = message["content"]
    assert words == {"type": "text", "text": "Does it show one foxes, 50 % {off}?"}
    data = base64.b64encode(grid["one", "a"].pictures[0].data).decode()
    assert picture == {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    wanted = body["response_format"]
    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"]["strict"] is True
    assert wanted["json_schema"]["schema"]["properties"]["verdict"]["enum"] == ["yes", "no"]
    assert set(body) == {"model", "messages", "response_format"}


def test_each_verdict_has_its_reason_and_a_table_shows_it(desk):
    desk.server.plays([says(7, "Two are hidden."), says(9, "All are there.")])
    judged = desk.foxes().judge(ASKED, model=MODEL, scale=(1, 10), n=2).run()
    assert list(judged) == [8]
    [verdicts] = judged.verdicts
    # Which of both questions arrives first is open.
    assert sorted((each.value, each.reason, each.model) for each in verdicts) == [
        (7, "Two are hidden.", "vlm-2026"),
        (9, "All are there.", "vlm-2026"),
    ]
    text = shown(judged)["text/plain"]
    assert " · ".join(each.reason for each in verdicts) in text
    assert "Judge lab:vlm." in text
    assert "<td" in shown(judged)["text/html"]


def test_reasons_are_text_and_no_markup(desk):
    desk.server.plays(says("yes", "<script>alert(1)</script>\x1b[31m"))
    judged = desk.foxes().judge(ASKED, model=MODEL).run()
    assert "<script" not in shown(judged)["text/html"]
    assert "\x1b" not in shown(judged)["text/plain"]


def test_a_gallery_is_judged_as_a_grid_is_and_await_waits(desk):
    session = desk.session()
    gallery = session.gallery(session.generate("one fox", model="a"))
    assert list(gallery.judge("Is this {{prompt}}?", model=MODEL).run()) == [1]
    assert json.loads(desk.posts[0].body)["messages"][0]["content"][0]["text"] == "Is this one fox?"
    assert list(asyncio.run(gallery.judge("Is this {{prompt}}?", model=MODEL).arun())) == [1]
    assert len(desk.posts) == 1


@pytest.mark.parametrize(
    ("question", "kind"), [("Is it {{colour}}?", UnknownNameError), (" ", RequestError), (KEY, RequestError)]
)
def test_a_question_that_cannot_be_asked_is_refused_before_anything_is_sent(desk, question, kind):
    with pytest.raises(kind):
        desk.foxes().judge(question, model=MODEL).run()
    assert desk.posts == []


# --- the law


def question_of(picture, **options):
    schema = json.dumps({"properties": {"verdict": {"enum": ["yes", "no"]}}})
    given = {"prompt": "Does it show a fox in the snow?", "model": "vlm", "schema": schema} | options
    return Question(**given, about=(picture.sha256,), load=lambda: [picture.data])


def test_wrapping_never_changes_the_answer_of_a_judge(tmp_path):
    [picture] = ask(previews, FOX).pictures
    asked = question_of(picture)

    def engine(base_url, app=None):
        key = Secret(KEY, "a test")
        return Http(Endpoint(base_url=base_url, provider="local", key=key), app=app)

    expected = ask(engine("http://127.0.0.1/v1", create_app(previews, key=KEY)), asked)
    assert json.loads(json.loads(expected.pictures[0].data)["content"])["verdict"] == "yes"
    with service(previews) as url:
        assert ask(engine(url), asked) == expected
    for mode in ("auto", "off", "refresh", "auto", "replay"):
        session = Session(environ={}, folder=tmp_path, mode=mode)
        call = session.resources.call(asked, session.settings())
        assert call.provider == "local"
        got = session.resources.bridge(call.settings).submit(
            session.resources.ask(call, session.resources.engine(call))
        )
        result = got.result()
        assert [each.data for each in result.pictures] == [expected.pictures[0].data], mode
        assert result.pictures[0].recipe.request == replace(asked, take="2" if mode == "refresh" else "")


FOX = Request(prompt="a fox in the snow", model="flux-2.0")


def test_what_a_judge_said_replays_to_the_byte_without_a_key_or_a_server(desk):
    desk.server.plays([says("yes"), says("no", "Only one.")])
    desk.foxes(("one", "two")).where(model="a").judge(ASKED, model=MODEL).run()
    first = shown(desk.foxes(("one", "two")).where(model="a").judge(ASKED, model=MODEL).run())
    assert len(desk.posts) == 2
    before = {path: path.stat().st_mtime_ns for path in desk.store.folder.rglob("*")}
    replayed = desk.foxes(("one", "two"), environ={}, mode="replay").where(model="a")
    assert shown(replayed.judge(ASKED, model=MODEL).run()) == first
    in_ci = desk.foxes(("one", "two"), environ={"CI": "true", "BELUGA_LAB_API_KEY": SENTINEL})
    assert shown(in_ci.where(model="a").judge(ASKED, model=MODEL).run()) == first
    with pytest.raises(NotRecordedError, match=r"lab:vlm, answer 0, “Is it red\?” about"):
        in_ci.judge("Is it red?", model=MODEL).run()
    assert len(desk.posts) == 2
    assert {path: path.stat().st_mtime_ns for path in desk.store.folder.rglob("*")} == before


def test_another_question_model_rubric_take_or_picture_is_asked_anew(desk):
    grid = desk.foxes()
    asked = [
        {"model": MODEL},
        {"model": "lab:other"},
        {"model": MODEL, "choices": ["yes", "partly", "no"]},
        {"model": MODEL, "take": "2"},
    ]
    for _ in range(2):
        for options in asked:
            grid.judge(ASKED, **options).run()
        grid.judge("Is it red?", model=MODEL).run()
    assert len(desk.posts) == 5
    grid.judge(ASKED, model=MODEL, n=3).run()
    assert len(desk.posts) == 7, "the first answer is recorded"


def test_mode_refresh_asks_anew_and_keeps_both(desk):
    grid = desk.foxes()
    grid.judge(ASKED, model=MODEL).run()
    desk.server.plays(says("no"))
    assert list(grid.judge(ASKED, model=MODEL).run(mode="refresh")) == [0]
    assert list(grid.judge(ASKED, model=MODEL).run()) == [1]
    assert list(grid.judge(ASKED, model=MODEL, take="2").run()) == [0]
    assert len(desk.posts) == 2


# --- money


UNKNOWN = {
    "reset": reset,
    "half an answer": reset_after(YES[: len(YES) // 2]),
    "500": error(500, "It failed."),
    "502": error(502),
    "504": error(504),
    "no JSON": http(b"<html>"),
    "no choices": http(b'{"choices": []}'),
    "an error under 200": http(b'{"error": {"message": "overloaded"}}'),
}


@pytest.mark.parametrize("how", UNKNOWN)
def test_r02_a_question_whose_outcome_is_unknown_is_sent_once_and_written_down(desk, how):
    desk.server.plays(UNKNOWN[how])
    grid = desk.foxes()
    [judged] = with_errors(grid.judge(ASKED, model=MODEL))
    assert judged.may_be_billed
    assert len(desk.posts) == 1
    [call] = pending.calls(desk.store)
    assert isinstance(call.request, Question)
    assert call.request.inputs == (grid["one", "a"].pictures[0].sha256,)
    assert "1 call may have been charged without a result" in desk.session().status()["unfinished"]
    # Asked again by the person, it is the same call to the service.
    desk.server.plays(YES)
    assert list(grid.judge(ASKED, model=MODEL).run()) == [1]
    assert len(desk.posts) == 2
    assert desk.posts[0].headers["idempotency-key"] == desk.posts[1].headers["idempotency-key"]
    assert pending.calls(desk.store) == []


def with_errors(questions, **options):
    """The errors of all pictures: those of one alone are raised."""
    try:
        return [row.error for row in questions.run(**options).errors]
    except Exception as failed:
        return [failed]


def test_busy_is_asked_again_and_a_key_that_is_refused_stops_the_run(desk):
    desk.server.plays([error(429, retry_after="0"), YES])
    grid = desk.foxes(("one", "two", "three"))
    assert list(grid.where(count="one", model="a").judge(ASKED, model=MODEL).run()) == [1]
    assert len(desk.posts) == 2
    desk.server.plays(error(401, "wrong key"))
    with pytest.raises(AuthenticationError):
        grid.judge("Is it red?", model=MODEL).run()
    assert len(desk.posts) == 3
    assert pending.calls(desk.store) == []


def test_one_error_stays_with_its_picture(desk):
    answers = {b"one": YES, b"two": error(502), b"three": says("no")}
    desk.server.plays(
        lambda exchange: exchange.send(
            next(answer for word, answer in answers.items() if b"show %b foxes" % word in exchange.heard.body)
        )
    )
    judged = desk.foxes(("one", "two", "three")).where(model="a").judge(ASKED, model=MODEL).run()
    assert list(judged) == [1, None, 0]
    assert "1 of 3 failed." in shown(judged)["text/plain"]


def test_a_question_is_in_the_journal_before_it_is_sent_and_without_its_picture(desk):
    journal = []

    def step(exchange):
        journal.extend(
            pending.CALLS.path(desk.store, each.run).read_bytes() for each in pending.calls(desk.store)
        )
        exchange.send(YES)

    desk.server.plays(step)
    picture = desk.foxes().samples[0].picture
    desk.foxes().judge(ASKED, model=MODEL).run()
    [written] = map(json.loads, journal)
    assert written["run"] == desk.posts[0].headers["idempotency-key"]
    assert written["inputs"] == [picture.sha256]
    assert written["request"]["prompt"] == "Does it show one foxes?"
    assert len(journal[0]) < 2000
    assert pending.calls(desk.store) == []


def test_what_another_kernel_is_asking_for_is_waited_for(desk):
    grid = desk.foxes()
    [cell] = grid.judge(ASKED, model=MODEL).cells
    name = key(cell.request, provider="lab")
    claim = Claim.take(desk.store.folder / "pending" / f"{name}.claim", desk.store.folder)
    job = grid.judge(ASKED, model=MODEL).submit()
    await_that(
        lambda: any("is asking for the same; its answer is waited for" in each for each in desk.messages)
    )
    assert desk.posts == []
    claim.release()
    assert list(job.result()) == [1]
    assert len(desk.posts) == 1


def test_equal_questions_of_one_kernel_are_sent_once(desk):
    grid = desk.foxes()
    jobs = [grid.judge(ASKED, model=MODEL).submit() for _ in range(3)]
    assert [list(job.result()) for job in jobs] == [[1]] * 3
    assert len(desk.posts) == 1


def test_a_question_that_is_stopped_on_its_way_is_written_down(desk):
    desk.server.plays(silence)
    job = desk.foxes().judge(ASKED, model=MODEL).submit()
    await_that(lambda: desk.posts)
    job.cancel()
    with pytest.raises((asyncio.CancelledError, concurrent.futures.CancelledError)):
        job.result()
    await_that(lambda: [call.why for call in pending.calls(desk.store)] == ["It was interrupted."])
    assert len(desk.posts) == 1


def await_that(happens):
    deadline = time.monotonic() + 60
    while not happens():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.posix
def test_r30_a_kill_between_answer_and_record_loses_no_answer(desk):
    grid = desk.foxes()
    grid.judge("Is it red?", model=MODEL).run()  # what a call imports is there before the fork
    posts = len(desk.posts)
    if not (child := os.fork()):
        with contextlib.suppress(BaseException):
            Verdicts.write = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
            desk.foxes().judge(ASKED, model=MODEL).run()
        os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert len(desk.posts) == posts + 1
    [call] = pending.calls(desk.store)
    assert pending.answers(desk.store, call.run)
    desk.server.plays(error(500))
    assert list(desk.foxes().judge(ASKED, model=MODEL).run()) == [1]
    assert len(desk.posts) == posts + 1
    assert pending.calls(desk.store) == []


PRICES = {"date": datetime.date(2026, 11, 1), MODEL: 0.5}


def test_caps_and_prices_hold_for_answers_as_for_pictures(desk):
    grid = desk.foxes(("one", "two", "three"), max_cost=1, prices=PRICES | {"a": 0, "b": 0})
    with pytest.raises(OverBudgetError, match=r"6 answers for 3 USD would be more than max_cost allows"):
        grid.judge(ASKED, model=MODEL).run()
    with pytest.raises(OverBudgetError, match="the price of lab:other is unknown"):
        grid.where(model="a").judge(ASKED, model="lab:other").run()
    with pytest.raises(OverBudgetError, match="3 answers would be more than max_images allows"):
        grid.where(model="a").judge(ASKED, model=MODEL).run(max_images=2)
    assert desk.posts == []
    assert list(grid.where(model="a", count=["one", "two"]).judge(ASKED, model=MODEL).run()) == [1, 1]
    with pytest.raises(OverBudgetError):
        grid.judge(ASKED, model=MODEL).run()
    assert len(desk.posts) == 2


def test_a_plan_says_what_a_judge_would_be_asked_what_is_recorded_and_what_it_costs(desk):
    (desk.folder / "beluga.toml").write_text('[prices]\ndate = 2026-11-01\n"lab:vlm" = 0.002\n')
    environ = {"BELUGA_LAB_API_KEY": SENTINEL, "BELUGA_TRUST": str(desk.folder)}
    grid = desk.foxes(("one", "two"), environ=environ)
    before = sorted(desk.folder.rglob("*"))
    plan = grid.judge(ASKED, model=MODEL, n=2).plan()
    assert plan.counts == {"questions": 4, "answers": 8, "recorded": 0, "to ask for": 8}
    first, *_ = str(plan).splitlines()
    counted = "4 questions, 8 answers, 0 recorded, 8 to ask for"
    assert first.startswith(f"Dry run, nothing was sent: {counted}; at most 0.016 USD by your")
    assert {(post.url, post.body["prompt"]) for post in plan.posts} == {
        (f"{desk.server.url}/chat/completions", f"Does it show {count} foxes?") for count in ("one", "two")
    }
    assert desk.posts == []
    assert sorted(desk.folder.rglob("*")) == before
    grid.where(count="one").judge(ASKED, model=MODEL, n=2).run()
    assert grid.judge(ASKED, model=MODEL, n=2).plan().counts["recorded"] == 4
    assert grid.judge(ASKED, model=MODEL, n=2, take="b").plan().counts["recorded"] == 0
    assert shown(plan)["text/html"].count("to ask for") == 1
    pairs = grid.judge_pairs("Which?", model=MODEL, by="model").plan()
    assert (pairs.cells, pairs.images, len(desk.posts)) == (4, 4, 4)
    assert "0 to ask for, 4 missing" in str(grid.judge_pairs("Which?", model=MODEL).plan(mode="replay"))
    with pytest.raises(UnknownNameError):
        grid.judge_pairs("Which?", model=MODEL, by="modle").plan()


def test_nothing_is_asked_before_it_is_run_and_questions_are_shown_as_their_plan(desk):
    grid = desk.foxes(("one", "two"))
    for asked in (grid.judge(ASKED, model=MODEL), grid.judge_pairs("Which?", model=MODEL)):
        assert shown(asked) == shown(asked.plan())
        assert repr(asked).endswith("to lab:vlm>")
        for use in (grid.agreement, grid.leaderboard, partial(grid.report, desk.folder / "report")):
            with pytest.raises(RequestError, match=r"(?s)has no scores\..*run\(\)"):
                use(asked)
    assert desk.posts == []


def test_many_answers_need_a_yes(desk):
    grid = desk.foxes()
    with pytest.raises(NotConfirmedError, match=r"^11 new answers of lab:vlm, the price is unknown"):
        grid.judge(ASKED, model=MODEL, n=11).run()
    assert desk.posts == []
    assert list(grid.judge(ASKED, model=MODEL, n=11).run(assume_yes=True)) == [1]
    assert len(desk.posts) == 11


def test_s03_a_judge_that_repeats_the_key_gives_it_to_nobody(desk):
    echo = completion(json.dumps({"reason": f"Your key is {SENTINEL}", "verdict": "yes"}))
    desk.server.plays(
        [
            http(json.dumps(echo | {"model": SENTINEL}).encode(), x_beluga_engine=SENTINEL),
            http(json.dumps(completion(SENTINEL)).encode()),
            error(400, f"wrong key {SENTINEL}"),
            error(500, SENTINEL),
        ]
    )
    session = desk.session()
    grid = session.gallery(*(session.generate(f"{n} foxes", model="a") for n in range(4)))
    judged = grid.judge("Is this {{prompt}}?", model=MODEL).run()
    assert [row.value for row in judged.rows] == [1, None, None, None]
    told = [*shown(judged).values(), *desk.messages, *map(str, judged.rows), repr(judged)]
    told += [repr(row.error.__traceback__) + str(row.error) for row in judged.errors]
    assert not any(holds(each, SENTINEL) for each in told)
    assert leaks(desk.folder, SENTINEL) == []


def test_a_server_that_only_a_file_names_gets_no_question_and_no_key(desk):
    url = desk.server.url
    (desk.folder / "beluga.toml").write_text(f'[endpoints.lab]\nbase_url = "{url}"\n')
    session = desk.session(endpoints=None)
    gallery = session.gallery(session.generate("one fox", model="a"))
    [failed] = with_errors(gallery.judge("Is it red?", model=MODEL))
    assert "and you have not: nothing was sent" in str(failed) + " ".join(desk.messages)
    assert desk.posts == []


# --- answers that do not fit


@pytest.mark.parametrize("content", ["yes", '{"reason": "x", "verdict": "perhaps"}', '{"verdict": "yes"}'])
def test_an_answer_that_does_not_fit_is_an_error_that_keeps_what_was_paid(desk, content):
    desk.server.plays(http(json.dumps(completion(content)).encode()))
    grid = desk.foxes()
    judged = grid.judge(ASKED, model=MODEL).run()
    [row] = judged.errors
    assert isinstance(row.error, InvalidVerdictError)
    assert str(row.error).startswith("The answer of the judge does not fit its schema: ")
    assert "a new take asks anew" in str(row.error)
    [verdict] = VERDICTS.values(desk.store)
    assert verdict.answer["content"] == content
    assert shown(grid.judge(ASKED, model=MODEL).run()) == shown(judged)
    assert shown(desk.foxes(mode="replay").judge(ASKED, model=MODEL).run()) == shown(judged)
    assert len(desk.posts) == 1
    desk.server.plays(YES)
    assert list(grid.judge(ASKED, model=MODEL, take="2").run()) == [1]


@pytest.mark.parametrize("n", [0, -1, True, 1.5, "3", None, 1001, 10**8, 10**30])
def test_more_answers_than_anyone_means_are_refused_before_anything_is_made(desk, n):
    grid = desk.foxes()
    for judge in (grid.judge, grid.judge_pairs):
        with pytest.raises(RequestError, match="Give n as a whole number from 1 to 1,000"):
            judge(ASKED, model=MODEL, n=n)
    assert desk.posts == []


JSON_VALUES = [None, True, False, 0, 1.5, "", "x", [], [None], [{"text": None}], {}, {"a": [1]}]


@pytest.mark.parametrize("place", ["message", "content", "refusal", "finish_reason", "model"])
def test_any_json_value_in_an_answer_gives_a_verdict_or_an_error_of_the_answer(place):
    rubric = Rubric.of(None, None)
    for value in JSON_VALUES:
        for content in (None, '{"reason": "x", "verdict": "yes"}'):
            body = completion(content)
            [choice] = body["choices"]
            where = {"model": body, "finish_reason": choice, "message": choice}.get(place, choice["message"])
            where[place] = value
            try:
                data, _ = answer_from_json(json.dumps(body).encode())
            except InvalidResponseError:
                continue
            checked_answer(json.loads(data))
            recipe = Recipe(request=Request(prompt="x", model="vlm"), created=0, engine="e")
            with contextlib.suppress(InvalidVerdictError):
                rubric.verdict(Answer(data, "application/json", recipe))


@pytest.mark.parametrize("refusal", ["", []])
def test_an_empty_answer_is_an_error_of_its_picture_alone_and_is_recorded(desk, refusal):
    body = completion(None)
    body["choices"][0]["message"]["refusal"] = refusal
    desk.server.plays([http(json.dumps(body).encode()), YES])
    for _ in range(2):
        judged = desk.foxes(("one", "two")).where(model="a").judge(ASKED, model=MODEL).run()
        assert sorted(judged, key=str) == [1, None]
        [row] = judged.errors
        assert isinstance(row.error, InvalidVerdictError)
    assert len(desk.posts) == 2


def test_a_question_that_a_service_declines_is_recorded_and_declined_again(desk):
    refusal = {"error": {"message": "Not this.", "code": "content_policy_violation", "type": "t"}}
    desk.server.plays(http(json.dumps(refusal).encode(), 400))
    grid = desk.foxes()
    for mode in ("auto", "replay"):
        [failed] = with_errors(grid.judge(ASKED, model=MODEL), mode=mode)
        assert failed.declined
        assert not failed.may_be_billed
    assert len(desk.posts) == 1


def test_an_answer_that_never_ends_is_bounded(desk, monkeypatch):
    desk.server.plays(repeating(b"HTTP/1.1 200 OK\r\n\r\n", b" " * 2**16))
    monkeypatch.setattr("beluga_nb.api.spool.MAX_KEPT", 2**22)
    [failed] = with_errors(desk.foxes().judge(ASKED, model=MODEL))
    assert "larger than 1 MiB" in str(failed)
    assert failed.may_be_billed
    assert len(desk.posts) == 1


# --- two pictures


def judging(prefers):
    """A step that looks at both pictures of a question."""

    def step(exchange):
        parts = json.loads(exchange.heard.body)["messages"][0]["content"]
        pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        exchange.send(says(prefers(*pictures)))

    return step


def test_a_judge_that_looks_at_the_pictures_names_the_same_in_both_orders(desk):
    desk.server.plays(judging(lambda one, other: "first" if one < other else "second"))
    grid = desk.foxes(("one", "two"))
    judged = grid.judge_pairs("Which fits {{count}} better?", model=MODEL, by="model").run()
    assert len(desk.posts) == 4
    assert judged.flips == Share(count=0, of=2)
    assert {row.duel.answer for row in judged} <= {"left", "right"}
    for row in judged:
        left, right = (
            base64.b64encode(grid[row.duel.prompt[0][1], model].pictures[0].data) for model in ("a", "b")
        )
        assert row.duel.answer == ("left" if left < right else "right")


@pytest.mark.parametrize("n", [1, 2])
def test_comparisons_of_several_samples_show_their_number(desk, n):
    desk.server.plays(judging(lambda one, other: "first" if one < other else "second"))
    grid = desk.session().grid("{{count}} foxes", count=["one", "two"], model=["a", "b"], n=n).run()
    judged = grid.judge_pairs("Which?", model=MODEL, by="model").run()
    head, *lines = shown(judged)["text/plain"].splitlines()[: 1 + 2 * n]
    assert head.split() == ["common", *["number"] * (n - 1), "left", "right", "judged", "reasons"]
    pairs = [tuple(line.split()[:n]) for line in lines]
    assert sorted(pairs) == sorted(product(("one", "two"), *[("0", "1")] * (n - 1)))


@pytest.mark.parametrize("place", ["first", "second"])
def test_a_judge_that_prefers_a_place_has_flipped_and_that_is_a_tie_and_told(desk, place):
    desk.server.plays(says(place))
    judged = desk.foxes(("one", "two")).judge_pairs("Which is better?", model=MODEL, by="model").run()
    assert [row.duel.answer for row in judged] == ["tie", "tie"]
    assert judged.flips == Share(count=2, of=2)
    words = "2 of 2 comparisons flipped with the order of the pictures, and count as ties."
    assert words in shown(judged)["text/plain"]
    assert words in shown(judged.ranking)["text/plain"]
    assert "flipped: tie" in shown(judged)["text/html"]


@pytest.mark.parametrize(
    ("one", "other", "counts", "flips"),
    [
        ("first", "tie", "tie", 0),
        ("tie", "tie", "tie", 0),
        ("first", "second", "left", 0),
        ("second", "first", "right", 0),
        ("second", "second", "tie", 1),
    ],
)
def test_both_orders_together_make_one_comparison(desk, one, other, counts, flips):
    desk.server.plays([says(one), says(other)])
    judged = (
        desk.foxes(("one", "two")).where(count="one").judge_pairs("Which?", model=MODEL, by="model").run()
    )
    assert [row.duel.answer for row in judged] == [counts]
    assert judged.flips.count == flips


def test_a_comparison_of_which_one_order_failed_does_not_count(desk):
    desk.server.plays([says("first"), says("left"), says("first"), says("second")])
    judged = desk.foxes(("one", "two")).judge_pairs("Which?", model=MODEL, by="model").run()
    assert len(judged) == 1
    assert [type(each) for each in judged.errors] == [InvalidVerdictError]
    assert "1 comparison failed." in judged.note


def test_a_judge_is_no_voter_and_its_ranking_says_how_far_people_agree(desk):
    desk.server.plays([says("first"), says("second")])
    grid = desk.foxes(("one", "two"))
    left, right = (grid["one", model].pictures[0].sha256 for model in ("a", "b"))
    Box(desk.store, "Ada").cast(left=left, right=right, answer="left")
    before, votes = shown(grid.ranking(by="model")), list(grid.votes(by="model"))
    judged = grid.judge_pairs("Which?", model=MODEL, by="model").run()
    scores = grid.judge(ASKED, model=MODEL, choices=["second", "first"]).run()
    assert shown(grid.ranking(by="model")) == before
    assert list(grid.votes(by="model")) == votes
    assert not any(each.voter == MODEL for each in grid.votes(by="model"))
    assert judged.agreement == grid.agreement(judged)
    assert judged.agreement.same.of == 1
    ranked = shown(judged.ranking)["text/plain"]
    assert "Ranked by the judge lab:vlm, not by people." in ranked
    assert str(judged.agreement) in ranked
    assert str(judged.agreement) in shown(judged)["text/plain"]
    on_one = grid.judge_pairs("Which?", model=MODEL, by="model", criterion="sharp").run()
    assert "on the criterion sharp" in str(grid.agreement(on_one))
    assert grid.agreement(on_one) == on_one.agreement
    assert grid.agreement(on_one, criterion="") == judged.agreement
    board = shown(grid.leaderboard(scores, by="model"))["text/plain"]
    assert str(grid.agreement(scores, by="model")) in board
    assert board.startswith(before["text/plain"][:4])


# --- the store


def test_a_verdict_goes_where_its_picture_goes(desk, tmp_path):
    session = desk.session()
    result = session.generate("one fox", model="a")
    session.gallery(result).judge("Is this {{prompt}}?", model=MODEL).run()
    session.gallery(session.generate("a cat", model="a")).judge("Is this {{prompt}}?", model=MODEL).run()
    store = desk.store
    assert verify(store).problems == verify(store).unnamed == ()
    notebook(desk.folder / "n.ipynb", result)
    packed = pack(store, desk.folder / "n.ipynb").path
    there = Store(tmp_path / "there" / "beluga_store")
    unpack(packed, there, into=tmp_path / "there")
    [verdict] = VERDICTS.values(there)
    assert verdict.recipe.request.prompt == "Is this one fox?"
    forget(store, choose(store, prompt="one fox"))
    assert [each.recipe.request.prompt for each in VERDICTS.values(store)] == ["Is this a cat?"]
    assert not any(b"one fox" in path.read_bytes() for path in store.folder.rglob("*.json"))


def test_a_call_about_a_picture_is_forgotten_with_it(desk):
    desk.server.plays(reset)
    session = desk.session()
    gallery = session.gallery(session.generate("one fox", model="a"))
    with_errors(gallery.judge("Is this {{prompt}}?", model=MODEL))
    assert len(pending.calls(desk.store)) == 1
    [run] = [run for run in session.store.history().runs if run.count]
    forget(desk.store, choose(desk.store, [run.name]))
    assert pending.calls(desk.store) == []


def test_the_format_of_a_verdict_is_frozen(desk):
    session = desk.session()
    session.gallery(session.generate("one fox", model="a")).judge("Is it red?", model=MODEL).run()
    [path] = desk.store.folder.glob("verdicts/*/*")
    sha256 = "00fa2bd5fb3a39bff4b9b4c9cfbe6a6ed6bb2f1e6a92f53bf75e73be97a37dd0"
    fields = json.loads(path.read_bytes())
    assert fields | {"inputs": [sha256], "key": path.stem} == {
        "schema": 1,
        "key": path.stem,
        "op": "chat.completions",
        "provider": "lab",
        "take": "",
        "sample": 0,
        "inputs": [sha256],
        "request": {
            "prompt": "Is it red?",
            "model": MODEL,
            "schema": '{"type": "object", "properties": {"reason": {"type": "string", "description":'
            ' "Why, in one or two sentences."}, "verdict": {"type": "string", "enum": ["yes", "no"]}},'
            ' "required": ["reason", "verdict"], "additionalProperties": false}',
        },
        "response": {"engine": "lab", "created": 1_750_000_000},
        "answer": {
            "content": '{"reason": "I counted.", "verdict": "yes"}',
            "refusal": None,
            "ended": "stop",
            "model": "vlm-2026",
            "prompt_tokens": 900,
            "completion_tokens": 12,
        },
    }


def test_the_key_of_a_verdict_is_frozen():
    asked = Question(
        prompt="Is it red?", model="lab:vlm", about=("ab" * 32, "cd" * 32), schema="{}", take="2"
    )
    assert key(asked, provider="lab") == "b510f80d6a4797224b49955d7fad666ba63a7e187dbd4db91ffc862294452231"
    others = (
        {"prompt": "Is it blue?"},
        {"model": "lab:other"},
        {"about": ("cd" * 32, "ab" * 32)},
        {"schema": "[]"},
        {"take": ""},
        {"sample": 1},
    )
    assert len({key(replace(asked, **other), provider="lab") for other in others}) == len(others)
    assert key(replace(asked, n=3), provider="lab") == key(asked, provider="lab")


@pytest.mark.parametrize("junk", ["", "{}", "[" * 100_000, '{"schema": 9}'])
def test_a_damaged_verdict_is_named_and_not_bought_again(desk, junk):
    grid = desk.foxes()
    grid.judge(ASKED, model=MODEL).run()
    [path] = desk.store.folder.glob("verdicts/*/*")
    path.write_text(junk)
    [failed] = with_errors(grid.judge(ASKED, model=MODEL))
    assert "cannot be used" in str(failed)
    assert len(desk.posts) == 1
    assert verify(desk.store).problems[0].startswith(f"verdicts/{path.parent.name}/{path.name}: it ")


# --- without a key


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    session = Session(environ={}, folder=tmp_path_factory.mktemp("painted"))
    counts = ["two", "five"]
    return session.grid(
        "{{count}} red foxes in the snow", count=counts, model=["flux-2.0", "gpt-image-2"]
    ).run()


def test_without_a_key_the_judge_reads_what_the_painter_drew_and_says_so(painted):
    judged = painted.judge("Does it show five foxes?", model="any").run()
    assert judged.mean(by="count") == {"two": 0, "five": 1}
    graded = painted.judge("Does it show five foxes?", model="any", scale=(1, 10)).run()
    assert graded.mean(by="count") == {"two": 5.5, "five": 10}
    words = "No model judged: the built-in painter drew this, and its file says what it shows."
    assert all(each.reason.startswith(words) and each.local for [each] in judged.verdicts)
    assert "count 5" in judged.verdicts[-1][0].reason
    plan = painted.judge("Does it show five cats?", model="any").plan()
    assert str(plan).splitlines()[0].endswith("4 to ask for; no model judges, no cost.")
    text = shown(judged)["text/plain"]
    assert "Local previews, not model output. No model judged: the embedded server read" in text
    assert {each.provider for each in VERDICTS.values(painted._runner.workspace().store)} == {"local"}


def test_without_a_key_pairs_are_compared_by_what_was_drawn(painted):
    judged = painted.judge_pairs("Which shows five foxes?", model="any", by="count").run()
    assert judged.flips == Share(count=0, of=2)
    assert {(row.duel.left, row.duel.right, row.duel.answer) for row in judged} == {("two", "five", "right")}
    assert "No model judged" in judged.note


def test_without_a_key_what_the_painter_cannot_know_is_no_verdict(painted):
    [first, *_] = (
        painted.where(count="two", model="flux-2.0").judge("Is it any good?", model="any").run().errors
    )
    assert "The painter knows no word of the question." in str(first.error)


def test_the_embedded_judge_refuses_pictures_of_others(tmp_path):
    session = Session(engine=drawing, environ={}, folder=tmp_path)
    with pytest.raises(Exception, match="judges only what its own painter drew") as failed:
        session.gallery(session.generate("a fox", model="a")).judge("Is it a fox?", model="any").run()
    assert not failed.value.may_be_billed
