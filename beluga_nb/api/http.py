"""An OpenAI-compatible URL as an engine; the one module that imports httpx."""

from __future__ import annotations

import asyncio
import re
import socket
import zlib
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypedDict
from urllib.parse import urljoin
from urllib.request import getproxies, proxy_bypass

import httpx

from beluga_nb.api.endpoint import DEADLINE, Endpoint
from beluga_nb.api.fetch import (
    MAX_ANSWER,
    MAX_IMAGE,
    check_addresses,
    cut_short,
    looked_at,
    origin,
    picture_url,
)
from beluga_nb.api.keys import Secret
from beluga_nb.api.logs import discreet
from beluga_nb.catalog import Model
from beluga_nb.core import Answer, Request, Result, Stopped
from beluga_nb.engines import joined, outcome, side_by_side
from beluga_nb.errors import (
    Address,
    BadImage,
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
from beluga_nb.settings import LOOPBACK
from beluga_nb.wire import (
    ENGINE_HEADER,
    Item,
    decoded,
    error_from_json,
    models_from_json,
)

Message = MutableMapping[str, Any]
App = Callable[
    [Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]
]
"""An ASGI application, as the ASGI specification types it."""

Sleep = Callable[[float], Awaitable[None]]

DOWNLOADS = 3
"""How often a picture is fetched that does not arrive whole; a GET costs nothing."""

REDIRECTS = 3
"""How many redirects of a picture's address are followed (research/reliability.md, S20)."""

_REDIRECTED = {301, 302, 303, 307, 308}

_BAD_URL = (httpx.InvalidURL, UnicodeError)
"""What httpx raises for an address that it cannot even try."""

_NOT_SENT_AGAIN = "It may have been billed, so it was not sent again by itself."

_ELSEWHERE = {
    401: "{} wants a key of its own: %beluga status says where one is looked for. Nothing is billed.",
    402: "Top up the balance at {}. Nothing is billed.",
    404: "%beluga models --endpoint {} lists what it has; look at its base_url too. Nothing is billed.",
}
"""What to do about a refusal of a server that `beluga.toml` names."""


class Line:
    """The connection to an `Endpoint`; with `app`, that ASGI application answers in this process.

    What is sent over it is sent once, and read within bounds; deadlines are on the running loop's clock.
    """

    def __init__(self, endpoint: Endpoint, *, app: App | None = None, sleep: Sleep = asyncio.sleep) -> None:
        self.endpoint = endpoint
        self.sleep = sleep
        self.auth = _Bearer(endpoint.key, endpoint.base_url) if endpoint.key else None
        self.app = app
        client = partial(
            httpx.AsyncClient,
            verify=True if app else httpx.create_ssl_context(),
            # Neither kept nor sent: two hosts may have one address.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            # A new connection each time: the answer to a POST on one that the server has just closed
            # would be unknown, and it may be billed.
            limits=httpx.Limits(max_keepalive_connections=0),
            # One deadline bounds the whole call; httpx's own limits are per read.
            timeout=httpx.Timeout(None, connect=endpoint.connect_timeout),
            headers={"accept-encoding": "identity", "user-agent": "beluga_nb"},
        )
        self.client = client(
            transport=httpx.ASGITransport(app, raise_app_exceptions=False) if app else None,
            # What stays on this machine passes no proxy, whatever the environment says.
            mounts=dict.fromkeys(("all://localhost", "all://127.0.0.1", "all://[::1]")),
        )
        # To an address that was looked up and checked here.
        self.direct = self.client if app else client(trust_env=False)

    async def post(self, request: Request, deadline: float) -> Reply:
        """Ask for pictures and return the answer, if it is one; raise `EngineError` for anything else."""
        body = self.endpoint.body(request)
        # Whoever receives the same call twice can tell by its key, and need not bill it twice.
        headers = {"Idempotency-Key": request.as_call().run}
        try:
            return good(await self.sent("POST", self.endpoint.dialect.path, deadline, body, headers))
        except Refused as error:
            if error.status == 401 and (key := self.endpoint.key):
                error.hint = f"The key comes from {key.source} and ends in {key.ending}. {error.hint}"
            elif error.status in _ELSEWHERE and self.endpoint.prefix:
                error.hint = _ELSEWHERE[error.status].format(self.endpoint.provider)
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
        departure = _Departure(certain=self.app is None)
        try:
            address = f"{self.endpoint.base_url}{path}"
            request = self.client.build_request(
                method,
                address,
                json=body,
                headers=headers,
                timeout=httpx.Timeout(None, connect=self.endpoint.limits.connect_timeout),
                extensions={"trace": departure},
            )
            async with asyncio.timeout_at(deadline):
                reply = await self._read(self.client, request, self.auth, MAX_ANSWER)
        except asyncio.CancelledError:
            if departure.pending:
                raise Stopped(may_be_billed=False) from None
            raise
        except TimeoutError:
            if departure.pending:
                return self._unreachable(TimeoutError("too slow"))
            return TimedOut(f"No answer within {self.endpoint.limits.timeout:g} s.", _NOT_SENT_AGAIN)
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
        engine: str,
        created: int,
    ) -> Result:
        """Fetch the pictures of an answer and return them as the result of `request`.

        Raises `BadReply`, `BadImage`, or `Incomplete` where only some pictures are good, whose `addresses`
        are those of pictures that may be fetched later; and `Stopped` with those that are there.
        """
        here, parts = list(items), [request.part(sample) for sample in request.samples]
        by = _By(engine=engine, created=created)
        left: list[Address] = []

        async def arrive(part: Request) -> Result:
            place = part.sample - request.sample
            try:
                here[place] = item = await self._filled(here[place], deadline)
                return await asyncio.to_thread(_checked, part, item, by)
            except BadReply as error:
                left.extend(_left(part, here[place], error, by))
                raise

        arriving = [outcome(arrive, part) for part in parts[: len(items)]]
        try:
            outcomes = await side_by_side(arriving)
        except asyncio.CancelledError:
            raise Stopped(partial(_arrived, request, here, by)) from None
        if len(items) < request.n:
            outcomes.append(_too_few(len(items), request.n))
        try:
            return replace(joined(request, outcomes), extra=await self._extra(items[request.n :], deadline))
        except EngineError as error:
            error.addresses = tuple(left)
            raise

    async def _extra(self, items: Sequence[Item | BadReply], deadline: float) -> tuple[Answer, ...]:
        arrived = await asyncio.gather(
            *(self._filled(item, deadline) for item in items), return_exceptions=True
        )
        return tuple(_answer(each) for each in arrived if isinstance(each, Item))

    def engine_of(self, reply: Reply) -> str:
        """Return the name of what answered."""
        return plain(reply.headers.get(ENGINE_HEADER, ""), 80) or self.endpoint.provider

    def arrived(self, request: Request, said: Reply) -> list[Result | BelugaError]:
        """Return those pictures of an answer that need not be fetched, or what is wrong with them."""
        created, items = self.endpoint.dialect.answers(said.content)
        return _arrived(request, items, _By(engine=self.engine_of(said), created=created))

    def _unreachable(self, error: Exception) -> Unreachable:
        reason = plain(str(error), 120) or type(error).__name__
        if "CERTIFICATE_VERIFY_FAILED" in str(error):  # httpx keeps no more of it than the words
            return Untrusted(
                f"The certificate of {origin(self.endpoint.base_url)[1]} cannot be trusted: {reason}",
                f"Nothing was sent or billed. Look at {self._place}; SSL_CERT_FILE names a CA bundle.",
            )
        return Unreachable(
            f"No connection to {origin(self.endpoint.base_url)[1]}: {reason}",
            f"Nothing was sent or billed. Look at the network and {self._place}"
            + ("." if self.endpoint.prefix else ", or unset BELUGA_API_KEY to go on with local previews."),
        )

    @property
    def _place(self) -> str:
        return f"[endpoints.{self.endpoint.provider}]" if self.endpoint.prefix else "BELUGA_BASE_URL"

    async def _filled(self, item: Item | BadReply, deadline: float) -> Item:
        if isinstance(item, BadReply):
            raise item
        if item.data is not None:
            return item
        return replace(item, data=await self._download(str(item.url), deadline))

    async def _download(self, url: str, deadline: float) -> bytes:
        if url.startswith("data:"):
            return decoded(url)
        address = picture_url(url, self.endpoint.base_url)
        cut = b""
        for attempt in range(DOWNLOADS):
            try:
                async with asyncio.timeout_at(deadline):
                    await self.sleep(0.4 * attempt)
                    reply = await self._followed(address)
            except (TimeoutError, *_BAD_URL):
                break
            except (httpx.HTTPError, OSError):
                continue
            if reply.status == 200 and not cut_short(reply.content):
                return reply.content
            if reply.status == 200:
                cut = reply.content
            elif reply.status < 500:
                break
        raise _not_fetched(address, cut)

    async def _followed(self, address: str) -> Reply:
        for _ in range(REDIRECTS + 1):
            reply = await self._fetched(address)
            location = reply.headers.get("location", "")
            if reply.status not in _REDIRECTED or not location:
                return reply
            address = picture_url(_next(address, location), self.endpoint.base_url)
        raise BadReply(
            f"The answer's picture lies behind more than {REDIRECTS} redirects; it is not fetched.",
            "It may have been billed; ask the service for response_format b64_json.",
        )

    async def _fetched(self, address: str) -> Reply:
        url = httpx.URL(address)
        if self.app or _proxied(url):  # it is the proxy that looks the name up, and connects
            return await self._read(self.client, self.client.build_request("GET", url), None, MAX_IMAGE)
        looked_up = await self._addresses(url)
        check_addresses(address, self.endpoint.base_url, looked_up)
        # Connected to by number: looked up once more, the name might lead elsewhere.
        for number, ip in enumerate(looked_up, 1):
            request = self.direct.build_request(
                "GET",
                url.copy_with(host=ip),
                headers={"host": url.netloc.decode()},
                extensions={"sni_hostname": url.raw_host.decode()},
            )
            try:
                return await self._read(self.direct, request, None, MAX_IMAGE)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                if number == len(looked_up):
                    raise
        raise httpx.ConnectError("the name has no address")

    async def _addresses(self, url: httpx.URL) -> list[str]:
        loop, host = asyncio.get_running_loop(), url.raw_host.decode()
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        # IPv4 first: where there is none it fails at once, while IPv6 may hang where it only seems to be.
        found.sort(key=lambda entry: entry[0] != socket.AF_INET)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def _read(
        self, client: httpx.AsyncClient, request: httpx.Request, auth: _Bearer | None, limit: int
    ) -> Reply:
        where = f"{request.url.scheme}://{request.headers['host']}{request.url.path}"
        with discreet(request.method, where):
            return await self._heard(client, request, auth, limit)

    async def _heard(
        self, client: httpx.AsyncClient, request: httpx.Request, auth: _Bearer | None, limit: int
    ) -> Reply:
        response = await client.send(request, auth=auth, stream=True, follow_redirects=False)
        try:
            raw = bytearray()
            if int(response.headers.get("content-length", 0)) > limit:
                raise _too_large(limit)
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
        await self.direct.aclose()


