"""Recording and replaying: nothing is bought twice, and nothing that was bought is lost."""

import asyncio
import dataclasses
import hashlib
import threading

import pytest
from conftest import Counting, ask, drawing, drawn

from beluga_nb.engines.own import own_engine
from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.replayed import Replayed
from beluga_nb.engines.single_flight import KeyedLocks, SingleFlight
from beluga_nb.engines.unrecorded import Unrecorded
from beluga_nb.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    InvalidImageError,
    NotRecordedError,
    OutcomeUnknownError,
    RateLimitError,
    StoreError,
)
from beluga_nb.request import Request
from beluga_nb.result import CallCancelled, ImagePayload, IncompleteError, Preview, Result
from beluga_nb.show.figures import bundle
from beluga_nb.store import pending, sheets
from beluga_nb.store.format import RECORDS
from beluga_nb.store.nearest import nearest_recording
from beluga_nb.store.records import Store
from beluga_nb.store.takes import next_free_take

FOX = Request(prompt="a fox", model="flux-2.0")
HALF = drawn(FOX, 0)[:60]


def asked(n=1, sample=0, **options):
    return Request(**{"prompt": "a fox", "model": "flux-2.0", "n": n, "sample": sample} | options)


def small(picture):
    return Preview(b"small " + picture.sha256[:8].encode(), "image/jpeg")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def unwritable(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    return Store(tmp_path / "file")


def auto(engine, store, messages=None, provider="wire", preview=small):
    notify = (messages if messages is not None else []).append
    return Replayed(
        Recorded(engine, Recorder(store, provider=provider, preview=preview, notify=notify)),
        store,
        provider=provider,
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
    with pytest.raises(NotRecordedError) as caught:
        ask(replaying(store), FOX)
    assert str(caught.value) == (
        "Not recorded: flux-2.0, default size, sample 0, “a fox”.\n"
        'The store is empty. Use mode="auto" to have it made.'
    )
    assert not store.folder.exists()


def test_a_replay_miss_names_the_nearest_recording(store):
    ask(auto(drawing, store), asked(prompt="a whale under the ice", size="1:1"))
    ask(auto(drawing, store), asked(prompt="a red fox", size="16:9"))
    with pytest.raises(NotRecordedError) as caught:
        ask(replaying(store), asked(size="16:9"))
    assert str(caught.value) == (
        "Not recorded: flux-2.0, 16:9, sample 0, “a fox”.\n"
        "Nearest recording: prompt 'a red fox'. Use mode=\"auto\" to have it made."
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
    with pytest.raises(NotRecordedError) as caught:
        ask(replaying(store), FOX)
    assert caught.value.hint == f'Nearest recording: {words}. Use mode="auto" to have it made.'


def test_a_replay_miss_says_that_a_recording_lacks_a_parameter(store):
    ask(auto(drawing, store), FOX)
    with pytest.raises(NotRecordedError) as caught:
        ask(replaying(store), asked(size="16:9"))
    assert caught.value.hint == 'Nearest recording: no size. Use mode="auto" to have it made.'


def test_a_replay_miss_says_that_another_provider_made_it(store):
    ask(auto(drawing, store, provider="local"), FOX)
    with pytest.raises(NotRecordedError) as caught:
        ask(replaying(store, provider="belugapi"), FOX)
    assert caught.value.hint == 'Nearest recording: of another provider. Use mode="auto" to have it made.'


def test_a_replay_miss_passes_over_damaged_records(store):
    ask(auto(drawing, store), asked(prompt="a red fox"))
    for number, text in enumerate(
        ['{"schema": 1}', '{"schema": 1, "request": {"prompt": ""}, "take": "", "sample": 0}']
    ):
        (store.folder / "records" / "00").mkdir(exist_ok=True)
        (store.folder / "records" / "00" / f"{number}.json").write_text(text)
    with pytest.raises(NotRecordedError, match="prompt 'a red fox'"):
        ask(replaying(store), FOX)


def test_part_of_a_replay_is_incomplete(store):
    ask(auto(drawing, store), asked(2))
    with pytest.raises(IncompleteError) as caught:
        ask(replaying(store), asked(3))
    assert len(caught.value.result) == 2
    assert isinstance(caught.value.causes[0], NotRecordedError)


def test_the_nearest_of_nothing_is_none(store):
    assert nearest_recording(FOX, store) is None


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
    second = next_free_take(FOX, store, provider="wire")
    assert second == dataclasses.replace(FOX, take="2")
    ask(auto(drawing, store), second)
    assert next_free_take(FOX, store, provider="wire").take == "3"


def test_sampling_a_named_take_again_keeps_its_name(store):
    named = asked(take="night")
    ask(auto(drawing, store), named)
    ask(auto(drawing, store), next_free_take(named, store, provider="wire"))
    assert next_free_take(named, store, provider="wire").take == "night.3"


def test_the_takes_of_another_provider_are_not_counted(store):
    ask(auto(drawing, store, provider="local"), asked(take="2"))
    assert next_free_take(FOX, store, provider="wire").take == "2"


def test_a_take_of_which_only_a_later_sample_is_recorded_is_not_free(store):
    ask(auto(drawing, store), asked(take="2", sample=1))
    assert next_free_take(asked(n=2), store, provider="wire").take == "3"


# --- nothing that was bought is lost


async def all_but_the_second(request):
    """An engine that has no sample 1."""
    whole = await drawing(request)
    good = tuple(picture for picture in whole.pictures if picture.recipe.request.sample != 1)
    if len(good) == len(whole):
        return whole
    raise IncompleteError(Result(request, good), [APIConnectionError("The cable is cut.", "Mend it.")])


def test_what_arrived_of_an_incomplete_answer_is_recorded_and_the_rest_is_asked_for(store):
    with pytest.raises(IncompleteError) as caught:
        ask(auto(all_but_the_second, store), asked(3))
    assert [picture.recipe.request.sample for picture in caught.value.result.pictures] == [0, 2]
    assert all(picture.preview for picture in caught.value.result.pictures)
    counting = Counting()
    assert ask(auto(counting, store), asked(3)) == ask(drawing, asked(3))
    assert parts(counting) == [(1, 1)]


def test_an_incomplete_answer_says_the_same_with_and_without_a_recording(store):
    bare, recorded = all_but_the_second, auto(all_but_the_second, store)
    messages = []
    for engine in (bare, recorded):
        with pytest.raises(IncompleteError) as caught:
            ask(engine, asked(3))
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


async def broken(request):
    raise InvalidImageError("The answer's picture is cut short.", "It may have been billed.", data=HALF)


def test_the_bytes_of_a_broken_picture_are_kept_and_named(store):
    with pytest.raises(InvalidImageError) as caught:
        ask(auto(broken, store), FOX)
    (path,) = store.folder.glob("blobs/*/*.bin")
    assert path.read_bytes() == HALF
    assert caught.value.hint == (
        f"It may have been billed. Its bytes are kept as store/blobs/{path.parent.name}/{path.name}."
    )


async def half_broken(request):
    cause = InvalidImageError("Cut short.", "It may have been billed.", data=HALF)
    raise IncompleteError((await drawing(request))[:1], [cause])


def test_the_bytes_of_a_broken_picture_among_good_ones_are_kept_and_named(store):
    with pytest.raises(IncompleteError) as caught:
        ask(auto(half_broken, store), asked(2))
    (path,) = store.folder.glob("blobs/*/*.bin")
    assert path.read_bytes() == HALF
    assert caught.value.hint == (
        f"It may have been billed. Its bytes are kept as store/blobs/{path.parent.name}/{path.name}."
        " Running it again asks only for what is missing."
    )


def test_a_store_that_cannot_be_written_is_reported_and_the_pictures_are_passed_on(unwritable, messages):
    assert ask(auto(drawing, unwritable, messages), asked(2)) == ask(drawing, asked(2))
    assert messages == [
        "Pictures cannot be recorded: file is not a folder (file). They are in the result: save them with"
        " .save(), then mend the folder or set BELUGA_STORE."
    ]


def test_a_broken_picture_survives_a_store_that_cannot_be_written(unwritable, messages):
    with pytest.raises(InvalidImageError) as caught:
        ask(auto(broken, unwritable, messages), FOX)
    assert caught.value.data == HALF
    assert caught.value.hint == "It may have been billed."
    assert len(messages) == 2
    assert messages[1].startswith("The bytes of a broken picture are not kept: ")


def test_good_pictures_survive_a_broken_one_and_a_store_that_cannot_be_written(unwritable, messages):
    with pytest.raises(IncompleteError) as caught:
        ask(auto(half_broken, unwritable, messages), asked(2))
    assert caught.value.result.pictures[0].data == drawn(FOX, 0)


def test_a_preview_that_fails_loses_no_picture(store, messages):
    def failing(picture):
        raise ValueError("no such mode")

    assert ask(auto(drawing, store, messages, preview=failing), FOX) == ask(drawing, FOX)
    assert ask(replaying(store), FOX) == ask(drawing, FOX)
    assert messages == ["A picture has no preview (ValueError: no such mode). It is recorded all the same."]


def test_bytes_that_are_no_picture_lose_no_other(store, messages):
    async def odd(request):
        return Result.of(request, [ImagePayload(b"GIF89a"), ImagePayload(drawn(request, 1))], engine="x")

    result = ask(auto(odd, store, messages), asked(2))
    assert [picture.data for picture in result.pictures] == [b"GIF89a", drawn(FOX, 1)]
    assert store.read(FOX.slice(1), provider="wire").data == drawn(FOX, 1)
    assert any("no readable PNG" in words for words in messages)


def test_an_error_is_neither_recorded_nor_changed(store):
    refused = APIStatusError("No.", status=403)

    async def refusing(request):
        raise refused

    with pytest.raises(APIStatusError) as caught:
        ask(auto(refusing, store), FOX)
    assert caught.value is refused
    assert list(RECORDS.values(store)) == pending.calls(store) == []


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
        for _ in range(1000):  # the thread goes on; where nest_asyncio is applied, asyncio.run does not wait
            if store.record_paths():
                break
            await asyncio.sleep(0.01)

    asyncio.run(interrupted())
    assert ask(replaying(store), FOX) == ask(drawing, FOX)


# --- what a model declines


async def declining(request):
    raise APIStatusError(
        "Your prompt was declined.", "Say it otherwise.", status=400, code="moderation_blocked"
    )


def test_a_declined_prompt_is_recorded_and_declined_again_without_asking(store):
    counting = Counting(declining)
    messages = []
    for engine in (auto(counting, store), auto(counting, store), replaying(store)):
        with pytest.raises(APIStatusError) as caught:
            ask(engine, asked(2))
        messages.append((str(caught.value), vars(caught.value)))
    assert messages[0] == messages[1] == messages[2]
    assert len(counting.requests) == 1
    assert {(entry.request.sample, entry.image) for entry in RECORDS.values(store)} == {(0, None), (1, None)}


def test_a_declined_prompt_is_asked_again_as_a_new_take(store):
    with pytest.raises(APIStatusError):
        ask(auto(declining, store), FOX)
    assert next_free_take(FOX, store, provider="wire").take == "2"


def test_pictures_beside_a_declined_one_are_replayed_with_it(store):
    ask(auto(drawing, store), asked(2))
    for engine in (auto(declining, store), replaying(store)):
        with pytest.raises(
            IncompleteError, match="2 of 3 pictures arrived; the rest failed: Your prompt was"
        ) as e:
            ask(engine, asked(3))
        assert len(e.value.result) == 2


@pytest.mark.parametrize(
    "error",
    [
        APIStatusError("No key.", status=401),
        APIStatusError("No money.", status=402, code="insufficient_quota"),
        APIStatusError("No such size.", status=400, code=None),
        RateLimitError("Later.", retry_after=1),
        RateLimitError("Later.", status=503),
        OutcomeUnknownError("Broken.", status=500),
        APITimeoutError("Late.", status=504),
        APIConnectionError("No wire."),
    ],
    ids=lambda error: f"{type(error).__name__} {error.status}",
)
def test_any_other_error_is_not_recorded(store, error):
    with pytest.raises(type(error)):
        ask(auto(failing_with(error), store), FOX)
    assert list(RECORDS.values(store)) == []
    assert ask(auto(drawing, store), FOX) == ask(drawing, FOX)


def failing_with(error):
    async def engine(request):
        raise error

    return engine


# --- the journal


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (APIConnectionError("No wire."), False),
        (APIStatusError("No money.", status=402), False),
        (RateLimitError("Later.", status=429), False),
        (RateLimitError("Later.", status=503, retry_after=1), False),
        (RateLimitError("Later.", status=503), True),
        (OutcomeUnknownError("Broken.", status=500), True),
        (OutcomeUnknownError("Broken.", status=502), True),
        (APITimeoutError("Late.", status=504), True),
        (InvalidImageError("Cut.", data=HALF), True),
        (ZeroDivisionError("a bug"), True),
        (KeyboardInterrupt(), True),
    ],
    ids=lambda value: f"{type(value).__name__} {getattr(value, 'status', '')}",
)
def test_a_call_without_a_known_end_stays_in_the_journal(store, error, lost):
    with pytest.raises(type(error)):
        ask(auto(failing_with(error), store), asked(2))
    calls = pending.calls(store)
    assert len(calls) == lost
    for call in calls:
        assert (call.request, call.provider, call.on_its_way) == (asked(2), "wire", False)
        assert call.why == (getattr(error, "message", "") or "It was interrupted.")


def test_a_call_is_in_the_journal_before_it_is_sent_and_out_of_it_when_it_is_answered(store):
    seen = []

    async def looking(request):
        [call] = pending.calls(store)
        seen.append((call.run, call.on_its_way, request.idempotency_key))
        return await drawing(request)

    ask(auto(looking, store), FOX)
    [(run, on_its_way, sent)] = seen
    assert on_its_way
    assert len(run) == 36
    assert run == sent, "what is sent carries the id that is written down"
    assert pending.calls(store) == []


def test_what_arrived_of_an_incomplete_answer_may_be_all_that_was_charged(store):
    with pytest.raises(IncompleteError):
        ask(auto(all_but_the_second, store), asked(3))
    assert pending.calls(store) == []


def test_an_interrupted_call_is_marked_as_interrupted(store):
    async def interrupted():
        sent = asyncio.Event()

        async def never(request):
            sent.set()
            await asyncio.Event().wait()

        asking = asyncio.create_task(auto(never, store)(FOX))
        await asyncio.wait_for(sent.wait(), 30)  # cancelled before that, nothing was sent
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(interrupted())
    [call] = pending.calls(store)
    assert call.why == "It was interrupted."


def test_what_had_arrived_of_a_stopped_call_is_recorded_and_the_rest_may_have_been_charged(store):
    async def stopped_in_the_middle(request):
        raise CallCancelled(lambda: [drawn_result])

    drawn_result = ask(drawing, asked(3).slice(1))
    with pytest.raises(asyncio.CancelledError):
        ask(auto(stopped_in_the_middle, store), asked(3))
    assert [entry.request.sample for entry in RECORDS.values(store)] == [1]
    assert [call.why for call in pending.calls(store)] == ["It was interrupted."]


def test_a_stopped_call_that_had_brought_everything_has_a_known_end(store):
    async def stopped_at_the_end(request):
        raise CallCancelled(lambda: [drawn_result])

    drawn_result = ask(drawing, FOX)
    with pytest.raises(asyncio.CancelledError):
        ask(auto(stopped_at_the_end, store), FOX)
    assert ask(replaying(store), FOX) == drawn_result
    assert pending.calls(store) == []


def test_a_call_that_is_stopped_while_it_is_written_down_leaves_no_mark(store):
    writing, go_on = threading.Event(), threading.Event()

    class Slow(Store):
        def write_json(self, path, given):
            writing.set()
            assert go_on.wait(10)
            super().write_json(path, given)

    async def interrupted():
        asking = asyncio.create_task(auto(drawing, Slow(store.folder))(FOX))
        await asyncio.to_thread(writing.wait, 10)
        asking.cancel()
        with pytest.raises(CallCancelled) as caught:
            await asking
        go_on.set()
        return caught.value

    assert not asyncio.run(interrupted()).may_be_billed
    assert pending.calls(store) == []


# --- two who ask for the same


def test_the_same_request_at_once_is_bought_once(store):
    counting = Counting(drawing_slowly)

    async def twice():
        engine = SingleFlight(auto(counting, store), KeyedLocks())
        return await asyncio.gather(engine(asked(2)), engine(asked(1)), engine(asked(3)))

    two, one, three = asyncio.run(twice())
    assert parts(counting) == [(0, 2), (2, 1)]
    assert (one, two) == (ask(drawing, asked(1)), ask(drawing, asked(2)))
    assert three == ask(drawing, asked(3))


async def drawing_slowly(request):
    await asyncio.sleep(0.05)
    return await drawing(request)


def test_what_two_kernels_bought_for_the_same_request_is_kept_twice(store, messages):
    async def meanwhile(request):
        """An engine that, while it answers, is overtaken by another kernel."""
        await auto(drawing, store)(request)
        return Result.of(request, [ImagePayload(drawn(request, 77))], engine="wire")

    (picture,) = ask(auto(meanwhile, store, messages), FOX).pictures
    assert picture.data == drawn(FOX, 77)
    assert picture.recipe.request.take == "2"
    assert messages == ["Another kernel has recorded the same; this one is kept as take 2."]
    assert ask(replaying(store), FOX) == ask(drawing, FOX)
    assert ask(replaying(store), asked(take="2")).pictures[0].data == picture.data


def test_takes_that_are_being_made_are_not_free(store):
    second = next_free_take(FOX, store, provider="wire")
    assert next_free_take(FOX, store, provider="wire", reserved={second.slice(0)}).take == "3"


# --- all that is missing


def test_a_replay_miss_lists_all_that_is_missing_at_once(store):
    ask(auto(drawing, store), asked(1, 1))
    ask(auto(drawing, store), asked(1, 4))
    with pytest.raises(IncompleteError) as caught:
        ask(replaying(store), asked(6))
    [cause] = caught.value.causes
    assert isinstance(cause, NotRecordedError)
    assert str(cause) == (
        "Not recorded: 3 requests.\n"
        "  flux-2.0, default size, sample 0, “a fox”; nearest recording: sample '1'\n"
        "  flux-2.0, default size, sample 2 to 3, “a fox”; nearest recording: sample '1'\n"
        "  flux-2.0, default size, sample 5, “a fox”; nearest recording: sample '4'\n"
        'Use mode="auto" to have them made.'
    )


# --- Git LFS


def pointer(data):
    return (
        f"version https://git-lfs.github.com/spec/v1\n"
        f"oid sha256:{hashlib.sha256(data).hexdigest()}\nsize {len(data)}\n"
    ).encode()


@pytest.fixture
def unpulled(store):
    """A store whose original is a Git LFS pointer."""
    ask(auto(drawing, store), FOX)
    (blob,) = store.folder.glob("blobs/*/*.png")
    blob.write_bytes(pointer(drawn(FOX, 0)))
    return store


def test_a_picture_that_git_lfs_has_not_fetched_shows_its_preview_and_says_so(unpulled):
    result = ask(replaying(unpulled), FOX)
    (picture,) = result.pictures
    shown = bundle(result)
    assert picture.sha256 == hashlib.sha256(drawn(FOX, 0)).hexdigest()
    assert picture.size == (96, 64)
    assert picture.preview == small(ask(drawing, FOX).pictures[0])
    assert "the original is not here: git lfs pull" in shown["text/plain"]
    assert "the original is not here: git lfs pull" in shown["text/html"]
    for use in (lambda: result[0], lambda: result.save("fox.png")):
        with pytest.raises(StoreError, match="only its Git LFS pointer"):
            use()


def test_a_picture_that_git_lfs_has_not_fetched_is_not_bought_again(unpulled):
    counting = Counting()
    ask(auto(counting, unpulled), FOX)
    assert counting.requests == []


def test_the_pointer_of_other_bytes_is_damage(unpulled):
    (blob,) = unpulled.folder.glob("blobs/*/*.png")
    blob.write_bytes(pointer(b"other bytes"))
    with pytest.raises(StoreError, match="not the ones that were recorded"):
        ask(replaying(unpulled), FOX)


def test_a_preview_that_git_lfs_has_not_fetched_is_named(store):
    ask(auto(drawing, store), FOX)
    for blob in store.folder.glob("blobs/*/*.*"):
        blob.write_bytes(pointer(blob.read_bytes()))
    with pytest.raises(StoreError) as caught:
        ask(replaying(store), FOX)
    assert caught.value.hint == "Fetch it: git lfs pull"


# --- several previews as one


def test_a_sheet_is_made_once_and_shown_for_ever(store):
    parts = [Preview(b"one", "image/jpeg"), Preview(b"two", "image/png")]
    sheet = Preview(b"both", "image/jpeg")
    assert sheets.sheet(store, parts, lambda: sheet, writing=True) == sheet
    assert sheets.sheet(store, parts, pytest.fail, writing=True) == sheet
    assert sheets.sheet(store, parts, pytest.fail, writing=False) == sheet


def test_who_may_not_write_makes_a_sheet_and_keeps_none(store):
    parts = [Preview(b"one", "image/jpeg"), Preview(b"two", "image/png")]
    assert sheets.sheet(store, parts, lambda: parts[0], writing=False) == parts[0]
    assert not store.folder.exists()


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"sheet": {"sha256": "../x", "media_type": "image/png"}}'])
def test_a_damaged_sheet_is_made_anew(store, damage):
    parts = [Preview(b"one", "image/jpeg")]
    sheets.sheet(store, parts, lambda: Preview(b"old", "image/jpeg"), writing=True)
    (path,) = store.folder.glob("sheets/*/*.json")
    path.write_bytes(damage)
    new = Preview(b"new", "image/jpeg")
    assert sheets.sheet(store, parts, lambda: new, writing=True) == new
    assert sheets.sheet(store, parts, pytest.fail, writing=True) == new


def test_the_small_copy_is_made_where_the_picture_is_decoded_anyway(tmp_path):
    """Decoding is the most of the work; who checks a picture makes its small copy on the way."""
    decoded = []

    def small(image):
        decoded.append(image.size)
        return Preview(b"on the way", "image/jpeg")

    store = Store(tmp_path)
    checking = own_engine(drawing, "mine", make_preview=small).within(30)
    recorded = Recorded(checking, Recorder(store, provider="wire", preview=pytest.fail, notify=pytest.fail))
    request = Request(prompt="a fox", model="flux-2.0")
    [picture] = ask(recorded, request).pictures
    assert decoded == [picture.size]
    assert picture.preview.data == b"on the way"
    assert store.preview(request, provider="wire") == picture.preview
