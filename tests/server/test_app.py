"""The contract, row by row, in process and over a real socket (contract.md)."""

import asyncio
import base64
import io
import json
import re
import socket
import sys
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from PIL import Image

from beluga_nb.api.answers import parse
from beluga_nb.errors import (
    APIConnectionError,
    APIStatusError,
    APITimeoutError,
    EngineError,
    InvalidResponseError,
    NotRecordedError,
    OutcomeUnknownError,
    RateLimitError,
    RequestError,
)
from beluga_nb.images import SUFFIXES
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, IncompleteError, Result
from beluga_nb.server.app import BODY_LIMIT, create_app
from beluga_nb.server.previews import previews

BASE = "http://beluga.test"
PATH = "/v1/images/generations"
WHALE = {"model": "flux-2.0", "prompt": "a whale"}
LABELS = ["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "5:4", "4:5", "2:1", "1:2", "21:9", "9:21"]
FIVE = ["1:1", "16:9", "9:16", "4:3", "3:4"]
MODELS = {
    "gpt-image-2": ("OpenAI", LABELS, 1),
    "gpt-image-2-official": ("OpenAI", LABELS, 1),
    "gpt-image-1-official": ("OpenAI", FIVE, 1),
    "gpt-image-1.5-official": ("OpenAI", FIVE, 1),
    "gemini-3-pro-image-preview-official": ("Google", FIVE, 4),
    "gemini-2.5-flash-image-preview-official": ("Google", FIVE, 4),
    "seedream-4.0": ("ByteDance", FIVE, 4),
    "seedream-4.5": ("ByteDance", FIVE, 4),
    "seedream-5.0-lite": ("ByteDance", FIVE, 4),
    "wan2.7-image": ("Various", LABELS, 4),
    "wan2.7-image-pro": ("Various", LABELS, 4),
    "qwen-image-2.0-pro": ("Various", LABELS, 4),
    "z-image-turbo": ("Various", LABELS, 1),
    "grok-imagine-1.0-apimart": ("Various", LABELS, 4),
    "grok-imagine-1.0-edit-apimart": ("Various", LABELS, 4),
    "flux-kontext": ("Various", LABELS, 1),
    "flux-2.0": ("Various", LABELS, 4),
}


async def echo(request):
    """Answer with what was asked, as the bytes of each picture."""
    answers = [ImagePayload(repr(request.slice(sample)).encode()) for sample in request.samples]
    return Result.of(request, answers, engine="echo", created=1716900000)


async def endless(_):
    await asyncio.Event().wait()


def raising(error):
    async def engine(_):
        raise error

    return engine


class Heard:
    """An engine that keeps the requests it was asked."""

    def __init__(self):
        self.requests = []

    async def __call__(self, request):
        self.requests.append(request)
        return await echo(request)


@asynccontextmanager
async def client_of(app):
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:
        yield client


def ask(app, method, path, **options):
    """Return the app's answer to one call."""

    async def call():
        async with client_of(app) as client:
            return await client.request(method, path, **options)

    return asyncio.run(call())


def post(body, engine=echo, **options):
    return ask(create_app(engine, **options), "POST", PATH, json=body)


def heard(**options):
    """Return the request that reaches the engine."""
    engine = Heard()
    answer = post(WHALE | options, engine)
    assert answer.status_code == 200, answer.text
    return engine.requests[0]


def refusal(answer):
    """Return the status and the error object, which has its four keys and no other."""
    body = answer.json()
    assert answer.headers["content-type"] == "application/json"
    assert re.fullmatch("req_[0-9a-f]{32}", answer.headers["x-request-id"])
    assert list(body) == ["error"]
    assert set(body["error"]) == {"message", "type", "code", "param"}
    assert isinstance(body["error"]["message"], str)
    assert body["error"]["message"]
    return answer.status_code, body["error"]


def refused_as(answer):
    """Return status, type, code and param of a refusal."""
    status, error = refusal(answer)
    return status, error["type"], error["code"], error["param"]


# --- the answer


def test_the_answer_is_created_and_data_with_links():
    answer = post(WHALE | {"n": 2})
    body = answer.json()
    assert (answer.status_code, set(body), body["created"]) == (200, {"created", "data"}, 1716900000)
    assert [set(item) for item in body["data"]] == [{"url"}, {"url"}]
    for item in body["data"]:
        assert re.fullmatch(r"http://beluga\.test/files/[0-9a-f]{32}\.png", item["url"])


def test_b64_json_carries_the_pictures_themselves():
    body = post(WHALE | {"n": 2, "response_format": "b64_json"}).json()
    assert [set(item) for item in body["data"]] == [{"b64_json"}, {"b64_json"}]
    assert base64.b64decode(body["data"][1]["b64_json"]) == (
        b"Request(prompt='a whale', model='flux-2.0', n=1, size=None, quality=None,"
        b" output_format=None, output_compression=None, take='', sample=1)"
    )


def test_links_and_b64_give_the_same_bytes():
    async def both():
        async with client_of(create_app(echo)) as client:
            linked = (await client.post(PATH, json=WHALE)).json()["data"][0]["url"]
            carried = (await client.post(PATH, json=WHALE | {"response_format": "b64_json"})).json()
            return (await client.get(linked)).content, base64.b64decode(carried["data"][0]["b64_json"])

    linked, carried = asyncio.run(both())
    assert linked == carried


def test_a_revised_prompt_stands_with_its_picture_even_with_half_a_surrogate_pair():
    async def engine(request):
        return Result.of(
            request, [ImagePayload(b"1", revised_prompt="half \ud83d"), ImagePayload(b"2")], engine="e"
        )

    first, second = post(WHALE | {"n": 2}, engine).json()["data"]
    assert (first["revised_prompt"], "revised_prompt" in second) == ("half \ud83d", False)


def test_every_answer_has_a_request_id_of_its_own():
    app = create_app(echo)
    calls = [("GET", "/v1/health"), ("GET", "/v1/models"), ("GET", "/none"), ("DELETE", PATH)]
    ids = [ask(app, method, path).headers.get_list("x-request-id") for method, path in calls]
    assert all(len(each) == 1 and re.fullmatch("req_[0-9a-f]{32}", each[0]) for each in ids)
    assert len({each[0] for each in ids}) == len(ids)


def test_generations_say_who_drew_them_and_how_long_it_took():
    ticks = iter([0.0, 1.5])

    async def engine(request):
        return Result.of(request, [ImagePayload(b"1")], engine="painter of Málaga\r\nset-cookie: no")

    answer = post(WHALE, engine, clock=lambda: next(ticks, 2.0))
    assert answer.headers["x-beluga-engine"] == "painter of Málaga set-cookie: no"
    assert answer.headers["openai-processing-ms"] == "2000"


def test_refused_generations_say_how_long_they_took_too():
    assert post({}).headers["openai-processing-ms"].isdigit()


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (None, "1:1"),
        ("16:9", "16:9"),
        ("auto", "auto"),
        ("1792x1024", "16:9; requested=1792x1024"),
        (" 1792 × 1024\r\n", "16:9; requested=1792 × 1024"),
    ],
)
def test_the_size_header_says_what_is_drawn_and_what_was_asked(size, header):
    answer = post(WHALE | {"size": size})
    assert answer.headers["x-beluga-size"] == header


