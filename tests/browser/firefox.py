#!/usr/bin/env python3
"""Firefox as Playwright starts it: this program in its place, with the same options.

Playwright speaks WebDriver BiDi, and before it opens a page it sets what only a newer Firefox emulates.
All that it asks goes through here, and an emulation that this Firefox does not know is answered as done.
"""

import asyncio
import json
import re
import shutil
import sys

from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from tornado.web import Application
from tornado.websocket import WebSocketHandler, websocket_connect

FIREFOX = shutil.which("firefox") or shutil.which("firefox-esr")
LISTENS = re.compile(rb"(WebDriver BiDi listening on ws://127\.0\.0\.1:)(\d+)")
LARGEST = 2**28  # bytes of a message: a screenshot is one


class Relay(WebSocketHandler):
    """A connection that passes everything on to Firefox and back."""

    async def open(self, path):
        self.unknown, address = set(), f"{self.settings['firefox']}{path}"
        self.firefox = await websocket_connect(address, max_message_size=LARGEST)
        self.answers = asyncio.ensure_future(self.pass_back())

    async def on_message(self, message):
        asked = json.loads(message)
        if asked["method"].startswith("emulation."):
            self.unknown.add(asked["id"])
        await self.firefox.write_message(message)

    async def pass_back(self):
        while (message := await self.firefox.read_message()) is not None:
            answer = json.loads(message)
            if answer.get("error") == "unknown command" and answer["id"] in self.unknown:
                message = json.dumps({"type": "success", "id": answer["id"], "result": {}})
            await self.write_message(message)
        self.close()

    def on_close(self):
        self.firefox.close()


async def main(options):
    firefox = await asyncio.create_subprocess_exec(FIREFOX, *options, stderr=asyncio.subprocess.PIPE)
    async for line in firefox.stderr:
        if found := LISTENS.search(line):
            relays = Application([("(.*)", Relay)], firefox=f"ws://127.0.0.1:{found[2].decode()}")
            [socket] = bind_sockets(0, "127.0.0.1")
            HTTPServer(relays, max_body_size=LARGEST).add_sockets([socket])
            relays.settings["websocket_max_message_size"] = LARGEST
            line = LISTENS.sub(rb"\g<1>%d" % socket.getsockname()[1], line)
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
    return await firefox.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
