"""`%load_ext beluga_nb` in a warm interpreter (IPython and ipykernel imported), beside `import httpx`.

    python -m benchmarks.load [runs]

Each run is a fresh process; the figures are milliseconds, median (least to most).
"""

import statistics
import subprocess
import sys

SHELL = """
import time
from IPython.core.interactiveshell import InteractiveShell
import ipykernel.ipkernel
shell = InteractiveShell.instance()
began = time.perf_counter()
{what}
print((time.perf_counter() - began) * 1000)
"""

SUBJECTS = {
    "%load_ext beluga_nb": "shell.run_line_magic('load_ext', 'beluga_nb')",
    "import httpx": "import httpx",
    "import openai": "import openai",
}


def milliseconds(what: str) -> float:
    words = [sys.executable, "-c", SHELL.format(what=what)]
    return float(subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()[-1])


def main(runs: int = 15) -> None:
    for name, what in SUBJECTS.items():
        taken = sorted(milliseconds(what) for _ in range(runs))
        print(f"{name:22} {statistics.median(taken):7.1f} ms  ({taken[0]:.1f} to {taken[-1]:.1f})")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
