"""Votes: one file of lines per voting session, which is only ever added to.

    votes/2026-11-24T12-05-00Z-1f0c9b2e.jsonl   a line for each answer, or for one that was taken back

A vote names two pictures by their SHA-256, and no model: what they stand for is known from the pictures.
Sessions of other people and of other git branches lie beside it, and all of them count; a vote that lies in
two files counts once. Forgetting a picture blanks the lines that name it, where they stand.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from uuid import uuid4

from beluga_nb.paths import open_file
from beluga_nb.store import files
from beluga_nb.store.records import SCHEMA, Store, Unusable, canonical_json, damage_told, json_of
from beluga_nb.store.scores import told_of
from beluga_nb.text import sanitize
from beluga_nb.untrusted import text, whole

ANSWERS = {"left", "right", "tie", "both bad"}

LONGEST_VOTER = 80
"""Characters of a voter's name."""

_VOTE = b'{"answer":'  # how a vote begins, as it is written
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, kw_only=True)
class Vote:
    """An answer to which of two pictures is better, shown `left` and `right`; `time` is Unix time.

    `voter` is what the voter chose to be called, if anything.
    """

    id: str
    left: str
    right: str
    answer: str
    voter: str = ""
    time: int = 0

    def to_line(self) -> bytes:
        """Return the vote as it is written."""
        return canonical_json({"schema": SCHEMA, **asdict(self)}) + b"\n"


@dataclass(frozen=True)
class Undone:
    """A vote that was taken back."""

    id: str

    def to_line(self) -> bytes:
        """Return it as it is written."""
        return canonical_json({"schema": SCHEMA, "undo": self.id}) + b"\n"


@dataclass(frozen=True)
class Box:
    """Where the votes of one session go; the file is made by the first."""

    store: Store
    voter: str = ""
    clock: Callable[[], float] = field(default=time.time, repr=False)

    @cached_property
    def path(self) -> Path:
        """The file of this session."""
        began = datetime.fromtimestamp(self.clock(), UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
        return self.store.folder / "votes" / f"{began}-{uuid4().hex[:8]}.jsonl"

    def cast(self, *, left: str, right: str, answer: str) -> Vote:
        """Record an answer and return it; raise `StoreError` where that fails."""
        vote = Vote(
            id=uuid4().hex,
            left=left,
            right=right,
            answer=answer,
            voter=sanitize(self.voter, LONGEST_VOTER),
            time=int(self.clock()),
        )
        self._add(vote.to_line())
        return vote

    def undo(self, vote: Vote) -> None:
        """Take a vote back; raise `StoreError` where that cannot be written."""
        self._add(Undone(vote.id).to_line())

    def _add(self, line: bytes) -> None:
        with told_of("Votes"):
            self.store.add_line(self.path, line)


def vote_paths(store: Store) -> list[Path]:
    """Return where votes are."""
    return store.paths("votes", depth=1, suffix=".jsonl")


def said_of(line: bytes) -> Vote | Undone:
    """Return what a line says; raise `Unusable` where it is damaged or of a newer format."""
    said = json_of(line)
    with damage_told():
        return Undone(_matching(_ID, said["undo"])) if "undo" in said else _vote(said)


def _vote(said: Mapping[str, object]) -> Vote:
    answer = text(said["answer"])
    if answer not in ANSWERS:
        raise ValueError("no vote")
    return Vote(
        id=_matching(_ID, said["id"]),
        left=_matching(files.SHA256, said["left"]),
        right=_matching(files.SHA256, said["right"]),
        answer=answer,
        voter=sanitize(text(said["voter"]), LONGEST_VOTER),
        time=whole(said["time"]),
    )


def _matching(pattern: re.Pattern[str], said: object) -> str:
    if not pattern.fullmatch(name := text(said)):
        raise ValueError("no name")
    return name


def lines(store: Store) -> Iterator[tuple[Path, int, Vote | Undone | Unusable]]:
    """Yield what each line of each file says, or why it is unusable, with its number from 1 on."""
    for path in vote_paths(store):
        try:
            written = files.read(path, root=store.folder, most=files.LARGEST_LINES)
        except FileNotFoundError:  # someone else has just forgotten it
            continue
        except OSError as error:
            yield path, 1, Unusable(error.strerror or str(error))
            continue
        for number, line in enumerate(written.splitlines(), 1):
            if line.strip():
                yield path, number, _said(line)


def _said(line: bytes) -> Vote | Undone | Unusable:
    try:
        return said_of(line)
    except Unusable as unusable:
        return unusable


def votes(store: Store) -> list[Vote]:
    """Return the votes of everybody that were not taken back, the oldest first."""
    said = [each for _, _, each in lines(store)]
    undone = {each.id for each in said if isinstance(each, Undone)}
    cast = {each.id: each for each in said if isinstance(each, Vote) and each.id not in undone}
    return sorted(cast.values(), key=lambda vote: (vote.time, vote.id))


def packed(cast: Iterable[Vote], images: Collection[str]) -> bytes:
    """Return the votes on some pictures, as the lines of one file."""
    return b"".join(vote.to_line() for vote in cast if {vote.left, vote.right} <= set(images))


def blank(path: Path, names: Collection[str], *, root: Path) -> bool:
    """Blank the lines that name one of these pictures; return whether nothing else is in the file.

    Each is overwritten where it stands, which needs no room on the disk and loses no line that is added
    meanwhile. A file with a second name, as backups of hard links give it, is written anew.
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
                if state.st_nlink == 1:
                    file.seek(start)
                    file.write(b" " * len(bare))
            else:
                rest = rest or (bool(bare.strip()) and not _is_undo(bare))
            start += len(line)
        os.fsync(file.fileno())
        if state.st_nlink > 1:
            files.write(path, bytes(written), root=root)
            if added := file.read():
                files.add(path, added, root=root)
    return not rest


def _is_undo(line: bytes) -> bool:
    with contextlib.suppress(Unusable):
        return isinstance(said_of(line), Undone)
    return False
