"""Servers by name: chosen, listed, recorded under their name, and none of them gets another's key."""

import asyncio
import contextlib
import json

import pytest
from conftest import KEY, Counting, ask, on_a_port, service
from kernels import Kernel
from leaks import leaks
from servers import App, localai, sglang, square

import beluga_nb.config.settings as settings
from beluga_nb.api.dialects import DIALECTS
from beluga_nb.api.endpoint import key_of
from beluga_nb.catalog import off_ratio
from beluga_nb.config.endpoints import EndpointConfig
from beluga_nb.engines.backend import Backend
from beluga_nb.engines.call import Call
from beluga_nb.engines.pipeline import Source, build
from beluga_nb.engines.recorder import Recorder
from beluga_nb.engines.room import engine_room
from beluga_nb.errors import (
    APIStatusError,
    NotRecordedError,
    OverBudgetError,
    RequestError,
    SettingsError,
    UnknownNameError,
)
from beluga_nb.request import Request
from beluga_nb.session.session import Session
from beluga_nb.store.records import Store

LAB_ALONE = Backend(settings=settings.Settings().at("lab:sd"))
LAB = '[endpoints.lab]\nbase_url = "{}"\ndialect = "{}"\nmodel = "sd-turbo"\n'


@contextlib.contextmanager
def lab(folder, answer=localai, dialect="localai"):
    """A server on a port, which a beluga.toml in the folder names lab."""
    app = App(answer)
    with on_a_port(app.app) as base_url:
        (folder / "beluga.toml").write_text(LAB.format(base_url, dialect))
        yield app


def session(folder, messages=None, **environ):
    """A session of somebody who trusts the folder's beluga.toml."""
    return stranger(folder, messages, **{"BELUGA_TRUST": str(folder)} | environ)


def stranger(folder, messages=None, **environ):
    """A session of somebody who has just downloaded the folder."""
    return Session(environ=environ, folder=folder, notify=(messages if messages is not None else []).append)


def test_a_model_of_an_endpoint_is_asked_there_under_its_own_name(tmp_path):
    with lab(tmp_path) as app:
        result = session(tmp_path).generate("a fox", model="lab:sd-turbo", size="16:9")
    assert app.bodies == [
        {"prompt": "a fox", "model": "sd-turbo", "size": "1536x864", "n": 1, "response_format": "b64_json"}
    ]
    assert app.keys == [None]
    assert result[0].size == (1536, 864)
    assert (result.request.model, result.recipe.engine) == ("lab:sd-turbo", "lab")


@pytest.mark.parametrize(
    "given",
    [
        {"endpoint": "lab"},
        {"endpoint": "lab", "model": "sd-turbo"},
        {"endpoint": "lab", "model": "lab:sd-turbo"},
        {"model": "lab:"},
        {"model": "quick"},
    ],
)
def test_all_ways_to_say_it_are_one_request(tmp_path, given):
    with lab(tmp_path) as app:
        with (tmp_path / "beluga.toml").open("a") as file:
            file.write('[aliases]\nquick = { model = "lab:sd-turbo" }\n')
        asked = session(tmp_path)
        first = asked.generate("a fox", model="lab:sd-turbo")
        assert asked.generate("a fox", **given) == first
    assert len(app.bodies) == 1


def test_the_model_that_goes_without_saying_may_be_an_endpoints(tmp_path):
    with lab(tmp_path):
        asked = session(tmp_path, BELUGA_MODEL="lab:sd-turbo")
        assert asked.generate("a fox").request.model == "lab:sd-turbo"


def test_what_an_endpoint_gave_replays_without_it_and_without_the_file(tmp_path):
    with lab(tmp_path):
        first = session(tmp_path).generate("a fox", model="lab:sd-turbo", n=2)
    (tmp_path / "beluga.toml").unlink()
    for mode in ("auto", "replay"):
        again = session(tmp_path).generate("a fox", model="lab:sd-turbo", n=2, mode=mode)
        assert again == first
        assert session(tmp_path).generate("a fox", endpoint="lab", model="sd-turbo", n=2, mode=mode) == first
    with pytest.raises(NotRecordedError):
        session(tmp_path).generate("a boat", model="lab:sd-turbo", mode="replay")
    with pytest.raises(UnknownNameError, match=r"No model 'lab:sd-turbo'[\s\S]*\[endpoints.lab\]"):
        session(tmp_path).generate("a boat", model="lab:sd-turbo")


