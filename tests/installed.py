"""Environments of their own, for what must be tried beside other libraries than those that are here."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Self

import pytest
from kernels import clean_environment
from pins import interpreter

FOLDER = Path(__file__).parent / "environments"

PATIENCE = 600  # seconds for one installation, or for the tests that run in one


class Environment:
    """A virtual environment, made if it is not there; without a package index the test is skipped."""

    def __init__(self, folder: Path, *words: str, python: str = sys.executable) -> None:
        self.folder = folder
        self.bin = folder / Path(sysconfig.get_path("scripts")).name
        if not folder.exists():
            subprocess.run([python, "-m", "venv", str(folder)], check=True)
        if words:
            self.install(*words)

    def install(self, *words: str) -> None:
        # Compiled on demand: most of it is never imported.
        pip = [self.python, "-m", "pip", "install", "--quiet", "--no-compile", *words]
        done = subprocess.run(pip, capture_output=True, text=True, timeout=PATIENCE)
        output = done.stdout + done.stderr
        if "Failed to establish a new connection" in output or "NewConnectionError" in output:
            pytest.skip("There is no way to a package index.")
        assert done.returncode == 0, output

    @property
    def python(self) -> str:
        return str(self.bin / "python")

    def copy(self, folder: Path) -> Self:
        """Return a copy in a folder."""
        # pip never writes into a file, so that links to them are as good as copies.
        shutil.copytree(self.folder, folder / "env", symlinks=True, copy_function=os.link)
        return type(self)(folder / "env")

    def run(self, *words: str, cwd: Path, status: int = 0, **environ: str) -> str:
        """Run Python with these words and return what it said; its status is the one that is expected."""
        done = subprocess.run(
            [self.python, *words],
            cwd=cwd,
            env=self.environ(**environ),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + done.stderr

    def environ(self, **more: str) -> dict[str, str]:
        kept = {name: value for name, value in clean_environment().items() if name != "PYTHONPATH"}
        return kept | {"PATH": f"{self.bin}{os.pathsep}{kept['PATH']}"} | more


def pinned(name: str, folder: Path) -> Environment:
    """Install what a file of `tests/environments` says; the folder TESTS_ENVIRONMENTS keeps it for later."""
    pins = FOLDER / f"{name}.txt"
    version = re.match(r"# Python (3\.\d+)\n", pins.read_text())[1]
    python = interpreter(version)
    if python is None:
        pytest.skip(f"There is no Python {version} here.")
    kept = Path(os.environ.get("TESTS_ENVIRONMENTS", folder)) / f"{name}-kept"
    if not (kept / "pins.txt").exists() or (kept / "pins.txt").read_text() != pins.read_text():
        shutil.rmtree(kept, ignore_errors=True)
        Environment(kept, "--no-deps", "--only-binary=:all:", "-r", str(pins), python=python)
        shutil.copy2(pins, kept / "pins.txt")
    return Environment(kept).copy(folder)
