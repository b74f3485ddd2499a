"""A notebook and its recordings as one zip, and back; and what a zip from anybody may not do."""

import base64
import hashlib
import io
import json
import os
import platform
import stat
import struct
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ask
from PIL import Image
from stores import SENTINEL, everything, mentions, notebook, record

from beluga_nb.engines.replayed import Replayed
from beluga_nb.engines.unrecorded import Unrecorded
from beluga_nb.errors import APIStatusError, StoreError
from beluga_nb.request import Request
from beluga_nb.result import Preview
from beluga_nb.store import pending, zips
from beluga_nb.store.format import RECORDS
from beluga_nb.store.notebooks import Notebook
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.sheets import SHEETS, sheet
from beluga_nb.store.unpack import unpack
from beluga_nb.store.verify import verify
from beluga_nb.store.votes import VOTES, Undone

CALL = "3f2a9c1e-2222-4000-8000-000000000000"


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "a" / "store")


@pytest.fixture
def whales(store, tmp_path):
    """A notebook that shows one picture, and three in one output."""
    (tmp_path / "a").mkdir()
    return notebook(tmp_path / "a" / "whales.ipynb", record(store, "a whale"), record(store, "whales", n=3))


@pytest.fixture
def packed(store, whales):
    return pack(store, whales).path


@pytest.fixture
def there(tmp_path):
    """Another machine's folder."""
    return tmp_path / "b"


def arrived(packed, there):
    store = Store(there / "beluga_store")
    unpack(packed, store, into=there)
    return store


def entries(path):
    with zipfile.ZipFile(path) as zipped:
        return {info.filename: zipped.read(info) for info in zipped.infolist()}


def written(path, files):
    """A zip of these files: names, or `ZipInfo`s, and bytes."""
    with zipfile.ZipFile(path, "w") as zipped, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about names that are there twice
        for name, data in files:
            zipped.writestr(name, data)
    return path


def refused(path, there, messages, hint="Nothing was written."):
    """Unpacking fails with this, in two lines, and writes nothing."""
    before = everything(there.parent)
    with pytest.raises(StoreError) as caught:
        arrived(path, there)
    assert messages in caught.value.message, caught.value.message
    assert caught.value.hint == hint
    assert everything(there.parent) == before


# --- packing


def test_a_pack_holds_the_notebook_and_just_what_it_shows(store, whales):
    record(store, f"{SENTINEL} unused", n=2)
    call = pending.begin(
        store,
        Request(prompt=SENTINEL, model="flux-2.0", idempotency_key="3f2a9c1e-2222-4000-8000-000000000000"),
        provider="wire",
    )
    pending.mark_unknown(store, call, "It was interrupted.")
    found = pack(store, whales)
    assert (found.path, found.pictures) == (whales.with_suffix(".zip"), 4)
    files = entries(found.path)
    rooms = [name.split("/")[1] for name in files if name.startswith("beluga_store/")]
    assert {room: rooms.count(room) for room in rooms} == {
        "blobs": 9,
        "records": 4,
        "sheets": 1,
        "store.json": 1,
    }
    assert files["whales.ipynb"] == whales.read_bytes()
    assert SENTINEL not in str(files)


def labelled(store, words, colour):
    """The sheet of one picture with words on it, as a grid draws it."""
    entry = next(each for each in RECORDS.values(store) if each.preview)
    drawn = io.BytesIO()
    Image.new("RGB", (9, 9), colour).save(drawn, "PNG")
    part = Preview(store.blob(entry.preview), entry.preview.media_type)
    return sheet(store, [part], lambda: Preview(drawn.getvalue(), "image/png"), writing=True, words=[words])


def test_the_labelled_sheet_of_another_notebook_stays_at_home(store, whales):
    mine = labelled(store, "my own words", "red")
    labelled(store, "a prompt of another notebook", "blue")
    shown = {"image/png": base64.b64encode(mine.data).decode()}
    cells = json.loads(whales.read_text("utf-8"))
    cells["cells"][-1]["outputs"].append({"output_type": "display_data", "data": shown, "metadata": {}})
    whales.write_text(json.dumps(cells), "utf-8")
    packed = entries(pack(store, whales).path)
    sheets = [json.loads(data) for name, data in packed.items() if "/sheets/" in name]
    [words] = [each["words"] for each in sheets if "words" in each]
    assert words == [hashlib.sha256(b'["my own words"]').hexdigest()]
    of_it = [each["sheet"]["sha256"] for each in sheets if "words" in each]
    assert [packed[name] for name in packed if Path(name).stem in of_it] == [mine.data]