def test_recordings_of_two_endpoints_and_of_belugapi_are_kept_apart(tmp_path):
    with lab(tmp_path) as app:
        asked = session(tmp_path)
        asked.generate("a fox", model="lab:flux-2.0")
        assert asked.generate("a fox", model="flux-2.0").recipe.procedural
    assert len(app.bodies) == 1


def test_a_result_of_an_endpoint_can_be_asked_again_and_says_how(tmp_path):
    with lab(tmp_path):
        result = session(tmp_path).generate("a fox", endpoint="lab", size="300x200")
        assert result.to_magic() == "%%beluga -m lab:sd-turbo -s 300x200\na fox"
        assert result.rerun(size="1:1")[0].size == (1024, 1024)


def test_each_sample_of_a_server_that_repeats_itself_is_another(tmp_path):
    with lab(tmp_path, sglang, "sglang"):
        result = session(tmp_path).generate("a fox", endpoint="lab", n=3)
    assert len({picture.sha256 for picture in result.pictures}) == 3


def test_a_picture_of_another_shape_than_was_asked_for_is_reported_each_time(tmp_path):
    messages, again = [], []
    with lab(tmp_path, square, "generic"):
        session(tmp_path, messages).generate("a fox", endpoint="lab", size="16:9")
        session(tmp_path, again).generate("a fox", endpoint="lab", size="16:9")
    assert messages == again == ["lab:sd-turbo gave 512 × 512 where 16:9 was asked for."]


def test_in_a_grid_another_shape_is_reported_once_for_each_model_and_size(tmp_path):
    messages, again = [], []
    with lab(tmp_path, square, "generic"):
        for value in (messages, again):
            session(tmp_path, value).grid(
                "a {{animal}}",
                animal=["fox", "boat"],
                model=["lab:sd-turbo", "lab:flux"],
                size=["1:1", "16:9", "4:3"],
            ).run(assume_yes=True)
    assert messages == again
    assert messages == [
        f"lab:{model} gave 512 × 512 where {size} was asked for."
        for model in ("flux", "sd-turbo")
        for size in ("16:9", "4:3")
    ]


@pytest.mark.parametrize(
    ("size", "came", "given"),
    [
        ("16:9", (1536, 864), False),
        ("16:9", (1344, 768), False),  # 1.6 % off
        ("16:9", (1344, 776), True),  # 2.6 % off
        ("1024x1024", (512, 512), False),
        ("1200x628", (1024, 1024), True),
        ("auto", (1, 2), False),
        (None, (1, 2), False),
    ],
)
def test_two_percent_is_the_bound(size, came, given):
    assert bool(off_ratio(Request(prompt="a fox", model="m", size=size), [came])) is given


def test_what_a_server_does_not_take_is_reported_before_it_is_asked(tmp_path):
    messages = []
    with lab(tmp_path) as app:
        session(tmp_path, messages).generate("a fox", endpoint="lab", quality="hd")
    assert messages == ["localai takes no quality: hd is not sent."]
    assert "quality" not in app.bodies[0]


def test_a_plan_shows_what_would_be_sent_and_where(tmp_path):
    with lab(tmp_path) as app:
        plan = session(tmp_path).plan("a fox", endpoint="lab", size="3:4", n=2)
        assert [body["size"] for body in plan.bodies] == ["768x1024", "768x1024"]
        assert all(post.url.startswith("http://127.0.0.1:") for post in plan.posts)
    assert app.bodies == []


