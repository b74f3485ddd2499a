"""Badges: `python -m tests.badges OWNER/NAME` writes them under the README's title and into each notebook.

A badge needs to know where the repository lies, and only who publishes one knows that. A notebook that is
opened from its badge comes alone: with the badges it gets a cell that installs the package if it is missing.
"""

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
QUICKSTART = "notebooks/01-quickstart.ipynb"
WITH_VOTES = ("07-judging.ipynb", "08-study.ipynb")
"""Notebooks whose votes are in the store beside them: of the three, only Binder opens them with it."""

INSTALL = """\
try:
    import beluga_nb
except ModuleNotFoundError:  # on Colab and Kaggle
    %pip install beluga_nb"""
_BADGE = re.compile(r"^\[!\[(?:Binder|Colab|Kaggle)\].*\n?", re.MULTILINE)
_ID = "install"


def badges(repository: str, notebook: str = QUICKSTART) -> list[str]:
    """Return the badges that open a notebook of a repository on GitHub where it runs from top to bottom."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError("Name the repository as OWNER/NAME.")
    binder = f"https://mybinder.org/v2/gh/{repository}/HEAD?urlpath=lab/tree/{notebook}"
    colab = f"https://colab.research.google.com/github/{repository}/blob/main/{notebook}"
    kaggle = f"https://kaggle.com/kernels/welcome?src=https://github.com/{repository}/blob/main/{notebook}"
    with_store = [f"[![Binder](https://mybinder.org/badge_logo.svg)]({binder})"]
    if notebook.endswith(WITH_VOTES):
        return with_store
    return [
        *with_store,
        f"[![Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})",
        f"[![Kaggle](https://kaggle.com/static/images/open-in-kaggle.svg)]({kaggle})",
    ]


def with_badges(text: str, repository: str, notebook: str = QUICKSTART) -> str:
    """Return a text with the badges under its title, in place of those that are there."""
    title, _, rest = _BADGE.sub("", text).partition("\n")
    return "\n".join([title, "", *badges(repository, notebook), "", rest.lstrip("\n")])


def notebook_with_badges(text: str, repository: str, name: str) -> str:
    """Return a notebook with its badges and the cell that installs, in place of those that are there."""
    notebook = json.loads(text)
    title, *cells = [cell for cell in notebook["cells"] if cell.get("id") != _ID]
    words = with_badges("".join(title["source"]), repository, f"notebooks/{name}")
    title["source"] = words.splitlines(keepends=True)
    install = {"cell_type": "code", "execution_count": None, "id": _ID, "metadata": {}, "outputs": []}
    install["source"] = INSTALL.splitlines(keepends=True)
    notebook["cells"] = [title, install, *cells]
    return json.dumps(notebook, ensure_ascii=False, indent=1) + "\n"


def main(words: list[str]) -> None:
    README.write_text(with_badges(README.read_text("utf-8"), *words), "utf-8")
    for path in NOTEBOOKS:
        path.write_text(notebook_with_badges(path.read_text("utf-8"), *words, path.name), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
