"""A study as a report: what was made and how, how it was judged, and how to see the same again.

It is written three times, as one HTML page, as Markdown and as LaTeX, with its figures as SVG and PDF. There
is no clock in it: the same study gives the same bytes.
"""

from __future__ import annotations

import hashlib
import math
import platform
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from beluga_nb.compare.axes import PROMPT
from beluga_nb.compare.inference import MIN_PROMPTS, MIN_VOTERS, MIN_VOTES
from beluga_nb.compare.sample import Sample
from beluga_nb.compare.scores import Scores
from beluga_nb.compare.vote import Labels, others
from beluga_nb.errors import RequestError
from beluga_nb.images import decode
from beluga_nb.paths import check_replaceable, make_folder, remove_older, save_file
from beluga_nb.redaction import redact
from beluga_nb.show import grid_table, plot, ranking
from beluga_nb.show.document import WRITERS, Block, Code, Document, Figure, Heading, Paragraph, TableBlock
from beluga_nb.show.judge import pairs_head, pairs_rows
from beluga_nb.show.provenance import Provenance, version
from beluga_nb.show.scores import (
    SPREAD,
    differences_head,
    differences_rows,
    mean_and_spread,
    more_of,
    scores_head,
    scores_note,
    scores_rows,
)
from beluga_nb.show.sheet import sheet_file, warn_of
from beluga_nb.show.template import fill
from beluga_nb.text import plural, sanitize

if TYPE_CHECKING:
    from PIL.Image import Image

    from beluga_nb.compare.agreement import Votes
    from beluga_nb.compare.judge import Agreement, JudgedPairs
    from beluga_nb.compare.rank import Ranking
    from beluga_nb.compare.workspace import Workspace
    from beluga_nb.result import Preview, Recipe

POSTER = 4_000_000
"""Most pixels of the figure with all pictures: at 300 pixels an inch it is as wide as a page."""

_GENERATOR = b'<meta name="generator" content="beluga_nb">'

_OURS = re.compile(r"(pictures|(ranking|judge)-\d+)\.(svg|pdf)")
"""The names of figures."""

_LIBRARIES = ("pillow", "numpy")


@dataclass(frozen=True, kw_only=True)
class Study:
    """What a report is about: pictures that differ in `by`, their votes, rankings and scores.

    `verdicts` has the agreement of people with each judge, by the index of that judge's scores in `scores`.
    `pairs` are comparisons by a judge. `absent` has the labels of each combination that lacks pictures, with
    the reason.
    """

    by: str
    samples: Sequence[Sample]
    votes: Votes
    rankings: Sequence[Ranking]
    scores: Sequence[Scores]
    verdicts: Mapping[int, Sequence[Agreement]]
    pairs: Sequence[JudgedPairs]
    absent: Sequence[tuple[Mapping[str, str], str]]


@dataclass(frozen=True)
class _Known:
    """A picture without its bytes."""

    recipe: Recipe
    size: tuple[int, int]
    sha256: str
    labels: Mapping[str, str]

    @property
    def settings(self) -> str:
        """The parameters of its request but for prompt and model, in words."""
        asked = self.recipe.request.parameters
        given = {name: value for name, value in asked.items() if name not in {"prompt", "model"}}
        return ", ".join(f"{name} = {value}" for name, value in given.items() if value is not None)


def write_report(study: Study, folder: Path, workspace: Workspace, *, title: str) -> Path:
    """Write a report and its figures into a folder, and return its page.

    An earlier report there is replaced, its figures too; other files stay. Raises `RequestError` where there
    are no pictures, `StoreError` where a file cannot be written, or replaces one of the user's own.
    """
    document = report(study, workspace, title=title)
    figures = {
        f"{figure.name}.{kind}": data
        for figure in document.figures
        for kind, data in (("svg", figure.svg), ("pdf", figure.pdf))
    }
    names = [*WRITERS, *(f"figures/{name}" for name in figures)]
    is_again = check_replaceable(folder, names, mark=("report.html", _GENERATOR))
    make_folder(folder / "figures")
    for name, data in figures.items():
        save_file(folder / "figures" / name, data)
    for name, written in WRITERS.items():
        save_file(folder / name, redact(written(document)).encode())
    if is_again:  # A larger report may have left other figures.
        remove_older(folder / "figures", _OURS, figures)
    return folder / "report.html"


