"""Scores, near-duplicates, votes and rankings of a session's pictures, and of anything that has samples."""

import base64
import multiprocessing
import os
import re
import threading
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace

import nbformat
import pytest
from conftest import drawing
from kernels import Kernel
from nbconvert import LatexExporter

from beluga_nb.compare.agreement import Share
from beluga_nb.compare.gallery import Evaluable
from beluga_nb.compare.sample import Sample
from beluga_nb.errors import RequestError, StoreError, UnknownNameError
from beluga_nb.result import MissingPicture
from beluga_nb.session.session import Session
from beluga_nb.show.scores import scores_head, scores_rows
from beluga_nb.store.votes import Box, votes

MODELS = ("flux-2.0", "gpt-image-2", "seedream-4.5")


@pytest.fixture
def open_session(tmp_path):
    def opened(**options):
        return Session(engine=drawing, environ={}, folder=tmp_path, **options)

    return opened


@pytest.fixture
def session(open_session):
    return open_session()


def foxes(session):
    return session.gallery(
        *(session.generate(f"a {animal}", model=model, n=2) for animal in ("fox", "cat") for model in MODELS)
    )


class Counted:
    """A metric that knows how often it was asked."""

    def __init__(self, of=lambda image: image.width):
        self.of, self.calls = of, 0

    def __call__(self, image):
        self.calls += 1
        return self.of(image)


def test_any_function_of_an_image_is_a_metric_and_is_asked_once_for_each_picture(session):
    width = Counted()
    scores = foxes(session).score("width", width)
    assert list(scores) == [96] * 12
    assert (scores.name, scores.version, width.calls) == ("width", "1", 12)
    assert list(foxes(session).score("width", width)) == [96] * 12
    assert width.calls == 12


@pytest.mark.parametrize("n", [1, 2])
def test_a_score_names_the_number_of_its_picture_where_a_cell_has_several(session, n):
    pictures = session.gallery(
        *(session.generate(f"a {each}", model="flux-2.0", n=n) for each in ("fox", "cat"))
    )
    scores = pictures.score("width", Counted())
    head = scores_head(scores)
    assert ("number" in head) == (n > 1)
    assert {len(row) for row in scores_rows(scores)} == {len(head)}


def test_scores_replay_without_the_metric_and_in_another_session(session, open_session):
    foxes(session).score("clip", lambda _: 0.25, version="ViT-B/32")
    reading = open_session(mode="replay")
    before = sorted(reading.store.open().folder.rglob("*"))

    def torch_is_not_here(image):
        raise ModuleNotFoundError("torch")

    for metric in (torch_is_not_here, None):
        assert list(foxes(reading).score("clip", metric, version="ViT-B/32")) == [0.25] * 12
    assert sorted(reading.store.open().folder.rglob("*")) == before


def test_another_version_is_measured_anew_and_the_old_one_stays(session):
    width = Counted()
    foxes(session).score("width", width)
    foxes(session).score("width", width, version="2")
    assert width.calls == 24
    assert foxes(session).score("width", version="1")[0] == 96


def test_without_a_function_what_is_not_recorded_is_an_error_that_counts(session):
    with pytest.raises(RequestError) as caught:
        foxes(session).score("clip")
    assert caught.value.message == "No score 'clip' of version 1 is recorded for 12 of 12 pictures."
    assert caught.value.hint == "Give the function that measures it: score(name, function)."


def test_a_built_in_score_that_is_misspelt_is_reported(session):
    with pytest.raises(RequestError) as caught:
        session.gallery(session.generate("a fox")).score("sharpnes")
    assert caught.value.message == "No score 'sharpnes' of version 1 is recorded for 1 of 1 picture."
    assert caught.value.hint.startswith("Did you mean 'sharpness'? Give the function")


def test_a_gallery_as_a_value_shows_its_pictures(session):
    result = session.generate("a fox", n=2)
    gallery = session.gallery(result, session.generate("an owl"))
    assert repr(gallery) == "<Gallery of 3 pictures>"
    shown = gallery._repr_mimebundle_()
    assert shown["text/html"].count("<img") == 3
    assert {"image/png", "image/jpeg"} & shown.keys()
    assert all(picture.sha256 in shown["text/plain"] for picture in result.pictures)


