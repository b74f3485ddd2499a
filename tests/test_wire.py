"""JSON on the wire: what is sent, and what every shape of answer becomes."""

import base64
import json

import pytest
from conftest import ask, drawing, drawn

from beluga_nb.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BelugaError,
    EngineError,
    InvalidResponseError,
    NotRecordedError,
    OutcomeUnknownError,
    RateLimitError,
    RequestError,
)
from beluga_nb.request import Request
from beluga_nb.wire import (
    error_from_json,
    error_object,
    error_to_json,
    request_from_json,
    request_to_json,
    result_to_json,
    retry_after,
    type_of,
)

pytestmark = pytest.mark.unsampled  # each row is a claim of its own

FOX = Request(prompt="a fox", model="flux-2.0")


# --- requests


def test_the_body_holds_only_what_was_set():
    assert request_to_json(FOX, response_format="url") == {
        "model": "flux-2.0",
        "prompt": "a fox",
        "n": 1,
        "response_format": "url",
    }


def test_the_body_holds_all_that_was_set():
    request = Request(
        prompt=" {x} é\n",
        model="m",
        n=3,
        size="16:9",
        quality="hd",
        output_format="jpeg",
        output_compression=0,
        take="b",
        sample=7,
    )
    assert request_to_json(request, response_format="b64_json") == {
        "model": "m",
        "prompt": " {x} é\n",
        "n": 3,
        "size": "16:9",
        "quality": "hd",
        "output_format": "jpeg",
        "output_compression": 0,
        "response_format": "b64_json",
    }


def test_take_and_sample_are_sent_to_our_own_server_only():
    body = request_to_json(FOX.slice(5), response_format="url", extensions=True)
    assert (body["take"], body["sample"]) == ("", 5)


@pytest.mark.parametrize(
    "request_",
    [
        FOX,
        Request(prompt="a fox", model="m", output_format="webp", output_compression=7),
        Request(prompt=' "\\\n\N{SNOWMAN}\0 ', model="m", n=4, size="auto", quality="hd", take="é", sample=9),
    ],
)
@pytest.mark.parametrize("response_format", ["url", "b64_json"])
def test_a_request_survives_the_wire(request_, response_format):
    text = json.dumps(request_to_json(request_, response_format=response_format, extensions=True))
    assert request_from_json(json.loads(text)) == (request_, response_format)


def test_a_body_without_response_format_asks_for_urls():
    assert request_from_json({"model": "flux-2.0", "prompt": "a fox"}) == (FOX, "url")


def test_null_means_not_set_and_unknown_keys_are_accepted():
    body = {"model": "flux-2.0", "prompt": "a fox", "n": None, "size": None, "quality": None, "user": "me"}
    body |= {"response_format": None, "take": None, "sample": None, "style": {"vivid": True}}
    assert request_from_json(body) == (FOX, "url")


@pytest.mark.parametrize(
    ("given", "param", "code", "message"),
    [
        ({"model": None}, "model", "missing_parameter", "'model' is missing."),
        ({"prompt": None}, "prompt", "missing_parameter", "'prompt' is missing."),
        ({"prompt": ""}, "prompt", "missing_parameter", "The prompt is empty."),
        ({"prompt": "  "}, "prompt", "missing_parameter", "The prompt is empty."),
        ({"prompt": 7}, "prompt", None, "The prompt is 7, not text."),
        ({"prompt": ["a", "b"]}, "prompt", None, "The prompt is ['a', 'b'], not text."),
        ({"prompt": "x" * 32_001}, "prompt", None, "The prompt has 32,001 characters."),
        ({"model": {}}, "model", None, "The model is {}, not text."),
        ({"n": 0}, "n", None, "n is 0."),
        ({"n": 1.5}, "n", None, "n is 1.5."),
        ({"n": "1"}, "n", None, "n is '1'."),
        ({"n": True}, "n", None, "n is True."),
        ({"n": float("nan")}, "n", None, "n is nan."),
        ({"size": 1024}, "size", None, "The size is 1024, not text."),
        ({"quality": []}, "quality", None, "The quality is [], not text."),
        ({"response_format": "png"}, "response_format", None, "response_format is 'png'."),
        ({"response_format": []}, "response_format", None, "response_format is '[]'."),
        ({"response_format": {}}, "response_format", None, "response_format is '{}'."),
        ({"response_format": 1}, "response_format", None, "response_format is '1'."),
        ({"take": 1}, "take", None, "The take is 1, not text."),
        ({"sample": -1}, "sample", None, "sample is -1."),
        ({"sample": "0"}, "sample", None, "sample is '0'."),
    ],
)
def test_a_bad_value_is_refused_by_name(given, param, code, message):
    with pytest.raises(RequestError) as caught:
        request_from_json({"model": "flux-2.0", "prompt": "a fox", **given})
    assert (caught.value.param, caught.value.code, caught.value.message) == (param, code, message)


@pytest.mark.parametrize("body", [None, [], "text", 5, True])
def test_a_body_that_is_no_object_is_refused(body):
    with pytest.raises(RequestError) as caught:
        request_from_json(body)
    assert caught.value.message == "The body is not a JSON object."


