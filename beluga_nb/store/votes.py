"""Votes: one file of lines per voting session. Lines are only ever added.

    votes/2026-11-24T12-05-00Z-1f0c9b2e.jsonl   a line for each answer, or for one that was taken back

A vote names two pictures by their SHA-256, and no model: the records of the pictures name it. Sessions of
other people and of other git branches lie beside it and count, too. A vote that lies in two files counts
once. Forgetting a picture blanks the lines that name it, in place.

A line may also exclude a voter, for a reason that is kept with it. Their votes stay, and do not count.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from beluga_nb.errors import StoreError
from beluga_nb.paths import open_file
from beluga_nb.process.locks import ProcessLock
from beluga_nb.store import files
from beluga_nb.store.claims import await_claim
from beluga_nb.store.codec import CorruptFileError, encode_line, sha256_text
from beluga_nb.store.collection import Collection, Found, PackedFile, References, hashes_in
from beluga_nb.store.scores import naming
from beluga_nb.text import sanitize
from beluga_nb.untrusted import number, text, whole

if TYPE_CHECKING:
    from beluga_nb.store.records import Store

LEFT, RIGHT, TIE, BOTH_BAD = ANSWERS = ("left", "right", "tie", "both bad")
"""The answers to which of two pictures is better."""

LONGEST_VOTER = 80
"""Characters of a voter's name, and of a criterion."""

LONGEST_REASON = 400
"""Characters of why a voter is excluded."""

LOCK = f"{hashlib.sha256(b'votes').hexdigest()}.claim"
"""The name of the claim of the process that votes; no request has this key."""

LOCK_TIMEOUT = 30.0
"""Seconds that a vote waits for those of other processes."""

LOCK_ABANDONED_AFTER = 20.0
"""Seconds after which the claim of another machine's process is abandoned."""

_VOTE = b'{"answer":'  # how a vote begins, as it is written
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Vote:
    """An answer to which of two pictures is better, shown `left` and `right`; `time` is Unix time.

    `voter` is a name that the voter chose, if any, and `criterion` what was asked about. `seconds` is how
    long the pictures were shown.
    """

    id: str
    left: str
    right: str
    answer: str
    voter: str = ""
    time: int = 0
    criterion: str = ""
    seconds: float | None = None

    def to_line(self) -> bytes:
        """Return its line in a file."""
        # Without what is not known, so that older votes keep their bytes.
        known = {"criterion": self.criterion or None, "seconds": self.seconds}
        fields = {name: value for name, value in asdict(self).items() if name not in known}
        return encode_line(fields | {name: value for name, value in known.items() if value is not None})


@dataclass(frozen=True)
class Undone:
    """A vote that was taken back."""

    id: str

    def to_line(self) -> bytes:
        """Return its line in a file."""
        return encode_line({"undo": self.id})


@dataclass(frozen=True, kw_only=True)
class Exclusion:
    """That the votes of a voter do not count, and why; it can be taken back like a vote."""

    id: str
    voter: str
    reason: str
    time: int = 0

    def to_line(self) -> bytes:
        """Return its line in a file."""
        fields = {"excluded": self.voter, "id": self.id, "reason": self.reason, "time": self.time}
        return encode_line(fields)


def voter_name(name: str) -> str:
    """Return a voter's name as the store keeps it, whatever it was given as.

    >>> voter_name(" Ada  Lovelace\\n")
    'Ada Lovelace'
    """
    return sanitize(name, LONGEST_VOTER)


Line = Vote | Undone | Exclusion
"""What a line of a file says."""


@dataclass(frozen=True)
class Box:
    """The votes of one session on one criterion; the first makes their file."""

    store: Store
    voter: str = ""
    criterion: str = ""
    clock: Callable[[], float] = field(default=time.time, repr=False)

    @cached_property
    def path(self) -> Path:
        """The file of this session."""
        began = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        return self.store.folder / "votes" / f"{began}-{uuid4().hex[:8]}.jsonl"

    def cast(self, *, left: str, right: str, answer: str, seconds: float | None = None) -> Vote:
        """Record an answer and return it; raise `StoreError` where that fails."""
        vote = Vote(
            id=uuid4().hex,
            left=left,
            right=right,
            answer=answer,
            voter=voter_name(self.voter),
            time=int(self.clock()),
            criterion=sanitize(self.criterion, LONGEST_VOTER),
            seconds=None if seconds is None else round(seconds, 1),
        )
        self._add(vote.to_line())
        return vote

    def exclude(self, reason: str) -> None:
        """Record that the votes of this voter do not count; raise `StoreError` where that fails."""
        voter, why = voter_name(self.voter), sanitize(reason, LONGEST_REASON)
        excluded = Exclusion(id=uuid4().hex, voter=voter, reason=why, time=int(self.clock()))
        self._add(excluded.to_line())

    def undo(self, line: Vote | Exclusion) -> None:
        """Take a vote or an exclusion back; raise `StoreError` where that cannot be written."""
        self._add(Undone(line.id).to_line())

    def _add(self, line: bytes) -> None:
        with naming("Votes"):
            self.store.add_line(self.path, line)


