"""A small server with the part of the S3 protocol that a store uses, and faults that a test asks for."""

import contextlib
import hashlib
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET = "bucket"


class S3(ThreadingHTTPServer):
    """`fail(method, name)` returns a status and an error code, "cut" for half an answer, or nothing."""

    daemon_threads = True

    def __init__(self, *, latency=0.0):
        super().__init__(("127.0.0.1", 0), Handler)
        self.latency, self.lock, self.writing = latency, threading.Lock(), threading.RLock()
        self.reset()

    def reset(self):
        """Forget all objects and requests, and fail no more."""
        self.objects, self.seen, self.conditional = {}, [], True
        self.fail = lambda *_: None

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"

    def count(self):
        """The requests since the last count, by method."""
        seen, self.seen = self.seen, []
        return {
            method: sum(each[0] == method for each in seen) for method in sorted({each[0] for each in seen})
        }

    @contextlib.contextmanager
    def running(self):
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            self.server_close()
            thread.join(10)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status=200, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", headers.pop("length", len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            with contextlib.suppress(ConnectionError):
                self.wfile.write(body)

    def refuse(self, status, code, **more):
        words = "".join(f"<{name}>{value}</{name}>" for name, value in more.items())
        self.answer(status, f"<Error><Code>{code}</Code><Message>{code}</Message>{words}</Error>".encode())

    def handle_one(self):
        parts = urlsplit(self.path)
        bucket, _, name = unquote(parts.path).lstrip("/").partition("/")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        method = "LIST" if self.command == "GET" and not name else self.command
        with self.server.lock:
            self.server.seen.append((method, name or query.get("prefix", "")))
        time.sleep(self.server.latency)
        fault = self.server.fail(method, name)
        if fault == "cut":
            data = self.server.objects.get(name, b"") if method == "GET" else b""
            self.answer(200, data[: len(data) // 2], length=len(data) + 1)
            self.close_connection = True
            return None
        if fault == "lost":  # done, and the answer is lost
            self.done(method, name, body, query)
            self.close_connection = True
            self.connection.close()
            return None
        if fault:
            return self.refuse(*fault)
        if bucket != BUCKET:
            return self.refuse(404, "NoSuchBucket")
        return self.done(method, name, body, query)

    def done(self, method, name, body, query):
        objects = self.server.objects
        match method:
            case "PUT":
                with self.server.writing:
                    taken = self.server.conditional and self.headers.get("If-None-Match") and name in objects
                    if not taken:
                        objects[name] = body
                if taken:
                    return self.refuse(412, "PreconditionFailed", Condition="If-None-Match")
                return self.answer(ETag=etag(body))
            case "DELETE":
                objects.pop(name, None)
                return self.answer(204)
            case "LIST":
                return self.answer(body=listing(objects, **query), Content_Type="application/xml")
        if name not in objects:
            return self.refuse(404, "NoSuchKey")
        data = objects[name]
        if wanted := re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", "")):
            first, last = map(int, wanted.groups())
            if first >= len(data):
                return self.refuse(416, "InvalidRange")
            part = data[first : last + 1]
            place = f"bytes {first}-{first + len(part) - 1}/{len(data)}"
            return self.answer(206, part, ETag=etag(data), Content_Range=place)
        return self.answer(body=data, ETag=etag(data))

    do_GET = do_HEAD = do_PUT = do_DELETE = handle_one


def etag(data):
    return f'"{hashlib.md5(data).hexdigest()}"'


def listing(objects, prefix="", delimiter="", **_):
    names = sorted(name for name in list(objects) if name.startswith(prefix))
    whole = [name for name in names if not delimiter or delimiter not in name[len(prefix) :]]
    folders = {
        prefix + name[len(prefix) :].partition(delimiter)[0] + delimiter for name in {*names} - {*whole}
    }
    words = [
        f"<Contents><Key>{escape(name)}</Key><LastModified>2026-11-30T00:00:00.000Z</LastModified>"
        f"<ETag>{etag(data)}</ETag><Size>{len(data)}</Size></Contents>"
        for name in whole
        if (data := objects.get(name)) is not None
    ]
    words += [f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in sorted(folders)]
    return f"<ListBucketResult><IsTruncated>false</IsTruncated>{''.join(words)}</ListBucketResult>".encode()


CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "an-id",
    "AWS_SECRET_ACCESS_KEY": "a-secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_CONFIG_FILE": "/nowhere",
    "AWS_SHARED_CREDENTIALS_FILE": "/nowhere",
}


def close_drivers():
    """Close what s3fs has kept for each address of a service: left to itself, it may close it too late."""
    import s3fs
    from fsspec.asyn import sync

    for each in list(s3fs.S3FileSystem._cache.values()):
        if each._s3 is not None:
            sync(each.loop, each._s3.__aexit__, None, None, None)
    s3fs.S3FileSystem.clear_instance_cache()
