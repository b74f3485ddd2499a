"""Recording and replaying: nothing is bought twice, and nothing that was bought is lost."""

import asyncio
import dataclasses
import threading

import pytest
from conftest import Counting, ask, drawing, drawn

from beluga_nb.core import Answer, Incomplete, Preview, Request, Result
from beluga_nb.errors import BadImage, NotRecorded, Refused, StoreError, Unreachable
from beluga_nb.store import pending
from beluga_nb.store.records import Store
from beluga_nb.store.replay import Recorded, Replayed, Unrecorded, nearest, retaken

FOX = Request(prompt="a fox", model="flux-2.0")
HALF = drawn(FOX, 0)[:60]


def asked(n=1, sample=0, **said):
    return Request(**{"prompt": "a fox", "model": "flux-2.0", "n": n, "sample": sample} | said)


def small(picture):
    return Preview(b"small " + picture.sha256[:8].encode(), "image/jpeg")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def unwritable(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    return Store(tmp_path / "file")


def auto(engine, store, said=None, provider="wire", preview=small):
    notify = (said if said is not None else []).append
    return Replayed(
        Recorded(engine, store, provider=provider, preview=preview, notify=notify), store, provider=provider
    )


def replaying(store, provider="wire"):
    return Replayed(Unrecorded(store), store, provider=provider)


def parts(counting):
    return [(request.sample, request.n) for request in counting.requests]


# --- nothing is bought twice


def test_running_twice_asks_once(store):
    counting = Counting()
    first, second = (ask(auto(counting, store), asked(3)) for _ in range(2))
    assert first == second == ask(drawing, asked(3))
    assert parts(counting) == [(0, 3)]


def test_asking_for_more_buys_only_what_is_missing(store):
    counting = Counting()
    ask(auto(counting, store), asked(2))
    four = ask(auto(counting, store), asked(4))
    assert four == ask(drawing, asked(4))
    assert parts(counting) == [(0, 2), (2, 2)]


def test_asking_for_fewer_buys_nothing(store):
    counting = Counting()
    ask(auto(counting, store), asked(4))
    assert ask(auto(counting, store), asked(1)) == ask(drawing, asked(1))
    assert parts(counting) == [(0, 4)]


def test_holes_are_filled_one_by_one_and_in_order(store):
    ask(auto(drawing, store), asked(1, 1))
    ask(auto(drawing, store), asked(1, 4))
    counting = Counting()
    assert ask(auto(counting, store), asked(6)) == ask(drawing, asked(6))
    assert parts(counting) == [(0, 1), (2, 2), (5, 1)]


@pytest.mark.parametrize(
    "other", [{"take": "b"}, {"size": "16:9"}, {"quality": "hd"}, {"prompt": "a wolf"}], ids=str
)
def test_another_take_or_request_is_bought_by_itself(store, other):
    counting = Counting()
    ask(auto(counting, store), asked())
    assert ask(auto(counting, store), asked(**other)) == ask(drawing, asked(**other))
    assert len(counting.requests) == 2


def test_what_one_provider_made_is_not_anothers(store):
    counting = Counting()
    ask(auto(counting, store, provider="local"), FOX)
    ask(auto(counting, store, provider="belugapi"), FOX)
    assert len(counting.requests) == 2


def test_a_replay_has_the_previews_that_were_made_when_it_was_recorded(store):
    ask(auto(drawing, store), FOX)
    (picture,) = ask(replaying(store), FOX).pictures
    assert picture.preview == small(picture)


# --- mode "replay"


def test_a_replay_gives_what_was_recorded(store):
    ask(auto(drawing, store), asked(3))
    assert ask(replaying(store), asked(3)) == ask(drawing, asked(3))


def test_a_replay_miss_in_an_empty_store_says_so_and_makes_nothing(store):
    with pytest.raises(NotRecorded) as caught:
        ask(replaying(store), FOX)
    assert str(caught.value) == (
        "Not recorded: flux-2.0, default size, sample 0, “a fox”.\n"
        "The store is empty. Use --mode auto to have it made."
    )
    assert not store.folder.exists()


def test_a_replay_miss_names_the_nearest_recording(store):
    ask(auto(drawing, store), asked(prompt="a whale under the ice", size="1:1"))
    ask(auto(drawing, store), asked(prompt="a red fox", size="16:9"))
    with pytest.raises(NotRecorded) as caught:
        ask(replaying(store), asked(size="16:9"))
    assert str(caught.value) == (
        "Not recorded: flux-2.0, 16:9, sample 0, “a fox”.\n"
        "Nearest recording: prompt 'a red fox'. Use --mode auto to have it made."
    )


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"take": "b"}, "take 'b'"),
        ({"size": "16:9"}, "size '16:9'"),
        ({"model": "flux-kontext", "quality": "hd"}, "model 'flux-kontext', quality 'hd'"),
        ({"sample": 7}, "sample '7'"),
    ],
)
def test_a_replay_miss_says_what_differs(store, other, words):
    ask(auto(drawing, store), asked(**other))
    with pytest.raises(NotRecorded) as caught:
        ask(replaying(store), FOX)
    assert caught.value.hint == f"Nearest recording: {words}. Use --mode auto to have it made."


