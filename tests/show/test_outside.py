"""Whatever is said from outside is text in a page, wherever it is shown: no tag and no attribute comes of it.

Each surface is made twice, once with harmless words and once with hostile ones in every place where words
from outside can stand. What differs between the two may be text and values of attributes, and nothing else.
"""

import dataclasses
import inspect
import re
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree

import pytest
from conftest import drawn

import beluga_nb
import beluga_nb.errors as errors
from beluga_nb.budget import Caps, Prices
from beluga_nb.catalog import Listing, Model
from beluga_nb.compare.agreement import Share, Votes
from beluga_nb.compare.checks import Check, Checks
from beluga_nb.compare.judge import Agreement, JudgedPair, JudgedPairs, Verdict
from beluga_nb.compare.plan import Plan, Post
from beluga_nb.compare.rank import ranking, rankings
from beluga_nb.compare.scores import Distance, Distances, Duplicates, Leaderboard, Means, Scored, Scores
from beluga_nb.compare.vote import Duel
from beluga_nb.engines.call import Tally
from beluga_nb.progress import line
from beluga_nb.request import Request
from beluga_nb.result import MissingPicture, Picture, Preview, Recipe, Result
from beluga_nb.show import figures, page, scores, tables
from beluga_nb.show.ballot import page_of
from beluga_nb.show.booth import head_html, status_html, thanks_html
from beluga_nb.show.catalogue import models_table
from beluga_nb.show.document import Document, Heading, Paragraph, TableBlock
from beluga_nb.show.document import Figure as DocumentFigure
from beluga_nb.show.frame import frame, styled
from beluga_nb.show.grid_table import Dimension, Figure, Square, Table, grid_bundle
from beluga_nb.show.history import history_html, history_text
from beluga_nb.show.plan import plan_bundle
from beluga_nb.show.ranking import ranking_bundle, ranking_svg, rankings_bundle, votes_bundle
from beluga_nb.show.status import status_bundle
from beluga_nb.show.verify import reports_bundle
from beluga_nb.show.waiting import bar_html, frames_html
from beluga_nb.store.verify import Report
from beluga_nb.text import sanitize

PAYLOADS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "' onmouseover='alert(1)' x='",
    '" style="position:fixed" autofocus onfocus="alert(1)" x="',
    "</style><script>alert(1)</script>",
    "</title></textarea></template></dialog><iframe srcdoc=x>",
    "--><script>alert(1)</script><!--",
    "]]><script>alert(1)</script><![CDATA[",
    "&lt;script&gt;&#60;img&#62;&quot;",
    "javascript:alert(1)",
    "<\x00script>alert(1)</\x00script>",
    "<\x1b[31mb\u202e>\x07\x9b2J\u2028<b\n>",
    "\ud800<b>",
    "{{x}}<%= 1 %>${1}{1}",
    "`<b>`*_[a](javascript:alert(1))",
]
GREEN = "harmless"


def words(payload):
    """What says each thing from outside: the name of the thing, so that all differ, and the payload."""
    return lambda name: f"outside-{name} {payload}"


def shown_from(say, name, **more):
    fields = ("prompt", "model", "size", "quality", "take")
    request = Request(prompt="x", model="x")
    for each in fields:  # past the checks: what a surface gets may come from anywhere
        object.__setattr__(request, each, say(f"{name}-{each}"))
    recipe = Recipe(request=request, engine=say("engine"), revised_prompt=say(f"{name}-revised"))
    return recipe if not more else replace(recipe, **more)


DATA = drawn(Request(prompt="a fox", model="x"), 0)


def picture(say, name="picture"):
    return Picture(DATA, "image/png", shown_from(say, name), Preview(DATA, "image/png"))


def result(say):
    one = picture(say, "one")
    away = MissingPicture(
        b"", "image/png", shown_from(say, "two"), one.preview, digest="ab" * 32, pixels=(4, 4)
    )
    local = replace(one, recipe=replace(one.recipe, engine="procedural"))
    return Result(one.recipe.request, (one, away, local))


ERRORS = [
    each for _, each in inspect.getmembers(errors, inspect.isclass) if issubclass(each, errors.BelugaError)
]