# --- results


def test_a_result_is_sent_as_base64():
    assert result_to_json(ask(drawing, FOX)) == {
        "created": 1_750_000_000,
        "data": [
            {
                "b64_json": base64.b64encode(drawn(FOX, 0)).decode(),
                "revised_prompt": "a drawing of sample 0",
            }
        ],
    }


def test_a_result_is_sent_as_links():
    body = result_to_json(ask(drawing, FOX), link=lambda picture: f"/files/{picture.recipe.request.sample}")
    assert body["data"] == [{"url": "/files/0", "revised_prompt": "a drawing of sample 0"}]


# --- errors


@pytest.mark.parametrize(
    ("status", "kind", "word"),
    [
        (302, OutcomeUnknownError, "invalid_request_error"),
        (400, APIStatusError, "invalid_request_error"),
        (401, AuthenticationError, "authentication_error"),
        (402, APIStatusError, "insufficient_quota"),
        (403, APIStatusError, "permission_error"),
        (404, APIStatusError, "invalid_request_error"),
        (405, APIStatusError, "invalid_request_error"),
        (408, OutcomeUnknownError, "invalid_request_error"),
        (409, OutcomeUnknownError, "invalid_request_error"),
        (413, APIStatusError, "invalid_request_error"),
        (422, APIStatusError, "invalid_request_error"),
        (429, RateLimitError, "rate_limit_error"),
        (500, OutcomeUnknownError, "server_error"),
        (501, OutcomeUnknownError, "server_error"),
        (502, OutcomeUnknownError, "upstream_error"),
        (503, RateLimitError, "service_unavailable"),
        (504, APITimeoutError, "timeout"),
        (524, OutcomeUnknownError, "server_error"),
    ],
)
def test_every_status_has_its_error_and_its_type(status, kind, word):
    error = error_from_json(status, {}, b"")
    assert type(error) is kind
    assert (error.status, error.type, error.answered) == (status, word, True)
    assert type_of(status) == word


@pytest.mark.parametrize("status", [408, 500, 501, 502, 504, 520, 524, 599])
def test_an_unknown_outcome_says_that_it_may_have_been_billed(status):
    assert "may have been billed" in error_from_json(status, {}, b"").hint


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 422, 429])
def test_a_refusal_says_that_nothing_is_billed(status):
    assert "Nothing is billed." in error_from_json(status, {}, b"").hint


FULL = {"message": "No.", "type": "t", "code": "c", "param": "size"}


@pytest.mark.parametrize(
    ("body", "message", "kind", "code", "param"),
    [
        ({"error": FULL}, "No.", "t", "c", "size"),
        (
            {"error": {"message": "No.", "code": None, "param": None}},
            "No.",
            "invalid_request_error",
            None,
            None,
        ),
        ({"error": {"message": "No.", "code": 1301}}, "No.", "invalid_request_error", "1301", None),
        (
            {"error": {"message": None}},
            "The service answered with status 400.",
            *["invalid_request_error"],
            None,
            None,
        ),
        ({"error": {}}, "The service answered with status 400.", "invalid_request_error", None, None),
        ({"error": None}, "The service answered with status 400.", "invalid_request_error", None, None),
        ({"error": "No."}, "No.", "invalid_request_error", None, None),
        (
            {"error": {"message": "No.", "type": True, "code": [1], "param": {}}},
            "No.",
            "invalid_request_error",
            None,
            None,
        ),
        ({"detail": "No."}, "No.", "invalid_request_error", None, None),
        ({"detail": FULL}, "No.", "t", "c", "size"),
        (
            {"detail": [{"loc": ["body", "n"], "msg": "too big"}, {"msg": "too red"}, "odd"]},
            "too big; too red; odd",
            "invalid_request_error",
            None,
            None,
        ),
        (FULL, "No.", "t", "c", "size"),
        ({"error": 7}, "7", "invalid_request_error", None, None),
        ([], "[]", "invalid_request_error", None, None),
        (None, "null", "invalid_request_error", None, None),
    ],
)
def test_an_error_in_every_shape_is_understood(body, message, kind, code, param):
    error = error_from_json(400, {"x-request-id": "req_7"}, json.dumps(body).encode())
    assert (error.message, error.type, error.code, error.param) == (message, kind, code, param)
    assert error.request_id == "req_7"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "The service answered with status 400."),
        (b"no healthy upstream", "no healthy upstream"),
        (b"<html><body><h1>Bad gateway</h1></body></html>", "The service answered with status 400."),
        (b"\xff\xfe\x00", "\ufffd\ufffd"),
        (b"[" * 100_000, "[" * 499 + "…"),
        (b"x" * 1_000_000, "x" * 499 + "…"),
    ],
)
def test_an_error_that_is_no_json_is_shown_as_text(text, message):
    assert error_from_json(400, {}, text).message == message


