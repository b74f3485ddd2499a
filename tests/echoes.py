"""A service that echoes the key it was given, wherever an answer has a place for words: a real server."""

import base64
import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from conftest import drawn

from beluga_nb.request import Request

PICTURE = drawn(Request(prompt="echoed", model="flux-2.0"), 0)


def answer(status=200, body=b"", reason="Odd", **headers):
    said = body if isinstance(body, bytes) else json.dumps(body).encode()
    return status, reason, {name.replace("_", "-"): value for name, value in headers.items()}, said


def error(status, **fields):
    return answer(status, {"error": {"message": "No.", "type": "odd", "code": "odd", "param": None} | fields})


def pictures(**fields):
    item = {"b64_json": base64.b64encode(PICTURE).decode()} | fields
    return {"created": 1_750_000_000, "data": [{name: value for name, value in item.items() if value}]}


BODIES = {
    "the message of a refusal": lambda said: error(400, message=said),
    "the code of a refusal": lambda said: error(400, code=said),
    "the type of a refusal": lambda said: error(403, type=said),
    "the parameter of a refusal": lambda said: error(400, param=said),
    "a prompt that is declined": lambda said: error(400, message=said, code="moderation_blocked"),
    "a wrong key": lambda said: error(401, message=f"Incorrect API key provided: {said}."),
    "a lack of money": lambda said: error(402, message=said),
    "a failure": lambda said: error(500, message=said),
    "a failure in plain text": lambda said: answer(500, f"boom {said}".encode(errors="replace")),
    "a failure in a detail": lambda said: answer(422, {"detail": [{"msg": said, "loc": [said]}]}),
    "a busy service": lambda said: answer(429, {"error": {"message": said}}, retry_after="0.01"),
    "a page": lambda said: answer(200, f"<html>{said}</html>".encode(errors="replace")),
    "an error under 200": lambda said: answer(200, {"error": {"message": said}}),
    "no picture": lambda said: answer(200, {"data": [{"text": said}], "note": said}),
    "a picture that is none": lambda said: answer(200, pictures(b64_json=said)),
    "the bytes of a picture": lambda said: answer(
        200, pictures(b64_json=base64.b64encode(said.encode(errors="replace")).decode())
    ),
    "a revised prompt": lambda said: answer(200, pictures(revised_prompt=f"a fox {said} at night")),
    "the address of a picture": lambda said: answer(
        200, pictures(b64_json=None, url=f"/v1/{said}/fox.png?key={said}", revised_prompt=said)
    ),
    "an address that is not fetched": lambda said: answer(
        200, pictures(b64_json=None, url=f"ftp://lab.example/{said}.png")
    ),
}
"""Where a body has words, by what says them."""

HEADS = {
    "a reason": lambda said: answer(503, b"{}", reason=said),
    "the name of what answered": lambda said: answer(200, pictures(), x_beluga_engine=said),
    "the id of a refused request": lambda said: answer(400, b"{}", x_request_id=said),
    "where a redirect leads": lambda said: answer(307, b"", location=f"https://elsewhere.example/{said}"),
    "the host of a redirect": lambda said: answer(307, b"", location=f"https://{said}.example/"),
    "an encoding": lambda said: answer(200, b"{}", content_encoding=said),
    "a time to wait": lambda said: answer(503, b"{}", retry_after=said),
    "any header": lambda said: answer(200, pictures(), x_anything=said, set_cookie=f"key={said}"),
}
"""Where a head has words; they are printable ASCII there."""


@contextlib.contextmanager
def echoing(channel, disguise):
    """A service whose answers say, where the channel has a place, the key that they were asked with."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            self.rfile.read(int(self.headers.get("content-length", 0)))
            key = (self.headers.get("authorization") or "Bearer nobody").removeprefix("Bearer ")
            status, reason, headers, body = (BODIES | HEADS)[channel](disguise(key))
            if self.command == "GET":
                status, body = 404, b"{}"
            self.send_response(status, reason)
            for name, value in {**headers, "content-length": str(len(body)), "connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        do_POST = do_GET = answer

        def log_message(self, *_):
            """Nothing: it would be on stderr."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