def error_of(kind, say):
    lines = [say(f"{kind.__name__}-message"), say(f"{kind.__name__}-hint")]
    if kind is errors.UnknownNameError:
        return kind(*lines, [say("choice")])
    if kind is errors.UnknownArgumentError:
        return kind(lines[0], lines, of="generate")
    if kind is errors.ImpossibleCombinationError:
        return kind(1, 2, lines)
    return kind(errors.RequestError(*lines)) if kind is errors.NotSentError else kind(*lines)


def table(say):
    figures = tuple(Figure(each, "data:image/png;base64,AAAA", str) for each in result(say).pictures)
    squares = [Square(figures), Square(figures[:1], note=say("note"))]
    squares += [Square(error=error_of(kind, say)) for kind in ERRORS]
    labels = [say(f"label-{number}") for number in range(len(squares))]
    dimensions = tuple(
        Dimension(say(f"axis-{name}"), tuple(each))
        for name, each in (("facet", [say("facet")]), ("row", labels), ("column", [say("column")]))
    )
    places = {
        (say("facet"), label, say("column")): square for label, square in zip(labels, squares, strict=True)
    }
    return Table(caption=say("head"), prompts=(say("prompt"),), dimensions=dimensions, squares=places)


def scored(say):
    labels = {say("axis"): say("label")}
    failed = Scored(labels=labels, number=1, sha256="ab" * 32, error=ValueError(say("error")))
    return (Scored(labels=labels, number=0, sha256=say("sha"), value=1.5), failed)


def scored_with_reasons(say):
    return [replace(row, value=None, parts={say("part"): 1.5}, reason=say("reason")) for row in scored(say)]


def distances(say):
    return Distances(
        say("name"),
        (Distance(one=say("one"), other=say("other"), kid=1.5, chance=0.2, pictures=(4, 5)),),
        say("caveat"),
    )


def means(say):
    values = {say("label"): [1.5, 2.5], say("other"): [1.0]}
    return Means(say("name"), values, by=say("by"), failed=1, caveat=say("caveat"))


def ranked(say):
    duels = [Duel(say("left"), say("right"), answer) for answer in ("left", "right", "tie", "both bad")]
    return replace(ranking(duels, by=say("by")), caveat=say("caveat"))


def voted(say):
    """Votes of which all words are from outside, and the rankings of their voters."""
    label = ((say("axis"), say("label")),)
    more = {"prompt": label, "sample": (label, 0), "voter": say("voter"), "criterion": say("criterion")}
    counted = [Duel(say("left"), say("right"), answer, **more) for answer in ("left", "tie")]
    rows = (*counted, replace(counted[0], excluded=say("reason"), seconds=2.5))
    per = rankings(counted, by=say("by"), per="voter", criterion=say("criterion"))
    return Votes(by=say("by"), rows=rows, caveat=say("caveat")), replace(per, caveat=say("caveat"))


def reported(say):
    blocks = [
        Heading(say("heading")),
        Paragraph(say("paragraph")),
        TableBlock(say("table"), (say("head"), "n"), [(say("cell"), "1")]),
        DocumentFigure("a", say("figure"), b"<svg/>", b""),
    ]
    return Document(say("title"), blocks)


def run(say):
    return SimpleNamespace(
        name=say("name"),
        request=shown_from(say, "run").request,
        created=1,
        pictures=[1],
        procedural=True,
        note=say("note"),
    )


def listing(say):
    model = Model(
        **{
            each.name: say(each.name)
            if each.type == "str"
            else (say(f"size-of-{each.name}"),)
            if "tuple" in str(each.type) or "Sequence" in str(each.type)
            else 1
            for each in dataclasses.fields(Model)
        }
    )
    return Listing([model], others=[model], named=[model], note=say("note"))


def prices(say):
    return Prices(
        date=date(2026, 11, 1), currency=say("currency"), table={say("id"): {say("quality"): Decimal(1)}}
    )


def planned(say):
    request = shown_from(say, "plan").request
    post = Post(request=request, make_body=lambda _: {"prompt": request.prompt}, url=say("url"))
    return Plan(posts=[post], recorded=1, caps=Caps(prices=prices(say)), cells=2)


