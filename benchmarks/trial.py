"""One trial in this process: `python -m benchmarks.trial MODULE ROW SUBJECT SIZE PORT FOLDER PREPARED`.

With the subject "prepare" it fills the prepared folder. Prints the measures as JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

from benchmarks.rows import Job, Row


def main(module: str, name: str, subject: str, size: str, port: str, folder: str, prepared: str) -> None:
    row: Row = importlib.import_module(f"benchmarks.{module}").ROWS[name]
    os.chdir(folder)
    job = Job(int(size), int(port), Path(folder), Path(prepared))
    if subject == "prepare":
        assert row.prepare
        row.prepare(job)
    else:
        print(json.dumps(row.subjects[subject](job)), flush=True)
        os._exit(0)  # Threads of clients and open sessions need not end in order.


if __name__ == "__main__":
    main(*sys.argv[1:])
