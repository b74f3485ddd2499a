"""What tables, plots and reports claim, as a referee would read it: of any votes, by any names."""

import math
import re
from html.parser import HTMLParser
from random import Random

import pytest
from sampling import rounds

from beluga_nb.compare.inference import MIN_PROMPTS, MIN_VOTES
from beluga_nb.compare.rank import ranking
from beluga_nb.compare.scores import ALL_PAIRS, Difference, Differences, Scored, Scores
from beluga_nb.compare.vote import NO_VOTES, Duel
from beluga_nb.show.document import Document, Paragraph, TableBlock
from beluga_nb.show.labels import cut_labels
from beluga_nb.show.ranking import ranking_head, ranking_rows, ranking_svg
from beluga_nb.show.scores import differences_head, differences_rows
from beluga_nb.store.votes import ANSWERS, BOTH_BAD

PIECES = (
    *("flux", "a red fox in the snow", "é", "狐", "\u202e", "\x1b[31m", " ", "  ", "1", "-", "…"),
    *("<b>", "&amp;", '"', "'", "</table>", "\\", "\\input{a}", "$x_1$", "%", "#", "^", "~", "{", "}"),
    *("*", "_", "`", "|", "[a](b)", "![", "\n", "---", "\\\\[2cm]", "’", "−5", "+7 %", " and ", "; "),
)


def labels(rng, count):
    """Return different names, some of which are long and begin alike."""
    start = "".join(rng.choices(PIECES, k=rng.choice([0, 0, 30])))
    found = []
    while len(found) < count:
        label = start + "".join(rng.choices(PIECES, k=rng.randint(1, 4))) + rng.choice(["", str(len(found))])
        if label.strip() and label not in found:
            found.append(label)
    return found


def duels(rng, names):
    """Return votes of a study that may lack anything."""
    prompts, voters = rng.choice([1, 2, 3, 4, 9]), rng.choice([1, 2, 5, 8])
    answers = rng.choice([ANSWERS, ANSWERS[:1], ANSWERS[2:3], ANSWERS[3:], ANSWERS[:3]])
    asked = [(one, other) for one in names for other in names if one < other and rng.random() < 0.8]
    for prompt in range(prompts):
        for one, other in rng.sample(asked, min(len(asked), 30)):
            for voter in range(voters):
                if rng.random() < 0.7:
                    label = (("subject", str(prompt)),)
                    yield Duel(
                        *rng.sample([one, other], 2),
                        rng.choice(answers),
                        prompt=label,
                        sample=(label, rng.choice([0, 0, 1])),
                        voter=str(voter),
                        excluded="asleep" if voter == 1 else "",
                    )


