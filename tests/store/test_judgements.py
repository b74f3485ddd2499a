"""Scores and votes in the store: what is kept, what merges, and what goes with a forgotten picture."""

import json
import shutil
import zipfile
from dataclasses import replace

import pytest
from stores import everything, notebook, record

from beluga_nb.errors import StoreError
from beluga_nb.store.forget import choose, forget
from beluga_nb.store.format import RECORDS
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.scores import SCORES, Score, asked_of, read, write
from beluga_nb.store.unpack import unpack
from beluga_nb.store.verify import verify
from beluga_nb.store.votes import Box, Vote, exclusions, votes


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def foxes(store):
    """Three pictures of one run, and one of another."""
    return (*record(store, "a fox", n=3).pictures, *record(store, "a cat").pictures)


def box(store, voter="", at=1_764_000_000):
    return Box(store, voter, clock=lambda: at)


def score(picture, value=0.5, **options):
    return Score(**{"image": picture.sha256, "metric": "sharpness", "version": "1", "value": value} | options)


def test_a_score_is_read_by_picture_metric_and_version(store, foxes):
    write(store, score(foxes[0], 12.25))
    how = {"metric": "sharpness", "version": "1"}
    assert read(store, foxes[0].sha256, **how).value == 12.25
    assert read(store, foxes[1].sha256, **how) is None
    assert read(store, foxes[0].sha256, metric="sharpness", version="2") is None
    assert read(store, foxes[0].sha256, metric="contrast", version="1") is None
    assert read(store, foxes[0].sha256, **how, asked=asked_of(foxes[0].recipe)) is None


def test_the_format_of_a_score_is_frozen(store):
    image = "77610d44" * 8
    write(store, Score(image=image, metric="sharpness", version="1", value=0.5))
    [path] = store.folder.glob("scores/*/*")
    assert path.parent.name + "/" + path.name == (
        "8b/8b4a7544aa7a7d32ccaa48ee9c9623f2655e4d9c8d392006cd3f3bcf8ef813f1.json"
    )
    assert json.loads(path.read_bytes()) == {
        "schema": 1,
        "image": image,
        "metric": "sharpness",
        "version": "1",
        "asked": "",
        "value": 0.5,
    }


@pytest.mark.parametrize("junk", ["", "{}", "[" * 100_000, '{"schema": 9}', "NaN"])
def test_a_damaged_score_is_measured_again_and_named_by_verify(store, foxes, junk):
    write(store, score(foxes[0]))
    path = SCORES.path(store, score(foxes[0]).name)
    path.write_text(junk)
    assert read(store, foxes[0].sha256, metric="sharpness", version="1") is None
    [problem] = verify(store).problems
    assert problem.startswith(f"scores/{path.parent.name}/{path.name}: it ")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "true", '"1"', "null"])
def test_what_is_no_number_is_no_score(store, foxes, value):
    write(store, score(foxes[0]))
    path = SCORES.path(store, score(foxes[0]).name)
    path.write_text(path.read_text().replace("0.5", value))
    assert read(store, foxes[0].sha256, metric="sharpness", version="1") is None


def test_a_score_of_another_picture_is_not_believed(store, foxes):
    write(store, score(foxes[0]))
    write(store, score(foxes[1]))
    one, other = (SCORES.path(store, score(each).name) for each in foxes[:2])
    shutil.copy(one, other)
    assert read(store, foxes[1].sha256, metric="sharpness", version="1") is None
    assert len(verify(store).problems) == 1


def test_a_vote_is_a_line_that_names_pictures_and_no_model(store, foxes):
    one, other = foxes[:2]
    vote = box(store, "Ada").cast(left=one.sha256, right=other.sha256, answer="left")
    assert votes(store) == [vote]
    [path] = store.folder.glob("votes/*")
    assert path.name.startswith("2025-11-24T16-00-00Z-")
    assert json.loads(path.read_bytes()) == {
        "schema": 1,
        "id": vote.id,
        "left": one.sha256,
        "right": other.sha256,
        "answer": "left",
        "voter": "Ada",
        "time": 1_764_000_000,
    }


def test_a_vote_also_keeps_its_criterion_and_how_long_it_took(store, foxes):
    one, other = (each.sha256 for each in foxes[:2])
    asked = Box(store, "Ada", "fits the prompt", clock=lambda: 1_764_000_000)
    vote = asked.cast(left=one, right=other, answer="left", seconds=2.345)
    assert votes(store) == [vote]
    line = json.loads(asked.path.read_bytes())
    assert (line["criterion"], line["seconds"]) == ("fits the prompt", 2.3)


OLD = (
    b'{"answer":"left","id":"0123456789abcdef0123456789abcdef","left":"%s","right":"%s",'
    b'"schema":1,"time":1764000000,"voter":"Ada"}\n' % (b"a" * 64, b"b" * 64)
)


def test_a_vote_that_was_recorded_before_reads_and_keeps_its_bytes(store, foxes):
    store.add_line(store.folder / "votes/old.jsonl", OLD)
    [vote] = votes(store)
    assert vote == Vote(
        id="0123456789abcdef" * 2,
        left="a" * 64,
        right="b" * 64,
        answer="left",
        voter="Ada",
        time=1_764_000_000,
    )
    assert vote.to_line() == OLD


