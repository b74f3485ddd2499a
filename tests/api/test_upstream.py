"""A server that passes requests on: `serve --upstream`, a process between our client and a service."""

import asyncio
import os
import re
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx
import pytest
from conftest import KEY, ask, drawing, on_a_port
from upstream import Upstream

from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http
from beluga_nb.config.keys import Secret
from beluga_nb.engines.upstream import upstream
from beluga_nb.errors import APIStatusError, EngineError, OutcomeUnknownError, SettingsError
from beluga_nb.request import Request

LINE = re.compile(r"BelugAPI \((.*)\) on (http://127\.0\.0\.1:\d+/v1)  key (bapi_\S+)\n")
FOX = Request(prompt="a fox", model="flux-2.0", size="16:9", n=2, take="again", sample=2)


def environment(**options):
    return {name: value for name, value in os.environ.items() if not name.startswith("BELUGA_")} | options


@contextmanager
def serving(*words, **options):
    """Run `serve`; yield who answers there, the base URL and the key."""
    command = [sys.executable, "-m", "beluga_nb", "serve", "--port", "0", *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment(**options)) as running:
        try:
            yield LINE.fullmatch(running.stdout.readline()).groups()
        finally:
            running.kill()


def asked(base_url, key, request=FOX):
    async def once():
        endpoint = Endpoint(base_url=base_url, provider="a test", key=Secret(key, "a test"), extensions=True)
        client = Http(endpoint)
        try:
            return await asyncio.wait_for(client(request), 30)
        except EngineError as error:
            return error

    return asyncio.run(once())


def test_our_client_gets_from_the_process_what_the_service_made():
    service = Upstream(polls=(50,))
    with (
        on_a_port(service.app) as there,
        serving("--upstream", there, BELUGA_UPSTREAM_KEY=KEY) as (who, base_url, key),
    ):
        result = asked(base_url, key)
    assert who == "pictures from 127.0.0.1"
    assert result == ask(drawing, FOX)
    assert (len(service.posts), service.polled) == (1, 2)
    assert service.keys == {f"Bearer {KEY}", None}


def test_a_caller_who_leaves_ends_the_polling():
    service = Upstream(polls=(50,) * 1000)
    with (
        on_a_port(service.app) as there,
        serving("--upstream", there, BELUGA_UPSTREAM_KEY=KEY) as (_, base_url, key),
    ):
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(
                f"{base_url}/images/generations",
                json={"model": "flux-2.0", "prompt": "a fox"},
                headers={"authorization": f"Bearer {key}"},
                timeout=1.5,
            )
        seen = service.polled
        time.sleep(3)  # the task would have been polled after 2.5 s
    assert service.polled == seen == 1


def test_faults_and_an_upstream_go_together_and_are_announced():
    service = Upstream()
    with (
        on_a_port(service.app) as there,
        serving("--upstream", there, "--faults", BELUGA_UPSTREAM_KEY=KEY) as (who, base_url, key),
    ):
        error = asked(base_url, key, Request(prompt="fault: moderation | a fox", model="flux-2.0"))
    assert who == "pictures from 127.0.0.1, faults on demand"
    assert (type(error), error.code) == (APIStatusError, "moderation_blocked")
    assert service.posts == []


def test_without_the_flag_a_server_takes_an_order_for_a_prompt():
    with serving() as (who, base_url, key):
        result = asked(base_url, key, Request(prompt="fault: moderation | a fox", model="flux-2.0"))
    assert who == "procedural previews"
    assert len(result) == 1


def test_a_key_that_the_service_refuses_is_not_the_callers():
    with on_a_port(Upstream().app) as there:
        engine = upstream(there, {"BELUGA_UPSTREAM_KEY": "wrong-wrong"})
        with pytest.raises(EngineError) as caught:
            ask(engine, FOX)
    assert (caught.value.status, caught.value.message) == (
        502,
        "127.0.0.1 refuses this server's BELUGA_UPSTREAM_KEY: No such key.",
    )


def test_a_service_that_is_not_there_is_a_502():
    with on_a_port(Upstream().app) as there:
        pass
    with serving("--upstream", there) as (_, base_url, key):
        error = asked(base_url, key)
    assert (type(error), error.status) == (OutcomeUnknownError, 502)
    assert error.message.startswith("No connection to 127.0.0.1: ")


@pytest.mark.parametrize("url", ["http://example.com/v1", "https://me:secret@example.com/v1", "ftp://x", "x"])
def test_an_address_that_is_not_safe_is_refused(url):
    with pytest.raises(SettingsError):
        upstream(url, {})


@pytest.mark.parametrize(
    ("url", "key", "line"),
    [
        (
            "http://example.com/v1",
            "",
            "--upstream: The base URL uses http for example.com, which is not encrypted."
            " Use https://; plain http:// is for this machine only.",
        ),
        (
            "https://example.com/v1",
            "Bearer sk-secret",
            "--upstream: BELUGA_UPSTREAM_KEY starts with 'Bearer'. Give the key alone: bapi_…",
        ),
    ],
)
def test_an_upstream_that_cannot_be_used_is_one_line_and_status_2(url, key, line):
    command = [sys.executable, "-m", "beluga_nb", "serve", "--port", "0", "--upstream", url]
    ended = subprocess.run(
        command, capture_output=True, text=True, timeout=30, env=environment(BELUGA_UPSTREAM_KEY=key)
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == f"python -m beluga_nb serve: {line}\n"
