"""A request as the cell or the call that asks for it.

What is written here is read back by `magics/parse.py`, and by Python, as the same request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from beluga_nb.commands.table import OPTIONS
from beluga_nb.errors import RequestError

_WRITTEN = ("model", "size", "n", "quality", "take", "sample")
FLAGS: Mapping[str, str] = {
    name: option.flags[0] for name in _WRITTEN for option in OPTIONS if option.name == name
}
"""The magic's option for each argument that a cell is written with, in that order."""

_WORD = re.compile(r"[\w.:/+-]+")
# Text that would not survive in a cell: IPython removes prompts that were pasted with code and the blanks of
# lines that hold nothing else, and frontends change line ends and control characters.
_CHANGED = re.compile(
    r"^[^\S\n]+$|^[^\S\n]*(?:>>>|\.{3}|(?:\[(?:nav|ins)\] )?In \[)"
    r"|[^\t\n\x20-\x7e\xa0-\u2027\u202a-\U0010ffff]",
    re.M,
)


def magic(prompt: str, arguments: Mapping[str, object]) -> str:
    """Return a `%%beluga` cell; raise `RequestError` for an argument that the magic has no option for.

    >>> print(magic("a fox", {"model": "flux-2.0", "n": 2}))
    %%beluga -m flux-2.0 -n 2
    a fox
    """
    for name in arguments:
        if name not in FLAGS:
            raise RequestError(
                f"%%beluga has no option for {name}.", "Python has: to_python() gives the call.", param=name
            )
    values = {flag: str(arguments[name]) for name, flag in FLAGS.items() if name in arguments}
    options = [f"{flag} {_quoted(value)}" for flag, value in values.items()]
    if any("{{" in each for each in (prompt, *values.values())):
        options.append("--raw")  # braces that are left are meant literally
    line = " ".join(options)
    body = f"{prompt}\n"
    if "\n" in line or _CHANGED.search(line) or _CHANGED.search(prompt):
        return f"get_ipython().run_cell_magic('beluga', {line!r}, {body!r})"
    # The last newline of a cell is no part of the prompt, so it is written only where the prompt has one too.
    return f"%%beluga {line}\n{body if prompt.endswith(chr(10)) else prompt}"


def comparison(prompt: str, axes: Mapping[str, Sequence[str]], arguments: Mapping[str, object]) -> str:
    """Return the `%%beluga compare` cell of a grid; raise `RequestError` where a cell cannot ask for it.

    >>> print(comparison("a {{animal}}", {"animal": ["fox", "sea lion"], "size": ["1:1", "16:9"]}, {"n": 2}))
    %%beluga compare --axis animal=fox,"sea lion" -s 1:1,16:9 -n 2
    a {{animal}}
    """
    values = {name: ",".join(map(_quoted, each)) for name, each in axes.items()}
    own = {name: _quoted(str(arguments[name])) for name in FLAGS if name in arguments}
    options = [
        f"{FLAGS[name]} {each}" if name in FLAGS else f"--axis {name}={each}" for name, each in values.items()
    ]
    line = " ".join([*options, *(f"{FLAGS[name]} {each}" for name, each in own.items())])
    if (
        "{{" in line
        or "\n" in line
        or _CHANGED.search(line + prompt)
        or any(each.strip() == "---" for each in prompt.splitlines())
    ):
        raise RequestError("A cell cannot ask for this grid.", "Python can: beluga_nb.grid().")
    return f"%%beluga compare {line}\n{prompt}"


def _quoted(value: str) -> str:
    if _WORD.fullmatch(value):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def call(prompt: str, arguments: Mapping[str, object]) -> str:
    """Return a call of `beluga_nb.generate`.

    >>> print(call("a fox", {"model": "flux-2.0", "n": 2}))
    beluga_nb.generate(
        'a fox',
        model='flux-2.0',
        n=2,
    )
    """
    lines = [repr(prompt), *(f"{name}={value!r}" for name, value in arguments.items())]
    return "\n".join(["beluga_nb.generate(", *(f"    {line}," for line in lines), ")"])