# --- parameters


def test_the_engine_gets_every_parameter_with_take_and_sample():
    others = {"n": 3, "size": "16:9", "quality": "hd", "take": "again", "sample": 7}
    others |= {"output_format": "webp", "output_compression": 0}
    assert heard(**others) == Request(prompt="a whale", model="flux-2.0", **others)


def test_a_whole_number_may_be_written_with_a_point():
    assert repr(heard(n=2.0, sample=7.0)) == repr(heard(n=2, sample=7))


def test_what_was_not_set_stays_unset():
    assert (
        heard() == heard(n=1) == heard(size=None, quality=None) == Request(prompt="a whale", model="flux-2.0")
    )


def test_the_prompt_reaches_the_engine_as_it_was_typed():
    prompt = "  a whale\n\twith 'ünïcödé' 🐋 {{name}} $x \\n  "
    assert heard(prompt=prompt).prompt == prompt


def test_unknown_keys_are_no_error():
    assert heard(user="me", background="transparent", stream=False, seed=3) == heard()


@pytest.mark.parametrize("model", MODELS)
def test_each_model_is_answered(model):
    assert post(WHALE | {"model": model}).status_code == 200


@pytest.mark.parametrize("model", MODELS)
def test_n_goes_up_to_the_models_limit_and_no_further(model):
    most = MODELS[model][2]
    assert len(post(WHALE | {"model": model, "n": most}).json()["data"]) == most
    status, error = refusal(post(WHALE | {"model": model, "n": most + 1}))
    assert (status, error["param"], error["type"]) == (400, "n", "invalid_request_error")
    assert error["message"] == (f"n is {most + 1}, but {model} takes 1 to {most}. Send more requests.")


