"""The line that says how far a call is: there while someone looks, and gone without a trace."""

import datetime
import queue
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import replace
from decimal import Decimal

import nbformat
import pexpect
import pytest
from conftest import drawing
from kernels import PATIENCE, Kernel, clean_environment
from needed import NESTED, needed
from test_manners import FRONT_ENDS, in_a_terminal

from beluga_nb.budget import Amount
from beluga_nb.config.settings import Settings
from beluga_nb.engines.call import Tally
from beluga_nb.errors import RequestError
from beluga_nb.progress.displays import TerminalDisplay
from beluga_nb.progress.line import ProgressLine, share, words
from beluga_nb.session.session import Session
from beluga_nb.show.grid import MOST_SHOWN

TIME = r"(\d+ min)? ?(\d+ s)?"
PROGRESS = re.compile(
    rf"[\w. -]+: \d+ of \d+ (picture|file)s?, {TIME}(, about {TIME} left)?(, 0\.\d+ USD so far)?"
)
SLOW = "fault: slow seconds=1.7 |"


class Paper:
    """A display that remembers."""

    interval = 0.5

    def __init__(self, clock=None, takes=0.0, html=str):
        self.drawn, self.shares, self.free = [], [], True
        self.clock, self.takes, self.html = clock, takes, html

    def is_free(self):
        return self.free

    def draw(self, words, share):
        self.drawn.append(words + self.html())
        self.shares.append(share)
        if self.takes:
            self.clock[0] += self.takes

    def erase(self, *, replaced):
        self.drawn.append("replaced" if replaced else "")

    @contextmanager
    def beside(self, printed):
        yield
        self.drawn.append(f"printed {printed}")


def beaten(paper, tally, now, moments, *, replaced=False):
    line = ProgressLine(paper, tally, clock=lambda: now[0])
    for moment, arrived in moments:
        now[0], tally.arrived = moment, arrived
        line.beat()
    line.end(replaced=replaced)
    line.end()
    line.beat()
    return paper.drawn


def test_an_interrupt_while_it_is_drawn_comes_when_all_is_drawn():
    paper = Paper(html=lambda: signal.raise_signal(signal.SIGINT) or "!")
    line = ProgressLine(paper, Tally(label="flux-2.0", asked=4), clock=iter([0, 2, 2]).__next__)
    with pytest.raises(KeyboardInterrupt):
        line.beat()
    line.end()
    assert paper.drawn == ["flux-2.0: 0 of 4 pictures, 2 s!", ""]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_is_drawn_after_a_second_and_anew_only_where_it_says_something_else():
    moments = ((0.1, 0), (0.99, 0), (1.1, 0), (1.3, 0), (1.4, 0), (2.2, 2), (2.3, 2), (12.4, 3))
    paper = Paper()
    assert beaten(paper, Tally(label="flux-2.0", asked=4), [0.0], moments) == [
        "flux-2.0: 0 of 4 pictures, 1 s",
        "flux-2.0: 2 of 4 pictures, 2 s, about 2 s left",
        "flux-2.0: 3 of 4 pictures, 12 s, about 4 s left",
        "",
    ]
    assert paper.shares == [0, 0.5, 0.75]
    paper = Paper()
    assert beaten(paper, Tally(label="grid", asked=1), [0.0], [(200, 0)], replaced=True) == [
        "grid: 0 of 1 picture, 3 min 20 s",
        "replaced",
    ]
    assert paper.shares == [None]


def test_a_grid_is_drawn_as_it_fills_and_its_line_says_how_long_it_may_take():
    now, tally = [0.0], Tally(label="grid", asked=2, wanted=8)
    # It takes a while, and is not drawn again for ten times as long.
    paper = Paper(now, 0.3)
    assert beaten(paper, tally, now, ((1.1, 0), (2.0, 1), (4.4, 2), (5.4, 3), (9.0, 8))) == [
        "grid: 0 of 8 pictures, 1 s",
        "grid: 2 of 8 pictures, 4 s, about 13 s left",
        "grid: 8 of 8 pictures, 9 s",
        "",
    ]


def test_failed_cells_are_not_waited_for():
    tally = Tally(label="grid", asked=4, arrived=1, failed=1, wanted=4)
    assert words(tally, 10) == "grid: 1 of 4 pictures, 10 s, about 10 s left"
    assert share(tally) == 0.5
    assert words(replace(tally, arrived=2, failed=2), 10) == "grid: 2 of 4 pictures, 10 s"


