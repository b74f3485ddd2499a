import pytest
from IPython.core.inputtransformer2 import TransformerManager

from beluga_nb.magics.question import keep_questions


def transformed(cell):
    manager = TransformerManager()
    manager.line_transforms.append(keep_questions)
    return manager.transform_cell(cell)


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        (
            "%beluga a cat, really?",
            "get_ipython().run_line_magic('beluga', 'a cat, really?')\n",
        ),
        (
            "for i in range(2):\n    %beluga it's a cat?\n",
            "for i in range(2):\n    get_ipython().run_line_magic('beluga', \"it's a cat?\")\n",
        ),
        ("x = %beluga hello?", "x = get_ipython().run_line_magic('beluga', 'hello?')\n"),
        ("%beluga why??  ", "get_ipython().run_line_magic('beluga', 'why??')\n"),
        ("%beluga (a cat?", "get_ipython().run_line_magic('beluga', '(a cat?')\n"),
    ],
)
def test_a_prompt_may_end_with_a_question_mark(cell, code):
    assert transformed(cell) == code


@pytest.mark.parametrize(
    "cell",
    ["%beluga?", "%beluga??", "print?", "%timeit x?", "%beluga a cat", 'text = """\n%beluga a cat?\n"""\n'],
)
def test_everything_else_is_left_to_ipython(cell):
    assert transformed(cell) == TransformerManager().transform_cell(cell)


def test_the_body_of_a_cell_magic_is_left_alone():
    cell = "%%beluga\nwhat is\n%beluga this?\n"
    assert transformed(cell) == TransformerManager().transform_cell(cell)
