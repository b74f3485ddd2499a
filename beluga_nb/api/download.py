"""Pictures at an address: fetched, checked, and fetched again where that fails.

A GET costs nothing, so it is repeated. `addresses.py` decides which addresses are allowed.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
from urllib.parse import urljoin, urlsplit

from beluga_nb.api.addresses import check_addresses, picture_url
from beluga_nb.api.encoded import decoded
from beluga_nb.api.endpoint import Sleep
from beluga_nb.api.transport import Outgoing, Response, Transport, proxy_of
from beluga_nb.errors import MAY_BE_BILLED, EngineError, InvalidImageError, InvalidResponseError
from beluga_nb.images import is_truncated, is_whole
from beluga_nb.text import sanitize
from beluga_nb.wire import NOT_SENT_AGAIN, TRY_LATER

ATTEMPTS = 3
"""How often a picture is fetched that does not arrive whole."""

PAUSE = 0.4
"""Seconds before a picture is fetched again; twice as many before the last attempt."""

AT_ONCE = 4
"""Pictures of one answer that are fetched side by side, each of up to `MAX_IN_MEMORY` bytes."""

REDIRECTS = 3
"""How many redirects of a picture's address are followed (S20)."""

_REDIRECTED = {301, 302, 303, 307, 308}


class Download:
    """Fetches the pictures of an answer until `deadline`, each of at most `most` bytes."""

    def __init__(
        self,
        transport: Transport,
        deadline: float,
        *,
        sleep: Sleep = asyncio.sleep,
        most: int | None = None,
    ) -> None:
        self.transport = transport
        self.base_url = transport.endpoint.base_url
        self.deadline = deadline
        self.sleep = sleep
        self.most = most
        self._places = asyncio.Semaphore(AT_ONCE)

    async def __call__(self, url: str) -> bytes:
        """Return the bytes at an address.

        Raises `InvalidResponseError`, or `InvalidImageError` where they are cut short.
        """
        if url.startswith("data:"):
            return decoded(url)
        address = picture_url(url, self.base_url)
        async with self._places:
            return await self._repeated(address)

    async def _repeated(self, address: str) -> bytes:
        cut, gone = b"", False
        for attempt in range(ATTEMPTS):
            if not await self._paused(PAUSE * attempt):
                break
            response = await self._followed(address)
            if isinstance(response, Response) and response.status == 200 and is_whole(response.content):
                return response.content  # even if the connection broke after it
            if isinstance(response, EngineError) or response.broken:
                too_large = getattr(response, "broken", None)
                if isinstance(too_large, InvalidResponseError):
                    raise too_large
                continue
            if response.status == 200 and not is_truncated(response.content):
                return response.content
            if response.status == 200:
                cut = response.content
            # A refusal, unlike an error of the server, would come again.
            elif response.status < 500:
                gone = response.status not in TRY_LATER
                break
        raise _not_fetched(address, cut, gone=gone)

    async def _paused(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout_at(self.deadline):
                await self.sleep(seconds)
        except TimeoutError:
            return False
        return True

    async def _followed(self, address: str) -> Response | EngineError:
        for _ in range(REDIRECTS + 1):
            response = await self._fetched(address)
            location = response.headers.get("location", "") if isinstance(response, Response) else ""
            if isinstance(response, EngineError) or response.status not in _REDIRECTED or not location:
                return response
            address = picture_url(_next(address, location), self.base_url)
        raise InvalidResponseError(
            f"The answer's picture lies behind more than {REDIRECTS} redirects; it is not fetched.",
            f"{MAY_BE_BILLED} Ask the service for response_format b64_json.",
        )

    async def _fetched(self, address: str) -> Response | EngineError:
        if self.transport.app or await proxy_of(address):  # the proxy resolves the name and connects
            return await self._get(address, None)
        response: Response | EngineError = EngineError("The name has no address.")
        looked_up = await self._looked_up(address)
        check_addresses(address, self.base_url, looked_up)
        # Connect to the checked address: resolving the name again might give another one.
        for ip in looked_up:
            response = await self._get(address, ip)
            if not (isinstance(response, EngineError) and response.outcome == "not_sent"):
                break
        return response

    async def _get(self, address: str, ip: str | None) -> Response | EngineError:
        outgoing = Outgoing(method="GET", url=address, ip=ip, most=self.most)
        return await self.transport.send(outgoing, self.deadline)

    async def _looked_up(self, address: str) -> list[str]:
        parts = urlsplit(address)
        with contextlib.suppress(ValueError):  # An IP address is not looked up, which would take a thread.
            return [str(ipaddress.ip_address(str(parts.hostname)))]
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(self.deadline):
                found = await loop.getaddrinfo(str(parts.hostname), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return []
        # IPv4 first: without IPv4 it fails at once, while a broken IPv6 route hangs.
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _not_fetched(address: str, cut: bytes, *, gone: bool) -> InvalidResponseError:
    if cut:
        return InvalidImageError("The answer's picture is cut short.", NOT_SENT_AGAIN, data=cut)
    failed = InvalidResponseError(
        f"The picture was made but cannot be fetched from {sanitize(address.partition('?')[0], 120)}",
        "It has probably been billed. Ask again soon: the address is tried first, then another is bought."
        if gone
        else "It has probably been billed. Ask again soon: until its host answers only a new take is bought.",
    )
    failed.temporary = not gone
    return failed


def _next(address: str, location: str) -> str:
    try:
        return urljoin(address, location)
    except ValueError:
        return location  # refused by `picture_url`