def test_what_fails_and_what_arrives_is_counted(tmp_path):
    async def engine(request):
        if "dog" in request.prompt:
            raise RequestError("No.")
        return await drawing(request)

    tally, session = Tally(), Session(engine=engine, environ={}, folder=tmp_path)
    session.grid("a {{animal}}", animal=["cat", "dog", "fox"]).submit(tally=tally).result()
    assert (tally.asked, tally.arrived, tally.failed) == (3, 2, 1)


@pytest.mark.posix
def test_the_line_is_as_wide_as_the_terminal_that_stderr_goes_to(monkeypatch):
    import pty
    import termios

    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 21))
    with open(ours, "rb", buffering=0) as screen, open(theirs, "w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        TerminalDisplay().draw("鲸" * 30, None)
        assert screen.read(200).decode() == "\r\x1b[K" + "鲸" * 10


def test_a_line_that_changes_all_the_time_is_drawn_twice_a_second_at_most():
    moments = [(tick / 100, tick) for tick in range(1000)]
    drawn = beaten(Paper(), Tally(label="grid", asked=9_999, wanted=9_999), [0.0], moments)
    assert 15 <= len(drawn) <= 20


PRICES = {"date": datetime.date(2026, 11, 1), "flux-2.0": 0.03}


@pytest.mark.parametrize(
    ("spent", "prices", "said"),
    [
        (Amount(2, Decimal("0.06")), PRICES, ", 0.06 USD so far"),
        (Amount(2, Decimal("0.06")), PRICES | {"currency": "EUR"}, ", 0.06 EUR so far"),
        (Amount(2, Decimal("0.06")), None, ""),
        (Amount(2, Decimal("0.03"), unpriced=1), PRICES, ""),
        (Amount(), PRICES, ""),
    ],
)
def test_it_says_what_was_spent_only_by_the_users_own_prices_for_all_of_it(spent, prices, said):
    tally = Tally(label="x", asked=2, arrived=2, spent=spent, settings=Settings(prices=prices))
    assert words(tally, 5) == f"x: 2 of 2 pictures, 5 s{said}"


def test_it_is_silent_where_that_is_set_where_it_is_not_free_and_where_all_is_recorded():
    asked, moments = Tally(label="x", asked=1), [(5.0, 0), (9.0, 0)]
    assert beaten(Paper(), replace(asked, settings=Settings(progress=False)), [0.0], moments) == []
    assert beaten(Paper(), replace(asked, asked=0), [0.0], moments) == []
    paper = Paper()
    paper.free = False
    assert beaten(paper, asked, [0.0], moments) == []


def test_what_is_printed_takes_it_away_and_it_comes_back():
    now, paper = [0.0], Paper()
    line = ProgressLine(paper, Tally(label="x", asked=1), clock=lambda: now[0])
    for moment in (2.0, 4.0):
        now[0] = moment
        line.beat()
        with line.beside("that"):
            assert not paper.drawn[-1]
    assert paper.drawn == [
        "x: 0 of 1 picture, 2 s",
        "",
        "printed that",
        "x: 0 of 1 picture, 4 s",
        "",
        "printed that",
    ]


def test_a_small_grid_has_frames_of_the_right_shape_in_place_of_what_has_not_arrived(tmp_path):
    session = Session(engine=drawing, environ={}, folder=tmp_path, mode="off")
    grid = session.grid("a {{animal}}", animal=["fox", "owl"], size=["16:9", "1:1"], n=2)
    arriving = grid.arrivals()
    empty = arriving.frames()
    assert [empty.count(f"aspect-ratio:{shape}") for shape in ("1536/864", "1024/1024")] == [4, 4]
    assert "0 of 4 cells" in empty
    assert "not started" not in empty
    assert "<script" not in empty
    grid.run()
    whole = arriving.frames()
    assert (whole.count("aspect-ratio"), whole.count("<img")) == (0, 8)
    assert arriving.html() == "", "what is in its place is not shown twice"
    places = [
        re.sub("<details.*?</details>|<div [^>]*aspect-ratio[^>]*></div>", "x", each, flags=re.DOTALL)
        for each in (empty.partition("<table")[2], whole.partition("<table")[2])
    ]
    assert places[0] == places[1], "nothing jumps"


@pytest.mark.parametrize("cells", [18, 100, 1000])
def test_each_cell_of_a_running_grid_is_sent_once_and_what_is_sent_does_not_grow_with_the_grid(
    cells, tmp_path
):
    session = Session(engine=drawing, environ={}, folder=tmp_path, mode="off")
    grid = session.grid("a {{animal}}", animal=[f"fox{number}." for number in range(cells)])
    grid.submit(assume_yes=True).result()
    outcomes, grid._outcomes = grid._outcomes, {}

    now, paper, tally = (
        [0.0],
        Paper(html=grid.arrivals().html),
        Tally(label="grid", asked=cells, wanted=cells),
    )
    line = ProgressLine(paper, tally, clock=lambda: now[0])
    for number, (cell, outcome) in enumerate(outcomes.items()):
        now[0], tally.arrived = 1 + number / 20, number + 1
        grid._outcomes[cell] = outcome
        line.beat()
    sent = "".join(paper.drawn)
    assert len(paper.drawn) <= 1 + 2 * now[0]
    shown = min(cells, MOST_SHOWN)
    assert all(sent.count(f"<b>fox{number}.</b>") <= 1 for number in range(cells))
    assert shown - 10 <= sent.count("<img") <= shown
    # Ten cells arrive between two drawings.
    assert max(map(len, paper.drawn)) < 10 * 6_000


PREPARED = """
%load_ext beluga_nb
import time
import beluga_nb
from beluga_nb.store import files
made = beluga_nb.grid("a {{animal}}", animal=["cat", "hen", "owl", "fox"]).run()
checked = beluga_nb.Session(store="checked")
_ = checked.generate("a fox", n=4)

def slowly(seconds):
    def metric(image):
        time.sleep(seconds)
        if seconds == 0.4:
            raise ValueError("no score")
        return seconds
    return metric

def check(seconds, has_hash=files.has_hash):
    began = time.monotonic()
    def slow(*given):
        time.sleep(seconds)
        if seconds == 0.4 and time.monotonic() - began > 2.6:
            raise MemoryError
        return has_hash(*given)
    files.has_hash = slow
    try:
        return checked.store.verify()
    finally:
        files.has_hash = has_hash
"""


@pytest.fixture(scope="module", params=["thread", "nested"])
def kernel(request, tmp_path_factory):
    if request.param == "nested":
        needed(NESTED)
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "beluga.toml").write_text(f'bridge = "{request.param}"')
    with Kernel(folder, BELUGA_FAULTS="1") as running:
        assert running.run(PREPARED).status == "ok"
        running.run("%beluga config timeout=3")
        yield running


