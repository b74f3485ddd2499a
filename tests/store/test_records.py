"""The store's format, frozen by golden values, and what happens to damaged or half-written files."""

import base64
import errno
import json
import os
import subprocess
import sys

import pytest
from conftest import ask, drawing, drawn

from beluga_nb.errors import APIStatusError, InvalidImageError, StoreError
from beluga_nb.request import Request
from beluga_nb.result import Picture, Preview, Recipe, Result
from beluga_nb.store.codec import canonical_json
from beluga_nb.store.format import RECORDS, key
from beluga_nb.store.records import Store

FOX = Request(prompt="a fox", model="flux-2.0")
PREVIEW = Preview(b"preview", "image/jpeg")

# --- golden values: changing one of them orphans every recording that people have paid for

KEYS = [
    (FOX, "belugapi", "6611bcbd3494efff81a08a51785f4b8f28bf1d04a0e99e3e38bd22888fced06e"),
    (FOX, "local", "b1d60700f3bcd3ce66f2d1080ff04d3281c6f0abe98bb3655d3df7bc73d4ae25"),
    (
        Request(prompt="a fox\n", model="flux-2.0"),
        "belugapi",
        "49b883b38b6839378b9e6d5716d28e9e70987144d5dcc10ed1e8e14d55f708b1",
    ),
    (
        Request(prompt="a fox", model="flux-2.0", size="16:9", quality="hd", take="again", sample=3),
        "belugapi",
        "7ebc27c10014e5e069ae085ed659c5179024c45249702118e8c2f42d44fde7bc",
    ),
    (
        Request(prompt=' "\\\né \N{SNOWMAN} \U0001f98a\u2028\x7f ', model="gpt-image-2", size="auto"),
        "belugapi",
        "6fe5e98748f28fa9495a91fd384df0fe8f6cfa164562acfaf431db05b0531f15",
    ),
]

PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="
)

RECORD = """\
{
 "image": {
  "bytes": 68,
  "height": 1,
  "media_type": "image/png",
  "sha256": "431ced6916a2a21a156e38701afe55bbd7f88969fbbfc56d7fe099d47f265460",
  "width": 1
 },
 "inputs": [],
 "key": "7019713d7704458da0aae33e40e282e1c3a183a7daf7001a2803cfb83b1d8fe6",
 "op": "images.generate",
 "preview": {
  "media_type": "image/jpeg",
  "sha256": "5975cf1bba432391c94667f5886225f69377c0aa8b9fa21fddfb21c89bcf9092"
 },
 "provider": "belugapi",
 "request": {
  "model": "flux-2.0",
  "prompt": "a \N{FOX FACE}\\n“really”",
  "size": "16:9"
 },
 "response": {
  "created": 1750000000,
  "engine": "belugapi",
  "revised_prompt": "é"
 },
 "sample": 2,
 "schema": 1,
 "take": "b"
}
"""

GOLDEN = Picture(
    PIXEL,
    "image/png",
    Recipe(
        request=Request(prompt="a \N{FOX FACE}\n“really”", model="flux-2.0", size="16:9", take="b", sample=2),
        engine="belugapi",
        revised_prompt="é",
        created=1_750_000_000,
    ),
)


@pytest.mark.parametrize(("request_", "provider", "expected"), KEYS)
def test_the_key_of_a_request_never_changes(request_, provider, expected):
    assert key(request_, provider=provider) == expected


def test_a_record_and_its_blobs_never_change(tmp_path):
    Store(tmp_path).write(GOLDEN, PREVIEW, provider="belugapi")
    assert files(tmp_path) == {
        ".gitattributes": b"blobs/** -text\nrecords/** merge=union\n",
        ".gitignore": b"pending/\ntmp/\n",
        "store.json": b'{"schema":1}\n',
        "records/70/7019713d7704458da0aae33e40e282e1c3a183a7daf7001a2803cfb83b1d8fe6.json": RECORD.encode(),
        "blobs/43/431ced6916a2a21a156e38701afe55bbd7f88969fbbfc56d7fe099d47f265460.png": PIXEL,
        "blobs/59/5975cf1bba432391c94667f5886225f69377c0aa8b9fa21fddfb21c89bcf9092.jpg": b"preview",
    }