def test_a_pack_holds_nothing_of_the_machine(store, packed):
    content = [json.loads(data) for name, data in entries(packed).items() if "/records/" in name]
    assert {name for each in content for name in each} == {
        *("schema", "key", "op", "provider", "take", "sample", "request", "inputs"),
        *("image", "preview", "response"),
    }
    for machine in (str(store.folder), str(Path.home()), platform.node(), str(os.getpid())):
        assert f'"{machine}' not in json.dumps(content)
    with zipfile.ZipFile(packed) as zipped:
        assert {info.date_time for info in zipped.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_the_same_notebook_gives_the_same_bytes(store, whales, packed):
    first = packed.read_bytes()
    for path in store.folder.rglob("*"):
        os.utime(path, (1, 1))
    again = pack(store, whales, packed.with_name("again.zip"))
    assert again.path.read_bytes() == first
    assert list(entries(packed)) == sorted(entries(packed))


def test_the_same_bytes_under_another_prompt_stay_at_home(store, tmp_path):
    (tmp_path / "a").mkdir()
    shown = record(store, "a fox")
    [entry] = RECORDS.values(store)
    other = replace(entry.recipe, request=replace(entry.request, prompt=SENTINEL))
    picture = replace(shown.pictures[0], recipe=other)
    store.write(picture, picture.preview, provider="wire")
    found = pack(store, notebook(tmp_path / "a" / "n.ipynb", shown))
    assert SENTINEL not in str(entries(found.path))


def test_all_pictures_that_are_shown_and_not_recorded_are_listed(store, whales):
    for path in store.record_paths()[:2]:
        path.unlink()
    with pytest.raises(StoreError) as caught:
        pack(store, whales)
    assert caught.value.message.startswith("whales.ipynb shows pictures that are not recorded here:\n  cell ")
    assert caught.value.message.count("sha256:") == 2
    assert not whales.with_suffix(".zip").exists()


def test_damaged_bytes_are_not_packed_and_no_half_zip_is_left(store, whales):
    next(store.folder.glob("blobs/*/*.png")).write_bytes(b"damaged")
    with pytest.raises(StoreError, match="its bytes are not the ones that were recorded"):
        pack(store, whales)
    assert sorted(path.name for path in whales.parent.iterdir()) == ["store", "whales.ipynb"]


def listed(name, **options):
    info = zips.new(name)
    for field, value in options.items():
        setattr(info, field, value)
    return info


NOT_OURS = {
    "a thesis beside it": ("thesis.docx", {}),
    "a second notebook": ("thesis.ipynb", {}),
    "a file in the store's folder": ("beluga_store/notes.txt", {}),
    "a file of a store that is not packed": ("beluga_store/pending/spent.jsonl", {}),
    "a folder": ("beluga_store/", {}),
    "a mark of today": (
        "beluga_store/marks/ab/" + "ab" * 32 + ".json",
        {"date_time": (2026, 11, 29, 9, 0, 0)},
    ),
    "what Windows has zipped": ("beluga_store/marks/ab/" + "ab" * 32 + ".json", {"create_system": 0}),
    "what only its owner reads": (
        "beluga_store/marks/ab/" + "ab" * 32 + ".json",
        {"external_attr": 0o100600 << 16},
    ),
    "with a comment": ("beluga_store/marks/ab/" + "ab" * 32 + ".json", {"comment": b"mine"}),
    "compressed": ("beluga_store/marks/ab/" + "ab" * 32 + ".json", {"compress_type": zipfile.ZIP_DEFLATED}),
}


@pytest.mark.parametrize("what", NOT_OURS)
def test_a_zip_with_anything_that_we_would_not_have_written_is_not_overwritten(store, whales, packed, what):
    name, found = NOT_OURS[what]
    with zipfile.ZipFile(packed, "a") as zipped:
        zipped.writestr(listed(name, **found), b"years of work")
    before = packed.read_bytes()
    with pytest.raises(StoreError, match=r"whales\.zip already exists and is not a pack"):
        pack(store, whales)
    assert packed.read_bytes() == before


def test_a_pack_with_more_in_it_of_what_we_write_is_overwritten(store, whales, packed):
    whole = packed.read_bytes()
    with zipfile.ZipFile(packed, "a") as zipped:
        zipped.writestr(listed("beluga_store/marks/ab/" + "ab" * 32 + ".json"), b"{}")
    pack(store, whales)
    assert packed.read_bytes() == whole


@pytest.mark.parametrize("missing", ["whales.ipynb", "beluga_store/store.json"])
def test_a_zip_that_lacks_the_notebook_or_the_store_is_not_overwritten(store, whales, packed, missing):
    rest = [(listed(name), data) for name, data in entries(packed).items() if name != missing]
    before = written(packed, rest).read_bytes()
    with pytest.raises(StoreError, match="is not a pack"):
        pack(store, whales)
    assert packed.read_bytes() == before


@pytest.mark.parametrize("place", range(4, 46))
def test_a_zip_whose_list_is_damaged_is_not_overwritten_or_reported_raw(store, whales, packed, place):
    """Among others, one that needs version 9.9 of the format to be read."""
    whole = packed.read_bytes()
    data = bytearray(whole)
    data[data.rfind(b"PK\1\2") + place] ^= 0xFF
    packed.write_bytes(data)
    try:
        pack(store, whales)
    except StoreError:
        assert packed.read_bytes() == data
    else:  # nobody reads what is damaged there
        assert packed.read_bytes() == whole


@pytest.mark.parametrize("name", [".", "..", "/", "", "a.txt", "a\0.ipynb", "gone.ipynb"])
def test_what_names_no_notebook_is_reported_in_two_lines(store, name):
    with pytest.raises(StoreError) as caught:
        pack(store, Path(name))
    assert len(caught.value.lines()) == 2


def test_a_file_that_is_no_pack_is_not_overwritten_and_an_older_pack_is(store, whales, packed):
    assert pack(store, whales).path == packed
    packed.write_bytes(b"somebody's own")
    with pytest.raises(StoreError, match=r"whales\.zip already exists and is not a pack"):
        pack(store, whales)
    assert packed.read_bytes() == b"somebody's own"


def test_a_folder_that_is_not_there_is_an_error_of_two_lines(store, whales, tmp_path):
    with pytest.raises(StoreError, match=r"The folder .*nowhere' does not exist"):
        pack(store, whales, tmp_path / "nowhere" / "x.zip")


# --- and back


def test_what_was_packed_comes_back_whole_and_replays(store, whales, packed, there):
    other = arrived(packed, there)
    assert (there / "whales.ipynb").read_bytes() == whales.read_bytes()
    for room in ("records", "blobs", "sheets"):
        assert everything(other.folder / room) == everything(store.folder / room)
    report = verify(other, [there / "whales.ipynb"])
    assert (report.problems, report.unnamed, report.unused) == ((), (), ())
    request = Request(prompt="whales", model="flux-2.0", n=3)
    replayed = [ask(Replayed(Unrecorded(each), each, provider="wire"), request) for each in (store, other)]
    assert replayed[0] == replayed[1]
    assert mentions(other.folder, "pending") == [".gitignore"]


def test_what_was_unpacked_packs_to_the_same_bytes(packed, there):
    other = arrived(packed, there)
    assert pack(other, there / "whales.ipynb").path.read_bytes() == packed.read_bytes()


def test_unpacking_twice_changes_nothing(packed, there):
    arrived(packed, there)
    before = {path: path.stat().st_mtime_ns for path in there.rglob("*") if path.is_file()}
    arrived(packed, there)
    assert {path: path.stat().st_mtime_ns for path in there.rglob("*") if path.is_file()} == before


def test_a_zip_that_was_zipped_again_is_taken(packed, there):
    files = list(entries(packed).items())
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, data in files:
            zipped.writestr(name, data)
    arrived(packed, there)


def test_another_notebook_of_the_name_is_not_overwritten(packed, there):
    there.mkdir()
    (there / "whales.ipynb").write_text("mine")
    elsewhere = 'Nothing was written. Unpack elsewhere: into="FOLDER"'
    refused(packed, there, "another whales.ipynb is there already", elsewhere)


def test_another_recording_of_a_request_is_not_overwritten(packed, there):
    other = arrived(packed, there)
    path = other.record_paths()[0]
    path.write_text(path.read_text().replace(next(RECORDS.values(other)).image.sha256, "ab" * 32))
    refused(packed, there, "1 of its requests are recorded here with another answer")


def test_damaged_bytes_of_the_store_are_mended(packed, there):
    other = arrived(packed, there)
    next(other.folder.glob("blobs/*/*.png")).write_bytes(b"damaged")
    arrived(packed, there)
    assert verify(other).problems == ()


# --- what a zip from anybody may not do


@pytest.mark.parametrize(
    "name",
    [
        "../evil.ipynb",
        "/etc/evil.ipynb",
        "a/evil.ipynb",
        "..\\evil.ipynb",
        "C:\\evil.ipynb",
        "C:evil.ipynb",
        "evil.ipynb\x00.png",
        "evil.ipynb/",
        "evil\n.ipynb",
        "evil.py",
        ".bashrc",
        "beluga_store/",
        "beluga_store/../evil.json",
        "beluga_store/.gitignore",
        "beluga_store/tmp/x",
        "beluga_store/pending/x.json",
        f"beluga_store/records/00/{'1' * 64}.json",
        f"beluga_store/records/11/{'1' * 64}.json\n",
        f"beluga_store/records/11/{'1' * 63}.json",
        f"beluga_store/records/11/../11/{'1' * 64}.json",
        f"beluga_store//records/11/{'1' * 64}.json",
        f"beluga_store/blobs/AA/{'A' * 64}.png",
        f"beluga_store/blobs/11/{'1' * 64}.svg",
        f"Beluga_store/blobs/11/{'1' * 64}.png",
    ],
)
def test_no_other_name_is_taken(packed, there, name):
    info = zipfile.ZipInfo("x")
    info.filename = name
    written(packed, [*entries(packed).items(), (info, b"evil")])
    refused(packed, there, "which is not a file of a pack")


def test_a_name_that_is_there_twice_is_refused(packed, there):
    files = list(entries(packed).items())
    written(packed, [*files, files[0]])
    refused(packed, there, "twice")


def test_two_notebooks_or_none_are_refused(packed, there):
    files = entries(packed)
    written(packed, [*files.items(), ("other.ipynb", files["whales.ipynb"])])
    refused(packed, there, "it holds two notebooks")
    del files["whales.ipynb"]
    written(packed, files.items())
    refused(packed, there, "it holds no notebook")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFDIR, stat.S_IFIFO, stat.S_IFCHR])
