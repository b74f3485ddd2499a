"""What is shipped and how: few dependencies, a clean wheel, pinned workflows."""

import re
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))

SHIPPED = re.compile(
    r"beluga_nb/([\w/-]+\.(py|toml|html|css|js|tex|bib)|py\.typed)"
    r"|beluga_nb-[\w.]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)"
    r"|beluga_nb-[\w.]+\.data/data/share/jupyter/labextensions/beluga-nb/((install|package)\.json|static/[\w.]+\.js)"
)


LESSONS = re.compile(
    r"beluga_nb/share/(README\.md|docs/\w+\.md|notebooks/(\w[\w-]*\.(ipynb|png)|beluga_store/[\w./-]+))"
)
"""What `python -m beluga_nb lab` copies."""


def test_s62_the_wheel_holds_the_package_and_its_lessons_and_nothing_else(tmp_path):
    [wheel] = WheelBuilder(str(ROOT)).build(directory=str(tmp_path))
    with zipfile.ZipFile(wheel) as archive:
        sizes = {each.filename: each.compress_size for each in archive.infolist()}
    names = [name for name in sizes if not LESSONS.fullmatch(name)]
    assert [name for name in names if not SHIPPED.fullmatch(name)] == []
    assert len(sizes) - len(names) > 250
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "beluga_nb").rglob("*.py")}
    assert sources <= set(names)
    [record] = [name for name in names if name.endswith("/RECORD")]  # a line for each file, of lessons too
    of_lessons = sizes[record] * (len(sizes) - len(names)) / len(sizes)
    assert (
        sum(sizes[name] for name in names) - of_lessons < 1_050_000
    )  # a third of it is figures, with their words in six languages
    assert Path(wheel).stat().st_size < 7_700_000  # mostly the pictures in the lessons


def test_s61_every_dependency_has_a_floor_and_its_reason_in_the_readme():
    table = (
        (ROOT / "README.md").read_text("utf-8").partition("## What it is built on")[2].partition("\n## ")[0]
    )
    for words in PROJECT["dependencies"]:
        name, _, floor = words.partition(">=")
        assert re.search(rf"^\| `{name}` ≥ {re.escape(floor)} \| \w", table, re.M), words
    assert not {"diskcache", "litellm", "vcrpy"} & {words.split(">")[0] for words in PROJECT["dependencies"]}


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_s64_actions_are_pinned_by_hash_and_may_only_read(workflow):
    text = workflow.read_text("utf-8")
    used = re.findall(r"uses: (\S+)", text)
    assert used
    assert [each for each in used if not re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", each)] == []
    assert "\npermissions:\n  contents: read\n" in text
    assert "pull_request_target" not in text


def test_s63_who_publishes_runs_nothing_else():
    publish = (ROOT / ".github/workflows/release.yml").read_text("utf-8").partition("\n  publish:")[2]
    assert "run:" not in publish
    assert "id-token: write" in publish
    assert "secrets." not in "".join(path.read_text("utf-8") for path in WORKFLOWS)


def test_the_check_of_the_workflows_is_the_one_check():
    without = [path.name for path in WORKFLOWS if ".ci/run" not in path.read_text("utf-8")]
    assert without == ["platforms.yml"]  # which has neither apt nor a shell of that kind
