"""A complete file takes its place, also where another process is just reading the old one."""

import os

import pytest

from beluga_nb.paths import PAUSES, replace


class Busy:
    """A rename as on Windows: refused as often as one says, while the old file is open."""

    def __init__(self, times, error=PermissionError):
        self.left, self.error = times, error

    def __call__(self, part, path):
        if self.left:
            self.left -= 1
            raise self.error("it is being used by another process")
        os.replace(part, path)


@pytest.fixture
def files(tmp_path):
    (tmp_path / "part").write_text("new")
    (tmp_path / "file").write_text("old")
    return tmp_path / "part", tmp_path / "file"


@pytest.mark.parametrize("times", range(4))
def test_a_file_in_use_is_replaced_as_soon_as_it_is_free(files, times):
    part, file = files
    replace(part, file, pauses=[0.001] * 3, rename=Busy(times))
    assert file.read_text() == "new"
    assert not part.exists()


def test_one_that_stays_in_use_is_an_error_and_the_old_one_is_whole(files):
    part, file = files
    with pytest.raises(PermissionError):
        replace(part, file, pauses=[0.001] * 3, rename=Busy(4))
    assert (part.read_text(), file.read_text()) == ("new", "old")


def test_another_error_is_not_waited_for(files):
    busy = Busy(1, OSError)
    with pytest.raises(OSError, match="another process"):
        replace(*files, pauses=[60], rename=busy)


def test_it_pauses_on_windows_alone():
    assert bool(PAUSES) == (os.name == "nt")
