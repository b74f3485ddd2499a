"""The README says what is so: its code runs, its options and settings are real, its links lead somewhere."""

import re
import subprocess
import sys
import urllib.request
from dataclasses import fields
from pathlib import Path

import pytest
from kernels import Kernel, clean_environment
from leaks import KEY
from reference import with_reference
from stores import mentions, notebook, record

from beluga_nb.api.dialects import DIALECTS
from beluga_nb.catalog import find, supported_parameters
from beluga_nb.compare.gallery import Evaluable
from beluga_nb.config.settings import EMBEDS, MODES, Settings, names
from beluga_nb.magics.parse import parse
from beluga_nb.metadata.files import WAYS
from beluga_nb.server.app import create_app
from beluga_nb.server.previews import previews
from beluga_nb.session.session import Session
from beluga_nb.show.booth import KEYS
from beluga_nb.store.records import Store
from beluga_nb.store.runs import runs

pytestmark = pytest.mark.unsampled  # each block is a claim of its own

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
PAGES = {
    path: path.read_text("utf-8") for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
}
DOCS = "\n".join(PAGES.values())


def blocks(language):
    """The blocks of code in a language, which may be a pattern, as they follow one another."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    return [code for named, code in fenced if re.fullmatch(language, named)]


def test_the_first_cells_run_as_they_stand(tmp_path):
    load, cell = blocks("")[:2]
    with Kernel(tmp_path) as kernel:
        assert kernel.run(load).status == "ok"
        assert kernel.run(cell).texts[0].startswith("1 picture of “A photorealistic beluga whale")
        assert kernel.run("whale[0].resize((256, 144)).size").texts == ["(256, 144)"]


def test_the_python_runs_as_it_stands(tmp_path):
    code = blocks("python")[0]
    subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=clean_environment(), check=True, capture_output=True
    )
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        f"fox-{number}.png" for number in (1, 2, 3, 4)
    ]


def test_the_plan_of_votes_is_shown_as_it_stands(tmp_path):
    [code] = [block for block in blocks("python") if "plan_votes" in block]
    [shown] = [block for block in blocks("text") if block.startswith("voters ")]
    with Kernel(tmp_path) as kernel:
        [text] = kernel.run(code).texts
    assert text.startswith(shown)


def test_what_judges_runs_as_it_stands(tmp_path):
    [code] = [block for block in blocks("python") if ".vote(" in block]
    with Kernel(tmp_path) as kernel:
        assert kernel.run(code).texts == [kernel.run("pictures.ranking()").texts[0]]
        assert kernel.run("pictures.score('red')").texts[0].startswith("prompt ")
        [reported] = [block for block in blocks("python") if ".report(" in block]
        assert kernel.run(reported).status == "ok"
    for folder, title in (("report", "A report"), ("data", "A data set")):
        section = DOCS.partition(f"## {title}")[2].partition("\n## ")[0]
        named = re.findall(r"^\| `([\w./]+)` \|", section, re.MULTILINE)
        missing = {name for name in named if not (tmp_path / folder / name).exists()}
        assert missing <= {"preferences.parquet"}, "without pyarrow"
        assert len(named) == len(list((tmp_path / folder).iterdir())) + len(missing)
    section = DOCS.partition("## Judging")[2].partition("\n## ")[0]
    for name in re.findall(r"^\| `\.(\w+)\(", section, re.MULTILINE):
        assert callable(getattr(Evaluable, name))
    assert {f"<kbd>{key}</kbd>" for key in KEYS} <= set(re.findall("<kbd>.</kbd>", section))


def test_the_page_about_judges_runs_as_it_stands(tmp_path):
    page = (ROOT / "docs/judge.md").read_text("utf-8")
    code, study, command, test = re.findall(r"^```\w+\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "study.toml").write_text(study)
    (tmp_path / "test_study.py").write_text(test)

    def run(*words, **environment):
        environ = clean_environment(**environment)
        return subprocess.run([sys.executable, *words], cwd=tmp_path, env=environ, capture_output=True)

    everything = (
        f"{code}\nprint(judged._repr_mimebundle_()['text/plain'], pairs.note)\n{test}\ntest_the_study()"
    )
    done = run("-c", everything)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"No model judged" in done.stdout
    assert b"0 of 2 comparisons flipped" in done.stdout
    checked = run(*command.split()[1:], CI="true")
    assert (checked.returncode, checked.stderr) == (0, b"")
    assert b'tests="3" failures="0"' in (tmp_path / "report.xml").read_bytes()


def test_the_served_api_is_an_object_in_the_notebook(tmp_path):
    [serve] = re.findall("`(server = %beluga serve)`", DOCS)
    with Kernel(tmp_path) as kernel:
        kernel.run(blocks("")[0])
        assert kernel.run(serve).everything == repr(("", "", [], []))
        shown = kernel.run(
            "print(server.url.startswith('http://127.0.0.1:'), server.key.startswith('bapi_'))"
        )
        assert shown.stdout == "True True\n"
        assert kernel.run("%beluga serve --stop").status == "ok"


def test_the_saved_file_gives_back_what_is_shown(tmp_path):
    load, cell = blocks("")[:2]
    [session] = blocks("pycon")
    with Kernel(tmp_path) as kernel:
        for code in (load, cell, "import beluga_nb", "asked = whale", "whale.save('whale.png');"):
            assert kernel.run(code).status == "ok"
        lines = session.splitlines()
        typed = [line.removeprefix(">>> ") for line in lines if line.startswith(">>> ")]
        assert kernel.run("\n".join(typed)).stdout.splitlines() == lines[len(typed) :]
        assert kernel.run("whale == asked, wide.request.size").texts == ["(True, '21:9')"]
        assert kernel.run("whale.to_python()").texts[0].startswith('"beluga_nb.generate(')


def test_the_comparison_runs_as_it_stands(tmp_path):
    [cell] = [block for block in blocks("") if block.startswith("%%beluga compare")]
    with Kernel(tmp_path) as kernel:
        kernel.run(f"{blocks('')[0]}\nstyles = {{'oil': 'oil paint', 'ink': 'ink on paper'}}")
        assert kernel.run(cell, answers=["y"]).status == "ok"
        assert kernel.run("g.counts['done'], len(g.samples)").texts == ["(12, 24)"]


def test_the_settings_are_read_as_they_stand(tmp_path):
    texts = [block for block in blocks("toml") if "[endpoints." not in block and "[[check]]" not in block]
    (tmp_path / "beluga.toml").write_text("\n".join(reversed(texts)))  # tables come last
    now = Session(environ={}, folder=tmp_path).settings()
    assert now.aliases["poster"] == {"model": "flux-2.0", "size": "3:4", "quality": "hd"}
    assert (now.max_images, str(now.max_cost), str(now.prices.date)) == (100, "5.0", "2026-11-01")


@pytest.mark.parametrize("command", [block for block in blocks("sh") if " serve" in block])
def test_the_server_starts_as_it_stands(tmp_path, command):
    *environ, words = command.partition("python -m beluga_nb ")
    key = {"BELUGA_UPSTREAM_KEY": KEY} if environ[0] else {}
    server = subprocess.Popen(
        [sys.executable, "-m", "beluga_nb", *words.split()],
        cwd=tmp_path,
        env=clean_environment(**key),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        url = re.search(r"http://127\.0\.0\.1:\d+/v1", server.stdout.readline())[0]
        assert urllib.request.urlopen(f"{url}/health", timeout=20).read() == b'{"status": "ok"}'
    finally:
        server.terminate()
        server.communicate(timeout=20)


RUN_BY = {
    "%load_ext": "the_first_cells_run_as_they_stand",
    "%%beluga -m": "the_first_cells_run_as_they_stand",
    "python3 -m venv .venv && .venv/bin/python -m pip install -q -e '.[lab]'": (
        "a_stranger_sees_every_picture_before_running_anything"
    ),
    "python3 -m venv .venv && .venv/bin/python -m pip install -q -e '.[test]'": (
        "the_two_commands_are_there_once_each"  # CI reads it there, and runs it
    ),
    "%pip": "the_cell_for_colab_installs_and_runs_and_finds_the_key",
    "import beluga_nb\n\nfoxes": "the_python_runs_as_it_stands",
    "import beluga_nb\n\nmodels = (": "what_judges_runs_as_it_stands",
    "import beluga_nb\n\npictures": "the_documented_page_is_served_as_it_stands",
    "python -m beluga_nb ballot": "the_command_prints_the_link_and_ends_with_ctrl_c",
    "from beluga_nb.learned import": (
        "learned_metrics_give_the_numbers_of_other_libraries_and_replay_without_torch"
    ),
    "import beluga_nb\n\nbeluga_nb.plan_votes": "the_plan_of_votes_is_shown_as_it_stands",
    "import beluga_nb\n\nstudy": "what_judges_runs_as_it_stands",
    "import datasets": "a_data_set_is_opened_by_datasets_and_described_for_mlcroissant",
    "import asyncio\n\nfrom PIL": "the_documented_engine_answers_in_a_notebook",
    "%%beluga\nan evening sky": "the_documented_engine_answers_in_a_notebook",
    "import asyncio\nimport threading": "the_documented_pipeline_draws_and_replays_without_torch",
    "%beluga config": "the_documented_pipeline_draws_and_replays_without_torch",
    "%%beluga compare": "the_comparison_runs_as_it_stands",
    "[endpoints.lab]": "the_endpoint_of_the_readme_is_one",
    "[aliases]": "the_settings_are_read_as_they_stand",
    "[kite]": "the_documented_figure_is_drawn_as_it_stands",
    "max_images": "the_settings_are_read_as_they_stand",
    "python -m beluga_nb serve": "the_server_starts_as_it_stands",
    "BELUGA_UPSTREAM_KEY": "the_server_starts_as_it_stands",
    "import beluga_nb\n\nmodels = [": "the_page_about_judges_runs_as_it_stands",
    "import beluga_nb\n\n\ndef test_the_study": "the_page_about_judges_runs_as_it_stands",
    "prompt = ": "the_page_about_judges_runs_as_it_stands",
    "python -m beluga_nb check": "the_page_about_judges_runs_as_it_stands",
    "voters ": "the_plan_of_votes_is_shown_as_it_stands",
    "import beluga_nb\nfrom distributed": "the_page_on_clusters_runs_as_it_stands",
    "g = beluga_nb.grid": "the_pages_of_the_documentation_run_as_they_stand",
    'pip install "beluga_nb[remote]"': "the_address_of_the_documentation_is_one",
    "from distributed import Client": "the_page_on_clusters_runs_as_it_stands",
    "[desert]": "the_documented_place_stands_in_its_file",
    "dask scheduler": "the_commands_of_the_page_are_dasks",
    "import asyncio\n\nfrom beluga_nb import Result": "the_engines_of_the_page_are_made_by_their_names",
    "from beluga_nb import BatchEngine": "the_engines_of_the_page_are_made_by_their_names",
    "from dask_jobqueue": "the_job_script_is_what_dask_jobqueue_prints",
    "#!/usr/bin/env bash": "the_job_script_is_what_dask_jobqueue_prints",
    ">>> whale": "the_saved_file_gives_back_what_is_shown",
}
"""The test that runs each block of code, by how the block begins.

