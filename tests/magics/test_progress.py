"""The line that says how far a call is: there while someone looks, and gone without a trace."""

import re
import time

import pytest
from conftest import drawing
from kernels import PATIENCE, Kernel
from needed import NESTED, needed
from test_manners import FRONT_ENDS, in_a_terminal

from beluga_nb.engines.call import Tally
from beluga_nb.magics.progress import Progress
from beluga_nb.session.session import Session
from beluga_nb.show.grid import MOST_SHOWN

PROGRESS = re.compile(r"[\w.-]+: \d+ of \d+ pictures?, \d+ s(, about \d+ s left)?")
LINE = "progress"
SLOW = "fault: slow seconds=1.3 |"


class Paper:
    """A pen that remembers."""

    def __init__(self):
        self.drawn = []

    def draw(self, words, html=""):
        self.drawn.append(words + html)

    def erase(self):
        self.drawn.append("")


def test_it_is_drawn_after_half_a_second_and_anew_only_where_it_says_something_else():
    now, paper, tally = [0.0], Paper(), Tally(asked=4)
    line = Progress(paper, tally, label="flux-2.0", clock=lambda: now[0])
    for moment, arrived in ((0.1, 0), (0.49, 0), (0.6, 0), (0.9, 0), (1.2, 0), (2.2, 2), (2.3, 2), (12.4, 3)):
        now[0], tally.arrived = moment, arrived
        line.beat()
    line.end()
    line.end()
    line.beat()
    assert paper.drawn == [
        "flux-2.0: 0 of 4 pictures, 1 s",
        "flux-2.0: 2 of 4 pictures, 2 s",
        "flux-2.0: 3 of 4 pictures, 12 s",
        "",
    ]


def test_a_grid_is_drawn_as_it_fills_and_its_line_says_how_long_it_may_take():
    now, paper, tally = [0.0], Paper(), Tally(asked=2)

    def html():
        now[0] += 0.3  # it takes a while, and is not drawn again for ten times as long
        return f" <{tally.arrived}>"

    line = Progress(paper, tally, label="grid", clock=lambda: now[0], wanted=8, html=html)
    for moment, arrived in ((0.6, 0), (2.0, 1), (4.0, 2), (5.0, 3), (9.0, 8)):
        now[0], tally.arrived = moment, arrived
        line.beat()
    line.end()
    assert paper.drawn == [
        "grid: 0 of 8 pictures, 1 s <0>",
        "grid: 2 of 8 pictures, 4 s, about 12 s left <2>",
        "grid: 8 of 8 pictures, 9 s <8>",
        "",
    ]


def test_a_line_that_changes_all_the_time_is_drawn_twice_a_second_at_most():
    now, paper, tally = [0.0], Paper(), Tally(asked=9_999)
    line = Progress(paper, tally, label="grid", clock=lambda: now[0], wanted=9_999)
    for tick in range(1000):
        now[0], tally.arrived = tick / 100, tick
        line.beat()
    assert 15 <= len(paper.drawn) <= 20


@pytest.mark.parametrize("cells", [10, 100, 1000])
def test_each_cell_of_a_running_grid_is_sent_once_and_what_is_sent_does_not_grow_with_the_grid(
    cells, tmp_path
):
    session = Session(engine=drawing, environ={}, folder=tmp_path, mode="off")
    grid = session.grid("a {{animal}}", animal=[f"fox{number}." for number in range(cells)])
    grid.submit(assume_yes=True).result()
    outcomes, grid._outcomes = grid._outcomes, {}

    now, paper, tally = [0.0], Paper(), Tally(asked=cells)
    line = Progress(paper, tally, label="grid", clock=lambda: now[0], wanted=cells, html=grid.arrivals())
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


def test_nothing_is_drawn_for_what_nobody_is_asked_for():
    now, paper = [0.0], Paper()
    line = Progress(paper, Tally(), label="flux-2.0", clock=lambda: now[0])
    now[0] = 9.0
    line.beat()
    line.end()
    assert paper.drawn == []


