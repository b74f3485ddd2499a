"""Text as HTML: escaped text from outside, and a picture in words.

Untrusted notebooks are sanitized, so the HTML has inline styles and inherited colours, and no link or class.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Protocol

import pybase64

import beluga_nb.money as money
from beluga_nb.result import MissingPicture, Preview, Recipe
from beluga_nb.text import LONGEST_OUTSIDE_TEXT, duration, printable, sanitize

LOCAL_PREVIEW = "local preview, not model output"
ACCOUNT = "procedural preview · "
"""What the painter's revised prompt begins with: after it stand the words it drew, and those it ignored."""
LONGEST_ACCOUNT = 400

NOT_HERE = "the original is not here: git lfs pull"

_TENTHS_BELOW = 10  # seconds; longer times are rounded

LONGEST_ADDRESS = 4000
"""Characters of an address."""


class Described(Protocol):
    """What captions and text alternatives need of a picture."""

    @property
    def recipe(self) -> Recipe: ...
    @property
    def size(self) -> tuple[int, int]: ...
    @property
    def sha256(self) -> str: ...


def outside(text: str, longest: int = LONGEST_OUTSIDE_TEXT) -> str:
    """Return text from outside escaped for HTML: between tags, or in the quotes of an attribute.

    >>> outside('<b onclick="x()">\\x1b[31m')
    '&lt;b onclick=&quot;x()&quot;&gt;'
    """
    return escape(sanitize(text, longest))


def address(source: str) -> str:
    """Return a picture's source escaped for an attribute: a data URI, or an address."""
    # Base64 holds no control characters, and sanitizing megabytes of it would be slow.
    return escape(source) if source.startswith("data:") else outside(source, LONGEST_ADDRESS)


def verbatim(text: str) -> str:
    """Return lines of text escaped for an attribute; empty if they hold characters that are never shown.

    >>> verbatim("a fox\\n<in snow>"), verbatim("a\\u202efox")
    ('a fox&#10;&lt;in snow&gt;', '')
    """
    # In Markdown, an empty line would end the HTML.
    return escape(text).replace("\n", "&#10;") if printable(text) == text else ""


def alt(picture: Described) -> str:
    """Return the text alternative: the prompt, and a note on local previews."""
    prompt = sanitize(picture.recipe.request.prompt, 300)
    return f"{prompt} ({LOCAL_PREVIEW})" if picture.recipe.procedural else prompt


def caption(picture: Described) -> str:
    """Return the line under a picture: model, pixels, options, and a note on local previews."""
    return " · ".join(caption_words(picture))


def caption_words(picture: Described) -> list[str]:
    """Return the words of a caption."""
    request = picture.recipe.request
    width, height = picture.size
    words = [sanitize(request.model, 80), f"{width} × {height}"]
    words += [sanitize(request.quality, 40)] if request.quality else []
    words += [f"take {sanitize(request.take, 40)}"] if request.take else []
    words += [LOCAL_PREVIEW] if picture.recipe.procedural else []
    words += [NOT_HERE] if isinstance(picture, MissingPicture) else []
    return words


def account_words(picture: Described) -> list[str]:
    """Return which words of the prompt the built-in painter drew, and which it ignored."""
    account = sanitize(picture.recipe.revised_prompt or "", LONGEST_ACCOUNT)
    if not picture.recipe.procedural or not account.startswith(ACCOUNT):
        return []
    return account.removeprefix(ACCOUNT).split(" · ")


def usage_words(pictures: Iterable[Described]) -> list[str]:
    """Return how long the longest request of some pictures took, and what all of them cost.

    Each is left out unless it is known of every picture: older recordings have neither.
    """
    usages = [picture.recipe.usage for picture in pictures]
    known = [usage for usage in usages if usage]
    if not known or len(known) < len(usages):
        return []
    longest = max(usage.seconds for usage in known)
    seconds = f"{longest:.1f} s" if longest < _TENTHS_BELOW else duration(longest)
    costs = [(usage.cost or "").partition(" ") for usage in known]
    amounts = [amount for number, _, _ in costs if (amount := money.amount(number)) is not None]
    currencies = {currency for _, _, currency in costs}
    if len(amounts) < len(known) or len(currencies) > 1:
        return [seconds]
    return [seconds, sanitize(f"{money.words(money.total(amounts))} {currencies.pop()}", 60)]


def data_uri(shown: Preview) -> str:
    """Return a picture as a data URI."""
    return f"data:{sanitize(shown.media_type, 80)};base64,{base64_of(shown)}"


def base64_of(shown: Preview) -> str:
    """Return the bytes of a picture in base64."""
    return pybase64.b64encode(shown.data).decode()
