"""What one shown picture adds to a notebook file, beside showing the PIL image itself.

    python -m benchmarks.weight

nbclient executes a notebook, once with our result and once with the bare image; its file is weighed.
"""

import os
import tempfile

import nbformat
from nbclient import NotebookClient

ASK = "import beluga_nb; whale = beluga_nb.generate({prompt!r}, size={size!r}, n={n}, assume_yes=True)"
PICTURES = (
    ("a beluga whale in arctic water", "1:1", 1),
    ("Futuristic city skyline at night with neon", "2:1", 1),
    ("a fox in a forest at night, snow", "1:1", 4),
)


def weight(folder: str, ask: str, show: str) -> int:
    cells = [nbformat.v4.new_code_cell(source) for source in (ask, show)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    NotebookClient(notebook, resources={"metadata": {"path": folder}}).execute()
    return len(nbformat.writes(notebook).encode())


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["BELUGA_MODE"] = "auto"  # in CI, too
        print(f"{'picture':46} {'nothing':>9} {'beluga_nb':>11} {'bare PIL':>11}")
        for prompt, size, n in PICTURES:
            ask = ASK.format(prompt=prompt, size=size, n=n)
            nothing, ours = weight(folder, ask, "None"), weight(folder, ask, "whale")
            bare = weight(folder, ask, "for image in whale: display(image)")
            print(
                f"{n} x {size} {prompt[:38]:40} {nothing / 1e6:6.3f} MB"
                f" + {(ours - nothing) / 1e6:6.3f} MB + {(bare - nothing) / 1e6:6.3f} MB"
            )


if __name__ == "__main__":
    main()
