"""Files that anybody may have written or damaged: each reader tells of them in two lines, or passes them by.

A whole file of each kind is changed at every place of it: another type, a huge number, half of a character,
a depth that nobody means, a cut, a flipped byte. What a reader raises is one of ours, and has two lines.
"""

import contextlib
import io
import itertools
import json
import random
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

import pytest
from conftest import ask, drawing, drawn
from PIL import Image
from sampling import rounds, some
from stores import notebook, record

import beluga_nb.store.votes as votes
from beluga_nb.engines.claimed import waiting_message
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.recovering import Recovering
from beluga_nb.errors import Address, APIStatusError, BelugaError, InvalidResponseError
from beluga_nb.metadata.embedding import embed, extract, has_c2pa, strip
from beluga_nb.request import Request
from beluga_nb.result import Picture, Recipe, Result
from beluga_nb.session.session import Session
from beluga_nb.show.figures import bundle
from beluga_nb.show.history import history_html, history_text
from beluga_nb.show.lightbox import cell_of
from beluga_nb.show.recipe import opened
from beluga_nb.store import marks, pending, scores
from beluga_nb.store.claims import Claim, ClaimWatch
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.notebooks import outputs_of, read
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.runs import history, recall, runs
from beluga_nb.store.scores import SCORES
from beluga_nb.store.sheets import SHEETS
from beluga_nb.store.unpack import unpack
from beluga_nb.store.verify import verify
from beluga_nb.store.weight import weigh
from beluga_nb.terminal.cli import main

FOX = Request(prompt="a fox", model="flux-2.0")
DEEP = "[" * 100_000
VALUES = [
    *("null", "true", "false", "0", "-1", "1", "1.5", "1e400", "NaN", "-Infinity"),
    *("9" * 15, "9" * 400, "9" * 5000),
    *(
        '""',
        '"x"',
        '"1750000000"',
        '"\\ud800"',
        '"\\u0000"',
        '"' + "a" * 64 + '"',
        "[]",
        "[[]]",
        "{}",
        '{"a": 1}',
    ),
    DEEP,
]


def places(value, path=()):
    """Every place of a JSON value, by the names that lead there."""
    yield path
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, each in inside:
        yield from places(each, (*path, name))


MARK = "here stands what is put in"


def with_value(whole, path, written):
    """A JSON text with another value in a place, written as it is."""
    if not path:
        return written
    changed = json.loads(json.dumps(whole))
    there = changed
    for name in path[:-1]:
        there = there[name]
    there[path[-1]] = MARK
    return json.dumps(changed).replace(json.dumps(MARK), written)


def without(whole, path):
    changed = json.loads(json.dumps(whole))
    there = changed
    for name in path[:-1]:
        there = there[name]
    del there[path[-1]]
    return json.dumps(changed)


def json_damages(data):
    """A JSON file, damaged in every place in every way."""
    whole = json.loads(data)
    for path, value in itertools.product(places(whole), VALUES):
        yield with_value(whole, path, value).encode("utf-8", "surrogatepass")
    for path in places(whole):
        if path:
            yield without(whole, path).encode()
    yield from byte_damages(data)


def byte_damages(data, count=60):
    """Any file, cut, flipped, and with bytes in it that belong nowhere."""
    rng = random.Random(7)
    yield from (b"", b"\0", b"\xff\xfe", b"\xef\xbb\xbf" + data, data + b"\0", data + data, b"[" * 100_000)
    for _ in range(count):
        at = rng.randrange(max(1, len(data)))
        yield data[:at]
        yield data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        yield data[:at] + rng.choice([b"\xff", b"\0", b"\xed\xa0\x80", b"\x1b[31m", b'"', b"}"]) + data[at:]


def reported(work, *given):
    """What a reader returns, or the error that it tells in two lines; anything else is raised."""
    try:
        return work(*given)
    except BelugaError as error:
        lines = error.lines()
        assert 1 <= len(lines) <= 2
        assert not set("\x1b\0\x07\ud800") & set("".join(lines))
        return error


# --- the store


@dataclass
class Whole:
    """A store with one file of each kind, and a notebook that shows its pictures."""

    store: Store
    notebook: Path
    kinds: dict


