"""What servers that speak OpenAI's Images API, or nearly so, expect: a request becomes a body.

Pure functions around `wire`, which differ by data alone. HTTP and reading answers are the same for all.

`Dialect.source` names the server's own code or documentation that was read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

import beluga_nb.catalog as catalog
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.request import Request
from beluga_nb.wire import request_to_json

_AS_TYPED = {word: word for word in (*catalog.QUALITIES, *catalog.OPENAI_QUALITIES)}
_OPENAI = _AS_TYPED | {"standard": "medium", "hd": "high"}
_FORMATS = ("output_format", "output_compression")


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """What a kind of server expects; `source` is where that is documented.

    `size` is how it takes one: "label" as it is, "pixels" joined by `times`, or "ratio", as `aspect_ratio`,
    one of `labels`, beside which it takes pixels as `size` if `pixels_too`; where `auto` is no word to it
    it gets none. `qualities` are its words for ours; without any it takes none. `response_formats` are
    those it can be asked for, the surest first; without any the parameter is not sent. `takes` are other
    parameters that it knows. `seed`: without one it draws the same picture each time. `signs` in a prompt
    mean something to it. `service` is the base URL of the one service that uses it, whose key is in
    `variable`. `timeout` is in seconds.
    """

    name: str
    source: str
    path: str = "/images/generations"
    models: str = "/models"
    size: str = "pixels"
    times: str = "x"
    labels: tuple[str, ...] = ()
    pixels_too: bool = False
    auto: bool = False
    qualities: Mapping[str, str] = field(default_factory=dict, hash=False)
    response_formats: tuple[str, ...] = ("b64_json",)
    takes: tuple[str, ...] = ()
    seed: bool = False
    signs: Mapping[str, str] = field(default_factory=dict, hash=False)
    service: str = ""
    variable: str = ""
    timeout: float | None = None

    def body(self, request: Request, *, response_format: str, extensions: bool = False) -> dict[str, object]:
        """Return the body of the POST; raise `RequestError` for a size that it has not."""
        formats = self.response_formats
        wanted = response_format if response_format in formats else next(iter(formats), "")
        body = request_to_json(request, response_format=wanted, extensions=extensions)
        if self is BELUGA:
            return body
        for name in ("size", "quality", *_FORMATS):
            body.pop(name, None)
        if not wanted:
            del body["response_format"]
        if request.quality in self.qualities:
            body["quality"] = self.qualities[str(request.quality)]
        body |= {name: value for name, value in request.parameters.items() if name in self.takes}
        return body | self._size(request) | ({"seed": _seed(request)} if self.seed else {})

    def remarks(self, request: Request) -> list[str]:
        """Say in words, before it is sent, where something else is asked for than what was typed."""
        if self is BELUGA:
            return []
        left = [name for name in _FORMATS if name in request.parameters and name not in self.takes]
        left += ["quality"] if request.quality and request.quality not in self.qualities else []
        notes = [f"{self.name} takes no {name}: {request.parameters[name]} is not sent." for name in left]
        word = self.qualities.get(request.quality or "", request.quality)
        if word != request.quality:
            notes.append(f"quality {request.quality} is asked for as {word}, {self.name}'s word.")
        if (label := self._size(request).get("aspect_ratio")) and label != request.size:
            notes.append(f"size {request.size} is asked for as {label}, the nearest that {self.name} has.")
        return notes + [words for sign, words in self.signs.items() if sign in request.prompt]

    def _size(self, request: Request) -> dict[str, str]:
        size = request.size
        if size is None or (size == catalog.AUTO and not self.auto):
            return {}  # the server's own default
        label = size in catalog.labels() or size == catalog.AUTO
        if self.size == "ratio" and (label or not self.pixels_too):
            return {"aspect_ratio": self._label(size)}
        pixels = "x".join(map(str, catalog.pixels(size))) if size in catalog.labels() else size
        return {"size": pixels.replace("x", self.times)}

    def _label(self, size: str) -> str:
        if size == catalog.AUTO or size in self.labels:
            return size
        if size in catalog.labels():
            raise RequestError(
                f"{self.name} has no size '{size}'.",
                f"It takes {', '.join(self.labels)} or auto.",
                param="size",
            )
        width, height = map(int, size.split("x"))
        return catalog.label_of(width, height, self.labels)


def _seed(request: Request) -> int:
    text = f"{request.take}\n{request.sample}".encode()
    # 31 bits: some servers read a seed as a signed number of 32 bits.
    return int.from_bytes(blake2b(text, digest_size=4).digest(), "big") >> 1


BELUGA = Dialect(
    name="beluga", source="BelugAPI's own contract", size="label", response_formats=("b64_json", "url")
)

OPENAI = Dialect(
    name="openai",
    source="openai/openai-python 3.54.0, types/image_generate_params.py; openai/openai-openapi @ f85dbe2",
    auto=True,
    qualities=_OPENAI,
    response_formats=(),  # GPT image models always answer with base64, and refuse to be asked for it
    takes=_FORMATS,
    service="https://api.openai.com/v1",
    variable="OPENAI_API_KEY",
)

LOCALAI = Dialect(
    name="localai",
    source="mudler/LocalAI @ 82c191a, core/http/endpoints/openai/image.go",
    response_formats=("b64_json", "url"),
    signs={"|": "LocalAI reads what follows | in a prompt as what the picture shall not show."},
)

SDCPP = Dialect(
    name="sdcpp",
    source="leejet/stable-diffusion.cpp @ 97d2990, examples/server/routes_openai.cpp",
    takes=("output_format",),
    signs={"<sd_cpp_extra_args>": "stable-diffusion.cpp reads <sd_cpp_extra_args> in a prompt as options."},
)

VLLM_OMNI = Dialect(
    name="vllm-omni",
    source="vllm-project/vllm-omni, docs/serving/image_generation_api.md: url is refused",
    takes=("output_format",),
)

SGLANG = Dialect(
    name="sglang",
    source="sgl-project/sglang, python/sglang/multimodal_gen/runtime/entrypoints/openai/image_api.py",
    takes=("output_format",),
    seed=True,  # older versions default to 1024
)

XINFERENCE = Dialect(
    name="xinference",
    source="xorbitsai/inference, xinference/api/schemas/requests.py: a url is a path on the server",
    times="*",
)

LEMONADE = Dialect(
    name="lemonade",
    source="lemonade-sdk/lemonade, docs/api/openai.md: four to five minutes for a picture on a CPU",
    timeout=900,
)

OPENROUTER = Dialect(
    name="openrouter",
    source="openrouter.ai, Image API reference",
    path="/images",
    models="/images/models",
    size="ratio",
    labels=("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "5:4", "4:5", "2:1", "1:2", "21:9", "9:21"),
    pixels_too=True,
    response_formats=(),
    takes=("output_format",),
    service="https://openrouter.ai/api/v1",
    variable="OPENROUTER_API_KEY",
)

LITELLM = Dialect(
    name="litellm",
    source="docs.litellm.ai/docs/image_generation",
    qualities=_AS_TYPED,
    response_formats=(),  # an error for some models; both forms are read
    takes=_FORMATS,
)

XAI = Dialect(
    name="xai",
    source="docs.x.ai, image generation: size and quality are errors",
    size="ratio",
    labels=("1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "2:1", "1:2"),
    auto=True,
    response_formats=("b64_json", "url"),
    service="https://api.x.ai/v1",
    variable="XAI_API_KEY",
)

GENERIC = Dialect(
    name="generic",
    source="what nearly all of the others take: pixels and base64",
    qualities=_AS_TYPED,
    response_formats=("b64_json", "url"),
    takes=_FORMATS,
)

DIALECTS = {
    each.name: each
    for each in (
        *(BELUGA, OPENAI, LOCALAI, SDCPP, VLLM_OMNI, SGLANG),
        *(XINFERENCE, LEMONADE, OPENROUTER, LITELLM, XAI, GENERIC),
    )
}
"""All of them, by the names that `beluga.toml` uses."""


def find_dialect(name: str) -> Dialect:
    """Return the dialect of that name; raise `UnknownNameError`, naming the nearest, where there is none."""
    try:
        return DIALECTS[name]
    except KeyError:
        raise UnknownNameError("dialect", name, DIALECTS) from None
