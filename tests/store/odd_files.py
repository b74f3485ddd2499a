"""Run in a child: files of one odd kind in every place that is read, and everything that reads them.

Prints what went wrong: a place, what read it, and how. Nothing may wait, take much memory, or raise anything
but an error of ours.
"""

import io
import os
import shutil
import signal
import socket
import sys
import warnings
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import replace
from pathlib import Path

from drawings import drawing
from stores import notebook, record

import beluga_nb.store.votes as votes
from beluga_nb.chat import JSON, answer_to_data
from beluga_nb.errors import APIStatusError, BelugaError
from beluga_nb.request import Question, Request
from beluga_nb.result import Answer, Recipe
from beluga_nb.session.session import Session
from beluga_nb.store import marks, pending, scores
from beluga_nb.store.ledger import StoreLedger
from beluga_nb.store.records import Store
from beluga_nb.store.runs import runs
from beluga_nb.store.verdicts import VERDICTS, Verdicts
from beluga_nb.terminal.cli import main

PATIENCE = 15  # seconds; what waits for a pipe, or reads without end, takes more
MEMORY = 600 * 2**20
OUTSIDE = b'{"schema":1}\n'
FOX = Request(prompt="a fox", model="flux-2.0")
QUESTION = Question(prompt="Is it red?", model="lab:vlm", about=("ab" * 32,), schema="{}")


def odd(kind, path):
    """Put something of a kind in a place."""
    if kind != "nothing":
        path.unlink(missing_ok=True)
        path.parent.mkdir(parents=True, exist_ok=True)
    match kind:
        case "pipe":
            os.mkfifo(path)
        case "endless":
            path.symlink_to("/dev/zero")
        case "link":
            outside = path.parent.parent / "outside"
            outside.write_bytes(OUTSIDE)
            path.symlink_to(outside)
        case "folder":
            path.mkdir()
        case "socket":
            with chdir(path.parent), socket.socket(socket.AF_UNIX) as made:  # as a path it may be too long
                made.bind(path.name)
        case "huge":
            with path.open("wb") as file:
                file.truncate(20 * 2**30)


def filled(folder):
    """Make a store with something of every kind, a notebook, a picture and its sidecar."""
    store = Store(folder / "beluga_store")
    session = Session(engine=drawing, environ={}, folder=folder, notify=lambda _: None)
    shown = session.generate("a fox", model="flux-2.0", n=2)
    record(store, "a whale")
    store.write_refusal(replace(FOX, prompt="no"), APIStatusError("No."), provider="wire", created=5)
    shown._repr_mimebundle_()
    first, second = (picture.sha256 for picture in shown.pictures)
    marks.write(store, marks.Mark(picture=first, favourite=True))
    scores.write(store, scores.Score(image=first, metric="sharpness", version="1", value=1.5))
    verdict = {"content": "{}", "refusal": None, "ended": "stop", "model": "vlm"}
    asked = Recipe(request=replace(QUESTION, about=(first,)), engine="lab")
    Verdicts(store.folder).write(Answer(answer_to_data(verdict), JSON, asked), None, provider="lab")
    votes.Box(store).cast(left=first, right=second, answer="left")
    pending.mark_unknown(store, pending.begin(store, FOX.as_call(), provider="wire"), "Stopped.")
    StoreLedger(store).add(b"{}\n")
    notebook(folder / "n.ipynb", shown)
    shown.pictures[0].save(folder / "q.png", metadata="sidecar")
    (folder / "a.csv").write_text("animal\nfox\n")
    return store


def places(store):
    """Every collection of a store, as a new file and in place of one; and every file outside of it."""
    root, folder, name, call = store.folder, store.folder.parent, "a" * 64, "3f2a9c1e-2222-4000-8000-0000"
    news = ["records/aa/{0}.json", "sheets/aa/{0}.json", "scores/aa/{0}.json", "marks/aa/{0}.json"]
    news += ["verdicts/aa/{0}.json"]
    news += ["blobs/aa/{0}.png", "blobs/aa/{0}.png.forgotten", "votes/v.jsonl", "index/aa.idx"]
    news += ["pending/{1}.json", "pending/{1}-1.answer", "pending/{1}-2.answer.part", "pending/{0}.claim"]
    news += ["tmp/beluga-" + "0" * 32 + ".part", "pending/spent.lock"]
    yield from (root / each.format(name, f"{call}00000000") for each in news)
    for room in ("records/*", "sheets/*", "scores/*", "verdicts/*", "marks/*", "blobs/*", "votes", "pending"):
        yield next(path for path in sorted(root.glob(f"{room}/*")) if path.is_file())
    yield from (root / each for each in ("store.json", ".gitattributes", ".gitignore", "pending/spent.jsonl"))
    yield from (folder / each for each in ("n.ipynb", "q.png", "q.png.xmp", "a.csv", "n.zip", "beluga.toml"))


