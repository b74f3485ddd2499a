"""What the log says of our requests, and that it says what it did of everyone else's."""

import asyncio
import logging

import httpx
from conftest import KEY, ask, drawing, service

from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http
from beluga_nb.config.keys import Secret
from beluga_nb.request import Request


def test_s07_a_signed_address_and_the_answers_headers_are_not_logged(caplog):
    caplog.set_level(logging.DEBUG)
    with service(drawing) as base_url:
        endpoint = Endpoint(base_url=base_url, provider="x", key=Secret(KEY, "a test"), response_format="url")
        ask(Http(endpoint), Request(prompt="a fox", model="flux-2.0"))
    ours = [record for record in caplog.records if record.name.startswith(("beluga_nb", "httpx", "httpcore"))]
    assert [record.name for record in ours] == ["beluga_nb", "beluga_nb"]
    post, get = (record.getMessage() for record in ours)
    assert post == f"POST {base_url}/images/generations"
    assert get.startswith(f"GET {base_url.removesuffix('/v1')}/files/")


def test_what_others_ask_for_is_logged_as_ever(caplog):
    caplog.set_level(logging.INFO)

    async def both(base_url):
        endpoint = Endpoint(base_url=base_url, provider="x", key=Secret(KEY, "a test"))
        async with httpx.AsyncClient() as client:
            await asyncio.gather(
                Http(endpoint)(Request(prompt="a fox", model="flux-2.0")), client.get(f"{base_url}/health")
            )

    with service(drawing) as base_url:
        asyncio.run(both(base_url))
    messages = [record.getMessage() for record in caplog.records if record.name == "httpx"]
    assert len(messages) == 1
    assert "/v1/health" in messages[0]
