"""`{{name}}` in a prompt, and nothing else: every other character goes through as it was typed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from beluga_nb.errors import UnknownNameError
from beluga_nb.hints import Code, Hint
from beluga_nb.text import sanitize

PLACEHOLDER = r"\{\{\s*[^\W\d]\w*\s*\}\}"
"""The pattern of a `{{name}}`."""

_PLACEHOLDER = re.compile(PLACEHOLDER)
_IN_BRACES = re.compile(r"\{\{\s*[^{}\s][^{}]{0,80}\}\}|\{[^{}\n]{1,80}\}")


@lru_cache(maxsize=100)
def names(prompt: str) -> tuple[str, ...]:
    """Return the names that a prompt asks to be filled, in order, each once.

    >>> names('a {{animal}} in {{ style }}, {"json": 1}')
    ('animal', 'style')
    """
    return tuple(dict.fromkeys(map(_name, _PLACEHOLDER.findall(prompt))))


def used(prompt: str, values: Mapping[str, object]) -> dict[str, str]:
    """Return what `filled` puts in, for each name of the prompt and no other.

    >>> used("a {{animal}}", {"animal": "fox", "password": "…"})
    {'animal': 'fox'}
    """
    return {name: str(values[name]) for name in names(prompt)}


def filled(prompt: str, values: Mapping[str, object]) -> str:
    """Return the prompt with each `{{name}}` replaced once; raise `UnknownNameError` for one without a value.

    >>> filled("a {{animal}}, 50 % off, {1+1}", {"animal": "fox {{x}}"})
    'a fox {{x}}, 50 % off, {1+1}'
    """
    for name in names(prompt):
        if name not in values:
            known = [known for known in values if not known.startswith("_")]
            raise UnknownNameError(
                "value for",
                f"{{{{{name}}}}}",
                known,
                hint=Hint("Set it first, for example: ", Code(f"{name} = 'red'")),
            )
    return _PLACEHOLDER.sub(lambda match: str(values[_name(match[0])]), prompt)


def not_filled(prompt: str, values: Mapping[str, object]) -> list[str]:
    """Return a remark for each `{name}` that has a value, and one for all `{{expressions}}`: none is filled.

    >>> not_filled("a {animal}, {1}, {{animal}}", {"animal": "fox"})
    ['{animal} is sent as it is; write {{animal}} to fill in its value.']
    >>> print(*not_filled("a {{animal * 2}}", {"animal": "fox"}))
    Sent as typed: {{animal * 2}}. Only a name by itself is filled in.
    Assign what you mean to a variable first (value = …), and write {{value}}.
    """
    found = dict.fromkeys(_IN_BRACES.findall(_PLACEHOLDER.sub("", prompt)))
    expressions = [each for each in found if each.startswith("{{")]
    remarks = [
        f"{each} is sent as it is; write {{{{{name}}}}} to fill in its value."
        for each in found
        if each not in expressions and (name := each.strip("{ }")) in values
    ]
    if expressions:
        remarks.append(
            f"Sent as typed: {sanitize(', '.join(expressions), 90)}. Only a name by itself is filled in.\n"
            "Assign what you mean to a variable first (value = …), and write {{value}}."
        )
    return remarks


def _name(placeholder: str) -> str:
    return placeholder.strip("{}").strip()
