"""What CONTRIBUTING.md and docs/architecture.md name exists, and hooks and editors agree with the checks."""

import ast
import configparser
import os
import platform
import re
import runpy
import tomllib
from pathlib import Path

import pytest
from test_bars import NAMES

pytestmark = pytest.mark.unsampled  # each page is a claim of its own

ROOT = Path(__file__).parent.parent
PAGES = {
    name: (ROOT / name).read_text("utf-8")
    for name in ("README.md", "CONTRIBUTING.md", "docs/architecture.md")
}
NEW = ("CONTRIBUTING.md", "docs/architecture.md")
CHECKED = runpy.run_path(str(ROOT / "tests/__main__.py"))


def test_the_readme_leads_to_both():
    for name in NEW:
        assert f"]({name})" in PAGES["README.md"]


@pytest.mark.parametrize("page", NEW)
def test_a_link_leads_to_a_file_of_the_repository(page):
    links = re.findall(r"\]\(([^)#]+)", PAGES[page])
    assert len(links) >= 1
    assert [link for link in links if not (ROOT / page).parent.joinpath(link).exists()] == []


def place(path):
    """The file that a page means: beside the README, or in the package."""
    found = [each for each in (ROOT / path, ROOT / "beluga_nb" / path) if each.exists()]
    return found[0] if found else None


@pytest.mark.parametrize("page", NEW)
def test_a_file_or_folder_that_is_named_is_there(page):
    words = re.findall(r"`([\w./-]+\.(?:py|md|toml)|[\w.]+/[\w./]*)`", PAGES[page])
    words += re.findall(r"`([\w./-]+\.py): \w", PAGES[page])
    assert len(words) > 10
    assert sorted({word for word in words if "NAME" not in word and not place(word)}) == []


def names_in(path):
    """What a module defines: functions, classes, their methods, and what is assigned."""
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (f"{node.name}.{each.name}" for each in node.body if hasattr(each, "name"))
        for target in getattr(node, "targets", None) or [getattr(node, "target", None)]:
            if isinstance(target, ast.Name):
                yield target.id


@pytest.mark.parametrize("page", NEW)
def test_a_name_that_is_documented_in_a_module_is_there(page):
    named = re.findall(r"`([\w./]+\.py): ([\w.]+)`", PAGES[page])
    assert len(named) >= 3
    missing = [(path, name) for path, name in named if name not in names_in(place(path))]
    assert missing == []


@pytest.mark.parametrize("page", NEW)
def test_a_test_that_is_named_exists(page):
    assert set(re.findall(r"`(test_\w+)`", PAGES[page])) <= NAMES


def test_each_of_the_ten_nevers_names_the_test_that_holds_it():
    section = PAGES["docs/architecture.md"].partition("## What may never happen")[2]
    rows = re.findall(r"^\| (\d+) \| .+ \| (.+) \|$", section, re.MULTILINE)
    assert [number for number, _ in rows] == [str(number) for number in range(1, 11)]
    assert all(re.search("`test_", tests) for _, tests in rows)


def test_the_way_of_a_prompt_names_the_wrappers_in_the_order_of_the_pipeline():
    way = re.findall(r"`engines/\w+\.py: ([A-Z]\w+)`", PAGES["docs/architecture.md"])
    drawn = ast.get_docstring(ast.parse((ROOT / "beluga_nb/engines/pipeline.py").read_text("utf-8")))
    places = [drawn.index(f" {name} ") if f" {name} " in drawn else drawn.index(name) for name in way]
    assert places == sorted(places)


# --- the checks


def test_the_one_check_and_the_quick_one_are_written_as_they_are_run():
    [one] = re.findall(r"^python3 -m venv .+$", PAGES["CONTRIBUTING.md"], re.MULTILINE)
    assert one in PAGES["README.md"]
    assert ".venv/bin/python -m tests quick\n" in PAGES["CONTRIBUTING.md"]
    assert {"", "quick", "whole", "environments"} == CHECKED["KINDS"].keys()


def test_the_quick_check_is_a_part_of_the_whole_one_and_its_tests_are_there():
    quick, whole = CHECKED["QUICK"], CHECKED["CHECKS"]
    assert {name: whole[name] for name in quick if name != "tests"} == {
        name: command for name, command in quick.items() if name != "tests"
    }
    for name in CHECKED["QUICK_TESTS"]:
        path, _, test = name.partition("::")
        assert (ROOT / path).exists(), name
        assert not test or f"def {test}(" in (ROOT / path).read_text("utf-8"), name