class Http:
    """The engine behind an `Endpoint` that answers with the pictures.

    It sends each request once. Raises `Unreachable`, `Refused`, `Overloaded`, `OutcomeUnknown`,
    `TimedOut`, `BadReply`, `BadImage`, or `Incomplete` where only some pictures are good.
    """

    def __init__(self, endpoint: Endpoint, *, app: App | None = None, sleep: Sleep = asyncio.sleep) -> None:
        self.endpoint = endpoint
        self.line = Line(endpoint, app=app, sleep=sleep)

    async def __call__(self, request: Request) -> Result:
        deadline = min(DEADLINE.get(), asyncio.get_running_loop().time() + self.endpoint.limits.timeout)
        reply = await self.line.post(request, deadline)
        try:
            answers = self.endpoint.dialect.answers
            created, items = await asyncio.to_thread(answers, reply.content)
        except asyncio.CancelledError:
            raise Stopped(partial(self.line.arrived, request, reply)) from None
        engine = self.line.engine_of(reply)
        return await self.line.result(request, items, deadline, engine=engine, created=created)

    async def aclose(self) -> None:
        """Close the connections."""
        await self.line.aclose()


async def fetched(endpoint: Endpoint, request: Request, left: Address) -> Result:
    """Return the picture of `request` from where it was left; nothing is asked for but that.

    Raises `BadReply` or `BadImage` where it cannot be had.
    """
    line = Line(endpoint)
    deadline = asyncio.get_running_loop().time() + endpoint.timeout
    item = Item(url=left.url, revised_prompt=left.revised_prompt)
    try:
        return await line.result(request, [item], deadline, engine=left.engine, created=left.created)
    finally:
        await line.aclose()