def report(study: Study, workspace: Workspace, *, title: str) -> Document:
    """Return what a report says."""
    pictures = [
        _Known(sample.picture.recipe, sample.picture.size, sample.picture.sha256, sample.labels)
        for sample in study.samples
    ]
    if not pictures:
        raise RequestError("There are no pictures to report on.", "Ask for them first: run()")
    _check_own(study, pictures)
    provenance = Provenance(workspace)
    blocks = [
        *_pictures(study, pictures),
        *_absent(study),
        *_models(pictures, provenance),
        *_rankings(study),
        *_judges(study),
        *_scores(study, pictures),
        *_prompts(pictures),
        *_reproducibility(pictures, provenance, workspace),
    ]
    return Document(title or f"A comparison by {study.by}", blocks)


def _check_own(study: Study, pictures: Sequence[_Known]) -> None:
    """Raise `RequestError` for scores and verdicts of pictures that the report does not show."""
    known = {(each.sha256, frozenset(each.labels.items())) for each in pictures}
    compared = {each.sha256 for each in pictures}
    for scores in study.scores:
        if any((row.sha256, frozenset(row.labels.items())) not in known for row in scores.rows):
            raise _of_others(scores.name)
    for each in study.pairs:
        if any(not compared.issuperset(row.duel.pictures) for row in each):
            raise _of_others(each.question)


def _of_others(name: str) -> RequestError:
    return RequestError(
        f"'{sanitize(name, 80)}' is about other pictures too.",
        "Measure or judge the pictures of this report alone: what is recorded is read again.",
    )


def _absent(study: Study) -> Iterator[Block]:
    """Yield a table of what lacks pictures: a comparison of the easy combinations alone is biased."""
    if not study.absent:
        return
    counts = Counter((labels.get(study.by, ""), reason) for labels, reason in study.absent)
    yield TableBlock(
        f"Combinations that lack pictures, by {sanitize(study.by, 80)}: what is missing is in no comparison"
        " below.",
        (study.by, "reason", "combinations"),
        [(name, reason, str(count)) for (name, reason), count in counts.items()],
    )


def _pictures(study: Study, pictures: Sequence[_Known]) -> Iterator[Block]:
    names = list(dict.fromkeys(each.labels[study.by] for each in pictures if study.by in each.labels))
    prompts = plural(len({each.recipe.request.prompt for each in pictures}), "prompt")
    shown = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
    yield Paragraph(
        f"{plural(len(pictures), 'picture')} of {prompts}, {_dates(pictures)}, compared by"
        f" {study.by}: {shown}. {study.votes.caveat}"
    )
    table = _poster(study, pictures)
    try:
        svg, _ = sheet_file(table, ".svg", title="", axes="", edge=512, dpi=plot.DPI, limit=POSTER)
        pdf, missing = sheet_file(table, ".pdf", title="", axes="", edge=512, dpi=plot.DPI, limit=POSTER)
    except RequestError:  # too many for a figure
        return
    warn_of(missing)
    yield Figure("pictures", f"All pictures, by {study.by}. {study.votes.caveat}", svg, pdf)


def _poster(study: Study, pictures: Sequence[_Known]) -> grid_table.Table:
    """Return all pictures as a table: a column for each name, and a row for what these share."""
    found: dict[str, set[str]] = {}
    for picture in pictures:
        for name, label in picture.labels.items():
            found.setdefault(name, set()).add(label)
    others = [name for name, labels in found.items() if name != study.by and len(labels) > 1]
    # Axes that advance together have too few combinations, and are one.
    keys = {tuple(picture.labels[name] for name in others) for picture in pictures}
    groups = [[name] for name in others] if len(keys) == _product(found, others) else [others]
    names = [" · ".join(group) for group in groups if group]
    squares: dict[tuple[str, ...], list[grid_table.Figure]] = {}
    for place, picture in enumerate(pictures):
        labels = [" · ".join(picture.labels[name] for name in group) for group in groups if group]
        # Opened one at a time: a study may have thousands.
        image = partial(_image, study.samples, place)
        figure = grid_table.Figure(picture, "", image)
        squares.setdefault((*labels, picture.labels[study.by]), []).append(figure)
    return grid_table.Table(
        caption="",
        prompts=(),
        dimensions=tuple(
            grid_table.Dimension(name, tuple(dict.fromkeys(key[number] for key in squares)))
            for number, name in enumerate((*names, study.by))
        ),
        squares={key: grid_table.Square(tuple(each)) for key, each in squares.items()},
    )