@pytest.mark.parametrize("wrong", [3, "fox", ["fox"]])
def test_a_gallery_of_what_is_no_result_says_what_it_takes(session, wrong):
    words = f"A gallery is made of results, and this is of the type {type(wrong).__name__}."
    with pytest.raises(RequestError, match=re.escape(words)):
        session.gallery(wrong)


def test_a_metric_may_look_at_the_recipe_and_is_kept_for_that_recipe(session):
    def length(image, recipe):
        return len(recipe.request.prompt)

    assert set(foxes(session).score("length", length)) == {5}
    assert list(foxes(session).score("length")) == [5] * 12
    [whale] = session.gallery(session.generate("a whale", model="flux-2.0")).score("length", length)
    assert whale == 7


def test_an_exception_stays_with_its_picture_and_is_not_recorded(session):
    failing = Counted(lambda image: 1 / (image.getpixel((95, 63))[2] % 2))
    scores = foxes(session).score("odd", failing)
    failed = [row for row in scores.rows if row.value is None]
    assert 0 < len(failed) < 12
    assert all(isinstance(row.error, ZeroDivisionError) for row in failed)
    assert scores.errors == failed
    found = scores._repr_mimebundle_()["text/plain"]
    assert "ZeroDivisionError: division by zero" in found
    assert f"{len(failed)} of 12 failed." in found
    foxes(session).score("odd", failing)
    assert failing.calls == 12 + len(failed)


def test_what_is_no_number_stays_with_its_picture(session):
    [score, *_] = foxes(session).score("words", lambda _: "sharp").rows
    assert score.error.message == "The metric gave str 'sharp', which is not a number."


def test_what_is_built_in_needs_no_function_and_does_not_mix_with_ones_own(session):
    gallery = foxes(session)
    for name in ("sharpness", "colourfulness", "contrast", "brightness"):
        assert gallery.score(name).version == "built-in 1"
    assert list(gallery.score("sharpness", lambda _: 7)) == [7] * 12
    assert gallery.score("sharpness")[0] != 7


def test_the_mode_says_whether_scores_are_read_and_written(session, open_session):
    foxes(session).score("width", Counted())
    for mode, calls in (("auto", 0), ("replay", 0), ("off", 12)):
        width = Counted()
        recalled = (session.store.recall(run.name) for run in session.store.history().runs)
        gallery = open_session(mode=mode).gallery(*recalled)
        gallery.score("width", width)
        assert (mode, width.calls) == (mode, calls)


def test_a_store_that_cannot_be_written_costs_one_line(session, messages, monkeypatch):
    gallery = foxes(session)
    session.resources.notify = messages.append
    monkeypatch.setattr("beluga_nb.store.files.write", lambda *_, **__: exec_error())
    assert list(gallery.score("width", Counted())) == [96] * 12
    assert len(messages) == 1
    assert messages[0].startswith("Scores cannot be recorded: ")


def exec_error():
    raise OSError(28, "No space left on device")


def test_a_picture_that_git_lfs_has_not_fetched_replays_and_is_not_measured(session):
    gallery = foxes(session)
    samples = gallery.samples
    gallery.score("width", Counted())
    away = [replace_bytes(sample) for sample in samples]
    assert list(Study(away, session).score("width")) == [96] * 12
    scores = Study(away, session).score("sharpness")
    assert {type(row.error) for row in scores.rows} == {StoreError}


def replace_bytes(sample):
    picture = sample.picture
    absent = MissingPicture(
        b"pointer",
        picture.media_type,
        picture.recipe,
        picture.preview,
        digest=picture.sha256,
        pixels=(96, 64),
    )
    return replace(sample, picture=absent)


class Study(Evaluable):
    """Whatever has samples: five lines."""

    def __init__(self, samples, session):
        self._samples, self._runner = samples, session.gallery()._runner

    @property
    def samples(self):
        return self._samples


def test_whatever_has_samples_can_be_judged(session):
    pictures = foxes(session).samples
    styled = [
        Sample(labels={"style": style}, number=0, picture=sample.picture)
        for style, sample in zip(("oil", "ink"), pictures, strict=False)
    ]
    study = Study(styled, session)
    means = study.score("sharpness").mean(by="style")
    assert set(means) == {"oil", "ink"}
    assert means.spreads == {}, "single pictures have none"
    assert study.ranking(by="style").names == ["ink", "oil"]
    with pytest.raises(UnknownNameError, match="model"):
        study.ranking(by="model")