@pytest.mark.parametrize(
    ("quality", "asked"),
    [
        *[("standard", "standard"), ("low", "standard"), ("medium", "standard"), ("auto", "standard")],
        *[("hd", "hd"), ("high", "hd"), ("xhigh", "hd"), ("max", "hd")],
    ],
)
def test_openais_qualities_become_ours(quality, asked):
    assert heard(quality=quality).quality == asked


@pytest.mark.parametrize("size", [*LABELS, "auto"])
def test_each_label_reaches_the_engine(size):
    assert heard(size=size).size == size


@pytest.mark.parametrize("size", [*FIVE, "auto"])
def test_a_five_label_model_takes_its_five_and_auto(size):
    assert heard(model="seedream-4.5", size=size).size == size


@pytest.mark.parametrize("size", LABELS[5:])
def test_a_five_label_model_names_its_five_when_it_refuses_another(size):
    status, error = refusal(post(WHALE | {"model": "seedream-4.5", "size": size}))
    assert (status, error["param"]) == (400, "size")
    assert "1:1, 16:9, 9:16, 4:3, 3:4" in error["message"]


@pytest.mark.parametrize(
    ("pixels", "label"),
    [
        ("1024x1024", "1:1"),
        ("1536x1024", "3:2"),
        ("1792x1024", "16:9"),
        ("1080x1350", "4:5"),
        ("3440x1440", "21:9"),
        ("1170x2532", "9:21"),
        ("1200x628", "2:1"),
        ("16x16", "1:1"),
    ],
)
def test_pixels_become_the_nearest_label(pixels, label):
    assert heard(size=pixels).size == label


def test_pixels_become_the_nearest_of_the_models_own_labels():
    assert heard(model="seedream-4.5", size="1536x1024").size == "4:3"


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"model": None}, "missing_parameter", "model"),
        ({"prompt": None}, "missing_parameter", "prompt"),
        ({"prompt": ""}, "missing_parameter", "prompt"),
        ({"prompt": " \n\t "}, "missing_parameter", "prompt"),
        ({"prompt": "x" * 32_001}, None, "prompt"),
        ({"prompt": 7}, None, "prompt"),
        ({"prompt": ["a whale"]}, None, "prompt"),
        ({"model": 7}, None, "model"),
        ({"n": 0}, None, "n"),
        ({"n": -1}, None, "n"),
        ({"n": 5}, None, "n"),
        ({"n": 10**4000}, None, "n"),
        ({"n": True}, None, "n"),
        ({"n": 1.5}, None, "n"),
        ({"n": "1"}, None, "n"),
        ({"size": "7:5"}, None, "size"),
        ({"size": "15x1024"}, None, "size"),
        ({"size": "1024"}, None, "size"),
        ({"size": 1024}, None, "size"),
        ({"quality": "ultra"}, None, "quality"),
        ({"quality": True}, None, "quality"),
        ({"output_format": "gif"}, None, "output_format"),
        ({"output_format": "jpg"}, None, "output_format"),
        ({"output_format": ["png"]}, None, "output_format"),
        ({"output_compression": 101}, None, "output_compression"),
        ({"output_compression": -1}, None, "output_compression"),
        ({"output_compression": 10**4000}, None, "output_compression"),
        ({"output_compression": "90"}, None, "output_compression"),
        ({"output_compression": True}, None, "output_compression"),
        ({"response_format": "png"}, None, "response_format"),
        ({"response_format": ["url"]}, None, "response_format"),
        ({"response_format": {}}, None, "response_format"),
        ({"sample": -1}, None, "sample"),
        ({"take": 1}, None, "take"),
    ],
)
def test_an_invalid_parameter_is_400_and_named(change, code, param):
    answer = post(WHALE | change)
    assert refused_as(answer) == (400, "invalid_request_error", code, param)
    assert len(answer.content) < 1000


def test_a_prompt_may_have_32000_characters_not_counting_the_space_around():
    assert heard(prompt=" " + "🐋" * 32_000 + "\n").prompt.count("🐋") == 32_000


