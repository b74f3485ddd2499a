"""What a run asks for is sent once, whatever comes of it, although several cells need it."""

import asyncio
from collections import Counter

import pytest
from drawings import drawing
from faulty import Faulty, b64, error, http, images, reset, silence

from beluga_nb.engines.single_flight import KeyedLocks, SingleFlight
from beluga_nb.errors import BelugaError, OutcomeUnknownError
from beluga_nb.request import Request
from beluga_nb.session.session import Session

FAILURES = {
    "502": error(502, "Bad gateway."),
    "reset": reset,
    "an error in a 200": http(b'{"error": {"message": "No.", "type": "t", "code": "c", "param": null}}'),
    "timeout": silence,
}


@pytest.fixture(params=FAILURES)
def failing(request):
    with Faulty(FAILURES[request.param]) as server:
        server.timeout = 1 if request.param == "timeout" else 60
        yield server


def session_at(server, folder, **options):
    return Session(
        environ={"BELUGA_LAB_API_KEY": "bapi_SENTINEL-SENTINEL-1234"},
        folder=folder,
        endpoints={"lab": {"base_url": server.url}},
        notify=lambda _: None,
        timeout=getattr(server, "timeout", 60),
        **options,
    )


def three_of_one(session):
    return session.grid("a {{x}}", x={"A": "fox", "B": "fox", "C": "fox"}, model=["lab:m"])


def sent(server):
    """How often each body came, and under how many ids."""
    posts = server.asked("POST")
    assert len({post.headers["idempotency-key"] for post in posts}) == len({post.body for post in posts})
    return sorted(Counter(post.body for post in posts).values())


@pytest.mark.parametrize("max_in_flight", [1, 8])
@pytest.mark.parametrize("mode", ["auto", "refresh", "off"])
def test_cells_with_the_same_request_share_its_error(mode, max_in_flight, failing, tmp_path):
    grid = three_of_one(session_at(failing, tmp_path, mode=mode, max_in_flight=max_in_flight))
    with pytest.raises(BelugaError) as caught:
        grid.run()
    assert caught.value.may_be_billed
    assert len(grid.errors) == 3
    assert sent(failing) == [1]


@pytest.mark.parametrize("max_in_flight", [1, 8])
def test_a_judge_is_asked_once_about_the_same_picture(max_in_flight, failing, tmp_path):
    pictures = Session(engine=drawing, environ={}, folder=tmp_path / "pictures")
    one, two = (pictures.generate(f"{count} foxes", model="m") for count in ("one", "two"))
    session = session_at(failing, tmp_path, max_in_flight=max_in_flight)
    with pytest.raises(BelugaError):
        session.gallery(one, one).judge("Is it a fox?", model="lab:vlm").run()
    assert sent(failing) == [1]
    with pytest.raises(BelugaError):
        session.gallery(one, two, one, two).judge_pairs(
            "Which is better?", model="lab:vlm", by="prompt"
        ).run()
    assert sent(failing) == [1, 1, 1]


@pytest.mark.parametrize("max_in_flight", [1, 8])
@pytest.mark.parametrize("mode", ["auto", "off"])
def test_each_cell_gets_the_picture_of_the_same_request(mode, max_in_flight, tmp_path):
    answer = images(b64(asyncio.run(drawing(Request(prompt="a fox", model="m"))).pictures[0].data))
    with Faulty(answer) as server:
        session = session_at(server, tmp_path, mode=mode, max_in_flight=max_in_flight)
        grid = three_of_one(session)
        assert grid.plan().images == 1
        grid.run()
        assert sent(server) == [1]
        assert session.budget.images == 1
    assert [sample.labels["x"] for sample in grid.samples] == ["A", "B", "C"]
    assert len({sample.picture.sha256 for sample in grid.samples}) == 1


def test_samples_of_one_request_stay_different(tmp_path):
    with Faulty(error(502)) as server:
        session = session_at(server, tmp_path)
        with pytest.raises(BelugaError):
            session.grid("a {{x}}", x={"A": "fox", "B": "fox"}, model=["lab:m"], n=3).run()
        numbers = len(server.asked("POST"))
        with pytest.raises(BelugaError):
            session.grid("a {{x}}", x=["cat"], model=["lab:m"], n=3).run()
        assert len(server.asked("POST")) == 2 * numbers, "as many as for a single cell"


def test_another_run_may_ask_again(tmp_path):
    with Faulty(error(502)) as server:
        grid = three_of_one(session_at(server, tmp_path))
        for posts in (1, 2):
            with pytest.raises(BelugaError):
                grid.run()
            assert len(server.asked("POST")) == posts


def test_callers_that_wait_share_an_unknown_outcome_and_later_ones_ask_again():
    calls, fox = 0, Request(prompt="a fox", model="m")

    async def engine(request):
        nonlocal calls
        calls += 1
        await asyncio.sleep(0)
        raise OutcomeUnknownError(f"Call {calls} got no answer.")

    async def together():
        single = SingleFlight(engine, KeyedLocks(), "store")
        late = []

        def come_later(_):
            late.append(asyncio.ensure_future(single(fox)))

        tasks = [asyncio.ensure_future(single(fox)) for _ in range(3)]
        tasks[0].add_done_callback(come_later)
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        return errors + await asyncio.gather(*late, return_exceptions=True)

    *waited, later = asyncio.run(together())
    assert {each.message for each in waited} == {"Call 1 got no answer."}
    assert len({id(each) for each in waited}) == 3
    assert later.message == "Call 2 got no answer."
