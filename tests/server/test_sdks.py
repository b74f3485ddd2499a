"""OpenAI's own packages, for Python and for Node, against our server on a real port."""

import base64
import json
import os
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import openai
import pytest
from conftest import KEY, drawing, service
from test_serve import EXAMPLES, pixels

from beluga_nb.errors import APIStatusError, APITimeoutError, EngineError, OutcomeUnknownError, RateLimitError
from beluga_nb.server.previews import previews

NODE = Path(__file__).parent.parent / "node"

FAILURES = {
    "no money": APIStatusError("No.", status=402, code="balance", param="model"),
    "no right": APIStatusError("No.", status=403, code="not_yours", param="model"),
    "too many": RateLimitError("Later.", retry_after=1),
    "our fault": EngineError("Broken.", code="bug"),
    "their fault": OutcomeUnknownError("Broken.", status=502, code="provider"),
    "not now": RateLimitError("Later.", status=503, code="down"),
    "too late": APITimeoutError("Late."),
}

# What is asked, what both packages raise (Python, Node), what the error says, and how often it is sent.
CASES = [
    (
        {"prompt": "a whale", "size": "7:5"},
        ("BadRequestError", "BadRequestError"),
        (400, "invalid_request_error", None, "size"),
        0,
    ),
    (
        {"prompt": "a whale", "key": "bapi_wrong"},
        ("AuthenticationError", "AuthenticationError"),
        (401, "authentication_error", "invalid_api_key", None),
        0,
    ),
    (
        {"prompt": "no money"},
        ("APIStatusError", "APIError"),
        (402, "insufficient_quota", "balance", "model"),
        1,
    ),
    (
        {"prompt": "no right"},
        ("PermissionDeniedError", "PermissionDeniedError"),
        (403, "permission_error", "not_yours", "model"),
        1,
    ),
    (
        {"prompt": "a whale", "model": "flux2"},
        ("NotFoundError", "NotFoundError"),
        (404, "invalid_request_error", "model_not_found", "model"),
        0,
    ),
    (
        {"prompt": "too many"},
        ("RateLimitError", "RateLimitError"),
        (429, "rate_limit_error", None, None),
        3,
    ),
    (
        {"prompt": "our fault"},
        ("InternalServerError", "InternalServerError"),
        (500, "server_error", "bug", None),
        1,
    ),
    (
        {"prompt": "their fault"},
        ("InternalServerError", "InternalServerError"),
        (502, "upstream_error", "provider", None),
        1,
    ),
    (
        {"prompt": "not now"},
        ("InternalServerError", "InternalServerError"),
        (503, "service_unavailable", "down", None),
        1,
    ),
    ({"prompt": "too late"}, ("InternalServerError", "InternalServerError"), (504, "timeout", None, None), 1),
]

each_case = pytest.mark.parametrize(
    ("number", "names", "expected", "times"),
    [(number, *case[1:]) for number, case in enumerate(CASES)],
    ids=[str(case[2][0]) for case in CASES],
)
needs_node = pytest.mark.skipif(
    not (shutil.which("node") and (NODE / "node_modules").exists()) and not os.environ.get("TESTS_IN_CI"),
    reason="no Node with the openai package: npm install --prefix tests/node; in CI this fails instead",
)


def asked(case):
    return {"model": "flux-2.0", "key": KEY} | case[0]


class Failing:
    """An engine that fails as the prompt says, and counts how often it is asked."""

    def __init__(self):
        self.asked = Counter()

    async def __call__(self, request):
        self.asked[request.prompt] += 1
        if request.prompt in FAILURES:
            raise FAILURES[request.prompt]
        return await drawing(request)


# --- Python


@each_case
def test_the_python_package_raises_the_right_error(number, names, expected, times):
    engine, parameters = Failing(), asked(CASES[number])
    key = parameters.pop("key")
    with (
        service(engine) as base_url,
        openai.OpenAI(api_key=key, base_url=base_url) as client,
        pytest.raises(openai.APIStatusError) as caught,
    ):
        client.images.generate(**parameters)
    error = caught.value
    assert type(error).__name__ == names[0]
    assert (error.status_code, error.type, error.code, error.param) == expected
    assert error.request_id.startswith("req_")
    assert engine.asked.total() == times


# --- Node


def in_node(base_url, everything):
    """Ask for everything at once in one process; return what came of each."""
    words = [
        {"apiKey" if name == "key" else name: value for name, value in each.items()} for each in everything
    ]
    ended = subprocess.run(
        ["node", "ask.js"],
        cwd=NODE,
        input=json.dumps({"baseURL": base_url, "asked": words}),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


@pytest.fixture(scope="module")
def failed():
    """What came of each case in Node, and how often the engine was asked what."""
    engine = Failing()
    with service(engine) as base_url:
        return in_node(base_url, [asked(case) for case in CASES]), engine.asked


@needs_node
@each_case
def test_the_node_package_raises_the_right_error(failed, number, names, expected, times):
    outcomes, counted = failed
    assert outcomes[number]["name"] == names[1]
    assert tuple(outcomes[number]["facts"]) == expected
    assert outcomes[number]["requestID"].startswith("req_")
    assert counted[CASES[number][0]["prompt"]] == times


@pytest.fixture(scope="module")
def painted():
    with service(previews) as base_url:
        examples = [example for example, _ in EXAMPLES.values()]
        as_bytes = [{**examples[0], "response_format": "b64_json"}]
        return in_node(base_url, [{"key": KEY, **example} for example in examples + as_bytes])


@needs_node
@pytest.mark.parametrize("number", range(len(EXAMPLES)), ids=list(EXAMPLES))
def test_the_node_package_runs_the_services_examples(painted, number):
    (_, size) = list(EXAMPLES.values())[number]
    assert painted[number]["count"] == 1
    assert pixels(base64.b64decode(painted[number]["bytes"])) == size


@needs_node
def test_the_node_package_reads_base64_too(painted):
    assert painted[-1]["bytes"] == painted[0]["bytes"]