@pytest.fixture
def whole(tmp_path):
    store = Store(tmp_path / "beluga_store")
    shown = record(store, n=2, take="two", size="16:9")
    store.write_refusal(
        FOX, APIStatusError("No.", "Say it otherwise.", status=400), provider="wire", created=5
    )
    shown._repr_mimebundle_()
    first, second = (picture.sha256 for picture in shown.pictures)
    marks.write(store, marks.Mark(picture=first, favourite=True, note="good"))
    scores.write(store, scores.Score(image=first, metric="sharpness", version="1", value=1.5))
    box = votes.Box(store, "Ada")
    box.undo(box.cast(left=first, right=second, answer="left"))
    box.cast(left=first, right=second, answer="tie")
    call = pending.begin(store, replace(FOX, n=2).as_call(), provider="wire", body="b" * 64)
    left = Address(sample=1, url="http://127.0.0.1:9/1.png", engine="x", created=5, revised_prompt="a fox")
    pending.mark_unknown(store, call, "Stopped.", [left], job="7")
    claim = Claim.take(store.folder / "pending" / f"{'c' * 64}.claim", store.folder)
    records = sorted(store.record_paths(), key=lambda path: b"refusal" in path.read_bytes())
    kinds = {
        "a record": records[0],
        "a refusal": records[-1],
        "a sheet": next(store.folder.glob("sheets/*/*")),
        "a mark": marks.MARKS.path(store, first),
        "a score": SCORES.paths(store)[0],
        "votes": box.path,
        "store.json": store.folder / "store.json",
        "a call": pending.CALLS.path(store, call.run),
        "a claim": claim.path,
    }
    return Whole(store, notebook(tmp_path / "a.ipynb", shown), kinds)


READ_BY = {
    "a record": ["verify", "history"],
    "a refusal": ["verify", "history", "refused"],
    "a sheet": ["verify", "sheets"],
    "a mark": ["verify", "marks"],
    "a score": ["verify", "scores"],
    "votes": ["verify", "votes"],
    "store.json": ["verify", "history"],
    "a call": ["recovered", "repeatable"],
    "a claim": ["owner"],
}
"""Who opens a file of each kind, and is asked of each damage; of every twentieth, everybody is."""
KINDS = list(READ_BY)


def store_readers(whole):
    """Everything that reads a store, and shows what it has read, by name."""
    store = whole.store
    request = Request(prompt="a fox", model="flux-2.0", take="two", size="16:9")
    return {
        "verify": lambda: str(verify(store, [whole.notebook])),
        "history": lambda: shown_history(store),
        "runs": lambda: [str(run.note) + run.name for run in runs(store)],
        "recall": lambda: [
            bundle(recall(store, run.name))["text/plain"] for run in runs(store) if not run.call
        ],
        "shown": lambda: shown_picture(store.read(request, provider="wire")),
        "refused": lambda: store.read(FOX, provider="wire"),
        "preview": lambda: store.preview(request, provider="wire"),
        "marks": lambda: marks.marks(store),
        "scores": lambda: list(SCORES.scan(store)),
        "sheets": lambda: list(SHEETS.scan(store)),
        "votes": lambda: votes.votes(store),
        "choose": lambda: str(choose(store, prompt="fox")),
        "repeatable": lambda: pending.repeatable(store, replace(FOX, n=2), provider="wire", body="b" * 64),
        "recovered": lambda: recovered(store),
        "owner": lambda: owner_seen(whole.kinds["a claim"]),
        "pack": lambda: pack(store, whole.notebook, whole.notebook.with_suffix(".zip")),
    }


def shown_history(store):
    found = history(store)
    return history_html(found.runs, [()] * len(found.runs)) + history_text(found.runs)


def shown_picture(picture):
    return bundle(Result(picture.recipe.request, (picture,))) if isinstance(picture, Picture) else picture


def recovered(store):
    """What is made of the addresses of a lost call, where nothing can be fetched."""

    async def gone(part, left):
        assert left.sample in range(2**63)
        assert isinstance(left.url + left.engine, str)
        raise InvalidResponseError("It has expired.")

    recorder = Recorder(store, provider="wire", preview=lambda _: None, notify=pytest.fail)
    return ask(Recovering(drawing, recorder, gone), replace(FOX, n=2))