def test_links_and_other_special_files_are_refused(packed, there, kind):
    info = zipfile.ZipInfo("link.ipynb")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    written(packed, [*entries(packed).items(), (info, b"/etc/passwd")])
    refused(packed, there, "'link.ipynb' is not a regular file")


def changed(packed, room, change):
    files = entries(packed)
    name = next(name for name in files if f"/{room}/" in name)
    files[name] = change(files[name])
    return written(packed, files.items())


def test_bytes_with_another_hash_are_refused(packed, there):
    refused(changed(packed, "blobs", lambda data: data + b"x"), there, "does not hold what its name says")


def test_a_record_with_another_key_is_refused(packed, there):
    changed(packed, "records", lambda data: data.replace(b'"flux-2.0"', b'"flux-kontext"'))
    refused(packed, there, "cannot be used: it is damaged (ValueError)")


def test_a_record_under_another_name_is_refused(packed, there):
    files = entries(packed)
    first, second = [name for name in files if "/records/" in name][:2]
    files[first], files[second] = files[second], files[first]
    refused(written(packed, files.items()), there, "does not hold what its name says")


@pytest.mark.parametrize("junk", [b"", b"[]", b"cos\nsystem\n(S'x'\ntR.", b"[" * 100_000, b"\xff"])
@pytest.mark.parametrize("room", ["records", "sheets"])
def test_what_is_no_record_or_sheet_is_refused(packed, there, room, junk):
    refused(changed(packed, room, lambda _: junk), there, "cannot be used: it is damaged")