def checked(say):
    # What a check reports is cleaned where it is found, and escaped where it is shown.
    clean = [sanitize(say(name)) for name in ("checked", "problem", "file")]
    return Report(clean[0], problems=(clean[1],), unnamed=(clean[2],) * 30)


def framed(say):
    columns = [say("axis"), "picture", "model"]
    return frame([{each: say(f"value of {each}") for each in columns}], columns)


def progress(say):
    return line.words(Tally(label=say("model"), asked=1), 9.0)


def waiting(say):
    one = result(say)
    return bar_html(say("text"), 0.5) + frames_html(one.request, [replace(one, pictures=one.pictures[:1])])


def agreement(say):
    return Agreement(judge=say("judge"), same=Share(count=1, of=2), pairs=1)


def judged_pairs(say):
    duel = Duel(
        say("left"), say("right"), "left", sample=((("animal", say("animal")),), 0), voter=say("judge")
    )
    verdict = Verdict(value=1, answer="first", reason=say("reason"), model=say("vlm"))
    return JudgedPairs(
        by=say("by"),
        judge=say("judge"),
        question=say("question"),
        rows=(JudgedPair(duel=duel, verdicts=(verdict, verdict)),),
        names=(say("left"), say("right")),
        agreement=agreement(say),
        errors=(errors.InvalidVerdictError(say("invalid")),),
        caveat=say("caveat"),
    )


SURFACES = {
    "a result": lambda say: figures.bundle(result(say)),
    "its links": lambda say: figures.bundle(result(say), embed="link", link=lambda _: say("link")),
    "its words alone": lambda say: figures.bundle(result(say), embed="none"),
    "several results": lambda say: figures.still([result(say), result(say)]),
    "a table": lambda say: tables.table([[say("cell")]], [say("head")], say("caption"), say("note")),
    "the status": lambda say: status_bundle({say("fact"): say("said")}, [say("example")]),
    "a grid": lambda say: grid_bundle(table(say), more=say("more")),
    "the page of a grid": lambda say: page.page(table(say), title=say("title")),
    "scores": lambda say: scores.scores_bundle(
        Scores(say("name"), say("version"), scored(say), say("caveat"))
    ),
    "scores with reasons": lambda say: scores.scores_bundle(
        Scores(say("name"), say("version"), tuple(scored_with_reasons(say)))
    ),
    "means": lambda say: scores.means_bundle(means(say)),
    "distances": lambda say: scores.distances_bundle(distances(say)),
    "duplicates": lambda say: scores.duplicates_bundle(Duplicates((scored(say),), say("caveat"))),
    "a ranking": lambda say: ranking_bundle(ranked(say)),
    "a report": lambda say: reported(say).html(),
    "votes": lambda say: votes_bundle(voted(say)[0]),
    "rankings": lambda say: rankings_bundle(voted(say)[1]),
    "the plot of a ranking": lambda say: ranking_svg(ranked(say)),
    "a leaderboard": lambda say: scores.leaderboard_bundle(
        Leaderboard(
            by=say("by"),
            ranking=ranked(say),
            means={say("metric"): Means(say("metric"), {say("left"): [1.0, 2.0]}, by=say("by"))},
            note=say("agreement"),
        )
    ),
    "comparisons by a judge": lambda say: judged_pairs(say)._repr_mimebundle_(),
    "the ranking of a judge": lambda say: ranking_bundle(replace(ranked(say), caveat=judged_pairs(say).note)),
    "an agreement": lambda say: agreement(say)._repr_mimebundle_(),
    "checks of a study": lambda say: Checks(
        say("study"),
        (Check(name=say("check"), threshold=say("threshold"), passed=False, problem=say("problem")),),
    )._repr_mimebundle_(),
    "the history": lambda say: {
        "text/html": history_html([run(say)], [[Preview(DATA, say("media type"))]], rest="… and 3 more"),
        "text/plain": history_text([run(say)], rest="… and 3 more"),
    },
    "the models": lambda say: models_table(listing(say)),
    "the models with prices": lambda say: models_table(listing(say), prices(say)),
    "a plan": lambda say: plan_bundle(planned(say)),
    "a check": lambda say: reports_bundle([checked(say)]),
    "a styled table": lambda say: styled(framed(say), [say("source")], [say("alt")]).to_html(),
    "a table of pandas": lambda say: framed(say)._repr_html_(),
    "the question of a booth": lambda say: head_html(say("question"), say("caption"), done=1, total=2),
    "the line below a booth": lambda say: status_html(say("progress")),
    "the end of a booth": lambda say: thanks_html(say("voter"), [say("summary")]),
    "a voting page": lambda say: page_of(say("question"), say("consent")).html,
    "what is waited for": waiting,
}


