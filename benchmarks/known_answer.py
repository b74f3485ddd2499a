"""Whether a study finds a truth that is known: pictures whose quality a knob sets, through all of beluga_nb.

    python -m benchmarks.known_answer                # the table: 100 studies of each kind
    python -m benchmarks.known_answer --studies 5    # fewer

An engine paints what a prompt says, leaves each part of it out with a probability of one minus the knob, and
blurs the picture: the lower the knob, the more is missing, and the less is sharp. Each study is a grid of
three models with a knob each, recorded in a store of its own. Eight simulated voters vote blindly on all
pairs; the embedded server judges all pairs by what was painted, and a metric measures sharpness. What is
counted is what the report says in the end.
"""

import argparse
import asyncio
import math
import os
import random
import re
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from itertools import combinations, permutations
from multiprocessing import get_context
from pathlib import Path

from PIL import ImageFilter

from beluga_nb.compare.grid import Grid
from beluga_nb.compare.scores import Scores
from beluga_nb.compare.voting import Contest, Voting
from beluga_nb.painter import Painting, paint
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Result
from beluga_nb.session.session import Session

KNOBS: Mapping[str, Mapping[str, float]] = {
    "three knobs": {"high": 0.9, "middle": 0.5, "low": 0.1},
    "one knob": {"high": 0.5, "middle": 0.5, "low": 0.5},
}
"""The kinds of studies: what each model's knob is."""

PROMPTS = [
    f"{count} {colour} {animal} in the {place}, {time}"
    for count, colour, animal, place, time in zip(
        ["two", "three", "five", "four"] * 5,
        ["red", "blue", "green", "red", "yellow"] * 4,
        ["foxes", "cats", "owls", "whales", "horses", "cows", "dogs", "bears", "rabbits", "birds"] * 2,
        ["snow", "forest", "desert", "city"] * 5,
        ["at night", "at dawn", "at sunset", "at noon"] * 5,
        strict=True,
    )
]

VOTERS = 8
STEP = 4.0
"""How many logits a knob of 1 is better than one of 0, for voters."""

PICTURES, TASTES = 0.5, 0.3
"""Deviations, in logits, by which pictures are better than their knob, and by which voters differ."""

TIES = 0.1
"""How often a voter sees no difference."""

QUESTION = "Which shows this better: {{prompt}}?"
EDGE, BLUR = 96, 2.0  # pixels


@dataclass(frozen=True)
class Knobs:
    """An engine whose models paint as well as their knobs say."""

    of: Mapping[str, float]
    seed: int

    async def __call__(self, request: Request) -> Result:
        """Return a painting with parts of the prompt left out, and blurred."""
        knob = self.of[request.model]
        rng = random.Random(f"{self.seed} {request.model} {request.prompt}")
        # The last part of a prompt is two words, and so is the place.
        parts = re.findall(r"in the \w+|at \w+|\w+", request.prompt)
        kept = [part for part in parts if rng.random() < knob or part == parts[2]]
        painting = await asyncio.to_thread(painted, " ".join(kept))
        image = painting.image.filter(ImageFilter.GaussianBlur(BLUR * (1 - knob) * rng.uniform(0.8, 1.2)))
        payload = ImagePayload(replace(painting, image=image).png(), "image/png", None)
        return Result.of(request, [payload], engine="knobs", created=0)


@cache
def painted(prompt: str) -> Painting:
    """Return a small painting of a prompt."""
    return paint(prompt, model="gpt-image-2", size=(EDGE, EDGE))


