"""What the server answers is what OpenAI's public schema says of answers and errors."""

import asyncio
import json
from pathlib import Path

import httpx
import jsonschema
import pytest
from conftest import KEY, drawing

from beluga_nb.errors import APIStatusError, APITimeoutError, EngineError, OutcomeUnknownError, RateLimitError
from beluga_nb.server.app import create_app
from beluga_nb.server.previews import previews

SCHEMA = json.loads((Path(__file__).parent.parent / "data" / "openai_images_schema.json").read_text("utf-8"))
PATH = "/v1/images/generations"
WHALE = {"model": "flux-2.0", "prompt": "a whale"}


def validate(value, name):
    jsonschema.Draft202012Validator(SCHEMA | {"$ref": f"#/$defs/{name}"}).validate(value)


def call(engine, method, path, *, key=KEY, **options):
    async def answer():
        transport = httpx.ASGITransport(create_app(engine, key=KEY), raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(transport=transport, base_url="http://beluga.test") as client:
            return await client.request(method, path, headers=headers, **options)

    return asyncio.run(answer())


@pytest.mark.parametrize("engine", [drawing, previews])
@pytest.mark.parametrize("response_format", ["url", "b64_json"])
def test_pictures_are_an_images_response(engine, response_format):
    answer = call(engine, "POST", PATH, json=WHALE | {"n": 2, "response_format": response_format})
    assert answer.status_code == 200
    validate(answer.json(), "ImagesResponse")
    assert all(set(item) == {response_format, "revised_prompt"} for item in answer.json()["data"])


@pytest.mark.parametrize(
    "error",
    [
        APIStatusError("No.", status=402),
        APIStatusError("No.", status=403, code="not_yours", param="model"),
        RateLimitError("Later."),
        EngineError("Broken."),
        OutcomeUnknownError("Broken.", status=502),
        RateLimitError("Later.", status=503),
        APITimeoutError("Late."),
        KeyError("a stranger's"),
    ],
    ids=repr,
)
def test_an_engines_error_is_an_error_response(error):
    async def failing(request):
        raise error

    answer = call(failing, "POST", PATH, json=WHALE)
    assert answer.status_code == getattr(error, "status", 500)
    validate(answer.json(), "ErrorResponse")


@pytest.mark.parametrize(
    ("status", "method", "path", "given"),
    [
        (400, "POST", PATH, {"json": {}}),
        (400, "POST", PATH, {"json": WHALE | {"size": "7:5"}}),
        (401, "POST", PATH, {"json": WHALE, "key": "bapi_wrong"}),
        (404, "POST", PATH, {"json": WHALE | {"model": "flux2"}}),
        (404, "GET", "/v1/models/flux2", {}),
        (404, "GET", "/files/none.png", {}),
        (404, "GET", "/v1/none", {}),
        (405, "GET", PATH, {}),
        (413, "POST", PATH, {"json": WHALE | {"user": "x" * 2**20}}),
        (415, "POST", PATH, {"content": "model=flux-2.0"}),
    ],
)
def test_a_refusal_is_an_error_response(status, method, path, given):
    answer = call(drawing, method, path, **given)
    assert answer.status_code == status
    validate(answer.json(), "ErrorResponse")


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ({"data": []}, "ImagesResponse"),
        ({"created": "now", "data": []}, "ImagesResponse"),
        ({"created": 1, "data": [{"url": 7}]}, "ImagesResponse"),
        ({"error": "no"}, "ErrorResponse"),
        ({"error": {"message": "no", "type": "t", "code": None}}, "ErrorResponse"),
    ],
)
def test_the_schema_can_be_broken(value, name):
    with pytest.raises(jsonschema.ValidationError):
        validate(value, name)
