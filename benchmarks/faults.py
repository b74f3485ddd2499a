"""What a fault costs, beside the openai package: POSTs that were sent, and seconds until there is an answer.

    python -m benchmarks.faults

Both ask the same faulty server on loopback for one picture as base64. The openai package is used as it
comes, with the same timeout; what it gives is decoded with Pillow, as anybody would. Each POST after the
first may be a second picture on the bill, but for those that the server has refused (429).
"""

import base64
import io
import json
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import openai
from PIL import Image

from beluga_nb.session.session import Session
from tests.faulty import (
    Faulty,
    Step,
    after,
    b64,
    dripping,
    error,
    http,
    images,
    nobody,
    reset,
    silence,
)

KEY = "bapi_a-key-for-benchmarks"
TIMEOUT = 2.0
"""Seconds: the timeout of both."""

LASTS = 10
"""Seconds that an answer drips."""


def picture() -> bytes:
    buffer = io.BytesIO()
    Image.radial_gradient("L").convert("RGB").save(buffer, "PNG")
    return buffer.getvalue()


PNG = picture()
GOOD = images(b64(PNG))
DRIPPING = http(json.dumps({"data": [{"b64_json": "A" * LASTS * 50}]}).encode())

BUSY: list[Step] = [error(429, "Slow down.", retry_after="0.2")] * 2

FAULTS: dict[str, Step | list[Step] | None] = {
    "no fault": GOOD,
    "connection refused": None,
    "hangs up without an answer": b"",
    "connection reset": reset,
    "silence": silence,
    f"an answer that drips for {LASTS} s": dripping(DRIPPING, 0.02),
    f"102 Processing for {LASTS} s": dripping(b"HTTP/1.1 102 Processing\r\n\r\n" * LASTS * 2, 0.02),
    "a good answer after 3 s": after(3.0, GOOD),
    "an answer that is cut": GOOD[:-40],
    "500": error(500, "It failed."),
    "502": error(502, "The provider failed."),
    "504": error(504, "The job took too long."),
    "429 twice, Retry-After 0.2": [*BUSY, GOOD],
    "429, Retry-After 300": error(429, "Slow down.", retry_after="300"),
    "200 with a page": http(b"<html>Sign in</html>", content_type="text/html"),
    "a PNG without its last 20 bytes": images(b64(PNG[:-20])),
}


@dataclass
class Seen:
    """What one subject made of one fault."""

    posts: int
    seconds: float
    has: str


def seen(step: Step | list[Step] | None, ask: Callable[[str], str]) -> Seen:
    with Faulty(step if step is not None else b"") as server, nobody() as closed:
        began = time.perf_counter()
        has = ask(closed if step is None else server.url)
        return Seen(server.count("POST"), time.perf_counter() - began, has)


def beluga(base_url: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
        session = Session(environ=environ, folder=Path(folder), timeout=TIMEOUT, notify=lambda _: None)
        try:
            session.generate("a fox", model="flux-2.0")[0].load()
        except Exception as failed:
            return f"{type(failed).__name__}{', may be billed' * getattr(failed, 'may_be_billed', False)}"
        return "a picture"


def openai_package(base_url: str) -> str:
    client = openai.OpenAI(api_key=KEY, base_url=base_url, timeout=TIMEOUT)
    try:
        answer = client.images.generate(model="flux-2.0", prompt="a fox", response_format="b64_json")
        data = base64.b64decode(str(answer.data and answer.data[0].b64_json))
        Image.open(io.BytesIO(data)).load()
    except Exception as failed:
        return type(failed).__name__
    return "a picture" if data == PNG else "a picture, cut short"


def main() -> None:
    beluga_nothing, openai_nothing = (seen(GOOD, ask) for ask in (beluga, openai_package))  # imports
    assert beluga_nothing.has == openai_nothing.has == "a picture"
    print("| | beluga_nb: POSTs | s | the caller has | openai: POSTs | s | the caller has |")
    print("|---|---|---|---|---|---|---|")
    for name, step in FAULTS.items():
        both = [seen(step, ask) for ask in (beluga, openai_package)]
        cells = [f"{each.posts} | {each.seconds:.1f} | {each.has}" for each in both]
        print(f"| {name} | {' | '.join(cells)} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
