"""Both bridges in a real kernel: cells, awaits, queued cells, and Stop."""

import pytest
from kernels import Kernel

SETUP = """
import asyncio, time
from beluga_nb.session.session import Session
from beluga_nb.runtime import {bridge}
bridge = {bridge}()
async def hold(seconds):
    try:
        print("started", flush=True)
        await asyncio.sleep(seconds)
        return "done"
    finally:
        print("cleaned up", flush=True)
"""


@pytest.fixture(scope="module", params=["Thread", "Nested"])
def kernel(request, tmp_path_factory):
    with Kernel(tmp_path_factory.mktemp("bridges"), BELUGA_MODE="off") as running:
        assert running.run(SETUP.format(bridge=request.param)).status == "ok"
        mode = {"Thread": "thread", "Nested": "nested"}[request.param]
        running.run(f"session = Session(bridge={mode!r}, model='flux-2.0')")
        yield running


def test_a_cell_waits_for_a_picture(kernel):
    assert kernel.run("session.generate('a fox', size='3:4')[0].size").texts == ["(768, 1024)"]


def test_a_cell_awaits_a_picture(kernel):
    assert kernel.run("(await session.agenerate('a fox', size='3:4'))[0].size").texts == ["(768, 1024)"]


def test_queued_cells_run_one_after_the_other(kernel):
    numbers = [kernel.start(f"bridge.submit(hold(0.3)).result() + '{number}'") for number in range(4)]
    shown = [kernel.finish(number) for number in numbers]
    assert [each.texts for each in shown] == [[f"'done{number}'"] for number in range(4)]


def test_an_interrupt_stops_a_waiting_cell_within_a_second_and_cleans_up(kernel):
    shown = kernel.run("bridge.submit(hold(30)).result()", interrupt_when="started")
    assert shown.status == "error"
    assert "KeyboardInterrupt" in "".join(shown.error)
    assert "cleaned up" in shown.stdout
    assert shown.seconds < 5


def test_the_kernels_own_loop_is_left_as_it_was(kernel):
    kernel.run("bridge.submit(hold(0)).result()")
    shown = kernel.run("loop = asyncio.get_running_loop(); print(hasattr(type(loop), '_nest_patched'))")
    assert shown.stdout == "False\n"


PATCHED = """
try:
    import nest_asyncio as nest
except ImportError:
    import nest_asyncio2 as nest
nest.apply()
"""


@pytest.mark.parametrize("mode", ["thread", "nested"])
def test_nest_asyncio_on_the_kernels_loop_is_reported_once(tmp_path, mode):
    (tmp_path / "beluga.toml").write_text(f'bridge = "{mode}"')
    with Kernel(tmp_path, BELUGA_MODE="off") as kernel:
        kernel.run("import beluga_nb\n%load_ext beluga_nb")
        assert kernel.run("beluga_nb.generate('a fox')").stdout == ""
        kernel.run(PATCHED)
        output = kernel.run("%beluga a fox").stdout
        assert output.startswith("nest_asyncio is applied to this kernel's event loop: ")
        assert output.endswith(" beluga_nb needs none.\n")
        for cell in (
            "%beluga a fox",
            "await beluga_nb.agenerate('a fox')",
            "%reload_ext beluga_nb\n%beluga a fox",
        ):
            assert kernel.run(cell).stdout == ""


def test_an_interrupted_await_stops_within_a_second(tmp_path):
    with Kernel(tmp_path) as kernel:
        kernel.run(SETUP.format(bridge="Thread"))
        shown = kernel.run("await bridge.submit(hold(30))", interrupt_when="started")
        assert shown.status == "error"
        assert shown.seconds < 5
        assert kernel.run("time.sleep(0.2)").status == "ok"


def test_an_engine_may_block_on_another_call_with_the_nested_bridge(tmp_path):
    with Kernel(tmp_path) as kernel:
        kernel.run(SETUP.format(bridge="Nested"))
        shown = kernel.run(
            "async def outer():\n    return bridge.submit(hold(0.1)).result() + '!'\n"
            "bridge.submit(outer()).result()"
        )
        assert shown.texts == ["'done!'"]
