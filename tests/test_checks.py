"""Checks of a study: thresholds, intervals, exit status and JUnit, replayed in CI without a key."""

import math
import random
from xml.etree import ElementTree

import pytest
from conftest import drawing
from drawings import Counting

import beluga_nb
from beluga_nb.compare.checks import checks
from beluga_nb.compare.differences import estimate_of_scores, estimate_of_wins
from beluga_nb.compare.scores import Scored, Scores
from beluga_nb.compare.vote import Duel
from beluga_nb.errors import CheckFailedError, NotRecordedError, RequestError
from beluga_nb.session.session import Session
from beluga_nb.store.votes import Box
from beluga_nb.terminal.cli import main

STUDY = """
prompt = "{{count}} red foxes in the snow"
model = ["flux-2.0", "gpt-image-2"]
axes = { count = ["two", "five"] }
"""

BRIGHT = """
[[check]]
score = "brightness"
at_least = 0
at_most = 1
"""

JUDGED = """
[[check]]
name = "foxes <are> counted"
judge = "Does it show {{count}} foxes?"
model = "any"
at_least = 0.9
where = { count = "five" }
"""

PAIRS = """
[[check]]
win_rate = "five"
by = "count"
judge = "Which shows five foxes?"
model = "any"
at_least = 0.6
"""

PEOPLE = """
[[check]]
win_rate = "flux-2.0"
at_least = 0.5
"""


