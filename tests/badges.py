"""Badges for Binder and Colab: `python -m tests.badges OWNER/NAME` writes them under the README's title.

A badge needs to know where the repository lies, and only who publishes one knows that.
"""

import re
import sys
from pathlib import Path

README = Path(__file__).parent.parent / "README.md"
QUICKSTART = "notebooks/01-quickstart.ipynb"
_BADGE = re.compile(r"^\[!\[(?:Binder|Colab)\].*\n", re.MULTILINE)


def badges(repository: str) -> list[str]:
    """Return the two badges of a repository on GitHub."""
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", repository):
        raise ValueError("Name the repository as OWNER/NAME.")
    binder = f"https://mybinder.org/v2/gh/{repository}/HEAD?urlpath=lab/tree/{QUICKSTART}"
    colab = f"https://colab.research.google.com/github/{repository}/blob/main/{QUICKSTART}"
    return [
        f"[![Binder](https://mybinder.org/badge_logo.svg)]({binder})",
        f"[![Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})",
    ]


def with_badges(readme: str, repository: str) -> str:
    """Return the README with the badges under its title, in place of those that are there."""
    title, _, rest = _BADGE.sub("", readme).partition("\n")
    return "\n".join([title, "", *badges(repository), "", rest.lstrip("\n")])


def main(words: list[str]) -> None:
    README.write_text(with_badges(README.read_text("utf-8"), *words), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
