"""The suite of benchmarks in miniature: one row, one round; and what is reported of two results."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

WHY = "the suite is in the repository alone, and needs POSIX"
suite = pytest.importorskip("benchmarks.__main__", reason=WHY)
harness = pytest.importorskip("benchmarks.harness", reason=WHY)
report = pytest.importorskip("benchmarks.report", reason=WHY)
rows = pytest.importorskip("benchmarks.rows", reason=WHY)

PAGE = Path(suite.__file__).with_name("README.md")


def spread(median, ratio=1.0):
    """A figure that hardly varies."""
    return harness.Summary(median, median * 0.99, median * 1.01, ratio)


def line(median, **more):
    """What one subject of a row gave."""
    fields = {"row": "one", "subject": "beluga_nb", "size": 1, "rounds": 3}
    return harness.SubjectResult(**fields | {"measures": {"seconds": spread(median)}} | more)


def test_a_row_of_the_suite_runs_and_writes_its_figures(tmp_path):
    written = tmp_path / "new.json"
    words = ["--quick", "--only", "import", "--json", str(written)]

    run = subprocess.run(
        [sys.executable, "-m", "benchmarks", *words], cwd=PAGE.parents[1], capture_output=True, text=True
    )

    assert run.returncode == 0, run.stderr
    results = json.loads(written.read_text())
    assert results["machine"]["cores"]
    assert results["machine"]["packages"]["beluga_nb"]
    ours = next(each for each in results["lines"] if each["subject"] == "beluga_nb")
    assert (ours["row"], ours["size"], ours["rounds"], ours["problem"]) == ("import", 1, 1, "")
    assert set(ours["measures"]) == {"seconds", "cpu", "mib", "modules"}
    figure = ours["measures"]["seconds"]
    assert 0 < figure["least"] <= figure["median"] <= figure["most"] < 60
    assert figure["ratio"] == 1
    assert "| import in a new interpreter | beluga_nb" in run.stdout


def test_every_row_has_subjects_sizes_and_names_that_exist():
    for name, (module, row) in suite.rows().items():
        for quick in (False, True):
            subjects, sizes = row.chosen(quick=quick)
            assert subjects, name
            assert sizes, name
            assert set(subjects) <= set(row.subjects), (module, name)
        assert set(row.needs) <= set(row.subjects), name


def test_the_page_explains_every_row():
    page = PAGE.read_text("utf-8").partition("## The rows")[2].partition("\n## ")[0]
    assert set(re.findall(r"`([\w-]+)`(?=[^|\n]*\|)", page)) - {"--only"} == set(suite.rows())


def test_a_median_is_of_undisturbed_rounds_and_a_ratio_of_the_same_round():
    every = [
        harness.Round({"floor": {"seconds": 1.0}, "ours": {"seconds": 2.0}}, {}, others=0.0),
        harness.Round({"floor": {"seconds": 2.0}, "ours": {"seconds": 3.0}}, {}, others=0.01),
        harness.Round({"floor": {"seconds": 9.0}, "ours": {"seconds": 99.0}}, {}, others=0.5),
    ]

    found = harness._line("row", "ours", "floor", 1, every)

    assert found.measures["seconds"] == harness.Summary(2.5, 2.0, 3.0, ratio=1.75)
    assert (found.rounds, found.disturbed) == (2, False)


def test_where_every_round_was_disturbed_the_least_disturbed_one_counts_and_is_marked():
    every = [
        harness.Round({"ours": {"seconds": seconds}}, {}, others=others)
        for seconds, others in ((5.0, 0.9), (3.0, 0.3))
    ]

    found = harness._line("row", "ours", "ours", 1, every)

    assert (found.measures["seconds"].median, found.disturbed) == (3.0, True)


def test_what_is_not_installed_or_failed_has_a_line():
    found = harness._line(
        "row", "peer", "floor", 1, [harness.Round({}, {"peer": "not installed"}, others=0.0)]
    )

    assert "| peer | not installed |" in report.table([found], {"row": "a row"})


@pytest.mark.parametrize(("later", "exponent"), [(0.1, 0.0), (1.0, 1.0), (10.0, 2.0)])
def test_how_a_cost_grows_is_the_exponent_of_its_size(later, exponent):
    lines = [line(0.1, size=10), line(later, size=100)]

    assert harness._with_exponents(lines[1], lines).measures["seconds"].exponent == pytest.approx(exponent)
    assert harness._with_exponents(lines[0], lines) == lines[0]


def test_a_subject_that_needs_what_is_not_there_is_missing():
    row = rows.Row("a row", {"peer": lambda _: {}}, needs={"peer": "no_such_module"})

    assert row.missing("peer")
    assert not row.missing("other")


def test_lines_survive_json():
    one = line(0.5, problem="none")

    assert report.from_json(json.loads(json.dumps(report.to_json(one)))) == one


def test_only_what_changed_beyond_the_spread_is_reported():
    old = [line(0.100), line(0.100, subject="floor"), line(0.1, subject="gone")]
    new = [line(0.090), line(0.101, subject="floor"), line(0.1, subject="peer")]

    assert list(report.changes(old, new)) == [
        "one: beluga_nb: seconds 100 ms → 90 ms (0.90 times, 1.00 → 1.00 × first)",
        "one: peer: new",
        "one: gone, 1: not measured",
    ]


def test_of_a_single_round_only_a_large_change_is_reported():
    once = [line(median, rounds=1) for median in (0.100, 0.115, 0.130)]

    assert list(report.changes(once[:1], once[1:2])) == []
    assert len(list(report.changes(once[:1], once[2:]))) == 1


def test_two_results_are_compared_without_a_measurement(tmp_path, capsys):
    for name, median in (("old", 0.2), ("new", 0.1)):
        results = {"date": "2026-11-30", "machine": {}, "lines": [report.to_json(line(median))]}
        (tmp_path / f"{name}.json").write_text(json.dumps(results))

    suite.main(["--results", str(tmp_path / "new.json"), "--compare", str(tmp_path / "old.json")])

    assert "one: beluga_nb: seconds 200 ms → 100 ms (0.50 times" in capsys.readouterr().out


def test_a_job_has_the_address_of_the_service_and_work_is_timed(tmp_path):
    job = rows.Job(size=1, port=8000, folder=tmp_path, prepared=tmp_path)

    assert job.url(200) == "http://127.0.0.1:8000/200/v1"
    assert set(rows.timed(list, repeat=3)) == {"seconds", "cpu"} <= set(rows.UNITS)