@pytest.fixture(scope="module")
def painted(tmp_path_factory):
    """A folder where all of the study is recorded."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.toml").write_text(STUDY + BRIGHT + JUDGED + PAIRS)
    checks(Session(environ={}, folder=folder).grid, folder / "study.toml")
    return folder


@pytest.fixture
def study(painted):
    def study(*parts, text=STUDY):
        path = painted / "other.toml"
        path.write_text(text + "".join(parts))
        return path

    return study


@pytest.fixture
def in_ci(painted):
    return Session(environ={"CI": "true"}, folder=painted)


def test_scores_judges_and_win_rates_are_checked_from_recordings_alone(in_ci, study):
    found = checks(in_ci.grid, study(BRIGHT, JUDGED, PAIRS))
    assert [each.passed for each in found] == [True, True, True]
    assert [each.name for each in found] == ["score brightness", "foxes <are> counted", "win rate five"]
    assert found[1].words == "1 (no interval; 1 prompt)"
    agreement = "No votes of people on these pairs: how far they agree is not known"
    assert found[2].words == f"1 (no interval; 1 prompt, 1 voter); {agreement}"
    assert found.summary == "other.toml: 0 of 3 checks failed"
    assert in_ci.check(study(BRIGHT)).failed == []


def test_what_is_not_recorded_fails_in_ci_and_nothing_is_sent(tmp_path, painted):
    path = tmp_path / "study.toml"
    path.write_text(STUDY + BRIGHT)
    engine = Counting()
    with pytest.raises(NotRecordedError):
        Session(engine=engine, environ={"CI": "1"}, folder=tmp_path).check(path)
    path.write_text(STUDY + JUDGED.replace("Does", "Clearly, does"))
    [found] = checks(Session(environ={"CI": "1"}, folder=painted).grid, path)
    assert not found.passed
    assert found.words.startswith("Not recorded: 2 requests.")
    assert engine.requests == []


def test_a_failed_check_is_an_assertion_that_says_what_was_measured(in_ci, study):
    with pytest.raises(AssertionError) as failed:
        in_ci.check(study(BRIGHT, JUDGED.replace("0.9", "1.5")))
    assert isinstance(failed.value, CheckFailedError)
    assert isinstance(failed.value, beluga_nb.BelugaError)
    assert str(failed.value).splitlines() == [
        "other.toml: 1 of 2 checks failed.",
        "  foxes <are> counted: 1 (no interval; 1 prompt), wanted at least 1.5",
    ]


def test_the_exit_status_and_the_junit_file_tell_ci(in_ci, study, tmp_path, capsys):
    report = tmp_path / "report.xml"
    path = study(BRIGHT, JUDGED)
    assert main(["check", str(path), "--junit", str(report)], session=in_ci) == 0
    assert "passed" in capsys.readouterr().out
    assert main(["check", str(study(BRIGHT, PEOPLE)), "--junit", str(report)], session=in_ci) == 1
    assert "FAILED" in capsys.readouterr().out
    suites = ElementTree.parse(report).getroot()
    assert suites.attrib == {"tests": "2", "failures": "1"}
    [suite] = suites
    assert [case.attrib["name"] for case in suite] == ["score brightness", "win rate flux-2.0"]
    assert [[child.tag for child in case] for case in suite] == [["system-out"], ["failure"]]
    assert "was compared with nothing" in suite[1][0].attrib["message"]
    assert main(["check", str(tmp_path / "none.toml")], session=in_ci) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_votes_of_people_are_checked_and_a_judge_is_none_of_them(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        STUDY.replace("flux-2.0", "a").replace("gpt-image-2", "b") + PEOPLE.replace("flux-2.0", "a")
    )
    session = Session(engine=drawing, environ={}, folder=tmp_path)
    axes = {"count": ["two", "five"], "model": ["a", "b"]}
    grid = session.grid("{{count}} red foxes in the snow", **axes).run()
    for count, answer in (("two", "left"), ("five", "right")):
        left, right = (grid[count, model].pictures[0].sha256 for model in ("a", "b"))
        Box(session.store.open(), "Ada").cast(left=left, right=right, answer=answer)
    [found] = checks(session.grid, path)
    assert found.passed
    assert found.words == "0.5 (no interval; 2 prompts, 1 voter)"

    left, right = (grid["two", model].pictures[0].sha256 for model in ("a", "b"))
    Box(session.store.open(), "Bob").cast(left=left, right=right, answer="right")
    Box(session.store.open(), "Ada", "sharp").cast(left=left, right=right, answer="right")
    assert [each.words for each in checks(session.grid, path)] == ["0.25 (no interval; 2 prompts, 2 voters)"]
    grid.exclude_voter("Bob", reason="asleep")
    path.write_text(f'{path.read_text()}criterion = ""\n{PEOPLE.replace("flux-2.0", "a")}criterion = "sharp"')
    assert [each.words for each in checks(session.grid, path)] == [
        "0.5 (no interval; 2 prompts, 1 voter)",
        "0 (no interval; 1 prompt, 1 voter)",
    ]


def scored(*values):
    rows = (
        Scored(labels={"animal": str(number), "model": "a"}, number=0, sha256="", value=value)
        for number, value in enumerate(values)
    )
    return Scores("s", "1", tuple(rows))


def test_an_interval_counts_prompts_and_not_pictures():
    found = estimate_of_scores(scored(1, 2, 3, 4))
    assert (found.mean, found.prompts) == (2.5, 4)
    assert found.half == pytest.approx(3.182446 * 1.290994 / 2, rel=1e-5)  # t with 3 degrees of freedom
    one_prompt = [Scored(labels={"animal": "fox"}, number=n, sha256="", value=n % 2) for n in range(3)]
    assert estimate_of_scores(Scores("s", "1", tuple(one_prompt))).half == float("inf")


def test_what_has_no_score_is_no_mean_of_the_rest():
    rows = [*scored(1, 2).rows, Scored(labels={}, number=0, sha256="", error=ValueError("broken"))]
    with pytest.raises(RequestError, match="1 of 3 pictures have no score: broken"):
        estimate_of_scores(Scores("s", "1", tuple(rows)))


def test_a_win_rate_counts_ties_as_half_and_each_sample_once():
    def duel(answer, animal, left="a", right="b"):
        label = (("animal", animal),)
        return Duel(left, right, answer, prompt=label, sample=(label, 0))

    votes = [
        *(duel("left", "fox"), duel("tie", "cat"), duel("both bad", "cat"), duel("right", "owl", "b", "a")),
        *(duel("right", "cow"), duel("right", "cow"), duel("left", "cow", "c", "d")),
    ]
    found = estimate_of_wins(votes, "a")
    assert (found.mean, found.prompts) == ((1 + 0.5 + 1 + 0) / 4, 4)


def votes_on(cells, win):
    """Return a vote of each voter on each prompt: "a" wins where `win` says so of the cell."""
    return [
        Duel("a", "b", "left" if win(cell) else "right", (("p", str(p)),), ((), p), str(voter))
        for p, row in enumerate(cells)
        for voter, cell in enumerate(row)
    ]


def looks(rng, prompts):
    """Return how much the pictures of some prompts matter, in logits."""
    return [rng.gauss(0, 0.7) for _ in range(prompts)]


def test_the_interval_of_a_win_rate_holds_for_other_voters_from_5_on():
    rng, covered = random.Random(7), 0
    for _ in range(300):
        tastes = [rng.gauss(0, 0.85) for _ in range(5)]
        chances = [[1 / (1 + math.exp(-taste - look)) for taste in tastes] for look in looks(rng, 16)]
        found = estimate_of_wins(votes_on(chances, lambda chance: rng.random() < chance), "a")
        covered += found.low <= 0.5 <= found.high
    assert covered >= 0.93 * 300  # it was 78 %
    assert str(found).endswith("; 16 prompts, 5 voters)")


def test_the_interval_of_a_win_rate_ends_at_0_and_1():
    found = estimate_of_wins(votes_on([[False, True, True, True], *3 * [4 * [True]]], bool), "a")
    assert str(found) == "0.938 (95 %: 0.564 to 1; 4 prompts, 4 voters)"
    turned = estimate_of_wins(votes_on([[False, True, True, True], *3 * [4 * [True]]], bool), "b")
    assert (turned.low, turned.high) == (0, pytest.approx(1 - found.low))


def test_the_interval_of_a_win_rate_is_at_least_that_of_many_more_independent_votes():
    on_each_half = estimate_of_wins(votes_on(8 * [[True, True, False, False]], bool), "a")
    # Wilson's, of 80 votes in place of 32.
    z, votes = 1.959964, 80
    half = z / (1 + z**2 / votes) * math.sqrt(0.25 / votes + z**2 / 4 / votes**2)
    assert (on_each_half.mean, on_each_half.half) == (0.5, pytest.approx(half, rel=1e-5))


@pytest.mark.parametrize("votes", [16, 17, 24, 40])
def test_the_interval_of_one_vote_on_each_prompt_is_that_of_wilson(votes):
    """The chance that it holds the true share is a sum over the wins. With Student's t it was 98.7 %."""
    found = [
        estimate_of_wins(votes_on([[p < won] for p in range(votes)], bool), "a") for won in range(1, votes)
    ]
    for share in (0.5, 0.6, 0.63, 0.655, 0.67):
        chances = [
            math.comb(votes, won) * share**won * (1 - share) ** (votes - won) for won in range(1, votes)
        ]
        held = sum(
            chance for chance, each in zip(chances, found, strict=True) if each.low <= share <= each.high
        )
        assert 0.92 <= held / sum(chances) <= 0.981


