"""Plain text, and the filter that no key passes, in whatever form (rule: redaction is at the output)."""

import base64
import copy
import html
import itertools
import json
import os
import pickle
import random
import subprocess
import sys
import time
import unicodedata
import urllib.parse

import pytest
from disguises import ALL, UNSEEN, WRITTEN, disguised
from hypothesis import example, given, settings
from hypothesis import strategies as st
from leaks import holds, readings, spellings
from sampling import rounds

from beluga_nb.key_check import holds_key
from beluga_nb.redaction import (
    REDACTED,
    Environment,
    RedactedStream,
    Secret,
    redact,
    redact_bytes,
    redacted_bundle,
)
from beluga_nb.text import sanitize

KEYS = {
    "BelugAPI's": "bapi_mK7-Qw2zR9_vXc4Tn8Lp3Fs6Hd1Jg5Bk",
    "another service's": "sk-proj-9fKz3Vq7WmXb2Ns8Rt4Yc6Lh1Pd5Gj",
    "with every sign": "k+3y/=~.&%<>\"'\\#?@:;,(9)[Zq]{x}|^`$*!",
    "of digits": "4f9a7c21d8e36b05f1a94e7d2c8b6035",
    "as short as can be": "q7#Zx9-w",
}


@pytest.fixture(params=KEYS)
def secret(request):
    return Secret(KEYS[request.param], "a test")


@pytest.mark.parametrize("number", range(len(KEYS)))
def test_no_key_passes_in_any_form_broken_by_anything_in_any_container(number):
    """Each disguise is worn by one of the keys."""
    secret = Secret(list(KEYS.values())[number], "a test")
    worn = ALL[number :: len(KEYS)]
    assert len(worn) > 1900
    passed = [names for names in worn if not _is_taken_out(secret.reveal(), names)]
    assert passed == []


def _is_taken_out(key, names):
    text = disguised(key, *names)
    before, after = 'It said: "', '" (wrong key).'
    redacted = redact(before + text + after)
    # Of base64 the characters at either end may stay, which belong to what stands beside the key.
    left = len(redacted) - len(before + REDACTED + after)
    return (
        REDACTED in redacted
        and redacted.startswith(before)
        and redacted.endswith(after)
        and left <= 60 + 0.6 * len(text)
        and not holds(redacted, key)
    )


def test_the_oracle_sees_a_key_that_is_not_redacted():
    key = KEYS["BelugAPI's"]
    worn = [names for names in ALL[::9] if names[0] != "cut"]
    unseen = [names for names in worn if not holds(disguised(key, *names), key)]
    assert len(unseen) < 0.35 * len(worn), len(unseen)  # it reads fewer nested escapes than the filter
    assert len(spellings(key)) == 11
    assert list(readings(b"a b")) == [b"ab"]


@pytest.mark.sampled(6)
@pytest.mark.parametrize("size", [1, 7, 64, 4096, 70_000])
def test_a_key_that_is_split_over_pieces_is_caught(secret, size):
    key = secret.reveal()
    # Seeded: `holds` looks for four letters of a short key's base64, which random data has by accident.
    filling = base64.b64encode(random.Random(size).randbytes(150_000))
    for written in ("as it is", "base64, 1 before, 2 after", "json", "hex"):
        for broken in ("whole", "U+200E", "wrapped") if written != "json" else ["whole"]:
            found = disguised(key, written, broken, "json").encode()
            data = filling[:66_000] + found + filling[:40_000] + found + filling[: 100_000 if size > 1 else 9]
            stream = RedactedStream()
            pieces = [stream.feed(data[at : at + size]) for at in range(0, len(data), size)]
            redacted = b"".join([*pieces, stream.finish()])
            assert redacted.count(REDACTED.encode()) == 2
            assert redacted == redact_bytes(data)
            assert not holds(redacted, key)


PICTURES = {
    "a PNG": "",
    "a data URL": "data:image/png;base64,",
    "a PNG of 10 KB": "",
}


