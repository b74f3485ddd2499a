"""Where a key may be kept: what each vault says when it has none, has one, or does not give it."""

import sys
from textwrap import dedent

import pytest
from conftest import KEY

from beluga_nb.config import keys
from beluga_nb.config.keys import KeyResolver, Withheld, colab, kaggle
from beluga_nb.redaction import Environment, Secret, redact
from beluga_nb.session.session import Session
from beluga_nb.session.status import NO_KEY

# As these services' own modules raise: googlecolab/colabtools and Kaggle/docker-python.
COLAB = """
class NotebookAccessError(Exception): ...
class SecretNotFoundError(Exception): ...
class TimeoutException(Exception): ...
def get(key):
    {does}
"""
KAGGLE = """
class CredentialError(Exception): ...
class BackendError(Exception): ...
class UserSecretsClient:
    def get_secret(self, label):
        {does}
"""
NO_SECRET = (
    "{'errors': ['No user secrets exist for kernel id 1 and label BELUGA_API_KEY.'], 'error': {'code': 5}}"
)

OUTCOMES = {
    "Colab gives it": (colab, "return __import__('conftest').KEY", KEY),
    "Colab has none": (colab, "raise SecretNotFoundError(key)", None),
    "Colab's is not granted": (colab, "raise NotebookAccessError(key)", "may not read it"),
    "nobody answers Colab's question": (colab, "raise TimeoutException(key)", "not answered in time"),
    "Colab fails in another way": (colab, "raise RuntimeError(key)", None),
    "Kaggle gives it": (kaggle, "return __import__('conftest').KEY", KEY),
    "none is attached in Kaggle": (kaggle, f"raise BackendError({NO_SECRET!r})", None),
    "Kaggle does not give it": (kaggle, "raise BackendError({'error': {'code': 7}})", "do not give"),
    "Kaggle refuses": (kaggle, "raise CredentialError('403')", "does not let this notebook"),
    "Kaggle cannot be reached": (kaggle, "raise ConnectionError('internet')", "there is no connection"),
}


@pytest.fixture
def vault(request, tmp_path, monkeypatch):
    """A vault of a service, whose module does what the test says."""
    asked, does, _ = OUTCOMES[request.param]
    package = tmp_path / "google" / "colab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "userdata.py").write_text(dedent(COLAB).replace("{does}", does))
    (tmp_path / "kaggle_secrets.py").write_text(dedent(KAGGLE).replace("{does}", does))
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in [name for name in sys.modules if name.split(".")[0] in {"google", "kaggle_secrets"}]:
        monkeypatch.delitem(sys.modules, name)
    if asked is colab:
        __import__("google.colab")
    yield asked
    for name in [name for name in sys.modules if name.startswith(("google.colab", "kaggle_secrets"))]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("vault", "name"), [(name, name) for name in OUTCOMES], indirect=["vault"], ids=OUTCOMES
)
def test_a_key_that_is_withheld_differs_from_one_that_is_not_there(vault, name, tmp_path, messages):
    _, _, outcome = OUTCOMES[name]
    found = vault()
    session = Session(environ={}, folder=tmp_path, vaults={"a vault": vault}, notify=messages.append)
    key = session.status()["key"]
    if outcome in {KEY, None}:
        assert found == outcome
        assert key == ("a vault, ending in only" if outcome else NO_KEY)
        return
    assert isinstance(found, Withheld)
    assert outcome in found.why
    assert key == f"none: {found.why} {found.hint}"
    for _ in range(2):
        session.generate("a fox", model="flux-2.0")
    assert messages == [f"{found.why} {found.hint} Until then the built-in painter answers."], "once"


def test_where_neither_service_is_no_vault_has_a_key():
    assert (colab(), kaggle()) == (None, None)


def test_a_vault_that_withheld_a_key_is_asked_again_when_the_status_is_asked_for():
    answers = [Withheld("It may not be read.", "Grant it."), KEY]
    resolver = KeyResolver(Environment({}), vaults={"a vault": lambda: answers.pop(0)})
    assert (resolver(), resolver()) == (None, None), "asked once"
    resolver.ask_again()
    assert resolver() == Secret(KEY, "a vault")
    assert resolver.withheld is None


def test_a_key_that_the_environment_had_is_taken_out_of_what_leaves_until_the_session_ends():
    first = "bapi_a-key-that-no-other-test-has-1"  # others may hold theirs still
    environ = {"BELUGA_API_KEY": first}
    resolver = KeyResolver(Environment(environ))
    assert resolver() == Secret(first, "BELUGA_API_KEY")
    environ["BELUGA_API_KEY"] = "bapi_another-key-of-the-same"
    assert resolver() == Secret("bapi_another-key-of-the-same", "BELUGA_API_KEY")
    assert redact(f"{first} bapi_another-key-of-the-same") == "(your key) (your key)"
    del resolver
    assert redact(first) == first


def test_all_vaults_are_asked_in_one_order():
    assert list(keys.KEY_SOURCES) == ["Colab's secrets", "Kaggle's secrets", "the system's keyring"]