def test_a_sheet_under_another_name_is_refused(packed, there):
    changed(packed, "sheets", lambda data: json.dumps(json.loads(data) | {"of": ["0" * 64]}).encode())
    refused(packed, there, "does not hold what its name says")


def test_a_sheet_of_other_pictures_is_refused(packed, there):
    content = {"schema": 1, "of": ["0" * 64], "sheet": {"sha256": "1" * 64, "media_type": "image/png"}}
    data = json.dumps(content).encode()
    name = SHEETS.decode(data).name
    written(packed, [*entries(packed).items(), (f"beluga_store/sheets/{name[:2]}/{name}.json", data)])
    refused(packed, there, "its sheets are of other pictures")


def test_a_format_that_this_version_does_not_read_is_refused(packed, there):
    changed(packed, "records", lambda data: data.replace(b'"schema": 1', b'"schema": 2'))
    refused(packed, there, "it has format 2, and this version reads 1")


@pytest.mark.parametrize("room", ["blobs", "records"])
def test_what_is_missing_is_refused(packed, there, room):
    files = entries(packed)
    del files[next(name for name in files if f"/{room}/" in name)]
    problem = {"records": "it lacks records of what its notebook shows"}
    refused(written(packed, files.items()), there, problem.get(room, "are not the ones that its"))