@pytest.mark.parametrize("size", [65_536, 10**7])
@pytest.mark.parametrize("picture", PICTURES)
def test_a_key_around_a_picture_in_base64_is_caught_and_the_picture_stays_as_it_is(secret, picture, size):
    key, length = secret.reveal(), 10_000 if picture == "a PNG of 10 KB" else 150_000
    encoded = PICTURES[picture] + base64.b64encode(b"\x89PNG\r\n\x1a\n\0" + os.urandom(length)).decode()
    for names in itertools.product(WRITTEN, ("whole",), ("json",)):
        if names not in ALL:
            continue
        echo = disguised(key, *names)
        item = f'"b64_json": "{encoded}"'
        data = f'{{"data": [{{{item}}}, {{{item}, "by": {echo}}}], "x": {echo}}}'
        stream, whole = RedactedStream(), data.encode()
        pieces = [stream.feed(whole[at : at + size]) for at in range(0, len(whole), size)]
        for redacted in (redact_bytes(whole), b"".join([*pieces, stream.finish()])):
            assert redacted.count(REDACTED.encode()) == 2, names
            assert redacted.count(f'"{encoded}"'.encode()) == 2, names


@pytest.mark.parametrize("at", [0, 1, 100, 20_000, 75_000])
@pytest.mark.parametrize("size", [4096, 10**7])
def test_a_key_within_a_picture_in_base64_is_caught_where_it_stands_as_it_is(at, size):
    secret = Secret("0123456789abcdef0123456789abcdef0123456789abcdef", "a test")
    encoded = base64.b64encode(b"\x89PNG\r\n\x1a\n\0" + bytes(120_000))
    before = b'{"b64_json": "' + encoded[: 20 + at]
    data = before + secret.reveal().encode() + encoded[20 + at :] + b'"}'
    stream = RedactedStream()
    pieces = [stream.feed(data[start : start + size]) for start in range(0, len(data), size)]
    for redacted in (redact_bytes(data), b"".join([*pieces, stream.finish()])):
        assert redacted == before + REDACTED.encode() + encoded[20 + at :] + b'"}'


@pytest.mark.parametrize("end", [0, 1])
def test_a_key_that_stands_across_the_cut_around_a_picture_is_caught(end):
    secret = Secret("0123456789abcdefghijklmnopqrstuvwxyzABCD", "a test")
    encoded = base64.b64encode(b"\x89PNG\r\n\x1a\n\0" + bytes(60_000)).rstrip(b"=")
    # Wherever the inside of the picture begins and ends, which is taken apart.
    for at in range(20, 600, 7):
        place = len(encoded) - at if end else at
        data = b'{"b64_json": "' + encoded[:place] + secret.reveal().encode() + encoded[place:] + b'"}'
        redacted = redact_bytes(data)
        assert (redacted == data.replace(secret.reveal().encode(), REDACTED.encode())) is True, at


FAR = {
    "zero width": "\u200b" * 40,
    "much zero width": "\u200b" * 300,
    "blanks": " " * 900,
    "line ends": "\r\n" * 300,
    "accents": "é" * 300,
    "one colour": "\x1b[1m",
    "many colours": "\x1b[38;5;196m\x1b[0m" * 50,
    "8-bit colours": "\x9b1m",
    "a link": "\x1b]8;;https://lab.example/\x07",
    "a title": "\x1b]0;title\x1b\\",
    "a character set": "\x1b(B\x1b[m",
    "colours among the unseen": "\u200b\x1b[1m\u200b\u200b\x1b[0m" * 20,
}
"""What may stand between two characters of a key, however long."""
FAR_IN = {
    "text": lambda text: text,
    "json": lambda text: json.dumps(text)[1:-1],
    "json as it is": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "json in json": lambda text: json.dumps(json.dumps(text))[3:-3],
    "an address": lambda text: urllib.parse.quote(text, safe=""),
    "an address in one": lambda text: urllib.parse.quote(urllib.parse.quote(text, safe=""), safe=""),
    "html": lambda text: "".join(f"&#{ord(each)};" if each < " " else html.escape(each) for each in text),
}


KNOWN_IN = {
    **dict.fromkeys(("a link", "a title"), ("text", "json", "json as it is")),
    **dict.fromkeys(
        ("many colours", "a character set"), tuple(each for each in FAR_IN if "address" not in each)
    ),
    "8-bit colours": {"text", "json as it is", "html"},
}
"""Where a code is known, if not everywhere: its signs may be escaped, too."""


