"""The voting page: what reaches a browser, what becomes of answers, and who may call it."""

import http.client
import io
import json
import re
import socket
import stat
import subprocess
import sys
import threading
from collections import Counter
from contextlib import closing, contextmanager
from inspect import signature
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
from conftest import drawing
from kernels import clean_environment
from PIL import Image

from beluga_nb.commands.table import COMMANDS
from beluga_nb.compare.gallery import Evaluable
from beluga_nb.errors import SettingsError
from beluga_nb.session.session import Session
from beluga_nb.show.ballot import BallotPoll
from beluga_nb.show.template import read_template
from beluga_nb.store.votes import ANSWERS, Box, votes

MODELS = ("flux-2.0", "gpt-image-2", "seedream-4.5")


@pytest.fixture
def session(tmp_path):
    return Session(engine=drawing, environ={}, folder=tmp_path)


@pytest.fixture
def foxes(session):
    """Six pairs of pictures: two prompts, three models."""
    return session.gallery(
        *(session.generate(f"a {each}", model=model) for each in ("fox", "cat") for model in MODELS)
    )


@contextmanager
def opened(pictures, **options):
    page = pictures.ballot(**options)
    try:
        yield page
    finally:
        page.stop()


class Browser:
    """One voter, and all that has come from the page."""

    def __init__(self, page, url=""):
        place = urlsplit(url or page.url)
        self.place = place.hostname, place.port
        self.root = place.path.rstrip("/")
        self.heard = []

    def ask(self, path, body=None, *, method=None, root=None, **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if body is not None:
            headers = {"content-type": "application/json"} | headers
        url = (self.root if root is None else root) + path
        with closing(http.client.HTTPConnection(*self.place, timeout=60)) as connection:
            connection.request(method or ("GET" if body is None else "POST"), url, data, headers)
            answer = connection.getresponse()
            got = SimpleNamespace(
                status=answer.status, headers=answer.getheaders(), data=answer.read(), url=url
            )
        self.heard.append(got)
        return got

    def state(self):
        return json.loads(self.ask("/state").data)

    def begin(self, name=""):
        self.root = json.loads(self.ask("/begin", {"voter": name}).data)["page"]
        return self.state()

    def answer(self, state, answer="left", seconds=1.5):
        sent = {"question": state["question"], "answer": answer, "seconds": seconds}
        return json.loads(self.ask("/answer", sent).data)

    def picture(self, state, side):
        return self.ask(f"/p/{state[side]}")


def cast(session):
    return votes(session.store.open())


def all_of(browser, answers="left"):
    """Answer until the end."""
    state = browser.begin("Ada")
    while state["stage"] == "vote":
        state = browser.answer(state, answers)
    return state


# --- what the page tells


def test_nothing_that_reaches_the_browser_tells_which_is_which(session, foxes):
    with opened(foxes) as page:
        browser = Browser(page)
        for path in ("/", "/ballot.css", "/ballot.js", "/favicon.ico"):
            browser.ask(path, root="")
        state = browser.begin("Ada")
        shown = []
        while state["stage"] == "vote":
            browser.ask("")
            shown.append([browser.picture(state, side) for side in ("left", "right")])
            state = browser.answer(state, "tie")
        assert state["stage"] == "end"
    heard = "".join(
        f"{got.url}\n{got.headers}\n{got.data.decode('latin-1')}\n" for got in browser.heard
    ).lower()
    words = "".join(f"{got.url}{got.headers}" for got in browser.heard).lower()
    pictures = [sample.picture for sample in foxes.samples]
    for model in MODELS:
        assert model not in heard
        assert model.split("-")[0] not in words
    for picture in pictures:
        assert picture.sha256 not in heard
        assert picture.sha256[:12] not in heard
    for word in (
        "sha256",
        "beluga_store",
        ".png",
        ".jpg",
        "last-modified",
        "etag",
        "take",
        "engine",
        "drawing",
    ):
        assert word not in words
    for pair in shown:
        left, right = (Image.open(io.BytesIO(got.data)) for got in pair)
        assert left.size == right.size
        assert left.quantization == right.quantization
        assert len(pair[0].data) == len(pair[1].data)
        assert [name for name, _ in pair[0].headers] == [name for name, _ in pair[1].headers]
        differing = {
            name
            for (name, one), (_, other) in zip(*(got.headers for got in pair), strict=True)
            if one != other
        }
        assert differing <= {"date"}
        for image in (left, right):
            assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
            assert not image.getexif()
    assert len(shown) == 6
    assert len({len(got.data) for pair in shown for got in pair}) == 1


def test_names_of_pictures_are_random_and_of_one_question_and_one_voter(foxes):
    with opened(foxes) as page:
        ada, bo = Browser(page), Browser(page)
        seen = []
        for browser, name in ((ada, "Ada"), (bo, "Bo")):
            state = browser.begin(name)
            for _ in range(2):
                seen += [state["left"], state["right"], state["question"]]
                last, state = state, browser.answer(state)
            assert browser.picture(last, "left").status == 404
            assert browser.picture(state, "left").status == 200
        assert bo.ask(f"/p/{state['left']}", root=ada.root).status == 404
        assert len({*seen, ada.root, bo.root}) == len(seen) + 2
        assert all(len(name) >= 20 for name in (*seen, ada.root.rpartition("/")[2]))


def test_the_prompt_is_told_and_the_question_is_the_authors(foxes):
    with opened(foxes, question="Which <b> is cosier?", consent="Science & <i>you</i>.\nAgreed?") as page:
        browser = Browser(page)
        html = browser.ask("/").data.decode()
        assert html.count("Which &lt;b&gt; is cosier?") == 2
        assert "Science &amp; &lt;i&gt;you&lt;/i&gt;." in html
        assert browser.begin("Ada")["caption"] in {"a fox", "a cat"}


def test_the_page_has_a_strict_policy_and_keeps_it(foxes):
    with opened(foxes) as page:
        browser = Browser(page)
        got = browser.ask("/")
        headers = dict(got.headers)
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; ")
        assert "unsafe" not in policy
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cache-control"] == "private, no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert not any(name.startswith("access-control") for name in headers)
        assert "set-cookie" not in headers
    html = got.data.decode()
    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:", html)
    assert re.findall(r"<script(.*?)>(.*?)</script>", html) == [(' src="/ballot.js" defer', "")]
    for file in ("ballot.html", "ballot.css", "ballot.js"):
        assert not re.search(r"https?:|//\w+\.\w|@import|url\(", read_template(f"show/{file}"))


# --- votes


def test_a_vote_is_in_the_store_before_the_page_says_so(session, foxes):
    with opened(foxes) as page:
        browser = Browser(page)
        state = browser.begin("  Ada\n ")
        for count, answer in enumerate(ANSWERS, 1):
            state = browser.answer(state, answer)
            assert (state["done"], state["total"]) == (count, 6)
            assert len(cast(session)) == page.votes == count
        state = browser.answer(state, "skip")
        assert (state["done"], len(cast(session))) == (4, 4)
        assert sorted(vote.answer for vote in cast(session)) == sorted(ANSWERS)
        assert {(vote.voter, vote.seconds) for vote in cast(session)} == {("Ada", 1.5)}
    assert foxes.ranking().votes == 3


@pytest.mark.parametrize(("sent", "kept"), [(-5, 0.0), (1e300, 86_400.0), (2.34, 2.3)])
def test_seconds_are_as_the_browser_says_within_a_day(session, foxes, sent, kept):
    with opened(foxes) as page:
        browser = Browser(page)
        browser.answer(browser.begin("Ada"), seconds=sent)
    assert [vote.seconds for vote in cast(session)] == [kept]


def test_both_orders_of_each_pair_are_shown_equally_often(session, foxes):
    with opened(foxes) as page:
        for number in range(4):
            browser = Browser(page)
            state = browser.begin(f"voter {number}")
            while state["stage"] == "vote":
                state = browser.answer(state, "tie")
    orders = Counter((vote.left, vote.right) for vote in cast(session))
    assert len(orders) == 12
    assert set(orders.values()) == {2}


def test_an_answer_that_is_sent_again_or_from_a_second_tab_counts_once(session, foxes):
    with opened(foxes) as page:
        one, other = Browser(page), Browser(page)
        state = one.begin("Ada")
        other.root = one.root
        assert other.state() == state  # the second tab shows the same question
        after = one.answer(state, "left")
        for browser in (one, other, one):
            assert browser.answer(state, "right") == after
        assert [vote.answer for vote in cast(session)] == ["left"]
        undone = one.answer(after, "undo")
        assert one.answer(after, "undo") == undone  # taken back once
        assert undone["question"] != state["question"]
        assert one.answer(state, "left") == undone  # an answer to what is asked no more
        assert (undone["done"], cast(session), page.votes) == (0, [], 0)


def test_undo_at_the_end_brings_the_last_question_back(session, foxes):
    with opened(foxes) as page:
        browser = Browser(page)
        end = all_of(browser)
        assert end["summary"][0] == "You compared 6 pairs."
        assert any("answers agree" in words for words in end["summary"])
        assert browser.answer(end, "left") == end
        assert browser.answer(end, "undo")["done"] == 5
        assert len(cast(session)) == 5


def test_a_voter_who_returns_goes_on_and_no_pair_is_asked_twice_in_any_booth(session, foxes):
    with opened(foxes) as page:
        state = Browser(page).begin("Ada")
        browser = Browser(page)
        assert browser.begin("Ada") == state  # another browser, the same voter
        state = browser.answer(browser.answer(state), "tie")
    booth = foxes.vote(voter="Ada", seed=1)
    booth._shown_at = -1
    booth.press("left")
    with opened(foxes) as page:  # after a restart
        browser = Browser(page)
        state = browser.begin("Ada")
        assert state["done"] == 3
        while state["stage"] == "vote":
            state = browser.answer(state)
    judged = Counter(frozenset({vote.left, vote.right}) for vote in cast(session))
    assert len(judged) == judged.total() == 6


def test_voters_without_a_name_are_told_apart(session, foxes):
    with opened(foxes) as page:
        for _ in range(3):
            browser = Browser(page)
            browser.answer(browser.begin(""))
    names = [vote.voter for vote in cast(session)]
    assert len(set(names)) == 3
    assert all(re.fullmatch(r"guest-[0-9a-f]{8}", name) for name in names)


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)</script>",
        "'; DROP TABLE votes; --",
        "Ada\x00\x1b[31m\u202e",
        "x" * 3000,
        "../../etc/passwd",
        "=cmd|' /C calc'!A0",
        '{"undo": "' + "0" * 32 + '"}\n',
        "Zoë 王 🦊",
        "ſ" * 80,
    ],
)
def test_a_hostile_name_is_a_name(session, foxes, name):
    with opened(foxes) as page:
        browser = Browser(page)
        state = browser.answer(browser.begin(name))
        [vote] = cast(session)
        assert state["voter"] == vote.voter
        assert 0 < len(vote.voter) <= 80
        assert vote.voter.isprintable()
        assert browser.begin(name)["done"] == 1


