"""The voting page: the booth as one web page, for voters without a notebook.

Each voter has a secret token, which is part of the page's address. Voters begin with a name or a code of
their own, or, where voters are invited, each has a link. Pictures are encoded anew in pairs, and their names
are random and new for each question. A vote is on the disk before the page shows what comes next.
"""

from __future__ import annotations

import csv
import io
import re
import secrets
import socket
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Unpack

from beluga_nb.compare.gallery import BallotOptions
from beluga_nb.compare.vote import SKIP, Pair
from beluga_nb.compare.voting import Contest, Voting
from beluga_nb.errors import BelugaError, SettingsError
from beluga_nb.hints import Code, Hint
from beluga_nb.paths import not_written, read_file, replacing
from beluga_nb.redaction import redacted_bundle
from beluga_nb.result import Bundle
from beluga_nb.server.ballot import POLICY, FullError, Page, State, UnknownLinkError, create_ballot_app
from beluga_nb.server.guard import NAMES, Guard
from beluga_nb.server.serve import HOST, uvicorn_run
from beluga_nb.show.blind import blind
from beluga_nb.show.markup import outside
from beluga_nb.show.template import fill, read_template
from beluga_nb.store.votes import ANSWERS, LEFT, RIGHT, Vote, voter_name
from beluga_nb.text import plural, sanitize, shown

CONSENT = (
    "You will see two pictures at a time, and choose the better one. Each answer is stored with the name or "
    "code that you give, the time, and how long it took; nothing else is stored. You may stop at any time."
)
"""What a voter agrees to, unless the author writes something else."""

LINKS = "ballot-links.csv"
"""The file of invitations, unless another is named."""

UNDO = "undo"

_EDGE, _LENGTH = 1024, 320_000  # pixels and bytes of a picture: a page has more room than a cell
_PAIRS_KEPT = 48  # 30 MB
_MOST_VOTERS = 5000
_MOST_VOTES = 5_000_000
_CONNECTIONS = 1024  # A browser opens up to six.
_START = 60.0  # seconds
_LONGEST_SHOWN = 86_400.0  # seconds
_NAME = re.compile(r"[A-Za-z0-9.-]+|[0-9A-Fa-f:.]+")
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,64}")
_LONGEST_FILE = 4 * 2**20


@dataclass(kw_only=True)
class _Seat:
    """A voter, and what they are shown; `asked` is the number of their question."""

    voter: str
    voting: Voting | None = None
    shown: Pair | None = None
    asked: str = field(default_factory=secrets.token_urlsafe)
    caption: str = ""
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    sides: Mapping[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)