def _product(labels: Mapping[str, Set[str]], names: Sequence[str]) -> int:
    return math.prod(len(labels[name]) for name in names)


def _image(samples: Sequence[Sample], place: int) -> Image:
    picture = samples[place].picture
    small: Preview | None = picture.preview
    return decode(small.data) if small else picture.image


def _models(pictures: Sequence[_Known], provenance: Provenance) -> Iterator[Block]:
    groups: dict[tuple[str, ...], list[_Known]] = {}
    for picture in pictures:
        recipe = picture.recipe
        made_by = "local preview" if recipe.procedural else recipe.engine
        key = (recipe.request.model, made_by, provenance.provider(picture) or "", picture.settings)
        groups.setdefault(key, []).append(picture)
    rows = [
        (*map(sanitize, key), str(len(found)), _dates(found), _cost(found, provenance))
        for key, found in groups.items()
    ]
    head = ("model", "made by", "provider", "settings", "pictures", "dates", "cost")
    keep = [place for place in range(len(head)) if any(row[place] for row in rows)]
    yield Heading("Models and settings")
    yield TableBlock(
        "Models, settings, and when the pictures were made.",
        [head[place] for place in keep],
        [[row[place] for place in keep] for row in rows],
    )


def _cost(pictures: Sequence[_Known], provenance: Provenance) -> str:
    costs = [provenance.cost(picture.recipe) for picture in pictures if not picture.recipe.procedural]
    known = [cost for cost in costs if cost is not None]
    return f"{sum(known):.2f} {provenance.currency}" if known and len(known) == len(costs) else ""


def _dates(pictures: Sequence[_Known]) -> str:
    days = sorted({f"{date:%Y-%m-%d}" for picture in pictures if (date := picture.recipe.date)})
    if not days:
        return "date unknown"
    some = "" if all(picture.recipe.date for picture in pictures) else ", some of unknown date"
    return f"{' to '.join(dict.fromkeys([days[0], days[-1]]))}{some}"


def _rankings(study: Study) -> Iterator[Block]:
    if not study.votes:
        return
    yield Heading("Rankings")
    for number, each in enumerate(study.rankings, 1):
        on = f", on the criterion {sanitize(each.criterion)}" if each.criterion else ""
        yield from _ranking(each, f"Ranking by {study.by}{on}.", f"ranking-{number}")
    if study.rankings:
        yield _METHOD
    yield TableBlock("Votes, by voter.", ranking.votes_head(study.votes), ranking.votes_rows(study.votes))
    if facts := ranking.votes_facts(study.votes):
        yield Paragraph(" ".join(facts))


def _ranking(found: Ranking, caption: str, name: str) -> Iterator[Block]:
    yield TableBlock(caption, ranking.ranking_head(found.by), ranking.ranking_rows(found))
    yield Paragraph(found.note)
    svg = ranking.ranking_svg(found).encode()
    pdf, missing = plot.ranking_pdf(found)
    warn_of(missing)
    yield Figure(name, f"{caption} {ranking.SCALE}.", svg, pdf)


_METHOD = Paragraph(
    "Strengths are those of a Bradley–Terry model with a Gaussian prior of one logit; a tie counts as half a"
    " win for each. Intervals are those of a jackknife with Student’s t: over prompts (with fewer than"
    f" {MIN_PROMPTS} prompts, over their samples), and with {MIN_VOTERS} voters or more over voters too. Each"
    f" holds with 95 % for its own name; names with fewer than {MIN_VOTES} votes have none. Names that are"
    f" told apart are so with 95 % for all pairs of one ranking together (Holm). {ranking.SEVERAL}"
)


def _judges(study: Study) -> Iterator[Block]:
    if study.pairs or study.verdicts:
        yield Heading("Judges")
    for number, each in enumerate(study.pairs, 1):
        judge, question = sanitize(each.judge, 80), sanitize(each.question, 300)
        caption = f"Ranking by {sanitize(each.by, 80)}, by the judge {judge}: {question}"
        yield from _ranking(each.ranking, caption, f"judge-{number}")
        if not study.rankings and number == len(study.pairs):
            yield _METHOD
        yield TableBlock(f"Comparisons by the judge {judge}: {question}", pairs_head(each), pairs_rows(each))
        if more := more_of(each):
            yield Paragraph(more)
    for place, agreements in study.verdicts.items():
        scores = study.scores[place]
        caption = f"Verdicts of the judge {sanitize(scores.version, 80)}: {sanitize(scores.name, 300)}"
        yield TableBlock(caption, scores_head(scores), scores_rows(scores))
        yield Paragraph(" ".join([scores_note(scores), *map(str, agreements)]))