def spawned():
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


@pytest.mark.parametrize("pool", [spawned, lambda: ThreadPoolExecutor(2)], ids=["processes", "threads"])
def test_pictures_are_measured_on_any_executor_in_order_and_it_stays_open(session, pool):
    from dots import failing, red, where

    gallery = foxes(session)
    here = [image.convert("RGB").resize((1, 1)).getpixel((0, 0))[0] for image in gallery.map(lambda i: i)]
    with pool() as executor:
        assert list(gallery.score("red", red, executor=executor, in_flight=3)) == here
        assert gallery.map(red, executor=executor) == here
        assert gallery.map(failing, executor=executor) == [96] * 12
        assert {os.getpid()} != set(gallery.map(where, executor=executor)) or isinstance(
            executor, ThreadPoolExecutor
        )
        assert executor.submit(os.getpid).result()


def test_map_raises_what_the_function_raises_and_says_for_which_picture(session):
    with pytest.raises(ZeroDivisionError) as caught:
        foxes(session).map(lambda _: 1 / 0)
    assert caught.value.__notes__ == ["It was raised for a fox · flux-2.0 · number 0."]


@pytest.mark.whole
def test_pictures_are_measured_on_two_workers_of_a_dask_cluster(session):
    """Every check measures on two such workers in `compare/test_cluster.py`."""
    from dask.distributed import Client, LocalCluster
    from dots import red, where

    gallery = foxes(session)
    here = gallery.map(red)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=":0") as cluster,
        Client(cluster) as client,
    ):
        client.wait_for_workers(2)
        assert list(gallery.score("red", red, executor=client, in_flight=4)) == here
        assert gallery.map(red, executor=client) == here
        workers = set(gallery.map(where, executor=client))
        assert len(workers) == 2
        assert os.getpid() not in workers
        # A function of the notebook's own is sent along, and nothing was shut down.
        local = Counted(lambda image: image.height)
        assert list(gallery.score("height", local.of, executor=client)) == [64] * 12
        assert client.status == "running"
        assert len(client.scheduler_info()["workers"]) == 2


def test_an_interrupt_keeps_what_was_measured_and_cancels_the_rest(session):
    gallery, seen = foxes(session), []

    def stopped(image):
        seen.append(image)
        if len(seen) == 4:
            raise KeyboardInterrupt
        return 1

    with pytest.raises(KeyboardInterrupt):
        gallery.score("slow", stopped)
    again = Counted(lambda _: 1)
    gallery.score("slow", again)
    assert again.calls == 9


def test_an_interrupt_while_an_executor_works_leaves_it_open(session):
    gallery, begun = foxes(session), threading.Event()

    def waiting(image):
        begun.set()
        raise KeyboardInterrupt  # what Stop raises in the thread that waits

    with ThreadPoolExecutor(1) as executor:
        with pytest.raises(KeyboardInterrupt):
            gallery.map(waiting, executor=executor, in_flight=2)
        assert begun.is_set()
        assert executor.submit(len, "abc").result() == 3


def test_what_cannot_be_sent_to_another_process_stays_with_its_picture(session):
    with spawned() as executor:
        scores = foxes(session).score("local", lambda _: 1, executor=executor)
        assert len(scores.errors) == 12
        assert "lambda" in str(scores.errors[0].error)  # Pythons differ in the other words


def test_a_score_needs_a_name_and_an_axis_that_is_there(session):
    with pytest.raises(RequestError, match="The score has no name"):
        foxes(session).score(" ", Counted())
    with pytest.raises(UnknownNameError, match="modle"):
        foxes(session).leaderboard("contrast", by="modle")


def test_where_nothing_differs_nobody_votes(session):
    with pytest.raises(RequestError) as caught:
        session.gallery(session.generate("a fox", model=MODELS[0], n=2)).vote()
    assert caught.value.message == "No two of these pictures differ in 'model' alone."