def test_a_replay_miss_says_that_a_recording_lacks_a_parameter(store):
    ask(auto(drawing, store), FOX)
    with pytest.raises(NotRecorded) as caught:
        ask(replaying(store), asked(size="16:9"))
    assert caught.value.hint == "Nearest recording: no size. Use --mode auto to have it made."


def test_a_replay_miss_says_that_another_provider_made_it(store):
    ask(auto(drawing, store, provider="local"), FOX)
    with pytest.raises(NotRecorded) as caught:
        ask(replaying(store, provider="belugapi"), FOX)
    assert caught.value.hint == "Nearest recording: of another provider. Use --mode auto to have it made."


def test_a_replay_miss_passes_over_damaged_records(store):
    ask(auto(drawing, store), asked(prompt="a red fox"))
    for number, text in enumerate(
        ['{"schema": 1}', '{"schema": 1, "request": {"prompt": ""}, "take": "", "sample": 0}']
    ):
        (store.folder / "records" / "00").mkdir(exist_ok=True)
        (store.folder / "records" / "00" / f"{number}.json").write_text(text)
    with pytest.raises(NotRecorded, match="prompt 'a red fox'"):
        ask(replaying(store), FOX)


def test_part_of_a_replay_is_incomplete(store):
    ask(auto(drawing, store), asked(2))
    with pytest.raises(Incomplete) as caught:
        ask(replaying(store), asked(3))
    assert len(caught.value.result) == 2
    assert isinstance(caught.value.causes[0], NotRecorded)


def test_the_nearest_of_nothing_is_none(store):
    assert nearest(FOX, store) is None


def test_a_damaged_recording_is_an_error_and_is_not_bought_again(store):
    ask(auto(drawing, store), FOX)
    (blob,) = store.folder.glob("blobs/*/*.png")
    blob.write_bytes(b"damaged")
    counting = Counting()
    with pytest.raises(StoreError, match="not the ones that were recorded"):
        ask(auto(counting, store), FOX)
    assert counting.requests == []


# --- mode "refresh"


def test_sampling_again_picks_the_next_free_take(store):
    ask(auto(drawing, store), FOX)
    second = retaken(FOX, store, provider="wire")
    assert second == dataclasses.replace(FOX, take="2")
    ask(auto(drawing, store), second)
    assert retaken(FOX, store, provider="wire").take == "3"


def test_sampling_a_named_take_again_keeps_its_name(store):
    named = asked(take="night")
    ask(auto(drawing, store), named)
    ask(auto(drawing, store), retaken(named, store, provider="wire"))
    assert retaken(named, store, provider="wire").take == "night.3"


def test_the_takes_of_another_provider_are_not_counted(store):
    ask(auto(drawing, store, provider="local"), asked(take="2"))
    assert retaken(FOX, store, provider="wire").take == "2"


def test_a_take_of_which_only_a_later_sample_is_recorded_is_not_free(store):
    ask(auto(drawing, store), asked(take="2", sample=1))
    assert retaken(asked(n=2), store, provider="wire").take == "3"


# --- nothing that was bought is lost


async def all_but_the_second(request):
    """An engine that has no sample 1."""
    whole = await drawing(request)
    good = tuple(picture for picture in whole.pictures if picture.recipe.request.sample != 1)
    if len(good) == len(whole):
        return whole
    raise Incomplete(Result(request, good), [Unreachable("The cable is cut.", "Mend it.")])


def test_what_arrived_of_an_incomplete_answer_is_recorded_and_the_rest_is_asked_for(store):
    with pytest.raises(Incomplete) as caught:
        ask(auto(all_but_the_second, store), asked(3))
    assert [picture.recipe.request.sample for picture in caught.value.result.pictures] == [0, 2]
    assert all(picture.preview for picture in caught.value.result.pictures)
    counting = Counting()
    assert ask(auto(counting, store), asked(3)) == ask(drawing, asked(3))
    assert parts(counting) == [(1, 1)]


