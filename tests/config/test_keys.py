"""Keys: where they come from, what is malformed, and that nothing shows them."""

import copy
import json
import pickle
import pprint
import sys
import traceback
import types

import pytest

from beluga_nb.config.keys import (
    KeyResolver,
    check_service_key,
    checked,
    colab,
    keep,
    keyring,
    random_key,
)
from beluga_nb.errors import SettingsError
from beluga_nb.key_check import holds_key
from beluga_nb.redaction import Secret

KEY = "bapi_SENTINEL-SENTINEL-1234"


def everything_said(error):
    """All that an exception and its causes can show, apart from the frames."""
    texts = []
    while error is not None:
        texts += [repr(error), str(error), repr(error.args), repr(vars(error))]
        texts += traceback.format_exception_only(error)
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


@pytest.mark.parametrize("value", [KEY, f"{KEY}\n", f" {KEY} ", f"\t{KEY}\r\n"])
def test_blanks_around_a_key_do_no_harm(value):
    assert checked(Secret(value, "BELUGA_API_KEY")).reveal() == KEY
    assert KeyResolver({"BELUGA_API_KEY": value})().reveal() == KEY


@pytest.mark.parametrize(
    "value",
    [
        "",
        "   ",
        "short",
        "bapi_ke y-SENTINEL",
        "bapi_key\0SENTINEL",
        "bapi_key\nSENTINEL",
        "bapi_key\tSENTINEL",
        "bapi_SENTINEL…",
        "bapi_SENTINEL\u200b",
        "bapi_SENTINEL\x7f",
        "bapi_é-SENTINEL",
        "bapi_" + "x" * 5000,
    ],
)
def test_s05_a_malformed_key_is_refused_without_being_repeated(value):
    with pytest.raises(SettingsError) as caught:
        checked(Secret(value, "BELUGA_API_KEY"))
    assert str(caught.value) == (
        "BELUGA_API_KEY is malformed: it has blanks, invisible or non-ASCII characters, or is too short.\n"
        "Copy the key again: bapi_… and nothing else. Nothing was sent."
    )
    assert "SENTINEL" not in everything_said(caught.value)


@pytest.mark.parametrize("value", [f"Bearer {KEY}", f"bearer {KEY}", f" BEARER {KEY}"])
def test_a_key_with_its_header_is_refused_without_being_repeated(value):
    with pytest.raises(SettingsError) as caught:
        checked(Secret(value, "code"))
    assert str(caught.value) == ("the key given in code starts with 'Bearer'.\nGive the key alone: bapi_…")
    assert "SENTINEL" not in everything_said(caught.value)


def test_a_key_given_in_code_outranks_the_environment():
    secret = KeyResolver({"BELUGA_API_KEY": "bapi_from-the-environment"}, explicit=Secret(KEY, "code"))()
    assert (secret.reveal(), secret.source) == (KEY, "code")


def test_a_key_from_the_environment_says_so():
    secret = KeyResolver({"BELUGA_API_KEY": KEY})()
    assert (secret.source, secret.ending) == ("BELUGA_API_KEY", "1234")


@pytest.mark.parametrize("environ", [{}, {"BELUGA_API_KEY": ""}, {"BELUGA_API_KEY": " \n"}])
def test_no_key_is_none(environ):
    assert KeyResolver(environ)() is None


def test_an_empty_key_given_in_code_is_a_mistake():
    with pytest.raises(SettingsError):
        KeyResolver({"BELUGA_API_KEY": KEY}, explicit=Secret("", "code"))()


@pytest.mark.parametrize(
    "show",
    [repr, str, "{}".format, "{!r:>60}".format, pprint.pformat, lambda secret: f"{[secret]} {secret!a}", dir],
)
def test_nothing_shows_a_key(show):
    assert "SENTINEL" not in str(show(Secret(KEY, "code")))


@pytest.mark.parametrize(
    "give",
    [copy.copy, copy.deepcopy, pickle.dumps, json.dumps, vars, lambda secret: format(secret, ">60")],
    ids=["copy", "deepcopy", "pickle", "json", "vars", "format"],
)
def test_s02_nothing_gives_a_key_away(give):
    with pytest.raises(TypeError) as caught:
        give(Secret(KEY, "code"))
    assert "SENTINEL" not in everything_said(caught.value)


def test_two_secrets_are_equal_when_their_keys_are():
    assert Secret(KEY, "code") == Secret(KEY, "BELUGA_API_KEY")
    assert hash(Secret(KEY, "code")) == hash(Secret(KEY, "BELUGA_API_KEY"))
    assert Secret(KEY, "code") != Secret(KEY + "x", "code")
    assert Secret(KEY, "code") != KEY


def test_a_made_up_key_is_well_formed_and_new_each_time():
    one, other = random_key(), random_key()
    assert checked(one) is one
    assert one.reveal().startswith("bapi_")
    assert one != other


def test_the_service_takes_only_its_own_keys():
    check_service_key(Secret(KEY, "code"))
    with pytest.raises(SettingsError) as caught:
        check_service_key(Secret("sk-SENTINEL-SENTINEL", "BELUGA_API_KEY"))
    assert caught.value.message == "BELUGA_API_KEY is malformed: BelugAPI's keys start with bapi_."
    assert "SENTINEL" not in everything_said(caught.value)


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        (f"a fox with {KEY}, please", True),
        (f"({KEY})", True),
        ("bapi_short", False),
        ("a fox", False),
        ("bapi_ is how keys start", False),
    ],
)
def test_a_key_that_stands_in_a_text_is_noticed(text, typed):
    assert holds_key(text) is typed


# --- vaults


def module(monkeypatch, name, **words):
    """Make a module that is not installed here, as small as what is used of it."""
    made = types.ModuleType(name)
    vars(made).update(words)
    monkeypatch.setitem(sys.modules, name, made)
    return made


def test_where_there_is_no_vault_there_is_no_key(monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert (colab(), keyring()) == (None, None)


def test_colabs_secret_is_found(monkeypatch):
    module(monkeypatch, "google.colab")
    module(monkeypatch, "google.colab.userdata", get={"BELUGA_API_KEY": KEY}.get)
    assert colab() == KEY


def test_a_vault_that_fails_has_no_key(monkeypatch):
    def locked(*_):
        raise RuntimeError("locked: bapi_SENTINEL")

    module(monkeypatch, "google.colab")
    module(monkeypatch, "google.colab.userdata", get=locked)
    module(monkeypatch, "keyring", get_password=locked, set_password=locked)
    assert (colab(), keyring()) == (None, None)
    with pytest.raises(SettingsError) as caught:
        keep(Secret(KEY, "login"))
    assert "SENTINEL" not in everything_said(caught.value)


def test_what_is_kept_is_found_again(monkeypatch):
    kept = {}
    module(
        monkeypatch,
        "keyring",
        get_password=lambda service, name: kept.get((service, name)),
        set_password=lambda service, name, key: kept.update({(service, name): key}),
    )
    assert keyring() is None
    keep(Secret(KEY, "login"))
    assert keyring() == KEY
    assert list(kept) == [("beluga_nb", "BELUGA_API_KEY")]