STOPPED = """
import threading
from concurrent.futures import ThreadPoolExecutor
import beluga_nb
pictures = beluga_nb.gallery(beluga_nb.generate("a fox", n=4))
pool, go_on, asked = ThreadPoolExecutor(1), threading.Event(), []
def waiting(image):
    asked.append(image)
    print("begun", flush=True)
    go_on.wait(60)
    return 1
"""


def test_stop_ends_a_cell_that_measures_on_an_executor_and_leaves_the_executor_open(tmp_path):
    with Kernel(tmp_path) as kernel:
        assert kernel.run(STOPPED).status == "ok"
        stopped = kernel.run(
            "pictures.score('slow', waiting, executor=pool, in_flight=3)", interrupt_when="begun"
        )
        assert stopped.status == "error"
        assert stopped.error[0].startswith("KeyboardInterrupt: ")
        assert stopped.error[1:] == ["Run it again: only what has no score is measured."]
        after = kernel.run("go_on.set(); print(pool.submit(len, 'abc').result(), len(asked))")
        assert after.stdout.endswith("3 1\n")  # the other two, which waited, were never begun


def test_near_duplicates_are_groups_of_pictures(session):
    twin = session.generate("a fox", model="flux-2.0")
    again = replace(
        twin.pictures[0], recipe=replace(twin.recipe, request=replace(twin.request, prompt="a vixen"))
    )
    gallery = session.gallery(twin, replace(twin, pictures=(again,)))
    [group] = gallery.duplicates(within=0)
    assert [row.labels["prompt"] for row in group] == ["a fox", "a vixen"]
    assert "a vixen" in gallery.duplicates()._repr_mimebundle_()["text/plain"]
    alone = session.gallery(twin).duplicates()
    assert (len(alone), alone._repr_mimebundle_()["text/plain"]) == (
        0,
        "No two pictures look nearly the same.",
    )


# --- votes


def booth(session, **options):
    """A booth whose clock always lets a second pass."""
    opened, ticks = foxes(session).vote(**options), iter(range(10_000))
    opened._clock, opened._shown_at = lambda: next(ticks), -1.0
    return opened


def typed(opened, keys):
    for key in keys:
        opened.keys.value = key


def test_a_damaged_pair_can_be_skipped_also_where_it_is_the_last(session):
    opened = booth(session, voter="Ada", seed=1)
    total = opened._voting.total

    def damaged(pair):
        raise StoreError("flux-2.0 is damaged.")

    opened._contest.samples_of = damaged
    opened._show()
    for left in range(total, 0, -1):
        assert opened._voting.total == left
        assert "A picture of this pair is damaged. Skip it." in opened.status.value
        assert [answer for answer, button in opened.buttons.items() if not button.disabled] == ["skip"]
        typed(opened, "1t")  # There is nothing to choose from.
        assert opened._voting.total == left
        typed(opened, "s")
    assert opened._voting.question is None
    assert "0 pairs" in opened.pictures.value
    assert opened._contest.cast() == []


def test_keys_and_buttons_vote_and_votes_are_records(session):
    opened = booth(session, voter="Ada", seed=1)
    typed(opened, "12")
    opened.buttons["tie"].click()
    opened.buttons["both bad"].click()
    cast = votes(session.store.open())
    assert sorted(vote.answer for vote in cast) == ["both bad", "left", "right", "tie"]
    assert {vote.voter for vote in cast} == {"Ada"}
    assert opened.status.value.count("4 of 12 compared") == 1
    assert foxes(session).ranking().votes == 3


def test_undo_takes_the_last_vote_back_and_shows_the_same_question(session):
    opened = booth(session, seed=2)
    first = opened.pictures.value
    assert opened.buttons["undo"].disabled
    typed(opened, "1")
    assert opened.pictures.value != first
    typed(opened, "u")
    assert opened.pictures.value == first
    assert votes(session.store.open()) == []
    typed(opened, "su")
    assert opened.pictures.value == first


def test_other_keys_do_nothing_and_capitals_count(session):
    opened = booth(session, seed=3)
    typed(opened, "x3 ?")
    assert votes(session.store.open()) == []
    typed(opened, "T")
    assert [vote.answer for vote in votes(session.store.open())] == ["tie"]
    assert opened.keys.value == ""


