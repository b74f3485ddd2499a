"""A key that is typed on a line or in a cell goes nowhere: in a real kernel, before a service that counts."""

import pytest
from conftest import KEY, Counting, drawing, service
from kernels import Kernel
from leaks import holds, leaks

import beluga_nb.magics.typed as typed

OTHER = "sk-proj-9fKz3Vq7WmXb2Ns8Rt4Yc6Lh1Pd5Gj"

CELLS = {
    "login and the key": "%beluga login {key}",
    "login and the key in quotes": "%beluga login '{key}'",
    "login, the key, and keep": "%beluga login {key} --keep",
    "login, keep, and the key": "%beluga login --keep {key}",
    "login, key=": "%beluga login key={key}",
    "the key alone": "%beluga {key}",
    "a result": "fox = %beluga {key}",
    "key=": "%beluga key={key}",
    "api_key=": '%beluga api_key="{key}" a fox',
    "among the words of a prompt": "%beluga a fox with {key} on it",
    "as a take": "%beluga --take {key} a fox",
    "as a model": "%beluga -m {key} a fox",
    "as a mode": "%beluga --mode {key} a fox",
    "as a variable": "%beluga -o {key} a fox",
    "as an option": "%beluga --{key} a fox",
    "as a setting": "%beluga config model={key}",
    "as a setting that is none": "%beluga config api_key={key}",
    "as an alias": "%beluga alias {key}=-m flux-2.0",
    "as a file": "%beluga open {key}.png",
    "as a text that is looked for": "%beluga history --text {key}",
    "on the line of a cell": "%%beluga {key}\na fox",
    "after login on the line of a cell": "%%beluga login {key}\na fox",
    "below the line of a cell": "%%beluga\na fox\n{key}",
    "in a grid": "%%beluga compare --axis animal=cat,{key}\na {{{{animal}}}}",
    "in a second prompt": "%%beluga compare\na fox\n---\nan owl {key}",
}

IN_USE = {
    "as it is": lambda key: key,
    "broken": "\u200e".join,
    "as digits": lambda key: key.encode().hex(),
}


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    folder, counting = tmp_path_factory.mktemp("typed"), Counting(drawing)
    with (
        service(counting) as base_url,
        Kernel(folder, BELUGA_API_KEY=KEY, BELUGA_BASE_URL=base_url) as running,
    ):
        running.folder, running.counting = folder, counting
        running.run("%load_ext beluga_nb")
        yield running


@pytest.mark.parametrize("key", [OTHER, *(write(KEY) for write in IN_USE.values())], ids=repr)
@pytest.mark.parametrize("cell", CELLS)
def test_a_key_in_a_cell_is_not_sent_and_two_lines_say_how_to_log_in(kernel, cell, key):
    shown = kernel.run(CELLS[cell].format(key=key))
    if key != OTHER or shown.status == "error":  # what is no prompt may say something else
        shown.fails_with("RequestError: This cell contains a key; it was not sent", "%beluga login")
    assert kernel.counting.requests == []
    assert not any(holds(shown.everything, each) for each in (KEY, OTHER))


def test_the_history_of_the_kernel_keeps_none_of_it(kernel):
    """The last of them: what the cells above left, in memory and on the disk."""
    kernel.run("%beluga login " + OTHER)
    kernel.run("%%beluga\na fox\nwith " + KEY)
    kept = kernel.run(
        "history = get_ipython().history_manager; history.writeout_cache()\n"
        "print(In, history.input_hist_raw, [v for n, v in globals().items() if n[:2] == '_i'])\n"
        "print(list(history.get_tail(99)), list(history.search('*')))"
    )
    assert "# This cell held a key, which is not kept." in kept.stdout
    assert not any(holds(kept.stdout, each) for each in (KEY, OTHER))
    assert kernel.folder.joinpath(".ipython").exists()
    assert [path for key in (KEY, OTHER) for path in leaks(kernel.folder, key)] == []


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("login sk-1234567890", True),
        ("login --keep hunter2-hunter2", True),
        ("login Xk29vbQ81", True),
        ("login key=Xk29vbQ81", True),
        ("key=Xk29vbQ81", True),
        ("sk-or-v1-0123abcd", True),
        ("9fKz3Vq7WmXb2Ns8Rt4Yc6Lh1Pd5Gj", True),
        ("login", False),
        ("login --keep", False),
        ("login page of a bank", False),
        ("login page", False),
        ("login screen, 1980s", False),
        ("a key = a lock", False),
        ("password=none", False),
        ("state-of-the-art-in-2024-as-a-diagram", False),
        ("score_9_up_masterpiece_best_quality", False),
        ("sk-eleton", False),
        ("", False),
    ],
)
def test_a_key_is_distinguished_from_a_prompt(line, key):
    assert typed.is_key(line) is key
