"""No route: a process with this folder on PYTHONPATH, and its children, reach this machine and no other.

Python imports a module of this name as it starts. What asks for more gets what a machine without a network
gives; no privilege is needed, so it holds wherever the checks run.
"""

import errno
import ipaddress
import sys

CALLS = {"socket.connect", "socket.sendto", "socket.sendmsg"}
LOOKUPS = {"socket.getaddrinfo", "socket.gethostbyname"}


def is_here(host):
    """Whether a host is this machine: a loopback address, its name, or none at all."""
    if isinstance(host, bytes):
        host = host.decode("ascii", "replace")
    if host in {None, "", "localhost"}:
        return True
    try:
        return ipaddress.ip_address(str(host).partition("%")[0]).is_loopback
    except ValueError:
        return False


def refuse_others(event, words):
    """Raise `OSError` where a connection or look-up leads to another machine."""
    if event in CALLS:
        address = words[1]
        if not isinstance(address, tuple):  # of a Unix socket, or of one that is connected already
            return
        host = address[0]
    elif event in LOOKUPS:
        host = words[0]
    else:
        return
    if not is_here(host):
        raise OSError(errno.ENETUNREACH, "Network is unreachable (tests/offline)")


sys.addaudithook(refuse_others)
