"""Options that functions share: a signature names each, and a name that is none is refused."""

from __future__ import annotations

import inspect
from typing import TypedDict, Unpack

import pytest

import beluga_nb
from beluga_nb.compare.gallery import Gallery
from beluga_nb.compare.rank import Ranking
from beluga_nb.compare.scores import Scores
from beluga_nb.errors import RequestError, UnknownArgumentError, UnknownNameError
from beluga_nb.session.library import Library
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
    with pytest.raises(TypeError, match=rf"^{verb}\(\) has no argument 'sise'\.\nDid you mean 'size'\?$"):
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


OF_VALUES = {"Recipe", "Request", "Settings"}
"""Values of the pipeline: what is done with them takes no options of a user."""

RETURNED = (Gallery, Library, Ranking, Scores)
"""Classes whose objects public functions return."""


def public_functions():
    """Every public function and method that a user calls, by its name."""
    for name in beluga_nb.__all__:
        value = getattr(beluga_nb, name)
        if not inspect.isclass(value):
            yield from [(name, value)] if callable(value) else []
        elif not issubclass(value, Exception) and name not in OF_VALUES:
            yield from methods(value)
    for kind in RETURNED:
        yield from methods(kind)


def methods(kind):
    for name, method in inspect.getmembers(kind, inspect.isfunction):
        own = method.__module__.startswith("beluga_nb.") and not name.startswith("_")
        if own and len(inspect.signature(method).parameters) > 1:
            yield f"{kind.__name__}.{name}", method


CHECKED_BY_CONTENT = {
    "Grid.extend": "an axis",
    "Grid.where": "an axis",
    "Result.rerun": "part of a request",
    "Session.grid": "an axis",
    "Session.settings": "a setting",
    "grid": "an axis",
}
"""Functions of any name, and what a name must be there."""


FUNCTIONS = {
    name: function
    for name, function in public_functions()
    if name not in CHECKED_BY_CONTENT and not name.endswith("_ipython_extension")
}


@pytest.mark.parametrize(("name", "function"), FUNCTIONS.items(), ids=FUNCTIONS)
def test_every_public_function_says_which_argument_it_lacks(name, function, tmp_path):
    parameters = inspect.signature(function).parameters.values()
    assert not any(each.kind is each.VAR_KEYWORD for each in parameters), name
    kind, _, is_method = name.partition(".")
    session = Session(environ={}, folder=tmp_path)
    owners = {"Session": session, "Grid": session.grid("a fox"), "Gallery": session.gallery()}
    owner = [owners.get(kind)] if is_method else []
    with pytest.raises(UnknownArgumentError) as refused:
        begun(function(*owner, unheard_of=1))
    assert isinstance(refused.value, TypeError)
    first, second = refused.value.lines()
    assert first == f"UnknownArgumentError: {function.__name__}() has no argument 'unheard_of'."
    known = sorted({each.name for each in parameters} - {"self"})
    assert second == f"It takes {', '.join(known)}." or second.startswith("Did you mean ")


def test_an_argument_that_is_nearly_right_is_named(tmp_path):
    session = Session(environ={}, folder=tmp_path)
    grid = session.grid("a {{animal}}", animal=["fox"])
    for call in (grid.vote, grid.ranking):
        with pytest.raises(UnknownArgumentError, match=r"'bye'.\nDid you mean 'by'\?"):
            call(bye="animal")
