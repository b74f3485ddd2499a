"""Pictures that were made and did not arrive: where they lie is written down, and there they are fetched."""

import json

import pytest
from conftest import Counting, ask, drawing, drawn

from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.recovering import Recovering
from beluga_nb.engines.replayed import Replayed
from beluga_nb.errors import Address, BelugaError, InvalidResponseError, OutcomeUnknownError
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, IncompleteError, Result
from beluga_nb.store import pending
from beluga_nb.store.records import Store

FOX = Request(prompt="a fox", model="flux-2.0")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def address(sample, **options):
    return Address(**{"sample": sample, "url": f"https://cdn.example/{sample}", "engine": "wire"} | options)


async def unfetched(request):
    """An engine: what it makes lies somewhere, and cannot be fetched."""
    failed = InvalidResponseError("It cannot be fetched.")
    failed.addresses = tuple(address(sample) for sample in request.samples)
    raise failed


async def half_fetched(request):
    failed = IncompleteError(
        (await drawing(request.slice(0))), [InvalidResponseError("It cannot be fetched.")]
    )
    failed.addresses = (address(1),)
    raise failed


class Fetching:
    """Fetches what `has` says, and remembers what was asked for."""

    def __init__(self, *has):
        self.has = has
        self.asked = []

    async def __call__(self, part, left):
        self.asked.append(left.url)
        if left.sample not in self.has:
            raise InvalidResponseError("It has expired.")
        return Result.of(
            part, [ImagePayload(drawn(part, part.sample))], engine=left.engine, created=left.created
        )


def recovering(engine, store, fetch, provider="wire"):
    recorder = Recorder(store, provider=provider, preview=lambda _: None, notify=pytest.fail)
    return Recovering(Replayed(Recorded(engine, recorder), store, provider=provider), recorder, fetch)


def left(engine, store, request=FOX):
    """Ask an engine that leaves pictures behind."""
    with pytest.raises(BelugaError):
        ask(recovering(engine, store, Fetching()), request)


def test_r11_what_was_left_is_fetched_when_the_same_is_asked_again_and_nothing_is_bought(store):
    left(unfetched, store, FOX.slice(0, 2))
    engine, fetch = Counting(), Fetching(0, 1)
    result = ask(recovering(engine, store, fetch), FOX.slice(0, 2))
    assert [picture.data for picture in result.pictures] == [drawn(FOX, 0), drawn(FOX, 1)]
    assert fetch.asked == ["https://cdn.example/0", "https://cdn.example/1"]
    assert engine.requests == []
    assert pending.calls(store) == []


def test_beside_what_arrived_only_what_was_left_is_fetched(store):
    left(half_fetched, store, FOX.slice(0, 2))
    engine, fetch = Counting(), Fetching(0, 1)
    assert len(ask(recovering(engine, store, fetch), FOX.slice(0, 2))) == 2
    assert fetch.asked == ["https://cdn.example/1"]
    assert engine.requests == []
    assert pending.calls(store) == []


def test_what_has_expired_is_bought_and_the_first_call_stays_in_the_journal(store):
    left(unfetched, store, FOX.slice(0, 2))
    engine = Counting()
    ask(recovering(engine, store, Fetching(0)), FOX.slice(0, 2))
    assert [request.sample for request in engine.requests] == [1]
    assert len(pending.calls(store)) == 1


@pytest.mark.parametrize(
    "other",
    [
        FOX.slice(1),
        Request(prompt="a fox", model="flux-2.0", take="2"),
        Request(prompt="a", model="flux-2.0"),
    ],
    ids=["another sample", "another take", "another prompt"],
)
def test_what_was_left_answers_nothing_else(store, other):
    left(unfetched, store)
    fetch = Fetching(0, 1)
    ask(recovering(Counting(), store, fetch), other)
    assert fetch.asked == []


def test_what_was_left_by_one_provider_is_not_anothers(store):
    left(unfetched, store)
    fetch = Fetching(0)
    ask(recovering(Counting(), store, fetch, provider="another"), FOX)
    assert fetch.asked == []


def test_the_marks_of_a_picture_stay_with_it(store):
    call = pending.begin(store, FOX.as_call(), provider="wire")
    words = {"engine": "procedural", "created": 7, "revised_prompt": "a red fox"}
    pending.mark_unknown(store, call, "It was not fetched.", [address(0, **words)])
    assert pending.calls(store)[0].addresses == (address(0, **words),)
    result = ask(recovering(Counting(), store, Fetching(0)), FOX)
    assert result.recipe.procedural, "a local preview stays one"


def test_of_many_answers_of_a_call_the_newest_comes_first(store):
    run = "3f2a9c1e-0000-4000-8000-000000000000"
    folder = store.folder / "pending"
    folder.mkdir(parents=True)
    names = [f"{run}-{number}.answer" for number in (11, 10)] + [f"{run}-9.answer.part", f"{run}-1.answer"]
    for name in names:
        (folder / name).write_bytes(b"HTTP/1.1 200 \r\n\r\n")
    assert [path.name for path in pending.answers(store, run)] == names


def test_a_call_without_an_address_is_written_as_before(store):
    async def broken(request):
        raise OutcomeUnknownError("The provider failed.")

    left(broken, store)
    [path] = store.folder.glob("pending/*.json")
    assert "addresses" not in json.loads(path.read_bytes())
    assert pending.calls(store)[0].addresses == ()


@pytest.mark.parametrize(
    "addresses", [7, [7], [{}], [{"sample": 0}], {"a": 1}, [{"sample": 0, "url": 7, "engine": "x"}]]
)
def test_a_journal_that_was_tampered_with_is_passed_over(store, addresses):
    left(unfetched, store)
    [path] = store.folder.glob("pending/*.json")
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"addresses": addresses}))
    assert pending.calls(store) == []
    assert len(ask(recovering(Counting(), store, Fetching(0)), FOX)) == 1


def test_the_address_does_not_stand_in_a_repr():
    assert "cdn.example" not in repr(address(0))