class Rows(HTMLParser):
    """The cells of the tables of a page."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.is_cell = [], False
        self.feed(page)

    def handle_starttag(self, tag, _):
        assert tag not in {"script", "b"}
        self.is_cell = tag in {"td", "th"}
        if tag == "tr":
            self.rows.append([])
        if self.is_cell:
            self.rows[-1].append("")

    def handle_endtag(self, _):
        self.is_cell = False

    def handle_data(self, data):
        if self.is_cell:
            self.rows[-1][-1] += data


@pytest.mark.parametrize("count", [1, 2, 3, 40])
def test_a_ranking_claims_no_more_than_its_votes_bear(count):
    rng = Random(count)
    for _ in range(rounds(12, 100) if count < 40 else 2):
        names = labels(rng, count)
        votes = list(duels(rng, names))
        found = ranking(votes, by="style", names=names)
        counted = [vote for vote in votes if not vote.excluded and vote.answer != BOTH_BAD]
        assert found.votes == len(counted)
        assert found.voters == len({vote.voter for vote in counted})
        assert found.prompts == len({vote.prompt for vote in counted})
        assert sorted(found.names) == sorted(names)
        # What was compared on few prompts and samples has no interval, and is told apart from nothing.
        for standing in found.standings:
            mine = [vote for vote in counted if standing.name in {vote.left, vote.right}]
            units = {vote.sample if found.prompts < MIN_PROMPTS else vote.prompt for vote in mine}
            assert standing.has_interval == (len(units) >= MIN_PROMPTS and len(mine) >= MIN_VOTES)
            if len(units) < MIN_PROMPTS:
                assert sum(standing.name in pair for pair in found.alike) == count - 1
        if not counted:
            assert ("Nothing can be said." if found.bad else NO_VOTES) in found.note
        else:
            assert f"by {found.voters} voter{'s' * (found.voters > 1)}: " in found.note
            pairs = count * (count - 1) // 2
            assert ("No two are told apart" in found.note) <= (len(found.alike) == pairs)
            assert ("All are told apart" in found.note) == (pairs > 1 and not found.alike)
            # A claim that pairs are apart says that it is one about all of them; that none are is no claim.
            assert (ALL_PAIRS in found.note) == (pairs > 1 and len(found.alike) < pairs)
        if all(vote.answer not in ANSWERS[:2] for vote in counted):
            assert len(found.alike) == count * (count - 1) // 2
            assert {standing.elo for standing in found.standings} == {0.0}
        for (best, worst), standing in zip(found.ranks, found.standings, strict=True):
            stronger = sum(each.elo > standing.elo for each in found.standings)
            assert 1 <= best <= stronger + 1 <= worst <= count
        shown_alike(found)


def scores_of(rng, names):
    """Return scores of a study that may lack anything, on any number of prompts."""
    prompts, samples = rng.choice([1, 2, 3, 4, 9]), rng.choice([1, 1, 3])
    value = rng.choice([lambda: rng.gauss(0, 1), lambda: 1.0, lambda: float(rng.random() < 0.5)])
    there = rng.choice([1, 0.7])
    return Scores(
        rng.choice(PIECES).strip() or "ink",
        "1",
        tuple(
            Scored(
                labels={"style": name, "subject": str(prompt)},
                number=sample,
                sha256="",
                value=value() if rng.random() < there else None,
            )
            for name in names
            for prompt in range(prompts)
            for sample in range(samples)
        ),
    )


@pytest.mark.parametrize("count", [1, 2, 3, 12])
def test_differences_claim_no_more_than_their_scores_bear(count):
    rng = Random(count)
    for _ in range(rounds(30, 200) if count < 12 else 4):
        found = scores_of(rng, labels(rng, count)).differences(by="style")
        with_interval = [each for each in found if math.isfinite(each.half)]
        [sure] = {each.sure for each in found} or {"95 %"}
        assert (sure == ALL_PAIRS) == (len(with_interval) > 1)
        assert differences_head(found)[2] == sure
        for each, row in zip(found, differences_rows(found), strict=True):
            units = each.prompts if each.prompts >= MIN_PROMPTS else each.samples
            assert math.isfinite(each.half) == (units >= MIN_PROMPTS)
            assert math.isnan(each.mean) == (not each.samples)
            # All intervals hold together: each at least as wide as one that misses in 5 % / pairs.
            if each in with_interval and each.half:
                assert " to " in row[2]
                assert sure in str(each)
                assert each.pairs == len(with_interval)
            else:
                assert row[2] in {"none", "none: all alike"}
                assert "no interval" in str(each)


def shown_alike(found):
    """The same rows in all three files, one for each name, and names that differ look different."""
    rows = ranking_rows(found)
    assert len({row[1] for row in rows}) == len(rows)
    document = Document("T", [TableBlock("Ranking.", ranking_head(found.by), rows), Paragraph(found.note)])
    html = [[cell.strip() for cell in row] for row in Rows(document.html()).rows]
    assert html[1:] == [[" ".join(cell.split()) for cell in row] for row in rows]
    lines = [line for line in document.markdown().splitlines() if line.startswith("| ")]
    assert len(lines) == len(rows) + 2
    assert {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in lines} == {len(rows[0]) + 1}
    body = document.latex().partition(r"\endfoot")[2].partition(r"\end{longtable}")[0]
    bare = re.sub(r"\\[&%$#_{}]", "", body)
    assert bare.count(r" \\") == len(rows)
    assert bare.count("&") == len(rows) * (len(rows[0]) - 1)
    assert bare.count("{") == bare.count("}")
    assert not re.search(r"[$#%^~_]", bare)
    assert ranking_svg(found).count("<circle") == len(rows)


@pytest.mark.parametrize("longest", [24, 60])
def test_names_that_differ_look_different_when_they_are_cut(longest):
    rng = Random(longest)
    for _ in range(rounds(100, 1000)):
        names = labels(rng, rng.randint(1, 12))
        cut = cut_labels(names, longest)
        assert list(cut) == names
        assert len({*cut.values()}) == len(names)
        assert max(map(len, cut.values())) <= longest
    assert cut_labels(["fox", "owl"], longest) == {"fox": "fox", "owl": "owl"}


def test_a_difference_without_a_spread_has_no_interval_that_is_certain():
    alike = Difference(one="a", other="b", mean=0.0, half=0.0, prompts=5, samples=5)
    assert "no interval: all alike" in str(alike)
    shown = Differences("Is it so?", (alike,))._repr_mimebundle_()["text/plain"]
    assert "none: all alike" in shown
    assert "0 to 0" not in shown