def _scores(study: Study, pictures: Sequence[_Known]) -> Iterator[Block]:
    if not study.scores:
        return
    yield Heading("Scores")
    means = [scores.mean(by=study.by) for scores in study.scores]
    names = dict.fromkeys(name for mean in means for name in mean)
    yield TableBlock(
        f"Mean scores by {study.by}. {SPREAD}",
        (study.by, *(f"{each.name} ({each.version})" for each in study.scores)),
        [
            (name, *(" ".join(mean_and_spread(mean, name)) if name in mean else "" for mean in means))
            for name in names
        ],
    )
    for scores in study.scores:
        if notes := _unmeasured(study, scores, len(pictures)):
            yield Paragraph(notes)
    tables = [scores.differences(by=study.by) for scores in study.scores]
    for scores, found in zip(study.scores, tables, strict=True):
        yield TableBlock(
            f"Differences in {sanitize(scores.name, 80)} on the same prompts.",
            differences_head(found),
            differences_rows(found),
        )
    if any(tables):
        yield _OF_DIFFERENCES


_OF_DIFFERENCES = Paragraph(
    "Differences are means over prompts, each of which counts once (with fewer than"
    f" {MIN_PROMPTS} prompts they are means over samples, and hold for these prompts alone). Their intervals"
    " are those of Student’s t, and longer where differences are skewed (Johnson). In each table they hold"
    " with 95 % for all pairs together (Bonferroni): two names whose interval does not contain 0 are told"
    " apart. Several scores are not corrected for being several."
)


def _unmeasured(study: Study, scores: Scores, pictures: int) -> str:
    """Return in sentences how many pictures the means leave out, and whether they are of the same prompts."""
    measured = [row for row in scores.rows if row.value is not None]
    common: dict[str, Counter[Labels]] = {}
    for row in measured:
        common.setdefault(row.labels[study.by], Counter())[others(row.labels, by=study.by)] += 1
    words = []
    if len(measured) < pictures:
        words.append(f"{pictures - len(measured)} of {plural(pictures, 'picture')} have none.")
    if len({frozenset(each.items()) for each in common.values()}) > 1:
        words.append("The means are not those of the same prompts; the differences are.")
    return " ".join([f"{sanitize(scores.name, 80)}:", *words]) if words else ""


def _prompts(pictures: Sequence[_Known]) -> Iterator[Block]:
    counts: dict[str, int] = {}
    for picture in pictures:
        prompt = picture.recipe.request.prompt
        counts[prompt] = counts.get(prompt, 0) + 1
    yield Heading("Prompts")
    rows = [
        (str(number), sanitize(prompt, 4000), str(count))
        for number, (prompt, count) in enumerate(counts.items(), 1)
    ]
    yield TableBlock("All prompts.", ("number", PROMPT, "pictures"), rows)


def _reproducibility(
    pictures: Sequence[_Known], provenance: Provenance, workspace: Workspace
) -> Iterator[Block]:
    recorded = sum(provenance.provider(picture) is not None for picture in pictures)
    libraries = ", ".join(f"{name} {metadata.version(name)}" for name in _LIBRARIES)
    hashes = "\n".join(sorted(picture.sha256 for picture in pictures))
    again = (
        ", and so are scores and votes. With that folder and BELUGA_MODE=replay, the notebook runs again"
        " without a key or a network, and shows the same bytes."
        if recorded == len(pictures)
        else "; the others are not, and the notebook cannot be run again to the same bytes."
    )
    store = "" if workspace.store.mirror else "the folder "
    yield Heading("Reproducibility")
    yield Paragraph(
        f"This report was written by beluga_nb {version()} with Python {platform.python_version()},"
        f" {libraries}. {recorded} of {plural(len(pictures), 'picture')} are recorded with their exact bytes,"
        f" prompts and parameters in {store}{sanitize(workspace.store.name)}{again} The sorted SHA-256"
        " of all pictures, one a line, have the SHA-256"
        f" {hashlib.sha256(hashes.encode()).hexdigest()}."
    )
    yield Heading("Citation")
    yield Code(fill("show/citation.bib", version=version()))
