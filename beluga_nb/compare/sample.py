"""One picture of a comparison, with where it stands in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from beluga_nb.result import Picture


@dataclass(frozen=True, kw_only=True)
class Sample:
    """A picture and its labels: what each axis says of it, "model" and the like among them.

    `number` tells apart the pictures of one combination, from 0 on.
    """

    labels: Mapping[str, str]
    number: int
    picture: Picture
