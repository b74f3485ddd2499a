import pytest
from IPython.core.inputtransformer2 import TransformerManager

from beluga_nb.magics.verbatim import Verbatim, with_body


def transformed(cell):
    manager = TransformerManager()
    manager.token_transformers.append(Verbatim)
    manager.line_transforms.append(with_body)
    return manager.transform_cell(cell)


def call(text):
    return f"get_ipython().run_line_magic('beluga', {text!r})\n"


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("%beluga a cat, really?", call("a cat, really?")),
        ("for i in range(2):\n    %beluga it's a cat?\n", "for i in range(2):\n    " + call("it's a cat?")),
        ("x = %beluga hello?", f"x = {call('hello?')}"),
        ("x = %beluga in C:\\cats ", "x = " + call("in C:\\cats ")),
        ("x = y =%beluga hello", f"x = y ={call('hello')}"),
        ("x[1], y.z = %beluga hello", f"x[1], y.z = {call('hello')}"),
        ("%beluga why??  ", call("why??  ")),
        ("%beluga (a cat?", call("(a cat?")),
        ("%beluga a cat  \n%beluga\t a dog", call("a cat  ") + call("a dog")),
        ('%beluga a """cat\nx = 1', call('a """cat') + "x = 1\n"),
        ("%beluga 5$ 'and\n%beluga 'a\n", call("5$ 'and") + call("'a")),
        ("%beluga -n 2 \\\n    a cat \\\n  and a dog ", call("-n 2     a cat   and a dog ")),
        ("%beluga a path C:\\", call("a path C:\\")),
        ("%beluga a cat # grey; x = %beluga not", call("a cat # grey; x = %beluga not")),
        ("s = '''\n%beluga a\n'''\n%beluga b ", "s = '''\n%beluga a\n'''\n" + call("b ")),
    ],
)
def test_a_prompt_is_kept_as_it_is_typed(cell, code):
    assert transformed(cell) == code


@pytest.mark.parametrize(
    "cell",
    [
        "%beluga",
        "%beluga  ",
        "%beluga?",
        "%beluga??",
        "%beluga ?",
        "?%beluga",
        "print?",
        "%timeit x?",
        "x % beluga - y",
        "x = y %beluga (z)",
        "f(x = %beluga a cat)",
        "%belugas a cat ",
        'text = """\n%beluga a cat?\n"""\n',
        "# %beluga a cat? ",
    ],
)
def test_everything_else_is_left_to_ipython(cell):
    assert transformed(cell) == TransformerManager().transform_cell(cell)


def test_the_body_of_a_cell_magic_is_left_alone():
    cell = "%%beluga\nwhat is\n%beluga this?\n"
    assert transformed(cell) == TransformerManager().transform_cell(cell)


@pytest.mark.parametrize(("cell", "line"), [("%%beluga", ""), ("%%beluga -n 2 -o 'x'\n", "-n 2 -o 'x'")])
def test_a_cell_without_a_body_gets_one(cell, line):
    assert transformed(cell) == f"get_ipython().run_cell_magic('beluga', {line!r}, '\\n')\n"


@pytest.mark.parametrize("cell", ["%%time", "%%beluga2\n", "run_cell_magic('beluga', '', '')"])
def test_other_cells_without_a_body_are_left_to_ipython(cell):
    assert transformed(cell) == TransformerManager().transform_cell(cell)