@pytest.fixture(scope="module", params=["thread", "nested"])
def kernel(request, tmp_path_factory):
    if request.param == "nested":
        needed(NESTED)
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "beluga.toml").write_text(f'bridge = "{request.param}"')
    with Kernel(folder, BELUGA_FAULTS="1") as running:
        running.run("%load_ext beluga_nb")
        yield running


def seen(kernel, code, *, someone=True, stop=False):
    """The kinds of messages that a cell sends, and the line of progress, however often it was drawn."""
    number = kernel.client.execute(code, allow_stdin=someone)
    found, until = [], time.monotonic() + PATIENCE
    while time.monotonic() < until:
        message = kernel.client.get_iopub_msg(timeout=PATIENCE)
        if message["parent_header"].get("msg_id") != number:
            continue
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            return found
        if kind not in {"status", "execute_input"}:
            words = content["data"]["text/plain"] if "data" in content else ""
            found.append(LINE if PROGRESS.fullmatch(words) else kind)
            if found[-2:] == [LINE, LINE]:
                found.pop()
            elif stop and found == [LINE]:
                kernel.manager.interrupt_kernel()
    raise TimeoutError(found)


@pytest.mark.parametrize(
    ("code", "messages"),
    [
        (f"%beluga {SLOW} a cat", [LINE, "clear_output", "execute_result"]),
        (f"%beluga {SLOW} a cat", ["execute_result"]),  # from the store
        (f"%%beluga -m flux-2.0 -n 2\n{SLOW} a cat", [LINE, "clear_output", "execute_result"]),
        (f"# a remark\n\nx = %beluga {SLOW} a dog", [LINE, "clear_output"]),
        (f"y = 1\n%beluga {SLOW} a fox", ["execute_result"]),
        (f"for _ in 'a':\n    %beluga {SLOW} an owl", ["display_data"]),
        (f"%beluga -s 1024x1000 {SLOW} a bee", ["stream", "execute_result"]),
        (f"%beluga --mode replay {SLOW} a hen", ["error"]),
        (
            f"%%beluga compare --axis a=1,2 -o g\n{SLOW} {{{{a}}}} cats",
            [LINE, "clear_output", "execute_result"],
        ),
        (f"%%beluga compare --axis a=1,2 -o g\n{SLOW} {{{{a}}}} cats", ["execute_result"]),
        (f"%%beluga compare -s 1024x1000 --axis a=1,2\n{SLOW} {{{{a}}}} eels", ["stream", "execute_result"]),
    ],
)
def test_it_is_drawn_only_where_it_can_be_taken_away_without_loss(kernel, code, messages):
    assert seen(kernel, code) == messages


def test_it_is_gone_before_an_error(kernel):
    kernel.run("%beluga config timeout=1")
    assert seen(kernel, "%beluga fault: slow seconds=20 | a hare") == [LINE, "clear_output", "error"]
    kernel.run("%beluga config timeout=")


def test_nothing_is_drawn_where_nobody_looks(kernel):
    assert seen(kernel, f"%beluga {SLOW} a swan", someone=False) == ["execute_result"]


def test_stop_takes_it_away(kernel):
    code = "%beluga fault: slow seconds=20 | a seal"
    assert seen(kernel, code, stop=True)[:3] == [LINE, "clear_output", "error"]


def test_in_a_terminal_it_is_one_line_that_is_wiped(tmp_path):
    (tmp_path / "beluga.toml").write_text("faults = true")
    typed = ["%load_ext beluga_nb", f"%beluga {SLOW} a cat", "exit()"]
    _, shown, _ = in_a_terminal(FRONT_ENDS["ipython"], tmp_path, typed)
    assert "\r\x1b[Kgpt-image-2: 0 of 1 picture, 1 s\r\x1b[K" in shown
