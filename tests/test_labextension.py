"""The built extension of JupyterLab is what its sources give, small, and knows the options of the magics."""

import os
import re
import shutil
import subprocess

import pytest
from labextension import BUILT, LAB, build, contents

from beluga_nb.commands.table import OPTIONS, commands_on
from beluga_nb.hints import Surface

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
    commands = commands_on(Surface.MAGIC).values()
    options = [*OPTIONS, *(option for each in commands for option in each.options)]
    switches = {flag for option in options if not option.metavar for flag in option.flags}
    assert {f"--{each}" for each in listed("SWITCHES")} == switches
    assert switches.isdisjoint(flag for option in options if option.metavar for flag in option.flags)


def test_the_commands_are_those_of_the_table():
    commands = commands_on(Surface.MAGIC)
    assert [name for name, command in commands.items() if command.prompt] == ["compare"]
    assert "/^compare(" in PROMPTS
    assert {"compare", *listed("COMMAND")} == {*commands}


def listed(name):
    """The words of the first alternatives of a regular expression of the sources."""
    return re.findall(rf"const {name} =\s+/\^(?:--)?\((.*?)\)", PROMPTS)[0].split("|")


def test_no_module_of_the_package_knows_the_extension():
    modules = LAB.parent.rglob("*.py")
    assert [path for path in modules if "labextension" in path.read_text("utf-8")] == []
    assert list(LAB.rglob("*.py")) == []
