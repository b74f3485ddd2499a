"""Send requests over HTTP and read the answers; the one module that imports httpx.

Whether a request without a usable answer may have been billed is decided here, and what a status means for
that in wire.py. While its departure is pending, nothing has been sent, whatever is raised; from then on every
end that is not an answer is unknown, whatever is raised.

httpx's transports are used without its client: a client builds a redirect from each answer that looks like
one, keeps cookies, and puts more into its errors than may be shown.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import ssl
import sys
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar, cast
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from beluga_nb.api.addresses import origin
from beluga_nb.api.body import begins_with_picture, inflated, seems_complete
from beluga_nb.api.endpoint import App, Endpoint
from beluga_nb.api.heads import LiberalHead, Read, content_length
from beluga_nb.api.logs import quiet_http_logs
from beluga_nb.api.spool import Spool
from beluga_nb.config.settings import LOOPBACK
from beluga_nb.errors import (
    APIConnectionError,
    APITimeoutError,
    CertificateError,
    EngineError,
    InvalidResponseError,
    OutcomeUnknownError,
)
from beluga_nb.redaction import redact, redact_bytes
from beluga_nb.result import CallCancelled
from beluga_nb.text import sanitize
from beluga_nb.wire import NOT_SENT_AGAIN, error_from_json

# httpx imports its command line too, if click, rich and pygments are there: half of the time of its import.
_COMMAND_LINE = "httpx._main"
sys.modules.setdefault(_COMMAND_LINE, cast(ModuleType, None))
try:
    import httpx
finally:
    if sys.modules[_COMMAND_LINE] is None:
        del sys.modules[_COMMAND_LINE]

T = TypeVar("T")

MAX_IN_MEMORY = 256 * 2**20
"""Bytes of an answer that are held in memory: ten pictures of 18 MB, as base64. A spool takes more."""

_LARGE = 2**20  # bytes

MAX_ERROR = 2**20
"""Bytes that are read of an answer that holds no picture by its status, and of the words of any error."""


@dataclass(frozen=True, kw_only=True)
class Outgoing:
    """One HTTP request, and where its answer goes.

    The endpoint's key is sent only with `with_key`. `ip` is the numeric address to connect to,
    where the host's name has been looked up already. With `spool` the answer is also written to a file as it
    arrives, under that name and a number. Of an answer no more than `most` bytes are held in memory.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes = b""
    with_key: bool = False
    ip: str | None = None
    spool: Path | None = None
    most: int | None = None


