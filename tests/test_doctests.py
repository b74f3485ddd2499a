"""The examples in the docstrings run, and give what they say."""

import doctest
import importlib

from sampling import of_each
from test_architecture import MODULES


@of_each(path=MODULES)
def test_the_examples_of_a_module_are_true(path):
    name = "beluga_nb." + path.removesuffix(".py").replace("/", ".")
    module = importlib.import_module(name.removesuffix(".__init__"))
    assert doctest.testmod(module, raise_on_error=False).failed == 0
