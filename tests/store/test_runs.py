"""What is recorded, as runs: how they are named, ordered, filtered and brought back."""

import pytest
from conftest import ask, drawing
from stores import DAY, MONDAY, record

from beluga_nb.engines.replayed import Replayed
from beluga_nb.engines.unrecorded import Unrecorded
from beluga_nb.errors import APIStatusError, RequestError, StoreError
from beluga_nb.request import Request
from beluga_nb.result import Picture, Preview, Recipe
from beluga_nb.store import pending
from beluga_nb.store.format import key
from beluga_nb.store.records import Store
from beluga_nb.store.runs import find, history, recall, runs

DECLINED = APIStatusError("The prompt was declined.", status=400, code="moderation_blocked")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def lost(store, prompt="a lost fox", run="3f2a9c1e-0000-4000-8000-000000000000", why="The connection broke."):
    call = pending.begin(
        store, Request(prompt=prompt, model="flux-2.0", idempotency_key=run), provider="wire"
    )
    if why:
        pending.mark_unknown(store, call, why)


def prompts(found):
    return [run.request.prompt for run in found]


def test_a_run_is_one_request_and_take_under_one_provider(store):
    record(store, n=3)
    record(store, take="2")
    record(store, provider="other")
    assert sorted((run.provider, run.request.take, len(run.pictures)) for run in runs(store)) == [
        ("other", "", 1),
        ("wire", "", 3),
        ("wire", "2", 1),
    ]


def test_a_run_is_named_by_the_key_of_its_first_sample_recorded_or_not(store):
    record(store, sample=4)
    [run] = runs(store)
    assert run.name == key(Request(prompt="a fox", model="flux-2.0"), provider="wire")


def test_the_newest_comes_first_and_equals_keep_their_order(store):
    for number, prompt in enumerate(["old", "new", "older", "b", "a"]):
        record(store, prompt, created=MONDAY + (0, 2, -1, 5, 5)[number])
    found = prompts(runs(store))
    assert set(found[:2]) == {"a", "b"}
    assert found[2:] == ["new", "old", "older"]
    assert found == prompts(runs(store))


def test_refusals_and_calls_without_a_known_end_are_in_the_history_and_marked(store):
    request = Request(prompt="declined", model="flux-2.0")
    store.write_refusal(request, DECLINED, provider="wire", created=MONDAY)
    lost(store)
    lost(store, "on the way", run="3f2a9c1e-3333-4000-8000-000000000000", why="")
    assert {run.request.prompt: run.note for run in runs(store)} == {
        "declined": "refused: The prompt was declined.",
        "a lost fox": "no result. The connection broke.",
        "on the way": "in progress",
    }


def test_a_text_is_looked_for_in_the_prompt_and_capitals_do_not_matter(store):
    record(store, "A Große Fox")
    record(store, "a cat")
    assert prompts(history(store, "GROSSE fox").runs) == ["A Große Fox"]


def test_a_model_is_named_exactly(store):
    record(store, "a")
    record(store, "b", model="flux-kontext")
    assert prompts(history(store, model="flux-2.0").runs) == ["a"]


def test_days_are_in_utc_and_both_included(store):
    for name, created in [("before", -1), ("first", 0), ("last", 2 * DAY - 1), ("after", 2 * DAY)]:
        record(store, name, created=MONDAY + created)
    assert prompts(history(store, since="2025-06-16", until="2025-06-17").runs) == ["last", "first"]


def test_what_is_no_date_says_how_one_looks(store):
    with pytest.raises(RequestError, match=r"'yesterday' is not a date\.\nGive it as 2026-11-22"):
        history(store, since="yesterday")


def test_only_the_newest_are_listed_and_the_others_counted(store):
    for number in range(5):
        record(store, f"fox {number}", created=MONDAY + number)
    found = history(store, limit=2)
    assert (prompts(found.runs), found.more) == (["fox 4", "fox 3"], 3)


def test_a_limit_below_one_is_an_error(store):
    with pytest.raises(RequestError, match=r"The limit is 0\."):
        history(store, limit=0)


def test_a_damaged_record_is_left_out_and_left_alone(store):
    record(store, n=2)
    [path, _] = store.record_paths()
    path.write_bytes(path.read_bytes()[:40])
    assert [len(run.pictures) for run in runs(store)] == [1]
    assert path.stat().st_size == 40


@pytest.mark.parametrize("created", ['"yesterday"', "null", "1.5", "[]"])
def test_a_record_with_no_time_of_its_own_is_damaged(store, created):
    record(store)
    [path] = store.record_paths()
    path.write_text(path.read_text().replace(str(MONDAY), created))
    assert runs(store) == []


