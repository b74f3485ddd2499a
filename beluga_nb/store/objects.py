"""The objects at the address of a store: the few operations that a store needs, over fsspec.

Names are relative to the address, with slashes. Errors of the service are raised as `RemoteError`.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from beluga_nb.config.addresses import StoreAddress
from beluga_nb.errors import StoreError
from beluga_nb.store import files
from beluga_nb.text import sanitize

AT_ONCE = 16
"""Requests that are under way at the same time, at most."""

ATTEMPTS = 5
"""How often an object is written that is refused, though there is none."""

TIME_LIMITS = {
    "connect_timeout": 10,
    "read_timeout": 60,
    "retries": {"mode": "standard", "total_max_attempts": 3},
}

_CLOCK = {"RequestTimeTooSkewed", "RequestExpired"}
_CREDENTIALS = {
    *("InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"),
    *("NoCredentialsError", "PartialCredentialsError", "ProfileNotFound", "InvalidClientTokenId"),
    *(
        "TokenRetrievalError",
        "UnauthorizedSSOTokenError",
        "DefaultCredentialsError",
        "ClientAuthenticationError",
    ),
}
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound"}
_TAKEN = {"PreconditionFailed", "412", "ConditionalRequestConflict", "409"}
_UNREACHABLE = (ConnectionError, TimeoutError)
_BROKEN_OFF = (
    "ConnectionError",
    "TimeoutError",
    "ConnectorError",
    "PayloadError",
    "ClientError",
    "IncompleteRead",
)


class RemoteError(StoreError):
    """A store at an address cannot be reached, read or written."""


class Objects:
    """The objects below an address. Each operation sends one request or more, and waits for the answers.

    `sent` counts the calls of each fsspec method.
    """

    def __init__(self, address: StoreAddress) -> None:
        self.address = address
        self.sent: dict[str, int] = {}
        self._counting = threading.Lock()

    def read(self, name: str) -> bytes:
        """Return an object; raise `FileNotFoundError` where there is none, `RemoteError` for a huge one."""
        with self._errors("read", FileNotFoundError):
            [found] = self._read([name])
            data = _bytes(found)
        return self._limited(name, data)

    def read_all(self, names: Iterable[str]) -> dict[str, bytes]:
        """Return the objects that exist, of some names; all are read at once."""
        names = list(names)
        with self._errors("read"):
            read = zip(names, self._read(names), strict=True)
            found = {name: _bytes(each) for name, each in read if not isinstance(each, FileNotFoundError)}
        return {name: self._limited(name, data) for name, data in found.items()}

    def write(self, objects: Mapping[str, bytes]) -> None:
        """Write objects, all at once; those with the same names are replaced."""
        with self._errors("written"):
            for each in self._call("pipe_file", list(objects.items())):
                _raised(each)

    def create(self, name: str, data: bytes) -> bytes | None:
        """Write a new object, or return the one that is there. Of two writers, one gets it."""
        for _ in range(ATTEMPTS):
            with contextlib.suppress(FileExistsError), self._errors("written", FileExistsError):
                [made] = self._call("pipe_file", [(name, data)], mode="create")
                _raised(made)
                return None
            with contextlib.suppress(FileNotFoundError):  # removed meanwhile, or never written (409)
                return self.read(name)
        raise RemoteError(
            f"{sanitize(self.address.url, 120)} refuses to write {name}, as if it were there.",
            "Try again, or set BELUGA_STORE to a folder.",
        )

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, if they are there."""
        with self._errors("written"):
            for each in self._call("rm_file", [(name,) for name in names]):
                with contextlib.suppress(FileNotFoundError):
                    _raised(each)

    def missing(self, names: Iterable[str]) -> set[str]:
        """Return the names that have no object."""
        names = list(names)
        with self._errors("read"):
            found = self._call("info", [(name,) for name in names])
            for each in found:
                with contextlib.suppress(FileNotFoundError):
                    _raised(each)
            return {
                name for name, each in zip(names, found, strict=True) if isinstance(each, FileNotFoundError)
            }

    def listed(self, folder: str) -> dict[str, tuple[int, str]]:
        """Return the size in bytes and the version of each object below a folder; writes change it."""
        with self._errors("listed"):
            # With a prefix, s3fs sends one request; for an empty folder it would send two more.
            by_prefix = {"prefix": f"{folder}/"} if self.address.scheme in {"s3", "gs"} else {}
            [found] = self._call("find", [("" if by_prefix else folder,)], detail=True, **by_prefix)
            begin = len(self._path("")) + 1
            return {name[begin:]: (state["size"], _version(state)) for name, state in _raised(found).items()}

    def top(self) -> set[str]:
        """Return the names of the objects and folders right below the address."""
        with self._errors("listed"):
            [found] = self._call("ls", [("",)], detail=False)
            paths = [] if isinstance(found, FileNotFoundError) else _raised(found)
            return {path.rstrip("/").rpartition("/")[2] for path in paths}

    def _read(self, names: Sequence[str]) -> list[Any]:
        # One byte more shows that an object is too long. Without `start`, s3fs would first ask for the size.
        return self._call("cat_file", [(name,) for name in names], start=0, end=files.LARGEST_BLOB + 1)

    def _limited(self, name: str, data: bytes) -> bytes:
        """Return the bytes of an object; raise `RemoteError` if they are more than any that is written."""
        if len(data) > files.LARGEST_BLOB:
            raise RemoteError(
                f"The object {name} in {sanitize(self.address.url, 120)} is larger than any that beluga_nb"
                " writes.",
                f"Nothing was sent. Remove that object; at most {files.LARGEST_BLOB:,} bytes are read.",
            )
        return data

    def _path(self, name: str) -> str:
        root = str(self._files._strip_protocol(self.address.url)).rstrip("/")
        return f"{root}/{name}" if name else root

    @property
    def _files(self) -> Any:
        import fsspec  # Lazy import: a store in a folder needs none of it.

        options: dict[str, object] = {"use_listings_cache": False}
        if self.address.scheme == "s3" and "config_kwargs" not in fsspec.config.conf.get("s3", {}):
            options["config_kwargs"] = TIME_LIMITS
        # fsspec caches its file systems, in each process.
        files = fsspec.filesystem(self.address.scheme, **options)
        if "config_kwargs" in options:
            # Each is as many as TIME_LIMITS allow: five of them would wait a quarter of an hour.
            files.retries = min(files.retries, 2)
        return files

    def _call(self, method: str, calls: Sequence[tuple[Any, ...]], **options: object) -> list[Any]:
        """Return what each call of a method returns or raises; an asynchronous driver sends all at once."""
        if not calls:
            return []
        with self._counting:
            self.sent[method] = self.sent.get(method, 0) + len(calls)
        file_system = self._files
        placed = [(self._path(name), *rest) for name, *rest in calls]
        if not file_system.async_impl:
            return [_outcome(getattr(file_system, method), arguments, options) for arguments in placed]
        from fsspec.asyn import sync

        return list(sync(file_system.loop, _together, getattr(file_system, f"_{method}"), placed, options))

    @contextlib.contextmanager
    def _errors(self, doing: str, expected: type[OSError] | tuple[()] = ()) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Each driver of fsspec raises classes of its own.
            if isinstance(error, expected):
                raise
            raise _in_two_lines(self.address, error, doing) from None


