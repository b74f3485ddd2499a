"""Whether the installed ipykernel answers every cell, with nothing of ours in it.

    python -m benchmarks.cells [kernels] [cells]

Trivial cells one after the other in plain kernels, each sent when the one before is done. A cell that is
not answered within 20 s counts as lost, and ends its kernel.
"""

import queue
import subprocess
import sys
import time
from importlib.metadata import version

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

PATIENCE = 20
"""Seconds."""


def answered(client: BlockingKernelClient, cell: str) -> bool:
    number, until = client.execute(cell), time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            message = client.get_iopub_msg(timeout=0.1)
        except queue.Empty:
            continue
        ours = message["parent_header"].get("msg_id") == number
        if ours and message["content"].get("execution_state") == "idle":
            return True
    return False


def first_lost(cells: int) -> int | None:
    """Return the number of the first cell that a new kernel does not answer."""
    manager = KernelManager()
    manager.start_kernel(stderr=subprocess.DEVNULL)
    client = manager.client()
    client.start_channels()
    client.wait_for_ready(timeout=60)
    try:
        waiting = "import time; time.sleep(0.002)"
        return next((number for number in range(cells) if not answered(client, waiting)), None)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def main(kernels: int = 6, cells: int = 1500) -> None:
    lost = [first_lost(cells) for _ in range(kernels)]
    told = [str(number) for number in lost if number is not None]
    print(f"ipykernel {version('ipykernel')}: {len(told)} of {kernels} kernels lost one of {cells} cells")
    if told:
        print(f"the first lost: {', '.join(told)}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