def test_the_status_and_the_list_of_models_name_the_endpoints(tmp_path):
    with lab(tmp_path) as app:
        asked = session(tmp_path, BELUGA_LAB_API_KEY=KEY)
        row = asked.status()["endpoint lab"]
        assert row.startswith("localai at http://127.0.0.1:")
        assert row.endswith("key from BELUGA_LAB_API_KEY, ending in only")
        assert session(tmp_path).status()["endpoint lab"].endswith("no key (BELUGA_LAB_API_KEY)")
        assert [model.id for model in asked.models().named] == ["lab:sd-turbo"]
        assert [model.id for model in asked.models("flux").named] == []
        assert app.keys == []  # neither asks anyone
        assert [model.id for model in asked.models(endpoint="lab").named] == ["lab:sd-turbo"]
        assert app.keys == [f"Bearer {KEY}"]
        with pytest.raises(UnknownNameError, match="No endpoint 'den'"):
            asked.models(endpoint="den")


def test_the_status_names_the_server_of_the_default_model(tmp_path):
    with lab(tmp_path):
        asked = session(tmp_path, BELUGA_LAB_API_KEY=KEY, BELUGA_MODEL="lab:sd-turbo")
        assert asked.status()["engine"].startswith("http://127.0.0.1:")
        assert asked.plan("a fox").posts[0].url.startswith(asked.status()["engine"])


def test_a_store_of_another_folder_hides_no_key_of_this_one(tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    with lab(tmp_path):
        environ = {"BELUGA_TRUST": str(tmp_path)}
        asked = Session(environ=environ, folder=tmp_path)
        asked.resources.watch()
        asked.store.open(other)
        environ["BELUGA_LAB_API_KEY"] = KEY
        with pytest.raises(RequestError, match="key"):
            asked.generate(f"a fox with {KEY}")


def test_tab_and_the_settings_know_them(tmp_path):
    with lab(tmp_path):
        preferences = stranger(tmp_path).preferences
        assert preferences.choices("model")[-1] == "lab:sd-turbo"
        assert preferences.choices("endpoint") == ["lab"]
        assert "21:9" in preferences.choices("size", "lab:sd-turbo")
        [row] = [each for each in preferences.listed() if each.name == "endpoints"]
        assert (row.value, row.place) == ("lab", "beluga.toml")


def test_aliases_and_prices_are_listed_in_words(tmp_path):
    (tmp_path / "beluga.toml").write_text(
        '[aliases]\nposter = { model = "flux-2.0" }\nquick = { model = "z-image-turbo" }\n'
        '[prices]\ndate = 2026-11-01\ncurrency = "EUR"\n"flux-2.0" = 0.03\n'
    )
    values = {each.name: each.value for each in session(tmp_path).preferences.listed()}
    assert values["aliases"] == "poster, quick"
    assert values["prices"] == "of 2026-11-01, in EUR: flux-2.0"


def test_an_alias_may_stand_for_an_endpoints_model(tmp_path):
    with lab(tmp_path):
        asked = session(tmp_path)
        asked.preferences.alias("quick", model="lab:sd-turbo", size="300x200")
        assert asked.generate("a fox", model="quick")[0].size == (300, 200)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"endpoint": "den"}, "No endpoint 'den'"),
        ({"endpoint": "lab", "size": "wide"}, "No size 'wide'"),
        ({"endpoint": "lab", "size": "7:5"}, "No size '7:5'"),
        ({"endpoint": "lab", "quality": "great"}, "No quality 'great'"),
        ({"endpoint": "lab", "output_format": "gif"}, "No output format 'gif'"),
        ({"model": "den:sd"}, "No model 'den:sd'"),
        ({"model": "flux:2.0"}, "No model 'flux:2.0'.\nDid you mean 'flux-2.0'?"),
    ],
)
def test_what_no_server_could_make_sense_of_is_refused_here(tmp_path, given, message):
    with lab(tmp_path) as app, pytest.raises(RequestError) as failed:
        session(tmp_path).generate("a fox", **given)
    assert str(failed.value).startswith(message)
    assert app.bodies == []