def test_an_unknown_model_is_404_and_the_nearest_is_named():
    status, error = refusal(post(WHALE | {"model": "flux2"}))
    assert (status, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert "Did you mean 'flux-2.0'?" in error["message"]


# --- bodies that are none


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b"{",
        b"{'model': 1}",
        b"\xff\xfe\xff",
        b'{"model": "flux-2.0", "prompt": "a whale", "n": NaN}',
        b'{"model": "flux-2.0", "prompt": "a whale", "n": Infinity}',
        b'{"model": "flux-2.0", "prompt": "a whale", "n": 1' + b"0" * 5000 + b"}",
        b"[" * 100_000,
        b'{"prompt":' * 100_000,
    ],
)
def test_a_body_that_is_no_json_object_is_400(body):
    answer = ask(create_app(echo), "POST", PATH, content=body, headers={"content-type": "application/json"})
    assert refused_as(answer) == (400, "invalid_request_error", None, None)


@pytest.mark.parametrize("depth", range(900, 1000, 7))
def test_nesting_that_python_can_read_but_not_show_is_400(depth):
    body = b'{"model": "flux-2.0", "prompt": ' + b"[" * depth + b"]" * depth + b"}"
    answer = ask(create_app(echo), "POST", PATH, content=body, headers={"content-type": "application/json"})
    assert refusal(answer)[0] == 400


@pytest.mark.parametrize("name", ["prompt", "model", "size", "quality", "response_format", "take"])
def test_half_a_surrogate_pair_is_400_with_an_answer_that_can_be_read(name):
    body = json.dumps(WHALE | {name: "a \ud83d"})
    answer = ask(create_app(echo), "POST", PATH, content=body, headers={"content-type": "application/json"})
    assert refused_as(answer)[0] in {400, 404}
    assert refused_as(answer)[3] == name


def test_a_body_above_one_mebibyte_is_413_and_one_of_that_size_is_read():
    frame = json.dumps(WHALE | {"user": ""})
    fits = json.dumps(WHALE | {"user": "x" * (BODY_LIMIT - len(frame))})
    headers = {"content-type": "application/json"}
    app = create_app(echo)
    assert BODY_LIMIT == 1024 * 1024 == len(fits)
    assert ask(app, "POST", PATH, content=fits, headers=headers).status_code == 200
    assert refused_as(ask(app, "POST", PATH, content=fits + " ", headers=headers))[:2] == (
        413,
        "invalid_request_error",
    )


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", None]
)
def test_a_body_of_another_content_type_is_415(kind):
    headers = {"content-type": kind} if kind else {}
    answer = ask(create_app(echo), "POST", PATH, content=json.dumps(WHALE), headers=headers)
    assert refused_as(answer)[:2] == (415, "invalid_request_error")


def test_json_may_name_its_charset():
    headers = {"content-type": "Application/JSON; charset=UTF-8"}
    answer = ask(create_app(echo), "POST", PATH, content=json.dumps(WHALE), headers=headers)
    assert answer.status_code == 200


# --- who may


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer bapi_wrong",
        "Basic bapi_right",
        "bapi_right",
        "Bearer bapi_rightx",
        "Bearer ü",
    ],
)
def test_a_missing_or_wrong_key_is_401(authorization):
    headers = {} if authorization is None else {"authorization": authorization.encode("latin-1")}
    answer = ask(create_app(echo, key="bapi_right"), "POST", PATH, json=WHALE, headers=headers)
    assert refused_as(answer) == (401, "authentication_error", "invalid_api_key", None)
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "bapi_right" not in answer.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_the_right_key_is_let_in(scheme):
    headers = {"authorization": f"{scheme} bapi_right"}
    assert (
        ask(create_app(echo, key="bapi_right"), "POST", PATH, json=WHALE, headers=headers).status_code == 200
    )


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/flux-2.0", "/v1/health"])
def test_models_and_health_need_no_key(path):
    assert ask(create_app(echo, key="bapi_right"), "GET", path).status_code == 200


def test_a_wrong_key_is_refused_before_the_body_is_read():
    answer = ask(create_app(echo, key="bapi_right"), "POST", PATH, content=b"x" * 2 * BODY_LIMIT)
    assert answer.status_code == 401


# --- errors


