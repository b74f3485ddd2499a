"""`python -m beluga_nb ballot`: fifty voters at once, and a page that is killed while they vote."""

import http.client
import json
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from contextlib import contextmanager
from urllib.parse import urlsplit

import nbformat
import pytest
from conftest import drawing
from kernels import clean_environment

from beluga_nb.session.session import Session
from beluga_nb.store.votes import votes
from beluga_nb.terminal.ballot import main

MODELS = ("flux-2.0", "gpt-image-2", "seedream-4.5")
VOTERS = 50


@pytest.fixture
def session(tmp_path):
    """A session whose folder has a saved notebook that shows two prompts by three models."""
    session = Session(engine=drawing, environ={}, folder=tmp_path)
    grid = session.grid("a {{animal}}", animal=["fox", "cat"], model=MODELS)
    grid.run()
    shown = {"text/plain": grid._repr_mimebundle_()["text/plain"]}
    cell = nbformat.v4.new_code_cell("grid", outputs=[nbformat.v4.new_output("display_data", data=shown)])
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), tmp_path / "study.ipynb")
    return session


@contextmanager
def serving(folder, *options):
    """Run the command; yield it and the first address in what it prints."""
    words = [sys.executable, "-m", "beluga_nb", "ballot", "study.ipynb", "--port", "0", *options]
    with subprocess.Popen(
        words, cwd=folder, env=clean_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline()
            yield process, line.removeprefix("Voting page: ").strip()
        finally:
            process.kill()


class Voter:
    """A voter with a connection of their own, who knows how many votes the page has confirmed."""

    def __init__(self, url, name):
        place = urlsplit(url)
        self.connection = http.client.HTTPConnection(place.hostname, place.port, timeout=120)
        self.name, self.root, self.done = name, "", 0

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body)
        self.connection.request(
            "POST" if body else "GET",
            self.root + path,
            data,
            {"content-type": "application/json"} if body else {},
        )
        return self.connection.getresponse().read()

    def vote(self, most, counted=lambda: None):
        """Vote until all is compared, or nobody answers any more."""
        try:
            self.root = json.loads(self.ask("/begin", {"voter": self.name}))["page"]
            state = json.loads(self.ask("/state"))
            assert {len(self.ask(f"/p/{state[side]}")) for side in ("left", "right")} == {320_000}
            while state["stage"] == "vote" and self.done < most:
                answer = {"question": state["question"], "answer": "tie", "seconds": 1}
                state = json.loads(self.ask("/answer", answer))
                self.done = state["done"]
                counted()
        except (OSError, http.client.HTTPException):
            pass
        finally:
            self.connection.close()


def vote_at_once(url, *, then=lambda: None, most=6, after=0):
    voters = [Voter(url, f"voter {number}") for number in range(VOTERS)]
    enough, counts = threading.Event(), iter(range(1, 10_000))
    threads = [
        threading.Thread(target=voter.vote, args=[most, lambda: next(counts) >= after and enough.set()])
        for voter in voters
    ]
    for thread in threads:
        thread.start()
    if after:
        enough.wait(120)
    then()
    for thread in threads:
        thread.join(120)
    return {voter.name: voter.done for voter in voters}


def test_fifty_voters_at_once_lose_no_vote_when_the_page_is_killed(session, tmp_path):
    store = session.store.open()
    with serving(tmp_path) as (process, url):
        confirmed = vote_at_once(url, then=process.kill, after=60)
    kept = Counter(vote.voter for vote in votes(store))
    assert confirmed.keys() == {f"voter {number}" for number in range(VOTERS)}
    assert 60 <= sum(confirmed.values()) < 6 * VOTERS
    for voter, count in confirmed.items():
        assert count <= kept[voter] <= count + 1, voter  # the last one may be unconfirmed

    with serving(tmp_path) as (_, url):
        assert set(vote_at_once(url).values()) == {6}
    cast = votes(store)
    pairs = Counter((vote.voter, frozenset({vote.left, vote.right})) for vote in cast)
    assert len(cast) == len(pairs) == 6 * VOTERS


def test_the_command_says_that_the_vote_has_closed_and_why(session, tmp_path):
    del session
    with serving(tmp_path, "--close-after", "2") as (process, url):
        Voter(url, "Ada").vote(6)
        assert process.stdout.readline().startswith("Ctrl-C ends it")
        assert process.stdout.readline() == (
            "The vote is closed: it was to end after 2 votes. It has 2 votes.\n"
        )


@pytest.mark.posix
def test_the_command_prints_the_link_and_ends_with_ctrl_c(session, tmp_path):
    (tmp_path / "consent.txt").write_text("Science, <em>agreed</em>?")
    with serving(tmp_path, "--consent", "consent.txt", "--question", "Which is cosier?") as (process, url):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", url)
        page = Voter(url, "Ada")
        html = page.ask("/").decode()
        page.vote(2)
        process.send_signal(signal.SIGINT)
        process.wait(60)
        out, err = process.stdout.read(), process.stderr.read()
    assert (process.returncode, err) == (0, "")
    assert out.splitlines() == [
        "Ctrl-C ends it; votes are in the store as they are cast.",
        "2 votes on these pictures.",
    ]
    assert "Science, &lt;em&gt;agreed&lt;/em&gt;?" in html
    assert "Which is cosier?" in html
    assert {vote.voter for vote in votes(session.store.open())} == {"Ada"}


def test_invited_voters_have_their_links_in_a_file(session, tmp_path):
    del session
    with serving(tmp_path, "--voters", "3", "--links", "links.csv") as (_, where):
        assert where == f"3 links in {tmp_path / 'links.csv'}"
        assert len((tmp_path / "links.csv").read_text().splitlines()) == 4


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["none.ipynb"], "none.ipynb cannot be read"),
        (["study.ipynb", "--by", "modle"], "Did you mean 'model'?"),
        (["study.ipynb", "--host", "192.0.2.1"], "needs a link for each voter"),
    ],
)
def test_what_cannot_be_served_is_two_lines(session, tmp_path, monkeypatch, capsys, words, says):
    del session
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert (out, len(err.splitlines())) == ("", 2)
    assert says in err