def vote(grid: Grid, knobs: Mapping[str, float], *, seed: int) -> None:
    """Let each voter compare all pairs, as a booth or a voting page asks them."""
    rng, store = random.Random(seed), grid._runner.workspace().store
    contest = Contest(grid.samples, store, by="model", ranking=grid.ranking)
    quality = {
        place: STEP * knobs[sample.labels["model"]] + rng.gauss(0, PICTURES)
        for place, sample in enumerate(grid.samples)
    }
    for number in range(VOTERS):
        taste = {model: rng.gauss(0, TASTES) for model in knobs}
        voting = Voting(contest, voter=f"Voter {number}", seed=rng.getrandbits(32))
        while question := voting.question:
            left, right = (
                quality[each.place] + taste[each.label] for each in (question.left, question.right)
            )
            prefers_left = rng.random() < 1 / (1 + math.exp(right - left))
            voting.answer("tie" if rng.random() < TIES else "left" if prefers_left else "right")


@dataclass(frozen=True)
class Finding:
    """The pairs that evidence tells apart, the better name first."""

    apart: frozenset[tuple[str, str]]

    @classmethod
    def of_scores(cls, scores: Scores) -> "Finding":
        """Return what the differences of a score say, each with its interval."""
        found = scores.differences(by="model")
        higher = {(each.one, each.other) for each in found if each.low > 0}
        return cls(frozenset(higher | {(each.other, each.one) for each in found if each.high < 0}))

    @classmethod
    def of_report(cls, report: str, caption: str) -> "Finding":
        """Return what the table below a caption says, and the sentences below that."""
        _, rows, note, *_ = report.partition(f"**{caption}")[2].split("\n\n")
        cells = [line.strip("| ").split(" | ") for line in rows.splitlines()[2:]]
        elo = {name: int(points.replace("−", "-")) for _, name, points, *_ in cells}
        pairs = [sorted(pair, key=lambda name: -elo[name]) for pair in combinations(elo, 2)]
        if "No two are told apart" in note:
            return cls(frozenset())
        listed = re.search(r"Not told apart: (.*?)\.", note)
        alike = re.findall(r"(\w+) and (\w+)", listed[1]) if listed else []
        assert listed or "All are told apart" in note
        return cls(frozenset((one, other) for one, other in pairs if {one, other} not in map(set, alike)))


def truth_of(knobs: Mapping[str, float]) -> Finding:
    """Return what is so."""
    return Finding(frozenset((a, b) for a, b in permutations(knobs, 2) if knobs[a] > knobs[b]))


def study(knobs: Mapping[str, float], folder: Path, *, seed: int) -> dict[str, Finding]:
    """Return what each kind of evidence of a study tells apart, as the report has it."""
    session = Session(engine=Knobs(knobs, seed), environ={}, folder=folder)
    grid = session.grid("{{what}}", what=PROMPTS, model=list(knobs)).run(assume_yes=True, progress=False)
    vote(grid, knobs, seed=seed)
    judged = grid.judge_pairs(QUESTION, model="embedded").run(assume_yes=True, progress=False)
    scores = grid.score("sharpness", progress=False)
    report = grid.report(folder / "report", judged, scores).with_suffix(".md").read_text("utf-8")
    return {
        "votes of people": Finding.of_report(report, "Ranking by model.**"),
        "a judge": Finding.of_report(report, "Ranking by model, by the judge"),
        "a score": Finding.of_scores(scores),
    }


def study_of(kind: str, seed: int) -> dict[str, Finding]:
    """Return what a study in a folder of its own finds."""
    with tempfile.TemporaryDirectory() as folder:
        return study(KNOBS[kind], Path(folder), seed=seed)


def table(studies: int, workers: int) -> Iterator[str]:
    """Yield the lines of the table; so many processes run studies at once."""
    yield "| truth | evidence | exactly that was found | something else was told apart |"
    yield "|---|---|--:|--:|"
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for kind, knobs in KNOBS.items():
            truth = truth_of(knobs)
            found = list(pool.map(study_of, [kind] * studies, range(studies)))
            for evidence in found[0]:
                findings = [each[evidence] for each in found]
                right = sum(each == truth for each in findings)
                wrong = sum(not each.apart <= truth.apart for each in findings)
                yield f"| {kind} | {evidence} | {right} of {studies} | {wrong} |"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.known_answer")
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    options = parser.parse_args()
    for line in table(options.studies, options.workers):
        print(line, flush=True)