@pytest.mark.parametrize(
    ("error", "status", "kind", "again"),
    [
        (RequestError("no"), 400, "invalid_request_error", None),
        (APIStatusError("no", status=401), 401, "authentication_error", None),
        (APIStatusError("no", status=402), 402, "insufficient_quota", "false"),
        (APIStatusError("no", status=403), 403, "permission_error", None),
        (APIStatusError("no", status=404), 404, "invalid_request_error", None),
        (APIStatusError("no", status=409), 409, "invalid_request_error", "false"),
        (OutcomeUnknownError("no", status=408), 408, "invalid_request_error", "false"),
        (RateLimitError("no"), 429, "rate_limit_error", None),
        (EngineError("no"), 500, "server_error", "false"),
        (OutcomeUnknownError("no"), 500, "server_error", "false"),
        (NotRecordedError("no"), 500, "server_error", "false"),
        (APIConnectionError("no"), 502, "upstream_error", "false"),
        (InvalidResponseError("no"), 502, "upstream_error", "false"),
        (RateLimitError("no", status=503), 503, "service_unavailable", "false"),
        (RateLimitError("no", status=503, retry_after=3), 503, "service_unavailable", None),
        (APITimeoutError("no"), 504, "timeout", "false"),
        (APIStatusError("elsewhere", status=302), 502, "upstream_error", "false"),
    ],
)
def test_each_error_of_an_engine_has_its_status_type_and_advice(error, status, kind, again):
    answer = post(WHALE, raising(error))
    assert refused_as(answer)[:2] == (status, kind)
    assert answer.headers.get("x-should-retry") == again


def test_an_engines_word_on_code_and_param_is_passed_on():
    error = APIStatusError("No.", status=403, type="policy", code="moderated", param="prompt")
    assert refusal(post(WHALE, raising(error))) == (
        403,
        {"message": "No.", "type": "policy", "code": "moderated", "param": "prompt"},
    )


@pytest.mark.parametrize(("seconds", "header"), [(None, "1"), (0.2, "1"), (3, "3"), (3.2, "4")])
def test_retry_after_is_whole_seconds_from_1_on(seconds, header):
    assert post(WHALE, raising(RateLimitError("busy", retry_after=seconds))).headers["retry-after"] == header


def test_a_message_with_half_a_surrogate_pair_can_be_answered():
    assert refusal(post(WHALE, raising(APIStatusError("bad \ud83d"))))[1]["message"] == "bad "


def test_a_strangers_error_is_500_without_its_text(caplog):
    answer = post(WHALE, raising(KeyError("bapi_secret")))
    assert refused_as(answer) == (500, "server_error", None, None)
    assert "bapi_secret" not in answer.text
    assert "bapi_secret" in caplog.text


def test_an_engine_that_keeps_no_contract_is_500_with_the_error_object_too():
    async def engine(_):
        return None

    async def call():
        transport = httpx.ASGITransport(create_app(engine), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as client:
            return await client.post(PATH, json=WHALE)

    assert refused_as(asyncio.run(call())) == (500, "server_error", None, None)


def test_pictures_that_arrived_are_answered_when_the_rest_failed():
    async def engine(request):
        raise IncompleteError(await echo(request.slice(0, 2)), [APITimeoutError("late")])

    answer = post(WHALE | {"n": 4}, engine)
    assert (answer.status_code, len(answer.json()["data"])) == (200, 2)
    assert answer.headers["x-beluga-engine"] == "echo"


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/none", "/v1/models/", "/v1/images/generations/", "/files", "/files/"]
)
def test_an_unknown_address_is_404_and_nothing_is_redirected(path):
    assert refused_as(ask(create_app(echo), "GET", path)) == (404, "invalid_request_error", None, None)


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", PATH, {"POST"}),
        ("DELETE", PATH, {"POST"}),
        ("POST", "/v1/models", {"GET", "HEAD"}),
        ("POST", "/v1/models/flux-2.0", {"GET", "HEAD"}),
        ("PUT", "/v1/health", {"GET", "HEAD"}),
        ("DELETE", "/files/x.png", {"GET", "HEAD"}),
    ],
)
def test_another_method_is_405_and_says_which_is_allowed(method, path, allowed):
    answer = ask(create_app(echo), method, path)
    assert refused_as(answer) == (405, "invalid_request_error", None, None)
    assert set(answer.headers["allow"].split(", ")) == allowed


# --- the queue


