"""What is not a regular file, or has no end, in every place that is read: nothing waits, nothing breaks."""

import sys
from pathlib import Path

import pytest
from children import printed, started

MEMORY = 6 * 2**30  # of addresses, so that a child that reads without end fails soon


@pytest.mark.sampled(2)
@pytest.mark.posix
@pytest.mark.parametrize("kind", ["nothing", "pipe", "endless", "link", "folder", "socket", "huge"])
def test_no_odd_file_makes_a_reader_wait_fail_or_take_much_memory(kind, tmp_path):
    """33 places (each collection of a store, and each file outside of it), 20 readers."""
    limit = ("prlimit", f"--as={MEMORY}") if sys.platform == "linux" else ()
    child = started(Path(__file__).with_name("odd_files.py"), kind, tmp_path, before=limit)
    assert printed(child, patience=280) == ["33 places"]