def checked_with(monkeypatch, checks):
    """Run some commands in the place of the checks, and return the status of all of them."""
    main = CHECKED["main"]
    monkeypatch.setitem(main.__globals__, "KINDS", {"": checks})
    monkeypatch.setitem(main.__globals__, "packages_are_missing", lambda: False)
    return main([])


@pytest.mark.parametrize("failing", ["formatting", "lint", "tests"])
def test_a_check_that_fails_ends_the_checks_after_those_that_run_beside_it(failing, monkeypatch, capfd):
    checks = dict.fromkeys(["formatting", "lint", "tests", "promises"], ("platform",))
    assert checked_with(monkeypatch, checks | {failing: ("no_module_of_this_name",)}) == 1
    headlines = re.findall(r"^== (\w+): (passed|FAILED)", capfd.readouterr().out, re.MULTILINE)
    run = ["formatting", "lint", "tests"] if failing == "tests" else ["formatting", "lint"]
    assert dict(headlines) == {name: "FAILED" if name == failing else "passed" for name in run}


FAILING = """
from pathlib import Path
import pytest

@pytest.mark.parametrize("sign", ["::", "] [", "a/b.py"])
def test_it_fails_so_often(sign):
    tries = Path(__file__).with_name(sign.replace("/", "-"))
    tries.write_text(tries.read_text() + "x" if tries.exists() else "x")
    assert len(tries.read_text()) > {fails}

@pytest.mark.parametrize("number", range({others}))
def test_others_fail_too(number):
    assert not number
"""


@pytest.mark.parametrize(("fails", "others", "status"), [(1, 1, 0), (2, 1, 1), (1, 9, 1)])
def test_a_few_tests_that_fail_run_again_by_themselves(fails, others, status, monkeypatch, capfd, tmp_path):
    suite = tmp_path / "test_failing.py"
    suite.write_text(FAILING.format(fails=fails, others=others))
    options = ("-q", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", "-c", os.devnull)
    command = ("pytest", *CHECKED["LEAN"], *options, *CHECKED["noting"]("tests"), str(suite))
    monkeypatch.chdir(tmp_path)
    assert checked_with(monkeypatch, {"tests": command}) == status
    headlines = re.findall(r"^== (.+): (passed|FAILED)", capfd.readouterr().out, re.MULTILINE)
    again = [] if others == 9 else [("tests again", "FAILED" if status else "passed")]
    assert headlines == [("tests", "FAILED"), *again]


def test_the_notebooks_are_checked_after_other_environments_and_beside_the_tests(monkeypatch, capfd):
    names = [name for name in CHECKED["CHECKS"] if name.startswith(("tests", "notebooks"))]
    assert [name for name in names if name.startswith("notebooks")] == names[2:]
    assert CHECKED["steps"](dict.fromkeys([*names, "keys"])) == [[["tests"], names[1:]], [["keys"]]]
    checks = dict.fromkeys(names, ("platform",)) | {names[1]: ("no_module_of_this_name",)}
    assert checked_with(monkeypatch, {**checks, "keys": ("platform",)}) == 1
    headlines = re.findall(r"^== (.+): (passed|FAILED)", capfd.readouterr().out, re.MULTILINE)
    assert dict(headlines) == {name: "FAILED" if name == names[1] else "passed" for name in names}


def test_what_a_check_beside_another_prints_is_shown(monkeypatch, capfd):
    checks = {"formatting": ("platform",), "lint": ("platform", "--terse")}
    assert checked_with(monkeypatch, checks) == 0
    printed = capfd.readouterr().out
    assert platform.platform(terse=True) in printed.partition("== lint")[2]


def test_the_hooks_run_tools_of_the_checks_from_the_environment_at_hand():
    text = (ROOT / ".pre-commit-config.yaml").read_text("utf-8")
    assert set(re.findall(r"repo: (\S+)", text)) == {"local"}
    assert set(re.findall(r"language: (\S+)", text)) == {"system"}
    commands = {tuple(entry.split()) for entry in re.findall(r"entry: python -m (.+)", text)}
    assert commands == {CHECKED["CHECKS"][name] for name in ("formatting", "lint", "types")}


def test_editors_break_lines_where_the_formatter_does():
    config = configparser.ConfigParser()
    config.read_string("[DEFAULT]\n" + (ROOT / ".editorconfig").read_text("utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert config["*"]["max_line_length"] == str(project["tool"]["ruff"]["line-length"])
