"""Nothing that reaches the browser tells which model made which picture, before the vote is over.

Every message of a real kernel is recorded and searched; the pictures in them are compared byte for byte.
"""

import base64
import io
import json
import queue
import re
import time

import pytest
from conftest import drawn
from kernels import PATIENCE, Kernel
from PIL import Image

from beluga_nb.errors import BelugaError
from beluga_nb.request import Request
from beluga_nb.show.blind import LENGTH, blind

MODELS = ("flux-2.0", "gpt-image-2", "seedream-4.5")

MAKE = f"""
import beluga_nb
results = [beluga_nb.generate(prompt, model=model, n=2, assume_yes=True)
           for prompt in ("a fox", "a whale") for model in {MODELS}]
gallery = beluga_nb.gallery(*results)
for picture in (picture for result in results for picture in result.pictures):
    print(picture.sha256, len(picture.data))
"""


class Listened(Kernel):
    """A kernel whose every message to the browser is kept, buffers and all."""

    def listen(self, code):
        """Run a cell, and return what came."""
        return self._heard(self.start(code))

    def press(self, widget, **state):
        """Change a widget as a browser does, and return what came."""
        session = self.client.session
        message = session.msg(
            "comm_msg",
            {"comm_id": widget, "data": {"method": "update", "state": state, "buffer_paths": []}},
        )
        self.client.shell_channel.send(message)
        return self._heard(message["header"]["msg_id"])

    def click(self, widget):
        """Click a button as a browser does, and return what came."""
        session = self.client.session
        data = {"method": "custom", "content": {"event": "click"}}
        message = session.msg("comm_msg", {"comm_id": widget, "data": data})
        self.client.shell_channel.send(message)
        return self._heard(message["header"]["msg_id"])

    def _heard(self, number):
        heard, until = [], time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                message = self.client.get_iopub_msg(timeout=0.2)
            except queue.Empty:
                continue
            heard.append(message)
            about = message["parent_header"].get("msg_id") == number
            if about and message["content"].get("execution_state") == "idle":
                return heard
        raise TimeoutError(str(heard)[-2000:])


def written(messages):
    """Some messages as text, without the bytes that come beside them."""
    plain = [{name: value for name, value in each.items() if name != "buffers"} for each in messages]
    return json.dumps(plain, default=str, ensure_ascii=False)


def text_of(messages):
    """Everything in some messages, as text: what pictures hold is in it as bytes and as base64."""
    text = written(messages)
    held = [base64.b64decode(data) for data in re.findall(r"base64,([A-Za-z0-9+/=]+)", text)]
    held += [bytes(buffer) for each in messages for buffer in each.get("buffers", ())]
    return text + "".join(data.decode("latin-1") for data in held)


def models(messages):
    """The widgets that were made, by what makes them known: their description or placeholder."""
    opened = [each["content"] for each in messages if each["header"]["msg_type"] == "comm_open"]
    states = {each["comm_id"]: each["data"].get("state", {}) for each in opened}
    return {
        state.get("description") or state.get("placeholder"): name
        for name, state in states.items()
        if state.get("placeholder") not in {None, "\u200b"} or state.get("description")
    }


def pictures(messages):
    return [
        base64.b64decode(data) for data in re.findall(r"image/jpeg;base64,([A-Za-z0-9+/=]+)", str(messages))
    ]


@pytest.fixture(scope="module")
def vote(tmp_path_factory):
    """A vote in a real kernel: what each step sent, and what must not be in it."""
    with Listened(tmp_path_factory.mktemp("blind")) as kernel:
        made = kernel.run(MAKE)
        assert made.status == "ok", made
        secrets = [word for line in made.stdout.splitlines() for word in line.split()]
        before = kernel.listen("booth = gallery.vote(seed=1)\nbooth")
        widgets = models(before)
        kernel.run("booth._clock = iter(range(100000)).__next__; booth._shown_at = -1")
        steps = [
            kernel.press(widgets["Keys"], value="1"),
            kernel.click(widgets["t · tie"]),
            kernel.press(widgets["Keys"], value="s"),
            kernel.press(widgets["Keys"], value="u"),
            kernel.click(widgets["b · both bad"]),
        ]
        revealed = kernel.click(widgets["End and reveal"])
        cast = kernel.run("print(gallery.ranking().votes, gallery.ranking().bad)").stdout
        yield {"before": before, "steps": steps, "revealed": revealed, "secrets": secrets, "cast": cast}


def test_the_vote_took_place(vote):
    assert vote["cast"] == "2 1\n"
    assert "3 of 12 compared" in text_of(vote["steps"][-1])


def test_no_message_names_a_model_a_picture_or_a_length(vote):
    messages = [*vote["before"], *(each for step in vote["steps"] for each in step)]
    heard = text_of(messages)
    # Three letters come up by chance in what stands for bytes.
    words = re.sub(r"base64,[A-Za-z0-9+/=]+", "", written(messages))
    assert len(pictures(vote["before"])) == 2
    assert "compared" in words
    for model in MODELS:
        assert model not in heard
        assert model.split("-")[0] not in words.lower()
    for secret in vote["secrets"]:  # SHA-256 and bytes of every original
        assert not re.search(rf"(?<![0-9a-f]){secret}(?![0-9a-f])", heard), secret
    for word in ("beluga_store", "created", "cost", "latency", "engine", "take"):
        assert not re.search(rf"\b{word}\b", words), word