def test_an_incomplete_answer_says_the_same_with_and_without_a_recording(store):
    bare, recorded = all_but_the_second, auto(all_but_the_second, store)
    said = []
    for engine in (bare, recorded):
        with pytest.raises(Incomplete) as caught:
            ask(engine, asked(3))
        said.append(str(caught.value))
    assert said[0] == said[1]


async def broken(request):
    raise BadImage("The answer's picture is cut short.", "It may have been billed.", data=HALF)


def test_the_bytes_of_a_broken_picture_are_kept_and_named(store):
    with pytest.raises(BadImage) as caught:
        ask(auto(broken, store), FOX)
    (path,) = store.folder.glob("blobs/*/*.bin")
    assert path.read_bytes() == HALF
    assert caught.value.hint == (
        f"It may have been billed; its bytes are kept as store/blobs/{path.parent.name}/{path.name}."
    )


async def half_broken(request):
    cause = BadImage("Cut short.", "It may have been billed.", data=HALF)
    raise Incomplete((await drawing(request))[:1], [cause])


def test_the_bytes_of_a_broken_picture_among_good_ones_are_kept_and_named(store):
    with pytest.raises(Incomplete) as caught:
        ask(auto(half_broken, store), asked(2))
    (path,) = store.folder.glob("blobs/*/*.bin")
    assert path.read_bytes() == HALF
    assert caught.value.hint == (
        f"It may have been billed; its bytes are kept as store/blobs/{path.parent.name}/{path.name}."
        " Running it again asks only for what is missing."
    )


def test_a_store_that_cannot_be_written_is_told_and_the_pictures_are_passed_on(unwritable, said):
    assert ask(auto(drawing, unwritable, said), asked(2)) == ask(drawing, asked(2))
    assert said == [
        "Pictures cannot be recorded: file is no folder (file). They are in the result: save them with .save(),"
        " then mend the folder or set BELUGA_STORE."
    ]


def test_a_broken_picture_survives_a_store_that_cannot_be_written(unwritable, said):
    with pytest.raises(BadImage) as caught:
        ask(auto(broken, unwritable, said), FOX)
    assert caught.value.data == HALF
    assert caught.value.hint == "It may have been billed."
    assert len(said) == 2
    assert said[1].startswith("The bytes of a broken picture are not kept: ")


def test_good_pictures_survive_a_broken_one_and_a_store_that_cannot_be_written(unwritable, said):
    with pytest.raises(Incomplete) as caught:
        ask(auto(half_broken, unwritable, said), asked(2))
    assert caught.value.result.pictures[0].data == drawn(FOX, 0)


def test_a_preview_that_fails_loses_no_picture(store, said):
    def failing(picture):
        raise ValueError("no such mode")

    assert ask(auto(drawing, store, said, preview=failing), FOX) == ask(drawing, FOX)
    assert ask(replaying(store), FOX) == ask(drawing, FOX)
    assert said == ["A picture has no preview (ValueError: no such mode). It is recorded all the same."]


def test_bytes_that_are_no_picture_lose_no_other(store, said):
    async def odd(request):
        return Result.of(request, [Answer(b"GIF89a"), Answer(drawn(request, 1))], engine="x")

    result = ask(auto(odd, store, said), asked(2))
    assert [picture.data for picture in result.pictures] == [b"GIF89a", drawn(FOX, 1)]
    assert store.read(FOX.part(1), provider="wire").data == drawn(FOX, 1)
    assert any("no readable PNG" in words for words in said)


def test_an_error_is_neither_recorded_nor_changed(store):
    refused = Refused("No.", status=403)

    async def refusing(request):
        raise refused

    with pytest.raises(Refused) as caught:
        ask(auto(refusing, store), FOX)
    assert caught.value is refused
    assert list(store.entries()) == pending.calls(store) == []


def test_an_interrupt_after_the_answer_came_does_not_lose_it(store):
    arrived, go_on = threading.Event(), threading.Event()

    def slow(picture):
        arrived.set()
        assert go_on.wait(10)
        return small(picture)

    async def interrupted():
        asking = asyncio.create_task(auto(drawing, store, preview=slow)(FOX))
        await asyncio.to_thread(arrived.wait, 10)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        go_on.set()

    asyncio.run(interrupted())  # waits for its threads
    assert ask(replaying(store), FOX) == ask(drawing, FOX)
