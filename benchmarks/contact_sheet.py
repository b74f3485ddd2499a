"""One picture of what every model's look does with the same prompts.

    python -m benchmarks.contact_sheet [contact_sheet.png]

Rows are models, columns are prompts. The ending decides the format; the default is
contact_sheet.jpg beside this file.
"""

import sys
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from beluga_nb.catalog import models
from beluga_nb.painter import paint

PROMPTS = (
    "A photorealistic beluga whale swimming through crystal clear arctic water, 4K",
    "Anime-style warrior princess in a cherry blossom garden, vibrant colors",
    "Hyper-realistic product photo of a glass bottle of mineral water, studio lighting",
    "Oil painting of a Renaissance-style portrait of a tech entrepreneur",
    "Futuristic city skyline at night with neon reflections on rain-soaked streets",
    "a fox in a forest at night, snow",
    "watercolour of a lighthouse at dusk, storm",
    "three yellow balloons over green hills, morning",
    "a robot with a book in a library",
    "a knight before a castle in the fog",
    "a white horse on a beach at sunset",
    "pixel art of a rocket in space",
)
CELL, GAP, LEFT, TOP = (150, 112), 5, 128, 46


def main(out: Path) -> None:
    """Paint the sheet."""
    names = [model.id for model in models()]
    width = LEFT + len(PROMPTS) * (CELL[0] + GAP)
    sheet = Image.new("RGB", (width, TOP + len(names) * (CELL[1] + GAP)), (250, 250, 248))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(10)
    for column, prompt in enumerate(PROMPTS):
        x = LEFT + column * (CELL[0] + GAP)
        draw.multiline_text((x, 4), textwrap.fill(prompt, 29), (30, 30, 36), font, spacing=1)
    for row, name in enumerate(names):
        y = TOP + row * (CELL[1] + GAP)
        draw.multiline_text((6, y + 40), "\n".join(textwrap.wrap(name, 21)), (30, 30, 36), font, spacing=1)
        for column, prompt in enumerate(PROMPTS):
            sheet.paste(cell(prompt, name), (LEFT + column * (CELL[0] + GAP), y))
    sheet.save(out, quality=82)
    print(f"{out}: {sheet.width} x {sheet.height}, {out.stat().st_size / 1000:.0f} kB")


def cell(prompt: str, model: str) -> Image.Image:
    """Return a painting in small: drawn at four times the pixels, as one sees it on a page."""
    picture = paint(prompt, model=model, size=(CELL[0] * 2, CELL[1] * 2)).image
    return picture.resize(CELL, Image.Resampling.BOX)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("contact_sheet.jpg"))