def read_verdicts(store):
    asked = [replace(QUESTION, about=(name,)) for run in runs(store) for name in run.images]
    return [Verdicts(store.folder).read(each, provider="lab") for each in asked], list(VERDICTS.values(store))


def with_pictures(store):
    return [run.name for run in runs(store) if run.count]


def readers(folder):
    """Everything that reads a store, or a file outside of it, by name."""
    messages = []
    session = Session(
        engine=drawing, environ={}, folder=folder, notify=messages.append, confirm=lambda _: True
    )
    store = Store(folder / "beluga_store")

    def command(*words):
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()) as output:
            status = main(list(words), session=session)
        if status not in {0, 1, 2} or "Traceback" in output.getvalue():
            raise AssertionError(f"{status}, {output.getvalue()[-300:]}")
        if status:
            raise BelugaError(output.getvalue())

    with chdir(folder):
        for words in (
            *(["verify"], ["verify", "n.ipynb"], ["history"], ["weight"], ["weight", "n.ipynb"]),
            *(["pack", "n.ipynb"], ["pack", "n.ipynb", "-o", "q.png"]),
            ["unpack", "n.zip", "--into", "there"],
            ["forget", "--yes", "--prompt", "whale"],
        ):
            yield " ".join(words), lambda words=words: command(*words)
        yield "open", lambda: session.open("q.png")
        yield "save", lambda: session.store.recall(with_pictures(store)[0]).save("q.png")
        yield "recall", lambda: [session.store.recall(name) for name in with_pictures(store)]
        yield "generate", lambda: session.generate("a fox", model="flux-2.0", n=2)._repr_mimebundle_()
        yield "generate anew", lambda: session.generate("a fox", model="flux-2.0", take="2")
        yield "grid", lambda: session.grid("a {{animal}}", animal=Path("a.csv"))
        yield "verdicts", lambda: read_verdicts(store)
        yield "marks", lambda: marks.marks(store)
        yield "votes", lambda: votes.votes(store)
        yield "ledger", lambda: StoreLedger(store).read(0)
        yield "repeatable", lambda: pending.repeatable(store, FOX, provider="wire", body="b")
        yield "forget all", lambda: command("forget", "--yes", "--all")


class TooLongError(BaseException):
    """Something waits."""


def too_long(*_):
    raise TooLongError


def wrong(work, may_fail=True):
    """What went wrong, or nothing."""
    signal.alarm(PATIENCE)
    try:
        work()
    except BelugaError as error:
        return "" if may_fail and 1 <= len(error.lines()) <= 2 else f"{error.lines()}"
    except (Exception, TooLongError) as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    return ""


def most_memory():
    """The most bytes that this process had in memory, where the system says it of this process alone."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def run(kind, folder):
    signal.signal(signal.SIGALRM, too_long)
    warnings.simplefilter("ignore", UserWarning)  # of a recipe that is beside its picture
    count = len(list(places(filled(folder / "whole"))))
    # Where nothing is put anywhere, every round is the same.
    for number in range(count if kind != "nothing" else 1):
        inner = folder / str(number)
        shutil.copytree(folder / "whole", inner)
        path = list(places(Store(inner / "beluga_store")))[number]
        odd(kind, path)
        for name, work in readers(inner):
            if found := wrong(work, may_fail=kind != "nothing" or "-o q.png" in name):
                print(f"{path.relative_to(inner)}, {name}: {found}")
        saved_to = path.name == "q.png"  # which is what a person does who saves to a link
        if kind == "link" and not saved_to and path.parent.parent.joinpath("outside").read_bytes() != OUTSIDE:
            print(f"{path.relative_to(inner)}: what it leads to has changed")
        shutil.rmtree(inner)  # who looks through all that tests leave would read 20 GiB of nothing
    if (peak := most_memory()) > MEMORY:
        print(f"{peak:,} bytes of memory")
    print(f"{count} places")


if __name__ == "__main__":
    run(sys.argv[1], Path(sys.argv[2]))
