"""What errors say: what happened, what to do, and nothing that a server smuggles in."""

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from kernels import BADGE, COLOUR, plain
from leaks import KEY

import beluga_nb.errors
from beluga_nb.errors import (
    BILLING,
    MAY_BE_BILLED,
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    BelugaError,
    EngineError,
    ImpossibleCombinationError,
    InvalidImageError,
    InvalidResponseError,
    NotRecordedError,
    NotSentError,
    OutcomeUnknownError,
    RateLimitError,
    RequestError,
    StoreError,
    UnknownArgumentError,
    UnknownNameError,
    nearest,
)
from beluga_nb.hints import Code, Hint, Remedy, Surface
from beluga_nb.redaction import Secret
from beluga_nb.request import Request
from beluga_nb.result import IncompleteError, Result
from beluga_nb.store.codec import CorruptFileError
from beluga_nb.store.records import NotPulledError, RecordedMeanwhileError
from beluga_nb.text import sanitize


def tree():
    """The classes in the docstring by name, each with its parents there."""
    above = {}
    for depth, name, text in re.findall(r"^( *)\* (\w+)(.*)$", beluga_nb.errors.__doc__, re.MULTILINE):
        above[len(depth)] = name
        also = re.findall(r"\(also an? (\w+)\)", text)
        yield name, [above.get(len(depth) - 2, "Exception"), *also]


def test_the_tree_in_the_docstring_is_that_of_the_classes_and_all_are_public():
    listed = dict(tree())
    public = {name: getattr(beluga_nb, name) for name in beluga_nb.__all__ if name.endswith("Error")}
    assert listed == {name: [each.__name__ for each in kind.__bases__] for name, kind in public.items()}
    assert {name for name, kind in vars(beluga_nb.errors).items() if kind in KINDS} <= {*listed}


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
        ("--style", ["--sample", "--size", "--yes"], None),
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


# --- the card: the error output of a notebook, in colours


def every_error(kind=BelugaError):
    yield kind
    for each in kind.__subclasses__():
        yield from every_error(each)


KINDS = sorted({*every_error()}, key=lambda each: each.__name__)
EVIL = "<script>alert(1)</script> \x1b[7m may have been billed \x1b[0m \u202e"
HINT = Hint("Use ", Remedy("mode", "auto"), f", or {EVIL}: ", Code("git lfs pull"), ".")


def made(kind):
    """An error of a kind, whose words come from outside."""
    if kind is UnknownNameError:
        return kind("model", EVIL, ["flux-2.0"], hint=HINT)
    if kind is UnknownArgumentError:
        return kind(EVIL, ["size"], of="generate")
    if kind is ImpossibleCombinationError:
        return kind(1, 2, [EVIL])
    if kind is IncompleteError:
        request = Request(prompt="a fox", model="flux-2.0")
        return kind(Result(request, ()), [OutcomeUnknownError(EVIL, HINT)])
    if kind is NotSentError:
        return kind(RequestError(EVIL, HINT))
    if kind is CorruptFileError:
        return kind(EVIL, Path("blobs") / "ab" / EVIL.replace("/", "|"))
    if kind is RecordedMeanwhileError:
        return kind(EVIL)
    if kind is NotPulledError:
        return kind(Path(EVIL), b"")
    return kind(EVIL) if kind is NotRecordedError else kind(EVIL, HINT)


@pytest.fixture
def in_a_kernel(monkeypatch):
    """A shell of a kernel, whose colours can be turned off."""
    shell = SimpleNamespace(kernel=True, colors="neutral")
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    return shell


@pytest.mark.parametrize("surface", Surface)
@pytest.mark.parametrize("kind", KINDS)
def test_the_card_of_an_error_is_its_lines_and_a_badge(kind, surface, in_a_kernel):
    error = made(kind)
    error.surface = surface
    card = error._render_traceback_()
    lines = error.lines(beside_badge=True)
    assert [plain(line) for line in card] == lines
    assert len(card) == len(lines) <= 2
    assert BADGE.findall("".join(card)) == ([error.billing] if error.billing else [])
    # Words from outside bring no colour, and each colour ends on its own line.
    assert not set("\x07\x9b\u202e") & set("".join(card))
    assert set(COLOUR.findall("".join(card))) <= {"\x1b[1m", "\x1b[0m", "\x1b[7m", "\x1b[30;43m"}
    assert all(COLOUR.findall(line)[-1:] in ([], ["\x1b[0m"]) for line in card)
    assert "\x1b" not in str(error) + "".join(error.lines())


@pytest.mark.parametrize("kind", KINDS)
def test_a_shell_without_colours_and_a_terminal_get_the_lines_alone(kind, in_a_kernel):
    error = made(kind)
    for colours in ("NoColor", "nocolor"):
        in_a_kernel.colors = colours
        assert error._render_traceback_() == error.lines()
    del in_a_kernel.kernel
    in_a_kernel.colors = "neutral"
    assert error._render_traceback_() == error.lines()


@pytest.mark.parametrize("kind", KINDS)
def test_the_badge_follows_the_outcome(kind):
    error = made(kind)
    what_arrived_may_have_a_price = isinstance(error, IncompleteError) and error.outcome == "refused"
    assert error.billing == ("" if what_arrived_may_have_a_price else BILLING.get(error.outcome, ""))
    assert error.may_be_billed == (error.billing == "may have been billed")
    error.is_of_a_run = True
    assert error.billing == ""


@pytest.mark.parametrize(
    ("error", "second"),
    [
        (RateLimitError("Busy.", "Wait a little. Nothing is billed."), "[not billed] Wait a little."),
        (OutcomeUnknownError("Lost.", MAY_BE_BILLED), "[may have been billed]"),
        (APIConnectionError("No.", "Nothing was sent or billed. Look."), "[not billed] Look."),
        (StoreError("No.", "Nothing is billed."), "Nothing is billed."),
    ],
)
def test_a_card_says_once_whether_it_was_billed(error, second, in_a_kernel):
    text = error.lines()[1]
    badge = [f"[{error.billing}]"] if error.billing else []
    assert "billed" in text
    assert " ".join([*badge, *error.lines(beside_badge=True)[1:]]) == second
    card = COLOUR.sub("", error._render_traceback_()[1])
    assert card.split() == second.replace("[", " ").replace("]", " ").split()


def test_what_is_to_be_typed_stands_out(in_a_kernel):
    error = StoreError(
        "It is a pointer.", Hint("Fetch it: ", Code("git lfs pull"), ", or use ", Remedy("yes"))
    )
    error.surface = Surface.MAGIC
    assert error._render_traceback_()[1] == "Fetch it: \x1b[1mgit lfs pull\x1b[0m, or use \x1b[1m--yes\x1b[0m"


def test_a_card_never_holds_a_key(in_a_kernel):
    secret = Secret(KEY, "code")
    error = RequestError(f"No {KEY}.", Hint(f"Not {KEY}: ", Code(f"export KEY={KEY}"), Remedy("mode", KEY)))
    assert KEY not in "".join(error._render_traceback_())
    assert secret
