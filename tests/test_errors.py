"""What errors say: what happened, what to do, and nothing that a server smuggles in."""

import pytest

from beluga_nb.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    AuthenticationError,
    BelugaError,
    EngineError,
    ImpossibleCombinationError,
    InvalidImageError,
    InvalidResponseError,
    MetadataError,
    NotConfirmedError,
    NotRecordedError,
    NotSentError,
    OutcomeUnknownError,
    RateLimitError,
    RequestError,
    SettingsError,
    StoreError,
    UnknownNameError,
    nearest,
)
from beluga_nb.text import sanitize


@pytest.mark.parametrize(
    ("error", "parents"),
    [
        (RequestError, (BelugaError, ValueError)),
        (UnknownNameError, (RequestError,)),
        (NotConfirmedError, (RequestError,)),
        (ImpossibleCombinationError, (RequestError,)),
        (NotSentError, (BelugaError,)),
        (SettingsError, (BelugaError, ValueError)),
        (NotRecordedError, (BelugaError,)),
        (StoreError, (BelugaError,)),
        (MetadataError, (BelugaError,)),
        (EngineError, (BelugaError,)),
        (APIConnectionError, (EngineError,)),
        (APIStatusError, (EngineError,)),
        (AuthenticationError, (APIStatusError,)),
        (RateLimitError, (APIStatusError,)),
        (OutcomeUnknownError, (EngineError,)),
        (APITimeoutError, (OutcomeUnknownError,)),
        (InvalidResponseError, (EngineError,)),
        (InvalidImageError, (InvalidResponseError,)),
    ],
)
def test_the_tree_is_the_one_in_the_docstring(error, parents):
    assert error.__bases__ == parents


def test_an_error_is_two_lines():
    assert str(BelugaError("It is closed.", "Open it.")) == "It is closed.\nOpen it."


def test_an_error_without_a_hint_is_one_line():
    assert str(BelugaError("It is closed.")) == "It is closed."


def test_a_notebook_shows_two_lines_instead_of_a_traceback():
    error = RequestError("The prompt is empty.", "Describe the picture.")
    assert error._render_traceback_() == ["RequestError: The prompt is empty.", "Describe the picture."]


def test_a_notebook_shows_status_and_request_id_of_what_a_service_reported():
    error = APIStatusError("No.", "Ask again.", status=403, request_id="req_7")
    assert error._render_traceback_() == ["APIStatusError: No. (status 403, request req_7)", "Ask again."]


def test_a_notebook_shows_no_status_that_nobody_answered():
    assert APIConnectionError("No connection.")._render_traceback_() == ["APIConnectionError: No connection."]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (EngineError("x"), 500),
        (APIConnectionError("x"), 502),
        (APIStatusError("x"), 400),
        (RateLimitError("x"), 429),
        (OutcomeUnknownError("x"), 500),
        (APITimeoutError("x"), 504),
        (InvalidResponseError("x"), 502),
        (InvalidImageError("x"), 502),
    ],
)
def test_each_error_has_a_status_of_its_own_that_counts_as_not_answered(error, status):
    assert (error.status, error.answered) == (status, False)


def test_a_status_that_is_given_counts_as_answered():
    error = RateLimitError("Later.", status=503, retry_after=2.5)
    assert (error.status, error.answered, error.retry_after) == (503, True, 2.5)


def test_a_bad_image_keeps_its_bytes():
    assert InvalidImageError("Broken.", data=b"GIF89a").data == b"GIF89a"


def test_an_unknown_name_names_the_nearest_and_what_there_is():
    error = UnknownNameError("quality", "HDD", ("standard", "hd"), param="quality", code="nope")
    assert error.message == "No quality 'HDD'."
    assert error.hint == "Did you mean 'hd'? Available: standard, hd."
    assert (error.nearest, error.name, error.param, error.code) == ("hd", "HDD", "quality", "nope")


def test_an_unknown_name_like_no_other_asks_nothing():
    error = UnknownNameError("mode", "zzzzzz", ("auto", "off"))
    assert (error.nearest, error.hint) == (None, "Available: auto, off.")


def test_an_unknown_name_is_cut_and_cleaned():
    error = UnknownNameError("model", "\x1b[2J" + "x" * 500, ("flux-2.0",))
    assert error.message == "No model '" + "x" * 79 + "…'."


@pytest.mark.parametrize(
    ("name", "choices", "expected"),
    [
        ("flux2", ["flux-2.0", "flux-kontext"], "flux-2.0"),
        ("FLUX-2.0", ["flux-2.0", "flux-kontext"], "flux-2.0"),
        ("gpt-image2", ["gpt-image-2", "gpt-image-1-official"], "gpt-image-2"),
        ("hd", [], None),
        ("", ["auto"], None),
    ],
)
def test_the_nearest_name_is_the_one_that_was_meant(name, choices, expected):
    assert nearest(name, choices) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50 % off", "50 % off"),
        ("one\ntwo\r\n\tthree", "one two three"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07fox", "fox"),
        ("a\x00b\x7fc\x9bd", "abcd"),
        ("abc\u202egnp.exe\u2066\u200f", "abcgnp.exe"),
        ("half \ud83d a pair", "half a pair"),
        ("line\u2028paragraph\u2029end", "line paragraph end"),
        ("é \N{SNOWMAN} 日本", "é \N{SNOWMAN} 日本"),
    ],
)
def test_outside_text_loses_what_a_terminal_or_a_reader_would_obey(text, expected):
    assert sanitize(text) == expected


def test_outside_text_is_cut_at_500_characters():
    assert sanitize("x" * 501) == "x" * 499 + "…"
    assert sanitize("x" * 500) == "x" * 500
