"""An OpenAI-compatible URL as an engine; the one module that imports httpx."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Awaitable, Callable, Generator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypedDict

import httpx

from beluga_nb.api.endpoint import DEADLINE, Endpoint
from beluga_nb.api.fetch import MAX_ANSWER, MAX_IMAGE, media_type, origin, picture_url
from beluga_nb.api.keys import Secret
from beluga_nb.api.logs import discreet
from beluga_nb.core import Request, Result, Stopped
from beluga_nb.engines import joined, outcome, side_by_side
from beluga_nb.errors import (
    BadReply,
    BelugaError,
    EngineError,
    OutcomeUnknown,
    Refused,
    TimedOut,
    Unreachable,
    Untrusted,
    plain,
)
from beluga_nb.wire import (
    ENGINE_HEADER,
    Item,
    decoded,
    error_from_json,
    items_from_json,
    request_to_json,
)

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
"""An ASGI application, as the ASGI specification types it."""

Sleep = Callable[[float], Awaitable[None]]

DOWNLOADS = 3
"""How often a picture is fetched that does not arrive whole; a GET costs nothing."""

_BAD_URL = (httpx.InvalidURL, UnicodeError)
"""What httpx raises for an address that it cannot even try."""

_NOT_SENT_AGAIN = "It may have been billed, so it was not sent again by itself."


class Line:
    """The connection to an `Endpoint`; with `app`, that ASGI application answers in this process.

    What is sent over it is sent once, and read within bounds; deadlines are on the running loop's clock.
    """

    def __init__(self, endpoint: Endpoint, *, app: App | None = None, sleep: Sleep = asyncio.sleep) -> None:
        self.endpoint = endpoint
        self.sleep = sleep
        self.auth = _Bearer(endpoint.key, endpoint.base_url) if endpoint.key else None
        self.client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False) if app else None,
            # What stays on this machine passes no proxy, whatever the environment says.
            mounts=dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]")),
            # A new connection each time: the answer to a POST on one that the server has just closed
            # would be unknown, and it may be billed.
            limits=httpx.Limits(max_keepalive_connections=0),
            # One deadline bounds the whole call; httpx's own limits are per read.
            timeout=httpx.Timeout(None, connect=endpoint.connect_timeout),
            headers={"accept-encoding": "identity", "user-agent": "beluga_nb"},
        )

    async def post(self, request: Request, deadline: float) -> Reply:
        """Ask for pictures and return the answer, if it is one; raise `EngineError` for anything else."""
        body = request_to_json(
            request, response_format=self.endpoint.response_format, extensions=self.endpoint.extensions
        )
        # Whoever receives the same call twice can tell by its key, and need not bill it twice.
        headers = {"Idempotency-Key": request.as_call().run}
        try:
            return good(await self.sent("POST", "/images/generations", deadline, body, headers))
        except Refused as error:
            if error.status == 401 and (key := self.endpoint.key):
                error.hint = f"The key comes from {key.source} and ends in {key.ending}. {error.hint}"
            raise

    async def sent(
        self,
        method: str,
        path: str,
        deadline: float,
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply | EngineError:
        """Send one request and return what came back, or the error that says why nothing did."""
        # Errors are returned, not raised: raised here they would carry httpx's own, whose request
        # has the key in its headers, as their context.
        try:
            address = f"{self.endpoint.base_url}{path}"
            request = self.client.build_request(method, address, json=body, headers=headers)
            async with asyncio.timeout_at(deadline):
                reply = await self._read(request, self.auth, MAX_ANSWER)
        except TimeoutError:
            return TimedOut(f"No answer within {self.endpoint.timeout:g} s.", _NOT_SENT_AGAIN)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.UnsupportedProtocol, *_BAD_URL) as error:
            return self._unreachable(error)
        except httpx.HTTPError as error:
            return OutcomeUnknown(
                f"The connection broke before the answer was complete ({type(error).__name__}).",
                _NOT_SENT_AGAIN,
            )
        return reply.without(self.endpoint.key)

    async def result(
        self,
        request: Request,
        items: Sequence[Item | BadReply],
        deadline: float,
        *,
        said: Reply,
        created: int,
    ) -> Result:
        """Fetch the pictures of an answer and return them as the result of `request`.

        Raises `BadReply`, `BadImage`, or `Incomplete` where only some pictures are good, and `Stopped` with
        those that are there.
        """
        here, parts = list(items), [request.part(sample) for sample in request.samples]
        by = self._by(said, created)

        async def arrive(part: Request) -> Result:
            place = part.sample - request.sample
            here[place] = item = await self._fetched(here[place], deadline)
            return await asyncio.to_thread(_checked, part, item, by)

        arriving = [outcome(arrive, part) for part in parts[: len(items)]]
        try:
            outcomes = await side_by_side(arriving)
        except asyncio.CancelledError:
            raise Stopped(partial(_arrived, request, here, by)) from None
        if len(items) < request.n:
            outcomes.append(_too_few(len(items), request.n))
        return joined(request, outcomes)

    def arrived(self, request: Request, said: Reply) -> list[Result | BelugaError]:
        """Return those pictures of an answer that need not be fetched, or what is wrong with them."""
        created, items = items_from_json(said.content)
        return _arrived(request, items, self._by(said, created))

    def _by(self, said: Reply, created: int) -> _By:
        engine = plain(said.headers.get(ENGINE_HEADER, ""), 80) or self.endpoint.provider
        return _By(engine=engine, created=created)

    def _unreachable(self, error: Exception) -> Unreachable:
        reason = plain(str(error), 120) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in str(error):  # httpx keeps no more of it than the words
            return Untrusted(
                f"The certificate of {origin(self.endpoint.base_url)[1]} cannot be trusted: {reason}",
                "Nothing was sent or billed. Look at BELUGA_BASE_URL; SSL_CERT_FILE names a CA bundle.",
            )
        return Unreachable(
            f"No connection to {origin(self.endpoint.base_url)[1]}: {reason}",
            "Nothing was sent or billed. Look at the network and BELUGA_BASE_URL, or unset"
            " BELUGA_API_KEY to go on with local previews.",
        )

    async def _fetched(self, item: Item | BadReply, deadline: float) -> Item:
        if isinstance(item, BadReply):
            raise item
        if item.data is not None:
            return item
        return replace(item, data=await self._download(str(item.url), deadline))

    async def _download(self, url: str, deadline: float) -> bytes:
        if url.startswith("data:"):
            return decoded(url)
        address = picture_url(url, self.endpoint.base_url)
        for attempt in range(DOWNLOADS):
            try:
                async with asyncio.timeout_at(deadline):
                    await self.sleep(0.4 * attempt)
                    reply = await self._read(self.client.build_request("GET", address), None, MAX_IMAGE)
            except httpx.HTTPError:
                continue
            except (TimeoutError, *_BAD_URL):
                break
            if reply.status == 200:
                return reply.content
            if reply.status < 500:
                break
        raise BadReply(
            f"The picture was made but cannot be fetched from {plain(address.partition('?')[0], 120)}",
            "It has probably been billed: open the address now, before it expires.",
        )

    async def _read(self, request: httpx.Request, auth: _Bearer | None, limit: int) -> Reply:
        with discreet(request.method, str(request.url)):
            return await self._heard(request, auth, limit)

    async def _heard(self, request: httpx.Request, auth: _Bearer | None, limit: int) -> Reply:
        response = await self.client.send(request, auth=auth, stream=True, follow_redirects=False)
        try:
            raw = bytearray()
            async for chunk in response.aiter_raw():
                raw += chunk
                if len(raw) > limit:
                    raise _too_large(limit)
            if len(raw) < int(response.headers.get("content-length", 0)):
                # A connection would have broken; an app in this process has none.
                raise httpx.RemoteProtocolError("fewer bytes than the answer's own length")
            content = _inflated(bytes(raw), response.headers.get("content-encoding", ""), limit)
        except BadReply:
            if response.is_success:
                raise
            content = b""  # of an error, the status says enough
        finally:
            await response.aclose()
        return Reply(response.status_code, response.headers, content)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.client.aclose()


class Http:
    """The engine behind an `Endpoint` that answers with the pictures.

    It sends each request once. Raises `Unreachable`, `Refused`, `Overloaded`, `OutcomeUnknown`,
    `TimedOut`, `BadReply`, `BadImage`, or `Incomplete` where only some pictures are good.
    """

    def __init__(self, endpoint: Endpoint, *, app: App | None = None, sleep: Sleep = asyncio.sleep) -> None:
        self.endpoint = endpoint
        self.line = Line(endpoint, app=app, sleep=sleep)

    async def __call__(self, request: Request) -> Result:
        deadline = min(DEADLINE.get(), asyncio.get_running_loop().time() + self.endpoint.timeout)
        reply = await self.line.post(request, deadline)
        try:
            created, items = await asyncio.to_thread(items_from_json, reply.content)
        except asyncio.CancelledError:
            raise Stopped(partial(self.line.arrived, request, reply)) from None
        return await self.line.result(request, items, deadline, said=reply, created=created)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.line.aclose()


def good(sent: Reply | EngineError) -> Reply:
    """Return the reply where its status is one of success; else raise what it means."""
    if isinstance(sent, EngineError):
        raise sent
    if sent.status // 100 != 2:
        raise error_from_json(sent.status, sent.headers, sent.content)
    return sent


@dataclass(frozen=True)
class Reply:
    """What came back: status, headers, and the body within its limit."""

    status: int
    headers: httpx.Headers
    content: bytes

    def without(self, key: Secret | None) -> Reply:
        """Return the reply without the key, which some services repeat when they refuse it."""
        if key is None:
            return self
        return replace(self, content=self.content.replace(key.reveal().encode(), b"(your key)"))


class _Bearer(httpx.Auth):
    """Adds the key as the request leaves, to the exact origin of the API and no other."""

    def __init__(self, key: Secret, base_url: str) -> None:
        self.key = key
        self.home = origin(base_url)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        if origin(str(request.url)) == self.home:
            request.headers["Authorization"] = f"Bearer {self.key.reveal()}"
        yield request


class _By(TypedDict):
    engine: str
    created: int


def _checked(part: Request, item: Item, by: _By) -> Result:
    assert item.data is not None
    return Result.of(part, [item.answer(item.data, media_type(item.data))], **by)


def _arrived(request: Request, items: Sequence[Item | BadReply], by: _By) -> list[Result | BelugaError]:
    outcomes: list[Result | BelugaError] = []
    for sample, item in zip(request.samples, items, strict=False):
        if isinstance(item, Item) and item.data is not None:
            try:
                outcomes.append(_checked(request.part(sample), item, by))
            except BelugaError as error:
                outcomes.append(error)
    return outcomes


def _inflated(raw: bytes, encoding: str, limit: int) -> bytes:
    # We ask for identity. Who compresses all the same is read within the same limit: it is paid for.
    if encoding.lower() in {"", "identity"}:
        return raw
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        content = inflater.decompress(raw, limit)
    except zlib.error:
        raise BadReply(
            f"The answer is in an encoding that was not asked for ({plain(encoding, 40)}).",
            "It may have been billed.",
        ) from None
    if inflater.unconsumed_tail:
        raise _too_large(limit)
    return content


def _too_large(limit: int) -> BadReply:
    return BadReply(f"The answer is larger than {limit // 2**20} MiB.", "It may have been billed.")


def _too_few(arrived: int, wanted: int) -> EngineError:
    return BadReply(f"The service sent {arrived} of {wanted}.", "The model may have declined the others.")
