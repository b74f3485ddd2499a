"""Calls that are killed at every step of what they write; `test_crashes.py` runs it as a process of its own.

    python killed.py FOLDER KILLS

One process forks a child for each call. The child asks through the real wrapper and kills itself with
SIGKILL as it touches the disk for the k-th time, for k = 1, 2, 3 … until a call comes to its end; then the
next kind of call begins, until there were so many kills. The engine writes down each request, as a server
would see it, before it answers. After each child all that the store promises is looked at.

Prints one line of JSON.
"""

import asyncio
import contextlib
import itertools
import json
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

from drawings import drawing, drawn

from beluga_nb.engines.recorded import Recorded
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.replayed import Replayed
from beluga_nb.errors import APIStatusError, BelugaError, InvalidImageError, OutcomeUnknownError
from beluga_nb.request import Request
from beluga_nb.show.preview import preview
from beluga_nb.store import pending
from beluga_nb.store.format import RECORDS
from beluga_nb.store.records import Store

TOUCHES = {"open", "write", "flush", "fsync", "replace", "mkdir", "chmod", "unlink", "close"}

FOX = Request(prompt="a fox", model="flux-2.0")


async def declining(request):
    raise APIStatusError("Declined.", status=400, code="moderation_blocked")


async def failing(request):
    raise OutcomeUnknownError("The provider failed.", status=502)


async def cut(request):
    raise InvalidImageError(
        "The answer's picture is cut short.", "It may have been billed.", data=drawn(request, 0)[:60]
    )


KINDS = [  # who answers, and what
    (drawing, FOX),
    (drawing, replace(FOX, n=2)),
    (declining, replace(FOX, prompt="a fox that no model draws")),
    (failing, replace(FOX, prompt="a fox without an end")),
    (cut, replace(FOX, prompt="half a fox")),
]


def call(engine, request, store, log):
    """Ask through the wrapper, as a session does."""

    async def seen(request):
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(descriptor, f"{request.idempotency_key} {request.take} {request.n}\n".encode())
        os.close(descriptor)
        return await engine(request)

    messages = []
    recorded = Recorded(seen, Recorder(store, provider="wire", preview=preview, notify=messages.append))
    with contextlib.suppress(BelugaError):
        asyncio.run(Replayed(recorded, store, provider="wire")(request))
    os._exit(1 if messages else 0)


def die_at(step):
    """Die just before the step-th touch of the disk by the store, which runs on threads of its own."""
    steps = itertools.count(1)

    def look(frame, event, function):
        if event != "c_call" or function.__name__ not in TOUCHES:
            return
        place = frame.f_code.co_filename
        # The journal of earlier calls, which is read, grows with each that dies.
        reading = function.__name__ == "open" and place.endswith("paths.py") and not frame.f_locals["flags"]
        if not reading and "import" not in place and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(look)


def forked(engine, request, store, log, step):
    """Return how a call ended that dies at that step: by which signal, or 0."""
    child = os.fork()
    if not child:
        try:
            die_at(step)
            call(engine, request, store, log)
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return signal.SIGKILL
    assert os.WEXITSTATUS(status) == 0, "a call that was not killed failed, or said something"
    return 0


class Ledger:
    """What was asked for so far, and what must be true of the store after each call."""

    def __init__(self, store, log):
        self.store = store
        self.log = log
        self.asked = {}  # take -> (engine, request)
        self.whole = {}  # key -> bytes of each file that was ever seen complete

    def look(self):
        """Check the store, as someone does who starts anew after the crash."""
        entries = {entry.key: entry for entry in RECORDS.values(self.store)}
        paths = self.store.record_paths()
        assert [path.stem for path in paths] == sorted(entries), "a record is half written"
        for key, entry in entries.items():
            if entry.image:
                assert self.store.picture(entry).data == drawn(entry.request, entry.request.sample)
            text = self.store.record_path(key).read_bytes()
            assert self.whole.setdefault(key, text) == text, "an older record has changed"
        assert self.whole.keys() == entries.keys(), "an older record is gone"
        waiting = {one.run for one in pending.calls(self.store)}
        assert len(list(self.store.folder.glob("pending/*"))) == len(waiting), "half a line in the journal"
        for line in self.seen():
            run, take, n = line.split()
            _, request = self.asked[take]
            parts = [request.slice(sample) for sample in request.samples]
            answers = [self.store.read(part, provider="wire") for part in parts]
            assert all(answers) or run in waiting, "a request that was sent has neither record nor entry"
            assert int(n) <= request.n
        return entries, waiting

    def check_ended(self, take):
        """Check that a call that came to its end is recorded, or is known to have none."""
        engine, request = self.asked[take]
        waiting = [one.why for one in pending.calls(self.store) if one.request.take == take]
        if engine in (drawing, declining):
            assert all(self.store.has(request.slice(sample), provider="wire") for sample in request.samples)
            assert not waiting
        else:
            assert len(waiting) == 1
            assert waiting[0], "why the call has no known end"

    def seen(self):
        return self.log.read_text().splitlines() if self.log.exists() else []


def main(folder, kills):
    died, rounds, steps = 0, 0, []
    fresh = folder / "fresh"
    lasting = [
        Ledger(Store(folder / f"lasting{number}"), folder / f"lasting{number}.log")
        for number in range(len(KINDS))
    ]
    while died < kills:
        for number, (engine, kind) in enumerate(KINDS):
            for step in itertools.count(1):
                take = f"{rounds}.{number}.{step}"
                request = replace(kind, take=take)
                # The first round has a store of its own for each call: it dies while the folder is made.
                ledger = lasting[number]
                if rounds == 0 and number == 0:
                    ledger = Ledger(Store(fresh / take), folder / f"{take}.log")
                ledger.asked[take] = (engine, request)
                how = forked(engine, request, ledger.store, ledger.log, step)
                ledger.look()
                if not how:
                    ledger.check_ended(take)
                    break
                died += 1
            steps.append(step - 1)
        rounds += 1
    ends = [ledger.look() for ledger in lasting]
    seen = [line for ledger in lasting for line in ledger.seen()]
    print(
        json.dumps(
            {
                "kills": died,
                "steps": steps,
                "seen": len(seen),
                "runs": len({line.split()[0] for line in seen}),
                "takes": len({line.split()[1] for line in seen}),
                "asked": sum(len(ledger.asked) for ledger in lasting),
                "records": sum(len(entries) for entries, _ in ends),
                "waiting": sum(len(waiting) for _, waiting in ends),
            }
        )
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
