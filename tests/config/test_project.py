"""What a `beluga.toml` that came with a notebook may say: it tightens, and never loosens.

The generator puts every setting of a file beside every place where a person says something, and compares what
holds with the file to what holds without it. What is looser is written out here, not taken from the code.
"""

import json
import os
from dataclasses import replace
from decimal import Decimal
from functools import partial
from itertools import product
from pathlib import Path

import pytest
from conftest import KEY, Counting, service

from beluga_nb.api.endpoint import endpoint_of, key_of
from beluga_nb.config.project import LARGEST_FILE, RULES, is_untrusted_file
from beluga_nb.config.settings import Settings, load, names
from beluga_nb.errors import BelugaError, OverBudgetError, SettingsError
from beluga_nb.request import Request
from beluga_nb.session.session import Session

DEAR = {"date": "D", "flux-2.0": 1}
SAID = {
    "base_url": [
        "https://evil.example/v1",
        "http://127.0.0.1:9/v1",
        "http://localhost:9/v1",
        "http://[::1]:9",
        "https://api.belugapi.com.evil.example/v1",
        "https://api.belugapi.com:8443/v1",
    ],
    "mode": ["replay", "auto", "refresh", "off"],
    "store": [
        "pictures",
        "deep/er/pictures",
        "..",
        "../..",
        "a/../..",
        "a/../../b",
        ".",
        "./",
        "",
        "/",
        "/tmp",
        "//host/share",
        "~",
        "~/pictures",
        "~root/pictures",
        "C:\\pictures",
        "C:pictures",
        "c:/pictures",
        "\\\\host\\share\\x",
        "\\\\?\\C:\\x",
        "..\\..",
        "\\pictures",
        "a\0b",
        "a\nb",
        "pictures:stream",
        "s3://bucket/x",
        "file:///tmp/x",
        "link",
        "link/x",
        "uplink",
    ],
    "model": ["flux-2.0", "seedream-4.5"],
    "embed": ["preview", "original", "link", "none"],
    "response_format": ["b64_json", "url"],
    "bridge": ["thread", "nested"],
    "timeout": [1, 10_000],
    "connect_timeout": [1, 1000],
    "max_in_flight": [1, 2, 64],
    "budget": ["session", "store"],
    "max_images": [0, 1, 5, 10**9, "5", 10**12],
    "max_cost": [0, 0.5, 5.0, 10.0**9, "5", "1e9"],
    "prices": [
        {"date": "D", "flux-2.0": price}
        for price in (0, 0.0, "0", "0.0000001", 1e-30, 0.5, 5, {"hd": 0}, {"hd": 0, "standard": 9})
    ]
    + [{"date": "D"}, {"date": "D", "currency": "IDR", "flux-2.0": 0.01}],
    "faults": [True, False],
    "progress": [True, False],
    "aliases": [{"mine": {"model": "gpt-image-2", "n": 10}}, {"other": {"model": "flux-2.0"}}],
    "endpoints": [
        {name: {"base_url": url, "dialect": dialect, "model": "m"}}
        for name in ("mine", "other", "MINE")
        for url in ("https://evil.example/v1", "http://127.0.0.1:9/v1", "https://api.openai.com/v1", "")
        for dialect in ("generic", "openai", "beluga")
    ],
}
"""What a file says of each setting."""

PERSONS = {
    "base_url": ["https://mine.example/v1"],
    "mode": ["replay", "auto", "refresh", "off"],
    "store": ["my-store"],
    "model": ["z-image-turbo"],
    "embed": ["none"],
    "response_format": ["url"],
    "bridge": ["thread"],
    "timeout": [20],
    "connect_timeout": [20],
    "max_in_flight": [1, 32],
    "budget": ["session", "store"],
    "max_images": [0, 3, 100],
    "max_cost": [0, 3, 100],
    "prices": [{"date": "D", "flux-2.0": 1}],
    "faults": [False],
    "progress": [False],
    "aliases": [{"mine": {"model": "flux-2.0", "n": 1}}],
    "endpoints": [{"mine": {"base_url": "https://mine.example/v1", "dialect": "generic", "model": "m"}}],
}
"""What a person says of each."""

PLACES = ["nowhere", "CI", "the profile", "the environment", "the notebook", "the call", "the session"]
IN_THE_ENVIRONMENT = {
    *("base_url", "mode", "store", "model", "embed", "budget", "max_images", "max_cost", "faults", "progress")
}
BUDGETS = ["store", "session"]  # from the one that counts most
MODES = ["replay", "auto", "refresh", "off"]  # from the one that buys least
TRUSTED = "beluga.toml, which you trust"
KEYS = dict.fromkeys(
    (
        "BELUGA_API_KEY",
        "BELUGA_MINE_API_KEY",
        "BELUGA_OTHER_API_KEY",
        "OPENAI_API_KEY",
        "XAI_API_KEY",
        "OPENROUTER_API_KEY",
    ),
    KEY,
)