def owner_seen(path):
    """What is told of a claim, which a process that has not made it does not remove."""
    watch = ClaimWatch(path, path.parent.parent)
    watch.look()
    Claim(path, "another's").release()
    assert path.exists()
    return waiting_message(watch)


def damages_of(kind, data):
    if kind != "votes":
        return json_damages(data)
    first, *others = data.splitlines(keepends=True)
    rest = b"".join(others)
    return (each + b"\n" + rest for line in (first, others[0]) for each in json_damages(line))


@pytest.mark.parametrize("kind", KINDS)
def test_a_damaged_file_of_the_store_is_reported_by_every_reader_or_passed_by(kind, whole):
    path = whole.kinds[kind]
    data = path.read_bytes()
    count = 0
    for damaged in some(damages_of(kind, data), 40):
        path.write_bytes(damaged)
        readers = store_readers(whole)
        for name in readers if count % 20 == 0 else READ_BY[kind]:
            reported(readers[name])
        count += 1
    assert count > rounds(30, 100)
    path.write_bytes(data)
    assert verify(whole.store, [whole.notebook]).problems == ()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_damaged_can_be_forgotten(kind, whole):
    for damaged in itertools.islice(damages_of(kind, whole.kinds[kind].read_bytes()), 0, None, 97):
        whole.kinds[kind].parent.mkdir(exist_ok=True)
        whole.kinds[kind].write_bytes(damaged)
        reported(lambda: forget(whole.store, choose(whole.store, prompt="a fox")))


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 5\n"


@pytest.mark.parametrize("edge", ["0", "-1", "null", '"7"', "1e400", "true", "9" * 30])
@pytest.mark.parametrize("side", ["width", "height"])
def test_a_pointer_of_a_picture_without_a_size_is_reported_as_damage(side, edge, whole):
    path = whole.kinds["a record"]
    content = json.loads(path.read_text())
    name = content["image"]["sha256"]
    [blob] = whole.store.folder.glob(f"blobs/*/{name}.png")
    blob.write_text(POINTER.format(name))
    path.write_text(with_value(content, ("image", side), edge))
    for reader in store_readers(whole).values():
        reported(reader)
    assert any("it is damaged" in problem for problem in verify(whole.store).problems)


# --- notebooks


def small_notebook(path):
    content = json.loads(path.read_text())
    for cell in content["cells"]:
        for output in cell["outputs"]:
            output["data"] = {kind: text[-300:] for kind, text in output["data"].items()}
    path.write_text(json.dumps(content))
    return path.read_bytes()


def test_a_damaged_notebook_is_reported_by_every_reader(whole):
    path = whole.notebook
    for count, damaged in enumerate(json_damages(small_notebook(path))):
        path.write_bytes(damaged)
        for reader in (read, weigh):
            reported(partial(reader, path))
        with contextlib.suppress(ValueError):  # which `loaded` tells
            outputs_of(damaged)
        if count % 10 == 0:
            reported(lambda: str(verify(whole.store, [path])))
            reported(lambda: pack(whole.store, path, path.with_suffix(".zip")))
    assert count > 300


# --- packs


def test_a_damaged_pack_is_reported_and_writes_nothing(whole, tmp_path):
    packed = pack(whole.store, whole.notebook).path
    data = packed.read_bytes()
    there = tmp_path / "there"
    for damaged in byte_damages(data, 150):
        packed.write_bytes(damaged)
        error = reported(lambda: unpack(packed, Store(there / "beluga_store"), into=there))
        assert not isinstance(error, BelugaError) or not there.exists()
        if there.exists():
            break
    assert data


# --- pictures