def seen(kernel, code, *, someone=True, stop=False):
    """The kinds of messages that a cell sends, and the line of progress, however often it was drawn."""
    number = kernel.client.execute(code, allow_stdin=someone, stop_on_error=False)
    found, until = [], time.monotonic() + PATIENCE
    while time.monotonic() < until:
        if kernel.asks():
            kernel.client.input("y")
        try:
            message = kernel.client.get_iopub_msg(timeout=0.1)
        except queue.Empty:
            continue
        if message["parent_header"].get("msg_id") != number:
            continue
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            return found
        if kind not in {"status", "execute_input"}:
            text = content["data"].get("text/plain") if "data" in content else None
            if text == "":  # the frames, which stand below the line
                assert found[-1:] == [LINE]
                continue
            if kind == "clear_output":
                kind = REPLACED if content["wait"] else ERASED
            found.append(LINE if text and PROGRESS.fullmatch(text) else kind)
            if found[-2:] == [LINE, LINE]:
                found.pop()
            elif stop and found == [LINE]:
                kernel.manager.interrupt_kernel()
    raise TimeoutError(found)


LINE, ERASED, REPLACED = "progress", "erased", "replaced by what comes next"
SUCCESS, ERROR, STOP = "success", "error", "stop"
FAULT = {SUCCESS: "fault: slow seconds=1.4", ERROR: "fault: slow seconds=20", STOP: "fault: slow seconds=20"}
SECONDS = {SUCCESS: 0.31, ERROR: 0.4, STOP: 2}
CALLS = {
    "a magic": "%beluga -n 2 {fault} | a {take}",
    "compare": "%%beluga compare --axis a=1,2\n{fault} | {{{{a}}}} {take}",
    "generate": "beluga_nb.generate('{fault} | a {take}')",
    "a grid": "beluga_nb.grid('{fault} | {{{{a}}}} {take}', a=[1, 2]).run()",
    "a function": "def study():\n    return beluga_nb.generate('{fault} | a {take}')\nstudy()",
    "rerun": "beluga_nb.generate('a fox').rerun(prompt='{fault} | {take}')",
    "score": "made.score('{take}', slowly({seconds}))",
    "verify": "check({seconds})",
}