REFUSAL = """\
{
 "image": null,
 "inputs": [],
 "key": "6611bcbd3494efff81a08a51785f4b8f28bf1d04a0e99e3e38bd22888fced06e",
 "op": "images.generate",
 "preview": null,
 "provider": "belugapi",
 "refusal": {
  "code": "moderation_blocked",
  "hint": "Say it otherwise.",
  "message": "No.",
  "param": "prompt",
  "request_id": "req_1",
  "status": 400,
  "type": "invalid_request_error"
 },
 "request": {
  "model": "flux-2.0",
  "prompt": "a fox"
 },
 "response": {
  "created": 1750000000,
  "engine": "belugapi",
  "revised_prompt": null
 },
 "sample": 0,
 "schema": 1,
 "take": ""
}
"""

DECLINED = {"status": 400, "type": "invalid_request_error", "code": "moderation_blocked", "param": "prompt"}


def test_a_recorded_refusal_never_changes_and_is_read_for_ever(tmp_path):
    store = Store(tmp_path)
    refusal = APIStatusError("No.", "Say it otherwise.", request_id="req_1", **DECLINED)
    store.write_refusal(FOX, refusal, provider="belugapi", created=1_750_000_000)
    path = tmp_path / "records/66/6611bcbd3494efff81a08a51785f4b8f28bf1d04a0e99e3e38bd22888fced06e.json"
    assert path.read_text("utf-8") == REFUSAL
    read = store.read(FOX, provider="belugapi")
    assert (str(read), vars(read)) == (str(refusal), vars(refusal))


def test_a_recording_of_today_is_read_for_ever(tmp_path):
    for name, data in {
        "records/70/7019713d7704458da0aae33e40e282e1c3a183a7daf7001a2803cfb83b1d8fe6.json": RECORD.encode(),
        "blobs/43/431ced6916a2a21a156e38701afe55bbd7f88969fbbfc56d7fe099d47f265460.png": PIXEL,
        "blobs/59/5975cf1bba432391c94667f5886225f69377c0aa8b9fa21fddfb21c89bcf9092.jpg": b"preview",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(data)
    picture = Store(tmp_path).read(GOLDEN.recipe.request, provider="belugapi")
    assert picture == GOLDEN
    assert picture.preview == PREVIEW
    assert picture.recipe.created == 1_750_000_000


# --- the key


@pytest.mark.parametrize(
    "other",
    [
        {"prompt": "a fox "},
        {"model": "flux-kontext"},
        {"size": "1:1"},
        {"quality": "standard"},
        {"output_format": "png"},
        {"output_compression": 0},
        {"take": "2"},
        {"sample": 1},
    ],
    ids=str,
)
def test_whatever_the_picture_depends_on_is_in_the_key(other):
    changed = Request(**{"prompt": "a fox", "model": "flux-2.0"} | other)
    assert key(changed, provider="belugapi") != key(FOX, provider="belugapi")


def test_how_many_are_asked_for_is_not_in_the_key():
    assert key(FOX.slice(0, 4), provider="belugapi") == key(FOX, provider="belugapi")


def test_only_what_was_set_is_asked():
    assert FOX.parameters == {"model": "flux-2.0", "prompt": "a fox"}


def test_a_json_value_has_one_spelling():
    assert canonical_json({"b": [1, None, "é"], "a": "\u2028"}) == '{"a":"\u2028","b":[1,null,"é"]}'.encode()


# --- writing and reading


def files(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def one(request=FOX):
    return ask(drawing, request).pictures[0]


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def written(store):
    store.write(one(), PREVIEW, provider="wire")
    return store


def record_path(store):
    (path,) = store.folder.glob("records/*/*.json")
    return path


def read(store):
    return store.read(FOX, provider="wire")


def test_what_is_written_is_read_to_the_byte(written):
    picture = read(written)
    assert picture == one()
    assert picture.data == drawn(FOX, 0)
    assert picture.preview == PREVIEW
    assert picture.recipe.created == 1_750_000_000
    assert written.has(FOX, provider="wire")


def test_a_picture_without_a_preview_is_read_without(store):
    store.write(one(), None, provider="wire")
    assert read(store).preview is None


@pytest.mark.parametrize(("kind", "suffix"), [("JPEG", "jpg"), ("WEBP", "webp")])
def test_every_format_keeps_its_bytes_and_its_suffix(store, kind, suffix):
    data = drawn(FOX, 0, kind)
    store.write(
        Picture(data, f"image/{kind.lower()}", Recipe(request=FOX, engine="x")), None, provider="wire"
    )
    assert read(store).data == data
    assert len(list(store.folder.glob(f"blobs/*/*.{suffix}"))) == 1


def test_reading_makes_nothing(store):
    assert read(store) is None
    assert store.has(FOX, provider="wire") is False
    assert list(RECORDS.values(store)) == []
    assert not store.folder.exists()


def test_another_provider_take_or_sample_is_not_recorded(written):
    assert written.read(FOX, provider="local") is None
    assert written.read(Request(prompt="a fox", model="flux-2.0", take="b"), provider="wire") is None
    assert written.read(FOX.slice(1), provider="wire") is None


def test_the_same_bytes_are_kept_once(written):
    written.write(one(FOX.slice(1)), PREVIEW, provider="wire")
    same = Picture(drawn(FOX, 0), "image/png", Recipe(request=FOX.slice(2), engine="x"))
    written.write(same, PREVIEW, provider="wire")
    assert len(list(written.folder.glob("records/*/*.json"))) == 3
    assert len(list(written.folder.glob("blobs/*/*.png"))) == 2


def test_bytes_of_no_known_format_are_kept_too(store):
    path = store.keep(b"GIF89a")
    assert path.read_bytes() == b"GIF89a"
    assert path.suffix == ".bin"


def test_all_records_are_listed_in_the_order_of_their_keys(store):
    for sample in range(5):
        store.write(one(FOX.slice(sample)), None, provider="wire")
    listed = list(RECORDS.values(store))
    assert len(listed) == 5
    assert [entry.key for entry in listed] == sorted(entry.key for entry in listed)


# --- half-written, and two writers


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_r31_a_write_that_fails_leaves_the_old_record_and_no_part_of_the_new(written, monkeypatch):
    before = files(written.folder)
    monkeypatch.setattr(os, "replace", full)
    other = Picture(drawn(FOX, 7), "image/png", Recipe(request=FOX, engine="other"))
    with pytest.raises(StoreError) as caught:
        written.write(other, Preview(b"other", "image/jpeg"), provider="wire")
    assert str(caught.value) == (
        "Pictures cannot be recorded: No space left on device (store).\n"
        "They are in the result: save them with .save(), then mend the folder or set BELUGA_STORE."
    )
    assert files(written.folder) == before
    assert read(written) == one()


def test_a_record_is_written_after_its_bytes(store, monkeypatch):
    order = []
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append(b.parent.parent.name), replace(a, b)))
    store.write(one(), PREVIEW, provider="wire")
    assert order[-3:] == ["blobs", "blobs", "records"]