async def _together(
    method: Callable[..., Awaitable[Any]], calls: Sequence[tuple[Any, ...]], options: Mapping[str, object]
) -> list[Any]:
    free = asyncio.Semaphore(AT_ONCE)

    async def one(arguments: tuple[Any, ...]) -> Any:
        async with free:
            return await method(*arguments, **options)

    return await asyncio.gather(*map(one, calls), return_exceptions=True)


def _outcome(method: Callable[..., Any], arguments: tuple[Any, ...], options: Mapping[str, object]) -> Any:
    try:
        return method(*arguments, **options)
    except Exception as error:  # as `asyncio.gather` returns it
        return error


def _bytes(found: Any) -> bytes:
    """Return what was read, or raise the error."""
    if isinstance(found, Exception) and _code(found) in {"InvalidRange", "416"}:  # The object is empty.
        return b""
    return bytes(_raised(found))


def _raised(found: Any) -> Any:
    """Return an outcome, or raise it."""
    if not isinstance(found, BaseException):
        return found
    code = _code(found)
    if isinstance(found, FileNotFoundError) and code in _NO_BUCKET:
        raise OSError(code) from found
    # Each driver raises another error where a conditional write finds an object.
    if code in _TAKEN or type(found).__name__ == "ResourceExistsError":
        raise FileExistsError(code) from found
    raise found


def _code(error: BaseException) -> str:
    """Return the service's code of an error, or the name of its class."""
    for each in (error.__cause__, error):
        response = getattr(each, "response", None)
        if isinstance(response, Mapping) and isinstance(response.get("Error"), Mapping):
            return str(response["Error"].get("Code", ""))
    # gcsfs: an HTTP status.
    return str(code) if isinstance(code := getattr(error, "code", None), int) else type(error).__name__


def _in_two_lines(address: StoreAddress, error: Exception, doing: str) -> RemoteError:
    code, place = _code(error), sanitize(address.url, 120)
    if code == "OSError" and error.args:
        code = str(error.args[0])  # `_raised` has put the code there.
    if code in _NO_BUCKET:
        return RemoteError(
            f"There is no bucket {sanitize(address.bucket, 80)} ({place}).",
            "Make it, or correct the setting store.",
        )
    if code in _CLOCK:
        return RemoteError(
            f"The clock of this computer is too far from the one of {place}.", "Set the clock, and try again."
        )
    if code in _CREDENTIALS:
        remedy = "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
        return RemoteError(
            f"{place} does not accept your credentials, or there are none ({code}).",
            remedy if address.scheme == "s3" else "Log in with the tools of that service.",
        )
    if isinstance(error, PermissionError) or code in {"AccessDenied", "403", "401"}:
        return RemoteError(
            f"{place} must not be {doing} with your credentials ({code}).",
            "Ask its owner for the right, or set BELUGA_STORE to another store.",
        )
    if isinstance(error, _UNREACHABLE) or code.endswith(_BROKEN_OFF):
        return RemoteError(
            f"{place} cannot be reached ({code}).", "Check the network and the address, and try again."
        )
    return RemoteError(
        f"{place} cannot be {doing}: {sanitize(f'{code}: {error}', 160)}.",
        "Try again, or set BELUGA_STORE to a folder.",
    )


def _version(state: Mapping[str, Any]) -> str:
    changing = (
        "ETag",
        "etag",
        "md5Hash",
        "generation",
        "LastModified",
        "last_modified",
        "created",
        "mtime",
        "size",
    )
    return " ".join(str(state[each]) for each in changing if each in state)
