"""Small servers that read a request and answer as the sources of real ones do.

Each is `body -> (status, answer)`; what it does not understand it treats as they do: some in silence.
"""

import base64
import io
import re
from dataclasses import dataclass, field

from PIL import Image
from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

BUSY = "fault: busy"
REFUSED = "fault: refused"
BROKEN = "fault: broken"


def png(width, height, number=0):
    buffer = io.BytesIO()
    Image.new("RGB", (width, height), (30, 90 + number, 150)).save(buffer, "PNG")
    return buffer.getvalue()


def b64(data):
    return base64.b64encode(data).decode()


def drawn(body, width, height):
    return [{"b64_json": b64(png(width, height, number))} for number in range(body.get("n", 1))]


def pixels(size, otherwise):
    found = re.fullmatch(r"(\d+)x(\d+)", size or "")
    return (int(found[1]), int(found[2])) if found else otherwise


def openai(body):
    if "response_format" in body:
        return 400, problem("Unknown parameter: 'response_format'.", code="unknown_parameter")
    if body.get("quality", "auto") not in {"low", "medium", "high", "xhigh", "max", "auto"}:
        return 400, problem("Invalid value for 'quality'.")
    if body.get("size", "auto") != "auto" and not re.fullmatch(r"\d+x\d+", body["size"]):
        return 400, problem("Invalid value for 'size'.")
    answer = {"created": 1_750_000_000, "data": drawn(body, *pixels(body.get("size"), (1024, 1024)))}
    return 200, answer | {"size": "1024x1024", "usage": {"total_tokens": 1}}


def problem(message, code=None):
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}


def localai(body):
    if BUSY in body["prompt"]:
        return 503, {"error": {"code": 503, "message": "model is loading", "type": ""}}
    if REFUSED in body["prompt"]:
        return 500, {"error": {"code": 500, "message": "could not load model: not found", "type": ""}}
    if BROKEN in body["prompt"]:
        return 500, None  # its option of errors without a body
    data = drawn(body, *pixels(body.get("size"), (512, 512)))
    if body.get("response_format") == "b64_json":
        return 200, {"created": 1_750_000_000, "id": "x", "data": [each | {"url": ""} for each in data]}
    return 200, {
        "data": [{"url": f"http://here/generated-images/b6{number}.png"} for number in range(len(data))]
    }


def sdcpp(body):
    if REFUSED in body["prompt"]:
        return 400, {"error": "prompt required"}
    width, height = pixels(body.get("size"), (512, 512))
    return 200, {"created": 1_750_000_000, "data": drawn(body, width, height), "output_format": "png"}


def vllm_omni(body):
    if body.get("response_format", "b64_json") not in {"b64_json", "file"}:
        return 400, {"detail": "response_format must be 'b64_json' or 'file'"}
    if "size" in body and "x" not in body["size"]:
        return 400, {
            "detail": [{"loc": ["body", "size"], "msg": "Invalid size format", "type": "value_error"}]
        }
    return 200, {"created": 1_750_000_000, "data": drawn(body, *pixels(body.get("size"), (1024, 1024)))}


def sglang(body):
    width, height = pixels(body.get("size"), (720, 720))
    seed = body.get("seed", 1024)
    if body.get("response_format", "b64_json") == "b64_json":
        data = [
            {"b64_json": b64(png(width, height, seed % 100 + number))} for number in range(body.get("n", 1))
        ]
    else:
        data = [{"url": f"/v1/images/abc/content?variant={number}"} for number in range(body.get("n", 1))]
    return 200, {"id": "abc", "created": 1_750_000_000, "data": data}


def xinference(body):
    width, height = map(int, re.split(r"[^\d]+", body.get("size", "1024*1024")))
    if body.get("response_format", "url") == "url":
        return 200, {"created": 1_750_000_000, "data": [{"url": "/home/xinference/.xinference/image/x.jpg"}]}
    data = [each | {"url": None} for each in drawn(body, width, height)]
    return 200, {"created": 1_750_000_000, "data": data}


def lemonade(body):
    if body.get("response_format", "b64_json") != "b64_json":
        return 400, {"error": {"message": "only b64_json is supported", "type": "invalid_request_error"}}
    return 200, {"created": 1_750_000_000, "data": drawn(body, *pixels(body.get("size"), (512, 512)))}


RATIOS = {"1:1": (1024, 1024), "16:9": (1344, 756), "3:4": (768, 1024), "2:1": (1408, 704)}


def openrouter(body):
    if REFUSED in body["prompt"]:
        return 402, {
            "error": {"code": 402, "message": "Insufficient credits", "metadata": {"provider_name": None}}
        }
    if BROKEN in body["prompt"]:
        return 200, {"error": {"code": 502, "message": "Provider returned error"}}
    if {"response_format", "quality"} & set(body) or {"size", "aspect_ratio"} <= set(body):
        return 400, {"error": {"code": 400, "message": "conflicting values"}}
    width, height = RATIOS.get(body.get("aspect_ratio"), pixels(body.get("size"), (1024, 1024)))
    data = [each | {"media_type": "image/png"} for each in drawn(body, width, height)]
    return 200, {"created": 1_750_000_000, "data": data, "usage": {"cost": 0.04}}


def xai(body):
    for name in ("size", "quality"):
        if name in body:
            return 400, {
                "code": "Client specified an invalid argument",
                "error": f"Argument not supported: {name}",
            }
    return 200, {"data": drawn(body, *RATIOS[body.get("aspect_ratio", "1:1")])}


def square(body):
    return 200, {"created": 1_750_000_000, "data": drawn(body, 512, 512)}


SERVERS = {
    "openai": openai,
    "localai": localai,
    "sdcpp": sdcpp,
    "vllm-omni": vllm_omni,
    "sglang": sglang,
    "xinference": xinference,
    "lemonade": lemonade,
    "openrouter": openrouter,
    "xai": xai,
}


@dataclass
class App:
    """A server around one of them, which remembers what it was sent; `app` goes on a port."""

    answer: object
    bodies: list = field(default_factory=list)
    keys: list = field(default_factory=list)
    fetched: list = field(default_factory=list)

    @property
    def app(self):
        routes = [
            Route(f"/v1{path}", self.make, methods=["POST"]) for path in ("/images", "/images/generations")
        ]
        listed = [Route(f"/v1{path}", self.models) for path in ("/models", "/images/models")]
        picture = Route("/{path:path}", self.picture)
        return Starlette(routes=[*routes, *listed, picture])

    async def make(self, request):
        body = await request.json()
        self.bodies.append(body)
        self.keys.append(request.headers.get("authorization"))
        status, answer = self.answer(body)
        if answer is None:
            return Response(status_code=status)
        if isinstance(answer, str):
            return PlainTextResponse(answer, status)
        return JSONResponse(_here(answer, str(request.base_url)), status)

    async def models(self, request):
        self.keys.append(request.headers.get("authorization"))
        return JSONResponse({"object": "list", "data": [{"id": "sd-turbo", "object": "model"}]})

    async def picture(self, request):
        self.fetched.append(request.url.path)
        self.keys.append(request.headers.get("authorization"))
        if request.url.path.startswith("/home"):
            return JSONResponse({"detail": "Not Found"}, 404)
        return Response(png(64, 36), media_type="image/png")


def _here(answer, base):
    if isinstance(answer, dict):
        return {name: _here(value, base) for name, value in answer.items()}
    if isinstance(answer, list):
        return [_here(each, base) for each in answer]
    return answer.replace("http://here/", base) if isinstance(answer, str) else answer
