"""Who may call: a cell, an `await` cell, threads, scripts, nbclient, two kernels at once, forked children."""

import hashlib
import multiprocessing
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from conftest import KEY, Counting, drawing, drawn, service
from kernels import Kernel, clean_environment
from nbclient import NotebookClient

from beluga_nb.request import Request

TESTS = Path(__file__).parent

CALLS = {
    "script": "print(beluga_nb.generate('a fox').pictures[0].sha256)",
    "thread": (
        "import threading\n"
        "hashes = []\n"
        "ask = lambda: hashes.append(beluga_nb.generate('a fox').pictures[0].sha256)\n"
        "threads = [threading.Thread(target=ask) for _ in range(2)]\n"
        "for thread in threads: thread.start()\n"
        "for thread in threads: thread.join()\n"
        "print(*hashes)"
    ),
    "asyncio.run": (
        "import asyncio\n"
        "async def main():\n"
        "    print((await beluga_nb.agenerate('a fox')).pictures[0].sha256)\n"
        "    print(beluga_nb.generate('a fox').pictures[0].sha256)\n"
        "asyncio.run(main())"
    ),
}
CELLS = [
    CALLS["script"],
    "print((await beluga_nb.agenerate('a fox')).pictures[0].sha256)",
    "await asyncio.sleep(0)\n" + CALLS["script"],
    CALLS["thread"],
    "%beluga -o fox a fox\nprint(fox.pictures[0].sha256)",
]


@pytest.fixture(scope="module")
def base_url():
    with service(drawing) as url:
        yield url


@pytest.fixture(params=["thread", "nested"])
def folder(request, tmp_path):
    (tmp_path / "beluga.toml").write_text(f'bridge = "{request.param}"\nmodel = "flux-2.0"\n')
    return tmp_path


def fox():
    return hashlib.sha256(drawn(Request(prompt="a fox", model="flux-2.0"), 0)).hexdigest()


def environment(base_url, **more):
    path = os.pathsep.join([str(TESTS), *filter(None, sys.path)])
    return clean_environment(BELUGA_API_KEY=KEY, BELUGA_BASE_URL=base_url, PYTHONPATH=path, **more)


def script(code, folder, base_url):
    words = [sys.executable, "-c", f"import beluga_nb\n{code}"]
    return subprocess.run(
        words, cwd=folder, env=environment(base_url), capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.sampled(3)
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_r44_a_script_gets_the_picture_wherever_it_asks(folder, base_url, call):
    done = script(call, folder, base_url)
    assert (set(done.stdout.split()), done.stderr) == ({fox()}, "")


def test_r44_a_notebook_that_nbclient_runs_gets_the_picture_in_every_cell(folder, base_url):
    cells = [
        nbformat.v4.new_code_cell(code) for code in ("%load_ext beluga_nb\nimport asyncio, beluga_nb", *CELLS)
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}})
    client.execute(env=environment(base_url, IPYTHONDIR=str(folder / ".ipython")))
    printed = [
        output["text"] for cell in cells[1:] for output in cell.outputs if output.output_type == "stream"
    ]
    assert set("".join(printed).split()) == {fox()}
    assert len(printed) >= len(CELLS)


def test_r44_two_kernels_ask_for_the_same_at_once_with_one_store(folder):
    counting = Counting()
    with service(counting) as base_url:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
        with Kernel(folder, **environ) as one, Kernel(folder, **environ) as other:
            numbers = [(each, each.start(f"import beluga_nb\n{CALLS['script']}")) for each in (one, other)]
            assert {each.finish(number).stdout.split()[-1] for each, number in numbers} == {fox()}
            assert {each.run(CALLS["script"]).stdout for each in (one, other)} == {f"{fox()}\n"}
    assert len(counting.requests) == 1


FORKING = """
import multiprocessing, sys, threading
from drawings import drawn
from beluga_nb.request import Request

def right(number):
    prompts = [f"picture {call} of {number}" for call in range(15)]
    return all(
        beluga_nb.generate(prompt, mode="off").pictures[0].data
        == drawn(Request(prompt=prompt, model="flux-2.0"), 0)
        for prompt in prompts
    )

assert right("the parent")
with multiprocessing.get_context("fork").Pool(4) as pool:
    answers = pool.map_async(right, range(4), chunksize=1)
    assert right("the parent meanwhile")
    print(answers.get(50))
assert right("the parent after")
"""


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork here")
def test_r46_forked_children_get_right_answers_from_connections_of_their_own(folder, base_url):
    done = script(FORKING, folder, base_url)
    assert done.stdout == "[True, True, True, True]\n", done.stderr
