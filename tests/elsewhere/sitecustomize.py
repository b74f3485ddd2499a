"""With this folder on PYTHONPATH, Python on Linux lacks what it lacks on Windows.

Python imports a module of this name as it starts, in children as well. What the standard library itself needs
stays, or is imported first: elsewhere it has other ways. So this shows what we use, not how Windows behaves.
"""

import asyncio  # noqa: F401
import concurrent.futures.process  # noqa: F401
import multiprocessing.util  # noqa: F401
import os
import select
import selectors  # noqa: F401
import signal
import socket
import subprocess  # noqa: F401
import sys
import tempfile  # noqa: F401

MISSING = {
    os: "fork forkpty pread pwrite geteuid getegid getuid getgid getpgid getpgrp getsid setsid killpg fchmod",
    select: "poll epoll",
    signal: "SIGHUP SIGUSR1 pthread_kill sigwait setitimer alarm",
}
MODULES = ("fcntl", "pwd", "grp", "resource", "termios", "pty", "tty", "readline")


def of_sockets(function):
    """`select.select` as it is on Windows: it takes sockets alone."""

    def select_sockets(*lists):
        for each in (each for some in lists[:3] for each in some):
            with socket.socket(fileno=os.dup(each if isinstance(each, int) else each.fileno())) as one:
                one.getsockname()  # OSError for what is none
        return function(*lists)

    return select_sockets


for module, names in MISSING.items():
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
sys.modules |= dict.fromkeys(MODULES)  # type: ignore[arg-type]  # None: an ImportError
select.select = of_sockets(select.select)
