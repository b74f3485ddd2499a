"""One deadline for the whole call, which an address that takes no connection cannot stretch (R09)."""

import asyncio
import contextlib
import socket
import time

import pytest

from beluga_nb.api.endpoint import Endpoint
from beluga_nb.api.http import Http
from beluga_nb.api.retry import Retrying
from beluga_nb.core import Request
from beluga_nb.errors import EngineError, Overloaded

FOX = Request(prompt="a fox", model="flux-2.0")


@contextlib.contextmanager
def deaf():
    """An address whose queue is full: whoever connects waits."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"


def test_r09_the_deadline_holds_where_no_connection_is_made():
    with deaf() as base_url:
        endpoint = Endpoint(base_url=base_url, provider="deaf", timeout=1.5, connect_timeout=1)
        began = time.monotonic()
        with pytest.raises(EngineError):
            asyncio.run(Retrying(Http(endpoint), timeout=endpoint.timeout)(FOX))
        assert time.monotonic() - began < 2.5


def test_a_wait_that_leads_past_the_deadline_is_not_begun():
    async def busy(request):
        raise Overloaded("Later.", retry_after=20)

    began = time.monotonic()
    with pytest.raises(Overloaded):
        asyncio.run(Retrying(busy, timeout=10)(FOX))
    assert time.monotonic() - began < 5