@pytest.mark.sampled(10)
@pytest.mark.parametrize(
    ("between", "around"),
    [(between, around) for between in FAR for around in FAR_IN if around in KNOWN_IN.get(between, FAR_IN)],
)
def test_however_far_its_letters_stand_apart_and_wherever_a_text_is_cut_no_key_passes(between, around):
    secret = Secret(KEYS["BelugAPI's"], "a test")
    written = FAR_IN[around](FAR[between].join(secret.reveal()))
    for padding in (0, 65_536 - 20):
        before, after = "y" * padding + " It said ", " and more " + "z" * 70_000
        text = before + written + after
        assert (redact(text) == before + REDACTED + after) is True  # no difference of megabytes is shown
        assert not holds(sanitize(text, len(text)), secret.reveal())
        data = text.encode()
        for size in (8191, len(data)):
            stream = RedactedStream()
            pieces = [stream.feed(data[at : at + size]) for at in range(0, len(data), size)]
            whole = b"".join([*pieces, stream.finish()])
            assert (whole == (before + REDACTED + after).encode()) is True


@settings(max_examples=rounds(30, 300), deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["", " ", "\n", "\u200b", "\u0301", "\x1b[0m", "\x1b[1;31m", "\x1b]0;t\x07", "\u202e"]
        ),
        min_size=40,
        max_size=40,
    ),
    st.integers(0, 300),
    st.integers(20, 80),
)
def test_whatever_is_unseen_between_its_letters_no_key_passes(between, padding, longest):
    secret = Secret(KEYS["BelugAPI's"], "a test")
    text = "".join(map("".join, zip(secret.reveal(), between, strict=False)))
    assert redact("y" * padding + text).startswith("y" * padding + REDACTED)
    assert sanitize(f"a {text} b", longest).startswith(f"a {REDACTED}")


@settings(max_examples=rounds(30, 300), deadline=None)
@given(st.text(), st.lists(st.sampled_from(sorted(KEYS.values())), max_size=3), st.text())
@example("\\", [KEYS["of digits"]], "%")
@example("%", [KEYS["of digits"]], "\\")
@example("&#", [KEYS["BelugAPI's"]], ";")
def test_whatever_stands_around_a_key_it_is_taken_out_and_the_rest_stays(before, keys, after):
    alive = [Secret(key, "a test") for key in KEYS.values()]
    text = before + " ".join(keys) + after
    redacted = redact(text)
    assert len(alive) == len(KEYS)
    assert not any(key in redacted for key in keys)
    if not keys:
        assert redacted is text


