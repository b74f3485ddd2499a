"""Options that functions share: a signature names each, and a name that is none is refused."""

from __future__ import annotations

import inspect
from typing import TypedDict, Unpack

import pytest

import beluga_nb
from beluga_nb.compare.axes import GRID_OPTIONS
from beluga_nb.compare.gallery import Gallery
from beluga_nb.compare.rank import Ranking
from beluga_nb.compare.scores import Scores
from beluga_nb.errors import RequestError, UnknownArgumentError, UnknownNameError
from beluga_nb.result import Recipe
from beluga_nb.session.library import Library
from beluga_nb.session.session import Session
from beluga_nb.signatures import named_options

pytestmark = pytest.mark.unsampled  # each function is a claim of its own


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


def test_an_argument_of_a_session_is_named_though_it_takes_settings():
    with pytest.raises(UnknownNameError, match=r"No setting 'folde'.\nDid you mean 'folder'\?"):
        Session(environ={}, folde="here")


def test_a_grid_has_the_arguments_that_its_errors_name():
    taken = {*inspect.signature(Session.grid).parameters} - {"self", "template", "axes"}
    assert taken == {*GRID_OPTIONS}


@pytest.mark.parametrize(
    ("name", "value", "meant"),
    [
        ("sampel", 2, "sample"),
        ("see", 3, "seed"),
        ("N", 2, "n"),
        ("output_fromat", "png", "output_format"),
        ("anmal", "cat", "animal"),
        ("replac", {"fox": ["cat"]}, "replace"),
        ("pair", ["animal", "size"], "pairs"),
        ("valus", {"animal": "cat"}, "values"),
        ("output_formt", ["png"], "output_format"),
    ],
)
def test_a_misspelt_argument_of_a_grid_is_no_axis(name, value, meant, tmp_path):
    session = Session(environ={}, folder=tmp_path)
    with pytest.raises(RequestError) as refused:
        session.grid("a {{animal}}", **{"animal": ["cat", "fox"], name: value})
    assert refused.value.hint.startswith(f"Did you mean '{meant}'?")
    assert isinstance(refused.value, UnknownArgumentError) == isinstance(value, int | str)


@pytest.mark.parametrize("kind", ["Request", "Result", "Picture", "Recipe", "Settings", "Session"])
def test_a_constructor_names_the_argument_that_was_meant(kind):
    made = getattr(beluga_nb, kind, None) or Recipe
    known = next(name for name in inspect.signature(made).parameters if len(name) > 4)
    with pytest.raises(RequestError, match=f"Did you mean '{known}'") as refused:
        made(**{f"{known}s": 1})
    assert refused.value.message.startswith((f"{kind}() has no argument", "No setting"))


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


RETURNED = (Gallery, Library, Ranking, Scores)
"""Classes whose objects public functions return."""


def public_functions():
    """Every public function and method that a user calls, by its name."""
    for name in beluga_nb.__all__:
        value = getattr(beluga_nb, name)
        if not inspect.isclass(value):
            yield from [(name, value)] if callable(value) else []
        elif not issubclass(value, Exception):
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
    "Settings.with_": "a setting",
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


@pytest.mark.parametrize("by", [None, 3, ["model"]])
def test_an_axis_that_is_no_text_is_refused_in_two_lines(by, tmp_path):
    grid = Session(environ={}, folder=tmp_path).grid("a {{animal}}", animal=["fox"])
    for verb in (grid.ranking, grid.votes, grid.vote):
        with pytest.raises(RequestError, match="not text") as refused:
            verb(by=by)
        assert refused.value.hint == "Give by as a string."
