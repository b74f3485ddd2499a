"""From a prompt to a painting."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from math import prod
from struct import pack
from zlib import compress

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo, putchunk

from beluga_nb.metadata.png import SIGNATURE
from beluga_nb.metadata.xmp import DRAWN, quoted
from beluga_nb.painter.account import Account, account_of
from beluga_nb.painter.finish import developed, framed, window
from beluga_nb.painter.layers.scenery import marks
from beluga_nb.painter.look import Look, look_of, tone_of
from beluga_nb.painter.marks import Sheet, cover, simplified
from beluga_nb.painter.media import PAINTED_LAST, PENS, easel, enlarged, rendered
from beluga_nb.painter.reading import read, table
from beluga_nb.painter.register import Register
from beluga_nb.painter.scene import Frame, Scene, staged
from beluga_nb.painter.stream import seed_of

VERSION = 2
TAG = "preview"
SOFTWARE = "beluga_nb procedural painter"
RGB_HEADER = 8, 2, 0, 0, 0  # bits per channel, colour type, compression, filter method, no interlace
UP = 2
"""The PNG filter that stores each row as its difference from the row above."""
LOSSY: Mapping[str, tuple[str, int]] = {"image/jpeg": ("JPEG", 90), "image/webp": ("WEBP", 80)}
# IPTC's word for a picture that a program drew without a trained model.
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmp:CreatorTool="{SOFTWARE}" Iptc4xmpExt:DigitalSourceType="{SOURCE}"
 xmlns:drawn="{DRAWN}" drawn:scene="%s" drawn:words="%s" drawn:ignored="%s"/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


@dataclass(frozen=True, slots=True)
class Painting:
    """A picture, the scene it shows, and which words of the prompt are on it."""

    image: Image.Image
    scene: Scene
    account: Account

    @property
    def revised_prompt(self) -> str:
        """Return what is drawn and what is ignored, in one line."""
        return f"procedural preview \u00b7 {self.account}"

    @property
    def xmp(self) -> str:
        """Return the packet that says how the picture was made and what it shows."""
        words = [", ".join(each) for each in (self.account.drawn, self.account.ignored)]
        return XMP % tuple(quoted(text) for text in (json.dumps(self.drawn), *words))

    @property
    def drawn(self) -> Mapping[str, Sequence[str]]:
        """Return what the painting shows, by the tags of the lexicon: no model has looked at it."""
        scene, shown = self.scene, self.account.shown
        tags = ("subject", "colour", "material", "count", "setting", "mood", "camera")
        words = {tag: [t.value for t in shown if t.tag == tag] for tag in tags}
        counts = [str(actor.count) for actor in scene.cast] or ["1"]
        found = {
            **words,
            "count": words["count"] or (counts if words["subject"] else []),
            "setting": [scene.kind, *words["setting"]],
            "time": [scene.time],
            "weather": [scene.weather],
            "medium": [scene.medium],
        }
        return {tag: list(dict.fromkeys(values)) for tag, values in found.items() if values}

    def png(self) -> bytes:
        """Return the picture as PNG bytes that say what they are."""
        info, out = PngInfo(), BytesIO()
        info.add_text("Description", self.revised_prompt)
        info.add_text("Software", SOFTWARE)
        info.add_itxt("XML:com.adobe.xmp", self.xmp)  # Pillow has no xmp= for PNG
        out.write(SIGNATURE)
        putchunk(out, b"IHDR", pack(">2I5B", *self.image.size, *RGB_HEADER))
        for chunk in info.chunks:
            putchunk(out, *chunk[:2])
        putchunk(out, b"IDAT", _packed(self.image))
        putchunk(out, b"IEND")
        return out.getvalue()

    def encoded(self, media_type: str, *, quality: int | None = None) -> bytes:
        """Return the picture as image/png, image/jpeg or image/webp bytes that say what they are.

        The quality is 1 to 100, None is 90 for JPEG and 80 for WebP; PNG loses nothing and has none.
        Raises ValueError for another media type.

        >>> paint("a cup", model="gpt-image-2", size=(32, 32)).encoded("image/jpeg")[:2]
        b'\\xff\\xd8'
        """
        if media_type == "image/png":
            return self.png()
        if media_type not in LOSSY:
            raise ValueError(f"No encoder for {media_type!r}. Ask for image/png, image/jpeg or image/webp.")
        name, usual = LOSSY[media_type]
        out = BytesIO()
        # method: WebP's slower searches save a twentieth of the bytes for twice the time; JPEG ignores it.
        self.image.save(
            out, name, quality=usual if quality is None else quality, method=2, xmp=self.xmp.encode()
        )
        return out.getvalue()


def _packed(image: Image.Image) -> bytes:
    """Return the compressed rows of an RGB image, all with one filter.

    Pillow tries five filters for each row, which takes as long as compressing them.
    """
    rows = np.asarray(image).reshape(image.height, -1)
    filtered = np.empty((image.height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return compress(filtered.data, 1)


def paint(
    prompt: str,
    *,
    model: str,
    size: tuple[int, int],
    quality: str = "standard",
    take: str = "",
    sample: int = 0,
) -> Painting:
    """Return the painting of a prompt, exactly size (width, height) pixels.

    The quality changes how finely a scene is drawn, not what it shows: it is not part of the seed.

    >>> paint("a red car", model="gpt-image-2", size=(64, 48)).image.size
    (64, 48)
    """
    reading, look = read(prompt), look_of(model)
    scene = staged(reading, look, seed=seed_of(VERSION, model, take, sample))
    left, top, right, bottom = window(size, look)
    register = Register(len(scene.cast), (right - left) * (bottom - top) / prod(size))
    image = drawn(scene, look, size, fine=quality == "hd", register=register)
    account = account_of(reading, scene, register.covers, lettered=register.lettered)
    return Painting(tagged(image), scene, account)


def drawn(
    scene: Scene, look: Look, size: tuple[int, int], *, fine: bool, register: Register | None = None
) -> Image.Image:
    """Return the scene as an image, without its tag; the register learns how much of it each actor covers."""
    look = replace(look, mirror=0.0) if scene.written else look
    left, top, right, bottom = window(size, look)
    inner = right - left, bottom - top
    unit = min(inner)
    frame = Frame(inner[0] / unit, inner[1] / unit, 1.7 if fine else 1.0)
    small = easel(scene.medium, inner, fine=fine)
    tone = tone_of(look, saturation=_mood_saturation(scene.moods))
    sheet = Sheet(Image.new("RGB", small), min(small), 3 if fine else 2, PENS.get(scene.medium), tone)
    planned = marks(scene, frame)
    planned = simplified(planned, round(look.flat)) if look.flat else planned
    cover(sheet, register.noting(planned, frame.w, frame.h) if register else planned)
    image = sheet.image
    if scene.medium in PAINTED_LAST:
        image = rendered(developed(image, look), scene.medium, inner, scene.stream, fine=fine)
    else:
        image = developed(rendered(image, scene.medium, inner, scene.stream, fine=fine), look)
    return framed(enlarged(image, scene.medium, inner), look, size)


def _mood_saturation(moods: Sequence[str]) -> float:
    factors = table("lexicon.toml", "saturation")
    return prod(float(str(factors.get(mood, 1))) for mood in moods)


def tagged(image: Image.Image) -> Image.Image:
    """Return the image with the word "preview" in its lower right corner."""
    height = max(7, round(min(image.size) * 0.021))
    font = ImageFont.load_default(height)
    left, top, right, bottom = font.getbbox(TAG)
    pad = max(2, height // 2)
    size = round(right - left) + 2 * pad, round(bottom - top) + pad
    plate = Image.new("L", size)
    ImageDraw.Draw(plate).rounded_rectangle((0, 0, size[0] - 1, size[1] - 1), size[1] // 2, 120)
    corner = image.width - size[0] - pad, image.height - size[1] - pad
    image.paste((12, 14, 28), corner, plate)
    draw = ImageDraw.Draw(image)
    draw.text((corner[0] + pad - left, corner[1] + pad / 2 - top), TAG, (240, 242, 248), font)
    return image
