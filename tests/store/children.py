"""Python in processes of its own, which may be killed, confined, or made someone else."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent


def environment(**more):
    """Where a child finds what this process can import."""
    path = os.pathsep.join([str(TESTS), str(TESTS / "store"), str(TESTS.parent), *filter(None, sys.path)])
    return {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1", **more}


def started(code, *words, before=()):
    """Start a child that runs code (or the file at a path) with words; `before` is a command that runs it."""
    what = [str(code)] if isinstance(code, Path) else ["-c", code]
    return subprocess.Popen(
        [*before, sys.executable, *what, *map(str, words)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def printed(child, patience=120):
    """Return the lines that a child printed; fail with its last words if it did."""
    with child:
        try:
            out, err = child.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            child.kill()
            raise
    assert child.returncode == 0, err[-4000:]
    return out.splitlines()
