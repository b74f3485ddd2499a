"""The contract as an OpenAPI 3.1 document, written from the catalogue and the wire's own tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus

import beluga_nb.catalog as catalog
import beluga_nb.chat as chat
import beluga_nb.wire as wire
from beluga_nb.images import SUFFIXES

Schema = Mapping[str, object]

BODY_ERRORS = (413, 415)
"""Statuses about the body itself, which the contract leaves to HTTP."""

_ID = {"type": "string", "pattern": "^req_[0-9a-f]{32}$"}
_SECONDS = {"type": "string", "pattern": "^[1-9][0-9]*$"}
_HEADERS: Mapping[str, tuple[str, Schema]] = {
    wire.REQUEST_ID_HEADER: ("The number of this answer.", _ID),
    wire.PROCESSING_HEADER: ("Milliseconds that it took.", {"type": "string", "pattern": "^[0-9]+$"}),
    wire.ENGINE_HEADER: ("Who drew the pictures; procedural is a preview.", {"type": "string"}),
    wire.SIZE_HEADER: ("The size that is drawn, and the one asked for.", {"type": "string"}),
    "retry-after": ("Seconds to wait before it is worth sending again.", _SECONDS),
    "x-should-retry": (
        "false where a client must not send again by itself: it may be billed twice.",
        {"const": "false"},
    ),
    "www-authenticate": ("The scheme of the key.", {"const": "Bearer"}),
}

_ALWAYS = {wire.REQUEST_ID_HEADER: True}
"""What every answer has; True for required."""


def document(*, secured: bool) -> dict[str, object]:
    """Return the document; with `secured`, generations need a key."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "BelugAPI images",
            "version": "1",
            "description": "The contract of BelugAPI for pictures, and for questions about them, served"
            " on this machine by beluga_nb.",
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/v1/images/generations": {"post": _generations(secured)},
            f"/v1{chat.PATH}": {"post": _chat(secured)},
            "/v1/models": {"get": _models()},
            "/v1/models/{id}": {"get": _model()},
            "/v1/health": {"get": _health()},
            "/files/{name}": {"get": _file()},
        },
        "components": {
            "schemas": {
                "ImageRequest": _request(),
                "Images": _IMAGES,
                "ChatRequest": _CHAT_REQUEST,
                "ChatCompletion": _CHAT_COMPLETION,
                "Model": _MODEL,
                "Parameter": _PARAMETER,
                "Error": _ERROR,
            },
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "bearerFormat": "bapi_…"}},
        },
    }


# --- operations


def _generations(secured: bool) -> Schema:
    return {
        "operationId": "generateImages",
        "summary": "Generate pictures of a prompt.",
        **_posted(
            "ImageRequest",
            "Images",
            "The pictures.",
            headers=(wire.PROCESSING_HEADER, wire.ENGINE_HEADER, wire.SIZE_HEADER),
            errors=(*wire.ERROR_TYPES, *BODY_ERRORS),
            secured=secured,
        ),
    }


def _chat(secured: bool) -> Schema:
    return {
        "operationId": "createChatCompletion",
        "summary": "Ask about pictures of the built-in painter. No model looks at them.",
        "description": "The server compares the words of the question with what the painter wrote into its"
        f" pictures: 1 to {chat.MOST_IMAGES} of them. Other pictures are refused with 400.",
        **_posted(
            "ChatRequest",
            "ChatCompletion",
            "The answer, or a refusal.",
            headers=(wire.ENGINE_HEADER,),
            errors=(400, 401, 500, *BODY_ERRORS),
            secured=secured,
        ),
    }


def _posted(
    asked: str, answer: str, about: str, *, headers: Sequence[str], errors: Sequence[int], secured: bool
) -> Schema:
    return {
        "security": [{"key": []}] if secured else [],
        "requestBody": {"required": True, "content": _json(_ref(asked))},
        "responses": {
            "200": {
                "description": about,
                "headers": _headers(_ALWAYS | dict.fromkeys(headers, True)),
                "content": _json(_ref(answer)),
            },
            **{str(status): _error(status) for status in sorted(errors)},
        },
    }


