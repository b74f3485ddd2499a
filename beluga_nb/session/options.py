"""What can be asked of one call, as the keyword arguments of `Session.submit` and `Session.plan`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict


class CallOptions(TypedDict, total=False):
    """Options of a call; what each of them means stands at `Session.submit`. None is left out."""

    model: str | None
    endpoint: str | None
    size: str | None
    n: int | None
    quality: str | None
    output_format: str | None
    output_compression: int | None
    take: str | None
    sample: int | None
    mode: str | None
    embed: str | None
    allow_unknown_model: bool
    values: Mapping[str, object] | None