def test_an_endpoint_without_a_model_asks_for_one(tmp_path):
    (tmp_path / "beluga.toml").write_text('[endpoints.lab]\nbase_url = "https://lab.example/v1"\n')
    for value in ({"endpoint": "lab"}, {"model": "lab:"}):
        with pytest.raises(RequestError, match="The endpoint lab has no model of its own"):
            session(tmp_path).generate("a fox", **value)


# --- keys: S12, S13


HERE = '[endpoints.lab]\nbase_url = "https://evil.example/v1"\nmodel = "sd"\n'


EVERY_KEY = dict.fromkeys(("BELUGA_API_KEY", "BELUGA_LAB_API_KEY", "OPENAI_API_KEY", "XAI_API_KEY"), KEY)


@pytest.mark.parametrize("dialect", [*DIALECTS, "no-dialect"])
@pytest.mark.parametrize("keys", [{}, EVERY_KEY], ids=["no key", "every key"])
def test_s12_a_server_that_only_a_file_names_is_sent_nothing_be_it_on_this_machine(tmp_path, dialect, keys):
    with lab(tmp_path, dialect=dialect) as app:
        asked = stranger(tmp_path, **keys)
        for ask in (asked.generate, asked.plan):
            with pytest.raises((SettingsError, UnknownNameError)) as failed:
                ask("a fox", endpoint="lab")
            assert failed.value.hint
        with pytest.raises((SettingsError, UnknownNameError)):
            asked.models(endpoint="lab")
        with pytest.raises((SettingsError, UnknownNameError)):
            asked.grid("a {{animal}}", animal=["fox"], model=["lab:sd-turbo"]).run()
        row = asked.status()["endpoint lab"]
    assert (app.bodies, app.keys) == ([], [])
    assert row.startswith("beluga.toml names the server lab at http://127.0.0.1:")


@pytest.mark.parametrize("dialect", [name for name, each in DIALECTS.items() if each.service])
def test_s12_a_file_alone_chooses_no_service_and_none_of_its_keys(tmp_path, dialect):
    (tmp_path / "beluga.toml").write_text(f'[endpoints.ai]\ndialect = "{dialect}"\nmodel = "gpt-image-2"\n')
    keys = {each.variable: KEY for each in DIALECTS.values() if each.variable}
    asked = stranger(tmp_path, **keys, BELUGA_AI_API_KEY=KEY)
    now = asked.settings().at("ai:gpt-image-2")
    assert asked.resources.backend(now).key is None
    with pytest.raises(SettingsError, match="names the server ai at https://"):
        asked.resources.backend(now).endpoint()


def test_s12_the_one_line_says_what_a_file_wants_and_how_to_let_it(tmp_path):
    (tmp_path / "beluga.toml").write_text(HERE)
    with pytest.raises(SettingsError) as failed:
        stranger(tmp_path, **EVERY_KEY).generate("a fox", endpoint="lab")
    assert str(failed.value) == (
        "beluga.toml names the server lab at https://evil.example/v1, and you have not: nothing was sent.\n"
        "If you trust that address, set it yourself: BELUGA_LAB_BASE_URL=https://evil.example/v1"
    )


def test_what_a_server_once_gave_replays_for_who_has_not_named_it(tmp_path):
    with lab(tmp_path) as app:
        first = session(tmp_path).generate("a fox", endpoint="lab")
        for mode in ("auto", "replay"):
            assert stranger(tmp_path, **EVERY_KEY).generate("a fox", endpoint="lab", mode=mode) == first
    assert len(app.bodies) == 1


def test_s12_no_key_but_its_own_goes_to_an_endpoint(tmp_path):
    """Neither BelugAPI's key, however it is given, nor another service's, whatever the dialect says."""
    with lab(tmp_path) as app:
        others = {"BELUGA_API_KEY": KEY, "OPENAI_API_KEY": KEY, "XAI_API_KEY": KEY}
        trusting = others | {"BELUGA_TRUST": str(tmp_path)}
        Session(api_key=KEY, environ=trusting, folder=tmp_path).generate("a fox", endpoint="lab")
        for dialect in ("openai", "xai", "openrouter"):
            text = (tmp_path / "beluga.toml").read_text().replace("localai", dialect)
            (tmp_path / dialect).mkdir()
            (tmp_path / dialect / "beluga.toml").write_text(text)
            session(tmp_path / dialect, **others).generate("a fox", endpoint="lab")
    assert len(app.bodies) == 4
    assert set(app.keys) == {None}


