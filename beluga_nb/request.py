"""The `Request`, validated where it is made."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar
from uuid import uuid4

from beluga_nb.errors import RequestError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.signatures import named_methods
from beluga_nb.text import shown

PROMPT_LIMIT = 32_000
"""Characters of a prompt (API reference: Request parameters)."""


@named_methods
@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request for pictures, with the API's parameters.

    A parameter that is None was not set by the user: the service's own default applies. `output_format` is
    one of `images.FORMATS`, and `output_compression` is how good a JPEG or WebP is to be, from 0 to 100.
    `take` and `sample` never reach the service. A take is a label for "sample it all again", and `sample` is
    the number of the first of the `n` pictures within its take. `idempotency_key` is the id of one call, the
    same however often it is sent. `spool` is the file that its raw answer is written to as it arrives, and
    `deadline` when it must have ended, on the loop's clock, however often it is tried.

    >>> Request(prompt="a red bicycle", model="flux-2.0", size="16:9")
    Request(prompt='a red bicycle', model='flux-2.0', n=1, size='16:9', quality=None, \
output_format=None, output_compression=None, take='', sample=0)
    """

    prompt: str
    model: str
    n: int = 1
    size: str | None = None
    quality: str | None = None
    output_format: str | None = None
    output_compression: int | None = None
    take: str = ""
    sample: int = 0
    operation: ClassVar[str] = "images.generate"
    unit: ClassVar[str] = "picture"  # what is counted, in words
    idempotency_key: str = field(default="", compare=False, repr=False)
    spool: Path | None = field(default=None, compare=False, repr=False)
    deadline: float = field(default=math.inf, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name in ("prompt", "model", "take"):
            check_text(name, getattr(self, name))
        for name in ("size", "quality", "output_format"):
            if getattr(self, name) is not None:
                check_text(name, getattr(self, name))
        _check_prompt_length(self.prompt)
        _check_count("n", self.n, least=1)
        _check_count("sample", self.sample, least=0)
        if not isinstance(self.spool, Path | None):  # a file from outside may set one
            raise RequestError("A request names the file of its own answer.", "Leave spool out.")
        if self.output_compression is not None:
            _check_count("output_compression", self.output_compression, least=0)

    def slice(self, sample: int, n: int = 1) -> Request:
        """Return the request for `n` of these pictures, from `sample` on."""
        return self if (sample, n) == (self.sample, self.n) else replace(self, sample=sample, n=n)

    def as_call(self) -> Request:
        """Return the request with an id of its own, if it has none yet."""
        return self if self.idempotency_key else replace(self, idempotency_key=str(uuid4()))

    @property
    def parameters(self) -> dict[str, str | int]:
        """The parameters that the user set and that each picture depends on, by the API's names."""
        return {name: value for name in _OF_EACH_PICTURE if (value := getattr(self, name)) is not None}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The pictures that it is about, by their SHA-256."""
        return ()

    @property
    def samples(self) -> range:
        """The sample numbers of the pictures."""
        return range(self.sample, self.sample + self.n)


PARAMETERS = tuple(each.name for each in fields(Request) if each.compare)
"""The fields that a caller or a recording may set: all but those of one call alone."""

_OF_EACH_PICTURE = [name for name in PARAMETERS if name not in {"n", "take", "sample"}]


@dataclass(frozen=True, kw_only=True)
class Question(Request):
    """A question about pictures, for a model that looks at them; `n` answers are wanted.

    `prompt` is what is asked, `about` are the pictures by their SHA-256, and `schema` is the JSON Schema of
    an answer. `load` gives the pictures' bytes when they are sent; a question from the journal has none.
    """

    operation: ClassVar[str] = "chat.completions"
    unit: ClassVar[str] = "answer"
    about: tuple[str, ...]
    schema: str
    load: Callable[[], Sequence[bytes]] = field(default=tuple, compare=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_text("schema", self.schema)

    @property
    def parameters(self) -> dict[str, str | int]:
        """The parameters that each answer depends on."""
        return {**super().parameters, "schema": self.schema}

    @property
    def inputs(self) -> tuple[str, ...]:
        """The pictures that it is about, by their SHA-256."""
        return self.about


def request_of(parameters: Mapping[str, Any], inputs: Sequence[str], **fields: Any) -> Request:
    """Return the request, or the question about some `inputs`, that has these `parameters`."""
    given = {name: parameters[name] for name in PARAMETERS if name in parameters} | fields
    if not inputs:
        return Request(**given)
    return Question(**given, about=tuple(inputs), schema=parameters["schema"])


def check_text(name: str, value: object) -> None:
    """Raise `RequestError` for a value that is not text, or holds half of a surrogate pair."""
    if not isinstance(value, str):
        raise RequestError(
            f"The {name} is {shown(value, 60)}, not text.", f"Give {name} as a string.", param=name
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise RequestError(
            f"The {name} holds a broken character at position {error.start} (half of a surrogate pair).",
            "Type or paste it again.",
            param=name,
        ) from None


def _check_prompt_length(prompt: str) -> None:
    length = len(prompt.strip())
    if not length:
        raise RequestError(
            "The prompt is empty.",
            Hint("Describe the picture, for example: ", Remedy("generate")),
            param="prompt",
            code="missing_parameter",
        )
    if length > PROMPT_LIMIT:
        raise RequestError(
            f"The prompt has {length:,} characters.",
            f"At most {PROMPT_LIMIT:,} are possible.",
            param="prompt",
        )


def _check_count(name: str, value: object, *, least: int) -> None:
    # In Python True is an int.
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise RequestError(
            f"{name} is {shown(value, 60)}.",
            f"Give {name} as a whole number from {least} on.",
            param=name,
        )
