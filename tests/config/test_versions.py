"""Versions with a bug that concerns us are told of, and no others."""

import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest

from beluga_nb.config.versions import BUGS, known_bugs
from beluga_nb.session.session import Session

ROOT = Path(__file__).parents[2]

FAULTY = [
    *(("ipykernel", each) for each in ("7.0.0", "7.0.1", "7.1.0", "7.2.0", "7.3.0", "7.3.0.dev1")),
    *(("pillow", each) for each in ("9.5.0", "11.3.0", "12.2.0", "12.3.0", "12.3.0.post1")),
]
SOUND = [
    *(("ipykernel", each) for each in ("6.17.1", "6.31.0", "7.4.0", "7.10.0", "8.0.0")),
    *(("pillow", each) for each in ("13.0.0", "13.0.1", "14.0.0", "100.0")),
]


def alone(library, version):
    """What is told where only this is installed."""

    def installed(name):
        if name != library:
            raise PackageNotFoundError(name)
        return version

    return known_bugs(installed)


@pytest.mark.parametrize(("library", "version"), FAULTY)
def test_a_version_with_a_bug_is_named_with_what_fixes_it(library, version):
    bugs = alone(library, version)
    assert list(bugs) == [library]
    assert bugs[library].startswith(f"{version}: {BUGS[library].words}. ")
    assert f"pip install '{library}>={BUGS[library].fixed}'" in bugs[library]
    assert "restart the kernel" in bugs[library]


@pytest.mark.parametrize(("library", "version"), SOUND)
def test_a_sound_version_is_not_spoken_of(library, version):
    assert alone(library, version) == {}


def test_the_status_says_what_is_found_here(tmp_path):
    found = Session(environ={}, folder=tmp_path).status()
    assert {name: found[name] for name in BUGS if name in found} == known_bugs()


def test_lab_installs_no_kernel_that_we_warn_of():
    [line] = re.findall(r'"(ipykernel>=.*?)"', (ROOT / "pyproject.toml").read_text("utf-8"))
    left_out = re.findall(r"!=(7\.\d)\.\*", line)
    assert left_out == ["7.0", "7.1", "7.2", "7.3"]
    assert all(alone("ipykernel", f"{each}.0") for each in left_out)