def test_s12_a_services_own_key_goes_to_that_service_alone(tmp_path):
    text = '[endpoints.ai]\ndialect = "openai"\nmodel = "gpt-image-2"\n'
    (tmp_path / "beluga.toml").write_text(text)
    asked = session(tmp_path, OPENAI_API_KEY=KEY, XAI_API_KEY=KEY)
    now = asked.settings().at("ai:gpt-image-2")
    endpoint = asked.resources.backend(now).endpoint()
    assert (endpoint.base_url, endpoint.key.source) == ("https://api.openai.com/v1", "OPENAI_API_KEY")
    without = session(tmp_path, XAI_API_KEY=KEY)
    with pytest.raises(SettingsError, match=r"There is no key for the endpoint ai.\nSet OPENAI_API_KEY."):
        without.generate("a fox", endpoint="ai")


ADDRESSES = ["https://lab.example/v1", *{each.service for each in DIALECTS.values() if each.service}]
WHO_SAYS = ["a file", "a trusted file", "the person's own settings"]


@pytest.mark.parametrize("address", sorted(ADDRESSES))
@pytest.mark.parametrize("who", WHO_SAYS)
@pytest.mark.parametrize("own", [True, False], ids=["a key of its own", "keys of services"])
def test_s12_no_dialect_chooses_among_the_keys_of_the_person(tmp_path, address, who, own):
    """The endpoint's own key, or that of the service whose address it has."""
    services = {each.service: each.variable for each in DIALECTS.values() if each.service}
    keys = {variable: f"sk-{variable}-0123456789" for variable in services.values()}
    keys |= {"BELUGA_API_KEY": KEY, **({"BELUGA_LAB_API_KEY": "sk-limited-0123456789"} if own else {})}
    wanted = "BELUGA_LAB_API_KEY" if own else services.get(address)
    for dialect in DIALECTS:
        endpoint = {"dialect": dialect, "model": "x"}
        environ = dict(keys)
        if who != "a file":
            endpoint["base_url"] = address
        else:
            environ["BELUGA_LAB_BASE_URL"] = address
        if who == "a trusted file":
            environ["BELUGA_TRUST"] = str(tmp_path)
        own_settings = {"endpoints": {"lab": endpoint}} if who == "the person's own settings" else {}
        lines = [f"{name} = {json.dumps(value)}\n" for name, value in endpoint.items()]
        (tmp_path / "beluga.toml").write_text("" if own_settings else "".join(["[endpoints.lab]\n", *lines]))
        asked = Session(environ=environ, folder=tmp_path, **own_settings)
        now = asked.settings().at("lab:x")
        key = key_of(now.named, environ)
        assert (now.named.dialect, key and key.source) == (dialect, wanted)
        assert asked.resources.backend(now).endpoint().base_url == address
        held = f"key from {wanted}, ending in 6789" if wanted else "no key (BELUGA_LAB_API_KEY)"
        assert asked.status()["endpoint lab"].endswith(held)


def test_s12_whose_address_the_user_has_set_gets_its_key(tmp_path):
    (tmp_path / "beluga.toml").write_text(HERE)
    with on_a_port((app := App(localai)).app) as base_url:
        environ = {"BELUGA_LAB_API_KEY": KEY, "BELUGA_LAB_BASE_URL": base_url}
        stranger(tmp_path, **environ).generate("a fox", endpoint="lab")
    assert app.keys == [f"Bearer {KEY}"]
    assert leaks(tmp_path) == []


