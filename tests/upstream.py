"""A service that is asked once and then polled, as APIMart is: small, and ours to break."""

import asyncio
import secrets
from dataclasses import dataclass, field

from conftest import KEY, drawing
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from beluga_nb.errors import BelugaError, RateLimitError
from beluga_nb.wire import error_to_json, request_from_json

SUBMISSIONS = {
    "list": lambda name: {"code": 200, "data": [{"status": "submitted", "task_id": name}]},
    "words": lambda name: {
        "code": "success",
        "message": "",
        "data": [{"task_id": name, "status": "processing"}],
    },
    "object": lambda name: {
        "code": 200,
        "data": {
            "id": name,
            "status": "pending",
            "progress": 0,
            "task_info": {"can_cancel": True, "estimated_time": 45},
        },
    },
}


class Lost(Response):
    """An answer whose connection breaks in the middle."""

    async def __call__(self, _scope, _receive, send):
        headers = [(b"content-length", b"100")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b'{"code"', "more_body": True})
        raise ConnectionAbortedError


@dataclass
class Upstream:
    """It answers each poll with the next of `polls`, and then with what the engine gave.

    A poll is a percentage, a status of 400 or more, the bytes of an answer, "lost" (the connection breaks) or
    "silent".
    """

    engine: object = drawing
    shape: str = "list"
    polls: tuple = (0, 40)
    alone: bool = False  # a link as a string, not in a list
    expired: bool = False
    lost: bool = False  # the submission's answer
    end: dict = field(default_factory=dict)  # what a completed task says instead
    posts: list = field(default_factory=list)
    polled: int = 0
    keys: set = field(default_factory=set)
    tasks: dict = field(default_factory=dict)
    files: dict = field(default_factory=dict)

    @property
    def app(self):
        return Starlette(
            routes=[
                Route("/v1/images/generations", self.submit, methods=["POST"]),
                Route("/v1/tasks/{name}", self.poll),
                Route("/cdn/{name}", self.file, name="cdn"),
            ]
        )

    async def submit(self, http):
        self.keys.add(http.headers.get("authorization"))
        body = await http.json()
        self.posts.append(body)
        if http.headers.get("authorization") != f"Bearer {KEY}":
            return JSONResponse({"error": {"message": "No such key."}}, 401)
        name = f"task_{secrets.token_hex(8)}"
        try:
            outcome = await self.engine(request_from_json(body)[0])
        except RateLimitError as error:
            return JSONResponse(error_to_json(error)[1], 429, {"retry-after": f"{error.retry_after:g}"})
        except BelugaError as error:
            outcome = error
        self.tasks[name] = [outcome, list(self.polls)]
        return Lost() if self.lost else JSONResponse(SUBMISSIONS[self.shape](name))

    async def poll(self, http):
        self.polled += 1
        self.keys.add(http.headers.get("authorization"))
        outcome, polls = self.tasks[http.path_params["name"]]
        if not polls:
            return self.ended(http, outcome)
        match polls.pop(0):
            case "lost":
                return Lost()
            case "silent":
                await asyncio.sleep(30)
                raise AssertionError
            case bytes(body):
                return Response(body)
            case int(status) if status >= 400:
                return Response("", status)
            case progress:
                return JSONResponse(
                    {"code": 200, "data": {"id": "x", "status": "processing", "progress": progress}}
                )

    def ended(self, http, outcome):
        if isinstance(outcome, BelugaError):
            status, body = error_to_json(outcome)
            job = {"status": "failed", "progress": 100, "error": body["error"] | {"status": status}}
            return JSONResponse({"code": 200, "data": job})
        images = [self.image(http, picture) for picture in outcome.pictures]
        job = {
            "id": http.path_params["name"],
            "status": "completed",
            "progress": 100,
            "result": {"images": images},
            "created": outcome.recipe.created,
            "actual_time": 44,
        }
        headers = {"x-beluga-engine": outcome.recipe.engine}
        return JSONResponse({"code": 200, "data": job | self.end}, headers=headers)

    def image(self, http, picture):
        name = secrets.token_hex(8)
        if not self.expired:
            self.files[name] = picture
        url = str(http.url_for("cdn", name=name))
        return {
            "url": url if self.alone else [url],
            "expires_at": 1_750_000_060,
            "revised_prompt": picture.recipe.revised_prompt,
        }

    async def file(self, http):
        self.keys.add(http.headers.get("authorization"))
        picture = self.files.get(http.path_params["name"])
        return Response(picture.data, media_type=picture.media_type) if picture else Response("", 404)
