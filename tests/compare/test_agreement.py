"""Votes as data: agreement of voters, sides, cycles and repeated pairs, on numbers that are known."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from beluga_nb.compare.agreement import Share, Votes, alpha, cohen_kappa, fleiss_kappa
from beluga_nb.compare.vote import Duel
from beluga_nb.store.votes import BOTH_BAD, LEFT, RIGHT, TIE


def vote(left, right, answer=LEFT, *, voter="Ada", number=0, animal="fox", time=0, **more):
    label = (("animal", animal),)
    return Duel(left, right, answer, prompt=label, sample=(label, number), voter=voter, time=time, **more)


def of(*rows):
    return Votes(by="model", rows=rows)


def test_alpha_is_that_of_the_published_example():
    """Krippendorff, "Computing Krippendorff's Alpha-Reliability" (2011): 0.743 for nominal values."""
    observers = ("123321412...", "1233224125.3", ".3332342251.", "123324412 51.".replace(" ", ""))
    units = [[values[number] for values in observers if values[number] != "."] for number in range(12)]
    assert alpha(units) == pytest.approx(0.743, abs=5e-4)


@pytest.mark.parametrize(
    ("units", "expected"),
    [
        ([["a", "a"], ["b", "b"]], 1.0),
        # Four values, two of each: by chance 2/3 of the pairs differ, and here all do.
        ([["a", "b"], ["b", "a"]], 1 - 1 / (2 / 3)),
        ([["a", "a"], ["a", "a"]], None),
        ([["a"], ["b"]], None),
        ([], None),
    ],
)
def test_alpha_by_hand(units, expected):
    assert alpha(units) == (None if expected is None else pytest.approx(expected))


RATERS = (
    "abtaxbbxbabtaxbbtaaaabbx",
    "taaaaxaxbtabbbbbxaaataaa",
    "bxtabbaxbttbbabbxatbabba",
    "abaaaaaxbaxaabbxbbbbtbaa",
)
"""Four raters of 24 units.

