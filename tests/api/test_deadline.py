"""One deadline for the whole call, which an address that takes no connection cannot stretch (R09)."""

import asyncio
import time

import pytest
from conftest import deaf

from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http
from beluga_nb.engines.retrying import Retrying
from beluga_nb.errors import APIConnectionError, RateLimitError
from beluga_nb.request import Request

FOX = Request(prompt="a fox", model="flux-2.0")


def test_r09_the_deadline_holds_where_no_connection_is_made():
    with deaf() as base_url:
        endpoint = Endpoint(base_url=base_url, provider="deaf", timeout=1.5, connect_timeout=1)
        began = time.monotonic()
        with pytest.raises(APIConnectionError):
            asyncio.run(Retrying(Http(endpoint), timeout=endpoint.timeout)(FOX))
        assert time.monotonic() - began < 2.5


def test_a_deadline_that_falls_before_anything_was_sent_says_so():
    with deaf() as base_url:
        endpoint = Endpoint(base_url=base_url, provider="deaf", timeout=0.5, connect_timeout=10)
        with pytest.raises(APIConnectionError) as caught:
            asyncio.run(Http(endpoint)(FOX))
    assert not caught.value.may_be_billed
    assert caught.value.hint.startswith("Nothing was sent or billed.")


def test_a_wait_that_leads_past_the_deadline_is_not_begun():
    async def busy(request):
        raise RateLimitError("Later.", retry_after=20)

    began = time.monotonic()
    with pytest.raises(RateLimitError):
        asyncio.run(Retrying(busy, timeout=10)(FOX))
    assert time.monotonic() - began < 5
