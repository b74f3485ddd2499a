"""The session, from settings to pictures, against the embedded BelugAPI and a server on a real port."""

import asyncio
import gc
import socket
import subprocess
import sys
import threading
import warnings

import pytest
from conftest import KEY, Counting, drawing, on_a_port, service
from stores import notebook

from beluga_nb.errors import (
    APIConnectionError,
    APIStatusError,
    NotConfirmedError,
    NotRecordedError,
    OutcomeUnknownError,
    RequestError,
    SettingsError,
    UnknownNameError,
)
from beluga_nb.request import Request
from beluga_nb.session.resources import ASK_ABOVE
from beluga_nb.session.session import Session
from beluga_nb.store import pending


@pytest.fixture
def local(tmp_path, messages):
    """A session without a key, in an empty folder, where nobody can be asked."""
    return Session(environ={}, folder=tmp_path, notify=messages.append, confirm=lambda _: None)


def keyed(base_url, folder, messages, **more):
    environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url} | more
    return Session(environ=environ, folder=folder, notify=messages.append, confirm=lambda _: None)


def test_without_a_key_the_built_in_painter_answers_and_each_picture_says_so(local, messages):
    whale = local.generate("a beluga whale", size="16:9")
    assert whale[0].size == (1536, 864)
    assert whale.recipe.procedural
    shown = whale._repr_mimebundle_()
    assert "local preview, not model output" in shown["text/html"]
    assert "local preview, not model output" in shown["text/plain"]
    assert messages == [], "a line of its own would be missing when the notebook is run again"


def test_running_twice_asks_once_and_gives_the_same_bytes(local, tmp_path):
    first = local.generate("a fox", n=2)
    files = sorted(tmp_path.rglob("*"))
    assert local.generate("a fox", n=2) == first
    assert sorted(tmp_path.rglob("*")) == files


def test_n_is_split_over_the_models_limit_and_every_sample_differs(tmp_path, messages):
    engine = Counting()
    with service(engine) as base_url:
        result = keyed(base_url, tmp_path, messages).generate("a fox", model="gpt-image-2", n=3)
    assert [request.n for request in engine.requests] == [1, 1, 1]
    assert len({picture.sha256 for picture in result.pictures}) == 3


def test_asking_for_more_buys_only_what_is_missing(tmp_path, messages):
    engine = Counting()
    session = Session(engine=engine, provider="counting", environ={}, folder=tmp_path, notify=messages.append)
    two = session.generate("a fox", model="flux-2.0", n=2)
    five = session.generate("a fox", model="flux-2.0", n=5)
    assert sum(request.n for request in engine.requests) == 5
    assert five.pictures[:2] == two.pictures