class BallotPoll:
    """A vote on a contest (`server.ballot.Poll`): who votes, what each is asked, and when it is over.

    `invited` are the voters by their tokens; without any, everyone who opens the page may vote. Each is
    asked about at most `each` pairs. It ends after `close_after` votes in all, or at `close_at` in Unix time.
    """

    def __init__(
        self,
        contest: Contest,
        *,
        invited: Mapping[str, str] | None = None,
        each: int | None = None,
        close_after: int | None = None,
        close_at: float | None = None,
        repeats: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.contest, self.is_open = contest, not invited
        self._begin = partial(Voting, contest, repeats=repeats, is_closed=lambda: self.closed)
        self._each, self._close_after, self._close_at, self._clock = each, close_after, close_at, clock
        self._asked = {pair.pictures for pair in contest.pairs}
        self._known = {vote.voter for vote in self._cast()}
        self._seats: dict[str, _Seat] = {}  # by the voter's name
        self._tokens = {token: self._seat(voter) for token, voter in (invited or {}).items()}
        self._pairs: OrderedDict[frozenset[str], tuple[str, Mapping[str, bytes]]] = OrderedDict()
        self._lock, self._drawing = threading.Lock(), threading.Lock()

    @property
    def votes(self) -> int:
        """How many votes there are on these pairs."""
        return len(self._cast())

    @property
    def closed(self) -> bool:
        """Whether it is over."""
        return bool(self.close_reason)

    @property
    def close_reason(self) -> str:
        """Why it is over; empty while it is not."""
        if (after := self._close_after) is not None and self.votes >= after:
            return f"it was to end after {plural(after, 'vote')}"
        return "its time is over" if (at := self._close_at) is not None and self._clock() >= at else ""

    def _cast(self) -> list[Vote]:
        # Of the store: other pages and booths take votes on these pairs, too.
        return [vote for vote in self.contest.cast() if frozenset({vote.left, vote.right}) in self._asked]

    def state(self, token: str) -> State:
        """Return what the voter's page shows."""
        if not token:
            return {"stage": "closed" if self.closed else "consent" if self.is_open else "uninvited"}
        seat = self._seat_of(token)
        with seat.lock:
            return self._state(seat)

    def begin(self, token: str, voter: str) -> str:
        """Begin, after the voter has consented, and return their token."""
        if token:
            seat = self._seat_of(token)
        elif self.is_open:
            token, seat = self._seated(voter_name(voter))
        else:
            raise UnknownLinkError
        with seat.lock:
            seat.voting = seat.voting or self._begin(voter=seat.voter)
        return token

    def answer(self, token: str, question: str, answer: str, seconds: float | None) -> State:
        """Record an answer to a question, if that is still asked, and return what comes next.

        The same answer sent twice, or from a second tab, is an answer to a question that is no longer asked.
        """
        seat = self._seat_of(token)
        with seat.lock:
            if (voting := seat.voting) and secrets.compare_digest(question.encode(), seat.asked.encode()):
                if answer == UNDO and not self.closed:
                    voting.undo()
                    seat.shown, seat.asked = None, secrets.token_urlsafe()
                elif seat.shown and not seat.sides:
                    # A picture is damaged: there is nothing to choose from.
                    if answer == SKIP:
                        voting.pass_over()
                        seat.shown = None
                elif answer in {*ANSWERS, SKIP} and seat.shown:
                    # As the browser says, which anyone may have written.
                    visible = None if seconds is None else min(max(seconds, 0.0), _LONGEST_SHOWN)
                    voting.answer(answer, seconds=visible)
                    seat.shown = None
            return self._state(seat)

    def picture(self, token: str, name: str) -> bytes | None:
        """Return a picture of the question that is asked."""
        return self._seat_of(token).pictures.get(name)

    def _seat_of(self, token: str) -> _Seat:
        try:
            return self._tokens[token]
        except KeyError:
            raise UnknownLinkError from None

    def _seated(self, voter: str) -> tuple[str, _Seat]:
        """Return a new token and the seat of a voter, who may have one under another token."""
        with self._lock:
            if len(self._tokens) >= _MOST_VOTERS:
                raise FullError
            # Voters without a name are told apart, or they would count as one.
            voter = voter or f"guest-{secrets.token_hex(4)}"
            token = secrets.token_urlsafe()
            self._tokens[token] = seat = self._seat(voter)
            return token, seat

    def _seat(self, voter: str) -> _Seat:
        if voter not in self._seats:
            self._seats[voter] = _Seat(voter=voter)
        return self._seats[voter]

    def _state(self, seat: _Seat) -> State:
        # Who has voted before a restart has consented.
        if seat.voting is None and seat.voter in self._known and not self.is_open:
            seat.voting = self._begin(voter=seat.voter)
        if (voting := seat.voting) is None:
            return {"stage": "closed" if self.closed else "consent", "voter": seat.voter}
        total = min(voting.total, self._each or voting.total)
        done = min(voting.done, total)
        common = {
            "voter": seat.voter,
            "open": self.is_open,
            "done": done,
            "total": total,
            "note": self.contest.caveat,
        }
        if self.closed:
            seat.shown, seat.pictures = None, {}
            return {"stage": "closed", **common, "summary": voting.summary}
        if done == total or (pair := voting.question) is None:
            seat.shown, seat.pictures = None, {}
            summary = {"summary": voting.summary, "question": seat.asked, "undo": voting.can_undo}
            return {"stage": "end", **common, **summary}
        if seat.shown is not pair:
            self._show(seat, pair)
        return {
            "stage": "vote",
            **common,
            "question": seat.asked,
            "caption": seat.caption,
            "undo": voting.can_undo,
            **seat.sides,
        }

    def _show(self, seat: _Seat, pair: Pair) -> None:
        names = {side: secrets.token_urlsafe() for side in (LEFT, RIGHT)}
        try:
            seat.caption, encoded = self._encoded(pair)
        except BelugaError:  # A damaged picture; the page offers to skip it.
            seat.caption, encoded, names = "", {}, {}
        hashes = {LEFT: pair.left.sha256, RIGHT: pair.right.sha256}
        seat.pictures = {name: encoded[hashes[side]] for side, name in names.items()}
        seat.shown, seat.asked, seat.sides = pair, secrets.token_urlsafe(), names

    def _encoded(self, pair: Pair) -> tuple[str, Mapping[str, bytes]]:
        """Return the caption of a pair and its pictures by SHA-256, both made before either is sent."""
        # One at a time: many voters begin at once, and most of them with the same few pairs.
        with self._drawing:
            if pair.pictures in self._pairs:
                self._pairs.move_to_end(pair.pictures)
            else:
                left, right = (each.picture.image for each in self.contest.samples_of(pair))
                edge = min(_EDGE, max(left.size), max(right.size))  # The larger one shows no more detail.
                both = blind(left, right, edge=edge, length=_LENGTH)
                hashes = (pair.left.sha256, pair.right.sha256)
                self._pairs[pair.pictures] = self.contest.caption(pair), dict(zip(hashes, both, strict=True))
                if len(self._pairs) > _PAIRS_KEPT:
                    self._pairs.popitem(last=False)
            return self._pairs[pair.pictures]


class BallotPage:
    """A voting page that is served by this process: `url` is its address, and `stop()` ends it.

    Where voters are invited, `links` has each voter's own address. Votes are in the store as soon as they are
    cast; `votes` counts them.
    """

    def __init__(self, poll: BallotPoll, listener: socket.socket, host: str, consent: str) -> None:
        self._poll = poll
        port = listener.getsockname()[1]
        self.url = f"http://{_in_url(host)}:{port}/"
        self.links: dict[str, str] = {}
        self.file: Path | None = None
        page = page_of(poll.contest.question, consent)
        names = NAMES if host == HOST else (_in_url(host),)
        app = Guard(create_ballot_app(poll, page), port=port, names=names, policy=POLICY)
        self._stop: Callable[[], None] | None = None
        self._begun = threading.Event()
        run = partial(_run(), app, listener, self._has_begun)
        self._thread = threading.Thread(target=self._serve, args=[run, listener], daemon=True)

    @property
    def votes(self) -> int:
        """How many votes there are on these pairs, of this and other sessions."""
        return self._poll.votes

    @property
    def closed(self) -> bool:
        """Whether the vote is over: no vote is taken any more, though the page is still shown."""
        return self._poll.closed

    @property
    def running(self) -> bool:
        """Whether the page is served."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Serve the page, and return once it can be opened; raise `BelugaError` where it cannot."""
        self._thread.start()
        if not self._begun.wait(_START) or not self.running:
            raise BelugaError("The voting page did not start.", "Try again, or name another port.")

    def stop(self) -> None:
        """End the page; votes stay in the store."""
        if self._stop:
            self._stop()
        self._thread.join(_START)

    def wait(self, *, for_close: bool = False) -> str:
        """Wait until the page ends or, `for_close`, the vote is over; return why it is over, or ""."""
        while self.running and not (for_close and self.closed):
            self._thread.join(1.0)  # Without a limit, Windows would not notice Ctrl-C.
        return self._poll.close_reason

    def _has_begun(self, stop: Callable[[], None]) -> None:
        self._stop = stop
        self._begun.set()

    def _serve(self, run: Callable[[], None], listener: socket.socket) -> None:
        try:
            with listener:
                run()
        finally:
            self._begun.set()

    def __repr__(self) -> str:
        state = "stopped" if not self.running else "closed" if self.closed else "open"
        where = f"{plural(len(self.links), 'link')} in {self.file}" if self.file else f"on {self.url}"
        return f"<Ballot {where}, {state}, {plural(self.votes, 'vote')}>"

    def _repr_mimebundle_(self, **_: object) -> Bundle:
        shown = fill("show/ballot-link.html", url=outside(self.url), words=outside(repr(self)))
        return redacted_bundle({"text/html": shown, "text/plain": repr(self)})


_WHOLE = {
    "voters": (1, _MOST_VOTERS),
    "each": (1, _MOST_VOTES),
    "close_after": (1, _MOST_VOTES),
    "repeats": (0, _MOST_VOTES),
    "port": (0, 65_535),
}
"""Options that are whole numbers, with the smallest and the largest value."""


def open_ballot(contest: Contest, *, folder: Path, **options: Unpack[BallotOptions]) -> BallotPage:
    """Serve a voting page and return it; `Evaluable.ballot` says what the options mean."""
    host, voters = options.get("host"), options.get("voters")
    if host is not None and not voters:
        raise SettingsError(
            "A page that other machines reach needs a link for each voter.", "Say how many voters there are."
        )
    given: Mapping[str, object] = options
    for name, (least, most) in _WHOLE.items():
        count = given.get(name)
        if count is not None and not (isinstance(count, int) and least <= count <= most):
            raise SettingsError(
                f"{name} is {shown(count, 40)}.", f"Give a whole number from {least} to {most:,}."
            )
    at = _time(options.get("close_at"))
    listener = _listening(HOST if host is None else host, options.get("port") or 0)
    try:
        url = f"http://{_in_url(host or HOST)}:{listener.getsockname()[1]}"
        file = folder / (options.get("links") or LINKS)
        invited = _invitations(file, voters, url) if voters else {}
        poll = BallotPoll(
            contest,
            invited=invited,
            each=options.get("each"),
            repeats=options.get("repeats") or 0,
            close_after=options.get("close_after"),
            close_at=at,
        )
        ballot = BallotPage(poll, listener, host or HOST, options.get("consent") or CONSENT)
        if invited:
            ballot.links = {voter: f"{url}/v/{token}" for token, voter in invited.items()}
            ballot.file = file
        ballot.start()
    except BaseException:
        listener.close()
        raise
    return ballot


def page_of(question: str, consent: str) -> Page:
    """Return the files of the page."""
    return Page(
        html=fill("show/ballot.html", question=outside(question), consent=outside(consent, 20_000)),
        css=read_template("show/ballot.css"),
        js=read_template("show/ballot.js"),
    )


def _run() -> Callable[..., None]:
    try:
        return uvicorn_run(_CONNECTIONS)
    except ImportError:
        raise SettingsError(
            "uvicorn is missing.", Hint("Install it: ", Code("pip install 'beluga_nb[server]'"))
        ) from None


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _time(at: datetime | str | None) -> float | None:
    """Return a time as Unix time; one without a zone is local."""
    try:
        return None if at is None else (datetime.fromisoformat(at) if isinstance(at, str) else at).timestamp()
    except (AttributeError, TypeError, ValueError, OverflowError, OSError):
        raise SettingsError(
            f"'{sanitize(str(at), 40)}' is not a time.", "Give it as 2026-12-01T18:00."
        ) from None


def _listening(host: str, port: int) -> socket.socket:
    try:
        if not _NAME.fullmatch(host):
            raise _NotAnAddressError
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # As it resolves: "0", "0x0" and "::0" are every address of this machine too.
        if _is_everywhere(str(place[0])):
            raise _NotAnAddressError
        return socket.create_server(place[:2], family=family)
    except _NotAnAddressError:
        raise SettingsError(
            f"'{sanitize(host, 80)}' is not the address of this machine for voters.",
            "Name the address that their links begin with, such as 192.168.1.20.",
        ) from None
    except OSError as error:
        raise SettingsError(
            f"{sanitize(host, 80)}, port {port}, cannot be used ({error.strerror or error}).",
            "Leave the port out, and a free one is taken; the host must be this machine's own.",
        ) from None


class _NotAnAddressError(ValueError):
    """A host is no name, or stands for every address of this machine."""


def _is_everywhere(resolved: str) -> bool:
    address = ip_address(resolved.partition("%")[0])
    return (getattr(address, "ipv4_mapped", None) or address).is_unspecified


def _invitations(path: Path, count: int, url: str) -> dict[str, str]:
    """Return the voters by their tokens: those of a file from before, and as many new ones as are missing.

    A restart keeps the links that were sent out.
    """
    found = _invited(path)
    for number in range(1, count + 1):
        if (voter := f"voter-{number:03}") not in found.values():
            found[secrets.token_urlsafe()] = voter
    lines = io.StringIO()
    writer = csv.writer(lines)
    writer.writerow(_COLUMNS)
    writer.writerows((voter, f"{url}/v/{token}") for token, voter in found.items())
    try:
        # Made private before it holds a link.
        with path.open("a"):
            path.chmod(0o600)
        with replacing(path) as file:
            file.write(lines.getvalue().encode())
    except OSError as error:
        raise not_written(path, error) from None
    return found


_COLUMNS = ["voter", "link"]


def _invited(path: Path) -> dict[str, str]:
    try:
        rows = list(csv.reader(io.StringIO(read_file(path, _LONGEST_FILE).decode())))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, csv.Error):
        rows = [[]]
    found = {row[1].rpartition("/")[2]: voter_name(row[0]) for row in rows[1:] if len(row) == 2}
    if rows and (
        rows[0] != _COLUMNS
        or len(found) != len(rows) - 1
        or not all(map(_TOKEN.fullmatch, found))
        or not all(found.values())
    ):
        raise SettingsError(
            f"{sanitize(path.name, 80)} does not hold links of voters.", "Name another file, or remove it."
        )
    for voter, count in Counter(found.values()).items():
        if count > 1:
            raise SettingsError(
                f"{sanitize(path.name, 80)} has {count} links of the voter '{voter}'.",
                "Give each voter a name of their own: spaces, invisible codes and what is past 80 characters "
                "do not count.",
            )
    return found