async def models(endpoint: Endpoint) -> list[Model]:
    """Return the image models that the service lists, as they are named here; BelugAPI needs no key for it.

    Raises `EngineError` where it does not answer with a list in `connect_timeout`.
    """
    key, dialect = endpoint.key if endpoint.prefix else None, endpoint.dialect
    line = Line(replace(endpoint, key=key, timeout=endpoint.connect_timeout))
    deadline = asyncio.get_running_loop().time() + endpoint.connect_timeout
    try:
        reply = good(await line.sent("GET", f"{dialect.models}?category=image", deadline))
        listed = models_from_json(reply.content)
        return [replace(each, id=f"{endpoint.prefix}{each.id}") for each in listed]
    finally:
        await line.aclose()


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
        value, instead = key.reveal(), "(your key)"
        content = self.content.replace(value.encode(), instead.encode())
        if b"\\" in content:  # JSON has more than one way to spell it
            content = re.sub(_spelt_in_json(value), instead.encode(), content)
        headers = [(name, said.replace(value, instead)) for name, said in self.headers.multi_items()]
        return replace(self, content=content, headers=httpx.Headers(headers))


class _Departure:
    """Whether a request is still to be sent, as httpcore's trace tells; without one nothing is `certain`."""

    def __init__(self, *, certain: bool) -> None:
        self.pending = certain

    async def __call__(self, event: str, info: Mapping[str, object]) -> None:  # noqa: ARG002  as it is called
        if ".send_request" in event:
            self.pending = False


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