@dataclass(frozen=True, kw_only=True)
class Response:
    """What came back; the names of `headers` are lower-case.

    `broken` is why the body ended before it was complete; `content` is what had arrived, and `kept` the
    file that holds it.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes
    broken: EngineError | None = None
    kept: Path | None = None

    @property
    def is_success(self) -> bool:
        """Whether the status is one of success."""
        return self.status // 100 == 2

    @property
    def error(self) -> EngineError | None:
        """What the status means where it is none of success."""
        words = self.content if len(self.content) <= MAX_ERROR else b""
        return None if self.is_success else error_from_json(self.status, self.headers, words)


class Transport:
    """Sends requests, each exactly once; with `app`, that ASGI application answers in this process.

    Each request has a connection of its own: the outcome of a POST on a kept one that the server has just
    closed would be unknown, and it may be billed.
    """

    def __init__(self, endpoint: Endpoint, *, app: App | None = None) -> None:
        self.endpoint = endpoint
        self.app = app

    async def send(self, outgoing: Outgoing, deadline: float) -> Response | EngineError:
        """Return the response by `deadline` on the loop's clock, or the error that explains its absence.

        Raises `CancelledError`, and of it `CallCancelled` where nothing has been sent.
        """
        departure, arrival = _Departure(certain=self.app is None), _Arrival(outgoing)
        try:
            with quiet_http_logs(outgoing.method, outgoing.url.partition("?")[0]):
                async with asyncio.timeout_at(deadline):
                    await self._exchange(outgoing, departure, arrival)
            ended = None
        except (Exception, asyncio.CancelledError) as error:
            # Whatever httpx, httpcore, h11, anyio, ssl or socket raises.
            ended = self._ended(error, departure, deadline)
        except BaseException as error:  # Ctrl-C: the frames below hold the key
            error.with_traceback(None)
            raise
        finally:
            await arrival.close()
        # Raised outside `except`, so that its context has no frames of the libraries, which hold the key.
        if isinstance(ended, asyncio.CancelledError):
            raise ended
        work = partial(arrival.response, ended)
        response = work() if arrival.is_searched else await arrival.unblocked(work)
        return response or ended or _broken("there was none")

    async def _exchange(self, outgoing: Outgoing, departure: _Departure, arrival: _Arrival) -> None:
        try:
            request = self._request(outgoing, departure)
            transport = await self._transport(outgoing)
            response = await transport.handle_async_request(request)
            try:
                await arrival.read(response, departure.head)
            finally:
                await response.aclose()
        finally:
            await departure.close()

    def _request(self, outgoing: Outgoing, departure: _Departure) -> httpx.Request:
        url = httpx.URL(outgoing.url)
        headers = {"host": url.netloc.decode()}
        extensions: dict[str, Any] = {
            "trace": departure,
            "timeout": {"connect": self.endpoint.connect_timeout},  # one deadline bounds all the rest
        }
        if outgoing.ip:
            extensions["sni_hostname"] = url.raw_host.decode()
            url = url.copy_with(host=outgoing.ip)
        headers |= {"accept": "*/*", "accept-encoding": "identity", "user-agent": "beluga_nb"}
        headers |= outgoing.headers
        if outgoing.with_key and self.endpoint.key:
            headers["authorization"] = f"Bearer {self.endpoint.key.reveal()}"
        return httpx.Request(
            outgoing.method, url, headers=headers, content=outgoing.content, extensions=extensions
        )

    async def _transport(self, outgoing: Outgoing) -> httpx.AsyncBaseTransport:
        if self.app:
            # An error in the app is its own to answer, with status 500, as over a network.
            return httpx.ASGITransport(self.app, raise_app_exceptions=False)
        proxy = None if outgoing.ip else await proxy_of(outgoing.url)
        trusted = _nothing_trusted()
        if "https" in {urlsplit(outgoing.url).scheme, urlsplit(proxy or "").scheme}:
            # On a thread: certificates are read from the disk.
            certificates = os.getenv("SSL_CERT_FILE"), os.getenv("SSL_CERT_DIR")
            trusted = await asyncio.to_thread(_trusted_certificates, *certificates)
        limits = httpx.Limits(max_keepalive_connections=0)
        return httpx.AsyncHTTPTransport(verify=trusted, trust_env=False, limits=limits, proxy=proxy)

    def _ended(
        self, error: Exception | asyncio.CancelledError, departure: _Departure, deadline: float
    ) -> EngineError | asyncio.CancelledError:
        if isinstance(error, asyncio.CancelledError):
            return CallCancelled(may_be_billed=False) if departure.pending else asyncio.CancelledError()
        late = isinstance(error, TimeoutError) and asyncio.get_running_loop().time() >= deadline
        if departure.pending:
            return self._not_sent("too slow" if late else sanitize(str(error), 120), error)
        if late:
            return APITimeoutError(f"No answer within {self.endpoint.timeout:g} s.", NOT_SENT_AGAIN)
        return _broken(type(error).__name__)

    def _not_sent(self, reason: str, error: Exception) -> APIConnectionError:
        host = origin(self.endpoint.base_url)[1]
        if "CERTIFICATE_VERIFY_FAILED" in str(error):  # httpx keeps only the message of the ssl error
            return CertificateError(
                f"The certificate of {host} cannot be trusted: {reason}",
                f"Nothing was sent or billed. Look at {self._place}; SSL_CERT_FILE names a CA bundle.",
            )
        failed = APIConnectionError(
            f"No connection to {host}: {reason or type(error).__name__}",
            f"Nothing was sent or billed. Look at the network and {self._place}"
            + ("." if self.endpoint.prefix else ", or unset BELUGA_API_KEY to go on with local previews."),
        )
        failed.temporary = isinstance(error, _PASSING) and not isinstance(error, _LASTING)
        return failed

    @property
    def _place(self) -> str:
        return f"[endpoints.{self.endpoint.provider}]" if self.endpoint.prefix else "BELUGA_BASE_URL"


_PASSING = (httpx.TransportError, OSError)
"""Errors that may pass; all others come from an unusable setting."""

_LASTING = (httpx.UnsupportedProtocol, httpx.ProxyError)


def _broken(why: str) -> OutcomeUnknownError:
    return OutcomeUnknownError(
        f"The connection broke before the answer was complete ({why}).", NOT_SENT_AGAIN
    )


class _Stream(Protocol):
    read: Read

    def get_extra_info(self, info: str) -> Any: ...
    async def aclose(self) -> None: ...


class _Departure:
    """Whether a request has not been sent yet, by httpcore's trace; without a trace that is not `certain`."""

    def __init__(self, *, certain: bool) -> None:
        self.pending = certain
        self.head: LiberalHead | None = None
        self._opened: list[_Stream] = []
        self._stream: _Stream | None = None

    async def __call__(self, event: str, info: Mapping[str, object]) -> None:
        # A proxy first gets a CONNECT, which holds nothing of the request.
        is_tunnel = getattr(info.get("request"), "method", b"") == b"CONNECT"
        if event.endswith(".send_request_headers.started") and not is_tunnel:
            self.pending = False
            if self._stream:  # the last stream that was opened, which may be TLS over another
                self._stream.read = self.head = LiberalHead(self._stream.read)
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._stream = cast(_Stream, info["return_value"])
        if event == "connection.connect_tcp.complete":
            self._opened.append(cast(_Stream, info["return_value"]))
        if event.endswith(".response_closed.started"):  # httpcore closes the socket next
            self._shut_down()

    def _shut_down(self) -> None:
        """Shut the sockets down, which ends the connections even if a forked child holds a copy."""
        for stream in self._opened:
            with contextlib.suppress(OSError):  # already closed
                if opened := stream.get_extra_info("socket"):
                    opened.shutdown(socket.SHUT_RDWR)

    async def close(self) -> None:
        """Close the connections: httpcore leaves those of some cancelled calls to the garbage collector."""
        self._shut_down()
        for stream in self._opened:
            with contextlib.suppress(OSError):  # already broken
                await asyncio.shield(stream.aclose())