def test_s12_what_the_environment_says_of_another_address_opens_no_door(tmp_path):
    """The address in the environment is the one that is used: no file can turn it elsewhere."""
    (tmp_path / "beluga.toml").write_text(HERE)
    environ = {"BELUGA_LAB_API_KEY": KEY, "BELUGA_LAB_BASE_URL": "https://lab.example/v1"}
    asked = stranger(tmp_path, **environ)
    assert (
        asked.resources.backend(asked.settings().at("lab:sd")).endpoint().base_url == "https://lab.example/v1"
    )


def test_s13_plain_http_is_for_this_machine_only(tmp_path):
    (tmp_path / "beluga.toml").write_text('[endpoints.lab]\nbase_url = "http://lab.example/v1"\n')
    with pytest.raises(SettingsError, match="not encrypted"):
        session(tmp_path).generate("a fox", model="lab:sd")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('endpoints = "lab"', "The setting endpoints is 'lab'."),
        ('endpoints = { lab = "https://lab.example/v1" }', "The endpoint lab is 'https://lab.example/v1'."),
        ('[endpoints.lab]\napi_key = "x"', "beluga.toml holds a key ('api_key')."),
        ('[endpoints.lab]\nurl = "x"', "No part of the endpoint lab 'url'."),
        ("[endpoints.lab]\nown = true", "No part of the endpoint lab 'own'."),
        ('[endpoints.local]\nbase_url = "https://lab.example/v1"', "'local' is not a valid endpoint name."),
        ('[endpoints."a.b"]\nbase_url = "https://lab.example/v1"', "'a.b' is not a valid endpoint name."),
        ("[endpoints.lab]\nbase_url = 7", "The base_url of the endpoint lab is not a string."),
        ("[endpoints.lab]\ntimeout = -1", "The timeout of the endpoint lab is -1."),
        ('[endpoints.lab]\nbase_url = "ftp://lab.example"', "The base URL is not an http or https URL."),
    ],
)
def test_an_endpoint_that_is_none_is_reported(tmp_path, text, message):
    (tmp_path / "beluga.toml").write_text(text)
    with pytest.raises((SettingsError, UnknownNameError)) as failed:
        settings.load({}, tmp_path)
    assert failed.value.message == message


def test_a_dialect_that_is_none_is_reported_when_it_is_needed(tmp_path):
    text = '[endpoints.lab]\nbase_url = "https://lab.example/v1"\ndialect = "local-ai"\nmodel = "sd"'
    (tmp_path / "beluga.toml").write_text(text)
    assert "No dialect 'local-ai'" in session(tmp_path).status()["endpoint lab"]
    with pytest.raises(UnknownNameError, match="Did you mean 'localai'"):
        session(tmp_path).generate("a fox", endpoint="lab")


def test_an_endpoints_own_patience_outranks_the_dialects_and_the_usual(tmp_path):
    of = {"slow": {"dialect": "lemonade"}, "own": {"dialect": "lemonade", "timeout": 5}, "usual": {}}
    endpoints = {name: {"base_url": "https://lab.example/v1", **parts} for name, parts in of.items()}
    asked = Session(environ={}, folder=tmp_path, endpoints=endpoints)
    now = asked.settings()
    waits = [asked.resources.backend(now.at(f"{name}:sd")).endpoint().timeout for name in of]
    assert waits == [900, 5, 330]


def test_caps_hold_for_an_endpoint_with_a_key_and_not_for_one_without(tmp_path):
    with lab(tmp_path):
        session(tmp_path, BELUGA_MAX_COST="0").generate("a fox", endpoint="lab")
        with pytest.raises(OverBudgetError):
            session(tmp_path, BELUGA_MAX_IMAGES="0", BELUGA_LAB_API_KEY=KEY).generate(
                "a boat", endpoint="lab"
            )


def test_a_name_is_spelt_for_the_environment():
    assert EndpointConfig(name="my-lab").variable("BASE_URL") == "BELUGA_MY_LAB_BASE_URL"


def test_asking_an_endpoint_needs_no_loop_of_ones_own(tmp_path):
    with lab(tmp_path):
        result = asyncio.run(session(tmp_path).agenerate("a fox", endpoint="lab"))
    assert len(result) == 1


