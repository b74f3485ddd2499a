"""Studies of pictures whose quality is known: what the report says of them in the end."""

import pytest

known_answer = pytest.importorskip(
    "benchmarks.known_answer", reason="the benchmarks are not in the package, and need POSIX"
)


@pytest.mark.sampled(1)
@pytest.mark.parametrize("kind", ["three knobs", "one knob"])
def test_a_study_finds_which_pictures_are_better_and_that_others_are_alike(kind, tmp_path):
    knobs = known_answer.KNOBS[kind]
    found = known_answer.study(knobs, tmp_path, seed=0)
    assert set(found) == {"votes of people", "a judge", "a score"}
    assert found == dict.fromkeys(found, known_answer.truth_of(knobs))


def test_what_a_report_says_is_read_from_its_words():
    head = "**Ranking by model.**\n\n| rank | model | Elo |\n|---|---|---|\n"
    rows = ["| 1 | low | −10 |", "| 1 | high | +30 |", "| 1 | twin | +25 |"]
    for words, apart in {
        "All are told apart, with 95 % for all pairs together.": {
            ("high", "twin"),
            ("high", "low"),
            ("twin", "low"),
        },
        "Not told apart: low and twin; twin and high. All other pairs are, with 95 %.": {("high", "low")},
        "No two are told apart.": set(),
    }.items():
        report = f"# A study\n\n{head}{chr(10).join(rows)}\n\n{words}\n\nMore."
        assert known_answer.Finding.of_report(report, "Ranking by model.**").apart == apart