def _parse(fields: Mapping[str, Any]) -> Line:
    if "undo" in fields:
        return Undone(_id(fields["undo"]))
    if "excluded" in fields:
        return Exclusion(
            id=_id(fields["id"]),
            voter=voter_name(text(fields["excluded"])),
            reason=sanitize(text(fields["reason"]), LONGEST_REASON),
            time=whole(fields["time"]),
        )
    answer = text(fields["answer"])
    if answer not in ANSWERS:
        raise ValueError("no vote")
    return Vote(
        id=_id(fields["id"]),
        left=sha256_text(fields["left"]),
        right=sha256_text(fields["right"]),
        answer=answer,
        voter=voter_name(text(fields["voter"])),
        time=whole(fields["time"]),
        criterion=sanitize(text(fields.get("criterion", "")), LONGEST_VOTER),
        seconds=None if fields.get("seconds") is None else number(fields["seconds"]),
    )


def _id(value: object) -> str:
    if not _ID.fullmatch(name := text(value)):
        raise ValueError("no id")
    return name


def _references(line: Line) -> References:
    return References({line.left, line.right} if isinstance(line, Vote) else set())


_OUR_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ-[0-9a-f]{8}|[0-9a-f]{64}")
"""What a session, or a pack, calls a file of votes."""


@dataclass(frozen=True, kw_only=True)
class _Votes(Collection[Line]):
    """Files of lines. In a pack all votes are in one file, which is named by its own SHA-256."""

    def found(self, path: Path, store: Store) -> list[Found[Line]]:
        try:
            lines = files.read(path, root=store.folder, most=self.largest).splitlines()
        except FileNotFoundError:
            raise
        except OSError as error:
            return [Found(path, CorruptFileError(error.strerror or str(error), path), 1)]
        return [Found(path, self._line(line), number) for number, line in enumerate(lines, 1) if line.strip()]

    def _line(self, line: bytes) -> Line | CorruptFileError:
        try:
            return self.decode(line)
        except CorruptFileError as error:
            return error

    def is_ours(self, path: Path, root: Path) -> bool:
        del path, root
        return True  # `forget` blanks no other lines than ours

    def hashes(self, path: Path, root: Path) -> set[str]:
        # A file of ours without votes has a name too: it goes when everything is forgotten.
        nothing = {path.stem} if _OUR_NAME.fullmatch(path.stem) else set()
        return hashes_in(files.head(path, root=root)) or nothing

    def packed(self, store: Store, is_wanted: Callable[[Line], bool]) -> Iterator[PackedFile[Line]]:
        cast = [vote for vote in votes(store) if is_wanted(vote)]
        voters = {vote.voter for vote in cast}
        excluded = [each for voter, each in sorted(exclusions(store).items()) if voter in voters]
        lines: list[Line] = [*cast, *excluded]
        written = b"".join(line.to_line() for line in lines)
        if written:
            name = hashlib.sha256(written).hexdigest()
            yield PackedFile(self.place(name), lines, lambda: written)

    def unpacked(self, name: str, data: bytes) -> Sequence[Line]:
        if hashlib.sha256(data).hexdigest() != name:
            raise ValueError(name)
        lines = [self.decode(line) for line in data.splitlines()]
        if any(isinstance(line, Undone) for line in lines):
            raise CorruptFileError("a pack holds no vote that was taken back")
        return lines

    def forget(self, path: Path, pictures: Set[str], *, root: Path) -> bool:
        files.check_inside(path, root)
        return blank(path, pictures, root=root)


VOTES = _Votes(
    folder="votes",
    pattern=re.compile(r".*\.jsonl", re.DOTALL),
    suffix=".jsonl",
    depth=1,
    largest=files.LARGEST_LINES,
    parse=_parse,
    name=lambda line: line.id,
    first_fields={"answer", "excluded", "schema"},
    references=_references,
)


