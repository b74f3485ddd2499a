"""The suite's service: an image API that costs nearly nothing, in a process of its own.

`POST /MILLISECONDS/v1/images/generations` answers after so many milliseconds, with `b64_json` or `url` as it
is asked; `GET /picture/NUMBER.png` answers at once. All answers are made before the first request.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import sys

from benchmarks.pictures import PNG_END, distinct, photographs


class Answers:
    """Bodies of answers. Each picture has other bytes, or a store would keep it once."""

    def __init__(self, pngs: list[bytes]) -> None:
        self.pngs = pngs
        # All but the last bytes of a picture are encoded before the first request.
        self.cuts = [(len(png) - PNG_END) // 3 * 3 for png in pngs]
        self.encoded = [base64.b64encode(png[:cut]) for png, cut in zip(pngs, self.cuts, strict=True)]
        self.numbers = itertools.count()

    def generation(self, body: bytes, port: int) -> list[bytes]:
        """Return the parts of the body of the next answer to a POST."""
        number = next(self.numbers)
        if json.loads(body).get("response_format") == "b64_json":
            which = number % len(self.pngs)
            rest = base64.b64encode(self.picture(number)[self.cuts[which] :])
            return [b'{"created": 1, "data": [{"b64_json": "', self.encoded[which], rest, b'"}]}']
        url = f"http://127.0.0.1:{port}/picture/{number}.png"
        return [json.dumps({"created": 1, "data": [{"url": url}]}).encode()]

    def picture(self, number: int) -> bytes:
        """Return a picture."""
        return distinct(self.pngs[number % len(self.pngs)], number)


class Connection(asyncio.Protocol):
    """HTTP/1.1 as far as clients of an image API use it: connections stay open, bodies have a length."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.port: int = transport.get_extra_info("sockname")[1]

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, separator, rest = bytes(self.received).partition(b"\r\n\r\n")
        if not separator:
            return
        line, *fields = head.split(b"\r\n")
        headers = dict(field.lower().split(b": ", 1) for field in fields)
        length = int(headers.get(b"content-length", b"0"))
        if len(rest) < length:
            return
        self.received = bytearray(rest[length:])
        method, target, _ = line.split(b" ")
        if method == b"GET":
            number = int(target.rpartition(b"/")[2].removesuffix(b".png"))
            self._answer([self.answers.picture(number)], b"image/png")
            return
        answer = self.answers.generation(rest[:length], self.port)
        latency = float(target.split(b"/")[1]) / 1000
        if latency:
            asyncio.get_running_loop().call_later(latency, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, body: list[bytes], kind: bytes = b"application/json") -> None:
        if not self.transport.is_closing():
            length = sum(map(len, body))
            head = b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n\r\n" % (kind, length)
            for part in (head, *body):
                self.transport.write(part)


async def serve() -> None:
    """Serve on a free port, which is printed, until the process is ended or its input is closed."""
    answers, loop = Answers(photographs()), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(answers), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.to_thread(sys.stdin.read)  # It ends with the suite, however that ends.


if __name__ == "__main__":
    asyncio.run(serve())