def test_a_folder_that_is_a_file_is_a_store_error(tmp_path):
    (tmp_path / "store").write_text("mine")
    store = Store(tmp_path / "store")
    assert read(store) is None
    with pytest.raises(StoreError, match="Pictures cannot be recorded"):
        store.write(one(), PREVIEW, provider="wire")
    assert (tmp_path / "store").read_text() == "mine"


def test_a_text_that_no_file_can_hold_is_a_store_error(store):
    broken = Picture(drawn(FOX, 0), "image/png", Recipe(request=FOX, engine="x", revised_prompt="\ud83d"))
    with pytest.raises(StoreError, match="Pictures cannot be recorded"):
        store.write(broken, None, provider="wire")


WRITER = """
import sys
from pathlib import Path
from drawings import ask, drawing
from beluga_nb.request import Request
from beluga_nb.result import Preview
from beluga_nb.store.records import Store

folder, take = sys.argv[1:]
store = Store(Path(folder))
for sample in range(20):
    for own in ("", take):
        request = Request(prompt="a fox", model="flux-2.0", take=own, sample=sample)
        store.write(ask(drawing, request).pictures[0], Preview(b"preview", "image/jpeg"), provider="wire")
"""


def test_two_processes_may_write_the_same_and_other_records_at_once(store):
    tests = os.path.dirname(os.path.dirname(__file__))
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, *sys.path])}
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(store.folder), take], env=environ)
        for take in ("one", "other")
    ]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    for take in ("", "one", "other"):
        for sample in range(20):
            request = Request(prompt="a fox", model="flux-2.0", take=take, sample=sample)
            assert store.read(request, provider="wire") == one(request)
    assert len(list(RECORDS.values(store))) == 60
    assert [path.name for path in store.folder.rglob("*.part")] == []


# --- damage


