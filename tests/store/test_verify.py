"""Verifying finds every kind of damage and changes nothing (R36, R37, S37, S38)."""

import base64
import hashlib
import json
import os

import pytest
from stores import everything, notebook, record

from beluga_nb.request import Request
from beluga_nb.store import pending
from beluga_nb.store.records import Store
from beluga_nb.store.verify import verify

CALL = "3f2a9c1e-2222-4000-8000-000000000000"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def whales(store, tmp_path):
    """A notebook that shows one picture, and three in one output."""
    return notebook(tmp_path / "whales.ipynb", record(store, "a whale"), record(store, "whales", n=3))


def problems(store, *notebooks):
    before = everything(store.folder)
    report = verify(store, notebooks)
    assert everything(store.folder) == before
    assert report.fine == (not report.problems)
    return list(report.problems)


def place(path):
    return f"{path.parent.parent.name}/{path.parent.name}/{path.name}"


def first_blob(store, kind="png"):
    return sorted(store.folder.glob(f"blobs/*/*.{kind}"))[0]


def test_a_whole_store_has_no_problem(store, whales):
    assert problems(store) == []
    assert problems(store, whales) == []
    assert str(verify(store, [whales])) == "store (4 recordings), whales.ipynb: all well"


def test_an_empty_or_missing_store_says_that_nothing_is_recorded(store):
    assert str(verify(store)) == "store (0 recordings): all well"
    assert not store.folder.exists()


@pytest.mark.parametrize(
    ("damage", "expected"),
    [
        (lambda text: text[:100], "it is damaged (JSONDecodeError)"),
        (lambda _: "", "it is damaged (JSONDecodeError)"),
        (lambda _: '["foreign"]', "it is damaged (TypeError)"),
        (lambda text: text.replace('"a fox"', '"a fax"'), "it is damaged (ValueError)"),
        (
            lambda text: text.replace('"schema": 1', '"schema": 9'),
            "it has format 9, and this version reads 1",
        ),
        (lambda text: text.replace("image/png", "../etc"), "it is damaged (ValueError)"),
        (lambda _: "[" * 100_000, "it is damaged (RecursionError)"),
        (lambda _: "cos\nsystem\n(S'touch planted'\ntR.", "it is damaged (JSONDecodeError)"),
    ],
    ids=["cut", "empty", "foreign", "another prompt", "newer", "a path", "deep", "a pickle"],
)
def test_a_record_that_cannot_be_used_is_named(store, damage, expected):
    record(store)
    [path] = store.record_paths()
    path.write_text(damage(path.read_text()))
    assert problems(store) == [f"{place(path)}: {expected}"]


@pytest.mark.parametrize("kind", ["png", "jpg"], ids=["picture", "preview"])
def test_bytes_that_are_missing_or_others_are_named(store, kind):
    record(store)
    path = first_blob(store, kind)
    data = path.read_bytes()
    path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
    assert problems(store) == [f"{place(path)}: its bytes are not the ones that were recorded."]
    path.unlink()
    assert problems(store) == [f"{place(path)}: No such file or directory."]


def test_a_pointer_of_git_lfs_is_called_one(store):
    record(store)
    path = first_blob(store)
    path.write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{path.stem}\nsize {path.stat().st_size}\n"
    )
    assert problems(store) == [f"{place(path)}: only its Git LFS pointer is here: git lfs pull"]


def test_a_record_under_another_name_is_named(store):
    record(store)
    [path] = store.record_paths()
    other = path.with_name("0" * 64 + ".json")
    path.rename(other)
    assert problems(store)[0] == f"{place(other)}: it is damaged (its name belongs to something else)"


def test_a_record_in_the_wrong_folder_is_named(store):
    record(store)
    [path] = store.record_paths()
    other = path.parent.with_name("zz") / path.name
    path.parent.rename(other.parent)
    assert problems(store) == [f"{place(other)}: it is in the wrong folder"]


@pytest.mark.posix
def test_a_link_out_of_the_store_is_not_followed(store, tmp_path):
    record(store)
    [path] = store.record_paths()
    path.parent.rename(tmp_path / "elsewhere")
    path.parent.symlink_to(tmp_path / "elsewhere")
    assert problems(store) == [f"{place(path)}: a link leads out of the store"]


@pytest.mark.parametrize("damage", [lambda content: content["of"].reverse(), lambda content: content.clear()])
def test_a_damaged_sheet_is_named(store, whales, damage):
    [path] = store.folder.glob("sheets/*/*.json")
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    assert [each.partition(": it is damaged")[0] for each in problems(store)] == [place(path)]


def test_a_sheet_without_its_bytes_is_named(store, whales):
    [path] = store.folder.glob("sheets/*/*.json")
    name = json.loads(path.read_text())["sheet"]["sha256"]
    [blob] = store.folder.glob(f"blobs/*/{name}.jpg")
    blob.unlink()
    assert problems(store) == [f"{place(blob)}: No such file or directory."]