def test_every_picture_has_one_length_one_size_and_no_metadata(vote):
    shown = [data for step in (vote["before"], *vote["steps"]) for data in pictures(step)]
    assert len(shown) >= 12
    assert {len(data) for data in shown} == {LENGTH}
    opened = [Image.open(io.BytesIO(data)) for data in shown]
    assert {image.size for image in opened} == {(640, 640)}
    assert {tuple(map(tuple, image.quantization.values())) for image in opened[:2]} == {
        tuple(map(tuple, opened[0].quantization.values()))
    }
    for image in opened:
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert not image.getexif()


def test_alternatives_and_tooltips_speak_of_sides_alone(vote):
    heard = text_of(vote["before"])
    assert set(re.findall(r'alt=\\"(.*?)\\"', heard)) == {"left picture", "right picture"}
    tooltips = {
        each["content"]["data"]["state"].get("tooltip") or None
        for each in vote["before"]
        if each["header"]["msg_type"] == "comm_open"
    }
    assert tooltips <= {
        None,
        "Show the ranking",
        "The left picture is better",
        "The right picture is better",
        "Type 1 or 2 for the better picture, t: tie, b: both bad, s: skip, u: undo, z: zoom",
    }


def test_after_the_vote_the_cell_shows_the_ranking_with_its_names(vote):
    shown, words = [
        each["content"]["data"]
        for each in vote["revealed"]
        if each["header"]["msg_type"] == "update_display_data"
    ]
    assert words == {"text/html": "", "text/plain": ""}
    for model in MODELS:
        assert model in shown["text/plain"]
        assert model in shown["text/html"]
    assert "application/vnd.jupyter.widget-view+json" not in shown


def picture(kind, size, **how):
    buffer = io.BytesIO()
    request = Request(prompt="a fox", model="flux-2.0")
    Image.open(io.BytesIO(drawn(request, 0, size=size))).save(buffer, kind, **how)
    return Image.open(io.BytesIO(buffer.getvalue()))


@pytest.mark.parametrize(
    ("one", "other", "size"),
    [
        (("PNG", (1024, 1024)), ("JPEG", (512, 512)), (640, 640)),
        (("WEBP", (1536, 1024)), ("PNG", (64, 64)), (640, 640)),
        (("PNG", (1600, 900)), ("PNG", (800, 450)), (640, 360)),
    ],
)
def test_formats_sizes_and_metadata_of_originals_are_gone(one, other, size):
    exif = Image.Exif()
    exif[0x010E] = "made by flux-2.0"
    left = picture(*one, exif=exif)
    pair = blind(left, picture(*other))
    assert [len(data) for data in pair] == [LENGTH, LENGTH]
    assert [Image.open(io.BytesIO(data)).size for data in pair] == [size, size]
    assert b"flux" not in b"".join(pair)


@pytest.mark.parametrize(
    "sizes", [((1344, 768), (1536, 864)), ((1024, 1024), (1000, 1024)), ((900, 1600), (768, 1344))]
)
def test_nearly_one_shape_is_one_shape_without_bars(sizes):
    left, right = (Image.effect_noise(size, 60).point(lambda value: max(value, 140)) for size in sizes)
    one, other = (Image.open(io.BytesIO(data)).convert("L") for data in blind(left, right))
    assert one.size == other.size
    for image in (one, other):
        width, height = image.size
        edges = [
            (0, 0, 4, height),
            (width - 4, 0, width, height),
            (0, 0, width, 4),
            (0, height - 4, width, height),
        ]
        assert all(image.crop(edge).resize((1, 1)).getpixel((0, 0)) > 135 for edge in edges)


def test_other_shapes_are_whole_on_a_grey_canvas():
    left, right = Image.new("RGB", (1600, 900), "white"), Image.new("RGB", (900, 1600), "white")
    one, other = (Image.open(io.BytesIO(data)).convert("L") for data in blind(left, right))
    assert one.size == other.size == (640, 640)
    assert (one.getpixel((320, 5)), one.getpixel((5, 320))) == (128, 255)
    assert (other.getpixel((320, 5)), other.getpixel((5, 320))) == (255, 128)


def test_noise_which_no_encoder_makes_small_still_has_the_length():
    noise = Image.effect_noise((640, 640), 120).convert("RGB")
    assert [len(data) for data in blind(noise, Image.new("RGB", (9, 9)))] == [LENGTH, LENGTH]


def test_a_picture_that_stays_too_large_says_nothing_of_a_bill():
    with pytest.raises(BelugaError, match="cannot be made small enough") as caught:
        blind(Image.new("RGB", (9, 9)), Image.new("RGB", (9, 9)), length=100)
    assert caught.value.billing == ""


def test_what_is_transparent_stands_on_white():
    clear, _ = blind(Image.new("RGBA", (64, 64)), Image.new("L", (64, 64)))
    assert Image.open(io.BytesIO(clear)).getpixel((320, 320)) == (255, 255, 255)
