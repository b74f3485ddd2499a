"""The built extension of JupyterLab is what its sources give, small, and knows the options of the magics."""

import os
import re
import shutil
import subprocess

import pytest
from labextension import BUILT, LAB, build, contents

from beluga_nb.commands.table import COMMANDS, OPTIONS

PROMPTS = (LAB / "src/prompts.js").read_text("utf-8")


@pytest.mark.environment
@pytest.mark.skipif(
    shutil.which("npm") is None and not os.environ.get("TESTS_IN_CI"),
    reason="npm is missing; in CI this fails instead",
)
def test_what_is_built_is_what_the_sources_give_to_the_byte():
    try:
        built = build()
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError) as error:
        if error.cmd[0] == "npm" and not os.environ.get("TESTS_IN_CI"):
            pytest.skip("There is no way to a package registry.")
        raise
    assert built == contents(BUILT), "python -m tests.labextension builds it again"


def test_what_is_built_is_small_and_names_no_other_place():
    built = b"".join(contents(BUILT).values())
    assert len(built) < 30_000
    assert b"sourceMappingURL" not in built
    assert set(re.findall(rb"\w+://[\w./]+", built)) == {b"http://www.w3.org/2000/svg"}


def test_the_options_without_a_value_are_those_of_the_table():
    [listed] = re.findall(r"const SWITCHES = \[(.*?)\]", PROMPTS)
    options = [*OPTIONS, *(option for each in COMMANDS.values() if each.prompt for option in each.options)]
    assert set(re.findall("'(.*?)'", listed)) == {
        flag for option in options if not option.metavar for flag in option.flags
    }


def test_the_commands_that_take_a_prompt_are_those_of_the_table():
    assert [name for name, command in COMMANDS.items() if command.prompt] == ["compare"]
    assert "/^compare(" in PROMPTS


def test_no_module_of_the_package_knows_the_extension():
    modules = LAB.parent.rglob("*.py")
    assert [path for path in modules if "labextension" in path.read_text("utf-8")] == []
    assert list(LAB.rglob("*.py")) == []