def test_bytes_that_no_record_names_are_reported_and_no_problem(store):
    record(store)
    kept = store.keep(b"half a picture")
    report = verify(store)
    assert (report.fine, report.unnamed) == (True, (place(kept),))
    assert f"named by no record: 1\n  {place(kept)}" in str(report)


def test_what_a_newer_record_names_is_not_taken_for_nobodys(store):
    record(store)
    [path] = store.record_paths()
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 2'))
    assert verify(store).unnamed == ()


def test_a_temporary_file_of_a_dead_writer_is_reported(store):
    record(store)
    part = store.folder / "tmp" / "part"
    part.write_bytes(b"half")
    assert verify(store).unnamed == ()
    os.utime(part, (0, 0))
    assert verify(store).unnamed == ("tmp/part",)


def test_a_call_without_a_known_end_is_mentioned(store):
    call = pending.begin(
        store,
        Request(prompt="a fox", model="flux-2.0", idempotency_key="3f2a9c1e-2222-4000-8000-000000000000"),
        provider="wire",
    )
    pending.mark_unknown(store, call, "It was interrupted.")
    report = verify(store)
    assert report.fine
    assert f"calls without a known end: 1\n  {CALL}, “a fox”" in str(report)


# --- notebooks


def test_a_hash_that_is_not_recorded_is_a_problem_with_its_place(store, whales):
    name = json.loads(store.record_paths()[0].read_text())["image"]["sha256"]
    whales.write_text(whales.read_text().replace(name, "0" * 64))
    [problem] = problems(store, whales)
    assert problem.startswith("whales.ipynb, cell ")
    assert problem.endswith(f": sha256:{'0' * 64} is not recorded")


def test_a_hash_of_other_bytes_of_the_store_is_not_enough(store, whales):
    content = json.loads(store.record_paths()[0].read_text())
    whales.write_text(whales.read_text().replace(content["image"]["sha256"], content["preview"]["sha256"]))
    assert f"sha256:{content['preview']['sha256']} is not recorded" in problems(store, whales)[0]


def test_a_hash_in_the_html_counts_as_well(store, tmp_path):
    path = notebook(tmp_path / "n.ipynb", record(store))
    content = json.loads(path.read_text())
    content["cells"][0]["outputs"][0]["data"] = {"text/html": ["<i>sha256:", "0" * 64, "</i>"]}
    path.write_text(json.dumps(content))
    assert problems(store, path) == [f"n.ipynb, cell 1, output 1: sha256:{'0' * 64} is not recorded"]


@pytest.mark.parametrize("cell", [0, 1], ids=["one picture", "a sheet of three"])
def test_a_shown_picture_that_is_not_the_recorded_preview_is_a_problem(store, whales, cell):
    content = json.loads(whales.read_text())
    data = content["cells"][cell]["outputs"][0]["data"]
    assert hashlib.sha256(base64.b64decode(data["image/jpeg"])).hexdigest() in str(everything(store.folder))
    data["image/jpeg"] = base64.b64encode(b"another").decode()
    whales.write_text(json.dumps(content))
    assert problems(store, whales) == [
        f"whales.ipynb, cell {cell + 1}, output 1: it shows another preview than the recorded one"
    ]


def test_text_in_lines_and_images_with_line_breaks_are_read_as_jupyter_writes_them(store, whales):
    content = json.loads(whales.read_text())
    for cell in content["cells"]:
        data = cell["outputs"][0]["data"]
        data["text/plain"] = data["text/plain"].splitlines(keepends=True)
        data["image/jpeg"] = data["image/jpeg"][:76] + "\n" + data["image/jpeg"][76:] + "\n"
    whales.write_text(json.dumps(content))
    assert problems(store, whales) == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "broken.ipynb is not a notebook"),
        ("[]", "broken.ipynb is not a notebook"),
        ('{"nbformat": 3, "worksheets": []}', "its format is 3, not 4"),
        ('{"nbformat": 4, "cells": [7]}', "broken.ipynb is not a notebook"),
        (None, "broken.ipynb cannot be read: No such file"),
    ],
)
def test_what_is_no_notebook_is_a_problem(store, tmp_path, text, expected):
    path = tmp_path / "broken.ipynb"
    if text is not None:
        path.write_text(text)
    [problem] = problems(store, path)
    assert expected in problem


def test_what_no_notebook_shows_is_reported_and_no_problem(store, whales):
    record(store, "unused", n=2)
    report = verify(store, [whales])
    assert report.fine
    assert [(run.request.prompt, len(run.pictures)) for run in report.unused] == [("unused", 2)]
    assert "shown by none of these notebooks: 1\n" in str(report)
    assert "2 pictures of “unused”" in str(report)


def test_several_notebooks_are_seen_together(store, whales, tmp_path):
    other = notebook(tmp_path / "other.ipynb", record(store, "another"))
    assert len(verify(store, [whales]).unused) == 1
    assert verify(store, [whales, other]).unused == ()