def test_an_excluded_voter_and_the_reason_are_kept_until_the_exclusion_is_taken_back(store, foxes):
    one, other = (each.sha256 for each in foxes[:2])
    vote = box(store, "Bob").cast(left=one, right=other, answer="left")
    box(store, "Bob").exclude("asleep")
    box(store, "Bob", at=1_764_000_001).exclude("pressed one key")
    assert exclusions(store)["Bob"].reason == "pressed one key"
    assert votes(store) == [vote]
    assert verify(store).fine
    for _ in range(2):
        box(store, "Bob").undo(exclusions(store)["Bob"])
    assert exclusions(store) == {}


@pytest.mark.parametrize("field", ["excluded", "id", "reason", "time"])
def test_a_damaged_exclusion_is_named_by_verify(store, foxes, field):
    mine = box(store, "Bob")
    mine.exclude("asleep")
    line = json.loads(mine.path.read_bytes())
    mine.path.write_text(json.dumps(line | {field: None}) + "\n")
    assert exclusions(store) == {}
    assert verify(store).problems == (f"votes/{mine.path.name}, line 1: it is damaged (TypeError)",)


def test_forgetting_everything_forgets_exclusions_and_nothing_less_does(store, foxes):
    box(store, "Bob").cast(left=foxes[0].sha256, right=foxes[1].sha256, answer="left")
    box(store, "Bob").exclude("asleep")
    forget(store, choose(store, prompt="fox"))
    assert votes(store) == []
    assert list(exclusions(store)) == ["Bob"]
    forget(store, choose(store, everything=True))
    assert not list(store.folder.glob("votes/*"))


def test_a_file_of_votes_is_only_added_to(store, foxes):
    one, other = foxes[:2]
    mine = box(store)
    first = mine.cast(left=one.sha256, right=other.sha256, answer="tie")
    before = mine.path.read_bytes()
    second = mine.cast(left=one.sha256, right=other.sha256, answer="both bad")
    mine.undo(first)
    assert mine.path.read_bytes().startswith(before)
    assert votes(store) == [second]


def test_votes_of_several_people_and_branches_merge(store, foxes, tmp_path):
    one, other, third = (each.sha256 for each in foxes[:3])
    first = box(store, "Ada", at=30).cast(left=one, right=other, answer="left")
    branch = Store(tmp_path / "branch")
    shutil.copytree(store.folder, branch.folder)
    second = box(branch, "Bo", at=10).cast(left=third, right=other, answer="right")
    shutil.copytree(branch.folder, store.folder, dirs_exist_ok=True)
    shutil.copy(next(store.folder.glob("votes/1970-01-01T00-00-30Z-*")), store.folder / "votes/copy.jsonl")
    assert votes(store) == [second, first]


def test_a_line_that_was_cut_off_spoils_no_other(store, foxes):
    one, other = (each.sha256 for each in foxes[:2])
    mine = box(store)
    first = mine.cast(left=one, right=other, answer="left")
    with mine.path.open("ab") as file:
        file.write(b'{"schema":1,"id":"')
    second = mine.cast(left=one, right=other, answer="right")
    assert {each.id for each in votes(store)} == {first.id, second.id}
    assert verify(store).problems == (f"votes/{mine.path.name}, line 2: it is damaged (JSONDecodeError)",)


def test_a_store_that_cannot_be_written_says_what_is_not_kept(tmp_path, foxes):
    (tmp_path / "file").write_text("no folder")
    nowhere = Store(tmp_path / "file")
    with pytest.raises(StoreError, match=r"^Scores cannot be recorded: .*\nRepair the folder"):
        write(nowhere, score(foxes[0]))
    with pytest.raises(StoreError, match=r"^Votes cannot be recorded: .*\nRepair the folder"):
        box(nowhere).cast(left=foxes[0].sha256, right=foxes[1].sha256, answer="tie")


@pytest.mark.posix
def test_votes_that_a_link_leads_out_of_the_store_are_not_followed(store, foxes, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (store.folder / "votes").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match="leads out of the store"):
        box(store).cast(left=foxes[0].sha256, right=foxes[1].sha256, answer="tie")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_forgotten_picture_takes_its_scores_and_votes_along(store, foxes):
    fox, cat = foxes[0], foxes[3]
    for picture in (fox, cat):
        write(store, score(picture))
    mine, alone = box(store), box(store)
    kept = mine.cast(left=cat.sha256, right="c" * 64, answer="left")
    mine.cast(left=cat.sha256, right=fox.sha256, answer="left")
    alone.undo(alone.cast(left=foxes[1].sha256, right=fox.sha256, answer="tie"))
    forget(store, choose(store, prompt="fox"))
    assert [each.image for each in SCORES.values(store)] == [cat.sha256]
    assert votes(store) == [kept]
    assert not alone.path.exists()
    assert fox.sha256 not in str(everything(store.folder))
    assert verify(store).fine


