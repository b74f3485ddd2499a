"""A record may name any bytes as a preview: only what is as small as ours is shown as it is."""

import io
import json
import struct
import zlib
from dataclasses import replace
from functools import cache

import pytest
from conftest import ask, drawing
from PIL import Image
from stores import record

from beluga_nb.images import decode
from beluga_nb.request import Request
from beluga_nb.result import MissingPicture, Preview
from beluga_nb.session.session import Session
from beluga_nb.show.figures import bundle, still
from beluga_nb.show.preview import EDGE, HEAVIEST, preview, preview_of
from beluga_nb.store.records import Store

FOX = Request(prompt="a fox", model="flux-2.0")


@cache
def png(width, height, junk=0):
    buffer = io.BytesIO()
    Image.new("1", (width, height)).save(buffer, "PNG")
    data = buffer.getvalue()
    chunk = b"juNk" + bytes(junk)
    extra = struct.pack(">I", junk) + chunk + struct.pack(">I", zlib.crc32(chunk)) if junk else b""
    return data[:33] + extra + data[33:]


BAD = {
    "no picture": lambda: b"no picture at all",
    "nothing": lambda: b"",
    "half of one": lambda: png(300, 300)[:-30],
    "words of a page": lambda: b"<svg onload=alert(1)>" * 9,
    "a byte too many": lambda: png(64, 64, junk=HEAVIEST),
    "megabytes": lambda: png(64, 64, junk=20 * 2**20),
    "a pixel too wide": lambda: png(EDGE + 1, 8),
    "a pixel too high": lambda: png(8, EDGE + 1),
    "39 million pixels": lambda: png(6300, 6200),
    "more pixels than are decoded": lambda: png(15_000, 14_000),
}
GOOD = {"ours": lambda: b"", "the largest": lambda: png(EDGE, EDGE), "a pixel": lambda: png(1, 1)}


def pictures(data):
    return [
        replace(each, preview=Preview(data, "image/png")) for each in ask(drawing, FOX.slice(0, 2)).pictures
    ]


@pytest.mark.parametrize("kind", BAD)
def test_a_preview_that_is_none_of_ours_is_made_anew_from_the_picture(kind):
    first, second = pictures(BAD[kind]())
    made = preview(first)
    assert preview_of(first) == made
    for count in (1, 2):
        result = replace(ask(drawing, FOX.slice(0, count)), pictures=(first, second)[:count])
        for shown in (bundle(result), still([result])):
            assert len(json.dumps(dict(shown))) < 300_000
            assert shown["text/html"].count("<img") == count


@pytest.mark.parametrize("kind", GOOD)
def test_a_preview_that_is_as_ours_are_is_shown_to_the_byte(kind):
    [picture, _] = pictures(GOOD[kind]())
    if kind == "ours":
        picture = replace(picture, preview=preview(picture))
    assert preview_of(picture) == picture.preview


@pytest.mark.parametrize("kind", BAD)
def test_where_the_picture_is_not_here_its_place_is_empty_and_the_others_are_shown(kind):
    first, second = pictures(BAD[kind]())
    away = MissingPicture(
        b"", "image/png", first.recipe, first.preview, digest="ab" * 32, pixels=(2000, 1000)
    )
    assert decode(preview_of(away).data).size == (512, 256)
    result = replace(ask(drawing, FOX.slice(0, 2)), pictures=(away, second))
    assert bundle(result)["text/html"].count("<img") == 2


@pytest.mark.parametrize("kind", BAD)
def test_a_recording_with_such_a_preview_is_shown_by_everything_that_shows_it(kind, tmp_path):
    store = Store(tmp_path / "beluga_store")
    record(store, n=2, provider="local")
    blob = store.keep(BAD[kind](), "image/png")
    for path in store.record_paths():
        content = json.loads(path.read_bytes())
        content["preview"] = {"sha256": blob.stem, "media_type": "image/png"}
        path.write_text(json.dumps(content))
    session = Session(environ={}, folder=tmp_path, notify=lambda _: None)
    replayed = session.store.recall(session.store.history().runs[0].name)
    grid = session.grid("a {{animal}}", animal=["fox"], model="flux-2.0").run(mode="replay")
    for shown in (
        replayed._repr_mimebundle_(),
        session.store.history()._repr_mimebundle_(),
        grid._repr_mimebundle_(),
    ):
        assert len(json.dumps(dict(shown))) < 300_000
    assert replayed._repr_mimebundle_()["text/html"].count("<img") == 2
    assert grid.to_html(tmp_path / "a.html").stat().st_size < 300_000
    grid.sheet(tmp_path / "a.png")
