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
_CORE = Path(jupyterlab.__file__).parent / "staging"
_NOT_USED = ("style.js", "third-party-licenses.json")  # without styles and bundled packages they say nothing


def build(folder):
    """Build a copy of the sources in a folder, and return the folder of what is built.

    The folder's place does not matter: two builds are equal to the byte.
    """
    shutil.copytree(LAB, folder, ignore=shutil.ignore_patterns("built"), dirs_exist_ok=True)
    for command in (_INSTALL, ("node", _BUILDER, "--core-path", str(_CORE), str(folder))):
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=PATIENCE)
    for name in _NOT_USED:
        (folder / "built/static" / name).unlink()
    return folder / "built"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        built = build(Path(folder))
        shutil.rmtree(BUILT, ignore_errors=True)
        shutil.copytree(built, BUILT)