def votes(store: Store) -> list[Vote]:
    """Return the votes of all sessions that were not taken back, the oldest first."""
    return votes_and_exclusions(store)[0]


def exclusions(store: Store) -> dict[str, Exclusion]:
    """Return the exclusions that were not taken back by the names of their voters; the latest of each."""
    return votes_and_exclusions(store)[1]


def votes_and_exclusions(store: Store) -> tuple[list[Vote], dict[str, Exclusion]]:
    """Return both of what the same files hold, which are read once."""
    lines = _standing(VOTES.values(store))
    return (
        [line for line in lines if isinstance(line, Vote)],
        {line.voter: line for line in lines if isinstance(line, Exclusion)},
    )


def _standing(found: Iterable[Line]) -> list[Vote | Exclusion]:
    found = list(found)
    undone = {each.id for each in found if isinstance(each, Undone)}
    lines = {each.id: each for each in found if not isinstance(each, Undone) and each.id not in undone}
    return sorted(lines.values(), key=lambda line: (line.time, line.id))


class VotesReader:
    """The votes of a store, read again and again: each time only the files that have changed."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._lock = ProcessLock()
        self._files: dict[Path, tuple[tuple[int, int, int], list[Line]]] = {}
        self._votes: list[Vote] = []

    def votes(self) -> list[Vote]:
        """Return the same as `votes`."""
        with self._lock:
            paths = [] if self.store.outside(self.store.folder / VOTES.folder) else VOTES.paths(self.store)
            found = {path: self._read(path) for path in paths}
            if any(each is not self._files.get(path) for path, each in found.items()) or len(found) != len(
                self._files
            ):
                self._files = found
                lines = _standing(line for _, lines in found.values() for line in lines)
                self._votes = [line for line in lines if isinstance(line, Vote)]
            return self._votes

    def _read(self, path: Path) -> tuple[tuple[int, int, int], list[Line]]:
        # Before it is read: a line that is added meanwhile changes the state once more.
        with contextlib.suppress(OSError):
            state = path.stat()
            key = (state.st_ino, state.st_size, state.st_mtime_ns)
            known = self._files.get(path)
            if known and known[0] == key:
                return known
            values = [each.value for each in VOTES.found(path, self.store)]
            return key, [value for value in values if not isinstance(value, CorruptFileError)]
        return _NOTHING


_NOTHING: tuple[tuple[int, int, int], list[Line]] = (0, 0, 0), []


@contextlib.contextmanager
def exclusively(store: Store) -> Iterator[None]:
    """Let no other process vote in the block; raise `StoreError` where that fails.

    What is decided by the votes of a store, such as whether a voter has judged a pair, is decided and written
    in one block.
    """
    with naming("Votes"), store.writing():
        try:
            claim = await_claim(store.watch(LOCK), timeout=LOCK_TIMEOUT, silence=LOCK_ABANDONED_AFTER)
        except TimeoutError:
            raise StoreError("Votes are not recorded: another process is voting.", "Try again.") from None
    try:
        yield
    finally:
        claim.release()


def blank(path: Path, names: Set[str], *, root: Path) -> bool:
    """Blank the lines that name one of these pictures; return whether nothing else is in the file.

    Lines are overwritten in place, which needs no room on the disk and loses no line that is added meanwhile.
    A file with a second hard link, such as a backup, is written anew.
    """
    wanted = [name.encode() for name in names]
    with open_file(path, os.O_RDWR) as file:
        state = os.fstat(file.fileno())
        if state.st_size > files.LARGEST_LINES:
            raise OSError(errno.EFBIG, f"it has more than {files.LARGEST_LINES:,} bytes")
        written, rest, start = bytearray(file.read() or b""), False, 0
        for line in bytes(written).splitlines(keepends=True):
            bare = line.rstrip(b"\r\n")
            if bare.startswith(_VOTE) and any(name in bare for name in wanted):
                written[start : start + len(bare)] = b" " * len(bare)
                # With a second link, overwriting would change the backup too.
                if state.st_nlink == 1:
                    file.seek(start)
                    file.write(b" " * len(bare))
            else:
                rest = rest or (bool(bare.strip()) and not _is_without_votes(bare))
            start += len(line)
        os.fsync(file.fileno())
        if state.st_nlink > 1:
            files.write(path, bytes(written), root=root)
            # Lines that another process has added meanwhile.
            if added := file.read():
                files.add(path, added, root=root)
    return not rest


def _is_without_votes(line: bytes) -> bool:
    with contextlib.suppress(CorruptFileError):
        return not isinstance(VOTES.decode(line), Vote)
    return False