@pytest.mark.parametrize(("prompts", "voters"), [(15, 1), (5, 3), (4, 3)])
def test_fewer_than_16_votes_bear_no_interval_of_a_win_rate(prompts, voters):
    few = estimate_of_wins(votes_on([[p % 2 == 0] * voters for p in range(prompts)], bool), "a")
    assert not few.has_interval
    more = estimate_of_wins(votes_on([[p % 2 == 0] * (voters + 3) for p in range(prompts + 1)], bool), "a")
    assert more.has_interval


@pytest.mark.parametrize("share", [0.5, 0.67])
@pytest.mark.parametrize(("prompts", "voters"), [(16, 1), (8, 2), (12, 2)])
def test_the_interval_of_a_win_rate_of_few_votes_covers_92_of_100_studies(prompts, voters, share):
    """That of a mean covered 89 to 92 % of 16 votes by one voter."""
    rng = random.Random(11)
    found = [
        estimate_of_wins(votes_on([[0] * voters] * prompts, lambda _: rng.random() < share), "a")
        for _ in range(600)
    ]
    covered = [each.low <= share <= each.high for each in found if each.has_interval]
    assert 0.92 <= sum(covered) / len(covered) <= 0.99


@pytest.mark.parametrize("voters", [1, 3, 5, 12])
@pytest.mark.parametrize("prompts", [1, 3, 4, 9])
def test_votes_that_are_all_alike_have_no_interval(prompts, voters):
    found = estimate_of_wins(votes_on(prompts * [voters * [True]], bool), "a")
    assert (found.mean, found.has_interval) == (1, False)
    assert "(no interval" in str(found)


def test_a_check_of_values_that_are_all_alike_is_not_sure(painted, study):
    session = Session(environ={}, folder=painted)
    session.grid(
        "{{count}} red foxes in the snow", model=["flux-2.0", "gpt-image-2"], count=["two", "five"]
    ).run().score("alike", lambda _: 1, version="1")
    alike = '[[check]]\nscore = "alike"\nversion = "1"\nat_least = 1\n'
    both = checks(session.grid, study(alike, f"{alike}sure = true"))
    assert [each.words for each in both] == 2 * ["1 (no interval: all alike; 2 prompts)"]
    assert [each.passed for each in both] == [True, False]


