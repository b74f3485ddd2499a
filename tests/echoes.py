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
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return status, reason, {name.replace("_", "-"): value for name, value in headers.items()}, content


def error(status, **fields):
    return answer(status, {"error": {"message": "No.", "type": "odd", "code": "odd", "param": None} | fields})


def pictures(**fields):
    item = {"b64_json": base64.b64encode(PICTURE).decode()} | fields
    return {"created": 1_750_000_000, "data": [{name: value for name, value in item.items() if value}]}


BODIES = {
    "the message of a refusal": lambda text: error(400, message=text),
    "the code of a refusal": lambda text: error(400, code=text),
    "the type of a refusal": lambda text: error(403, type=text),
    "the parameter of a refusal": lambda text: error(400, param=text),
    "a prompt that is declined": lambda text: error(400, message=text, code="moderation_blocked"),
    "a wrong key": lambda text: error(401, message=f"Incorrect API key provided: {text}."),
    "a lack of money": lambda text: error(402, message=text),
    "a failure": lambda text: error(500, message=text),
    "a failure in plain text": lambda text: answer(500, f"boom {text}".encode(errors="replace")),
    "a failure in a detail": lambda text: answer(422, {"detail": [{"msg": text, "loc": [text]}]}),
    "a busy service": lambda text: answer(429, {"error": {"message": text}}, retry_after="0.01"),
    "a page": lambda text: answer(200, f"<html>{text}</html>".encode(errors="replace")),
    "an error under 200": lambda text: answer(200, {"error": {"message": text}}),
    "no picture": lambda text: answer(200, {"data": [{"text": text}], "note": text}),
    "a picture that is none": lambda text: answer(200, pictures(b64_json=text)),
    "the bytes of a picture": lambda text: answer(
        200, pictures(b64_json=base64.b64encode(text.encode(errors="replace")).decode())
    ),
    "a revised prompt": lambda text: answer(200, pictures(revised_prompt=f"a fox {text} at night")),
    "the address of a picture": lambda text: answer(
        200, pictures(b64_json=None, url=f"/v1/{text}/fox.png?key={text}", revised_prompt=text)
    ),
    "an address that is not fetched": lambda text: answer(
        200, pictures(b64_json=None, url=f"ftp://lab.example/{text}.png")
    ),
}
"""Where a body has words, by what says them."""

HEADS = {
    "a reason": lambda text: answer(503, b"{}", reason=text),
    "the name of what answered": lambda text: answer(200, pictures(), x_beluga_engine=text),
    "the id of a refused request": lambda text: answer(400, b"{}", x_request_id=text),
    "where a redirect leads": lambda text: answer(307, b"", location=f"https://elsewhere.example/{text}"),
    "the host of a redirect": lambda text: answer(307, b"", location=f"https://{text}.example/"),
    "an encoding": lambda text: answer(200, b"{}", content_encoding=text),
    "a time to wait": lambda text: answer(503, b"{}", retry_after=text),
    "any header": lambda text: answer(200, pictures(), x_anything=text, set_cookie=f"key={text}"),
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
