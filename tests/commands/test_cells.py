"""A request as a cell or a call, to the letter; that it is read back is shown in show/test_recipe.py."""

import pytest

from beluga_nb.commands.cells import FLAGS, call, magic
from beluga_nb.commands.table import OPTIONS
from beluga_nb.errors import RequestError


@pytest.mark.parametrize(
    ("prompt", "arguments", "cell"),
    [
        ("a fox", {"model": "flux-2.0"}, "%%beluga -m flux-2.0\na fox"),
        ("-5 degrees", {"size": "16:9", "n": 2, "model": "x"}, "%%beluga -m x -s 16:9 -n 2\n-5 degrees"),
        ("a {{fox}}", {"model": "x"}, "%%beluga -m x --raw\na {{fox}}"),
        ("a\nfox\n", {"model": "x"}, "%%beluga -m x\na\nfox\n\n"),
        ("a fox", {"take": 'the "best" \\'}, '%%beluga --take "the \\"best\\" \\\\"\na fox'),
        (">>> a fox", {"model": "x"}, "get_ipython().run_cell_magic('beluga', '-m x', '>>> a fox\\n')"),
        ("a\n  \nfox", {}, "get_ipython().run_cell_magic('beluga', '', 'a\\n  \\nfox\\n')"),
        ("a\r\nfox", {}, "get_ipython().run_cell_magic('beluga', '', 'a\\r\\nfox\\n')"),
    ],
)
def test_a_cell_is_written_as_a_person_would_where_that_is_safe(prompt, arguments, cell):
    assert magic(prompt, arguments) == cell


def test_every_flag_is_an_option_of_that_name():
    options = {option.name: option.flags for option in OPTIONS}
    assert all(flag in options[name] for name, flag in FLAGS.items())


def test_what_has_no_option_is_refused():
    with pytest.raises(RequestError, match="%%beluga has no option for output_compression") as caught:
        magic("a fox", {"output_compression": 80})
    assert caught.value.param == "output_compression"


def test_a_call_has_an_argument_on_each_line():
    assert call("it's", {"n": 2}) == 'beluga_nb.generate(\n    "it\'s",\n    n=2,\n)'
