"""Reports and data sets of a study: what is in them, and that the same study gives the same bytes."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import KEY, drawing

from beluga_nb.compare.vote import pairs
from beluga_nb.errors import APIStatusError, RequestError, StoreError, UnknownNameError
from beluga_nb.result import MissingPicture
from beluga_nb.session.session import Session
from beluga_nb.show.provenance import COLUMNS
from beluga_nb.show.template import read_template
from beluga_nb.store.votes import LEFT, RIGHT, TIE, Box

MODELS = ("flux-2.0", "gpt-image-2")
ANIMALS = ("fox", "cat", "owl", "hen", "<b>&_#")
KINDS = ("pdf", "svg")
PRICES = '[prices]\ndate = 2026-11-01\n"flux-2.0" = 0.03\n"gpt-image-2" = 0.04\n'


@pytest.fixture
def session(tmp_path):
    (tmp_path / "beluga.toml").write_text(PRICES)
    return Session(engine=drawing, environ={"BELUGA_TRUST": str(tmp_path)}, folder=tmp_path)


def grid(session, **more):
    return session.grid("a {{animal}}", animal=ANIMALS, model=MODELS, **more).run(assume_yes=True)


def judged(session, voters=("Ada", "Bob"), criterion=""):
    """A grid on which each voter prefers the second model, but for one tie."""
    study = grid(session)
    for voter in voters:
        box = Box(session.store.open(), voter, criterion, clock=lambda: 1_764_000_000)
        for number, pair in enumerate(pairs(study.samples, by="model")):
            answer = TIE if not number else RIGHT if pair.right.label == MODELS[1] else LEFT
            box.cast(left=pair.left.sha256, right=pair.right.sha256, answer=answer, seconds=2.0)
    return study


def test_a_report_says_what_was_made_how_it_was_judged_and_how_to_see_it_again(session, tmp_path):
    study = judged(session)
    judged(session, criterion="fits the prompt")
    study.exclude_voter("Bob", reason="asleep")
    page = study.report(tmp_path / "out", "contrast", title="Foxes & hens")
    assert page == tmp_path / "out/report.html"
    assert sorted(path.relative_to(page.parent).as_posix() for path in page.parent.rglob("*.*")) == [
        *(
            f"figures/{name}.{kind}"
            for name in ("pictures", "ranking-1", "ranking-2")
            for kind in ("pdf", "svg")
        ),
        *(f"report.{kind}" for kind in ("html", "md", "tex")),
    ]
    text = (page.parent / "report.md").read_text("utf-8")
    assert text.startswith("# Foxes \\& hens\n\n10 pictures of 5 prompts, 2025-06-15, compared by model: ")
    for words in (
        "| flux-2.0 | drawing | drawing | 5 | 2025-06-15 | 0.15 USD |",
        "**Ranking by model.**",
        "**Ranking by model, on the criterion fits the prompt.**",
        "5 votes by 1 excluded voter left out.",
        "| Bob | 10 | ",
        "| asleep |",
        "| model | contrast (built-in 1) |",
        "Differences in contrast on the same prompts.",
        "In each table they hold with 95 % for all pairs together (Bonferroni)",
        "| 5 | a \\<b\\>\\&\\_\\# | 2 |",
        "10 of 10 pictures are recorded",
        "BELUGA\\_MODE\\=replay",
        "@software{beluga_nb,",
    ):
        assert words in text, words
    html = page.read_text("utf-8")
    assert html.count('<img src="data:image/svg+xml;base64,') == 3
    assert "<b>&_#" not in html
    assert "a <b>" not in (page.parent / "report.tex").read_text("utf-8")


def test_figures_have_300_pixels_an_inch(session, tmp_path):
    judged(session).report(tmp_path)
    for name in ("pictures", "ranking-1"):
        pdf = (tmp_path / f"figures/{name}.pdf").read_bytes()
        [width] = re.findall(rb"/Width (\d+)", pdf)
        [points] = re.findall(rb"/MediaBox \[ 0 0 ([\d.]+)", pdf)
        assert int(width) / (float(points) / 72) == pytest.approx(300, rel=0.01)
        assert (tmp_path / f"figures/{name}.svg").read_text("utf-8").startswith("<svg ")


def written(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}


def test_the_same_study_gives_the_same_bytes_in_a_replay_too(session, tmp_path):
    judged(session)
    reading = Session(engine=drawing, environ={"BELUGA_TRUST": str(tmp_path)}, folder=tmp_path, mode="replay")
    for name, each in (("one", session), ("other", reading)):
        grid(each).report(tmp_path / name / "report")
        grid(each).to_dataset(tmp_path / name / "data")
    assert written(tmp_path / "one") == written(tmp_path / "other")


def test_a_gallery_without_votes_has_a_report_of_its_pictures(session, tmp_path):
    results = [session.generate("a fox", model=model) for model in MODELS]
    page = session.gallery(*results).report(tmp_path / "out")
    assert "Rankings" not in page.read_text("utf-8")
    assert sorted(path.name for path in (tmp_path / "out/figures").iterdir()) == [
        "pictures.pdf",
        "pictures.svg",
    ]


def test_a_report_of_local_previews_says_so(tmp_path):
    session = Session(environ={}, folder=tmp_path)
    study = session.grid("a fox", model=MODELS, size="64x64")
    page = study.run().report(tmp_path / "out")
    for path in (page, page.with_suffix(".md"), page.with_suffix(".tex")):
        assert path.read_text("utf-8").count("Local previews, not model output.") >= 2
        assert "local preview" in path.read_text("utf-8")


def test_a_report_has_the_verdicts_of_judges_with_reasons_and_how_far_people_agree(tmp_path):
    session = Session(environ={}, folder=tmp_path)
    study = session.grid("{{count}} foxes", count=["two", "five"], model=MODELS, size="64x64").run()
    compared = study.judge_pairs("Which shows five foxes?", model="any", by="count", criterion="fits").run()
    verdicts = study.judge("Does it show five foxes?", model="any").run()
    text = study.report(tmp_path / "out", compared, by="count").with_suffix(".md").read_text("utf-8")
    assert "## Rankings" not in text
    assert "with 95 % for all pairs of one ranking together (Holm)" in text
    for words in (
        "**Ranking by count, by the judge any: Which shows five foxes?**",
        "Ranked by the judge any, not by people.",
        "No votes of people on these pairs on the criterion fits: how far they agree is not known.",
        "Strengths are those of a Bradley–Terry model",
        "| flux-2.0 | two | five | right | No model judged: the built-in painter drew this,",
    ):
        assert words in text, words
    # Votes that were cast after the judge compared.
    box = Box(session.store.open(), "Ada", "fits", clock=lambda: 1_764_000_000)
    for pair in pairs(study.samples, by="count"):
        answer = RIGHT if pair.right.label == "five" else LEFT
        box.cast(left=pair.left.sha256, right=pair.right.sha256, answer=answer)
    page = study.report(tmp_path / "out", compared, verdicts, by="count")
    text = page.with_suffix(".md").read_text("utf-8")
    agreed = "2 of 2 votes of people on 2 pairs on the criterion fits agree with any (no interval"
    assert text.count(agreed) == 2
    assert text.count("Strengths are those of a Bradley–Terry model") == 1
    assert "**Verdicts of the judge any: Does it show five foxes?**" in text
    assert (tmp_path / "out/figures/judge-1.pdf").exists()
    assert "the judge any" in page.read_text("utf-8")


async def failing(request):
    if request.model == MODELS[0] and "fox" in request.prompt:
        raise APIStatusError("It is not allowed.", status=400)
    return await drawing(request)


def test_a_report_says_what_has_no_pictures_and_that_means_are_of_other_prompts(tmp_path):
    session = Session(engine=failing, environ={}, folder=tmp_path)
    study = session.grid("a {{animal}}", animal=["fox", "cat"], model=MODELS).run()
    text = study.report(tmp_path / "out", "contrast").with_suffix(".md").read_text("utf-8")
    assert "**Combinations that lack pictures, by model: what is missing is in no comparison below.**" in text
    assert f"| {MODELS[0]} | APIStatusError | 1 |" in text
    assert "contrast: The means are not those of the same prompts; the differences are." in text
    complete = study.where(animal="cat").report(tmp_path / "part", "contrast").with_suffix(".md")
    assert "What has not all" not in complete.read_text("utf-8")
    assert "not those of the same prompts" not in complete.read_text("utf-8")

    def fails(image, recipe):
        return 1 / (recipe.request.model != MODELS[1])

    measured = study.report(tmp_path / "out", study.score("ink", fails)).with_suffix(".md").read_text("utf-8")
    assert "ink: 2 of 3 pictures have none." in measured


def test_scores_and_verdicts_of_other_pictures_are_in_no_report(tmp_path):
    session = Session(environ={}, folder=tmp_path)
    study = session.grid("{{count}} foxes", count=["two", "five"], model=MODELS, size="64x64").run()
    part = study.where(count="two")
    of_all = (study.score("contrast"), study.judge_pairs("Which shows two foxes?", model="any").run())
    for each in of_all:
        with pytest.raises(RequestError, match="is about other pictures too"):
            part.report(tmp_path / "out", each)
    assert not (tmp_path / "out").exists()
    assert part.report(tmp_path / "out", part.score("contrast")).exists()


def test_a_report_of_what_is_not_recorded_does_not_say_that_it_can_be_seen_again(tmp_path):
    session = Session(engine=drawing, environ={}, folder=tmp_path, mode="off")
    text = grid(session).report(tmp_path / "out").with_suffix(".md").read_text("utf-8")
    assert "0 of 10 pictures are recorded" in text
    assert "the notebook cannot be run again to the same bytes" in text
    assert "BELUGA" not in text


def test_what_cannot_be_reported_on_says_why(session, tmp_path):
    with pytest.raises(RequestError, match="There are no pictures to report on"):
        session.grid("a fox", model=MODELS).report(tmp_path / "out")
    study = grid(session)
    with pytest.raises(UnknownNameError, match="modle"):
        study.report(tmp_path / "out", by="modle")
    (tmp_path / "file").write_text("no folder")
    for write in (study.report, study.to_dataset):
        with pytest.raises(StoreError, match="cannot be made: "):
            write(tmp_path / "file")


def test_the_citation_is_that_of_the_repository():
    citation = (Path(__file__).parents[2] / "CITATION.cff").read_text("utf-8")
    for field in ("title: beluga_nb", "name: The beluga_nb authors"):
        assert field in citation
        assert field.partition(": ")[2] in read_template("show/citation.bib")


# --- data sets


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def test_a_data_set_has_the_exact_bytes_and_what_is_known_of_each_picture(session, tmp_path):
    study = grid(session, n=2)
    rows = lines(study.to_dataset(tmp_path / "data") / "metadata.jsonl")
    assert len(rows) == 20
    for row, sample in zip(rows, study.samples, strict=True):
        assert (tmp_path / "data" / row["file_name"]).read_bytes() == sample.picture.data
        assert row["file_name"] == f"images/{row['sha256']}.png"
        assert (row["prompt"], row["animal"]) == (f"a {sample.labels['animal']}", sample.labels["animal"])
    assert rows[0] | {"file_name": "", "sha256": "", "prompt": "", "revised_prompt": ""} == {
        "file_name": "",
        "number": 0,
        "animal": "fox",
        "model": "flux-2.0",
        "size": None,
        "quality": None,
        "take": "",
        "sample": 0,
        "prompt": "",
        "revised_prompt": "",
        "engine": "drawing",
        "provider": "drawing",
        "local": False,
        "date": "2025-06-15T15:06:40+00:00",
        "cost": 0.03,
        "version": "0.2.0",
        "sha256": "",
        "media_type": "image/png",
        "width": 96,
        "height": 64,
    }


def test_preferences_are_the_votes_that_prefer_one_picture_of_a_prompt(session, tmp_path):
    study = judged(session, voters=("Ada", "Bob", "Eve"))
    study.exclude_voter("Eve", reason="asleep")
    # A vote on two prompts says nothing of how to draw one.
    one, other = (study[animal, MODELS[0]].pictures[0].sha256 for animal in ANIMALS[:2])
    Box(session.store.open(), "Ada").cast(left=one, right=other, answer=LEFT)
    rows = lines(study.to_dataset(tmp_path / "data") / "preferences.jsonl")
    assert len(rows) == 2 * 4
    known = {row["file_name"]: row for row in lines(tmp_path / "data/metadata.jsonl")}
    for row in rows:
        assert known[row["chosen"]]["prompt"] == known[row["rejected"]]["prompt"] == row["prompt"]
        assert (row["chosen_label"], row["rejected_label"]) == MODELS[::-1]
        assert known[row["chosen"]]["model"] == row["chosen_label"]
    assert {row["voter"] for row in rows} == {"Ada", "Bob"}


def test_preferences_are_parquet_too_where_pyarrow_is(session, tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    folder = judged(session).to_dataset(tmp_path / "data")
    assert parquet.read_table(folder / "preferences.parquet").to_pylist() == lines(
        folder / "preferences.jsonl"
    )


NAMES = ["file_name", "image", "image_label", "number", "error", *COLUMNS]


def test_a_fact_keeps_its_column_and_a_label_of_its_name_has_another(session, tmp_path):
    names = [name for name in NAMES if name not in {"prompt", "sample", "model", "size", "quality"}]
    axes = {name: {"mine": f"a {name}"} for name in names} | {"model": {"mine": "flux-2.0"}}
    words = " ".join(f"{{{{{name}}}}}" for name in axes)
    study = session.grid({"mine": words}, **axes).run()
    [sample] = study.samples
    [row] = lines(study.to_dataset(tmp_path / "data") / "metadata.jsonl")
    [framed] = study.to_frame().to_dict("records")
    facts = {
        "prompt": sample.picture.recipe.request.prompt,
        "model": "flux-2.0",
        "sha256": sample.picture.sha256,
        "cost": 0.03,
        "engine": "drawing",
        "width": 96,
        "take": "a take",
    }
    labels = dict.fromkeys(
        ("prompt_label", "model_label", "sha256_label", "cost_label", "take_label"), "mine"
    )
    for each in (row, framed):
        assert each | facts | labels == each
    assert row["number"] == 0
    assert row["number_label"] == row["file_name_label"] == row["image_label_label"] == "mine"
    assert row["file_name"].startswith("images/")
    assert list(row.values()).count("mine") == len(axes) + 1


def test_a_whole_prompt_is_in_its_row_and_a_label_that_says_the_same_is_no_column(session, tmp_path):
    prompts = ["a red fox " * 9, "a hen"]
    study = session.grid(prompts, model=MODELS).run()
    rows = lines(study.to_dataset(tmp_path / "data") / "metadata.jsonl")
    assert {row["prompt"] for row in rows} == {*prompts} == {*study.to_frame()["prompt"]}
    assert "model_label" not in rows[0]
    assert rows[-1]["prompt_label"] == "a hen"


@pytest.mark.parametrize(
    ("write", "names"),
    [
        ("report", ("report.html", "report.md", "report.tex", "figures/pictures.svg")),
        ("to_dataset", ("metadata.jsonl", "preferences.jsonl", "preferences.parquet", "croissant.json")),
    ],
)
def test_a_file_of_the_users_own_is_not_replaced(session, tmp_path, write, names):
    study = session.gallery(session.generate("a fox"))
    for name in names:
        folder = tmp_path / f"for {name.replace('/', ' ')}"
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("{} of my own")
        with pytest.raises(StoreError, match=f"holds {name}, which beluga_nb did not write"):
            getattr(study, write)(folder)
        assert [path.relative_to(folder).as_posix() for path in folder.rglob("*.*")] == [name]
        assert (folder / name).read_text() == "{} of my own"


def test_a_smaller_data_set_leaves_no_files_of_the_larger_one(session, tmp_path):
    study = judged(session)
    folder = study.to_dataset(tmp_path / "data")
    (folder / "images/mine.png").write_text("mine")
    study.where(animal="fox", model=MODELS[0]).to_dataset(folder)
    [row] = lines(folder / "metadata.jsonl")
    assert {path.name for path in (folder / "images").iterdir()} == {f"{row['sha256']}.png", "mine.png"}
    assert not (folder / "preferences.parquet").exists()


def test_a_smaller_report_leaves_no_figures_of_the_larger_one_and_others_stay(session, tmp_path):
    study = judged(session)
    judged(session, criterion="fits")
    folder = study.report(tmp_path / "out").parent
    kept = ("mine.svg", "ranking-1.png", "ranking-x.pdf", "my-ranking-1.svg")
    for name in kept:
        (folder / "figures" / name).write_text("mine")
    for voter in ("Ada", "Bob"):
        study.exclude_voter(voter, reason="a test")
    study.report(folder)
    ours = {f"pictures.{kind}" for kind in KINDS}
    assert {path.name for path in (folder / "figures").iterdir()} == {*kept, *ours}
    text = (folder / "report.md").read_text("utf-8")
    assert "Bradley–Terry" not in text
    assert "ranking-1" not in text


def test_a_description_in_croissant_has_every_column(session, tmp_path):
    folder = grid(session).to_dataset(tmp_path / "data")
    described = json.loads((folder / "croissant.json").read_text("utf-8"))
    [pictures] = described["recordSet"]
    types = {field["name"]: field["dataType"] for field in pictures["field"]}
    assert list(types) == list(lines(folder / "metadata.jsonl")[0])
    assert types | {"width": "sc:Integer", "cost": "sc:Float", "local": "sc:Boolean"} == types
    assert types["date"] == "sc:DateTime"


def test_a_picture_that_is_not_here_is_no_data(session, tmp_path):
    study = session.gallery(session.generate("a fox"))
    [sample] = study.samples
    picture = sample.picture
    away = MissingPicture(b"", picture.media_type, picture.recipe, digest=picture.sha256, pixels=(96, 64))
    study._pictures = [away]
    with pytest.raises(StoreError, match="git lfs pull"):
        study.to_dataset(tmp_path / "data")


def test_a_key_in_a_prompt_is_in_no_file(tmp_path):
    session = Session(engine=drawing, environ={"BELUGA_API_KEY": KEY}, folder=tmp_path)
    session.generate("a hen")
    result = session.generate("a fox")
    prompt = replace(result.request, prompt=f"a fox {KEY}")
    study = session.gallery(result)
    study._pictures = [replace(result.pictures[0], recipe=replace(result.recipe, request=prompt))]
    for write in (study.to_dataset, study.report):
        write(tmp_path / "out")
    assert all(KEY.encode() not in data for data in written(tmp_path / "out").values())