@pytest.mark.parametrize("end", [SUCCESS, ERROR, STOP])
@pytest.mark.parametrize("call", CALLS)
def test_each_call_shows_one_line_which_is_gone_at_each_end(kernel, call, end):
    take = f"{call} {end} {time.time()}"
    code = CALLS[call].format(fault=FAULT[end], seconds=SECONDS[end], take=take)
    shown = seen(kernel, code, stop=end == STOP)
    if end == SUCCESS or (call, end) == ("score", ERROR):  # an exception stays with its picture
        erased = REPLACED if call not in {"a function", "verify"} else ERASED
        assert shown == [LINE, erased, "execute_result"]
    else:
        assert shown[:3] == [LINE, ERASED, "error"]
        # A grid that was stopped shows what it has, where something arrived.
        assert len(shown) == 3


@pytest.mark.sampled(6)
@pytest.mark.parametrize(
    ("code", "messages"),
    [
        ("%beluga {slow} a cat", [LINE, REPLACED, "execute_result"]),
        ("%beluga a cat, really?", ["execute_result"]),  # quick
        ("made.run()", ["execute_result"]),  # from the store
        ("%beluga --quiet {slow} a dog", [LINE, ERASED]),
        ("beluga_nb.generate('{slow} a bat');", [LINE, ERASED]),
        ("# a remark\n\nx = %beluga {slow} a rat", [LINE, ERASED]),
        ("y = 1\n%beluga {slow} a fox", [LINE, REPLACED, "execute_result"]),
        (
            "for _ in 'ab':\n    %beluga {slow} an owl {{{{_}}}}",
            [LINE, ERASED, "display_data", "display_data"],
        ),
        (
            "for a in 'cd':\n    beluga_nb.generate('{slow} an owl ' + a)",
            [LINE, ERASED, LINE, ERASED],
        ),
        ("print(1)\n%beluga {slow} an ape", ["stream", "execute_result"]),
        ("display(1)\nbeluga_nb.generate('{slow} a yak')", ["display_data", "execute_result"]),
        ("%beluga -s 1024x1000 {slow} a bee", ["stream", LINE, REPLACED, "stream", "execute_result"]),
        (
            "a = %beluga -s 1024x1000 {slow} a newt\nb = %beluga -s 1024x1000 {slow} an ant",
            ["stream", LINE, REPLACED, "stream", "stream", LINE, REPLACED, "stream"],
        ),
        ("emus = %beluga -n 11 {slow} an emu", [LINE, ERASED]),
        (
            "import contextlib, io\nwith contextlib.redirect_stdout(io.StringIO()) as printed:\n"
            "    beluga_nb.generate('{slow} a jay', size='1024x1000')\n"
            "assert printed.getvalue().count('nearest') == 1",
            [LINE, ERASED],
        ),
        ("%beluga --mode replay {slow} a hen", ["error"]),
        ("%%time\nz = beluga_nb.generate('{slow} a gnu')", [LINE, ERASED, "stream"]),
        ("%%capture\n%beluga {slow} an eel", []),
        ("beluga_nb.generate('{slow} an elk', progress=False)", ["execute_result"]),
        ("made.score('quiet', slowly(0.31), progress=False)", ["execute_result"]),
        (
            "%%beluga compare -s 1024x1000 --axis a=1,2\n{slow} {{{{a}}}} eels",
            ["stream", LINE, REPLACED, "stream", "execute_result"],
        ),
    ],
)
def test_it_is_drawn_only_where_it_can_be_taken_away_without_loss(kernel, code, messages):
    assert seen(kernel, code.format(slow="fault: slow seconds=1.4 |")) == messages


PRINTING = """
import threading
def engine():
    async def printing(request):
        import asyncio
        await asyncio.sleep(1.3)
        print("drawn")
        await asyncio.sleep(1.5)
        return await previews(request)
    from beluga_nb.server.previews import previews
    return beluga_nb.Session(engine=printing, mode="off")
session = engine()
"""


def test_what_an_engine_prints_meanwhile_stays(kernel):
    kernel.run(PRINTING)
    shown = seen(kernel, "session.generate('a fox', model='flux-2.0')")
    assert shown[:3] == [LINE, "stream", LINE]
    assert ERASED not in shown
    assert REPLACED not in shown


def test_metrics_that_ask_for_pictures_show_one_line(kernel):
    code = (
        "made.score('nested', lambda image: beluga_nb.generate('fault: slow seconds=1.4 | '"
        " + str(time.time())).image.width)"
    )
    assert seen(kernel, code) == [LINE, REPLACED, "execute_result"]


