"""Where people are: the packages of hosted notebooks, the oldest and the newest that we ask for.

`python -m tests environments` tries all of `tests/environments`; every check the oldest, with some of the
tests. The whole check adds Binder's, where `test_binder.py` looks every time. Each is installed as its file
says, then the README's cell is run in it, as a person runs it who has used the notebook before; then the
tests run there of what is done in a notebook.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from installed import FOLDER, Environment, pinned
from kernels import Kernel

from beluga_nb.config.versions import BUGS
from beluga_nb.learned import CLIPScore, Features
from beluga_nb.session.session import Session
from tests.badges import NOTEBOOKS, WITH_VOTES, notebook_with_badges

ROOT = Path(__file__).parent.parent
MARKS = {
    "oldest": [pytest.mark.environment],
    "binder": [pytest.mark.environment, pytest.mark.whole],
}
NAMES = [
    pytest.param(path.stem, marks=MARKS.get(path.stem, [pytest.mark.everywhere]))
    for path in sorted(FOLDER.glob("*.txt"))
    if path.stem not in {"diffusers", "metrics", "nbclassic"}  # these have tests of their own
]

SUITES = ("magics", "widgets", "show", "compare", "store", "session")
EVERY_TIME = (
    *("magics/test_magic.py", "magics/test_completion.py", "widgets/test_view.py"),
    "session/test_session.py",
)
"""Those of them that every check runs: they use IPython, ipywidgets, httpx, Starlette and Pillow most."""

CORE = ["wire", "result", "catalog", "engines", "retrying", "runtime", "bridges", "metadata"]
AT_THE_FLOOR = [*(f"test_{each}.py" for each in CORE), "api", "server", "painter", "config"]
"""What is tried beside it with the lowest version of everything that we ask for."""

TOOLS = ("pytest", "hypothesis", "jsonschema", "uvicorn", "nbformat", "nbclient", "nbconvert", "pexpect")
REQUIRED = {"binder": ROOT / "binder/requirements.txt"}
"""What is installed where more than the package itself is."""

[CELL] = re.findall(r"^```\n(%pip install .*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)

USED = """
import importlib, importlib.metadata, importlib.util, sys
modules = "IPython ipywidgets traitlets PIL.ImageFont numpy pandas httpx starlette.applications gradio"
for name in modules.split():
    if importlib.util.find_spec(name.partition(".")[0]):
        importlib.import_module(name)
"""
"""What a person may have done before: with all of this in memory, the cell installs."""

AS_ON_DISK = """
for name, module in {"pillow": "PIL", "ipywidgets": "ipywidgets", "numpy": "numpy", "httpx": "httpx"}.items():
    assert sys.modules[module].__version__ == importlib.metadata.version(name), name
print(len(whale), whale[0].size, whale.recipe.procedural)
"""


BUGS_THERE = "from beluga_nb.config.versions import known_bugs; print(*known_bugs())"


@pytest.fixture(scope="module", params=NAMES)
def name(request):
    return request.param


@pytest.fixture(scope="module")
def environment(name, tmp_path_factory):
    """What the file says, installed."""
    return pinned(name, tmp_path_factory.mktemp(name))


def frozen(environment, folder):
    """What is installed, by name."""
    listed = environment.run("-m", "pip", "list", "--format=json", "--disable-pip-version-check", cwd=folder)
    return {each["name"].lower(): each["version"] for each in json.loads(listed.splitlines()[0])}


def shelf(environment, wheel, folder):
    """A folder of the wheels that pip asks for when it installs ours: an index without other names in it."""
    report = folder / "report.json"
    words = ["-m", "pip", "install", "--dry-run", "-q", "--report", str(report), str(wheel)]
    environment.run(*words, cwd=folder)
    asked = [each["metadata"] for each in json.loads(report.read_text())["install"]]
    others = [f"{each['name']}=={each['version']}" for each in asked if each["name"] != "beluga_nb"]
    found = folder / "shelf"
    found.mkdir()
    shutil.copy2(wheel, found)
    if others:
        environment.run("-m", "pip", "download", "-q", "--no-deps", "-d", str(found), *others, cwd=folder)
    return found


def the_cell_twice(work, python, environ):
    """Run the README's cell, and again without its first line; return that, and whether all is as on disk."""
    with Kernel(work, python=python, **environ) as kernel:
        assert kernel.run(USED).status == "ok"
        shown = kernel.run(CELL)
        assert shown.status == "ok", shown
        assert "Successfully installed" in shown.stdout, shown
        assert "restart" not in shown.stdout.replace("Note: you may need to restart the kernel", "")
        again = kernel.run(CELL.partition("\n")[2])  # without a kernel that died
        return again, kernel.run("import importlib.metadata, sys\n" + AS_ON_DISK)


