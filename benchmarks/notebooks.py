"""What a shown picture adds to a notebook file, beside showing the PIL image itself."""

from __future__ import annotations

import os
from functools import partial

from benchmarks.rows import MODEL, Job, Measures, Row

PROMPT = "Futuristic city skyline at night with neon"
ASK = f"import beluga_nb; city = beluga_nb.generate({PROMPT!r}, model={MODEL!r}, n={{n}}, assume_yes=True)"


def weight(job: Job, show: str) -> int:
    """Return the bytes of a notebook that asks for pictures and shows them, when it has run."""
    import nbformat
    from nbclient import NotebookClient

    cells = [nbformat.v4.new_code_cell(source) for source in (ASK.format(n=job.size), show)]
    notebook = nbformat.v4.new_notebook(cells=cells)
    os.environ["BELUGA_MODE"] = "auto"
    NotebookClient(notebook, resources={"metadata": {"path": str(job.folder)}}).execute()
    return len(nbformat.writes(notebook).encode())


def added(show: str, job: Job) -> Measures:
    """Return the bytes that showing the pictures adds."""
    return {"bytes": weight(job, show) - weight(job, "None")}


ROWS = {
    "notebook": Row(
        "what so many painted pictures of 1024 x 1024 add to a notebook",
        {
            "bare PIL images": partial(added, "for image in city: display(image)"),
            "beluga_nb": partial(added, "city"),
        },
        (1, 4),
        rounds=1,
        quick_sizes=(1,),
        needs={"bare PIL images": "nbclient", "beluga_nb": "nbclient"},
    )
}
