"""The same request to servers that each expect another body and answer in another shape."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
from conftest import KEY, ask, on_a_port
from servers import BROKEN, BUSY, REFUSED, SERVERS, App, b64, png

from beluga_nb.api.dialects import BELUGA, DIALECTS, GENERIC, OPENROUTER, XAI, find_dialect
from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http, models
from beluga_nb.config.keys import Secret
from beluga_nb.errors import (
    APIStatusError,
    EngineError,
    InvalidResponseError,
    OutcomeUnknownError,
    RateLimitError,
    RequestError,
    UnknownNameError,
)
from beluga_nb.request import Request

WHALE = Request(prompt="a whale", model="lab:sd", size="16:9", n=2)


@contextlib.contextmanager
def served(answer):
    app = App(answer)
    with on_a_port(app.app) as base_url:
        yield app, base_url


def endpoint(base_url, dialect, response_format="b64_json"):
    return Endpoint(
        base_url=base_url,
        provider="lab",
        key=Secret(KEY, "a test"),
        response_format=response_format,
        dialect=find_dialect(dialect),
        prefix="lab:",
    )


def client(base_url, dialect, response_format="b64_json"):
    return Http(endpoint(base_url, dialect, response_format))


def body(dialect, request=WHALE, response_format="b64_json"):
    return find_dialect(dialect).body(request, response_format=response_format)


@pytest.mark.parametrize("response_format", ["b64_json", "url"])
@pytest.mark.parametrize("name", SERVERS)
def test_each_server_draws_the_shape_that_was_asked_for(name, response_format):
    """Whatever the settings say of `response_format`, and however the server wants its sizes."""
    with served(SERVERS[name]) as (app, base_url):
        result = ask(client(base_url, name, response_format), WHALE)
    assert len(result) == 2
    assert all(abs(image.width / image.height - 16 / 9) < 0.02 for image in result)
    assert app.bodies[0]["model"] == "sd"
    assert app.bodies[0]["prompt"] == "a whale"
    assert result.recipe.engine == "lab"
    assert result.request.model == "lab:sd"


@pytest.mark.parametrize("name", SERVERS)
def test_each_server_takes_every_quality_and_format_that_can_be_typed(name):
    with served(SERVERS[name]) as (_, base_url):
        for quality in ("standard", "hd", "low", "max"):
            asked = Request(prompt="a whale", model="lab:sd", quality=quality, output_format="png")
            assert len(ask(client(base_url, name), asked)) == 1


@pytest.mark.parametrize("name", SERVERS)
def test_each_server_takes_a_size_left_to_it(name):
    with served(SERVERS[name]) as (_, base_url):
        for size in (None, "auto"):
            if name == "xai" and size:
                continue  # it knows the word, and our double draws no size for it
            assert len(ask(client(base_url, name), Request(prompt="a whale", model="lab:sd", size=size))) == 1


SAID = {
    "beluga": {"size": "16:9", "quality": "hd", "response_format": "b64_json"},
    "openai": {"size": "1536x864", "quality": "high"},
    "localai": {"size": "1536x864", "response_format": "b64_json"},
    "sdcpp": {"size": "1536x864", "response_format": "b64_json"},
    "vllm-omni": {"size": "1536x864", "response_format": "b64_json"},
    "sglang": {"size": "1536x864", "response_format": "b64_json", "seed": 1758777813},
    "xinference": {"size": "1536*864", "response_format": "b64_json"},
    "lemonade": {"size": "1536x864", "response_format": "b64_json"},
    "openrouter": {"aspect_ratio": "16:9"},
    "litellm": {"size": "1536x864", "quality": "hd"},
    "xai": {"aspect_ratio": "16:9", "response_format": "b64_json"},
    "generic": {"size": "1536x864", "quality": "hd", "response_format": "b64_json"},
}


@pytest.mark.parametrize("name", DIALECTS)
def test_what_is_sent_in_each_dialect(name):
    request = Request(prompt="a whale", model="sd", size="16:9", quality="hd")
    assert body(name, request) == {"prompt": "a whale", "model": "sd", "n": 1} | SAID[name]


def test_every_dialect_says_where_it_is_from():
    assert all(dialect.source for dialect in DIALECTS.values())
    assert sorted(SAID) == sorted(DIALECTS)
    with pytest.raises(UnknownNameError, match="Did you mean 'localai'"):
        find_dialect("local-ai")


def test_pixels_go_as_pixels_and_become_a_label_only_where_there_is_no_other_way():
    request = Request(prompt="a whale", model="sd", size="1200x900")
    assert body("localai", request)["size"] == "1200x900"
    assert body("xinference", request)["size"] == "1200*900"
    assert body("openrouter", request)["size"] == "1200x900"
    assert body("xai", request)["aspect_ratio"] == "4:3"
    assert XAI.remarks(request) == ["size 1200x900 is asked for as 4:3, the nearest that xai has."]
    assert OPENROUTER.remarks(request) == []


def test_a_size_that_a_server_has_not_is_refused_before_it_is_sent():
    with pytest.raises(RequestError, match="xai has no size '21:9'") as failed:
        body("xai", Request(prompt="a whale", model="sd", size="21:9"))
    assert failed.value.hint == "It takes 1:1, 16:9, 9:16, 4:3, 3:4, 3:2, 2:3, 2:1, 1:2 or auto."


def test_what_is_not_sent_or_sent_in_other_words_is_reported():
    request = Request(prompt="a whale", model="sd", quality="hd", output_format="webp", output_compression=5)
    assert find_dialect("lemonade").remarks(request) == [
        "lemonade takes no output_format: webp is not sent.",
        "lemonade takes no output_compression: 5 is not sent.",
        "lemonade takes no quality: hd is not sent.",
    ]
    assert find_dialect("openai").remarks(request) == ["quality hd is asked for as high, openai's word."]
    assert GENERIC.remarks(request) == BELUGA.remarks(request) == []
    [messages] = find_dialect("localai").remarks(Request(prompt="a whale | a boat", model="sd"))
    assert messages == "LocalAI reads what follows | in a prompt as what the picture shall not show."
    assert body("localai", Request(prompt="a whale | a boat", model="sd"))["prompt"] == "a whale | a boat"


def test_a_server_that_repeats_itself_gets_another_seed_for_each_sample_and_take():
    asked = [WHALE.slice(0), WHALE.slice(1), Request(prompt="a whale", model="lab:sd", take="again")]
    seeds = [body("sglang", each)["seed"] for each in asked]
    assert len(set(seeds)) == 3
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert body("sglang", WHALE.slice(1)) == body("sglang", WHALE.slice(1))


def test_a_server_that_wants_a_key_says_where_it_is_looked_for():
    with served(lambda _: (401, {"detail": "Not authenticated"})) as (_, base_url):
        keyless = replace(endpoint(base_url, "generic"), key=None)
        with pytest.raises(APIStatusError, match="Not authenticated") as failed:
            ask(Http(keyless), WHALE)
        assert failed.value.hint.startswith("lab wants a key of its own: Session.status() says where")
        with pytest.raises(APIStatusError) as failed:
            ask(client(base_url, "generic"), WHALE)
        assert failed.value.hint.startswith("The key comes from a test and ends in only.")


ERRORS = [
    ({"error": {"message": "no", "type": "t", "code": "c", "param": "p"}}, "no", "c", "p"),
    ({"error": {"message": "no", "code": 503, "type": ""}}, "no", "503", None),
    ({"error": "no"}, "no", None, None),
    ({"code": "bad", "error": "no"}, "no", None, None),
    ({"detail": "no"}, "no", None, None),
    (
        {"detail": [{"loc": ["body", "size"], "msg": "no", "type": "x"}, {"msg": "never"}]},
        "no; never",
        None,
        None,
    ),
    ({"detail": {"error": {"message": "no"}}}, "no", None, None),
    ({"errors": [{"message": "no"}]}, "no", None, None),
    ({"message": "no", "code": 7}, "no", "7", None),
    ({"error": {"message": {"error": "no"}}}, "no", None, None),
    ({"error": None, "detail": "no"}, "no", None, None),
    ("no", "no", None, None),
    (None, "The service answered with status 422.", None, None),
    ("<html>no</html>", "The service answered with status 422.", None, None),
    ({}, "The service answered with status 422.", None, None),
    ([1, "x"], '[1,"x"]', None, None),
]


@pytest.mark.parametrize(("given", "message", "code", "param"), ERRORS, ids=lambda each: str(each)[:40])
def test_one_error_whatever_the_body_looks_like(given, message, code, param):
    with served(lambda _: (422, given)) as (_, base_url), pytest.raises(APIStatusError) as failed:
        ask(client(base_url, "generic"), WHALE)
    error = failed.value
    assert (error.message, error.status, error.code, error.param) == (message, 422, code, param)


@pytest.mark.parametrize(
    ("name", "prompt", "kind", "message"),
    [
        ("localai", BUSY, RateLimitError, "model is loading"),
        ("localai", REFUSED, OutcomeUnknownError, "could not load model: not found"),
        ("localai", BROKEN, OutcomeUnknownError, "The service answered with status 500."),
        ("sdcpp", REFUSED, APIStatusError, "prompt required"),
        ("openrouter", REFUSED, APIStatusError, "Insufficient credits"),
        (
            "openrouter",
            BROKEN,
            InvalidResponseError,
            "The service answered with an error: Provider returned error",
        ),
    ],
)
def test_what_a_server_says_when_it_fails(name, prompt, kind, message):
    with served(SERVERS[name]) as (_, base_url), pytest.raises(kind) as failed:
        ask(client(base_url, name), Request(prompt=prompt, model="lab:sd"))
    assert failed.value.message == message
    assert "BELUGA_API_KEY" not in failed.value.hint


def test_advice_names_the_endpoint_and_no_key_of_belugapi():
    with served(SERVERS["openrouter"]) as (_, base_url), pytest.raises(APIStatusError) as failed:
        ask(client(base_url, "openrouter"), Request(prompt=REFUSED, model="lab:sd"))
    assert failed.value.hint == "Top up the balance at lab. Nothing is billed."
    with pytest.raises(EngineError) as failed:
        ask(client("http://127.0.0.1:9/v1", "generic"), WHALE)
    assert failed.value.hint == "Nothing was sent or billed. Look at the network and [endpoints.lab]."


def linked(*urls):
    return lambda _: (200, {"created": 1, "data": [{"url": url} for url in urls]})


ONE = Request(prompt="a whale", model="lab:sd")


@pytest.mark.parametrize("url", ["/v1/images/abc/content?variant=0", "content/abc", "./abc.png"])
def test_a_relative_address_is_the_servers_own_and_is_fetched_without_the_key(url):
    with served(linked(url)) as (app, base_url):
        assert ask(client(base_url, "generic", "url"), ONE)[0].size == (64, 36)
    assert app.fetched[0].startswith(("/v1/images/abc", "/v1/content", "/v1/abc"))
    assert app.keys == [f"Bearer {KEY}", None]


def test_a_picture_in_its_own_address_needs_no_network():
    data = f"data:image/png;base64,{b64(png(64, 36))}"
    with served(linked(data)) as (app, base_url):
        assert ask(client(base_url, "generic", "url"), ONE)[0].size == (64, 36)
    assert app.fetched == []


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, "A picture in the answer has neither url nor b64_json."),
        ({"url": None, "b64_json": None}, "A picture in the answer has neither url nor b64_json."),
        ({"url": "", "b64_json": ""}, "A picture in the answer has neither url nor b64_json."),
        ({"url": "file:///home/x.jpg"}, "The answer's picture lies at an address that is not fetched: file:"),
        ({"url": "C:\\pictures\\x.jpg"}, "The answer's picture lies at an address that is not fetched: C:"),
        (
            {"url": "/home/xinference/x.jpg"},
            "The picture was made but cannot be fetched from http://127.0.0.1",
        ),
        (
            {"url": "data:image/png;base64,%%%"},
            "A picture in the answer is damaged (its base64 does not decode).",
        ),
    ],
)
def test_an_address_that_leads_nowhere_is_one_error(item, message):
    with (
        served(lambda _: (200, {"created": 1, "data": [item]})) as (_, base_url),
        pytest.raises(InvalidResponseError) as failed,
    ):
        ask(client(base_url, "generic", "url"), ONE)
    assert failed.value.message.startswith(message)


@pytest.mark.parametrize("name", ["generic", "openrouter"])
def test_models_are_listed_by_the_names_they_have_here(name):
    with served(SERVERS["localai"]) as (app, base_url):
        [model] = asyncio.run(models(endpoint(base_url, name)))
    assert model.id == "lab:sd-turbo"
    assert app.keys == [f"Bearer {KEY}"]
