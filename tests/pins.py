"""Pins of the environments that people have: `python tests/pins.py FOLDER` writes `tests/environments/*.txt`.

Each is what its makers publish of a hosted notebook, as far as it concerns us: the kernel, its front end and
what shares a dependency with us. The rest is what pip takes beside those. `FOLDER` holds clones of the
repositories below, and `databricks.txt`, downloaded from the address below. Without FOLDER only the oldest
and the newest of everything, and what NbClassic, a diffusers pipeline or a learned metric needs, are written,
which need no list. A later run reads what is published by then.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

CONCERN = (
    *("ipykernel", "ipython", "ipywidgets", "widgetsnbextension", "jupyterlab-widgets", "jupyter-client"),
    *(
        "jupyter-core",
        "traitlets",
        "tornado",
        "comm",
        "decorator",
        "jedi",
        "matplotlib-inline",
        "nest-asyncio",
    ),
    *("notebook", "nbclassic", "jupyterlab", "jupyter-server", "nbformat", "nbclient", "nbconvert", "pyzmq"),
    *("numpy", "pandas", "scipy", "jinja2", "pillow", "pybase64", "httpx", "anyio", "starlette", "uvicorn"),
    *("fastapi", "gradio", "requests", "papermill"),
)
"""What a list is searched for. Gradio stands for those who limit Pillow and Starlette."""

PIPELINE = (
    "diffusers>=0.42",
    "transformers>=5.24",
    "torch==2.13.0",
    "ipykernel!=7.0.*,!=7.1.*,!=7.2.*,!=7.3.*",
)
"""What runs the diffusers pipeline of docs/servers.md."""

METRICS = (*PROJECT["optional-dependencies"]["metrics"], "torch==2.13.0", "torchmetrics>=1.9")
METRICS += ("pytesseract>=0.3.13", "distributed>=2025.1", "pytest>=8.4")
"""What runs the metrics of beluga_nb/learned.py, and the libraries that must give the same numbers."""

Read = Callable[[str], dict[str, str]]


def frozen(text: str) -> dict[str, str]:
    """What `pip freeze` says."""
    return {
        named(name): version for name, version in re.findall(r"^([\w.-]+)==([\w.]+)$", text, re.MULTILINE)
    }


def conda(text: str) -> dict[str, str]:
    """What conda's list of addresses says: NAME-VERSION-BUILD.conda."""
    found = re.findall(r"/([a-z][\w.-]*)-([\d.]+)-[\w.]+?\.(?:conda|tar\.bz2)", text)
    return {named(name): version for name, version in found}