The numbers below are those of krippendorff 0.9.0, statsmodels 0.15.0 and scikit-learn 1.9.1.
"""


def test_the_coefficients_are_those_of_other_libraries():
    units = list(zip(*RATERS, strict=True))
    assert alpha(units) == pytest.approx(0.14982101495051592, abs=1e-12)
    assert fleiss_kappa(units) == pytest.approx(0.14087176247631092, abs=1e-12)
    kappas = [cohen_kappa(list(zip(RATERS[0], other, strict=True))) for other in RATERS[1:]]
    assert kappas == pytest.approx(
        [0.051851851851851816, 0.22962962962962963, 0.08163265306122447], abs=1e-12
    )


def test_the_kappas_are_those_of_worked_examples():
    """Those of the Wikipedia articles on both: 0.40 for two raters of 50 units, 0.210 for 14 of 10."""
    counts = {("yes", "yes"): 20, ("yes", "no"): 5, ("no", "yes"): 10, ("no", "no"): 15}
    assert cohen_kappa([pair for pair, count in counts.items() for _ in range(count)]) == pytest.approx(0.4)
    table = ["0000e", "02642", "00356", "03920", "22811", "77000", "32630", "25322", "65210", "02237"]
    units = [[place for place, count in enumerate(row) for _ in range(int(count, 16))] for row in table]
    assert fleiss_kappa(units) == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize(
    ("units", "expected"), [([], None), ([["a"]], None), ([["a", "a"]], None), ([["a", "b"], ["b", "a"]], -1)]
)
def test_kappas_by_hand(units, expected):
    assert fleiss_kappa(units) == expected
    assert cohen_kappa([tuple(unit) for unit in units if len(unit) == 2]) == expected


def test_kappas_of_votes_do_not_depend_on_the_names():
    one_sided = of(*(vote("a", "b", voter=voter, animal=animal) for voter in "xyz" for animal in "123"))
    assert one_sided.fleiss_kappa == 1
    assert one_sided.cohen_kappa == {("x", "y"): 1, ("x", "z"): 1, ("y", "z"): 1}
    # A pair that one of them did not judge, or under another criterion, is none of all three.
    more = of(
        *one_sided.rows, vote("a", "b", voter="x", animal="4"), vote("b", "a", voter="y", criterion="fits")
    )
    assert (more.fleiss_kappa, more.agreement) == (1, 1)
    assert of().fleiss_kappa is None
    assert of().cohen_kappa == {}


def test_votes_of_an_excluded_voter_are_shown_and_not_counted():
    rows = [vote("a", "b", voter=voter, animal=animal) for voter in "xy" for animal in "123"]
    out = [replace(row, voter="z", answer=RIGHT, excluded="always right") for row in rows[:3]]
    found = of(*rows, *out)
    assert (len(found), len(found.counted)) == (9, 6)
    assert (found.agreement, found.fleiss_kappa, found.left) == (1, 1, Share(count=6, of=6))
    assert set(found.cohen_kappa) == {("x", "y")}
    assert found.by_voter["z"].left == Share(count=0, of=3)
    text = found._repr_mimebundle_()["text/plain"]
    assert text.splitlines()[0].endswith("  excluded")
    assert text.splitlines()[3].endswith("  always right")


def test_values_that_are_turned_are_equally_probable_by_chance():
    assert alpha([["a", "a"], ["a", "a"]], turned={"a": "b", "b": "a"}) == 1


def test_voters_who_agree_do_so_whatever_the_sides_and_the_names():
    alike = of(
        vote("a", "b"),
        vote("b", "a", RIGHT, voter="Bob"),
        vote("b", "a", animal="cat"),
        vote("a", "b", RIGHT, animal="cat", voter="Bob"),
    )
    assert alike.agreement == 1
    opposed = of(
        *(vote("a", "b", animal=animal) for animal in ("fox", "cat")),
        *(vote("b", "a", animal=animal, voter="Bob") for animal in ("fox", "cat")),
    )
    # Four values, by chance half of them each: 8 of 16 pairs differ by chance, and here all do.
    assert opposed.agreement == pytest.approx(1 - 3 * 4 / 8)
    one_sided = of(*(vote("a", "b", voter=voter, animal=animal) for voter in "xyz" for animal in "123"))
    renamed = of(*(replace(row, left="z") for row in one_sided))
    assert one_sided.agreement == renamed.agreement == 1


def test_without_a_pair_that_two_judged_there_is_no_agreement():
    assert of().agreement is None
    assert of(vote("a", "b"), vote("a", "b", voter="Bob", animal="cat")).agreement is None


def test_the_last_vote_on_a_pair_is_what_a_voter_thinks():
    changed = of(
        vote("a", "b", time=1), vote("a", "b", RIGHT, time=2), vote("a", "b", RIGHT, voter="Bob", time=3)
    )
    assert changed.agreement == 1
    assert changed.repeated == Share(count=0, of=1)
    assert of(vote("a", "b"), vote("b", "a", RIGHT)).repeated == Share(count=1, of=1)
    assert of(vote("a", "b"), vote("a", "b", number=1)).repeated == Share(count=0, of=0)


def test_the_share_of_the_left_is_of_votes_that_prefer_one():
    """The interval of Wilson for 8 of 10 is 0.490 to 0.943 (Newcombe, 1998, gives the formula)."""
    votes = of(
        *[vote("a", "b")] * 8, *[vote("a", "b", RIGHT)] * 2, vote("a", "b", TIE), vote("a", "b", BOTH_BAD)
    )
    assert votes.left == Share(count=8, of=10)
    assert votes.left.interval == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert of().left.interval is None


def test_a_cycle_of_one_voter_on_one_sample_is_intransitive():
    cycle = (vote("a", "b"), vote("b", "c"), vote("a", "c", RIGHT))
    order = (vote("a", "b"), vote("b", "c"), vote("a", "c"))
    assert of(*cycle).intransitive == Share(count=1, of=1)
    assert of(*order).intransitive == Share(count=0, of=1)
    assert of(*cycle[:2]).intransitive == Share(count=0, of=0)
    assert of(*cycle[:2], vote("a", "c", TIE)).intransitive == Share(count=0, of=0)
    split = (*cycle[:2], replace(cycle[2], voter="Bob"))
    assert of(*split).intransitive.of == 0
    assert of(*cycle, *(replace(row, voter="Bob") for row in order)).intransitive == Share(count=1, of=2)


def test_a_frame_has_a_line_for_each_vote():
    pandas = pytest.importorskip("pandas")
    known = {"criterion": "fits", "seconds": 1.5, "excluded": "asleep", "pictures": ("1" * 64, "2" * 64)}
    frame = of(vote("a", "b", RIGHT, time=1_795_524_127, **known), vote("b", "a", TIE, number=1)).to_frame()
    assert isinstance(frame, pandas.DataFrame)
    assert frame.iloc[0].to_dict() == {
        "time": datetime(2026, 11, 24, 12, 42, 7, tzinfo=UTC),
        "voter": "Ada",
        "common": "fox",
        "number": 0,
        "left": "a",
        "right": "b",
        "answer": "right",
        "preferred": "b",
        "criterion": "fits",
        "seconds": 1.5,
        "excluded": "asleep",
        "left_sha256": "1" * 64,
        "right_sha256": "2" * 64,
    }
    assert frame["preferred"].tolist() == ["b", ""]


def test_votes_are_shown_by_voter_with_what_they_are_worth():
    shown = of(
        vote("a", "b"), vote("b", "c"), vote("a", "c", RIGHT), vote("a", "b", voter=""), vote("a", "b", TIE)
    )._repr_mimebundle_()["text/plain"]
    assert shown.splitlines() == [
        "voter      votes  left  right  tie  both bad",
        "(no name)  1      1     0      0    0",
        "Ada        4      2     1      1    0",
        "Agreement of voters: alpha = 0.20. The left picture was preferred in 3 of 4"
        " (95 % interval 30% to 95%). Answered alike again: 0 of 1 pairs.",
    ]
    assert (
        of()
        ._repr_mimebundle_()["text/plain"]
        .endswith("No votes yet: vote() asks you, and ballot() serves a page for others.")
    )


def test_a_voter_is_text_from_outside():
    html = of(vote("a", "b", voter="<script>alert(1)</script>"))._repr_mimebundle_()["text/html"]
    assert "<script" not in html


def test_of_many_voters_the_first_are_listed_and_the_others_are_counted():
    rows = tuple(Duel("a", "b", LEFT, voter=f"voter {number:03}") for number in range(203))
    shown = Votes(by="model", rows=rows)._repr_mimebundle_()
    assert "voter 199" in shown["text/plain"]
    assert "voter 200" not in shown["text/plain"]
    assert "… and 3 more voters." in shown["text/plain"]
