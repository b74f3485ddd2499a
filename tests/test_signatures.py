"""Options that functions share: a signature names each, and a name that is none is refused."""

from __future__ import annotations

import inspect
from typing import TypedDict, Unpack

import pytest

from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.session.session import Session
from beluga_nb.signatures import named_options


class Drinks(TypedDict, total=False):
    tea: str | None
    iced: bool


@named_options(Drinks)
def order(table: int, *, paid: bool = False, **options: Unpack[Drinks]) -> dict[str, object]:
    return {"table": table, "paid": paid, **options}


def test_the_signature_names_every_option():
    assert str(inspect.signature(order)) == (
        "(table: 'int', *, tea: 'str | None' = None, iced: 'bool' = False, paid: 'bool' = False)"
        " -> 'dict[str, object]'"
    )


def test_options_that_are_given_arrive_and_no_others():
    assert order(1, tea="green") == {"table": 1, "paid": False, "tea": "green"}


def begun(coroutine):
    coroutine.send(None)


@pytest.mark.parametrize("verb", ["submit", "generate", "agenerate", "plan"])
def test_a_name_that_is_no_option_is_refused_as_by_python(verb, tmp_path):
    session = Session(environ={}, folder=tmp_path)
    with pytest.raises(TypeError, match=r"^There is no argument 'sise'\.\nDid you mean 'size'\?$"):
        begun(getattr(session, verb)("a fox", sise="16:9"))


def test_a_session_refuses_a_setting_that_does_not_exist():
    with pytest.raises(UnknownNameError, match="No setting 'modle'") as refused:
        Session(environ={}, modle="flux-2.0")
    assert refused.value.nearest == "model"


def test_an_axis_that_is_a_misspelt_parameter_asks_for_the_parameter(tmp_path):
    session = Session(environ={}, folder=tmp_path)
    with pytest.raises(RequestError) as refused:
        session.grid("a fox", modle=["flux-2.0", "gpt-image-2"])
    assert refused.value.hint.startswith("Did you mean 'model'? ")


@pytest.mark.parametrize("verb", ["submit", "generate", "agenerate", "plan"])
def test_a_call_completes_the_names_of_its_options(verb):
    parameters = inspect.signature(getattr(Session, verb)).parameters
    assert {"prompt", "model", "size", "n", "quality", "take", "mode", "values"} <= parameters.keys()
    assert all(
        each.kind is each.KEYWORD_ONLY for name, each in parameters.items() if name not in {"self", "prompt"}
    )