def named(name: str) -> str:
    """A package's name as pip compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True)
class Source:
    """A file in a repository on GitHub, in its last version before a day."""

    repository: str
    path: str
    read: Read
    before: str = ""
    moved: tuple[str, ...] = ()
    """What its own versions take along, away from those of an earlier source."""

    def versions_in(self, folder: Path) -> tuple[str, dict[str, str]]:
        """Return where and when that stood, and the versions in it."""
        clone = folder / self.repository.partition("/")[2]
        until = [f"--before={self.before}"] if self.before else []
        log = git(clone, "log", "-1", *until, "--format=%h %cs")
        commit, day = log.split()
        versions = self.read(git(clone, "show", f"{commit}:{self.path}"))
        return f"{self.repository} {commit}, {self.path}, {day}", versions


@dataclass(frozen=True)
class Page:
    """A file that is published as it is, at an address."""

    address: str
    day: str
    read: Read
    moved: tuple[str, ...] = ()

    def versions_in(self, folder: Path) -> tuple[str, dict[str, str]]:
        return f"{self.address}, {self.day}", self.read((folder / "databricks.txt").read_text("utf-8"))


COLAB = "googlecolab/backend-info"
SOURCES: dict[str, tuple[str, list[Source | Page]]] = {
    "colab": ("3.13", [Source(COLAB, "pip-freeze.txt", frozen)]),
    # Kaggle's image is made on Colab's of that day (its Dockerfile.tmpl names it), and pins a few again.
    "kaggle": (
        "3.12",
        [
            Source(COLAB, "pip-freeze.txt", frozen, before="2026-05-15"),
            Source(
                "Kaggle/docker-python",
                "kaggle_requirements.txt",
                frozen,
                moved=("widgetsnbextension", "nbclient", "mistune"),
            ),
        ],
    ),
    "databricks": (
        "3.12",
        [
            Page(
                "docs.databricks.com/aws/en/assets/files/requirements-8e972929dcac249709ddd4214f2e1b2a.txt",
                "read on 2026-11-29",
                frozen,
            )
        ],
    ),
    "sagemaker": (
        "3.12",
        [Source("aws/sagemaker-distribution", "build_artifacts/v4/v4.4/v4.4.1/cpu.env.out", conda)],
    ),
    "binder": (
        "3.11",
        [
            Source(
                "jupyterhub/repo2docker",
                "repo2docker/buildpacks/conda/environment.py-3.11-linux-64.lock",
                conda,
            )
        ],
    ),
}


def git(clone: Path, *words: str) -> str:
    return subprocess.run(
        ["git", "-C", str(clone), *words], check=True, capture_output=True, text=True
    ).stdout


def interpreter(version: str) -> str | None:
    """Return a Python of this version, if there is one."""
    installed = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
    for each in (shutil.which(f"python{version}"), *installed):
        if each and subprocess.run([each, "-c", ""], capture_output=True).returncode == 0:
            return str(each)
    return None


def resolved(python: str, wanted: Iterable[str], versions: dict[str, str]) -> dict[str, str]:
    """Return all that pip would install of these, where those versions are as they are."""
    with tempfile.TemporaryDirectory() as folder:
        pinned = Path(folder) / "published.txt"
        pinned.write_text("".join(f"{name}=={version}\n" for name, version in versions.items()))
        report = Path(folder) / "report.json"
        words = ["install", "--dry-run", "--quiet", "--ignore-installed", "--only-binary=:all:"]
        pip = [sys.executable, "-m", "pip", "--python", python, *words]
        subprocess.run([*pip, "--report", str(report), "-c", str(pinned), *wanted], check=True)
        installed = json.loads(report.read_text())["install"]
    found = {named(each["metadata"]["name"]): each["metadata"]["version"] for each in installed}
    return dict(sorted(found.items()))


def asked() -> list[str]:
    """Return what we ask for, in all our extras but those for testing and for metrics: torch is large."""
    extras = PROJECT["optional-dependencies"]
    wanted = [each for name in extras if name not in {"test", "metrics"} for each in extras[name]]
    every = [*PROJECT["dependencies"], *wanted]
    return [each for each in every if not each.startswith("beluga_nb[")]


def floors(wanted: Iterable[str]) -> list[str]:
    """Return the same, each in the oldest version that will do."""
    return [re.sub(r">=([\w.]+)[^;]*", r"==\1", each) for each in wanted]


CLASSIC = floors([*PROJECT["dependencies"], *(each for each in asked() if each.startswith("ipykernel"))])
CLASSIC += ["nbclassic>=1.3.3"]
"""What opens NbClassic, the page of Notebook 6, with ipywidgets 7."""


def without_cuda(pins: dict[str, str]) -> dict[str, str]:
    """Return the pins without CUDA's packages, which a build of torch for CPUs does not need."""
    kept = {name: pins[name] for name in pins if not re.match("nvidia-|cuda-|triton", name)}
    return kept | {"torch": pins["torch"].partition("+")[0]}


def write(name: str, python: str, source: str, pins: dict[str, str], published: Iterable[str]) -> None:
    """Write an environment's file; what its source does not name is marked."""
    known = set(published)
    lines = [f"{each}=={pins[each]}{'' if each in known else '  # pip'}\n" for each in pins]
    head = (
        f"# Python {python}\n# {source}\n# Made by tests/pins.py; `# pip`: not named there, chosen by pip.\n"
    )
    (ROOT / f"tests/environments/{name}.txt").write_text(head + "".join(lines), "utf-8")


def main(words: list[str]) -> None:
    (ROOT / "tests/environments").mkdir(exist_ok=True)
    today = datetime.now(UTC).date().isoformat()
    for name, python, wanted in (
        ("oldest", "3.11", floors(asked())),
        ("nbclassic", "3.11", CLASSIC),
        ("newest", "3.13", asked()),
    ):
        pins = resolved(interpreter(python) or sys.executable, wanted, {})
        write(
            name,
            python,
            f"pyproject.toml, {name}, {today}",
            pins,
            {named(re.split(r"[^\w.-]", each)[0]) for each in wanted},
        )
    for name, source, packages in (
        ("diffusers", "docs/servers.md, diffusers", PIPELINE),
        ("metrics", "pyproject.toml, metrics", METRICS),
    ):
        wanted = [*PROJECT["dependencies"], *packages]
        pins = without_cuda(resolved(interpreter("3.11") or sys.executable, wanted, {}))
        named_there = {named(re.split(r"[^\w.-]", each)[0]) for each in wanted}
        write(name, "3.11", f"{source}, {today}", pins, named_there)
    for name, (python, sources) in SOURCES.items() if words else ():
        places, versions = [], dict[str, str]()
        for source in sources:
            place, found = source.versions_in(Path(words[0]))
            places.append(place)
            versions = {each: versions[each] for each in versions if each not in source.moved} | found
        wanted = [each for each in CONCERN if each in versions]
        pins = resolved(interpreter(python) or sys.executable, wanted, versions)
        write(name, python, "; ".join(places), pins, versions)


if __name__ == "__main__":
    main(sys.argv[1:])