def toml(given):
    """A file that says this; tables come last."""
    flat = {name: value for name, value in given.items() if not isinstance(value, dict)}
    nested = {name: value for name, value in given.items() if isinstance(value, dict)}
    lines = [f"{name} = {inline(value)}" for name, value in {**flat, **nested}.items()]
    return "\n".join(lines) + "\n"


def inline(value):
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(name)} = {inline(each)}" for name, each in value.items()) + " }"
    return "2026-11-01" if value == "D" else json.dumps(value)


def dated(value):
    from datetime import date

    return {**value, "date": date(2026, 11, 1)} if isinstance(value, dict) and "date" in value else value


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A downloaded folder, with links that lead out of it."""
    made = tmp_path_factory.mktemp("around") / "downloaded"
    (made / ".git").mkdir(parents=True)
    (made / "link").symlink_to(made.parent)
    (made / "uplink").symlink_to("..")
    return made


def read_once(environ, folder, profile, known={}):  # noqa: B006
    """What is read of the file that is there, once for all places in which a person says something later."""
    path = folder / "beluga.toml"
    text = path.read_text("utf-8") if path.exists() else None
    if known.get("file") != (folder, text):
        known.clear()
        known["file"] = folder, text
    case = repr((environ, profile))
    if case not in known:
        known[case] = load(environ, folder, profile)
    return known[case]


def settings(folder, place, given):
    """What holds where a person says something in a place."""
    given = {name: dated(value) for name, value in given.items()}
    environ, profile = dict(KEYS), {}
    if place == "CI":
        environ["CI"] = "true"
    if place == "the profile":
        profile = given
    if place == "the environment":
        environ |= {f"BELUGA_{name.upper()}": str(int(x) if x is False else x) for name, x in given.items()}
    found = read_once(environ, folder, profile)
    return found.with_(**given) if place in {"the notebook", "the call", "the session"} else found


def without_file(folder, place, given, known={}):  # noqa: B006  each is worked out once
    """What holds there without a file."""
    case = repr((folder, place, given))
    if case not in known:
        (folder / "beluga.toml").unlink(missing_ok=True)
        known[case] = settings(folder, place, given)
    return known[case]


def loosened(now, before, folder, said_store):
    """The settings that are looser than without the file."""
    wide = Decimal("Infinity")
    if now.base_url != before.base_url:
        yield "base_url"
    if MODES.index(now.mode) > MODES.index(before.mode):
        yield "mode"
    if BUDGETS.index(now.budget) > BUDGETS.index(before.budget):
        yield "budget"
    root = Path(os.path.realpath(folder))
    if not said_store and root not in Path(os.path.realpath(now.store)).parents:
        yield "store"
    for name in ("max_in_flight", "max_images", "max_cost"):
        most, least = getattr(now, name), getattr(before, name)
        if (wide if most is None else most) > (wide if least is None else least):
            yield name
    if before.max_cost is not None:
        for quality in (None, "hd", "standard"):
            request = Request(prompt="a fox", model="flux-2.0", quality=quality)
            cost, was = now.caps.worst(request), before.caps.worst(request)
            if cost is not None and (was is None or cost < was):
                yield "prices"
    if any(now.aliases.get(name) != alias for name, alias in before.aliases.items()):
        yield "aliases"
    for name, named in now.endpoints.items():
        if named != before.endpoints.get(name) and (named.known or key_of(named, KEYS)):
            yield "endpoints"


PAIRS = [
    (name, value, place, other, own)
    for name, all_said in SAID.items()
    for value in all_said
    for place in PLACES
    for other in ([""] if place in {"nowhere", "CI"} else PERSONS)
    for own in (PERSONS[other] if other else [None])
    if place != "the environment" or other in IN_THE_ENVIRONMENT
]


def test_the_generator_knows_every_setting_and_every_rule():
    assert set(SAID) == set(PERSONS) == set(RULES) == set(names())


@pytest.mark.sampled(6)
@pytest.mark.posix
@pytest.mark.parametrize("name", SAID)
def test_no_file_loosens_what_any_place_says_or_what_goes_without_saying(folder, name):
    seen = 0
    for _, value, place, other, own in (each for each in PAIRS if each[0] == name):
        persons = {other: own} if other else {}
        before = without_file(folder, place, persons)
        (folder / "beluga.toml").write_text(toml({name: value}), "utf-8")
        now = settings(folder, place, persons)
        found = list(loosened(now, before, folder, other == "store"))
        assert found == [], (value, place, persons)
        seen += 1
    assert seen >= 100


@pytest.mark.posix
def test_no_file_of_two_settings_loosens_either(folder):
    """Such as a cap together with a price that voids it."""
    seen = 0
    money = ("mode", "max_images", "max_cost", "prices")
    for one, two in product(money, money):
        for value, also, place in product(SAID[one], SAID[two], PLACES[:-1]):
            for cap in (0, 3) if place not in {"nowhere", "CI"} else (None,):
                persons = {} if cap is None else {"max_cost": cap}
                before = without_file(folder, place, persons)
                (folder / "beluga.toml").write_text(toml({one: value} | {two: also}), "utf-8")
                now = settings(folder, place, persons)
                assert list(loosened(now, before, folder, False)) == [], (value, also, place, persons)
                seen += 1
    assert seen > 5000


@pytest.mark.posix
@pytest.mark.parametrize("name", SAID)
def test_what_is_not_taken_is_reported_in_one_line_with_its_reason_and_nothing_else_is(folder, name):
    for value in SAID[name]:
        (folder / "beluga.toml").write_text(toml({name: value}), "utf-8")
        now = load({}, folder)
        lines = [str(each) for each in now.ignored]
        used = now.places.get(name) == "beluga.toml"
        assert used == (lines == []), (value, lines)
        for line in lines:
            assert line.startswith(f"beluga.toml: {name} (" if value else f"beluga.toml: {name} is")
            assert " is not used: " in line
            assert line.isprintable()
            assert str(folder) not in line


@pytest.mark.posix
@pytest.mark.parametrize("name", SAID)
def test_a_file_whose_folder_the_person_names_counts_as_the_persons_own_word(folder, name):
    for value in SAID[name]:
        if name == "store" and ("\0" in value or "\n" in value or "://" in value):
            continue
        (folder / "beluga.toml").write_text(toml({name: value}), "utf-8")
        for trust in (str(folder), f"/elsewhere{os.pathsep}{folder}/", f"{folder}/../downloaded"):
            now = load({"BELUGA_TRUST": trust}, folder)
            assert now.ignored == ()
            assert now.places[name] == TRUSTED
            assert all(each.known for each in now.endpoints.values())


@pytest.mark.posix
@pytest.mark.parametrize("trust", ["parent", "/", "child", "sibling"])
def test_trust_in_another_folder_is_none(folder, trust):
    places = {"parent": folder.parent, "/": "/", "child": folder / "child", "sibling": f"{folder}2"}
    (folder / "beluga.toml").write_text('base_url = "https://evil.example/v1"')
    now = load({"BELUGA_TRUST": str(places[trust])}, folder)
    assert (now.base_url, len(now.ignored)) == (Settings().base_url, 1)


@pytest.mark.posix
@pytest.mark.parametrize("trust", [".", "..", "*", "1", "true", "downloaded", "./downloaded", "a\0b"])
def test_trust_that_would_hold_wherever_one_stands_is_refused(folder, trust, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "beluga.toml").write_text('base_url = "https://evil.example/v1"')
    with pytest.raises(
        SettingsError, match=r"BELUGA_TRUST names '.*', which is not an absolute path"
    ) as failed:
        load({"BELUGA_TRUST": trust}, folder)
    assert failed.value.hint


# --- a file in another's folder


@pytest.fixture(scope="module")
def nested(tmp_path_factory):
    """A lesson in a folder of a project."""
    lesson = tmp_path_factory.mktemp("nested") / "lesson"
    lesson.mkdir()
    (lesson.parent / ".git").mkdir()
    return lesson


def above(lesson, name, given, trusted):
    """Return the environment of a person, with a file above the lesson that says this."""
    (lesson / "beluga.toml").unlink(missing_ok=True)
    (lesson.parent / "beluga.toml").write_text(toml({name: given} if name else {}), "utf-8")
    return {**KEYS, **({"BELUGA_TRUST": str(lesson.parent)} if trusted else {})}


def usable(name):
    """What a file says of a setting that even a trusted one may say."""
    odd = ("\0", "\n", "://")
    return [value for value in SAID[name] if name != "store" or not any(each in value for each in odd)]


@pytest.mark.sampled(8)
@pytest.mark.posix
@pytest.mark.parametrize("trusted", [True, False], ids=["trusted", "untrusted"])
@pytest.mark.parametrize("name", ["", *SAID])
def test_a_file_in_a_subfolder_loosens_nothing_of_the_file_above_it(nested, name, trusted):
    for parent in usable(name) if name else [None]:
        environ = above(nested, name, parent, trusted)
        before = load(environ, nested)
        for other in SAID:
            for value in SAID[other] if other in {name, "max_cost", "prices"} else SAID[other][:1]:
                (nested / "beluga.toml").write_text(toml({other: value}), "utf-8")
                now = load(environ, nested)
                assert list(loosened(now, before, nested.parent, name == "store")) == [], (
                    parent,
                    other,
                    value,
                )
        for text in ("", "# a note"):
            (nested / "beluga.toml").write_text(text)
            assert load(environ, nested) == before, "an empty file changes nothing"


@pytest.mark.posix
@pytest.mark.parametrize("name", SAID)
def test_a_trusted_file_in_a_subfolder_outranks_the_one_above_it(nested, name):
    for value, trusted in product(usable(name), [True, False]):
        environ = above(nested, name, usable(name)[0], trusted)
        environ["BELUGA_TRUST"] = os.pathsep.join([environ.get("BELUGA_TRUST", ""), str(nested)])
        (nested / "beluga.toml").write_text(toml({name: value}), "utf-8")
        now = load(environ, nested)
        (nested.parent / "beluga.toml").unlink()
        alone = load(environ, nested)
        if name in {"aliases", "endpoints"}:  # what it does not name itself stays
            assert getattr(now, name) | getattr(alone, name) == getattr(now, name)
            now = replace(now, **{name: getattr(alone, name)})
        assert now == alone, (value, trusted)
        assert (now.places[name], now.ignored) == (TRUSTED, ())


@pytest.mark.posix
@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize("place", ["above", "beside"])
def test_a_store_is_relative_to_the_file_that_says_it(nested, trusted, place):
    environ = above(nested, "store" if place == "above" else "", "pictures", trusted)
    (nested / "beluga.toml").write_text('store = "pictures"\n' if place == "beside" else "")
    assert load(environ, nested).store == {"above": nested.parent, "beside": nested}[place] / "pictures"


@pytest.mark.posix
def test_a_store_in_which_all_count_what_they_spend_is_not_replaced_by_an_inner_file(nested):
    environ = above(nested, "", None, trusted=True)
    (nested.parent / "beluga.toml").write_text('budget = "store"\nstore = "ours"\nmax_images = 3\n')
    (nested / "beluga.toml").write_text('store = "anew"\n')
    now = load(environ, nested)
    assert (now.store, len(now.ignored)) == (nested.parent / "ours", 1)


@pytest.mark.posix
@pytest.mark.parametrize("git", ["", "lesson/.git", "lesson/deep/.git"])
def test_no_repository_in_a_trusted_folder_hides_its_file(tmp_path, git):
    deep = tmp_path / "lesson" / "deep"
    deep.mkdir(parents=True)
    if git:
        (tmp_path / git).mkdir()
    (tmp_path / "beluga.toml").write_text("max_images = 2\n")
    (deep / "beluga.toml").write_text("max_images = 9\nmax_in_flight = 1\n")
    now = load({"BELUGA_TRUST": str(tmp_path)}, deep)
    assert (now.max_images, now.max_in_flight) == (2, 1)
    assert load({}, deep).max_images == 9, "a file beyond the repository is a stranger's"


def test_each_file_has_its_remark_also_on_a_setting_of_both(nested):
    environ = above(nested, "", None, trusted=False)
    (nested.parent / "beluga.toml").write_text('mode = "off"\nmax_in_flight = 32\n')
    (nested / "beluga.toml").write_text("max_in_flight = 64\n")
    remarks = [each.message for each in load(environ, nested).ignored]
    assert remarks == [
        "../beluga.toml: mode (off) is not used: it is less strict than auto, the default.",
        "../beluga.toml: max_in_flight (32) is not used: it is less strict than 4, the default.",
        "beluga.toml: max_in_flight (64) is not used: it is less strict than 4, the default.",
    ]


# --- several files


FILES = ["../../beluga.toml", "../beluga.toml", "beluga.toml"]
SEVERAL = [trust for depth in (2, 3) for trust in product([True, False], repeat=depth)]
"""For two and three files, from the outermost on, whether each is trusted."""


def trust_id(trust):
    return "-".join("trusted" if each else "stranger" for each in trust)


def several(top, trust, texts):
    """Write files, the last into the folder of the notebook; return it and the environment of the person."""
    folders = [top, top / "a", top / "a" / "b"][: len(trust)]
    folders[-1].mkdir(parents=True, exist_ok=True)
    (top / ".git").mkdir(exist_ok=True)
    for folder, text in zip(folders, texts, strict=True):
        (folder / "beluga.toml").write_text(text, "utf-8")
    named = [str(folder) for folder, trusted in zip(folders, trust, strict=True) if trusted]
    return folders[-1], {**KEYS, "BELUGA_TRUST": os.pathsep.join(named)}


def remarkable(name, level, baseline):
    """What a stranger says of a setting in vain, and what is taken."""
    return {
        "base_url": (f"https://x{level}.example/v1", baseline),
        "store": ("../elsewhere", "below"),
        "max_in_flight": (64 + level, 1),
    }[name]


@pytest.mark.posix
@pytest.mark.parametrize("trust", SEVERAL, ids=trust_id)
def test_a_remark_goes_with_the_persons_own_word_or_a_file_that_they_trust_alone(tmp_path, trust):
    seen = 0
    for name in ("base_url", "store", "max_in_flight"):
        for says in product(["in vain", "taken", ""], repeat=len(trust)):
            baseline, texts, files, claimed = Settings().base_url, [], [], ""
            for level, (trusted, what) in enumerate(zip(trust, says, strict=True)):
                vain, taken = remarkable(name, level, baseline)
                texts.append(toml({name: vain if what == "in vain" else taken} if what else {}))
                if what and trusted:
                    files, claimed = [], ""
                    baseline = vain if what == "in vain" else baseline
                elif what == "in vain":
                    files = [*files, FILES[level - len(trust)]]
                    claimed = f"x{level}.example" if name == "base_url" else ""
            folder, environ = several(tmp_path, trust, texts)
            now = load(environ, folder)
            assert [each.file for each in now.ignored] == files, (name, says)
            assert {each.name for each in now.ignored} <= {name}
            assert now.claimed == claimed, (name, says)
            person = remarkable(name, 9, "")[0]
            own = now.with_(**{name: person})
            assert (own.ignored, own.claimed) == ((), "")
            seen += 1
    assert seen == 3 ** (len(trust) + 1)


@pytest.mark.posix
@pytest.mark.parametrize("trust", SEVERAL, ids=trust_id)
@pytest.mark.parametrize("name", ["base_url", "store", "max_images", "mode", "model"])
def test_each_file_is_named_by_its_path_from_the_notebook(tmp_path, trust, name):
    """In who said what, and in who is loosened by whom."""
    values = {
        "base_url": [f"https://x{level}.example/v1" for level in range(3)],
        "store": ["one", "two", "three"],
        "max_images": [5, 9, 12],
        "mode": ["replay", "auto", "off"],
        "model": ["flux-2.0", "seedream-4.5", "gpt-image-2"],
    }[name]
    shown = FILES[-len(trust) :]
    shown = [f"{each}, which you trust" if ours else each for each, ours in zip(shown, trust, strict=True)]
    folder, environ = several(tmp_path, trust, [toml({name: value}) for value in values[: len(trust)]])
    now = load(environ, folder)
    refused = {each.file for each in now.ignored}
    users = [each for each in shown if each not in refused]
    assert now.places.get(name) == (users[-1] if users else None)
    assert is_untrusted_file(now.places.get(name)) == bool(users and "trust" not in users[-1])
    listed = {each.name: each.place for each in Session(environ=environ, folder=folder).preferences.listed()}
    assert listed[name] == (users[-1] if users else "default")
    for each in now.ignored:
        assert each.message.startswith(f"{each.file}: {name} (")
        if "set by" in each.message:
            above_it = [user for user in users if shown.index(user) < shown.index(each.file)]
            assert each.message.endswith(f", set by {above_it[-1]}.")


@pytest.mark.posix
@pytest.mark.parametrize("trust", SEVERAL, ids=trust_id)
def test_a_price_that_is_dropped_is_the_files_that_says_it(tmp_path, trust):
    for level in range(len(trust)):
        texts = ["", "", ""][: len(trust)]
        texts[level] = toml({"prices": DEAR})
        folder, environ = several(tmp_path, trust, texts)
        now = load(environ | {"BELUGA_MAX_COST": "3"}, folder)
        for again in (now, now.with_(max_cost=2)):
            messages = [each.file for each in again.ignored]
            assert messages == ([] if trust[level] else [FILES[level - len(trust)]])


@pytest.mark.posix
@pytest.mark.parametrize("trust", SEVERAL, ids=trust_id)
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model = ", " cannot be read: "),
        ("a = " + "[" * 100 + "]" * 100, " cannot be read: it has more than 16 names"),
        ("api_key = 1", " holds a key ('api_key')."),
    ],
    ids=["bad", "deep", "key"],
)
def test_a_file_that_cannot_be_used_is_named_by_its_path_from_the_notebook(tmp_path, trust, text, words):
    for level in range(len(trust)):
        texts = ["", "", ""][: len(trust)]
        texts[level] = text
        folder, environ = several(tmp_path, trust, texts)
        with pytest.raises(SettingsError) as failed:
            load(environ, folder)
        assert failed.value.message.startswith(FILES[level - len(trust)] + words)


@pytest.mark.parametrize(
    ("place", "untrusted"),
    [
        *((file, True) for file in FILES),
        *((f"{file}, which you trust", False) for file in FILES),
        *((place, False) for place in (None, "", "default", "the environment", "IPython's profile")),
    ],
)
def test_a_place_is_a_strangers_file_or_not(place, untrusted):
    assert is_untrusted_file(place) is untrusted


@pytest.mark.posix
@pytest.mark.parametrize("trust", SEVERAL, ids=trust_id)
@pytest.mark.parametrize("name", ["aliases", "endpoints"])
def test_names_of_all_files_hold_and_a_trusted_one_decides_what_its_own_mean(tmp_path, trust, name):
    tables = [{key: {"model": f"m{level}"} for key in ("both", f"own{level}")} for level in range(len(trust))]
    texts = [toml({name: table}) for table in tables]
    folder, environ = several(tmp_path, trust, texts)
    profile = {name: {"both": {"model": "mine"}, "mine": {"model": "mine"}}}
    for value in ({}, profile):
        now = load(environ, folder, value)
        found = getattr(now, name)
        owns = [f"own{level}" for level in range(len(trust))]
        assert set(found) == {"both", *owns, *value.get(name, {})}
        trusted = [level for level, ours in enumerate(trust) if ours]
        winner = f"m{trusted[-1]}" if trusted else "mine" if value else "m0"
        both = found["both"]
        assert (both["model"] if name == "aliases" else both.model) == winner
        if name == "endpoints":
            assert [found[own].known for own in owns] == list(trust)
            assert both.known == bool(trusted or value)


@pytest.mark.posix
@pytest.mark.parametrize("trust", SEVERAL, ids=trust_id)
def test_a_table_of_prices_holds_as_a_whole(tmp_path, trust):
    """No stranger adds a price to those of a person, who may have left it out on purpose."""
    texts = [toml({"prices": {"date": "D", f"model-{level}": level}}) for level in range(len(trust))]
    folder, environ = several(tmp_path, trust, texts)
    trusted = [level for level, ours in enumerate(trust) if ours]
    alone = toml({"prices": {"date": "D", f"model-{(trusted or [0])[-1]}": (trusted or [0])[-1]}})
    now = load(environ, folder).prices
    several(tmp_path, trust, ["", "", alone][-len(trust) :])
    assert now == load(environ, folder).prices


@pytest.mark.posix
@pytest.mark.parametrize("reached", ["straight", "through a link"])
@pytest.mark.parametrize("budget", ["store", "session"])
@pytest.mark.parametrize("trusted", [True, False])
@pytest.mark.parametrize(
    ("outer", "inner"),
    [
        ("a/pictures", "pictures"),
        ("a/pictures", "./pictures"),
        ("a/pictures", "deep/../pictures"),
        ("a/pictures", "link"),
        ("pictures", "../pictures"),
        ("pictures", "../a/../pictures"),
    ],
)
def test_a_store_that_is_named_already_may_be_named_again(tmp_path, reached, budget, trusted, outer, inner):
    top = tmp_path / "real"
    top.mkdir()
    if reached == "through a link":
        (tmp_path / "linked").symlink_to("real")
        top = tmp_path / "linked"
    outer_text = f'budget = "{budget}"\nstore = "{outer}"\n'
    folder, environ = several(top, [trusted, False], [outer_text, f'store = "{inner}"\n'])
    (folder / "link").symlink_to("pictures")
    now = load(environ, folder)
    assert (now.store, now.ignored) == (top / outer, ())
    if budget == "store":
        (folder / "beluga.toml").write_text('store = "others"\n')
        assert (load(environ, folder).store, len(load(environ, folder).ignored)) == (top / outer, 1)


@pytest.mark.posix
@pytest.mark.parametrize("store", ["pictures", "./pictures", "/pictures"])
def test_a_store_of_the_profile_may_be_named_again(tmp_path, store):
    (tmp_path / "beluga.toml").write_text('store = "pictures"\n')
    own = f"{tmp_path}{store}" if store.startswith("/") else store
    now = load({}, tmp_path, {"store": own, "budget": "store"})
    assert (now.store, now.ignored) == (tmp_path / "pictures", ())
    (tmp_path / "beluga.toml").write_text('store = "others"\n')
    now = load({}, tmp_path, {"store": own, "budget": "store"})
    assert (now.store, len(now.ignored)) == (tmp_path / "pictures", 1)


# --- what a session does


class Wire:
    """A service on a port that counts what it is sent."""

    def __init__(self, url, engine):
        self.url, self.engine = url, engine


@pytest.fixture
def wire():
    engine = Counting()
    with service(engine) as url:
        yield Wire(url, engine)


def test_the_real_key_never_reaches_an_address_that_a_file_names(tmp_path, wire, messages):
    (tmp_path / "beluga.toml").write_text(f'base_url = "{wire.url}"\n')
    session = Session(environ={"BELUGA_API_KEY": KEY}, folder=tmp_path, notify=messages.append)
    for ask in (session.generate, session.plan, session.grid("a {{x}}", x=["fox"]).run):
        with pytest.raises(BelugaError):
            ask("a fox") if ask.__name__ != "run" else ask()
    assert wire.engine.requests == []
    trusting = Session(
        environ={"BELUGA_API_KEY": KEY, "BELUGA_TRUST": str(tmp_path)},
        folder=tmp_path,
        notify=messages.append,
    )
    trusting.generate("a fox", model="flux-2.0")
    assert len(wire.engine.requests) == 1


def test_what_was_recorded_at_a_files_address_replays_for_who_does_not_trust_it(tmp_path, wire, messages):
    (tmp_path / "beluga.toml").write_text(f'base_url = "{wire.url}"\n')
    trusting = {"BELUGA_API_KEY": KEY, "BELUGA_TRUST": str(tmp_path)}
    first = Session(environ=trusting, folder=tmp_path, notify=messages.append).generate(
        "a fox", model="flux-2.0"
    )
    for environ, mode in product(({}, {"BELUGA_API_KEY": KEY}), ("auto", "replay")):
        reader = Session(environ=environ, folder=tmp_path, notify=messages.append)
        assert reader.generate("a fox", model="flux-2.0", mode=mode) == first
    assert messages == [], "a replay says nothing that the notebook did not say before"


def test_a_session_says_once_what_a_file_says_in_vain_and_the_status_always(tmp_path, messages):
    (tmp_path / "beluga.toml").write_text('max_in_flight = 64\nmode = "refresh"\nmodel = "flux-2.0"\n')
    session = Session(environ={}, folder=tmp_path, notify=messages.append)
    session.generate("a fox")
    session.generate("a boat")
    remedy = "If you trust that file, set BELUGA_TRUST to its folder."
    assert messages == [
        f"beluga.toml: max_in_flight (64) is not used: it is less strict than 4, the default. {remedy}",
        f"beluga.toml: mode (refresh) is not used: it is less strict than auto, the default. {remedy}",
    ]
    assert session.status()["not used"] == " ".join(messages)


PRICE = 'max_cost = 9\n[prices]\ndate = 2026-11-01\n"flux-2.0" = {}\n'


@pytest.mark.parametrize("price", ["0", "0.0", "0.0000001", "{ standard = 0, hd = 0 }"])
@pytest.mark.parametrize("place", ["environment", "session", "notebook", "run"])
def test_no_price_of_a_file_voids_a_persons_cap(tmp_path, wire, messages, price, place):
    (tmp_path / "beluga.toml").write_text(PRICE.format(price))
    environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": wire.url}
    environ |= {"BELUGA_MAX_COST": "0.05"} if place == "environment" else {}
    own = {"max_cost": 0.05} if place == "session" else {}
    session = Session(environ=environ, folder=tmp_path, notify=messages.append, **own)
    if place == "notebook":
        session.preferences.set(max_cost=0.05)
    grid = session.grid("a {{x}}", x=["fox", "hen"], model="flux-2.0")
    ask = partial(grid.run, max_cost=0.05) if place == "run" else grid.run
    with pytest.raises(OverBudgetError) as failed:
        ask()
    assert "BELUGA_TRUST" in failed.value.hint
    assert wire.engine.requests == []


@pytest.mark.posix
def test_a_store_that_leads_out_of_the_folder_buys_nothing_and_touches_nothing(tmp_path, wire, messages):
    project = tmp_path / "a" / "b"
    project.mkdir(parents=True)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp" / "thesis").write_text("three years of work")
    os.utime(tmp_path / "tmp" / "thesis", (0, 0))
    tmp_path.chmod(0o777)
    (project / "beluga.toml").write_text('store = "../.."\n')
    session = Session(environ={}, folder=project, notify=messages.append)
    assert session.generate("a fox", size="1:1").recipe.procedural
    assert (project / "beluga_store" / "records").is_dir()
    with_key = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": wire.url}
    with pytest.raises(SettingsError) as failed:
        Session(environ=with_key, folder=project, notify=messages.append).generate("a fox", model="flux-2.0")
    assert str(failed.value) == (
        "beluga.toml: store (../..) is not used: it does not lie below the folder of the file."
        " Nothing was sent.\nIf you trust that file, set BELUGA_TRUST to its folder."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "tmp"]
    assert (tmp_path / "tmp" / "thesis").read_text() == "three years of work"
    assert tmp_path.stat().st_mode & 0o777 == 0o777
    assert wire.engine.requests == []


@pytest.mark.posix
@pytest.mark.parametrize("name", ["base_url", "store"])
def test_no_file_of_a_stranger_lets_buy_what_the_one_above_it_keeps_from_being_bought(
    tmp_path, wire, messages, name
):
    vain = {"base_url": "https://x.example/v1", "store": "../elsewhere"}[name]
    taken = {"base_url": wire.url, "store": "below"}[name]
    folder, _ = several(tmp_path, [False, False], [toml({name: vain}), toml({name: taken})])
    trust = {"BELUGA_API_KEY": KEY}
    profile = {"base_url": wire.url}
    session = Session(environ=trust, folder=folder, notify=messages.append)
    session.preferences.profile = profile
    with pytest.raises(SettingsError, match=rf"^\.\./beluga\.toml: {name} .* Nothing was sent\."):
        session.generate("a fox", model="flux-2.0")
    assert wire.engine.requests == []
    (tmp_path / "beluga.toml").unlink()
    session.generate("a fox", model="flux-2.0")
    assert len(wire.engine.requests) == 1


# --- the file itself

NAMES = [*RULES, "aliases.a", "endpoints.lab", "endpoints.lab.models", "prices.a"]


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 100_000,
        "a = " + "{ b = " * 20_000,
        "[" + ".".join(["a"] * 50_000) + "]",
        *(f"{name}{'.a' * 200_000} = 1" for name in NAMES),
        *(name + """ . "a" .'a'""" * 20 + " = 1" for name in NAMES),
        *(f"{name} = " + "{ a = " * 20 + "1" + " }" * 20 for name in NAMES),
        *(f"{name} = " + "[" * 20 + "]" * 20 for name in NAMES),
        "# " + "x" * LARGEST_FILE,
        "max_images = 1" + "0" * 5000,
        'max_cost = "1e999999999"',
        'max_images = "1e999999999"',
        "timeout = inf",
        "timeout = nan",
        "timeout = 1" + "0" * 400,
        "store = 7",
    ],
    ids=lambda text: text[:24],
)
def test_a_file_that_is_no_settings_is_two_lines(tmp_path, text):
    (tmp_path / "beluga.toml").write_text(text)
    with pytest.raises(BelugaError) as failed:
        load({}, tmp_path)
    assert failed.value.hint
    assert len(str(failed.value)) < 1000


@pytest.mark.posix
@pytest.mark.parametrize("store", ["https://x.example/y", "hf://datasets/x", "gcs://b", "az:\\\\b"])
@pytest.mark.parametrize("place", ["the environment", "the call", "the profile", "a path"])
def test_a_store_is_a_folder_and_no_address_of_something_else(tmp_path, store, place):
    found = partial(Settings, store=Path(store))
    with pytest.raises(SettingsError) as failed:
        found() if place == "a path" else settings(tmp_path, place, {"store": store})
    assert "is an address that beluga_nb cannot use" in failed.value.message
    assert failed.value.hint.startswith("Give the path of a folder")


@pytest.mark.posix
def test_a_path_is_no_address():
    with pytest.raises(SettingsError, match="is an address that beluga_nb cannot use"):
        Settings(store=Path("s3://bucket/x"))


@pytest.mark.parametrize("store", ["a\0b", "a\nb", "\x1b[31m", "\x7f"])
def test_a_store_with_control_characters_is_refused_from_any_source(store):
    with pytest.raises(SettingsError, match="control characters"):
        Settings(store=store)


def test_a_folder_that_looks_a_little_like_an_address_is_a_folder(tmp_path):
    for store in ("C:/pictures", "C:\\pictures", "a:b", "s3", "x//y", "/s3:/x"):
        assert Settings(store=store).store == Path(store)


@pytest.mark.posix
@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("timeout", [0.001, 5, 20, 330, 331, 10_000])
def test_a_file_may_lengthen_the_wait_for_a_paid_answer_and_not_shorten_it(tmp_path, timeout, trusted):
    tmp_path.joinpath("beluga.toml").write_text(f"timeout = {timeout}")
    settings = load({"BELUGA_TRUST": str(tmp_path)} if trusted else {}, tmp_path)
    usual = Settings().timeout
    assert settings.timeout == (timeout if trusted else max(timeout, usual))
    assert bool(settings.ignored) is (not trusted and timeout < usual)


@pytest.mark.posix
@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize("timeout", [0.001, 5, 329.5, 330, 331, 10_000])
def test_a_file_may_lengthen_the_wait_for_a_server_that_it_names_and_not_shorten_it(
    tmp_path, timeout, trusted
):
    text = f'[endpoints.lab]\nbase_url = "https://lab.example/v1"\ntimeout = {timeout}\n'
    tmp_path.joinpath("beluga.toml").write_text(text)
    environ = {"BELUGA_LAB_BASE_URL": "https://lab.example/v1"}
    settings = load(environ | ({"BELUGA_TRUST": str(tmp_path)} if trusted else {}), tmp_path)
    named = settings.at("lab:sd")
    assert endpoint_of(named, named.named, None).timeout == (
        timeout if trusted else max(timeout, Settings().timeout)
    )