def test_a_key_that_is_held_down_votes_once(session):
    opened = foxes(session).vote(seed=4)
    opened._clock = lambda: 1000.0
    opened._shown_at = 0.0
    typed(opened, "1111")
    assert len(votes(session.store.open())) == 1


def test_a_session_ends_when_all_is_compared_and_a_new_one_asks_the_same_voter_nothing(session):
    opened = booth(session, voter="Ada", seed=5)
    typed(opened, "12" * 6)
    assert "That was all." in opened.pictures.value
    assert "You compared 12 pairs. In " in opened.pictures.value
    assert "Thank you, Ada." in opened.pictures.value
    assert not any(model in opened.pictures.value for model in MODELS)
    assert all(button.disabled for answer, button in opened.buttons.items() if answer not in {"undo", "zoom"})
    typed(opened, "1")
    assert len(votes(session.store.open())) == 12
    again = booth(session, voter="Ada")
    assert "That was all." in again.pictures.value
    assert "12 of 12 compared" in again.status.value
    assert "0 of 12 compared" in booth(session, voter="Bo").status.value


def test_a_vote_that_cannot_be_recorded_is_not_counted_and_says_so(session, monkeypatch):
    opened = booth(session, seed=6)
    first = opened.pictures.value
    monkeypatch.setattr("beluga_nb.store.files.add", lambda *_, **__: exec_error())
    typed(opened, "1")
    assert opened.pictures.value == first
    assert "Not recorded. Votes cannot be recorded: No space left on device" in opened.status.value


def test_after_the_reveal_nothing_is_changed(session):
    opened = booth(session, seed=7)
    typed(opened, "1")
    opened.reveal()
    typed(opened, "u2")
    assert len(votes(session.store.open())) == 1


def test_in_mode_replay_nobody_votes_and_the_ranking_is_the_same_to_the_byte(session, open_session):
    typed(booth(session, seed=8), "1212tb")
    shown = foxes(session).ranking()._repr_mimebundle_()
    reading = open_session(mode="replay")
    assert foxes(reading).vote()._repr_mimebundle_() == shown
    assert foxes(reading).ranking()._repr_mimebundle_() == shown


def test_votes_are_data_with_their_voter_and_time(session):
    typed(booth(session, seed=8), "12tb")
    found = foxes(session).votes()
    assert sorted(row.answer for row in found) == ["both bad", "left", "right", "tie"]
    assert {row.prompt for row in found} <= {(("prompt", "a fox"),), (("prompt", "a cat"),)}
    assert all(row.time > 1_500_000_000 for row in found)


def test_a_ranking_is_one_picture_where_no_html_is_shown(session, open_session):
    typed(booth(session, seed=3), "1" * 9)
    ranked = foxes(session).ranking(by="model")
    shown = ranked._repr_mimebundle_()
    assert base64.b64decode(shown["image/png"]) == ranked.plot.data
    assert "image/png" not in ranked._repr_mimebundle_(include=["text/plain"])
    cell = nbformat.v4.new_code_cell("r", outputs=[nbformat.v4.new_output("display_data", data=shown)])
    written, resources = LatexExporter().from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
    [figure] = resources["outputs"]
    assert resources["outputs"][figure] == ranked.plot.data
    assert figure in written
    # It is kept with the votes: another machine has other fonts.
    kept = foxes(open_session(mode="replay")).ranking(by="model").plot
    assert kept == ranked.plot
    assert ranked.plot.data in [path.read_bytes() for path in session.store.open().folder.rglob("*.png")]
    assert foxes(open_session(embed="none")).ranking(by="model").plot is None


def test_each_criterion_is_asked_about_and_ranked_by_itself(session, open_session):
    opened = booth(session, voter="Ada", seed=8, criterion="fits the <b>prompt</b>")
    assert ">Which is better: fits the &lt;b&gt;prompt&lt;/b&gt;?<" in opened.head.value
    typed(opened, "12tb")
    assert {vote.criterion for vote in votes(session.store.open())} == {"fits the <b>prompt</b>"}
    assert "0 of 12 compared" in booth(session, voter="Ada").status.value
    assert "4 of 12 compared" in booth(session, voter="Ada", criterion="fits the <b>prompt</b>").status.value
    assert foxes(session).ranking().votes == 0
    shown = foxes(session).ranking(criterion="fits the <b>prompt</b>")
    assert shown.votes == 3
    assert "<b>" not in shown._repr_mimebundle_()["text/html"]
    opened.reveal()
    assert opened._ended == shown._repr_mimebundle_()
    replayed = foxes(open_session(mode="replay")).vote(criterion="fits the <b>prompt</b>")
    assert replayed == shown
    per = foxes(session).rankings(per="criterion")
    assert list(per) == ["fits the <b>prompt</b>"]
    assert "<b>" not in per._repr_mimebundle_()["text/html"]