def test_the_setting_turns_it_off(kernel):
    kernel.run("%beluga config progress=false")
    assert seen(kernel, "%beluga fault: slow seconds=1.4 | a stoat") == ["execute_result"]
    kernel.run("%beluga config progress=")


def test_the_first_cell_of_a_kernel_shows_it_too_unless_something_was_printed(tmp_path):
    (tmp_path / "beluga.toml").write_text("faults = true")
    for first, shown in (
        ("import beluga_nb", [LINE, REPLACED, "execute_result"]),
        ("print(1)", ["stream", "execute_result"]),
    ):
        with Kernel(tmp_path) as kernel:
            code = f"{first}\n__import__('beluga_nb').generate('fault: slow seconds=1.4 | {first}')"
            assert seen(kernel, code) == shown


def test_unloading_leaves_nothing_that_counts(tmp_path):
    (tmp_path / "beluga.toml").write_text("faults = true")
    with Kernel(tmp_path) as kernel:
        count = "print(len(get_ipython().events.callbacks['pre_run_cell']))"
        before = kernel.run(count).stdout
        kernel.run("%load_ext beluga_nb")
        kernel.run("%beluga fault: slow seconds=1.4 | a cat", answers=[])
        assert kernel.run(count).stdout != before
        kernel.run("%unload_ext beluga_nb")
        assert kernel.run(count).stdout == before


def with_nbclient(notebook, folder):
    client = needed("nbclient").NotebookClient(notebook, resources={"metadata": {"path": str(folder)}})
    return client.execute()


def with_papermill(notebook, folder):
    names = [str(folder / f"{name}.ipynb") for name in ("in", "out")]
    nbformat.write(notebook, names[0])
    options = {"cwd": str(folder), "progress_bar": False, "kernel_name": "python3"}
    return needed("papermill").execute_notebook(*names, **options)


@pytest.mark.parametrize("execute", [with_nbclient, with_papermill])
def test_where_nobody_looks_it_is_a_few_lines_in_the_log(tmp_path, execute, monkeypatch, capfd):
    monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "1")
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # Where it is set, ipykernel leaves stderr as it is.
    (tmp_path / "beluga.toml").write_text("faults = true")
    code = "import beluga_nb\nbeluga_nb.generate('fault: slow seconds=2.4 | a swan')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code)])
    outputs = execute(notebook, tmp_path).cells[-1].outputs
    # Old packages warn there of each other.
    assert [each.output_type for each in outputs if each.output_type != "stream"] == ["execute_result"]
    assert "gpt-image-2: " not in "".join(each.get("text", "") for each in outputs), "no trace of it"
    first, *_ = re.findall("gpt-image-2.*", capfd.readouterr().err)
    assert first == "gpt-image-2: 0 of 1 picture, 1 s"


def test_in_a_terminal_it_is_one_line_that_is_wiped(tmp_path):
    (tmp_path / "beluga.toml").write_text("faults = true")
    typed = ["%load_ext beluga_nb", f"%beluga {SLOW} a cat", "exit()"]
    _, shown, _ = in_a_terminal(FRONT_ENDS["ipython"], tmp_path, typed)
    assert "\r\x1b[Kgpt-image-2: 0 of 1 picture, 1 s\r\x1b[K" in shown


SCRIPT = """
import datetime, time
import beluga_nb
from beluga_nb.server.previews import previews

async def slow(request):
    time.sleep(0.6)
    return await previews(request)

prices = {"date": datetime.date(2026, 11, 1), "flux-2.0": 0.04}
session = beluga_nb.Session(engine=slow, max_in_flight=1, prices=prices)
session.generate("a fox", n=4, model="flux-2.0")
print("done")
"""


@pytest.mark.posix
@pytest.mark.parametrize("terminal", [True, False])
def test_a_script_shows_a_bar_in_a_terminal_and_nothing_elsewhere(tmp_path, terminal):
    (tmp_path / "script.py").write_text(SCRIPT)
    if not terminal:
        done = subprocess.run(
            [sys.executable, "script.py"],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, "done\n", "")
        return
    shown = pexpect.run(
        f"{sys.executable} script.py", cwd=str(tmp_path), env=clean_environment(), encoding="utf-8"
    )
    lines = shown.split("\r\x1b[K")
    bar = re.compile(r"\|█+.? +\| flux-2\.0: [123] of 4 pictures, \d s, about \d s left, 0\.\d+ USD so far")
    assert [line for line in lines if bar.fullmatch(line)]
    assert lines[-1] == "done\r\n"
    assert max(map(len, lines)) < 80
