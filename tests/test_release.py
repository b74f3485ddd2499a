"""What is released: it builds, is described, installs where nothing else is, and its floors are real."""

import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from labextension import BUILT

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


def test_what_is_built_is_what_the_package_index_takes(built):
    words = ["-m", "twine", "check", "--strict", *map(str, built.iterdir())]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("PASSED") == 2


def test_the_licence_is_in_both_and_the_tests_are_in_the_sdist(built):
    [wheel], [sdist] = built.glob("*.whl"), built.glob("*.tar.gz")
    assert any(name.endswith("licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())
    with tarfile.open(sdist) as archive:
        names = [name.partition("/")[2] for name in archive.getnames()]
    assert {"LICENSE", "CHANGELOG.md", "CITATION.cff", "README.md", "tests/test_law.py"} <= set(names)
    assert [name for name in names if name.startswith((".git/", "benchmarks/"))] == []


def test_the_wheel_holds_every_template(built):
    [wheel] = built.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    package = ROOT / "beluga_nb"
    templates = [path.relative_to(ROOT).as_posix() for path in package.glob("*/templates/*")]
    assert {"beluga_nb/show/templates/page.js", "beluga_nb/widgets/templates/panel.css"} <= set(templates)
    assert set(templates) <= set(names)


@pytest.fixture(scope="module")
def editable(tmp_path_factory):
    """What `pip install -e .` installs."""
    folder = tmp_path_factory.mktemp("editable")
    words = ["-c", "import sys; from hatchling.build import build_editable; build_editable(sys.argv[1])"]
    subprocess.run([sys.executable, *words, str(folder)], cwd=ROOT, check=True, timeout=120)
    return folder


@pytest.mark.parametrize("kind", ["built", "editable"])
def test_an_installation_has_the_extension_of_jupyterlab_where_it_looks_for_it(kind, request):
    [wheel] = request.getfixturevalue(kind).glob("*.whl")
    folder = f"beluga_nb-{PROJECT['version']}.data/data/share/jupyter/labextensions/beluga-nb"
    with zipfile.ZipFile(wheel) as archive:
        names = {each.removeprefix(f"{folder}/") for each in archive.namelist() if each.startswith(folder)}
        package = json.loads(archive.read(f"{folder}/package.json"))
        assert json.loads(archive.read(f"{folder}/install.json"))["packageName"] == PROJECT["name"]
    files = [path.relative_to(BUILT).as_posix() for path in BUILT.rglob("*.js")]
    assert names == {"install.json", "package.json", *files}
    assert package["jupyterlab"]["_build"]["load"] in files


def test_the_version_is_the_same_everywhere():
    version = PROJECT["version"]
    assert re.search(rf"^## {re.escape(version)}\b", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
    assert json.loads((BUILT / "package.json").read_text("utf-8"))["version"] == version


def test_the_system_that_is_claimed_is_the_one_that_everything_was_run_on():
    """And Windows and macOS have a job each, which says so once it has run."""
    claimed = [each for each in PROJECT["classifiers"] if each.startswith("Operating System")]
    assert claimed == ["Operating System :: POSIX :: Linux"]
    jobs = (ROOT / ".github/workflows/platforms.yml").read_text("utf-8")
    assert re.search(r"system: \[windows-\d+, macos-\d+\]", jobs)
    assert "| Windows, macOS | types alone" in (ROOT / "README.md").read_text("utf-8")


def test_every_python_that_ci_tries_is_a_classifier():
    tried = re.findall(r'"(3\.\d+)"', (ROOT / ".github/workflows/check.yml").read_text("utf-8"))
    named = [each.rpartition(" ")[2] for each in PROJECT["classifiers"] if ":: 3." in each]
    assert tried == named


SMOKE = """
import beluga_nb
whale = beluga_nb.generate("a beluga whale", size="16:9")
assert whale[0].size == (1536, 864), whale[0].size
assert beluga_nb.generate("a beluga whale", size="16:9", mode="replay") == whale
whale.save("whale.png")
assert beluga_nb.open("whale.png").recipe.request.prompt == "a beluga whale"
print(beluga_nb.__file__)
"""

NOTEBOOK = """
%load_ext beluga_nb
%beluga -o fox a fox in the snow
print(len(fox), fox.recipe.procedural)
"""


@pytest.mark.environment
def test_the_wheel_works_where_nothing_else_is(with_wheel, tmp_path):
    empty = with_wheel.copy(tmp_path)
    work = tmp_path / "work"
    work.mkdir()
    assert str(tmp_path / "env") in empty.run("-W", "error", "-c", SMOKE, cwd=work)
    (work / "cell.ipy").write_text(NOTEBOOK)
    assert "1 True" in empty.run("-m", "IPython", "--no-banner", "cell.ipy", cwd=work, IPYTHONDIR=str(work))
    assert "beluga_nb" in empty.run("-m", "beluga_nb", "--help", cwd=work)
    assert "every recording is whole" not in empty.run("-m", "beluga_nb", "verify", cwd=work)
    empty.run("-m", "pip", "check", cwd=work)


TRIED = [
    requirement
    for group in (PROJECT["dependencies"], *PROJECT["optional-dependencies"].values())
    for requirement in group
    if group is not PROJECT["optional-dependencies"]["test"] and not requirement.startswith("beluga_nb[")
]
"""What we ask for, but for what only tests use."""


def oldest():
    """The oldest of everything, as `tests/test_environments.py` tries it on every change."""
    text = (ROOT / "tests/environments/oldest.txt").read_text()
    return text.splitlines()[0], dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


def pins_of_metrics():
    """What the learned metrics are tried with: it is too large for every check."""
    text = (ROOT / "tests/environments/metrics.txt").read_text()
    return dict(re.findall(r"^([\w.-]+)==([\w.]+)", text, re.MULTILINE))


@pytest.mark.parametrize("requirement", TRIED)
def test_s60_every_requirement_of_users_has_a_floor_that_is_tried(requirement):
    words, _, marker = requirement.partition(";")
    name, floor = re.match(r"([\w-]+)>=([\d.]+)", words).groups()
    if "python_version >= " not in marker:  # what a later Python needs is not in the lowest one's list
        pins = pins_of_metrics() | oldest()[1]
        assert re.fullmatch(rf"{re.escape(floor)}(\.0)*", pins[name.replace("_", "-")])


def test_s60_the_floors_are_tried_with_the_lowest_python():
    assert oldest()[0] == f"# Python {PROJECT['requires-python'].removeprefix('>=')}"