def test_the_vote_ends_after_a_number_of_votes_however_many_come_at_once(session, foxes):
    with opened(foxes, close_after=7) as page:
        voters = [Browser(page) for _ in range(6)]
        states = [voter.begin(f"voter {number}") for number, voter in enumerate(voters)]
        for _ in range(2):
            threads = [
                threading.Thread(target=lambda n=n: states.__setitem__(n, voters[n].answer(states[n])))
                for n in range(6)
                if states[n]["stage"] == "vote"
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
        assert len(cast(session)) == page.votes == 7
        assert page.closed
        states = [voter.state() for voter in voters]
        assert {state["stage"] for state in states} == {"closed"}
        assert Browser(page).state()["stage"] == "closed"
        assert "closed" in repr(page)
    with opened(foxes, close_after=7) as page:  # votes from before count
        assert page.closed


def at_once(*calls):
    threads = [threading.Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)


def test_a_voter_on_several_pages_and_in_a_booth_at_once_judges_each_pair_once(session, foxes):
    with opened(foxes) as one, opened(foxes) as other:
        browsers = [Browser(one), Browser(other)]
        states = [browser.begin("Ada") for browser in browsers]
        booth = foxes.vote(voter="Ada", seed=1)
        for _ in range(6):
            booth._shown_at = -1
            at_once(
                *(
                    lambda n=n: states.__setitem__(n, browsers[n].answer(states[n]))
                    for n in range(2)
                    if states[n]["stage"] == "vote"
                ),
                lambda: booth.press("left"),
            )
        assert one.votes == other.votes == len(cast(session))
    judged = Counter(frozenset({vote.left, vote.right}) for vote in cast(session))
    assert len(judged) == judged.total() == 6


VOTING = """
import sys
from pathlib import Path

from conftest import drawing

from beluga_nb.session.session import Session

session = Session(engine=drawing, environ={}, folder=Path(sys.argv[1]))
pictures = session.gallery(*(session.generate("a fox", model=model) for model in sys.argv[2:]))
booth = pictures.vote(voter="Ada", seed=1)
booth._shown_at = -1
print(flush=True)
sys.stdin.readline()
booth.press("left")
"""


def test_a_voter_in_two_processes_at_once_judges_a_pair_once(session, tmp_path):
    words = [sys.executable, "-c", VOTING, str(tmp_path), *MODELS[:2]]
    environment = {**clean_environment(), "PYTHONPATH": str(Path(__file__).parents[1])}
    processes = [
        subprocess.Popen(
            words, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout.readline() == "\n"
    for process in processes:
        process.stdin.write("\n")
    for process in processes:
        process.communicate(timeout=120)
        assert process.returncode == 0
    assert len(cast(session)) == 1


def test_the_number_of_votes_is_that_of_all_pages_and_booths(session, foxes):
    with opened(foxes, close_after=5) as one, opened(foxes, close_after=5) as other:
        browsers = [Browser(page) for page in (one, other) * 2]
        states = [browser.begin(f"voter {number}") for number, browser in enumerate(browsers)]
        booth = foxes.vote(voter="Bo", seed=1)
        booth._shown_at = -1
        booth.press("left")
        assert one.votes == other.votes == 1
        for _ in range(2):
            at_once(
                *(
                    lambda n=n: states.__setitem__(n, browsers[n].answer(states[n]))
                    for n in range(4)
                    if states[n]["stage"] == "vote"
                )
            )
        assert len(cast(session)) == one.votes == other.votes == 5
        assert one.closed
        assert other.closed


def test_what_is_taken_back_does_not_reopen_a_vote_that_is_over(session, foxes):
    contest = foxes._contest(foxes._runner.workspace(), by="model", question="", criterion="")
    poll = BallotPoll(contest, close_after=2)
    token = poll.begin("", "Ada")
    after = poll.answer(token, str(poll.state(token)["question"]), "left", None)
    exclusively, pair = contest.exclusively, contest.pairs[0]

    def the_last_vote_comes_first():
        Box(contest.store, "Bo").cast(left=pair.left.sha256, right=pair.right.sha256, answer="left")
        return exclusively()

    contest.exclusively = the_last_vote_comes_first
    assert poll.answer(token, str(after["question"]), "undo", None)["stage"] == "closed"
    assert poll.closed
    assert poll.votes == len(cast(session)) == 2


def test_repeated_pairs_are_counted_from_the_store(session, foxes):
    for _ in range(3):
        with opened(foxes, repeats=2) as page:
            end = all_of(Browser(page), "tie")
            assert (end["done"], end["total"]) == (8, 8)
    assert len(cast(session)) == 8
    with opened(foxes, repeats=3) as page:
        assert all_of(Browser(page), "tie")["done"] == 9
    assert len(cast(session)) == 9
    assert len({frozenset({vote.left, vote.right}) for vote in cast(session)}) == 6


@pytest.mark.parametrize("name", ["Ada  Lovelace", " Ada\tLovelace ", "Ada\u200b Lovelace", "x" * 100])
def test_a_name_is_made_clean_once_and_votes_on_each_pair_once(session, foxes, tmp_path, name):
    with opened(foxes, voters=1):
        pass
    file = tmp_path / "ballot-links.csv"
    file.write_text(file.read_text().replace("voter-001", name), "utf-8")
    for _ in range(2):
        with opened(foxes, voters=1, repeats=1) as page:
            voter = next(iter(page.links))
            browser = Browser(page, page.links[voter])
            state = browser.begin("x")
            while state["stage"] == "vote":
                state = browser.answer(state, "tie")
            assert state["done"] == 7
    booth = foxes.vote(voter=name)
    assert booth._voting.question is None
    assert {vote.voter for vote in cast(session)} == {voter}
    assert len(cast(session)) == 7
    foxes.exclude_voter(name, reason="A test.")
    assert foxes.ranking().votes == 0
    foxes.include_voter(name)
    assert [vote.excluded for vote in foxes.votes()] == [""] * 7


@pytest.mark.parametrize("other", ["Ada  B", "Ada B"])
def test_two_links_of_one_name_are_refused(foxes, tmp_path, other):
    with opened(foxes, voters=2):
        pass
    file = tmp_path / "ballot-links.csv"
    text = file.read_text().replace("voter-001", "Ada B").replace("voter-002", other)
    file.write_text(text)
    with pytest.raises(SettingsError, match="has 2 links of the voter 'Ada B'") as refused:
        foxes.ballot(voters=2)
    assert len(refused.value.lines()) == 2
    assert file.read_text() == text


def test_the_vote_ends_at_a_time(session, foxes):
    contest = foxes._contest(foxes._runner.workspace(), by="model", question="", criterion="")
    now = [10.0]
    poll = BallotPoll(contest, close_at=20.0, clock=lambda: now[0])
    token = poll.begin("", "Ada")
    state = poll.state(token)
    assert state["stage"] == "vote"
    state = poll.answer(token, str(state["question"]), "left", None)
    assert state["stage"] == "vote"
    now[0] = 20.0
    assert poll.answer(token, str(state["question"]), "left", None)["stage"] == "closed"
    assert len(cast(session)) == poll.votes == 1
    with opened(foxes, close_at="2001-01-01T00:00") as page:
        assert page.closed
    with pytest.raises(SettingsError, match="'soon' is not a time"):
        foxes.ballot(close_at="soon")


def test_each_voter_compares_at_most_so_many_pairs_also_after_a_restart(session, foxes):
    for done in (2, 2):
        with opened(foxes, each=2) as page:
            end = all_of(Browser(page))
            assert (end["stage"], end["done"], end["total"]) == ("end", done, 2)
    assert len(cast(session)) == 2


def test_a_criterion_has_votes_of_its_own_and_repeats_come_at_the_end(session, foxes):
    with opened(foxes, criterion="sharp", repeats=2) as page:
        browser = Browser(page)
        assert "Which is better: sharp?" in browser.ask("/").data.decode()
        end = all_of(browser, "tie")
        assert end["summary"][0] == "You compared 6 pairs.", "those that came again count once"
        assert "Of 2 pairs that came again, you answered 2 as before." in end["summary"]
    assert {vote.criterion for vote in cast(session)} == {"sharp"}
    assert foxes.ranking().votes == 0


def test_an_answer_that_cannot_be_saved_is_said_to_be_not_saved(session, foxes, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with opened(foxes) as page:
        browser = Browser(page)
        state = browser.begin("Ada")
        with monkeypatch.context() as patched:
            patched.setattr("beluga_nb.store.files.add", full)
            refused = browser.ask("/answer", {"question": state["question"], "answer": "left", "seconds": 1})
        assert refused.status == 503
        assert json.loads(refused.data) == {"error": "Your answer could not be saved."}
        assert (browser.state()["question"], page.votes) == (state["question"], 0)
        assert browser.answer(state)["done"] == 1


def test_a_damaged_picture_is_skipped(session, foxes):
    contest = foxes._contest(foxes._runner.workspace(), by="model", question="", criterion="")
    poll = BallotPoll(contest)
    token = poll.begin("", "Ada")

    def damaged(pair):
        raise SettingsError("It is damaged.", "Skip it.")

    contest.samples_of = damaged
    state = poll.state(token)
    for left in range(6, 0, -1):
        assert (state["stage"], "left" in state) == ("vote", False)
        assert (state["done"], state["total"]) == (0, left)
        assert poll.answer(token, str(state["question"]), "left", None) == state  # not seen
        last, state = state, poll.answer(token, str(state["question"]), "skip", None)
        assert left == 1 or state["question"] != last["question"]
    assert (state["stage"], state["done"]) == ("end", 0)
    assert state["summary"] == ["You compared 0 pairs."]
    assert cast(session) == []


# --- who may call


SENT = {"question": "QUESTION", "answer": "left", "seconds": 1}
HOSTILE = {
    "another host": (403, "/answer", SENT, {"host": "evil.example"}),
    "this host, another port": (403, "/answer", SENT, {"host": "127.0.0.1:1"}),
    "a page of another site": (403, "/answer", SENT, {"origin": "http://evil.example"}),
    "a sandboxed page": (403, "/answer", SENT, {"origin": "null"}),
    "a form": (415, "/answer", b"question=QUESTION", {"content_type": "application/x-www-form-urlencoded"}),
    "a form of text": (415, "/answer", SENT, {"content_type": "text/plain"}),
    "a long body": (413, "/answer", {**SENT, "more": "x" * 5000}, {}),
    "megabytes": (413, "/answer", b" " * 200_000, {}),
    "no JSON": (400, "/answer", b"{", {}),
    "no UTF-8": (400, "/answer", b'{"question": "\xff"}', {}),
    "deep JSON": (400, "/answer", b"[" * 4000, {}),
    "a list": (400, "/answer", [SENT], {}),
    "a number as an answer": (400, "/answer", {**SENT, "answer": 1}, {}),
    "a missing field": (400, "/answer", {"answer": "left", "seconds": 1}, {}),
    "half a character": (400, "/answer", b'{"question": "\\ud800", "answer": "left", "seconds": 1}', {}),
    "endless seconds": (400, "/answer", b'{"question": "", "answer": "left", "seconds": 1e999}', {}),
    "another answer": (200, "/answer", {**SENT, "answer": "up"}, {}),
    "another question": (200, "/answer", {**SENT, "question": "guessed"}, {}),
    "no question": (200, "/answer", {**SENT, "question": ""}, {}),
    "GET": (405, "/answer", None, {}),
    "a preflight": (405, "/answer", None, {"method": "OPTIONS", "origin": "http://evil.example"}),
    "another voter's link": (404, "/answer", SENT, {"root": "/v/AAAAAAAAAAAAAAAAAAAAAAAA"}),
    "a way out": (404, "/p/..%2f..%2fetc%2fpasswd", None, {}),
    "another picture": (404, "/p/left", None, {}),
    "another page": (404, "/votes", None, {}),
}


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    session = Session(engine=drawing, environ={}, folder=tmp_path_factory.mktemp("ballot"))
    pictures = session.gallery(*(session.generate("a fox", model=model) for model in MODELS))
    with opened(pictures) as page:
        yield session, page


@pytest.mark.parametrize("what", HOSTILE)
def test_a_hostile_request_is_refused_and_is_no_vote(served, what):
    session, page = served
    status, path, body, how = HOSTILE[what]
    browser = Browser(page)
    state = browser.begin("Ada")
    if isinstance(body, dict):
        body = {**body, "question": body.get("question", "").replace("QUESTION", state["question"])}
        if "missing" in what:
            body.pop("question")
    got = browser.ask(path, body, **how)
    assert got.status == status
    assert state["question"].encode() not in got.data or status == 200
    assert cast(session) == []
    assert Browser(page, page.url + browser.root[1:]).state()["stage"] == "vote"


def test_a_page_that_other_machines_reach_needs_a_link_for_each_voter(foxes):
    with pytest.raises(SettingsError, match="needs a link for each voter"):
        foxes.ballot(host="127.0.0.1")
    everywhere = (":".join(["0" * digits] * 8) for digits in (1, 2, 4))
    dotted = (".".join(["0" * digits] * parts) for digits in (1, 2, 3) for parts in (1, 2, 3, 4))
    for host in (*everywhere, *dotted, "0x0", "::", "::0", "0000::", "::0.0.0.0", "", "a b", "evil.example/"):
        with pytest.raises(SettingsError, match=r"for voters|cannot be used"):
            foxes.ballot(host=host, voters=1)
    for host in ("0.0.0.0", "0", "::", ""):
        with pytest.raises(SettingsError, match="is not the address of this machine for voters"):
            foxes.ballot(host=host, voters=1)
    with pytest.raises(SettingsError, match="cannot be used"):
        foxes.ballot(host="203.0.113.7", voters=1)
    with pytest.raises(SettingsError, match="voters is 0"):
        foxes.ballot(voters=0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", 70_000),
        ("port", -1),
        ("repeats", -1),
        ("repeats", 1.0),
        ("voters", 2.5),
        ("each", 2.5),
        ("close_after", 1.5),
        ("close_at", 1.0),
        ("close_at", "0001-01-01T00:00"),
    ],
)
def test_an_argument_of_no_meaning_is_two_lines(foxes, name, value):
    with pytest.raises(SettingsError, match=rf"^({name} is |'{value}' is not a time)"):
        foxes.ballot(**{name: value})


def test_without_a_host_only_this_machine_reaches_the_page(foxes):
    with opened(foxes) as page:
        assert page.url.startswith("http://127.0.0.1:")
        assert page.url in page._repr_mimebundle_()["text/html"]
        taken = urlsplit(page.url).port
        with pytest.raises(SettingsError, match=f"port {taken}, cannot be used"):
            foxes.ballot(port=taken)


def test_each_invited_voter_has_a_secret_link_which_a_restart_keeps(session, foxes, tmp_path):
    with opened(foxes, voters=3, host="127.0.0.1") as page:
        links = page.links
        assert list(links) == ["voter-001", "voter-002", "voter-003"]
        file = tmp_path / "ballot-links.csv"
        assert file.read_text().splitlines()[0] == "voter,link"
        assert all(link in file.read_text() for link in links.values())
        if sys.platform != "win32":
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        stranger = Browser(page)
        assert stranger.state() == {"stage": "uninvited"}
        assert stranger.ask("/begin", {"voter": "voter-001"}).status == 404
        voter = Browser(page, links["voter-002"])
        assert voter.state() == {"stage": "consent", "voter": "voter-002"}
        assert voter.answer({"question": "", "answer": "left"})["stage"] == "consent"
        state = voter.begin("somebody else")
        assert voter.answer(state)["done"] == 1
        assert [vote.voter for vote in cast(session)] == ["voter-002"]
    with opened(foxes, voters=4) as page:
        tokens = [link.rpartition("/")[2] for link in page.links.values()]
        assert tokens[:3] == [link.rpartition("/")[2] for link in links.values()]
        assert len(set(tokens)) == 4
        voter = Browser(page, page.links["voter-002"])
        assert voter.state()["done"] == 1  # who has voted has agreed
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    with pytest.raises(SettingsError, match=r"notes\.csv does not hold links"):
        foxes.ballot(voters=1, links="notes.csv")
    assert (tmp_path / "notes.csv").read_text() == "a,b\n1,2\n"


def test_the_page_of_another_host_answers_to_that_name_alone(foxes):
    with opened(foxes, voters=1, host="localhost") as page:
        port = urlsplit(page.url).port
        browser = Browser(page, page.links["voter-001"])
        assert browser.state()["stage"] == "consent"
        for host in (f"127.0.0.1:{port}", f"evil.example:{port}", f"localhost:{port + 1}"):
            assert browser.ask("/state", host=host).status == 403
        assert browser.ask("/state", origin=f"http://localhost:{port}").status == 200


DOCS = (Path(__file__).parents[2] / "docs/ballot.md").read_text("utf-8")


def test_the_documented_page_is_served_as_it_stands(tmp_path):
    [code] = re.findall(r"^```python\n(.*?)^```$", DOCS, re.MULTILINE | re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=clean_environment(), capture_output=True, text=True
    )
    assert done.stderr == ""
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\n", done.stdout)


def test_every_option_is_documented_in_python_and_in_a_terminal():
    table = re.findall(r"^\| `(\w+)=.*?` \| (?:`--([\w-]+) .*?`)? ?\|", DOCS, re.MULTILINE)
    assert {name for name, _ in table} == set(signature(Evaluable.ballot).parameters) - {"self"}
    options = {option.flags[0].removeprefix("--") for option in COMMANDS["ballot"].options}
    assert {flag for _, flag in table if flag} == options


def test_in_mode_replay_there_is_no_page(session, foxes, tmp_path):
    reading = Session(engine=drawing, environ={}, folder=tmp_path, mode="replay")
    again = reading.gallery(*(reading.generate("a fox", model=model) for model in MODELS))
    assert again.ballot().votes == 0
    assert "rank" in again.ballot()._repr_mimebundle_()["text/plain"]


def test_a_page_that_has_stopped_is_closed_to_all(foxes):
    page = foxes.ballot()
    port = urlsplit(page.url).port
    page.stop()
    assert not page.running
    assert "stopped" in repr(page)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 60):
        pass