def test_a_check_that_must_be_sure_needs_the_whole_interval(in_ci, study):
    [found] = checks(in_ci.grid, study(BRIGHT))
    assert found.estimate.samples == 4, "enough for an interval of these two prompts"
    between = BRIGHT.replace("at_least = 0", f"at_least = {found.estimate.mean - found.estimate.half / 2}")
    assert [each.passed for each in checks(in_ci.grid, study(between, f"{between}sure = true"))] == [
        True,
        False,
    ]
    assert checks(in_ci.grid, study(f"{BRIGHT}sure = true"))[0].passed


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("prompt = ", "cannot be read"),
        (STUDY, "no prompt, or no checks"),
        (BRIGHT, "no prompt, or no checks"),
        ("check = 3\nprompt = 'a'", "no prompt, or no checks"),
        ("axis = 1" + STUDY + BRIGHT, "No part of a study 'axis'"),
        (STUDY + "[[check]]\nat_least = 1", "A check measures nothing"),
        (STUDY + "[[check]]\nscore = 'x'", "A check has no threshold"),
        (STUDY + "[[check]]\nscore = 'x'\nat_least = 1\nwhere = 3", "The where of a check is no table"),
        (STUDY.replace("prompt", "prompt = 3 #") + BRIGHT, "no prompt, or no checks"),
        (STUDY + "[[check]]\nscore = 'x'\nat_least = 'y'", "A threshold is"),
        (STUDY + "[[check]]\nscore = 'x'\nat_leest = 1", "No part of a check of a score 'at_leest'"),
        (STUDY + "[[check]]\njudge = 'x'\nat_least = 1", "names no model"),
        ("axes = 1" + STUDY.replace("axes", "n = 1 #") + BRIGHT, "The axes of the study are no table"),
        *(
            (STUDY.replace("{ count", f"{{ {axis}, count") + BRIGHT, "is no axis here")
            for axis in (
                *('model = ["a"]', 'template = ["x"]', "values = 3", 'replace = "x"', "pairs = 1"),
                *('sample = "x"', "n = 3", "allow_unknown_model = true"),
            )
        ),
        ("n = 99999999999999999999999" + STUDY + BRIGHT, "n is 9{23}"),
        ("n = [1]" + STUDY + BRIGHT, "n is"),
        ("size = 3" + STUDY + BRIGHT, "^The axis size is 3.\nGive its values in a list.$"),
        ("take = []" + STUDY + BRIGHT, "^The axis take has no values.\nGive at least one, or remove it.$"),
        (STUDY.replace("prompt", "prompt = [1] #") + BRIGHT, "no prompt, or no checks"),
        (STUDY + "[[check]]\nscore = 3\nat_least = 1", "The score of a check is 3"),
        (STUDY + "[[check]]\njudge = 3\nmodel = 'any'\nat_least = 1", "The judge of a check is 3"),
        (STUDY + PEOPLE + "by = ['x']", "The by of a check is"),
        (STUDY + PEOPLE + "criterion = 1", "The criterion of a check is 1"),
        (STUDY + BRIGHT + "sure = 'no'", "The sure of a check is 'no'"),
        (STUDY + BRIGHT + "where = { self = 'x' }", "self"),
        (STUDY + BRIGHT + "where = { count = [[1]] }", "count"),
    ],
)
def test_a_study_that_says_nothing_sensible_is_refused(in_ci, study, text, words):
    with pytest.raises(RequestError, match=words) as refused:
        checks(in_ci.grid, study(text=text))
    assert refused.value.hint


def test_junit_is_xml_whatever_a_check_is_called(in_ci, study, tmp_path):
    name = "".join(f"\\u{code:04x}" for code in (*range(32), 0x7F, 0x85, 0x2028, 0xFFFE, 0xFFFF))
    found = checks(in_ci.grid, study(BRIGHT, f'name = "a{name}<b>"'))
    [case] = ElementTree.parse(found.to_junit(tmp_path / "report.xml")).getroot().iter("testcase")
    assert case.attrib["name"].startswith("a ")
    assert case.attrib["name"].endswith("<b>")
