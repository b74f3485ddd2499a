"""A list of results or a picture as the value of a cell; every other list as IPython shows it."""

import pytest
from IPython.core.interactiveshell import InteractiveShell

import beluga_nb
from beluga_nb.session.session import Session


@pytest.fixture
def shell():
    shell = InteractiveShell()
    beluga_nb.load_ipython_extension(shell)
    yield shell
    beluga_nb.unload_ipython_extension(shell)


class Shelf(list):
    def _repr_mimebundle_(self, **_):
        return {"text/plain": "a shelf", "text/x-shelf": "1"}


class Strict(list):
    def _repr_mimebundle_(self, include, exclude):
        return {"text/plain": f"a list, {include}, {exclude}"}


class Any(list):
    def __getattr__(self, name):
        return 5


def test_a_list_of_results_shows_its_pictures(shell, tmp_path):
    session = Session(environ={}, folder=tmp_path)
    results = [session.generate("a fox", n=2), session.generate("an owl")]
    shown, _ = shell.display_formatter.format(results)
    assert shown["text/html"].count("<img") == 3
    assert {"image/png", "image/jpeg"} & shown.keys()
    lines = [
        "[<Result: 2 pictures of “a fox”, gpt-image-2>,",
        " <Result: 1 picture of “an owl”, gpt-image-2>]",
    ]
    assert shown["text/plain"].splitlines() == lines


@pytest.mark.parametrize("value", [[], [1, 2], ["a fox"], [[]], Shelf([1]), Strict([1]), Any([1]), (1,)])
def test_every_other_list_is_shown_as_without_us(shell, value, tmp_path, capsys):
    result = Session(environ={}, folder=tmp_path).generate("a fox")
    for each in (value, [*value, result, 3]):
        ours = shell.display_formatter.format(each)
        assert ours == InteractiveShell().display_formatter.format(each)
    assert "Traceback" not in "".join(capsys.readouterr())


def test_a_formatter_of_the_users_own_stays(tmp_path):
    shell = InteractiveShell()
    bundles = shell.display_formatter.mimebundle_formatter

    def mine(value):
        return {"text/plain": f"{len(value)} things"}

    bundles.for_type(list, mine)
    beluga_nb.load_ipython_extension(shell)
    assert bundles.lookup_by_type(list) is mine
    beluga_nb.unload_ipython_extension(shell)
    assert bundles.lookup_by_type(list) is mine


def test_a_picture_is_shown_as_a_result_of_one(shell, tmp_path):
    result = Session(environ={}, folder=tmp_path).generate("a fox", n=2)
    one, other = (shell.display_formatter.format(picture)[0] for picture in result.pictures)
    assert one["text/html"] != other["text/html"]
    assert one == dict(result[:1]._repr_mimebundle_()) | {"text/plain": one["text/plain"]}
    assert "image/jpeg" in one
    beluga_nb.unload_ipython_extension(shell)
    shown, _ = shell.display_formatter.format(result.pictures[0])
    assert shown == {"text/plain": "<Picture of “a fox”, gpt-image-2, image/png>"}


def test_a_formatter_of_the_users_own_for_pictures_stays(tmp_path):
    shell = InteractiveShell()
    bundles = shell.display_formatter.mimebundle_formatter
    name = "beluga_nb.result.Picture"

    def mine(value):
        return {"text/plain": "mine"}

    bundles.for_type(name, mine)
    beluga_nb.load_ipython_extension(shell)
    assert bundles.lookup_by_type(name) is mine
    beluga_nb.unload_ipython_extension(shell)
    assert bundles.lookup_by_type(name) is mine
