"""Build the extension of JupyterLab from its sources: `python -m tests.labextension`, which needs npm.

It writes `beluga_nb/lab/built`, which is committed: whoever installs the package needs no Node.
"""

import shutil
import subprocess
import tempfile
from pathlib import Path

import jupyterlab

LAB = Path(__file__).parent.parent / "beluga_nb/lab"
BUILT = LAB / "built"
PATIENCE = 120  # seconds: without a network, npm itself would try for many minutes

_INSTALL = ("npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--silent")
_BUILDER = "node_modules/@jupyterlab/builder/lib/build-labextension.js"
_BUILD = ("node", _BUILDER, "--core-path", str(Path(jupyterlab.__file__).parent / "staging"), ".")
# The builder always writes them; here there are no styles, and no packages of others.
_EMPTY = {"static/style.js", "static/third-party-licenses.json"}


def build():
    """Return the bytes of each built file, by its path; they depend on the sources alone."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(LAB, folder, ignore=shutil.ignore_patterns("built"), dirs_exist_ok=True)
        for command in (_INSTALL, _BUILD):
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=PATIENCE)
        files = contents(Path(folder, "built"))
    return {name: content for name, content in files.items() if name not in _EMPTY}


def contents(folder):
    """Return the bytes of each file in a folder, by its path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def main():
    files = build()
    shutil.rmtree(BUILT, ignore_errors=True)
    for name, content in files.items():
        path = BUILT / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main()