class _Arrival:
    """The part of an answer that has arrived, in memory and on disk, each within its limit."""

    def __init__(self, outgoing: Outgoing) -> None:
        self.spool = Spool(outgoing.spool) if outgoing.spool else None
        self.outgoing = outgoing
        self.paid_for = False
        self.status = 0
        self.headers: dict[str, str] = {}
        self._chunks: list[bytes] = []
        self._is_plain = False  # whether the content is known not to be compressed
        self._keyless: bytes | None = None  # such content without keys
        self.size = 0
        self.too_large = self.whole = False

    async def read(self, response: httpx.Response, head: LiberalHead | None) -> None:
        """Read the whole answer; raise the error that breaks it off."""
        self.headers = _headers(response)
        self.status = response.status_code
        self.paid_for = self._may_be_paid_for()
        if not self.paid_for:
            self.spool = None
        if self.spool:
            self.spool.begin(self.status, self.headers)
        arrived, length = 0, content_length(self.headers.get("content-length", "").encode("latin-1"))
        async with contextlib.aclosing(self._pieces(response, head)) as pieces:
            async for chunk in pieces:
                arrived += len(chunk)
                if not await self._take(chunk):
                    return
        # The HTTP library checks the length of a connection's answer, but not that of an app in this process.
        if arrived < (length or 0) or (head and head.is_broken_off):
            raise httpx.RemoteProtocolError("the answer lacks its end")
        self.whole = True
        if self.spool:
            self._keyless = await self.spool.finish(self.content if self._is_plain else None)

    async def _pieces(
        self, response: httpx.Response, head: LiberalHead | None
    ) -> AsyncGenerator[bytes, None]:
        """Yield the body; if it may be paid for, also the bytes beyond its length or last chunk."""
        if head is None:  # the app in this process
            assert isinstance(response.stream, httpx.AsyncByteStream)
            async for chunk in response.stream:
                yield chunk
            return
        # Past the HTTP library, which would copy each byte twice more.
        while chunk := await head():
            yield chunk
        if not self.paid_for:
            return
        complete = await self.unblocked(self._searched)
        if complete and begins_with_picture(self.content):
            return  # Bytes after a whole picture do not belong to it.
        async for chunk in head.beyond(patient=not complete):
            yield chunk

    async def unblocked(self, work: Callable[[], T]) -> T:
        """Do work on the content: on a thread where it is large, so that the event loop goes on."""
        return await asyncio.to_thread(work) if self.size > _LARGE else work()

    def _searched(self) -> bool:
        """Return whether the content seems to be complete; search it for keys, unless the spool will."""
        if self.too_large:
            return True
        content = self.content
        try:
            inflated_content = inflated(content, self.headers.get("content-encoding", ""))
            self._is_plain = inflated_content is content
            if self._is_plain and self.spool:
                self.spool.hold(content)
            elif self._is_plain:
                self._keyless = _without_keys(content)
            return seems_complete(inflated_content)
        except (InvalidResponseError, MemoryError):  # What follows cannot mend it.
            return True

    def _may_be_paid_for(self) -> bool:
        """Whether the body may hold a picture: its status does not prove that nothing was done."""
        if 200 <= self.status < 300:
            return True
        refused = error_from_json(self.status, self.headers, b"").outcome == "refused"
        return self.outgoing.method == "POST" and not refused

    @property
    def content(self) -> bytes:
        """The bytes that are held in memory."""
        if len(self._chunks) > 1:
            self._chunks = [b"".join(self._chunks)]
        return self._chunks[0] if self._chunks else b""

    @property
    def is_searched(self) -> bool:
        """Whether all that has arrived is searched for keys, so that a response costs little."""
        return self._keyless is not None

    @property
    def limit(self) -> int:
        """How many bytes of the answer are held in memory."""
        most = MAX_IN_MEMORY if self.outgoing.most is None else self.outgoing.most
        return most if self.paid_for else MAX_ERROR

    async def _take(self, chunk: bytes) -> bool:
        self.size += len(chunk)
        self._is_plain, self._keyless = False, None
        if not self.too_large and self.size <= self.limit:
            self._chunks.append(chunk)
        else:
            self.too_large = True
            self._chunks.clear()
        return bool(self.spool and await self.spool.write(chunk)) or not self.too_large

    async def close(self) -> None:
        """Keep the bytes that have arrived on disk."""
        if self.spool:
            await self.spool.close()

    def response(self, broken: EngineError | None) -> Response | None:
        """Return the answer as far as it arrived; None where not even its head did."""
        if not self.status:
            return None
        if self.whole:  # closing the connection may still fail
            broken = None
        if self.too_large and self.paid_for:
            broken = self._too_large()
        content, headers = self._keyless, dict(self.headers)
        encoding = redact(headers.pop("content-encoding", ""))
        if content is None:
            content = self.content
            try:
                content = inflated(content, encoding)
            except InvalidResponseError as error:
                broken = broken or error.with_traceback(None)  # its frames hold the inflated body
            content = _without_keys(content)
        headers = {name: redact(value) for name, value in headers.items()}  # some services repeat the key
        kept = self.spool.path if self.spool and self.spool.path != self.outgoing.spool else None
        return Response(status=self.status, headers=headers, content=content, broken=broken, kept=kept)

    def _too_large(self) -> InvalidResponseError:
        kept = (
            f"it is kept in {self.spool.path.name}"
            if self.spool and self.spool.complete
            else "it is not kept"
        )
        return InvalidResponseError(
            f"The answer is larger than {self.limit // 2**20} MiB; {kept}.", NOT_SENT_AGAIN
        )


