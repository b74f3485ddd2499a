"""Claims as objects: made by a conditional write, which fails where there is one.

To take over an abandoned claim, a process writes its successor, whose name contains a hash of the abandoned
claim's token. Several machines that see the same claim try the same name, and one succeeds. Successors form
a chain, and the owner of the last claim holds it. When it is done, it removes the chain from the first claim
on. A heartbeat writes the claim again with another number. A process that waits times how long the content
stays the same; clocks of machines are never compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from uuid import uuid4

from beluga_nb.store.claims import BEGINNING, Owner, owner_fields, parse_owner
from beluga_nb.store.objects import Objects, RemoteError

LATE = 15.0
"""Seconds since the last written heartbeat after which `release` checks whether the claim was taken over."""

LONGEST_CHAIN = 100
"""Claims of a chain above which it is refused as not written by beluga_nb."""


@dataclass
class ObjectClaim:
    """A claim that this process holds; `names` are those of its chain, its own last."""

    objects: Objects
    names: tuple[str, ...]
    token: str
    _numbers: count[int] = field(default_factory=lambda: count(1), repr=False)
    _beaten: float = field(default_factory=time.monotonic, repr=False)

    def beat(self) -> None:
        """Give a heartbeat."""
        with contextlib.suppress(RemoteError):
            self.objects.write({self.names[-1]: _owner(self.token, next(self._numbers))})
            self._beaten = time.monotonic()

    def release(self) -> None:
        """Remove the chain, unless another process has taken the claim over."""
        with contextlib.suppress(RemoteError):  # What is left counts as abandoned, and is taken over.
            if time.monotonic() - self._beaten > LATE:
                with contextlib.suppress(FileNotFoundError):
                    self.objects.read(_successor(self.names[0], self.token))
                    return
            for name in self.names:
                self.objects.remove([name])


class ObjectWatch:
    """What one process sees of claims at an address each time that it looks; the counterpart of `ClaimWatch`.

    `before` is called before a claim is written, and `taken` after that.
    """

    def __init__(
        self, objects: Objects, name: str, *, before: Callable[[], object], taken: Callable[[], object]
    ) -> None:
        self.objects = objects
        self.name = name
        self.before = before
        self.taken = taken
        self.holder = Owner()
        self.is_ours = True
        self.silent_for = 0.0  # seconds, on the monotonic clock of this process
        self.age = 0.0  # unknown: the clocks of other machines are not read
        self._chain: tuple[tuple[str, str], ...] = ()  # names and tokens
        self._takes_over = False
        self._content = b""
        self._seen = 0.0

    def take(self) -> ObjectClaim:
        """Make a claim; raise `FileExistsError` where there is one."""
        older = self._chain if self._takes_over else ()
        self._takes_over = False
        self.before()
        name = _successor(self.name, self.holder.token) if older else self.name
        token = str(uuid4())
        try:
            self.objects.create(name, _owner(token))
        except FileExistsError:
            # A request that a driver repeated finds what its first attempt has written.
            if self._token(name) != token:
                raise
        # Another process may have removed the chain before this claim was made.
        if older and self._token(self.name) != older[0][1]:
            self.objects.remove([name])
            raise FileExistsError(name)
        self.taken()
        return ObjectClaim(self.objects, (*(each for each, _ in older), name), token)

    def look(self) -> None:
        """Read who holds the claim, and how long it is silent; raise `FileNotFoundError` if there is none."""
        chain, content = list[tuple[str, str]](), self.objects.read(self.name)
        while True:
            self.holder = parse_owner(content)
            self.is_ours = content.startswith(BEGINNING) and bool(self.holder.token)
            name = _successor(self.name, chain[-1][1]) if chain else self.name
            chain.append((name, self.holder.token))
            if not self.is_ours or len(chain) > LONGEST_CHAIN:
                raise RemoteError(
                    f"The object {self.name} in {self.objects.address} is no claim of beluga_nb.",
                    "Nothing was sent. Remove that object.",
                )
            try:
                content = self.objects.read(_successor(self.name, self.holder.token))
            except FileNotFoundError:
                break
        if content != self._content:
            self._content, self._seen = content, time.monotonic()
        self._chain, self.silent_for = tuple(chain), time.monotonic() - self._seen

    def remove(self) -> bool:
        """Let the next `take` write the successor of the claim that was seen, which is abandoned."""
        self._takes_over = True
        return True

    def _token(self, name: str) -> str:
        try:
            return parse_owner(self.objects.read(name)).token
        except FileNotFoundError:
            return ""


def _owner(token: str, beat: int = 0) -> bytes:
    return json.dumps({**owner_fields(token), "beat": beat}).encode()


def _successor(name: str, token: str) -> str:
    return f"{name}.{hashlib.sha256(token.encode('utf-8', 'replace')).hexdigest()[:32]}"
