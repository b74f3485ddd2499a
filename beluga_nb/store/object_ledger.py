"""The ledger of a store at an address: an object for each line, under the number of the line.

A conditional write makes the object. So only one of two machines gets a number, and both read the lines in
the same order.
"""

from __future__ import annotations

from beluga_nb.store.mirror import READ_AT_ONCE, Mirror


class ObjectLedger:
    """The lines of a store's ledger, as `budget.Budget` reads and adds them."""

    def __init__(self, mirror: Mirror) -> None:
        self._mirror = mirror
        self._text, self._start, self._lines = b"", 0, 0
        self._is_read = False  # to the end

    def add(self, line: bytes) -> None:
        """Add a line; raise `StoreError` where that fails."""
        self._mirror.ensure_store()
        # A request that a driver repeated finds what its first attempt has written.
        while (there := self._mirror.objects.create(_name(self._lines + 1), line)) not in {None, line}:
            self._append(there or b"")
        self._append(line)
        self._is_read = True

    def read(self, start: int) -> bytes | None:
        """Return what is known from `start` on, or else what others have added.

        Returns None where the objects were removed since the last call.
        """
        if start < self._start:
            self._begin_anew()
        self._text, self._start = self._text[start - self._start :], start
        if self._text:
            return self._text
        # What was added last is the end: nothing else was there when it was written.
        is_read, self._is_read = self._is_read, False
        if not is_read and not self._read_on():
            self._begin_anew()
            return None
        return self._text

    def _begin_anew(self) -> None:
        self._text, self._start, self._lines = b"", 0, 0
        self._is_read = False

    def _read_on(self) -> bool:
        """Read the lines that others have added; return whether the last known one is still there."""
        count = 1
        while True:
            last = _name(self._lines)
            names = [_name(self._lines + number) for number in range(count + 1)]
            found = self._mirror.objects.read_all(names if self._lines else names[1:])
            if self._lines and last not in found:
                return False
            for name in names[1:]:
                if name not in found:
                    return True
                self._append(found[name])
            count = READ_AT_ONCE

    def _append(self, line: bytes) -> None:
        # Each object counts as one line, whatever is in it.
        self._text += line.replace(b"\n", b" ").rstrip() + b"\n"
        self._lines += 1


def _name(number: int) -> str:
    return f"spent/{number:012}.json"