@settings(max_examples=rounds(20, 200), deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_a_text_without_a_key_stays_as_it_is(text):
    secret = Secret(KEYS["BelugAPI's"], "a test")
    assert redact(text) is text
    assert redact_bytes(text.encode()) == text.encode()
    assert not holds_key(text)
    assert secret.ending == "g5Bk"


def test_half_a_surrogate_pair_beside_a_key_stays():
    secret = Secret(KEYS["BelugAPI's"], "a test")
    assert redact(f"\ud83d {secret.reveal()} \ud83d") == f"\ud83d {REDACTED} \ud83d"


def test_a_key_that_nobody_holds_any_more_is_looked_for_no_more():
    secret, other = Secret(KEYS["BelugAPI's"], "one"), Secret(KEYS["BelugAPI's"], "two")
    text = f"it was {secret.reveal()}"
    del secret
    assert redact(text) == f"it was {REDACTED}"  # as long as the other is there
    del other
    assert redact(text) is text


def test_a_service_that_floods_with_escapes_or_keys_slows_nobody_down():
    secret = Secret(KEYS["BelugAPI's"], "a test")
    floods = (
        b"\\",
        b"%25",
        b"&amp;",
        b"\\u200e",
        b"&#0",
        b" ",
        b"\\n",
        b"=73",
        b"\xe2\x80\x8b",
        b"\xc2\x90a",
    )
    codes = (b"\x1b[1m", b"\\u001b[1m", b"%1B", b"\x1b]", b"\\u001b]", b"\x1b[1", b"\x1b")
    for flood in (*floods, *codes, secret.reveal().encode()):
        data = flood * (rounds(2**16, 2**18) // len(flood))
        began = time.thread_time()
        redact_bytes(data)
        assert time.thread_time() - began < 1, flood
        stream = RedactedStream()
        for at in range(0, len(data), 4096):
            stream.feed(data[at : at + 4096])
        stream.finish()
        assert time.thread_time() - began < 2, flood
        sanitize(data.decode("latin-1"))
        assert time.thread_time() - began < 3, flood


# --- the secret itself


def test_a_secret_never_shows_itself(secret):
    for shown in (repr(secret), str(secret), f"{secret}", repr([secret]), repr(vars(type(secret)))):
        assert secret.reveal() not in shown
    for taken in (copy.copy, copy.deepcopy, pickle.dumps, json.dumps):
        with pytest.raises(TypeError) as failed:
            taken(secret)
        assert not holds(str(failed.value), secret.reveal())
    for name in dir(secret):
        assert secret.reveal() not in repr(getattr(secret, name))


def test_the_ending_of_a_short_key_is_not_shown():
    assert Secret("q7#Zx9-w", "a test").ending == "…"


def test_an_environment_gives_each_variable_by_its_name_and_lists_none():
    environ = Environment({"BELUGA_API_KEY": KEYS["BelugAPI's"]})
    assert environ["BELUGA_API_KEY"] == environ.get("BELUGA_API_KEY") == KEYS["BelugAPI's"]
    assert environ.get("HOME", "nowhere") == "nowhere"
    assert bool(environ)
    for shown in (repr(environ), str(dict(environ)), str(list(environ.items())), str(sorted(environ))):
        assert KEYS["BelugAPI's"] not in shown
    with pytest.raises(TypeError, match="not copied or pickled"):
        pickle.dumps(environ)


# --- plain text

SEEN = {"Cf": "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"}
"""Format characters that are seen: signs that stand around Arabic, Syriac and Kaithi numbers."""


def test_of_outside_text_nothing_stays_that_nobody_sees():
    for number in range(sys.maxunicode + 1):
        sign = chr(number)
        kind = unicodedata.category(sign)
        if kind in {"Cc", "Cf", "Cs", "Zl", "Zp"} and sign not in SEEN["Cf"]:
            assert sanitize(f"a{sign}b") in {"ab", "a b"}, f"U+{number:04X}"
    for sign in UNSEEN.replace("\ufe0f", "").replace("\u0301", ""):
        assert sanitize(f"a{sign}b") in {"ab", "a b"}, f"U+{ord(sign):04X}"


@pytest.mark.parametrize(
    "text",
    ["naïve café e\u0301", "می‌خواهم", "क्‍ष", "👨‍👩‍👧 and 🏳️‍🌈", "❤️ 100 %", "日本語", "½ × ¾", "a-b_c & <d>"],
)
def test_what_is_spelt_with_joiners_stays_as_it_is(text):
    assert sanitize(text) == text


def test_a_text_is_cut_after_its_keys_are_taken_out(secret):
    for length in range(5, 60):
        cut = sanitize(f"a prompt {secret.reveal()} of two", length)
        assert len(cut) <= length
        assert secret.reveal()[:6] not in cut


def test_a_bundle_is_redacted_but_for_its_pictures(secret):
    key = secret.reveal()
    shown = {"text/plain": key, "text/html": f"<b>{key}</b>", "image/png": base64.b64encode(b"png").decode()}
    assert redacted_bundle(shown) == {
        "text/plain": REDACTED,
        "text/html": f"<b>{REDACTED}</b>",
        "image/png": "cG5n",
    }


@pytest.mark.parametrize(
    ("text", "looks"),
    [
        ("bapi_0123456789abcdef", True),
        ("my key is sk-proj-abc123def456ghi789", True),
        ("xai-0123456789abcdefghijkl", True),
        ("a\u200eb\u200e sk-abc\u200e123def456ghi789", True),
        ("a bapi_ prefix", False),
        ("sk-eleton-in-a-cupboard-with-bones", False),
        ("score_9, score_8_up, masterpiece", False),
        ("a desk-top-of-1980-with-a-computer-on-it", False),
        ("DSC_20230401_123456.jpg", False),
    ],
)
def test_what_looks_like_the_key_of_a_service(text, looks):
    assert holds_key(text) is looks


FORKED = """
import os, signal, threading
from beluga_nb import redaction
secret = redaction.Secret("bapi_0123456789abcdef", "here")
held, ended = threading.Event(), threading.Event()
def hold():
    with redaction._LIVE._lock:
        held.set()
        ended.wait()
threading.Thread(target=hold, daemon=True).start()
held.wait()
pid = os.fork()
if not pid:
    signal.alarm(20)
    os._exit(redaction.redact("bapi_0123456789abcdef") != redaction.REDACTED)
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
"""


@pytest.mark.posix
def test_a_child_that_is_forked_while_another_thread_looks_for_keys_finds_them_too():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKED], capture_output=True, text=True, check=True
    )
    assert (done.stdout.strip(), done.stderr) == ("0", "")
