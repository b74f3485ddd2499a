"""`%beluga verify`, `history`, `forget`, `pack` and `unpack` in a real kernel."""

import json

import pytest
from kernels import Kernel
from stores import mentions


@pytest.fixture
def folder(tmp_path):
    return tmp_path


@pytest.fixture
def kernel(folder):
    with Kernel(folder) as running:
        running.run("%load_ext beluga_nb")
        yield running


def saved(folder, *cells):
    """A notebook with the outputs that these cells had."""
    outputs = [
        {"output_type": "display_data", "metadata": {}, "data": bundle}
        for shown in cells
        for bundle in shown.bundles
    ]
    cell = {"cell_type": "code", "source": "", "metadata": {}, "execution_count": 1, "outputs": outputs}
    document = {"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": [cell]}
    (folder / "whales.ipynb").write_text(json.dumps(document))


def test_the_life_of_a_recording(kernel, folder):
    fox = kernel.run("%beluga -s 1:1 a fox in the <b>snow</b>")
    skyline = kernel.run("%beluga -m flux-2.0 -n 2 -o night a skyline at night")
    saved(folder, fox, skyline)

    shown = kernel.run("%beluga verify whales.ipynb")
    assert (shown.status, shown.texts) == ("ok", ["beluga_store (3 recordings), whales.ipynb: all well"])

    [bundle] = kernel.run("%beluga history").bundles
    assert bundle["text/html"].count("<img ") == 3
    assert "a fox in the &lt;b&gt;snow&lt;/b&gt;" in bundle["text/html"]
    assert bundle["text/plain"].splitlines()[0].split() == [
        "run",
        "when",
        "(UTC)",
        "model",
        "pictures",
        "prompt",
    ]
    assert bundle["text/plain"].count("local preview, not model output") == 2
    [text] = kernel.run("%beluga history --text SKYLINE").texts
    assert len(text.splitlines()) == 2
    name = text.splitlines()[1].split()[0]

    assert kernel.run(f"%beluga history {name}").bundles == skyline.bundles
    assert kernel.run(f"%beluga history -o again {name}\nNone").bundles == skyline.bundles
    assert kernel.run("again == night, again[0].size, type(again).__name__").texts == [
        "(True, (1024, 1024), 'Result')"
    ]
    assert kernel.run(f"x = %beluga history {name}").bundles == []
    assert kernel.run("x == night").texts == ["True"]

    shown = kernel.run("%beluga pack whales.ipynb -o sent.zip\n%beluga unpack sent.zip --into there")
    assert shown.stdout.startswith("sent.zip: whales.ipynb and 3 pictures that it needs (")
    assert "there/whales.ipynb, and 3 recordings that it needs\n" in shown.stdout
    assert kernel.run("%beluga verify there/whales.ipynb").status == "ok"

    shown = kernel.run("%beluga forget --prompt skyline", answers=["n"])
    assert (shown.status, shown.error) == ("ok", [])
    assert shown.stdout.endswith("Nothing was removed: 1 run, 2 pictures stay.\n")
    assert "a skyline at night" in shown.stdout
    shown = kernel.run("%beluga forget --prompt skyline", answers=["y"])
    assert "Forgotten: 1 run, 2 pictures" in shown.stdout
    assert "Notebooks, git's history and IPython's history are not touched" in shown.stdout
    assert mentions(folder / "beluga_store", "skyline") == []

    shown = kernel.run("%beluga verify whales.ipynb")
    assert shown.texts[0].count(" is not recorded") == 2
    assert shown.error == ["StoreError: verify found 2 problems, listed above.", "Nothing was changed."]


def test_where_nobody_can_be_asked_nothing_is_forgotten_without_yes(kernel):
    kernel.run("%beluga -s 1:1 a fox")
    shown = kernel.run("%beluga forget --all")
    assert shown.error[0] == (
        "NotConfirmedError: 1 run, 1 picture: to be forgotten, "
        "and this environment cannot ask for confirmation."
    )
    assert "--yes" in shown.error[1]
    assert kernel.run("%beluga forget --all --yes").status == "ok"
    assert kernel.run("%beluga history").texts == [
        "Nothing is recorded yet. Begin with %beluga a red bicycle on a beach"
    ]
    shown = kernel.run("%beluga forget --prompt fox")
    assert shown.stdout == "Nothing was removed: no recording fits.\n"


@pytest.mark.parametrize(
    ("cell", "first", "second"),
    [
        ("%beluga forget", "RequestError: No recordings were selected.", "--older 90d"),
        ("%beluga forget 1234", "RequestError: There is no run '1234'.", "%beluga history lists all runs."),
        ("%beluga history -o fox", "RequestError: One run can be brought back.", "6611bcbd3494"),
        ("%beluga history --since today", "RequestError: 'today' is not a date.", "2026-11-22"),
        (
            "%beluga pack",
            "RequestError: %beluga pack takes one file.",
            "For example: %beluga pack study.ipynb",
        ),
        (
            "%beluga pack gone.ipynb",
            "StoreError: gone.ipynb cannot be read: No such file",
            "Name a notebook.",
        ),
        ("%beluga unpack gone.zip", "StoreError: gone.zip cannot be unpacked: No such file", "Nothing was"),
    ],
)
def test_an_error_takes_two_lines(shared, cell, first, second):
    shown = shared.run(cell)
    shown.fails_with(first, second)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Kernel(tmp_path_factory.mktemp("shared")) as running:
        running.run("%load_ext beluga_nb")
        yield running


@pytest.mark.parametrize("prompt", ["history of the world", "forget me not", "verify, then trust"])
def test_a_prompt_that_begins_like_a_command_makes_a_picture(shared, prompt):
    assert shared.run(f"%beluga -s 1:1 {prompt}").texts[0].startswith(f"1 picture of “{prompt}”")
    assert shared.run(f"%beluga {prompt}").texts[0].startswith(f"1 picture of “{prompt}”")