def test_a_record_that_the_notebook_does_not_need_is_refused(store, packed, there):
    record(store, "planted")
    path = next(path for path in store.record_paths() if "planted" in path.read_text())
    name = f"beluga_store/{path.relative_to(store.folder).as_posix()}"
    written(packed, [*entries(packed).items(), (name, path.read_bytes())])
    refused(packed, there, "its records are not the ones that its notebook needs")


def test_bytes_that_no_record_names_are_refused(store, packed, there):
    path = store.keep(b"planted", "image/png")
    name = f"beluga_store/{path.relative_to(store.folder).as_posix()}"
    written(packed, [*entries(packed).items(), (name, b"planted")])
    refused(packed, there, "its bytes are not the ones that its records name")


def test_a_bomb_is_refused_before_it_is_read(packed, there):
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("bomb.ipynb", bytes(20 * 2**20))
    refused(packed, there, "'bomb.ipynb' is far larger than it looks")


def test_a_file_that_is_too_large_is_refused(packed, there, monkeypatch):
    monkeypatch.setattr(zips, "LARGEST_FILE", 1000)
    refused(packed, there, "is too large")


def test_too_much_in_all_and_too_many_files_are_refused(packed, there, monkeypatch):
    monkeypatch.setattr(zips, "LARGEST_PACK", 10_000)
    refused(packed, there, "it is too large")
    monkeypatch.undo()
    monkeypatch.setattr(zips, "MOST_FILES", 5)
    refused(packed, there, "it is too large")


def test_a_size_that_is_a_lie_gives_no_more_than_it_says(packed, there):
    name = b"whales.ipynb"
    data = bytearray(packed.read_bytes())
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(name))
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    packed.write_bytes(data)
    refused(packed, there, "it is damaged")


def test_an_encrypted_file_is_refused(packed, there):
    data = bytearray(packed.read_bytes())
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"whales.ipynb"))
    data[at + 8] |= 1
    packed.write_bytes(data)
    refused(packed, there, "is encrypted, or compressed in a way that is not read")


def test_a_compression_that_is_not_read_is_refused(packed, there):
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_LZMA) as zipped:
        zipped.writestr("other.ipynb", b"{}")
    refused(packed, there, "is encrypted, or compressed in a way that is not read")


@pytest.mark.parametrize("cut", [0, 10, 1000, -10])
def test_what_is_no_whole_zip_is_refused(packed, there, cut):
    packed.write_bytes(packed.read_bytes()[:cut])
    refused(packed, there, "it is damaged")