def test_both_answers_of_the_service_give_the_same_pictures(tmp_path, messages):
    with service(drawing) as base_url:
        found = [
            Session(
                environ={"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url},
                folder=tmp_path,
                mode="off",
                response_format=response_format,
            ).generate("a fox")
            for response_format in ("url", "b64_json")
        ]
    assert found[0] == found[1]


def test_what_was_made_with_a_key_replays_without_one_and_without_a_network(tmp_path, messages):
    with service(drawing) as base_url:
        bought = keyed(base_url, tmp_path, messages).generate("a fox")
    reader = Session(environ={"BELUGA_BASE_URL": base_url}, folder=tmp_path, notify=messages.append)
    assert reader.generate("a fox") == bought
    assert messages == []


def test_a_local_preview_never_answers_for_the_service(tmp_path, messages, local):
    preview = local.generate("a fox")
    with service(drawing) as base_url:
        bought = keyed(base_url, tmp_path, messages).generate("a fox")
    assert preview.recipe.procedural
    assert not bought.recipe.procedural
    assert bought.pictures[0].sha256 != preview.pictures[0].sha256


def test_our_own_server_on_a_port_is_known_as_procedural(tmp_path, messages):
    from beluga_nb.server.previews import previews

    with service(previews) as base_url:
        assert keyed(base_url, tmp_path, messages).generate("a fox").recipe.procedural


def test_r21_replay_calls_no_engine_imports_no_client_and_opens_no_socket(tmp_path, local):
    local.generate("a fox")
    probe = (
        "import socket, sys; from pathlib import Path; from beluga_nb.session.session import Session\n"
        "def look(event, words):\n"
        "    own = event == 'socket.__new__' and words[1] == socket.AF_UNIX  # a loop wakes itself by it\n"
        "    if event.startswith('socket.') and not own: print(event, words)\n"
        "sys.addaudithook(look)\n"
        "session = Session(environ={}, folder=Path('.'))\n"
        "print(session.generate('a fox', mode='replay').pictures[0].sha256)\n"
        "print(session.generate('a fox').pictures[0].sha256)\n"
        "heavy = {'httpx', 'starlette', 'uvicorn', 'numpy', 'PIL'}\n"
        "print(sorted(heavy & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    sha256 = local.generate("a fox").pictures[0].sha256
    assert done.stdout.splitlines() == [sha256, sha256, "[]"]


def test_a_replay_miss_says_what_is_nearest(local):
    local.generate("a fox in the snow", size="16:9")
    with pytest.raises(NotRecordedError) as caught:
        local.generate("a fox in the sun", size="16:9", mode="replay")
    assert "Not recorded: gpt-image-2, 16:9, sample 0, “a fox in the sun”." in str(caught.value)
    assert "Nearest recording: prompt 'a fox in the snow'" in str(caught.value)


def test_refresh_takes_anew_and_destroys_nothing(local):
    first = local.generate("a fox")
    second = local.generate("a fox", mode="refresh")
    third = local.generate("a fox", mode="refresh")
    assert [each.request.take for each in (first, second, third)] == ["", "2", "3"]
    assert len({each.pictures[0].sha256 for each in (first, second, third)}) == 3
    assert local.generate("a fox") == first
    assert local.generate("a fox", take="2") == second


def test_off_neither_reads_nor_writes(local, tmp_path):
    assert local.generate("a fox", mode="off") == local.generate("a fox", mode="off")
    assert list(tmp_path.iterdir()) == []


def test_r17_many_pictures_need_a_yes_where_nobody_can_answer(local):
    with pytest.raises(
        NotConfirmedError,
        match="11 new pictures are more than 10, and this environment cannot ask for confirmation",
    ):
        local.generate("a fox", n=ASK_ABOVE + 1)


def test_many_pictures_ask_where_someone_can_answer(tmp_path, messages):
    asked, answers = [], [False, True]

    def person(question):
        asked.append(question)
        return answers.pop(0)

    session = Session(environ={}, folder=tmp_path, notify=messages.append, confirm=person)
    with pytest.raises(NotConfirmedError, match="11 new pictures were not confirmed"):
        session.generate("a fox", size="3:4", n=11)
    assert list(tmp_path.iterdir()) == []
    assert len(session.generate("a fox", size="3:4", n=11)) == 11
    assert asked == ["11 new pictures of gpt-image-2: go on?"] * 2
    assert len(session.generate("a fox", size="3:4", n=11)) == 11, "what is recorded needs no yes"


class Holds:
    """A bridge that runs nothing, and remembers for how long Python was to wait."""

    def __init__(self):
        self.seconds = []

    def submit(self, coroutine, *, hold, left):  # noqa: ARG002
        coroutine.close()
        self.seconds.append(hold)


@pytest.mark.parametrize(("options", "seconds"), [({}, 7 + 5), ({"endpoint": "lab"}, 900 + 5)])
def test_python_waits_for_a_call_as_long_as_its_server_may_take(options, seconds, tmp_path, monkeypatch):
    (tmp_path / "beluga.toml").write_text('[endpoints.lab]\nmodel = "sd"\ntimeout = 900\n')
    environ = {"BELUGA_LAB_BASE_URL": "http://127.0.0.1:9/v1"}
    session, holds = Session(environ=environ, folder=tmp_path, timeout=7), Holds()
    monkeypatch.setattr(session.resources, "bridge", lambda _: holds)
    session.submit("a fox", **options)
    session.grid("a fox", model="lab:sd" if options else None).submit()
    assert holds.seconds == [seconds, seconds]


def test_an_error_of_notify_before_a_call_leaves_no_coroutine_behind(tmp_path, monkeypatch):
    session = Session(environ={}, folder=tmp_path)

    def failing(call):
        raise ValueError("no output")

    monkeypatch.setattr(session.resources, "tell_surprises", failing)
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with pytest.raises(ValueError, match="no output"):
            session.generate("a fox")
        gc.collect()
    assert [str(each.message) for each in warned] == []


@pytest.mark.parametrize(
    ("options", "error", "expected"),
    [
        ({"prompt": " "}, RequestError, "The prompt is empty."),
        ({"model": "flux2"}, UnknownNameError, "No model 'flux2'.\nDid you mean 'flux-2.0'?"),
        ({"size": "16x9"}, UnknownNameError, "Did you mean '16:9'?"),
        ({"model": "seedream-4.5", "size": "21:9"}, RequestError, "seedream-4.5 has no size '21:9'."),
        ({"quality": "hdd"}, UnknownNameError, "Did you mean 'hd'?"),
        ({"n": 0}, RequestError, "n is 0.\nGive n as a whole number from 1 on."),
        ({"mode": "replai"}, UnknownNameError, "Did you mean 'replay'?"),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(local, tmp_path, options, error, expected):
    with pytest.raises(error) as caught:
        local.generate(**{"prompt": "a fox"} | options)
    assert expected in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_s09_a_prompt_that_holds_a_key_is_not_sent(local, tmp_path):
    with pytest.raises(RequestError) as caught:
        local.generate("use bapi_0123456789abcdefXYZ please")
    assert "0123456789" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_converted_size_is_reported_before_it_is_sent(local, messages):
    result = local.generate("a fox", size="1792x1024")
    assert messages[0] == "size 1792x1024 is asked for as 16:9, the nearest that gpt-image-2 has."
    assert result[0].size == (1536, 864)


def test_a_revoked_key_is_refused_in_two_lines_without_the_key(tmp_path, messages):
    with (
        service(drawing, key="bapi_another-key-altogether") as base_url,
        pytest.raises(APIStatusError) as caught,
    ):
        keyed(base_url, tmp_path, messages).generate("a fox")
    assert caught.value.status == 401
    lines = caught.value._render_traceback_()
    assert len(lines) == 2
    assert lines[1] == (
        "The key comes from BELUGA_API_KEY and ends in only. It is missing, revoked or for another service:"
        " replace it. Nothing is billed."
    )
    assert KEY not in repr(lines)


def test_a_malformed_key_is_refused_before_anything_is_sent(tmp_path, messages):
    for key in ("bapi_with blank inside", "Bearer bapi_0123456789", "bapi_0123…456789", "bapi_0"):
        session = Session(environ={"BELUGA_API_KEY": key}, folder=tmp_path, notify=messages.append)
        with pytest.raises(SettingsError) as caught:
            session.generate("a fox")
        assert key not in str(caught.value)


def test_a_key_of_another_service_is_not_sent_to_belugapi(tmp_path):
    session = Session(environ={"BELUGA_API_KEY": "sk-0123456789abcdef"}, folder=tmp_path)
    with pytest.raises(SettingsError, match="BelugAPI's keys start with bapi_"):
        session.generate("a fox")


def test_an_unreachable_server_says_that_nothing_was_sent(tmp_path, messages):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        base_url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(APIConnectionError, match="No connection to 127"):
            keyed(base_url, tmp_path, messages).generate("a fox")


@pytest.mark.parametrize("host", ["https://images.example.org", "http://127.0.0.1:9", "http://localhost:9"])
def test_a_file_that_came_with_a_notebook_cannot_send_the_key_elsewhere(tmp_path, messages, host):
    (tmp_path / "beluga.toml").write_text(f'base_url = "{host}/v1"\n')
    session = Session(environ={"BELUGA_API_KEY": KEY}, folder=tmp_path, notify=messages.append)
    with pytest.raises(SettingsError) as failed:
        session.generate("a fox")
    assert str(failed.value) == (
        f"beluga.toml: base_url ({host}/v1) is not used: you have not confirmed that address. "
        "Nothing was sent.\n"
        "If you trust that file, set BELUGA_TRUST to its folder."
    )
    assert session.resources.backend(session.settings()).endpoint().base_url == "https://api.belugapi.com/v1"
    assert session.status()["not used"] == messages[0]


def test_settings_come_from_the_file_the_environment_and_the_call(tmp_path):
    (tmp_path / "beluga.toml").write_text('model = "flux-2.0"\nstore = "from-file"\nmode = "replay"\n')
    session = Session(environ={"BELUGA_MODE": "auto"}, folder=tmp_path, notify=lambda _: None)
    result = session.generate("a fox", size="3:4")
    assert result.request.model == "flux-2.0"
    assert (tmp_path / "from-file" / "records").is_dir()
    assert session.generate("a fox", size="3:4", model="gpt-image-2").request.model == "gpt-image-2"


def test_a_store_that_cannot_be_written_is_reported_and_the_picture_is_there(tmp_path, messages):
    (tmp_path / "beluga_store").write_text("a file where the folder should be")
    session = Session(environ={}, folder=tmp_path, notify=messages.append)
    assert session.generate("a fox")[0].size == (1024, 1024)
    assert messages[0].startswith("Pictures cannot be recorded: ")


def test_what_arrived_is_kept_when_a_part_fails(tmp_path, messages):
    from beluga_nb.result import IncompleteError

    failing = [True]

    async def sometimes(request: Request):
        if request.sample == 1 and failing:
            raise OutcomeUnknownError("The provider failed.", status=502)
        return await drawing(request)

    engine = Counting(sometimes)
    with service(engine) as base_url:
        session = keyed(base_url, tmp_path, messages)
        with pytest.raises(
            IncompleteError, match="2 of 3 pictures arrived; the rest failed: The provider fail"
        ) as e:
            session.generate("a fox", n=3)
        assert [picture.recipe.request.sample for picture in e.value.result.pictures] == [0, 2]
        assert "text/html" in e.value.result._repr_mimebundle_()
        failing.clear()
        assert len(session.generate("a fox", n=3)) == 3
    assert [request.sample for request in engine.requests].count(1) == 2
    assert len(engine.requests) == 4


def test_agenerate_is_awaited_in_a_running_loop(local):
    async def both():
        return await asyncio.gather(local.agenerate("a fox"), local.agenerate("a cat"))

    fox, cat = asyncio.run(both())
    assert fox != cat


def test_generate_works_where_a_loop_is_running_and_in_a_thread(local):
    async def inside():
        return local.generate("a fox")

    results = [asyncio.run(inside())]
    thread = threading.Thread(target=lambda: results.append(local.generate("a fox")))
    thread.start()
    thread.join(30)
    assert results[0] == results[1]


def test_generate_and_agenerate_keep_the_signature_and_say_what_they_give():
    import inspect

    assert [Session.generate.__name__, Session.agenerate.__name__] == ["generate", "agenerate"]
    for function in (Session.generate, Session.agenerate):
        assert list(inspect.signature(function).parameters) == list(
            inspect.signature(Session.submit).parameters
        )
        assert "Result" in function.__doc__
    assert inspect.iscoroutinefunction(Session.agenerate)


def test_serve_gives_the_running_server_and_stop_serving_ends_it(local):
    assert not local.stop_serving()
    server = local.serve()
    try:
        assert local.serve() is local.serve(port=server.port) is server
        with pytest.raises(RequestError, match=f"The server runs already, on {server.url}"):
            local.serve(port=1)
    finally:
        assert local.stop_serving()
    assert not server.running
    assert not local.stop_serving()


def test_status_says_who_answers_and_never_the_key(local, tmp_path):
    assert local.status()["engine"] == "the built-in painter: procedural previews, not model output"
    assert local.status()["spent"] == "0 pictures"
    assert local.status()["saved"] == "0 pictures came from the store"
    found = Session(environ={"BELUGA_API_KEY": KEY}, folder=tmp_path).status()
    assert found["key"] == "BELUGA_API_KEY, ending in only"
    assert found["engine"] == "https://api.belugapi.com/v1"
    assert KEY not in repr(found)


def test_no_listing_of_a_session_shows_its_key(tmp_path):
    for session in (
        Session(environ={"BELUGA_API_KEY": KEY}, folder=tmp_path),
        Session(environ={}, folder=tmp_path, api_key=KEY),
    ):
        assert KEY not in repr(session)
        assert KEY not in repr(vars(session)) + repr(vars(session.resources))


def test_the_settings_faults_are_the_childs_too(tmp_path):
    session = Session(environ={"BELUGA_FAULTS": "1"}, folder=tmp_path, notify=lambda _: None)
    assert session.status()["faults"] == "on: a prompt may ask for a failure"
    server = session.serve()
    try:
        environ = {"BELUGA_API_KEY": server.key, "BELUGA_BASE_URL": server.url}
        with pytest.raises(APIStatusError) as caught:
            Session(environ=environ, folder=tmp_path).generate("fault: 402 | a fox")
        assert caught.value.status == 402
    finally:
        session.stop_serving()


def test_r01_one_call_has_one_id_however_often_it_is_sent(tmp_path, messages):
    seen = []

    async def app(scope, receive, send):
        seen.append(dict(scope["headers"])[b"idempotency-key"].decode())
        status = 429 if len(seen) < 3 else 402
        await send({"type": "http.response.start", "status": status, "headers": [(b"retry-after", b"0.01")]})
        await send({"type": "http.response.body", "body": b""})

    with on_a_port(app) as base_url:
        session = keyed(base_url, tmp_path, messages)
        for _ in range(2):
            with pytest.raises(APIStatusError):
                session.generate("a fox", mode="off")
    assert seen[0] == seen[1] == seen[2] != seen[3]
    assert [len(run) for run in seen] == [36] * 4


def test_status_says_how_many_calls_may_have_been_charged_without_a_result(tmp_path, messages):
    async def broken(request):
        raise OutcomeUnknownError("The provider failed.", status=502)

    with service(broken) as base_url:
        session = keyed(base_url, tmp_path, messages)
        assert "unfinished" not in session.status()
        for prompt in ("a fox", "a whale"):
            with pytest.raises(OutcomeUnknownError):
                session.generate(prompt, size="3:4")
    assert session.status()["unfinished"] == "2 calls may have been charged without a result"


def test_a_lost_local_call_is_not_called_charged(tmp_path, messages):
    session = Session(environ={}, folder=tmp_path, notify=messages.append, faults=True)
    with pytest.raises(OutcomeUnknownError):
        session.generate("fault: 500 | a fox")
    assert session.status()["unfinished"] == "1 local call without a result, at no cost"


def test_two_that_refresh_at_once_are_two_takes(tmp_path, messages):
    with service(drawing) as base_url:
        session = keyed(base_url, tmp_path, messages)
        jobs = [session.submit("a fox", mode="refresh") for _ in range(2)]
        results = [job.result() for job in jobs]
    assert {result.request.take for result in results} == {"2", "3"}


def test_two_that_ask_for_the_same_at_once_buy_it_once(tmp_path, messages):
    engine = Counting()
    with service(engine) as base_url:
        session = keyed(base_url, tmp_path, messages)
        jobs = [session.submit("a fox") for _ in range(3)]
        assert len({job.result().pictures[0].sha256 for job in jobs}) == 1
    assert len(engine.requests) == 1


def test_several_pictures_are_shown_with_the_sheet_that_was_made_first(local, monkeypatch):
    from beluga_nb.show import preview as how

    shown = local.generate("a fox", size="3:4", n=2)._repr_mimebundle_()
    monkeypatch.setattr(how, "_QUALITIES", (1,))  # another machine, another encoder
    again = local.generate("a fox", size="3:4", n=2, mode="replay")
    assert again._repr_mimebundle_() == shown


# --- keys that are not in the environment


def test_a_key_that_is_typed_is_used_and_shown_nowhere(tmp_path, messages):
    questions = []

    def hidden(question):
        questions.append(question)
        return f"{KEY}\n"

    with service(drawing) as base_url:
        environ = {"BELUGA_BASE_URL": base_url}
        session = Session(environ=environ, folder=tmp_path, notify=messages.append, hidden=hidden)
        assert session.login() == "only"
        assert not session.generate("a fox").recipe.procedural
    assert questions == ["BelugAPI key (not shown): "]
    assert session.status()["key"] == "%beluga login, ending in only"
    assert KEY not in repr(vars(session)) + repr(vars(session.resources)) + repr(session.status()) + repr(
        messages
    )


def test_where_nobody_can_type_a_login_says_what_to_do_instead(tmp_path):
    session = Session(environ={}, folder=tmp_path, hidden=lambda _: None)
    with pytest.raises(SettingsError, match=r"This environment cannot ask for a key\.\nSet BELUGA_API_KEY"):
        session.login()


def test_s01_a_key_of_a_vault_is_found_after_the_environments(tmp_path):
    asked = []

    def vault():
        asked.append(1)
        return KEY

    environ = {}
    session = Session(environ=environ, folder=tmp_path, vaults={"a vault": vault})
    assert session.status()["key"] == session.status()["key"] == "a vault, ending in only"
    assert asked == [1], "a vault may ask its person each time"
    environ["BELUGA_API_KEY"] = "bapi_from-the-environment-9876"
    assert session.status()["key"] == "BELUGA_API_KEY, ending in 9876"


# --- looking after the store


@pytest.fixture
def shown(local, tmp_path):
    """A notebook in the session's folder, with a picture and a pair, and the results that it shows."""
    results = [local.generate("a fox", size="1:1"), local.generate("foxes", size="1:1", n=2)]
    return notebook(tmp_path / "n.ipynb", *results), results


def test_the_history_has_small_pictures_that_no_notebook_grows_heavy_by(local, shown):
    bundle = local.store.history()._repr_mimebundle_()
    assert bundle["text/html"].count("<img ") == 3
    assert len(bundle["text/html"]) < 3 * 10_000
    assert bundle["text/plain"].count("local preview, not model output") == 2


def test_a_preview_that_is_damaged_is_left_out_of_the_history(local, shown, tmp_path):
    for path in tmp_path.glob("beluga_store/blobs/*/*.jpg"):
        path.write_bytes(b"damaged")
    assert local.store.history()._repr_mimebundle_()["text/html"].count("<img ") == 0


def test_a_run_comes_back_and_shows_itself_as_it_did(local, shown):
    for run, result in zip(
        sorted(local.store.history().runs, key=lambda run: len(run.entries)), shown[1], strict=True
    ):
        again = local.store.recall(run.name[:8])
        assert again == result
        assert again._repr_mimebundle_() == result._repr_mimebundle_()


def test_the_newest_result_may_be_one_of_a_grid(local):
    local.generate("a dog")
    grid = local.grid("a {{animal}}", animal=["cat"]).run()
    assert local.last() == grid["cat"]


def test_the_newest_result_is_found_behind_any_number_of_calls_without_one(local, tmp_path):
    result = local.generate("a fox")
    store = local.store.open()
    for number in range(51):
        run = f"3f2a9c1e-0000-4000-8000-{number:012}"
        asked = Request(prompt="a lost fox", model="flux-2.0", idempotency_key=run)
        pending.mark_unknown(store, pending.begin(store, asked, provider="wire"), "The connection broke.")
    assert Session(environ={}, folder=tmp_path).last() == result


def test_each_notebook_is_verified_with_the_store_of_its_own_folder(local, shown, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    assert local.store.verify(shown[0])[0].fine
    moved = shown[0].rename(other / "n.ipynb")
    [report] = local.store.verify(moved)
    assert (report.fine, len(report.problems)) == (False, 3)
    assert [each.checked for each in local.store.verify(moved, tmp_path / "m.ipynb")] == [
        "beluga_store (0 recordings), n.ipynb",
        "beluga_store (3 recordings), m.ipynb",
    ]


def test_a_notebook_is_unpacked_into_the_store_that_its_folder_has(local, shown, tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    (there / "beluga.toml").write_text('store = "pictures"')
    packed = local.store.pack(shown[0])
    local.store.unpack(packed.path, into=there)
    assert len(list(there.glob("pictures/records/*/*.json"))) == 3
    assert local.store.verify(there / "n.ipynb")[0].fine


def test_a_tilde_is_the_home_folder(local, shown, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    assert local.store.verify("~/n.ipynb")[0].fine
    assert local.store.pack("~/n.ipynb", to="~/sent.zip").path == tmp_path / "sent.zip"
    assert local.store.unpack("~/sent.zip", into="~/there").path == tmp_path / "there" / "n.ipynb"
    for session in (Session(environ={"BELUGA_STORE": "~/kept"}), Session(environ={}, store="~/kept")):
        assert session.settings().store == tmp_path / "kept"


def test_what_is_to_be_forgotten_is_named_before_anyone_is_asked(tmp_path, messages):
    asked = []
    session = Session(
        environ={},
        folder=tmp_path,
        notify=messages.append,
        confirm=lambda words: asked.append(words) or False,
    )
    session.generate("a fox", size="1:1")
    # A no is an answer, and no error.
    assert str(session.store.forget(prompt="fox")) == "Nothing was removed: 1 run, 1 picture stay."
    assert "a fox" in messages[0]
    assert asked == ["Forget 1 run, 1 picture?"]
    assert len(session.store.history().runs) == 1


@pytest.mark.parametrize("model", ["fulx-2.0", "", "sk-or-not"])
def test_a_model_that_no_call_could_ask_is_refused_when_it_is_set(local, model):
    before = local.preferences.listed()
    with pytest.raises((UnknownNameError, RequestError, SettingsError)):
        local.preferences.set(model=model)
    assert local.preferences.listed() == before


def test_a_model_an_alias_and_an_endpoint_may_be_set(local, tmp_path):
    (tmp_path / "beluga.toml").write_text(
        '[endpoints.lab]\nbase_url = "http://127.0.0.1:1/v1"\nmodel = "sd"\n'
    )
    local.preferences.alias("poster", model="flux-2.0", size="3:4")
    for model in ("flux-2.0", "poster", "lab:sd", "lab:", "lab:another"):
        local.preferences.set(model=model)
        assert local.settings().model == model


def test_a_prompt_that_names_a_value_in_single_braces_is_sent_and_the_user_is_told(local, messages):
    plan = local.plan("a view of {city}", values={"city": "Rome"})
    assert "a view of {city}" in str(plan)
    assert messages == ["{city} is sent as it is; write {{city}} to fill in its value."]
    grid = local.grid("a {{animal}} in {city}", animal=["cat", "fox"], values={"city": "Rome"})
    assert [cell.request.prompt for cell in grid.cells] == ["a cat in {city}", "a fox in {city}"]
    assert len(messages) == 2


@pytest.mark.parametrize(
    ("options", "kind", "words"),
    [
        ({"model": "flux2"}, UnknownNameError, "No model 'flux2'"),
        ({"timeout": -1}, SettingsError, "The setting timeout is -1"),
        ({"mode": "later"}, UnknownNameError, "No value 'later' for mode"),
    ],
)
def test_the_settings_of_a_session_are_checked_when_it_is_made(tmp_path, options, kind, words):
    with pytest.raises(kind, match=words):
        Session(environ={}, folder=tmp_path, **options)