def _answer(item: Item) -> Answer:
    assert item.data is not None
    return item.answer(item.data, *looked_at(item.data))


def _checked(part: Request, item: Item, by: _By) -> Result:
    return Result.of(part, [_answer(item)], **by)


def _left(part: Request, item: Item | BadReply, error: BadReply, by: _By) -> Iterator[Address]:
    if error.url and isinstance(item, Item):
        yield Address(sample=part.sample, url=error.url, revised_prompt=item.revised_prompt, **by)


def _arrived(request: Request, items: Sequence[Item | BadReply], by: _By) -> list[Result | BelugaError]:
    outcomes: list[Result | BelugaError] = []
    for sample, item in zip(request.samples, items, strict=False):
        if isinstance(item, Item) and item.data is not None:
            try:
                outcomes.append(_checked(request.part(sample), item, by))
            except BelugaError as error:
                outcomes.append(error)
    return outcomes


def _spelt_in_json(value: str) -> bytes:
    letters = ((re.escape(letter), ord(letter)) for letter in value)
    return "".join(rf"(?:\\?{letter}|\\u(?i:{number:04x}))" for letter, number in letters).encode()


def _not_fetched(address: str, cut: bytes) -> BadReply:
    error: BadReply
    if cut:
        error = BadImage("The answer's picture is cut short.", "It may have been billed.", data=cut)
    else:
        error = BadReply(
            f"The picture was made but cannot be fetched from {plain(address.partition('?')[0], 120)}",
            "It has probably been billed. Ask again soon: the address is tried first, and nothing is bought.",
        )
    error.url = address
    return error


def _next(address: str, location: str) -> str:
    try:
        return urljoin(address, location)
    except ValueError:
        return location  # which is refused


def _proxied(url: httpx.URL) -> bool:
    if url.host in LOOPBACK:
        return False
    proxies = getproxies()
    return (url.scheme in proxies or "all" in proxies) and not proxy_bypass(url.host)


# --- what a compressed answer holds


def _inflated(raw: bytes, encoding: str, limit: int) -> bytes:
    # We ask for identity. Who compresses all the same is read within the same limit: it is paid for.
    if encoding.lower() in {"", "identity"}:
        return raw
    if encoding.lower() not in {"gzip", "x-gzip", "deflate"}:
        raise _unasked(encoding)
    content, inflater = bytearray(), zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)
    try:
        while raw and not inflater.eof:
            content += inflater.decompress(raw, 2**20)
            if len(content) > limit:
                raise _too_large(limit)
            raw = inflater.unconsumed_tail
    except zlib.error:
        raise _unasked(encoding) from None
    return bytes(content)


def _unasked(encoding: str) -> BadReply:
    return BadReply(
        f"The answer is in an encoding that was not asked for ({plain(encoding, 40)}).",
        "It may have been billed.",
    )


def _too_large(limit: int) -> BadReply:
    return BadReply(f"The answer is larger than {limit // 2**20} MiB.", "It may have been billed.")


def _too_few(arrived: int, wanted: int) -> EngineError:
    return BadReply(
        f"The service sent {arrived} of {wanted}.",
        "The model may have declined the others; they may have been billed.",
    )