@pytest.mark.posix
def test_a_record_that_leads_out_of_the_store_by_a_link_is_not_read(store, tmp_path):
    record(store)
    [path] = store.record_paths()
    path.parent.rename(tmp_path / "elsewhere")
    path.parent.symlink_to(tmp_path / "elsewhere")
    assert runs(store) == []


def test_an_empty_or_missing_store_has_no_history_and_none_is_made(store):
    assert history(store).runs == ()
    assert not store.folder.exists()


def test_the_beginning_of_a_name_is_enough_while_it_is_clear(store):
    record(store)
    [run] = runs(store)
    assert find(store, [run.name[:4], run.name[:12].upper(), run.name]) == [run] * 3


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("3f2", "'3f2' is too short for the name of a run"),
        ("ffff00", "There is no run 'ffff00'"),
        ("3f2a9c1e", "2 runs begin with '3f2a9c1e'"),
    ],
)
def test_a_name_that_is_not_clear_is_an_error(store, name, expected):
    record(store)
    lost(store)
    lost(store, run="3f2a9c1e-1111-4000-8000-000000000000")
    with pytest.raises(RequestError, match=expected):
        find(store, [name])


def test_a_run_comes_back_as_the_result_that_it_was(store):
    made = record(store, n=3)
    [run] = runs(store)
    assert recall(store, run.name) == made == ask(drawing, made.request)
    replayed = ask(Replayed(Unrecorded(store), store, provider="wire"), made.request)
    assert recall(store, run.name) == replayed


def test_a_run_with_holes_comes_back_with_what_is_there(store):
    record(store, sample=1)
    record(store, sample=4)
    [run] = runs(store)
    assert [picture.recipe.request.sample for picture in recall(store, run.name).pictures] == [1, 4]
    assert recall(store, run.name).recipe.request.samples == range(1, 5)


def test_a_refusal_comes_back_as_the_refusal(store):
    request = Request(prompt="declined", model="flux-2.0")
    store.write_refusal(request, DECLINED, provider="wire", created=MONDAY)
    with pytest.raises(APIStatusError, match="The prompt was declined"):
        recall(store, runs(store)[0].name)


def test_a_call_without_a_known_end_has_nothing_to_bring_back(store):
    lost(store)
    with pytest.raises(StoreError, match=r"has no pictures \(no result. The connection broke\.\)"):
        recall(store, "3f2a")


def test_of_very_many_recordings_the_newest_are_listed(store):
    _many(store, 1_000)
    found = history(store)
    assert (len(found.runs), found.more) == (50, 450)
    assert [run.request.prompt for run in found.runs[:2]] == ["fox 499", "fox 498"]


def _many(store, count):
    # Written directly: what is durable takes longer, and is shown elsewhere.
    from beluga_nb.store.codec import canonical_json
    from beluga_nb.store.format import record_of

    for number in range(count):
        request = Request(prompt=f"fox {number // 2}", model="flux-2.0", sample=number % 2)
        picture = Picture(
            b"%d" % number, "image/png", Recipe(request=request, engine="drawing", created=number)
        )
        picture.__dict__["size"] = (1, 1)
        record = record_of(picture, Preview(b"%d small" % number, "image/jpeg"), provider="wire")
        path = store.record_path(record["key"])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(canonical_json(record))


def test_pages_follow_each_other_and_hold_every_run_once(store):
    for number in range(5):
        record(store, prompt=f"fox {number}", created=MONDAY + number * DAY)
    pages = [history(store, limit=2, page=page) for page in (1, 2, 3, 4)]
    assert [prompts(page.runs) for page in pages] == [["fox 4", "fox 3"], ["fox 2", "fox 1"], ["fox 0"], []]
    assert [page.more for page in pages] == [3, 1, 0, 0]
    assert [page.rest for page in pages[:2]] == [
        "… and 3 more: the next page is page=2",
        "… and 1 more: the next page is page=3",
    ]
    with pytest.raises(RequestError, match=r"The page is 0\."):
        history(store, page=0)


@pytest.mark.parametrize("wrong", [-1, 3.5, b"x", ["2026-11-22"]])
@pytest.mark.parametrize("name", ["since", "until", "limit", "page", "text"])
def test_an_argument_of_another_type_is_refused_in_two_lines(name, wrong, tmp_path):
    with pytest.raises(RequestError) as refused:
        history(Store(tmp_path / "store"), **{"text": "", name: wrong})
    assert len(str(refused.value).splitlines()) == 2