def test_the_readmes_cell_runs_in_a_kernel_that_was_used_before_and_replaces_nothing(
    environment, wheel, tmp_path
):
    before, checked = frozen(environment, tmp_path), environment.run("-m", "pip", "check", cwd=tmp_path)
    index = {
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(shelf(environment, wheel, tmp_path)),
        "PYTHONPATH": "",
    }
    work = tmp_path / "work"
    work.mkdir()
    loses_cells = before["ipykernel"].startswith(("7.0.", "7.1.", "7.2.", "7.3."))
    for left in (2, 1, 0) if loses_cells else (0,):
        try:
            again, shown = the_cell_twice(work, environment.python, environment.environ(**index))
            break
        except TimeoutError:  # of a cell that the kernel has lost, as these do by themselves
            if not left:
                raise
            environment.run("-m", "pip", "uninstall", "-q", "-y", "beluga_nb", cwd=ROOT)
    assert (again.status, shown.stdout) == ("ok", "1 (1024, 1024) True\n"), (again, shown)
    after = frozen(environment, tmp_path)
    print(f"\nadded: {sorted(set(after) - set(before))}")
    assert {each: after.get(each) for each in before} == before
    assert environment.run("-m", "pip", "check", cwd=tmp_path) == checked


@pytest.fixture(scope="module")
def colab(environment, wheel, tmp_path_factory):
    """Where notebooks are opened from their badges, without us; and what their first cell can install."""
    environment.run("-m", "pip", "uninstall", "-q", "-y", "beluga_nb", cwd=ROOT)
    return environment, shelf(environment, wheel, tmp_path_factory.mktemp("shelf"))


@pytest.mark.parametrize(
    "name", [pytest.param("colab", marks=pytest.mark.everywhere)], indirect=True, scope="module"
)
@pytest.mark.parametrize(
    "path", [path for path in NOTEBOOKS if path.name not in WITH_VOTES], ids=lambda path: path.stem
)
def test_a_notebook_that_is_opened_from_its_badge_runs_top_to_bottom(colab, path, tmp_path):
    environment, found = colab
    index = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(found), "PYTHONPATH": ""}
    opened = json.loads(notebook_with_badges(path.read_text("utf-8"), "someone/beluga_nb", path.name))
    with Kernel(tmp_path, python=environment.python, **environment.environ(**index)) as kernel:
        for cell in opened["cells"]:
            if cell["cell_type"] == "code":
                shown = kernel.run("".join(cell["source"]))
                failing = "raises-exception" in cell["metadata"].get("tags", ())
                assert shown.status == ("error" if failing else "ok"), (cell["source"], shown.error)


def test_what_is_done_in_a_notebook_works_there(environment, wheel, name, tmp_path):
    constraints = tmp_path / "pins.txt"
    constraints.write_text(re.sub(r" *#.*", "", (FOLDER / f"{name}.txt").read_text()))
    if name in REQUIRED:
        environment.install("-r", str(REQUIRED[name]))
        environment.install(*TOOLS)
    else:
        of_the_server = ["openai"] if name == "oldest" else []
        environment.install("-c", str(constraints), str(wheel), *TOOLS, *of_the_server)
    if "ipykernel" in environment.run("-c", BUGS_THERE, cwd=ROOT):
        environment.install(f"ipykernel>={BUGS['ipykernel'].fixed}")  # as `%beluga status` says there
    tried = (
        [*SUITES, *(AT_THE_FLOOR if name == "oldest" else ())] if "TESTS_WHOLE" in os.environ else EVERY_TIME
    )
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-o", "filterwarnings=", "--tb=short"]
    done = subprocess.run(
        [environment.python, *words, f"--basetemp={tmp_path / 'work'}", *(f"tests/{each}" for each in tried)],
        cwd=ROOT,
        env=environment.environ(TESTS_ENVIRONMENT=name, PYTHONPATH=str(ROOT)),
        capture_output=True,
        text=True,
        timeout=3600,
    )
    print(done.stdout.splitlines()[-1])
    assert done.returncode == 0, done.stdout[-20000:]


