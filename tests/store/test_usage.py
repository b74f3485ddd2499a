"""What a call took and cost is recorded with its pictures, and a replay shows the same."""

import re
from dataclasses import replace

import pytest
from conftest import KEY, ask, drawing, service
from test_budget import PRICES

from beluga_nb.budget import Caps
from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.errors import OutcomeUnknownError
from beluga_nb.merge import merge_results, result_or_error
from beluga_nb.request import Request
from beluga_nb.result import IncompleteError, Usage
from beluga_nb.server.previews import previews
from beluga_nb.session.session import Session
from beluga_nb.show.figures import bundle
from beluga_nb.show.markup import usage_words
from beluga_nb.store.format import RECORDS
from beluga_nb.store.index import row_of
from beluga_nb.store.records import Store

FOXES = Request(prompt="a fox", model="flux-2.0", n=2)
PRICED = Caps(prices=PRICES)


def line_of(shown):
    """The line below the pictures of an output."""
    return re.search(r'opacity:.75">(2 pictures.*?) · </span>recipe', shown["text/html"])[1]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "bought").mkdir()
    (tmp_path / "replayed").mkdir()
    return tmp_path


def shown(folder, name, *, engine=None, url="", key=KEY, **options):
    """The output of a call of a session in a folder of its own."""
    environ = {"BELUGA_BASE_URL": url, "BELUGA_STORE": str(folder / "store")} if url else {}
    environ |= {"BELUGA_API_KEY": key} if key else {}
    session = Session(engine=engine, environ=environ, folder=folder / name, notify=str, **options)
    return session.generate("a fox", model="flux-2.0", n=2)._repr_mimebundle_()


def test_what_a_call_took_and_cost_stands_below_its_pictures_and_replays_to_the_byte(folder):
    with service(drawing) as url:
        live = shown(folder, "bought", url=url, prices={"date": PRICES.date, "flux-2.0": "0.04"})
    assert re.search(r" · \d+\.\d s · 0\.08 USD$", line_of(live))
    assert " USD" not in live["text/plain"]
    # Without the key, the prices and the service.
    assert shown(folder, "replayed", url=url, key="", mode="replay") == live


def test_an_unknown_price_is_not_shown(folder):
    with service(drawing) as url:
        assert re.search(r" · \d+\.\d s$", line_of(shown(folder, "bought", url=url)))


def test_what_gives_the_same_bytes_again_gives_the_same_output_again(folder):
    mine = [line_of(shown(folder, name, engine=drawing, key="")) for name in ("bought", "replayed")]
    assert mine[0] == mine[1]
    assert not re.search(r" s$", mine[0])
    with service(previews) as url:  # the painter
        assert line_of(shown(folder, "bought", url=url)).endswith("not model output · drawn: fox")


def recorded(engine, store, ticks):
    recorder = Recorder(store, provider="wire", preview=lambda _: None, notify=str)
    return Recorded(engine, recorder, caps=PRICED, clock=iter(ticks).__next__)


def test_each_picture_has_the_time_of_its_request_and_a_cost_of_its_own(tmp_path):
    store = Store(tmp_path / "store")
    result = ask(recorded(drawing, store, [5.0, 13.149]), FOXES)
    again = [store.read(FOXES.slice(sample), provider="wire") for sample in (0, 1)]
    assert [each.recipe.usage for each in (*result.pictures, *again)] == [Usage(8.1, "0.08 USD")] * 4
    assert bundle(result) == bundle(replace(result, pictures=tuple(again)))
    assert usage_words(again) == ["8.1 s", "0.16 USD"]


def test_a_recording_keeps_the_time_of_what_arrived_where_the_rest_failed(tmp_path):
    async def half(request):
        async def one(part):
            if part.sample:
                raise OutcomeUnknownError("The provider failed.", status=502)
            return await drawing(part)

        return merge_results(
            request, [await result_or_error(one, request.slice(each)) for each in request.samples]
        )

    with pytest.raises(IncompleteError) as failed:
        ask(recorded(half, Store(tmp_path / "store"), [0.0, 75.0]), FOXES)
    assert usage_words(failed.value.result.pictures) == ["1 min 15 s", "0.08 USD"]


def test_the_same_bytes_bought_twice_keep_what_was_recorded_first(tmp_path):
    store = Store(tmp_path / "store")
    first = ask(recorded(drawing, store, [0, 1]), FOXES)
    second = ask(recorded(drawing, store, [0, 2]), FOXES)
    assert bundle(first) == bundle(second)
    assert store.read(FOXES.slice(0), provider="wire").recipe.usage == Usage(1, "0.08 USD")


def test_an_older_recording_has_no_usage_and_what_is_known_of_a_part_is_not_shown(tmp_path):
    store = Store(tmp_path / "store")
    old = ask(drawing, FOXES).pictures
    store.write(old[0], None, provider="wire")
    assert "duration" not in next(iter(store.record_paths())).read_text("utf-8")
    read = store.read(FOXES.slice(0), provider="wire")
    new = ask(recorded(drawing, Store(tmp_path / "new"), [0, 1]), FOXES).pictures
    assert read.recipe.usage is None
    assert usage_words([read, new[1]]) == usage_words([]) == []


@pytest.mark.parametrize(
    ("costs", "words"),
    [
        (["0.04 USD", None], ["1.0 s"]),
        (["0.04 USD", "0.04 EUR"], ["1.0 s"]),
        (["much USD", "0.04 USD"], ["1.0 s"]),
        (["0.10 USD", "0.2 USD"], ["1.0 s", "0.3 USD"]),
        (["1 <b>\x1b[31m", "1 <b>\x1b[31m"], ["1.0 s", "2 <b>"]),
    ],
)
def test_costs_are_added_where_all_are_known_in_one_currency(costs, words):
    pictures = ask(drawing, FOXES).pictures
    made = [
        replace(each, recipe=replace(each.recipe, usage=Usage(1, cost)))
        for each, cost in zip(pictures, costs, strict=True)
    ]
    assert usage_words(made) == words


def test_the_index_and_two_merged_branches_have_the_usage_of_a_recording(tmp_path):
    store = Store(tmp_path / "store")
    ask(recorded(drawing, store, [0.0, 8.0]), FOXES.slice(0))
    [path] = store.record_paths()
    written = path.read_bytes()
    entry = RECORDS.read(store, path.stem)
    assert row_of(path.name, written, entry).entry.recipe.usage == Usage(8, "0.08 USD")
    # Git keeps the lines of both branches: one recorded at another time, or before there was a usage.
    both = written.replace(
        b'  "duration": 8.0,\n', b'  "duration": 8.0,\n  "created": 7,\n  "duration": 9,\n'
    )
    assert both != written
    path.write_bytes(both)
    assert RECORDS.read(store, path.stem).recipe.usage == Usage(8, "0.08 USD")