def test_every_flipped_bit_is_noticed_or_changes_nothing(packed, there, tmp_path):
    whole = packed.read_bytes()
    right = everything(arrived(packed, tmp_path / "right").folder.parent)
    for at in range(0, len(whole), len(whole) // 60):
        packed.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        there = tmp_path / f"b{at}"
        try:
            arrived(packed, there)
        except StoreError:
            assert not there.exists()
        else:
            assert everything(there) == right


def test_a_file_that_is_not_there_is_an_error_of_two_lines(there):
    with pytest.raises(StoreError, match=r"gone\.zip cannot be unpacked: No such file or directory"):
        arrived(there / "gone.zip", there)


@pytest.mark.posix
def test_a_folder_of_the_store_that_leads_elsewhere_is_not_followed(packed, there, tmp_path):
    (there / "beluga_store").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (there / "beluga_store" / "store.json").write_text('{"schema":1}\n')
    (there / "beluga_store" / "blobs").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="a link leads out of the store"):
        arrived(packed, there)
    assert not [path for path in (tmp_path / "elsewhere").rglob("*") if path.is_file()]
    assert not (there / "whales.ipynb").exists()


@pytest.mark.posix
def test_a_dangling_link_of_the_notebooks_name_is_not_followed(packed, there, tmp_path):
    there.mkdir()
    (there / "whales.ipynb").symlink_to(tmp_path / "planted")
    with pytest.raises(StoreError, match=r"another whales\.ipynb is there already"):
        arrived(packed, there)
    assert not (tmp_path / "planted").exists()


# --- what a notebook asks for and does not show


@pytest.mark.parametrize(
    ("source", "prompt", "asked"),
    [
        ("x = %beluga -s 4:3 three balloons", "three balloons", True),
        ("%%beluga -o x\nthree\nballoons\n", "three\nballoons", True),
        ("for x in y:\n    %beluga -s 4:3 a fox, {{x}}\n", "a fox, in snow", True),
        ("%beluga {{x}} fox", "a red fox", True),
        ("%%beluga\na {{x}} and\na {{y}}, please", "a fox and\na cat, please", True),
        ('b.generate("a fox", n=2)', "a fox", True),
        ("b.generate('a {{x}} fox', values={'x': 1})", "a red fox", True),
        ("%beluga three balloons", "balloons in three", False),
        ("%beluga three balloons", "hree balloons", False),
        ("%beluga three balloons at dawn", "three balloons", False),
        ("%beluga a fox, {{x}}", "a whale, in snow", False),
        ("%beluga a {{x}} fox", "a red whale", False),
        ("x = 1", "a fox", False),
    ],
)
def test_a_cell_asks_for_the_prompt_that_it_holds(source, prompt, asked):
    assert Notebook((), (source,)).asks_for(prompt) is asked


def test_what_a_cell_asks_for_and_does_not_show_is_packed_too(store, tmp_path, there):
    (tmp_path / "a").mkdir()
    path = notebook(tmp_path / "a" / "quiet.ipynb", record(store, "a whale"))
    content = json.loads(path.read_text())
    cell = {"cell_type": "code", "metadata": {}, "execution_count": 1, "outputs": []}
    content["cells"].append(cell | {"source": ["fox = %beluga a silent fox"]})
    path.write_text(json.dumps(content))
    for prompt in ("a silent fox", "nobody's business"):
        record(store, prompt)
    store.write_refusal(
        Request(prompt="a silent fox", model="flux-2.0", take="declined"),
        APIStatusError("No.", code="moderation_blocked"),
        provider="wire",
        created=1,
    )
    packed = pack(store, path)
    assert packed.pictures == 2
    arriving = arrived(packed.path, there)
    assert sorted(entry.request.prompt for entry in RECORDS.values(arriving)) == [
        "a silent fox",
        "a silent fox",
        "a whale",
    ]


def test_a_pack_holds_no_vote_that_was_taken_back(packed, there):
    line = Undone("0" * 32).to_line()
    name = f"beluga_store/votes/{hashlib.sha256(line).hexdigest()}.jsonl"
    written(packed, [*entries(packed).items(), (name, line)])
    refused(packed, there, "a pack holds no vote that was taken back")


def test_more_votes_than_a_file_of_them_holds_are_refused(packed, there, monkeypatch):
    monkeypatch.setattr(zips, "collection_of", lambda _: (replace(VOTES, largest=100), ""))
    lines = b" " * 101
    name = f"beluga_store/votes/{hashlib.sha256(lines).hexdigest()}.jsonl"
    written(packed, [*entries(packed).items(), (name, lines)])
    refused(packed, there, "is too large")