The two commands that install are not run by a test: CI runs the second as it stands, and the notebook that
the first opens is opened by a browser test.
"""


@pytest.mark.parametrize("block", blocks(r"(?!mermaid)\w*"), ids=lambda block: block.split("\n")[0][:40])
def test_every_block_of_code_is_run_by_a_test(block):
    [name] = [name for start, name in RUN_BY.items() if block.startswith(start)]
    assert f"def test_{name}(" in "".join(path.read_text("utf-8") for path in TESTS)


TESTS = [path for path in (ROOT / "tests").rglob("test_*.py") if "node_modules" not in path.parts]


def test_every_way_to_keep_a_recipe_is_named():
    assert re.findall(r'^\| `"(.*?)"` \|', DOCS, re.MULTILINE) == list(WAYS)


def test_the_reference_is_that_of_the_commands():
    assert with_reference(README) == README, "python -m tests.reference writes it"


def test_every_setting_and_mode_is_named():
    for setting in fields(Settings):
        assert (
            setting.name not in names()
            or f"`{setting.name}`" in DOCS
            or f"BELUGA_{setting.name.upper()}" in DOCS
        )
    for mode in (*MODES, *EMBEDS):
        assert f"| `{mode}` |" in DOCS


def test_every_dialect_is_in_the_table():
    section = DOCS.partition("## Other servers")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[a-z].*?) \|", section, re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall("`(.+?)`", row)) == sorted(DIALECTS)


def test_the_endpoint_of_the_readme_is_one(tmp_path):
    [text] = [block for block in blocks("toml") if "[endpoints." in block]
    (tmp_path / "beluga.toml").write_text(text)
    session = Session(environ={"BELUGA_LAB_BASE_URL": "https://my.example/v1"}, folder=tmp_path)
    [post] = session.plan("a fox", endpoint="lab").posts
    assert post.url == "https://my.example/v1/images/generations"


def test_the_two_commands_are_there_once_each():
    assert len(re.findall(r"^python3 -m venv .*-m beluga_nb lab$", DOCS, re.MULTILINE)) == 1
    assert len(re.findall(r"^python3 -m venv .*-m tests$", DOCS, re.MULTILINE)) == 1


def test_the_server_has_the_addresses_and_formats_that_are_named():
    rows = re.findall(r"^\| (`(?:GET|POST) /.*?`) \|", DOCS, re.MULTILINE)
    named = {tuple(words.split()) for row in rows for words in re.findall("`(.+?)`", row)}
    routes = {(method, route.path) for route in create_app(previews).routes for method in route.methods}
    assert named == {(method, path) for method, path in routes if method != "HEAD"} - {
        ("GET", "/files/{name}")
    }
    takes = supported_parameters(find("flux-2.0"))
    for name in ("response_format", "output_format"):
        *others, last = (f"`{value}`" for value in takes[name].values)
        assert f"`{name}` ({', '.join(others)} or {last})" in DOCS
    compression = takes["output_compression"]
    assert f"`output_compression` ({compression.least} to {compression.most}," in " ".join(DOCS.split())


def care():
    """The rows of "Looking after the store": what to write in a cell, and in a terminal."""
    section = DOCS.partition("## Looking after the store")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(.+?)` \| (?:`(.+?)` )?\| ", section, re.MULTILINE)
    assert len(rows) == 7
    return rows


def test_what_looks_after_the_store_works_as_it_stands_in_a_cell(tmp_path):
    store = Store(tmp_path / "beluga_store")
    notebook(tmp_path / "whales.ipynb", record(store, "a whale", created=1_750_000_000))
    [name] = [run.name for run in runs(store)]
    commands = [cell.replace("6611bcbd", name[:8]) for cell, _ in care()]
    # What forgets comes last, since the others need what it takes.
    with Kernel(tmp_path) as kernel:
        kernel.run(blocks("")[0])
        for command in sorted(commands, key=lambda each: "forget" in each):
            shown = kernel.run(f"%beluga {command}", answers=["y"] if "forget" in command else None)
            assert (command, shown.status) == (command, "ok"), shown
    assert mentions(store.folder, "whale") == []
    [prompt] = re.findall("`%beluga (history of the world)`", DOCS)
    assert parse(prompt).prompt == prompt


def test_what_looks_after_the_store_works_as_it_stands_in_a_terminal(tmp_path):
    store = Store(tmp_path / "beluga_store")
    notebook(tmp_path / "whales.ipynb", record(store, "a whale"))
    commands = [terminal for _, terminal in care() if terminal]
    for command in sorted(commands, key=lambda each: "forget" in each):
        words = [*command.split(), *(["--yes"] if "forget" in command else [])]
        subprocess.run(
            [sys.executable, "-m", "beluga_nb", *words],
            cwd=tmp_path,
            env=clean_environment(),
            check=True,
            capture_output=True,
        )
    assert mentions(store.folder, "whale") == []
    assert mentions(tmp_path / "there" / "beluga_store", "a whale") != []


def test_every_notebook_is_in_the_table():
    named = re.findall(r"^\| \[[\w-]+\]\((notebooks/[\w-]+\.ipynb)\)", DOCS, re.MULTILINE)
    assert named == sorted(path.relative_to(ROOT).as_posix() for path in ROOT.glob("notebooks/*.ipynb"))


def test_every_file_that_is_linked_is_there():
    for page, text in PAGES.items():
        for target in re.findall(r"\]\(([^)#]+)\)", text):
            assert target.startswith("https://") or (page.parent / target).exists(), (page.name, target)
