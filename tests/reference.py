"""Write the tables of options and commands into the README: `python -m tests.reference`."""

import re
from pathlib import Path

from beluga_nb.commands.usage import reference

README = Path(__file__).parent.parent / "README.md"
SECTION = re.compile(r"(?<=\n## Every option and command\n\n).*?(?=\n\n## |\n\Z)", re.DOTALL)


def with_reference(text):
    """The README's text with the tables as the commands have them."""
    changed, times = SECTION.subn(lambda _: reference(), text)
    assert times == 1
    return changed


if __name__ == "__main__":
    README.write_text(with_reference(README.read_text("utf-8")), "utf-8")