def test_a_message_carries_no_codes_for_terminals_and_stays_short():
    hostile = "\x1b]0;owned\x07\x1b[2J\u202egnp\x00\r\n<script>alert(1)</script>" + "x" * 900
    error = error_from_json(400, {"x-request-id": "\x1b[1mreq\n"}, json.dumps({"error": hostile}).encode())
    assert error.message.startswith("gnp <script>alert(1)</script>xxx")
    assert len(error.message) == 500
    assert error.request_id == "req"


def test_a_redirect_is_not_followed_and_not_quoted():
    error = error_from_json(307, {"location": "https://elsewhere.example"}, b"see there")
    assert str(error) == (
        "The base URL redirects to elsewhere.example; redirects are not followed.\n"
        "Set BELUGA_BASE_URL to the right address."
        " It may have been billed. It was not sent again automatically:"
        " look at the service's usage page, then run it again."
    )


NOON = "Sun, 22 Nov 2026 12:00:00 GMT"
AT_NOON = 1_795_348_800.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "20"}, 20.0),
        ({"retry-after": "0.2"}, 0.2),
        ({"retry-after": " 120 "}, 120.0),
        ({"retry-after": "300"}, 300.0),
        ({"retry-after": "9" * 35}, 1e35),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "-10"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e999"}, None),
        ({"retry-after": "garbage"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:09 GMT"}, 9.0),
        ({"retry-after": "Zun, 22 Nov 2026 12:00:09 GMT"}, 9.0),
        ({"retry-after": "Sun, 22 Nov 2026 11:59:00 GMT"}, 0.0),
        ({"retry-after": "Sun, 22 Nov 100000 12:00:00 GMT"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:09 GMT", "date": "Sun, 22 Nov 2026 12:00:04 GMT"}, 5.0),
        ({"retry-after": "Sun, 22 Nov 2026 13:00:05 GMT", "date": "Sun, 22 Nov 2026 13:00:00 GMT"}, 5.0),
        ({"retry-after": "Sun, 22 Nov 2026 12:00:09 GMT", "date": "garbage"}, 9.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "garbage", "retry-after": "9"}, 9.0),
    ],
    ids=str,
)
def test_r07_a_wait_is_read_in_all_its_forms(headers, seconds):
    assert retry_after(headers, now=AT_NOON) == (seconds if seconds is None else pytest.approx(seconds))


@pytest.mark.parametrize(
    ("wait", "words"), [("61", "61 s"), ("300", "5 minutes"), ("9000", "2 hours"), ("9" * 35, "999 days")]
)
def test_r07_a_long_wait_is_named(wait, words):
    error = error_from_json(429, {"retry-after": wait}, b"")
    assert error.hint == f"The service says to try again in {words}. Nothing is billed."


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_service_says_when_to_come_back(status):
    assert error_from_json(status, {"retry-after": "7"}, b"").retry_after == 7.0
    assert error_from_json(status, {}, b"").retry_after is None


@pytest.mark.parametrize(
    ("error", "status", "body"),
    [
        (
            RequestError("n is 0.", "Give more.", param="n"),
            400,
            ("n is 0. Give more.", "invalid_request_error", None, "n"),
        ),
        (RequestError("n is 0.", param="n"), 400, ("n is 0.", "invalid_request_error", None, "n")),
        (
            RequestError("No model 'x'.", "Look.", param="model", code="model_not_found"),
            404,
            ("No model 'x'. Look.", "invalid_request_error", "model_not_found", "model"),
        ),
        (
            APIStatusError("No.", "Hint.", status=402, type="insufficient_quota", code="c", param="p"),
            402,
            ("No.", "insufficient_quota", "c", "p"),
        ),
        (RateLimitError("Later.", retry_after=2), 429, ("Later.", "rate_limit_error", None, None)),
        (OutcomeUnknownError("Lost.", status=502), 502, ("Lost.", "upstream_error", None, None)),
        (APITimeoutError("Slow."), 504, ("Slow.", "timeout", None, None)),
        (APIConnectionError("Gone."), 502, ("Gone.", "upstream_error", None, None)),
        (InvalidResponseError("Odd."), 502, ("Odd.", "upstream_error", None, None)),
        (EngineError("Broken."), 500, ("Broken.", "server_error", None, None)),
        (
            NotRecordedError("Nothing there"),
            500,
            ("Not recorded: Nothing there.", "server_error", None, None),
        ),
        (BelugaError("Anything."), 500, ("Anything.", "server_error", None, None)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_error_is_sent_as_the_apis_error_object(error, status, body):
    message, kind, code, param = body
    assert error_to_json(error) == (
        status,
        {"error": {"message": message, "type": kind, "code": code, "param": param}},
    )


def test_an_error_survives_the_wire():
    status, body = error_to_json(APIStatusError("No.", status=403, code="c", param="model"))
    back = error_from_json(status, {}, json.dumps(body).encode())
    assert (type(back), back.message, back.status) == (APIStatusError, "No.", 403)
    assert (back.type, back.code, back.param) == ("permission_error", "c", "model")


def test_an_error_object_has_all_four_keys():
    assert error_object("No.", status=401) == {
        "error": {"message": "No.", "type": "authentication_error", "code": None, "param": None}
    }