def test_repeated_pairs_show_how_consistent_a_voter_is_and_how_long_a_vote_took(session):
    opened = booth(session, voter="Ada", seed=5, repeats=3)
    typed(opened, "t" * 15)
    assert "Of 3 pairs that came again, you answered 3 as before." in opened.pictures.value
    found = foxes(session).votes()
    assert (found.repeated.count, found.repeated.of, len(found)) == (3, 3, 15)
    assert {row.seconds for row in found} == {1.0}


def test_a_voter_is_excluded_for_a_reason_and_included_again(session, open_session):
    typed(booth(session, voter="Ada", seed=5), "1" * 12)
    typed(booth(session, voter="Bob", seed=5), "2" * 12)
    gallery = foxes(session)
    for _ in range(2):  # a cell that is run again records nothing new
        gallery.exclude_voter("Bob", reason="pressed one key")
    assert len(list(session.store.open().folder.glob("votes/*"))) == 3
    assert gallery.ranking().votes == 12
    assert gallery.ranking().findings.endswith("12 votes by 1 excluded voter left out.")
    assert {row.excluded for row in gallery.votes() if row.voter == "Bob"} == {"pressed one key"}
    reading = foxes(open_session(mode="replay"))
    reading.exclude_voter("Bob", reason="pressed one key")
    with pytest.raises(RequestError, match='Mode "replay" records nothing'):
        reading.include_voter("Bob")
    gallery.include_voter("Bob")
    assert gallery.ranking().votes == 24
    with pytest.raises(UnknownNameError, match="Boob"):
        gallery.exclude_voter("Boob", reason="asleep")
    with pytest.raises(RequestError, match="has no reason"):
        gallery.exclude_voter("Bob", reason=" ")


def test_where_nothing_is_kept_nobody_votes(session, open_session):
    results = [session.generate("a fox", model=model) for model in MODELS]
    with pytest.raises(RequestError, match='Mode "off" keeps nothing'):
        open_session(mode="off").gallery(*results).vote()


def test_a_leaderboard_has_scores_beside_votes(session):
    typed(booth(session, seed=9), "1" * 12)
    gallery = foxes(session)
    board = gallery.leaderboard("contrast", gallery.score("width", Counted()))
    assert set(board.means) == {"contrast", "width"}
    assert set(board.means["width"].values()) == {96}
    found = board._repr_mimebundle_()
    assert "mean contrast" in found["text/plain"]
    assert "won against" in found["text/plain"]
    assert "mean width" in found["text/html"]


def test_scores_of_more_pictures_agree_as_those_of_the_same_pictures(session):
    grid = session.grid("a {{animal}}", animal=["fox", "cat"], model=MODELS[:2]).run()
    better = {"fox": MODELS[0], "cat": MODELS[1]}

    def is_better(_, recipe):
        return int(recipe.request.model == better[recipe.values["animal"]])

    scores = grid.score("better", is_better)
    left, right = (grid["cat", model].pictures[0].sha256 for model in MODELS[:2])
    Box(session.store.open(), "Ada").cast(left=left, right=right, answer="right")
    assert (
        grid.where(animal="cat").agreement(scores).same == grid.agreement(scores).same == Share(count=1, of=1)
    )
    assert grid.where(animal="fox").agreement(scores).same.of == 0


def test_what_is_shown_says_nothing_that_differs_between_two(session):
    """A caption is what both have in common, unless it names what is to be hidden."""
    results = [session.generate("as flux-2.0 would draw it", model=model) for model in MODELS[:2]]
    opened = session.gallery(*results).vote()
    assert "flux" not in opened.head.value
    assert "<figure" in opened.pictures.value
    styles = [session.generate(f"a fox in {style}", model="flux-2.0") for style in ("oil", "ink")]
    opened = session.gallery(*styles).vote(by="prompt")
    assert "oil" not in opened.head.value + opened.pictures.value.split("base64")[0]


