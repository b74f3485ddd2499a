"""`{red|blue}` in a prompt, by the library that made this syntax known: only where someone asks for it.

It changes ordinary text without a word (`#ff8800` is a comment, `{name}` loses its braces) and has no escape,
so that whatever it would damage is an error here.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterable, Iterator

from beluga_nb.errors import BelugaError, RequestError
from beluga_nb.hints import Code, Hint, Remedy
from beluga_nb.signatures import named_arguments
from beluga_nb.text import in_order, sanitize

MOST_PROMPTS = 10_000
"""Prompts of a template, fewer than cells of a grid: the library of templates takes longer for each."""

_SPECIAL = re.compile(r"[#$%_]{2}|[#$]")
_LITERALLY = "Write the prompt with {{name}} and axes: there, everything else is literal."


@named_arguments
def expand(template: str, *, sample: int | None = None, seed: int | None = None) -> list[str]:
    """Return the prompts that a template of `dynamicprompts` stands for: all, or a `sample` drawn by `seed`.

    Needs `beluga_nb[dynamicprompts]`. Raises `RequestError` for text that this syntax would change, and where
    there are more than 10,000.

    >>> expand("a {red|blue} fox")
    ['a red fox', 'a blue fox']
    """
    pieces = list(_pieces(template))
    if special := _SPECIAL.search(template):
        raise RequestError(
            f"'{special[0]}' means something in this syntax, and cannot be escaped.", _LITERALLY
        )
    if sample is not None and seed is None:
        raise RequestError(
            "A random sample has no seed.",
            Hint("Give one, such as ", Remedy("seed", "1"), ", so that it comes again."),
        )
    found = _generated(template, sample, seed)
    if len(found) > MOST_PROMPTS:
        raise RequestError(
            f"There are more than {MOST_PROMPTS:,} prompts.", "Take a sample of them: sample=, seed=."
        )
    for prompt in found:
        if not in_order(prompt, pieces):
            raise RequestError(
                f"This syntax would change the prompt to “{sanitize(prompt, 80)}”.", _LITERALLY
            )
    return found


def _generated(template: str, sample: int | None, seed: int | None) -> list[str]:
    try:
        from dynamicprompts.generators import CombinatorialPromptGenerator, RandomPromptGenerator
    except ImportError:
        raise BelugaError(
            "This syntax needs dynamicprompts, which is not installed.",
            Hint(Code("pip install 'beluga_nb[dynamicprompts]'")),
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of its parser's library, about itself
            generated: Iterable[str] = (
                CombinatorialPromptGenerator().generate(template, MOST_PROMPTS + 1)
                if sample is None
                else RandomPromptGenerator(seed=seed).generate(template, sample)
            )
            return [str(prompt) for prompt in itertools.islice(generated, MOST_PROMPTS + 1)]
    except Exception as error:  # its parser raises whatever it likes
        raise RequestError(
            f"The prompt is not a valid template: {sanitize(str(error), 120)}.", _LITERALLY
        ) from None


def _pieces(template: str) -> Iterator[str]:
    """Yield the text between the outermost braces; raise `RequestError` for braces without a choice."""
    depth, start = 0, 0
    for place, sign in enumerate(template):
        if sign == "{":
            if not depth:
                yield template[start:place]
                start = place
            depth += 1
        elif sign == "}":
            depth -= 1
            if depth < 0:
                break
            if not depth:
                if "|" not in template[start:place]:
                    words = sanitize(template[start : place + 1], 60)
                    raise RequestError(f"'{words}' is not a choice, and would lose its braces.", _LITERALLY)
                start = place + 1
    if depth:
        raise RequestError("The braces of the prompt do not match.", _LITERALLY)
    yield template[start:]