def test_a_full_queue_is_429_with_retry_after():
    async def full():
        async with client_of(create_app(endless, workers=1, limit=1)) as client:
            waiting = [asyncio.create_task(client.post(PATH, json=WHALE)) for _ in range(3)]
            done, others = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for each in others:
                each.cancel()
            await asyncio.wait(others)
            return [each.result() for each in done]

    (answer,) = asyncio.run(full())
    assert refused_as(answer) == (429, "rate_limit_error", None, None)
    assert int(answer.headers["retry-after"]) >= 1


def test_a_request_beyond_patience_is_504_timeout():
    answer = post(WHALE, endless, patience=0.01)
    assert refused_as(answer) == (504, "timeout", None, None)
    assert answer.headers["x-should-retry"] == "false"


class Watched:
    """An engine that never answers, and says when it was entered and left."""

    def __init__(self):
        self.entered, self.left = asyncio.Event(), asyncio.Event()

    async def __call__(self, _):
        self.entered.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.left.set()


def test_a_call_that_is_cancelled_in_process_cancels_the_engine():
    async def cancelled():
        engine = Watched()
        async with client_of(create_app(engine)) as client:
            call = asyncio.create_task(client.post(PATH, json=WHALE))
            await engine.entered.wait()
            call.cancel()
            await asyncio.wait({call})
            return call.cancelled(), engine.left.is_set(), asyncio.all_tasks() - {asyncio.current_task()}

    assert asyncio.run(cancelled()) == (True, True, set())


