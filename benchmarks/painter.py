"""The built-in painter: from a prompt to a PNG, for the five prompts of the service's documentation."""

from __future__ import annotations

import statistics
import time
from functools import partial

from beluga_nb.catalog import labels, pixels
from benchmarks.rows import MODEL, Job, Measures, Row

PROMPTS = (
    "A photorealistic beluga whale swimming through crystal clear arctic water, 4K",
    "Anime-style warrior princess in a cherry blossom garden, vibrant colors",
    "Hyper-realistic product photo of a glass bottle of mineral water, studio lighting",
    "Oil painting of a Renaissance-style portrait of a tech entrepreneur",
    "Futuristic city skyline at night with neon reflections on rain-soaked streets",
)
REPEAT = 3

HD = ", hd"


def painted(label: str, _: Job) -> Measures:
    """Return the median of the prompts, and the slowest; each prompt's time is the best of a few."""
    from beluga_nb.painter import paint

    quality, size = "hd" if label.endswith(HD) else "standard", pixels(label.removesuffix(HD))
    paint(PROMPTS[0], model=MODEL, size=(64, 64)).png()  # Tables are read, fonts are loaded.
    every, used = [], time.process_time()
    for prompt in PROMPTS:
        times = []
        for _repeat in range(REPEAT):
            began = time.perf_counter()
            painting = paint(prompt, model=MODEL, size=size, quality=quality)
            drawn = time.perf_counter()
            data = painting.png()
            ended = time.perf_counter()
            times.append((ended - began, ended - drawn))
        every.append((*min(times), len(data)))
    cpu = (time.process_time() - used) / REPEAT / len(PROMPTS)
    seconds, encode, length = (statistics.median(column) for column in zip(*every, strict=True))
    slowest = max(total for total, _, _ in every)
    return {"seconds": seconds, "cpu": cpu, "slowest": slowest, "encode": encode, "bytes": length}


ROWS = {
    "painter": Row(
        "the painter: a prompt to a PNG, median of five prompts",
        {label: partial(painted, label) for label in (*labels(), f"1:1{HD}")},
        rounds=2,
        quick_subjects=("1:1", "1:1, hd", "2:1"),
    )
}
