"""One contract, whoever keeps it: in process, as a child, and the live service (R51).

The live service is asked where `BELUGA_LIVE_KEY` holds a key for it. That buys one picture:

    BELUGA_LIVE_KEY=… python -m pytest tests/test_contract.py
"""

import asyncio
import base64
import os

import httpx
import pytest
from conftest import KEY

from beluga_nb.catalog import models
from beluga_nb.config.settings import SERVICE
from beluga_nb.images import decode
from beluga_nb.server.app import create_app
from beluga_nb.server.child import Server
from beluga_nb.server.previews import previews

PATIENCE = 300  # seconds: the service's own limit
LIVE_KEY = os.environ.get("BELUGA_LIVE_KEY", "")

OURS = ["in process", "as a child"]


class Asked:
    """The API as a caller sees it."""

    def __init__(self, client, key):
        self.client, self.key = client, key

    def __call__(self, method, path, *, key=True, **options):
        headers = {"authorization": f"Bearer {self.key}"} if key else {}
        return self.client(method, path, headers=headers | options.pop("headers", {}), **options)


def in_process(method, path, **options):
    async def ask_app():
        transport = httpx.ASGITransport(create_app(previews, key=KEY), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/v1") as client:
            return await client.request(method, path, **options)

    return asyncio.run(ask_app())


@pytest.fixture(scope="module")
def child():
    running = Server.start()
    yield running
    running.stop()


def asked(who, request):
    if who == "in process":
        yield Asked(in_process, KEY)
        return
    url, key = (SERVICE, LIVE_KEY) if who == "live" else (request.getfixturevalue("child").url, None)
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        yield Asked(client.request, key or request.getfixturevalue("child").key)


@pytest.fixture(params=[*OURS, *(["live"] if LIVE_KEY else [])])
def api(request):
    yield from asked(request.param, request)


@pytest.fixture(params=OURS)
def ours(request):
    yield from asked(request.param, request)


WHALE = {"model": "flux-2.0", "prompt": "a whale", "size": "1:1"}


# --- what the service promises


def test_a_picture_is_a_square_of_at_least_a_thousand_bytes(api):
    answer = api("POST", "/images/generations", json=WHALE | {"response_format": "b64_json"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["created"] > 0
    [item] = answer.json()["data"]
    data = base64.b64decode(item["b64_json"], validate=True)
    assert len(data) > 1_000
    assert len(set(decode(data).size)) == 1


@pytest.mark.parametrize(
    ("given", "status", "kind", "code", "param"),
    [
        ({"prompt": "a whale"}, 400, "invalid_request_error", "missing_parameter", "model"),
        ({"model": "flux-2.0"}, 400, "invalid_request_error", "missing_parameter", "prompt"),
        (WHALE | {"model": "flux2"}, 404, "invalid_request_error", "model_not_found", "model"),
        (WHALE | {"n": 5}, 400, "invalid_request_error", None, "n"),
        (WHALE | {"model": "gpt-image-2", "n": 2}, 400, "invalid_request_error", None, "n"),
        (WHALE | {"model": "seedream-4.5", "size": "21:9"}, 400, "invalid_request_error", None, "size"),
    ],
)
def test_a_bad_request_is_the_error_object(api, given, status, kind, code, param):
    answer = api("POST", "/images/generations", json=given)
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "code", "param"}
    assert (answer.status_code, error["type"], error["code"], error["param"]) == (status, kind, code, param)


@pytest.mark.parametrize("key", [None, "bapi_wrong"])
def test_a_missing_or_wrong_key_is_refused(api, key):
    headers = {"authorization": f"Bearer {key}"} if key else {}
    answer = api("POST", "/images/generations", key=False, headers=headers, json=WHALE)
    assert (answer.status_code, answer.json()["error"]["type"]) == (401, "authentication_error")


def test_the_models_are_the_catalogues(api):
    listed = {model["id"] for model in api("GET", "/models", key=False).json()["data"]}
    assert {model.id for model in models()} <= listed
    assert api("GET", "/models/flux-2.0").json()["id"] == "flux-2.0"


def test_the_health_needs_no_key(api):
    assert api("GET", "/health", key=False).status_code == 200


# --- what ours promises beyond it


def test_ours_draws_the_same_bytes_each_time(ours):
    answers = [
        ours("POST", "/images/generations", json=WHALE | {"response_format": "b64_json"}).json()
        for _ in range(2)
    ]
    assert answers[0]["data"] == answers[1]["data"]
    assert set(answers[0]) == {"created", "data"}


def test_ours_links_to_itself(ours):
    [item] = ours("POST", "/images/generations", json=WHALE).json()["data"]
    assert item["url"].startswith("http://127.0.0.1")


def test_ours_checks_the_method_the_type_the_size_and_the_path(ours):
    refused = [
        (ours("GET", "/images/generations"), 405),
        (ours("POST", "/images/generations", content="{}"), 415),
        (ours("POST", "/images/generations", json=WHALE | {"user": "x" * 2**20}), 413),
        (ours("GET", "/nothing"), 404),
    ]
    for answer, status in refused:
        assert (answer.status_code, answer.json()["error"]["type"]) == (status, "invalid_request_error")
        assert answer.headers["x-request-id"].startswith("req_")


def test_ours_says_only_that_it_is_well(ours):
    assert len(ours("GET", "/models", key=False).json()["data"]) == 17
    assert ours("GET", "/health", key=False).json() == {"status": "ok"}