def _without_keys(content: bytes) -> bytes:
    return content if begins_with_picture(content) else redact_bytes(content)


def _headers(response: httpx.Response) -> dict[str, str]:
    # From the raw bytes: httpx.Headers raises on values that are not ASCII when it is copied.
    headers: dict[str, str] = {}
    for name, value in response.headers.raw:
        known = name.decode("latin-1").lower()
        headers[known] = ", ".join(filter(None, [headers.get(known), value.decode("latin-1")]))
    return headers


async def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for a URL, or None.

    Requests to this machine use no proxy, whatever the environment names.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in LOOPBACK:
        return None
    proxies = getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
    # On a thread: with the settings of macOS or Windows, this may resolve the name.
    if not proxy or await asyncio.to_thread(proxy_bypass, host):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


@lru_cache(maxsize=1)
def _nothing_trusted() -> ssl.SSLContext:
    """Return a context for connections without TLS, which need no certificates."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _trusted_certificates(file: str | None, folder: str | None) -> ssl.SSLContext:
    place = file or folder or ""
    try:
        return _context(file or None, folder or None, os.stat(place).st_mtime if place else 0.0)
    except (OSError, ssl.SSLError) as error:
        name = "SSL_CERT_FILE" if file else "SSL_CERT_DIR"
        reason = error.strerror or str(error)
    raise ValueError(
        f"{name} names {sanitize(place, 80)}, which holds no certificates ({sanitize(reason, 60)})"
    )


@lru_cache(maxsize=4)  # reading the certificates takes 20 ms and 600 KB, and a context is the same for all
def _context(file: str | None, folder: str | None, changed: float) -> ssl.SSLContext:  # noqa: ARG001
    if file or folder:
        return ssl.create_default_context(cafile=file, capath=folder)
    return httpx.create_ssl_context(trust_env=False)
