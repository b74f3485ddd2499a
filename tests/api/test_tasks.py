"""The shapes in which services speak of their tasks."""

import json

import pytest

from beluga_nb.api.tasks import FAILED, read, submitted
from beluga_nb.errors import (
    APIStatusError,
    APITimeoutError,
    InvalidResponseError,
    OutcomeUnknownError,
    RateLimitError,
)
from beluga_nb.wire import Item

URL = "https://cdn.example/a.png"


def encoded(body):
    return json.dumps(body).encode()


@pytest.mark.parametrize(
    "body",
    [
        {"code": 200, "data": [{"status": "submitted", "task_id": "task_01"}]},
        {"code": "success", "message": "", "data": [{"task_id": "task_01", "status": "processing"}]},
        {"code": 200, "data": {"id": "task_01", "status": "pending", "progress": 0, "task_info": {}}},
        {"id": "task_01", "status": "pending"},
    ],
)
def test_a_submission_names_its_task_in_each_shape(body):
    assert submitted(encoded(body)) == "task_01"


@pytest.mark.parametrize("name", ["", "..", "../v1/keys", "a/b", "a?b", "a b", "ü", 7, None, "a" * 201])
def test_what_would_lead_to_another_address_is_no_task(name):
    with pytest.raises(InvalidResponseError, match="names no task"):
        submitted(encoded({"code": 200, "data": [{"task_id": name}]}))


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b'{"data": []}', b'{"data": [7]}', b"[" * 9999])
def test_an_answer_of_another_kind_is_a_bad_reply(content):
    with pytest.raises(InvalidResponseError):
        submitted(content)
    with pytest.raises(InvalidResponseError):
        read(content)


def test_a_refusal_under_the_status_200_is_a_refusal():
    with pytest.raises(APIStatusError) as caught:
        submitted(encoded({"code": 402, "message": "The balance is too low."}))
    assert (caught.value.status, caught.value.message) == (402, "The balance is too low.")


ENDS = {
    "completed": ["completed", "complete", "succeeded", "success", "successful", "finished", "done", "ready"],
    "failed": ["failed", "failure", "error", "errored", "rejected"],
    "cancelled": ["cancelled", "canceled", "aborted"],
    "pending": [
        "submitted",
        "pending",
        "processing",
        "in_progress",
        "queued",
        "starting",
        "drawing",
        "",
        "ok",
    ],
}
SPELT = {"lower": str, "upper": str.upper, "title": str.title, "hyphens": lambda word: word.replace("_", "-")}


@pytest.mark.parametrize(("state", "word"), [(state, word) for state in ENDS for word in ENDS[state]])
@pytest.mark.parametrize("spelling", SPELT)
@pytest.mark.parametrize("name", ["status", "state", "task_status"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_a_state_means_the_same_however_it_is_written(state, word, spelling, name, wrapped):
    task = {
        "id": "task_01",
        name: SPELT[spelling](word),
        "progress": 40,
        "result": {"images": [{"url": URL}]},
    }
    read_ = read(encoded({"code": 200, "data": [task]} if wrapped else task))
    assert read_.state == state
    assert [item.url for item in read_.items] == ([URL] if state == "completed" else [])
    assert bool(read_.error) is (state == "failed")


def test_a_task_under_way_is_pending_whatever_else_is_well():
    task = {"id": "task_01", "status": "success", "task_status": "processing"}
    assert read(encoded(task)).state == "pending"


@pytest.mark.parametrize("status", ["success", "error", "failed"])
def test_the_status_of_a_gateway_is_no_tasks(status):
    with pytest.raises(InvalidResponseError):
        read(encoded({"status": status, "message": "Maintenance."}))


@pytest.mark.parametrize(
    ("images", "urls"),
    [
        ([{"url": [URL], "expires_at": 1}], [URL]),
        ([{"url": URL, "expires_at": 1}], [URL]),
        ([{"url": [URL, URL + "2"]}, {"url": URL + "3"}], [URL, URL + "2", URL + "3"]),
        ([], []),
        (None, []),
    ],
)
def test_a_completed_task_holds_links_in_a_list_or_alone(images, urls):
    task = read(encoded({"data": {"status": "completed", "created": 7, "result": {"images": images}}}))
    assert (task.state, task.created) == ("completed", 7)
    assert [item.url for item in task.items] == urls


def test_a_picture_without_a_link_spoils_no_other():
    images = [{"url": [None, URL]}, "nothing", {"url": URL, "revised_prompt": "a \ud83d fox"}]
    bad, good, worse, revised = read(
        encoded({"data": {"status": "completed", "result": {"images": images}}})
    ).items
    assert isinstance(bad, InvalidResponseError)
    assert isinstance(worse, InvalidResponseError)
    assert good == Item(url=URL)
    assert revised == Item(url=URL, revised_prompt="a ? fox")


@pytest.mark.parametrize(
    ("failed", "kind", "status", "message"),
    [
        ({"error": {"message": "Declined.", "code": "moderation_blocked"}}, APIStatusError, 400, "Declined."),
        (
            {"error": {"message": "Bad size.", "type": "invalid_request_error"}},
            APIStatusError,
            400,
            "Bad size.",
        ),
        ({"error": {"message": "Too many.", "code": 429}}, RateLimitError, 429, "Too many."),
        ({"error": {"message": "Too long.", "code": 504}}, APITimeoutError, 504, "Too long."),
        ({"error": {"message": "Broken.", "code": 5, "status": 503}}, RateLimitError, 503, "Broken."),
        ({"error": "Broken."}, OutcomeUnknownError, 502, "Broken."),
        ({"fail_reason": "Broken."}, OutcomeUnknownError, 502, "Broken."),
        ({}, OutcomeUnknownError, 502, "The task failed."),
    ],
)
def test_a_failed_task_says_why_and_is_not_billed(failed, kind, status, message):
    error = read(encoded({"data": {"status": "failed"} | failed})).error
    assert (type(error), error.status, error.message) == (kind, status, message)
    assert error.hint == FAILED