TINY = ROOT / "tests/tiny"


@pytest.fixture(scope="module")
def torch(environment, wheel, name):
    """An environment in which torch and what uses it can be imported, and ours with them."""
    environment.install("--no-deps", str(wheel))
    tried = subprocess.run([environment.python, "-c", "import torch"], capture_output=True)
    if tried.returncode:  # this index has only the build for CUDA, which needs CUDA's packages
        environment.install("-c", str(FOLDER / f"{name}.txt"), "torch")
    return environment


def documented_pipeline():
    """The two cells of docs/servers.md that make an engine of a pipeline of diffusers, and use it."""
    docs = (ROOT / "docs/servers.md").read_text("utf-8")
    section = docs.partition("## A diffusers pipeline\n")[2].partition("\n## ")[0]
    return re.findall(r"^```python\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


SEEN = "[(image.size, picture.sha256) for image, picture in zip({0}, {0}.pictures)]"


@pytest.mark.parametrize(
    "name", [pytest.param("diffusers", marks=pytest.mark.everywhere)], indirect=True, scope="module"
)
def test_the_documented_pipeline_draws_and_replays_without_torch(torch, tmp_path, monkeypatch):
    # The first import takes long: nothing is compiled yet.
    torch.run("-c", "import tiny_pipeline", cwd=TINY, PYTHONPATH=str(TINY))
    monkeypatch.setattr("kernels.PATIENCE", 300)  # seconds: torch is slow to import
    engine, use = documented_pipeline()
    loading = "    return DiffusionPipeline.from_pretrained(MODEL)"
    tiny, loads = re.subn(f"^{re.escape(loading)}.*$", "    return tiny_pipeline()", engine, flags=re.M)
    assert loads == 1
    on_a_hub = {"HF_HUB_OFFLINE": "1", "PYTHONPATH": str(TINY)}
    with Kernel(tmp_path, python=torch.python, **torch.environ(**on_a_hub)) as kernel:

        def run(code):
            shown = kernel.run(code)
            assert shown.status == "ok", shown
            return shown

        run("%load_ext beluga_nb")
        run("from tiny_pipeline import tiny_pipeline")
        run(tiny)
        run(use)
        drawn = run(SEEN.format("foxes")).texts
        [(size, first), (_, second)] = ast.literal_eval(drawn[0])
        assert (size, first != second) == ((1536, 864), True)
        recipe = run("(foxes.recipe.engine, foxes.recipe.request.model, foxes.recipe.procedural)").texts
        assert recipe == ["('stabilityai/stable-diffusion-xl-base-1.0', 'sdxl', False)"]

        # The same take and number have the same seed, in pixels or the pipeline's own size too.
        run("small = %beluga -n 2 -s 64x128 a fox\nown = %beluga a fox")
        run("again = %beluga --mode off -n 2 -s 64x128 a fox\nother = %beluga --take b -s 64x128 a fox")
        assert run("small[0].size, own[0].size, again == small").texts == ["((64, 128), (64, 64), True)"]
        assert run("other.pictures[0].sha256 in [each.sha256 for each in small.pictures]").texts == ["False"]

        run("%%beluga compare -s 64x64 --axis animal=fox,hen -o grid\na {{animal}}")
        assert run("grid.counts['done'], grid['fox'][0].size").texts == ["(2, (64, 64))"]

        # What the pipeline does not take, and what is blocked, costs nothing.
        kernel.run("%beluga -s 100x100 a fox").fails_with("APIStatusError: ", "It cost nothing.")
        run("pipeline().safety_checker.concept_embeds_weights.data.fill_(-2);")
        blocked = ("APIStatusError: The safety checker has blocked the picture.", "Change the prompt.")
        kernel.run("%beluga a wolf").fails_with(*blocked)
        status = run("%beluga status").everything
        assert "may have been charged" not in status

    with Kernel(tmp_path, BELUGA_MODE="replay") as kernel:  # here, where the cell stands as it is
        run("%load_ext beluga_nb")
        run(engine)
        run(use)
        assert run(SEEN.format("foxes")).texts == drawn
        run("%%beluga compare -s 64x64 --axis animal=fox,hen -o grid\na {{animal}}")
        assert run("grid.counts['done']").texts == ["2"]
        kernel.run("%beluga a wolf").fails_with(*blocked)
        assert run("import sys; {'torch', 'diffusers'} & set(sys.modules)").texts == ["set()"]


OPENED = """
import mlcroissant
from drawings import drawing
from beluga_nb.compare.vote import pairs
from beluga_nb.session.session import Session
from beluga_nb.store.votes import Box

session = Session(engine=drawing, environ={})
study = session.grid("a {{animal}}", animal=["fox", "cat"], model=["flux-2.0", "gpt-image-2"], n=2).run()
for pair in pairs(study.samples, by="model"):
    sides = {"left": pair.left.sha256, "right": pair.right.sha256}
    Box(session.store.open(), "Ada").cast(**sides, answer="left")
folder = study.to_dataset("data")
exec(DOCUMENTED)
rows = pictures
assert preferences.num_rows == 4
assert rows.num_rows == 8 and set(rows["animal"]) == {"fox", "cat"}, rows
assert [row["image"].size for row in rows] == [(96, 64)] * 8
parquet = datasets.load_dataset("parquet", data_files="data/preferences.parquet")["train"]
assert parquet[:] == preferences[:]
assert set(parquet["chosen"]) <= {f"images/{each}.png" for each in rows["sha256"]}
described = mlcroissant.Dataset(jsonld=str(folder / "croissant.json"))
assert not described.metadata.ctx.issues.errors, described.metadata.ctx.issues.report()
records = list(described.records("pictures"))
assert [each["pictures/sha256"].decode() for each in records] == rows["sha256"][:]
print("opened")
"""


@pytest.mark.everywhere
def test_a_data_set_is_opened_by_datasets_and_described_for_mlcroissant(wheel, tmp_path):
    environment = Environment(tmp_path / "env", str(wheel), "datasets==5.2.0", "mlcroissant==1.1.1")
    [documented] = re.findall(
        r"^```python\n(import datasets\n.*?)^```$",
        (ROOT / "docs/reports.md").read_text("utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    shown = environment.run(
        *("-c", f"DOCUMENTED = {documented!r}{OPENED}"),
        cwd=tmp_path,
        PYTHONPATH=str(ROOT / "tests"),
        HF_HUB_OFFLINE="1",
        HF_HOME=str(tmp_path / "hub"),
    )
    assert "opened\n" in shown


@pytest.mark.parametrize(
    "name", [pytest.param("metrics", marks=pytest.mark.everywhere)], indirect=True, scope="module"
)
def test_learned_metrics_give_the_numbers_of_other_libraries_and_replay_without_torch(torch, tmp_path):
    kept = {"KEPT": str(tmp_path), "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(TINY)}
    words = ["-q", "-p", "without_cuda", "-p", "no:cacheprovider", "--noconftest", "-o", "filterwarnings="]
    words += ["--durations=3", f"--basetemp={tmp_path / 'work'}", "-o", "addopts=", "upstream_metrics.py"]
    print(torch.run("-m", "pytest", *words, cwd=TINY, **kept))
    written = json.loads((tmp_path / "scores.json").read_text())
    print("differences:", json.dumps(written["differences"], indent=1))
    session = Session(engine=never, provider="painted", environ={}, folder=tmp_path, mode="replay")
    gallery = session.gallery(*(session.generate(**asked) for asked in written["asked"]))
    assert list(gallery.score("CLIPScore", CLIPScore("/elsewhere/clip"))) == written["CLIPScore"]
    features = gallery.score("features", Features("/elsewhere/dinov2"))
    assert features.kid(by="model")[0].kid == pytest.approx(written["KID"], rel=1e-9)
    assert len(features.parts) == 16
    assert not {"torch", "transformers", "lpips"} & set(sys.modules)


async def never(request):
    raise AssertionError(f"{request} was asked")
