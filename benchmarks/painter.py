"""How long the built-in painter takes for each size, drawing and encoding apart.

    taskset -c 0 python -m benchmarks.painter

One core; milliseconds, median of 5 prompts after a warm-up, and the size of the PNG.
"""

import statistics
import time

from beluga_nb.catalog import sizes
from beluga_nb.painter import paint

PROMPTS = (
    "A photorealistic beluga whale swimming through crystal clear arctic water, 4K",
    "Anime-style warrior princess in a cherry blossom garden, vibrant colors",
    "Hyper-realistic product photo of a glass bottle of mineral water, studio lighting",
    "Oil painting of a Renaissance-style portrait of a tech entrepreneur",
    "Futuristic city skyline at night with neon reflections on rain-soaked streets",
)


def main() -> None:
    paint(PROMPTS[0], model="gpt-image-2", size=(64, 64)).png()
    print(f"{'size':6} {'pixels':>11} {'quality':9} {'paint':>8} {'encode':>8} {'most':>8} {'PNG':>8}")
    for size in sizes():
        for quality in ("standard", "hd") if size.label == "1:1" else ("standard",):
            measure(size.label, size.pixels, quality)


def measure(label: str, pixels: tuple[int, int], quality: str) -> None:
    drawing, encoding, weight = [], [], []
    for prompt in PROMPTS:
        began = time.perf_counter()
        painting = paint(prompt, model="gpt-image-2", size=pixels, quality=quality)
        drawn = time.perf_counter()
        data = painting.png()
        drawing.append((drawn - began) * 1000)
        encoding.append((time.perf_counter() - drawn) * 1000)
        weight.append(len(data) / 1000)
    most = max(a + b for a, b in zip(drawing, encoding, strict=True))
    print(
        f"{label:6} {pixels[0]:>5}x{pixels[1]:<5} {quality:9} {statistics.median(drawing):5.0f} ms"
        f" {statistics.median(encoding):5.0f} ms {most:5.0f} ms {statistics.median(weight):5.0f} kB"
    )


if __name__ == "__main__":
    main()