def test_a_missing_picture_is_named_and_not_bought_again(written):
    (blob,) = written.folder.glob("blobs/*/*.png")
    blob.unlink()
    with pytest.raises(StoreError) as caught:
        read(written)
    assert caught.value.message == (
        f"The recording {blob.name[:12]}… cannot be used: No such file or directory."
    )
    assert caught.value.hint == (
        f"Bring back blobs/{blob.parent.name}/{blob.name}"
        " (git checkout, git lfs pull), or ask for a new take."
    )


@pytest.mark.parametrize("data", [b"", b"version https://git-lfs.github.com/spec/v1\n", PIXEL])
@pytest.mark.parametrize("suffix", ["png", "jpg"])
def test_a_picture_or_preview_that_is_not_the_recorded_one_is_named(written, data, suffix):
    (blob,) = written.folder.glob(f"blobs/*/*.{suffix}")
    blob.write_bytes(data)
    with pytest.raises(StoreError) as caught:
        read(written)
    assert "its bytes are not the ones that were recorded" in caught.value.message
    assert f"blobs/{blob.parent.name}/{blob.name}" in caught.value.hint


def test_a_flipped_bit_is_noticed(written):
    (blob,) = written.folder.glob("blobs/*/*.png")
    data = bytearray(blob.read_bytes())
    data[100] ^= 1
    blob.write_bytes(data)
    with pytest.raises(StoreError, match="not the ones that were recorded"):
        read(written)


def test_writing_the_right_bytes_again_mends_a_damaged_picture(written):
    (blob,) = written.folder.glob("blobs/*/*.png")
    blob.write_bytes(b"damaged")
    written.write(one(), PREVIEW, provider="wire")
    assert read(written) == one()


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b"[]", b"7", b'"text"', b"{}", b"\xff\xfe", b"<<<<<<< HEAD\n", b"[" * 100_000],
    ids=lambda data: str(data[:12]),
)
def test_r36_an_unreadable_record_is_named(written, data):
    path = record_path(written)
    path.write_bytes(data)
    with pytest.raises(StoreError) as caught:
        read(written)
    assert "cannot be used: it is damaged" in caught.value.message
    assert f"records/{path.parent.name}/{path.name}" in caught.value.hint
    assert list(RECORDS.values(written)) == []


def changed(store, *names, value):
    """Change one field of the only record."""
    path = record_path(store)
    record = json.loads(path.read_bytes())
    at = record
    for name in names[:-1]:
        at = at[name]
    at[names[-1]] = value
    path.write_text(json.dumps(record), "utf-8")


@pytest.mark.parametrize(
    ("names", "value"),
    [
        (("request",), None),
        (("request",), "text"),
        (("request", "prompt"), ""),
        (("request", "prompt"), 7),
        (("request", "colour"), "red"),
        (("sample",), -1),
        (("sample",), "0"),
        (("take",), None),
        (("image",), None),
        (("image", "sha256"), 7),
        (("image", "sha256"), "../../../etc/passwd"),
        (("image", "sha256"), "/etc/passwd"),
        (("image", "sha256"), "A" * 64),
        (("image", "media_type"), "image/svg+xml"),
        (("image", "media_type"), ["image/png"]),
        (("preview",), "text"),
        (("preview", "sha256"), "../x"),
        (("response",), []),
        (("response", "duration"), "8.1"),
        (("response", "duration"), -1),
        (("response", "duration"), 1e300),
    ],
    ids=str,
)
def test_s38_a_record_with_a_field_that_cannot_be_is_damaged(written, names, value):
    changed(written, *names, value=value)
    with pytest.raises(StoreError, match=r"cannot be used: it is damaged"):
        read(written)


def test_a_record_that_answers_another_request_is_damaged(written):
    changed(written, "request", "prompt", value="a wolf")
    with pytest.raises(StoreError, match=r"cannot be used: it is damaged"):
        read(written)


def test_a_record_of_a_newer_version_is_left_alone(written):
    changed(written, "schema", value=2)
    with pytest.raises(StoreError, match="it has format 2, and this version reads 1"):
        read(written)
    assert list(RECORDS.values(written)) == []


def test_a_record_that_is_a_folder_is_named(written):
    path = record_path(written)
    path.unlink()
    path.mkdir()
    with pytest.raises(StoreError, match="cannot be used"):
        read(written)


def test_what_is_no_picture_has_no_record(store):
    nothing = Result(FOX, (Picture(b"GIF89a", "image/png", Recipe(request=FOX, engine="x")),))
    with pytest.raises(InvalidImageError):
        store.write(nothing.pictures[0], None, provider="wire")