def test_where_another_axis_will_be_judged_later_a_caption_tells_the_prompt_and_no_model(session):
    animals, styles, sizes = ["fox", "owl"], ["oil", "ink"], ["1:1", "16:9"]
    grid = session.grid(
        "a {{animal}} in {{style}}", animal=animals, style=styles, model=MODELS[:2], size=sizes
    )
    grid.run(assume_yes=True)
    for by, told in (
        ("style", ("fox", "owl")),
        ("animal", ("oil", "ink")),
        ("size", ("a fox in oil", "a fox in ink")),
    ):
        opened = grid.vote(by=by, seed=1)
        [caption] = re.findall(r'booth-caption">(.*?)</div>', opened.head.value)
        assert caption in {*told, *(each.replace("fox", "owl") for each in told)}, by


def test_a_question_stands_on_top_and_is_the_authors_own_if_they_want(session):
    assert ">Which fits the prompt better?<" in foxes(session).vote().head.value
    assert ">Which picture is better?<" in foxes(session).vote(by="prompt").head.value
    own = foxes(session).vote(question="Which <b> is cosier?").head.value
    assert ">Which &lt;b&gt; is cosier?<" in own


def test_a_click_on_a_picture_votes_for_it(session):
    opened = booth(session, seed=1)
    for face in opened.faces:
        face.click()
    assert sorted(vote.answer for vote in votes(session.store.open())) == ["left", "right"]


def test_z_zooms_both_pictures_and_the_next_ones_are_whole(session):
    opened = booth(session, seed=1)
    typed(opened, "z")
    assert "beluga-booth-zoomed" in opened.view._dom_classes
    typed(opened, "1")
    assert "beluga-booth-zoomed" not in opened.view._dom_classes


def test_a_voter_gives_a_name_in_the_booth_and_the_next_one_theirs(session):
    opened = booth(session, voter="Ada", seed=1)
    typed(opened, "12")
    opened.name.value = "Bo"
    assert "0 of 12 compared" in opened.status.value
    typed(opened, "t")
    opened.name.value = "Ada"
    assert "2 of 12 compared" in opened.status.value
    assert Counter(vote.voter for vote in votes(session.store.open())) == {"Ada": 2, "Bo": 1}


def test_two_booths_ask_one_voter_about_each_pair_once(session, open_session):
    one, other = booth(session, voter="Ada", seed=1), booth(open_session(), voter="Ada", seed=2)
    for _ in range(14):
        typed(one, "1")
        typed(other, "2")
    cast = votes(session.store.open())
    assert len({frozenset({vote.left, vote.right}) for vote in cast}) == len(cast) == 12
    assert "12 of 12 compared" in one.status.value
    assert "12 of 12 compared" in other.status.value


def test_the_ranking_stands_in_the_booths_own_place(session):
    """Voilà shows no update of what a cell has displayed."""
    opened = booth(session, seed=1)
    typed(opened, "1")
    opened.reveal()
    [shown] = opened.view.children
    assert shown.value == foxes(session).ranking()._repr_mimebundle_()["text/html"]


def test_local_previews_are_called_so_everywhere(tmp_path):
    local = Session(environ={}, folder=tmp_path)
    gallery = local.gallery(*(local.generate("a fox", model=model) for model in MODELS[:2]))
    for shown in (gallery.score("contrast"), gallery.ranking(), gallery.leaderboard("contrast")):
        for line in shown._repr_mimebundle_().values():
            assert "Local previews, not model output." in line
    assert "Local previews, not model output." in gallery.vote().status.value


def test_where_some_are_local_previews_no_side_is_called_one(session, tmp_path):
    local = Session(environ={}, folder=tmp_path / "local")
    mixed = session.gallery(
        session.generate("a fox", model=MODELS[0]), local.generate("a fox", model=MODELS[1])
    )
    opened = mixed.vote()
    assert "Some are local previews, not model output." in opened.status.value
    assert "preview" not in opened.head.value
    assert "preview" not in opened.pictures.value.split("base64")[0]
    assert "preview" not in foxes(session).ranking().note