@cache
def saved(kind):
    suffix, data = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp"}[kind], drawn(FOX, 0, kind)
    recipe = Recipe(request=FOX, engine="x", created=5, template="a {{x}}", values={"x": "fox"})
    return embed(data, f"image/{suffix}", recipe.properties("0" * 64))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_damaged_picture_is_reported_by_every_reader(kind, tmp_path):
    data, media_type = saved(kind), f"image/{kind.lower()}"
    path = tmp_path / "fox"
    heads = [data[:at] + bytes([value]) + data[at + 1 :] for at in range(60) for value in (0, 1, 127, 255)]
    for damaged in itertools.chain(byte_damages(data, rounds(50, 200)), some(heads, 80)):
        path.write_bytes(damaged)
        result = reported(lambda: opened(path))
        if isinstance(result, Result):
            reported(bundle, result)
            reported(cell_of, result)
        for reader in (extract, strip, has_c2pa, lambda *both: embed(*both, {"beluga:recipe": "x"})):
            reported(reader, damaged, media_type)


RECIPE = Recipe(
    request=FOX, engine="x", created=5, revised_prompt="a red fox", template="a {{x}}", values={"x": "fox"}
)


def test_a_damaged_recipe_is_reported_whatever_is_damaged(tmp_path):
    whole = json.loads(RECIPE.to_json("0" * 64))
    path, picture = tmp_path / "fox.png", drawn(FOX, 0)
    session = Session(environ={}, folder=tmp_path, notify=[].append)
    for place, value in itertools.product(places(whole), VALUES):
        path.write_bytes(embed(picture, "image/png", {"beluga:recipe": with_value(whole, place, value)}))
        result = reported(lambda: session.open(path))
        if isinstance(result, Result):
            assert {type(each) for each in (result.recipe.engine, result.recipe.revised_prompt)} <= {
                str,
                type(None),
            }
            bundle(result)
            cell_of(result)
            result.save(tmp_path / "again.png")


XML = [
    "<a>" * 100_000,
    "<a b='" * 50_000,
    "&amp;" * 100_000,
    "<!DOCTYPE x>",
    "<?x " * 50_000,
    "]]>" * 9,
    "\0",
    "<rdf:RDF",
]


@pytest.mark.parametrize("inside", XML)
@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_a_packet_that_is_no_xmp_is_reported(kind, inside, tmp_path):
    data, media_type = saved(kind), f"image/{kind.lower()}"
    [at] = [data.index(b"<rdf:Description")]
    packet = data[at : at + 20]
    from beluga_nb.metadata.embedding import CONTAINERS

    container = CONTAINERS[media_type]
    found = container.find(data)
    path = tmp_path / "fox"
    path.write_bytes(container.put(data, found.replace(packet, inside.encode() + packet)))
    reported(lambda: opened(path))
    (tmp_path / "fox.xmp").write_text(inside)
    reported(lambda: opened(path))


# --- tables, and the terminal


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"a,b\n1\n",
        b"a\n1,2,3\n",
        b"\xff\xfe",
        b'a\n"1',
        b"a," * 100_000,
        b"a\n" + b"1" * 200_000,
        b"\x1b[31m\nx\n",
    ],
)
def test_a_damaged_table_of_an_axis_is_reported(data, tmp_path):
    (tmp_path / "a.csv").write_bytes(data)
    session = Session(environ={}, folder=tmp_path, notify=[].append)
    for path in (Path("a.csv"), Path("gone.csv"), Path("a\0.csv"), tmp_path):
        reported(partial(session.grid, "a {{a}} {{scene}}", scene=path))


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_line_tells_of_a_damaged_store_without_a_trace(kind, whole, capsys):
    session = Session(environ={}, folder=whole.store.folder.parent, notify=[].append)
    data = whole.kinds[kind].read_bytes()
    for damaged in itertools.islice(damages_of(kind, data), 0, None, 61):
        whole.kinds[kind].write_bytes(damaged)
        for words in (["verify"], ["history"], ["verify", "a.ipynb"], ["weight", "a.ipynb"]):
            assert main(words, session=session) in {0, 1, 2}
    printed = capsys.readouterr()
    assert "Traceback" not in printed.out + printed.err
    assert not set("\x1b\0\x07") & set(printed.out + printed.err)


def test_a_huge_picture_is_not_decoded_and_is_reported(tmp_path):
    buffer = io.BytesIO()
    Image.new("1", (20_000, 3_000)).save(buffer, "PNG")
    path = tmp_path / "huge.png"
    path.write_bytes(embed(buffer.getvalue(), "image/png", RECIPE.properties("0" * 64)))
    assert isinstance(reported(lambda: bundle(opened(path))), BelugaError)