def test_a_picture_that_another_run_has_keeps_its_scores_and_votes(store, foxes):
    fox = foxes[0]
    twin = replace(fox, recipe=replace(fox.recipe, request=replace(fox.recipe.request, prompt="a vixen")))
    store.write(twin, fox.preview, provider="wire")
    write(store, score(fox))
    vote = box(store).cast(left=fox.sha256, right=foxes[3].sha256, answer="tie")
    forget(store, choose(store, prompt="vixen"))
    assert read(store, fox.sha256, metric="sharpness", version="1").value == 0.5
    assert votes(store) == [vote]


def test_forgetting_everything_forgets_the_marks_of_unrecorded_pictures(store, foxes):
    write(store, Score(image="d" * 64, metric="m", version="1", value=1))
    box(store).cast(left="d" * 64, right="e" * 64, answer="left")
    assert [name for name in verify(store).unnamed if name.startswith("scores/")]
    forget(store, choose(store, everything=True))
    assert not list(store.folder.glob("scores/*/*"))
    assert not list(store.folder.glob("votes/*"))


def test_a_vote_that_is_cast_while_another_is_forgotten_is_kept(store, foxes):
    """What is blanked stays where it stands, so that who writes at the end writes at the end."""
    fox, cat = foxes[0].sha256, foxes[3].sha256
    mine = box(store)
    mine.cast(left=cat, right="c" * 64, answer="left")
    mine.cast(left=fox, right=cat, answer="left")
    size = mine.path.stat().st_size
    forget(store, choose(store, prompt="fox"))
    assert mine.path.stat().st_size == size
    mine.cast(left=cat, right="d" * 64, answer="right")
    assert sorted(vote.answer for vote in votes(store)) == ["left", "right"]


@pytest.fixture
def judged(store, foxes, tmp_path):
    """A notebook of the cat alone; scores of all; votes on them, on another, and taken back."""
    shown = notebook(tmp_path / "cats.ipynb", record(store, "cats", n=2))
    cats = [entry.image.sha256 for entry in RECORDS.values(store) if entry.request.prompt == "cats"]
    write(store, score(foxes[0]))
    for name in cats:
        write(store, Score(image=name, metric="sharpness", version="1", value=3))
    vote = box(store, "Ada").cast(left=cats[0], right=cats[1], answer="left")
    box(store).cast(left=cats[0], right=foxes[0].sha256, answer="left")
    mine = box(store)
    mine.undo(mine.cast(left=cats[0], right=cats[1], answer="tie"))
    return shown, vote


def test_a_pack_holds_the_scores_and_votes_of_its_pictures_alone(store, judged, foxes, tmp_path):
    shown, vote = judged
    sent = pack(store, shown)
    there = Store(tmp_path / "there" / "beluga_store")
    unpack(sent.path, there, into=tmp_path / "there")
    assert votes(there) == [vote]
    assert len(list(SCORES.values(there))) == 2
    assert foxes[0].sha256 not in str(everything(there.folder))
    assert verify(there).fine
    # Unpacked where it came from, a vote counts once.
    unpack(sent.path, store, into=tmp_path)
    assert votes(store).count(vote) == 1
    again = pack(there, tmp_path / "there" / "cats.ipynb", tmp_path / "again.zip")
    assert again.path.read_bytes() == sent.path.read_bytes()


def test_a_pack_holds_the_exclusions_of_its_voters_alone(store, judged, tmp_path):
    shown, vote = judged
    for voter in ("Ada", "Bob"):
        box(store, voter).exclude("asleep")
    sent = pack(store, shown)
    there = Store(tmp_path / "there" / "beluga_store")
    unpack(sent.path, there, into=tmp_path / "there")
    assert votes(there) == [vote]
    assert list(exclusions(there)) == ["Ada"]
    assert verify(there).fine


def test_a_score_that_is_there_already_stays_as_it_is(store, judged, tmp_path):
    shown, _ = judged
    sent = pack(store, shown)
    cat = next(each for each in SCORES.values(store) if each.value == 3)
    write(store, replace(cat, value=4))
    unpack(sent.path, store, into=tmp_path)
    assert read(store, cat.image, metric="sharpness", version="1").value == 4


@pytest.mark.parametrize("room", ["scores", "votes"])
def test_a_pack_with_judgements_of_other_pictures_is_refused(store, judged, foxes, tmp_path, room):
    shown, _ = judged
    with zipfile.ZipFile(pack(store, shown).path) as zipped:
        files = {info.filename: zipped.read(info) for info in zipped.infolist()}
    if room == "scores":
        path = SCORES.path(store, score(foxes[0]).name)
        files[f"beluga_store/scores/{path.parent.name}/{path.name}"] = path.read_bytes()
        found = "its scores are of other pictures"
    else:
        [name] = [each for each in files if "/votes/" in each]
        files[name] += b"\n"
        found = "does not hold what its name says"
    with zipfile.ZipFile(tmp_path / "changed.zip", "w") as zipped:
        for name, data in files.items():
            zipped.writestr(name, data)
    with pytest.raises(StoreError, match=found):
        unpack(tmp_path / "changed.zip", Store(tmp_path / "new"), into=tmp_path / "new")
    assert not (tmp_path / "new").exists()