FIXED = {"style", "width", "height", "class", "id", "type", "data-axis", "data-of", "value", "content"}


class Skeleton(HTMLParser):
    """What a page is made of: its tags with the names of their attributes, and what no text may change."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.parts, self.texts, self.addresses, self.inside = [], [], [], None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attributes):
        if tag == "br" and not attributes:  # a message may have lines
            return
        fixed = {name: value for name, value in attributes if name in FIXED}
        self.parts.append((tag, [name for name, _ in attributes], fixed))
        self.texts += [value or "" for _, value in attributes]
        self.addresses += [value for name, value in attributes if name in {"src", "href"}]
        self.inside = tag

    def handle_endtag(self, tag):
        self.parts.append(f"/{tag}")

    def handle_data(self, data):
        if self.inside in {"script", "style"} and data.strip():
            self.parts.append(data)  # code, in which no text from outside stands
        self.texts.append(data)

    def handle_comment(self, _):
        self.parts.append("a comment")

    def handle_decl(self, decl):
        self.parts.append(decl)

    def unknown_decl(self, _):
        self.parts.append("a declaration")

    def handle_pi(self, _):
        self.parts.append("an instruction")


@cache
def shown_on(surface, payload):
    """What stands on a surface whose outside words are these."""
    return SURFACES[surface](words(payload))


@cache
def green(surface):
    return Skeleton(html_of(shown_on(surface, GREEN)))


# Which words of a label are marked depends on the words; a mark that holds a tag is none of these.
MARK = re.compile(r'<span style="background-color:rgba\([\d,.]+\);border-bottom:[\w #]+">([^<]*)</span>')


def html_of(shown):
    return MARK.sub(r"\1", shown if isinstance(shown, str) else shown["text/html"])


@pytest.mark.sampled(36)
@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize("surface", SURFACES)
def test_outside_words_are_text_on_every_surface(surface, payload):
    safe, evil = green(surface), Skeleton(html_of(shown_on(surface, payload)))
    assert evil.parts == safe.parts
    assert any("outside-" in text for text in evil.texts), "the words are shown"
    for address in evil.addresses:
        own = address in safe.addresses
        assert own or address.startswith(("data:", "outside-")), "a word is no scheme"


@pytest.mark.parametrize("payload", PAYLOADS)
@pytest.mark.parametrize(
    "surface", sorted(SURFACES.keys() - {"a table of pandas"})
)  # it shows the values themselves
def test_no_code_that_moves_a_terminal_or_turns_a_line_around_is_in_any_text(surface, payload):
    shown = shown_on(surface, payload)
    texts = [shown] if isinstance(shown, str) else [shown[kind] for kind in ("text/html", "text/plain")]
    for text in texts:
        assert not set("\x00\x07\x1b\x9b\u202e\ud800") & set(text)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_plot_is_xml_whatever_the_names_are(payload):
    root = ElementTree.fromstring(ranking_svg(ranked(words(payload))))
    assert {each.tag.partition("}")[2] for each in root.iter()} == {"svg", "line", "text", "circle"}


@pytest.mark.parametrize("payload", PAYLOADS)
def test_the_line_of_progress_moves_no_terminal(payload):
    assert not set("\x00\x07\x1b\x9b\u202e\ud800\n") & set(progress(words(payload)))


def test_text_becomes_html_in_one_place():
    """Who writes HTML takes `outside` and `address`, which also take control characters away."""
    package = Path(beluga_nb.__file__).parent
    homes = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if "from html import escape" in path.read_text("utf-8")
    }
    # XMP keeps what was asked to the letter, and the scripts of panel and booth are ours.
    assert homes == {"show/markup.py", "metadata/xmp.py", "show/template.py"}