def test_in_a_notebook_it_is_chosen_listed_and_completed(tmp_path):
    with lab(tmp_path), Kernel(tmp_path, BELUGA_TRUST=str(tmp_path)) as kernel:
        kernel.run("%load_ext beluga_nb")
        assert kernel.run("%%beluga -m lab:sd-turbo -s 300x200 -o fox\na fox").status == "ok"
        assert kernel.run("%beluga --endpoint lab -s 300x200 a fox").texts == kernel.run("fox").texts
        assert kernel.run("fox[0].size").texts == ["(300, 200)"]
        assert "lab:sd-turbo" in kernel.run("%beluga models").texts[0]
        assert "localai at http://127.0.0.1" in kernel.run("%beluga status").texts[0]
        assert "lab:sd-turbo" in kernel.run("%beluga models --endpoint lab").texts[0]
        assert kernel.complete("%beluga -m la")[0] == ["lab:sd-turbo"]
        line = "%beluga -m lab:"
        [match], (start, _), _ = kernel.complete(line)  # IPython 7 completes what follows the colon
        assert line[:start] + match == "%beluga -m lab:sd-turbo"
        assert kernel.complete("%beluga --endpoint ")[0] == ["lab"]
        assert "http" in "".join(kernel.run("%beluga --dry-run -m lab:sd-turbo a boat").texts)
        shown = kernel.run("%beluga -m lab: -q nothing a fox")
        shown.fails_with("UnknownNameError: No quality 'nothing'", "Available: standard, hd")


def test_a_grid_asks_each_server_and_one_that_refuses_stops_no_other(tmp_path):
    poor = APIStatusError("Your balance is too low.", status=402)

    async def refusing(request):
        raise poor

    with lab(tmp_path) as app, service(refusing) as base_url:
        asked = Session(
            environ={"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url, "BELUGA_TRUST": str(tmp_path)},
            folder=tmp_path,
            notify=lambda _: None,
        )
        grid = asked.grid("a {{animal}}", animal=["fox", "hen"], model=["flux-2.0", "lab:sd-turbo"])
        plan = grid.plan()
        assert [post.url.rpartition("/v1")[0] == base_url.removesuffix("/v1") for post in plan.posts] == [
            post.request.model == "flux-2.0" for post in plan.posts
        ]
        with pytest.raises(APIStatusError, match="balance"):
            grid.run()
        assert sorted(body["prompt"] for body in app.bodies) == ["a fox", "a hen"]
        assert len(grid["fox", "lab:sd-turbo"]) == 1
        assert app.keys == [None, None]


def test_a_source_is_not_asked_for_a_server_that_only_a_model_names(tmp_path):
    counting, store = Counting(), Store(tmp_path)
    call = Call(request=Request(prompt="a fox", model="lab:sd"), backend=LAB_ALONE, store=store)
    room = engine_room()
    source = Source(engine=counting, limit=room.limit("lab"), timeout=1)
    recorder = Recorder(store, provider="lab", preview=lambda _: None, notify=pytest.fail)
    with pytest.raises(NotRecordedError):
        ask(build(call, source, room=room, recorder=recorder), call.request)
    assert counting.requests == []


@pytest.mark.parametrize("model", ["flux-2.0", "gpu:sd"])
def test_an_endpoint_with_the_provider_name_of_the_base_url_is_refused_before_anything_is_asked(
    tmp_path, model
):
    endpoints = {"gpu": {"base_url": "https://gpu.example/v1"}}
    clashing = Session(
        environ={"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": "https://gpu/v1"},
        folder=tmp_path,
        endpoints=endpoints,
        notify=lambda _: None,
    )
    for ask_for in (
        clashing.generate,
        clashing.plan,
        lambda prompt, model: clashing.grid(prompt, model=model).run(),
    ):
        with pytest.raises(SettingsError, match="'gpu' is the name of an endpoint") as caught:
            ask_for("a fox", model=model)
        assert len(caught.value.lines()) == 2
    with pytest.raises(NotRecordedError):
        clashing.generate("a fox", model=model, mode="replay")