def _models() -> Schema:
    listed = _object({"object": {"const": "list"}, "data": {"type": "array", "items": _ref("Model")}})
    return {
        "operationId": "listModels",
        "summary": "List the models; each filter that is given narrows the list.",
        "parameters": [
            _query("category", "What a model makes; all of these make image."),
            _query("provider", "Who makes the model."),
            _query("q", "Words that its id, name and provider hold."),
        ],
        "responses": {"200": _answer("The models.", listed)},
    }


def _model() -> Schema:
    return {
        "operationId": "retrieveModel",
        "summary": "Get one model.",
        "parameters": [_path("id", "The id of a model.")],
        "responses": {"200": _answer("The model.", _ref("Model")), "404": _error(404)},
    }


def _health() -> Schema:
    return {
        "operationId": "health",
        "summary": "Say that the server is alive.",
        "responses": {"200": _answer("It is.", _object({"status": {"const": "ok"}}))},
    }


def _file() -> Schema:
    kinds = (*SUFFIXES, "application/octet-stream")
    content: Schema = {kind: {} for kind in kinds}
    return {
        "operationId": "getFile",
        "summary": "Get the picture behind a url of an answer, for 60 minutes.",
        "parameters": [_path("name", "The last part of the url.")],
        "responses": {
            "200": {"description": "The picture.", "headers": _headers(_ALWAYS), "content": content},
            "404": _error(404),
        },
    }


# --- requests


def _request() -> Schema:
    takes = [(model.id, catalog.supported_parameters(model)) for model in catalog.models()]
    first = takes[0][1]
    # What all models take alike is written once; the rest stands in `anyOf`.
    shared = {name for name in first if all(each[name] == first[name] for _, each in takes)}
    return {
        "type": "object",
        "description": "Null means not set, and keys that are not listed here are accepted.",
        "required": ["model", "prompt"],
        "properties": {
            "model": {"type": "string", "enum": [model for model, _ in takes]},
            **{name: _schema(first[name], required=name == "prompt") for name in first if name in shared},
            **{name: _schema(each) for name, each in catalog.EXTENSIONS.items()},
        },
        "additionalProperties": True,
        "anyOf": [
            {
                "properties": {
                    "model": {"enum": [model for model, other in takes if other == each]},
                    **{name: _schema(each[name]) for name in each if name not in shared},
                }
            }
            for number, (_, each) in enumerate(takes)
            if each not in [other for _, other in takes[:number]]
        ],
    }


def _schema(parameter: catalog.Parameter, *, required: bool = False) -> Schema:
    schema: dict[str, object]
    match parameter:
        case catalog.Sizes():
            words = [*parameter.values, *parameter.also, None]
            schema = {"anyOf": [{"enum": words}, {"type": "string", "pattern": f"^{catalog.PIXELS}$"}]}
        case catalog.Enum():
            schema = {"enum": [*parameter.values, *parameter.also, None]}
        case catalog.Range():
            schema = {"type": ["integer", "null"], "minimum": parameter.least, "maximum": parameter.most}
        case catalog.Text():
            schema = {
                "type": "string" if required else ["string", "null"],
                "maxLength": parameter.longest,
                "pattern": None if parameter.blank else r"\S",
            }
    schema |= {"description": parameter.about, "default": parameter.default}
    return {name: value for name, value in schema.items() if value is not None}


