"""The OpenAPI document is the contract, and the server keeps it: schemathesis tries what is written there."""

import asyncio
import importlib.util
import subprocess
import sys
from pathlib import Path

import httpx
import jsonschema
import pytest
from conftest import KEY, drawing

from beluga_nb.catalog import models, supported_parameters
from beluga_nb.server.app import create_app
from beluga_nb.server.openapi import document


def test_the_server_keeps_its_document_whatever_is_written_there_is_tried():
    """Each operation in process, and in the whole check over a port, with all checks of schemathesis."""
    if importlib.util.find_spec("schemathesis") is None:
        pytest.skip("schemathesis is not installed.")
    tried = Path(__file__).with_name("kept_document.py")
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:nbval", str(tried)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-5000:]


# --- the document


DOCUMENT = document(secured=True)
POST = DOCUMENT["paths"]["/v1/images/generations"]["post"]
ASKED = jsonschema.Draft202012Validator(DOCUMENT["components"]["schemas"]["ImageRequest"])


@pytest.mark.parametrize("key", [KEY, None])
def test_the_document_is_served_to_everyone(key):
    async def call():
        transport = httpx.ASGITransport(create_app(drawing, key=key))
        async with httpx.AsyncClient(transport=transport, base_url="http://beluga.test") as client:
            return await client.get("/openapi.json")

    answer = asyncio.run(call())
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == document(secured=key is not None)


def test_every_status_of_the_contract_is_there_with_the_error_object():
    expected = {"200", *map(str, (400, 401, 402, 403, 404, 413, 415, 429, 500, 502, 503, 504))}
    assert set(POST["responses"]) == expected
    for status in expected - {"200"}:
        content = POST["responses"][status]["content"]
        assert content == {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}


def test_a_key_is_asked_for_where_there_is_one():
    assert POST["security"] == [{"key": []}]
    assert DOCUMENT["components"]["securitySchemes"]["key"]["scheme"] == "bearer"
    open_to_all = document(secured=False)["paths"]["/v1/images/generations"]["post"]
    assert open_to_all["security"] == []


@pytest.mark.parametrize("name", DOCUMENT["components"]["schemas"])
def test_every_schema_is_one(name):
    jsonschema.Draft202012Validator.check_schema(DOCUMENT["components"]["schemas"][name])


@pytest.mark.parametrize("model", models(), ids=lambda model: model.id)
def test_the_document_takes_what_a_model_takes(model):
    takes = supported_parameters(model)
    asked = {"model": model.id, "prompt": "a whale", "n": takes["n"].most, "size": "1792x1024", "user": "me"}
    assert ASKED.is_valid(asked)
    assert all(ASKED.is_valid(asked | {"size": size}) for size in takes["size"].values)
    assert not ASKED.is_valid(asked | {"n": takes["n"].most + 1})
    assert ASKED.is_valid(asked | {"size": "3:2"}) == ("3:2" in model.sizes)


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({"quality": "xhigh", "output_format": "webp", "output_compression": 100}, True),
        ({"take": "b", "sample": 7}, True),
        ({"size": None, "n": None, "quality": None, "response_format": None}, True),
        ({"prompt": " "}, False),
        ({"prompt": "x" * 32_001}, False),
        ({"model": "flux2"}, False),
        ({"size": "15x1024"}, False),
        ({"quality": "ultra"}, False),
        ({"output_format": "gif"}, False),
        ({"output_compression": 101}, False),
        ({"response_format": "png"}, False),
        ({"sample": -1}, False),
    ],
)
def test_the_document_refuses_what_the_server_refuses(change, valid):
    assert ASKED.is_valid({"model": "flux-2.0", "prompt": "a whale"} | change) == valid
