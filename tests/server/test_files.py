"""The files behind `url` answers: names that cannot be guessed, a lifetime, a bound."""

import re

from beluga_nb.request import Request
from beluga_nb.result import Picture, Recipe
from beluga_nb.server.files import LIFETIME, MOST_BYTES, FileCache

RECIPE = Recipe(request=Request(prompt="a whale", model="flux-2.0"), engine="e")


def picture(data=b"data", media_type="image/png"):
    return Picture(data, media_type, RECIPE)


def test_the_bounds_are_60_minutes_and_256_mebibytes():
    assert (LIFETIME, MOST_BYTES) == (3600, 268_435_456)


def test_names_are_128_random_bits_and_the_suffix_of_the_type():
    files = FileCache()
    names = {files.put(picture(media_type=kind)) for kind in ("image/webp", "image/webp")}
    assert len(names) == 2
    assert all(re.fullmatch(r"[0-9a-f]{32}\.webp", name) for name in names)


def test_what_is_oldest_goes_first_when_there_is_too_much():
    files = FileCache(most_bytes=10)
    first, second, third = (files.put(picture(each * 4)) for each in (b"1", b"2", b"3"))
    assert files.get(first) is None
    assert [files.get(name).data for name in (second, third)] == [b"2222", b"3333"]


def test_one_picture_beyond_the_bound_is_kept_alone_until_the_next():
    files = FileCache(most_bytes=10)
    small, large = files.put(picture(b"1")), files.put(picture(b"2" * 20))
    assert (files.get(small), files.get(large).data) == (None, b"2" * 20)
    files.put(picture(b"3"))
    assert files.get(large) is None


def test_what_has_expired_gives_its_room_back():
    now = [0.0]
    files = FileCache(most_bytes=10, clock=lambda: now[0])
    old = files.put(picture(b"1" * 10))
    now[0] = 3600.0
    new = [files.put(picture(each * 5)) for each in (b"2", b"3")]
    assert files.get(old) is None
    assert all(files.get(name) for name in new)