_PART = {
    "oneOf": [
        {
            "type": "object",
            "required": ["type", "text"],
            "properties": {"type": {"const": "text"}, "text": {"type": "string"}},
        },
        {
            "type": "object",
            "required": ["type", "image_url"],
            "properties": {
                "type": {"const": "image_url"},
                "image_url": {
                    "type": "object",
                    "required": ["url"],
                    "properties": {
                        "url": {
                            "type": "string",
                            "pattern": f"^data:({'|'.join(SUFFIXES)});base64,",
                            "description": "The picture itself: nothing is fetched.",
                        }
                    },
                },
            },
        },
    ]
}
_CHAT_REQUEST = {
    "type": "object",
    "description": "Keys that are not listed here are accepted.",
    "required": ["model", "messages"],
    "properties": {
        "model": {"type": "string", "description": "Any name; it is repeated in the answer."},
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "required": ["content"],
                "properties": {
                    "role": {"type": "string"},
                    "content": {"anyOf": [{"type": "string"}, {"type": "array", "items": _PART}]},
                },
            },
        },
        "response_format": {
            "type": ["object", "null"],
            "description": "With a JSON Schema of an object with a reason and a verdict, which has an enum,"
            " or a minimum and a maximum, the answer is such an object. Else it is a sentence.",
            "properties": {
                "json_schema": {
                    "type": "object",
                    "required": ["schema"],
                    "properties": {"schema": {"type": "object"}},
                }
            },
        },
    },
    "additionalProperties": True,
}


# --- responses


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(properties: Schema, **more: object) -> dict[str, object]:
    return {"type": "object", "properties": properties, "required": [*properties], **more}


_WORD = {"type": ["string", "null"]}
_ERROR = _object(
    {
        "error": _object(
            {"message": {"type": "string"}, "type": {"type": "string"}, "code": _WORD, "param": _WORD},
            additionalProperties=False,
        )
    },
    additionalProperties=False,
)

_REVISED: Schema = {"revised_prompt": {"type": "string"}}
_IMAGES = _object(
    {
        "created": {"type": "integer", "description": "Unix time in seconds."},
        "data": {
            "type": "array",
            "items": {
                "oneOf": [
                    _object({"url": {"type": "string", "format": "uri"}}),
                    _object({"b64_json": {"type": "string", "contentEncoding": "base64"}}),
                ],
                "properties": _REVISED,
            },
        },
    }
)

_CHAT_COMPLETION = _object(
    {
        "id": {"type": "string", "pattern": "^chatcmpl-[0-9a-f]{24}$"},
        "object": {"const": "chat.completion"},
        "created": {"type": "integer", "description": "Unix time in seconds."},
        "model": {"type": "string"},
        "choices": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": _object(
                {
                    "index": {"const": 0},
                    "message": _object(
                        {"role": {"const": "assistant"}, "content": _WORD, "refusal": _WORD},
                    ),
                    "finish_reason": {"const": "stop"},
                }
            ),
        },
    }
)

_PARAMETER = {
    "description": "What a parameter takes; one that a model does not list, it does not take.",
    "oneOf": [
        _object({"type": {"const": "enum"}, "values": {"type": "array", "items": {"type": "string"}}}),
        _object({"type": {"const": "range"}, "min": {"type": "integer"}}),
        _object({"type": {"const": "string"}}),
    ],
}
_MODEL = _object(
    {
        "id": {"type": "string"},
        "object": {"const": "model"},
        "created": {"type": "integer"},
        "owned_by": {"type": "string"},
        "name": {"type": "string"},
        "supported_parameters": {"type": "object", "additionalProperties": _ref("Parameter")},
    }
)


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}


def _answer(about: str, schema: Schema) -> Schema:
    return {"description": about, "headers": _headers(_ALWAYS), "content": _json(schema)}


def _error(status: int) -> Schema:
    headers = _ALWAYS | {
        401: {"www-authenticate": True},
        429: {"retry-after": True},
        503: {"retry-after": False, "x-should-retry": False},
    }.get(status, {"x-should-retry": True} if status in {402, 500, 502, 504} else {})
    return {
        "description": HTTPStatus(status).phrase,
        "headers": _headers(headers),
        "content": _json(_ref("Error")),
    }


def _headers(headers: Mapping[str, bool]) -> Schema:
    return {
        name: {"description": _HEADERS[name][0], "required": required, "schema": _HEADERS[name][1]}
        for name, required in headers.items()
    }


def _query(name: str, about: str) -> Schema:
    return {"name": name, "in": "query", "description": about, "schema": {"type": "string"}}


def _path(name: str, about: str) -> Schema:
    schema = {"type": "string", "minLength": 1}
    return {"name": name, "in": "path", "required": True, "description": about, "schema": schema}