def test_a_metric_may_give_several_numbers_and_each_is_scored(session, open_session):
    def parts(image):
        return {"width": image.width, "mean": 0.5}

    measured = foxes(session).score("of it", parts)
    for scores in (measured, foxes(open_session(mode="replay")).score("of it")):
        assert scores.parts == ["mean", "width"]
        assert list(scores) == [None] * 12
        assert scores.errors == []
        assert list(scores["width"]) == [96] * 12
        assert scores["width"].name == "of it width"
        means = scores["mean"].mean(by="model")
        assert means == dict.fromkeys(MODELS, 0.5)
        assert means.counts == dict.fromkeys(MODELS, 12 // len(MODELS))
        assert means.spreads == dict.fromkeys(MODELS, 0)
        with pytest.raises(RequestError, match="2 numbers for each picture"):
            scores.mean(by="model")
        with pytest.raises(RequestError, match="2 numbers for each picture"):
            scores.differences(by="model")
        with pytest.raises(UnknownNameError):
            scores["height"]
        head, first, *_ = scores._repr_mimebundle_()["text/plain"].splitlines()
        assert head.split()[-2:] == ["mean", "width"]
        assert first.split()[-2:] == ["0.5", "96"]


def test_a_metric_may_give_a_reason_which_is_kept_and_shown(session, open_session):
    measured = foxes(session).score("hat", lambda _: (0.25, "the hat\nis missing"))
    for scores in (measured, foxes(open_session(mode="replay")).score("hat")):
        assert list(scores) == [0.25] * 12
        assert {row.reason for row in scores.rows} == {"the hat is missing"}
        assert "0.25  the hat is missing" in scores._repr_mimebundle_()["text/plain"]


@pytest.mark.parametrize("value", [{}, {"a": "b"}, {1: 2}, (1, 2), ("1", "reason"), ["a", 1]])
def test_what_is_neither_a_number_nor_some_is_an_error_of_its_picture(value, session):
    scores = foxes(session).score("wrong", lambda _: value)
    assert {type(row.error) for row in scores.rows} == {RequestError}


class Widths:
    """A metric of several pictures at once, which writes down how many they were."""

    version, modules, batch_size = "of many", (), 5

    def __init__(self, problem=None):
        self.batches, self.problem = [], problem

    def __call__(self, image, recipe):
        raise AssertionError(f"one by one: {image}, {recipe}")

    def check(self):
        if self.problem:
            raise self.problem

    def batch(self, images, recipes):
        self.batches.append(len(images))
        return [(image.width, recipe.request.model) for image, recipe in zip(images, recipes, strict=True)]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_metric_of_batches_gets_several_pictures_at_once_and_names_its_version(workers, session):
    widths = Widths()
    with ThreadPoolExecutor(2) as pool:
        scores = foxes(session).score(
            "width", widths, executor=pool if workers else None, in_flight=workers or 1
        )
    assert list(scores) == [96] * 12
    assert [row.reason for row in scores.rows] == [row.labels["model"] for row in scores.rows]
    assert (scores.version, sorted(widths.batches)) == ("of many", [2, 5, 5])
    assert list(foxes(session).score("width", widths)) == [96] * 12
    assert list(foxes(session).score("width", version="of many")) == [96] * 12
    assert foxes(session).score("width", widths, version="2").version == "of many 2"
    assert len(widths.batches) == 6


def test_a_metric_that_cannot_measure_says_so_once_and_not_for_what_is_recorded(session):
    with pytest.raises(RequestError, match="no weights"):
        foxes(session).score("width", Widths(RequestError("There are no weights.", "Get some.")))
    foxes(session).score("width", Widths())
    assert list(foxes(session).score("width", Widths(RequestError("There are no weights.", "")))) == [96] * 12


def test_a_batch_that_fails_is_an_error_of_each_of_its_pictures(session):
    class Failing(Widths):
        def batch(self, images, recipes):
            raise MemoryError(f"{len(images)} of {len(recipes)}")

    scores = foxes(session).score("width", Failing())
    assert {str(row.error) for row in scores.rows} == {"5 of 5", "2 of 2"}