@asynccontextmanager
async def serving(app):
    """Serve the app with uvicorn on a free port of this machine; yield the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", ws="none")
        server = uvicorn.Server(config)
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield listener.getsockname()[1]
        finally:
            server.should_exit = True
            await asyncio.wait_for(task, 10)


def raw(body, *, length=None):
    text = json.dumps(body).encode()
    size = len(text) if length is None else length
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {size}\r\n\r\n"
    )
    return head.encode() + text


def test_a_caller_who_hangs_up_cancels_the_engine(caplog):
    async def hung_up():
        engine = Watched()
        async with serving(create_app(engine)) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(raw(WHALE))
            await asyncio.wait_for(engine.entered.wait(), 10)
            writer.close()
            await asyncio.wait_for(engine.left.wait(), 10)
            await writer.wait_closed()

    asyncio.run(hung_up())
    assert caplog.text == ""


def test_a_caller_who_hangs_up_amid_the_body_leaves_no_complaint(caplog):
    async def hung_up():
        async with serving(create_app(echo)) as port:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(raw(WHALE, length=1000))
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                return await client.get("/v1/health")

    assert asyncio.run(hung_up()).status_code == 200
    assert caplog.text == ""


def test_a_body_that_is_far_too_long_is_413_over_a_socket():
    async def call():
        async with serving(create_app(echo)) as port, httpx.AsyncClient() as client:
            return await client.post(
                f"http://127.0.0.1:{port}{PATH}", json=WHALE | {"user": "x" * 20_000_000}
            )

    assert refused_as(asyncio.run(call()))[0] == 413


def test_a_query_that_is_no_text_is_404_at_an_unknown_address():
    app = create_app(echo)

    async def raw_query(scope, receive, send):
        await app(scope | {"query_string": b"\xff"}, receive, send)  # as other servers hand it on

    assert refusal(ask(raw_query, "GET", "/none"))[0] == 404


# --- files


async def jpeg(request):
    return Result.of(request, [ImagePayload(b"jpeg", "image/jpeg")], engine="jpeg")


def links(engine, **options):
    """Return the app and the paths of the links it gives out for one request."""
    app = create_app(engine, **options)
    body = ask(app, "POST", PATH, json=WHALE).json()
    return app, [httpx.URL(item["url"]).path for item in body["data"]]


def test_a_file_has_its_media_type_and_is_neither_sniffed_nor_stored():
    app, (path,) = links(jpeg)
    answer = ask(app, "GET", path)
    assert path.endswith(".jpg")
    assert (answer.status_code, answer.content, answer.headers["content-type"]) == (
        200,
        b"jpeg",
        "image/jpeg",
    )
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-store"


def test_what_is_no_picture_is_never_served_as_a_page():
    async def engine(request):
        return Result.of(request, [ImagePayload(b"<script>", "text/html")], engine="e")

    app, (path,) = links(engine)
    assert ask(app, "GET", path).headers["content-type"] == "application/octet-stream"


@pytest.mark.parametrize("name", ["none.png", "..%2f..%2fetc%2fpasswd", "a" * 5000])
def test_an_unknown_file_is_404(name):
    assert refused_as(ask(create_app(echo), "GET", f"/files/{name}"))[0] == 404


def test_a_link_works_for_60_minutes():
    now = [0.0]
    app, (path,) = links(jpeg, clock=lambda: now[0])
    now[0] = 3599.0
    assert ask(app, "GET", path).status_code == 200
    now[0] = 3600.0
    assert refused_as(ask(app, "GET", path)) == (404, "invalid_request_error", "file_not_found", None)


def test_a_link_names_the_host_that_was_called():
    async def call():
        transport = httpx.ASGITransport(create_app(jpeg))
        async with httpx.AsyncClient(transport=transport, base_url="https://else.where:8443") as client:
            return (await client.post(PATH, json=WHALE)).json()["data"][0]["url"]

    assert asyncio.run(call()).startswith("https://else.where:8443/files/")


@pytest.mark.parametrize("host", ["[", "a b", "x:99999999", "ü", "a/b?c#d"])
def test_a_strange_host_header_is_no_500(host):
    app = create_app(jpeg)
    answer = ask(app, "POST", PATH, json=WHALE, headers={"host": host.encode("latin-1")})
    assert answer.status_code == 200


# --- models and health


def test_health_is_alive():
    assert ask(create_app(echo), "GET", "/v1/health").json() == {"status": "ok"}


def test_the_list_of_models_has_openais_shape():
    body = ask(create_app(echo), "GET", "/v1/models").json()
    assert body["object"] == "list"
    assert [each["id"] for each in body["data"]] == list(MODELS)
    for each in body["data"]:
        provider, sizes, most = MODELS[each["id"]]
        assert each == {
            "id": each["id"],
            "object": "model",
            "created": 0,
            "owned_by": provider,
            "name": each["name"],
            "supported_parameters": {
                "prompt": {"type": "string", "max_length": 32_000},
                "n": {"type": "range", "min": 1, "max": most, "default": 1},
                "size": {"type": "enum", "values": [*sizes, "auto"], "default": "1:1"},
                "quality": {"type": "enum", "values": ["standard", "hd"], "default": "standard"},
                "output_format": {"type": "enum", "values": ["png", "jpeg", "webp"], "default": "png"},
                "output_compression": {"type": "range", "min": 0, "max": 100},
                "response_format": {"type": "enum", "values": ["url", "b64_json"], "default": "url"},
            },
        }


def test_one_model_is_its_record_of_the_list():
    app = create_app(echo)
    listed = {each["id"]: each for each in ask(app, "GET", "/v1/models").json()["data"]}
    for model in MODELS:
        assert ask(app, "GET", f"/v1/models/{model}").json() == listed[model]


def test_one_unknown_model_is_404():
    answer = ask(create_app(echo), "GET", "/v1/models/flux2")
    assert refused_as(answer) == (404, "invalid_request_error", "model_not_found", "model")


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("provider=bytedance", ["seedream-4.0", "seedream-4.5", "seedream-5.0-lite"]),
        ("q=nano+PRO", ["gemini-3-pro-image-preview-official"]),
        ("q=flux", ["flux-kontext", "flux-2.0"]),
        ("provider=Google&q=flux", []),
        ("category=image&q=turbo", ["z-image-turbo"]),
        ("provider=google&q=flash", ["gemini-2.5-flash-image-preview-official"]),
        ("q=bytedance+lite", ["seedream-5.0-lite"]),
        ("category=IMAGE&provider=OPENAI&q=2+official", ["gpt-image-2-official"]),
        ("category=&provider=&q=kontext", ["flux-kontext"]),
        ("category=video", []),
        ("provider=nobody", []),
        ("q=" + "x" * 5000, []),
    ],
)
def test_the_list_can_be_filtered(query, ids):
    body = ask(create_app(echo), "GET", f"/v1/models?{query}").json()
    assert [each["id"] for each in body["data"]] == ids


# --- the law


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
@pytest.mark.parametrize("engine", [echo, previews])
@pytest.mark.parametrize(
    "request_",
    [
        Request(prompt="a whale", model="flux-2.0"),
        Request(prompt="a whale at dusk", model="flux-2.0", n=2, size="21:9", take="b", sample=3),
        Request(prompt="  Ein Wal 🐋 ", model="seedream-4.5", size="auto", quality="hd"),
        Request(prompt="a whale", model="flux-2.0", output_format="png", output_compression=3),
    ],
)
def test_through_the_app_the_answer_is_the_engines_own(engine, request_, response_format):
    async def both():
        async with client_of(create_app(engine)) as client:
            asked = {"n": request_.n, "take": request_.take, "sample": request_.sample, **request_.parameters}
            answer = await client.post(PATH, json=asked | {"response_format": response_format})
            parsed = parse(answer.content)
            answers = [
                ImagePayload(
                    item.data or (await client.get(item.url)).content, "image/png", item.revised_prompt
                )
                for item in parsed.items
            ]
            name = answer.headers["x-beluga-engine"]
            return await engine(request_), Result.of(request_, answers, engine=name, created=parsed.created)

    direct, through = asyncio.run(both())
    assert through == direct
    assert through.recipe.created == direct.recipe.created or engine is previews


# --- the painter as an engine


def test_previews_have_the_pixels_of_their_label_and_say_that_they_are_previews():
    request = Request(prompt="a whale", model="flux-2.0", n=2, size="16:9")
    result = asyncio.run(previews(request, clock=lambda: 1716900000.9))
    assert [Image.open(io.BytesIO(each.data)).size for each in result.pictures] == [(1536, 864)] * 2
    assert (result.recipe.engine, result.recipe.created) == ("procedural", 1716900000)
    assert all(each.recipe.revised_prompt for each in result.pictures)


def test_previews_without_a_size_are_square():
    (picture,) = asyncio.run(previews(Request(prompt="a whale", model="flux-2.0"))).pictures
    assert picture.size == (1024, 1024)


@pytest.mark.parametrize("response_format", ["url", "b64_json"])
@pytest.mark.parametrize(
    ("output_format", "media_type"), [("png", "image/png"), ("jpeg", "image/jpeg"), ("webp", "image/webp")]
)
def test_previews_come_in_the_format_that_was_asked_for(output_format, media_type, response_format):
    async def call():
        async with client_of(create_app(previews)) as client:
            asked = WHALE | {"output_format": output_format, "response_format": response_format}
            (item,) = (await client.post(PATH, json=asked)).json()["data"]
            if "b64_json" in item:
                return base64.b64decode(item["b64_json"])
            file = await client.get(item["url"])
            assert file.headers["content-type"] == media_type
            assert item["url"].endswith(SUFFIXES[media_type])
            return file.content

    with Image.open(io.BytesIO(asyncio.run(call()))) as image:
        assert (image.get_format_mimetype(), image.size) == (media_type, (1024, 1024))


@pytest.mark.parametrize("output_format", ["jpeg", "webp"])
def test_less_output_compression_is_fewer_bytes(output_format):
    def length(compression):
        request = Request(
            prompt="a whale", model="flux-2.0", output_format=output_format, output_compression=compression
        )
        (picture,) = asyncio.run(previews(request)).pictures
        assert picture.media_type == f"image/{output_format}"
        return len(picture.data)

    assert length(0) < length(50) < length(100)


def test_auto_previews_have_one_of_the_models_own_sizes():
    request = Request(prompt="a wide panorama of mountains, 21:9", model="seedream-4.5", size="auto")
    (picture,) = asyncio.run(previews(request)).pictures
    assert picture.size in {(1024, 1024), (1536, 864), (864, 1536), (1024, 768), (768, 1024)}


def test_picture_i_of_a_preview_is_sample_i_of_its_take():
    request = Request(prompt="a whale", model="flux-2.0", n=3, take="b", sample=4)
    together = asyncio.run(previews(request)).pictures
    alone = [asyncio.run(previews(request.slice(sample))).pictures[0] for sample in (4, 5, 6)]
    assert [each.data for each in together] == [each.data for each in alone]
    assert len({each.sha256 for each in together}) == 3


def test_the_painter_is_not_imported_before_something_is_painted():
    code = (
        "import sys, beluga_nb.server.app, beluga_nb.server.previews as p\n"
        "assert not {'numpy', 'uvicorn', 'beluga_nb.painter'} & set(sys.modules)"
    )

    async def run():
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", code)
        return await asyncio.wait_for(process.wait(), 30)

    assert asyncio.run(run()) == 0
