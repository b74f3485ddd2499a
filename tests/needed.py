"""What a test needs beside our dependencies: an environment that others have made may lack it."""

import os
import sys
from importlib import import_module
from types import ModuleType

import pytest

NESTED = "nest_asyncio" if sys.version_info < (3, 12) else "nest_asyncio2"


def needed(name: str) -> ModuleType:
    """Return a module; in one of `tests/environments`, and only there, a test without it is skipped."""
    if "TESTS_ENVIRONMENT" in os.environ:
        return pytest.importorskip(name)
    return import_module(name)
