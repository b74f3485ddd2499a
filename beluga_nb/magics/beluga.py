"""The magic itself: parse, call, show; decisions live elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.display import display

from beluga_nb.core import Bundle, Incomplete, Result
from beluga_nb.errors import RequestError
from beluga_nb.magics.fate import thrown_away
from beluga_nb.magics.parse import EXAMPLES, Call, help_text, parse
from beluga_nb.session import default
from beluga_nb.show.catalogue import models_table, sizes_table
from beluga_nb.show.markup import status_lines

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def answer(shell: InteractiveShell, line: str, cell: str | None, local_ns: Mapping[str, object]) -> object:
    """Do what a line or cell asks for; return what it gives, which IPython shows if it is the last line."""
    call = parse(line, cell)
    if call.help:
        print(help_text())
    elif call.command == "serve":
        return _served(**call.said)
    elif call.command == "open":
        return _opened(shell, call.file)
    elif call.command is not None:
        _display(_told(call.command), raw=True)
    else:
        return _generated(call, shell.user_ns, local_ns)
    return None


def _told(command: str) -> Bundle:
    tables = {"models": models_table, "sizes": sizes_table}
    return tables[command]() if command else status_lines(default.status(), EXAMPLES)


def _served(*, stop: bool = False, port: int | None = None) -> object:
    if stop:
        print("The server has ended." if default.stop_serving() else "No server is running.")
        return None
    server = default.serve(port=port)
    if thrown_away(inspect.currentframe()):
        _display(server)
    return server


def _opened(shell: InteractiveShell, file: str) -> Result:
    result = default.open(Path(file).expanduser())
    shell.set_next_input(_cell(result))
    if thrown_away(inspect.currentframe()):
        _display(result)
    return result


def _cell(result: Result) -> str:
    try:
        return result.to_magic()
    except RequestError:  # what only Python can say
        return f"import beluga_nb\n\n{result.to_python()}"


def _generated(call: Call, names: dict[str, object], local_ns: Mapping[str, object]) -> Result:
    try:
        values = None if call.raw else {**names, **local_ns}
        result = default.generate(call.prompt, values=values, **call.options)
    except Incomplete as error:
        _display(_kept(call, error.result, names))
        raise
    _kept(call, result, names)
    if thrown_away(inspect.currentframe()):
        _display(result)
    return result


def _kept(call: Call, result: Result, names: dict[str, object]) -> Result:
    if call.output:
        names[call.output] = result
    return result


def _display(thing: object, *, raw: bool = False) -> None:
    display(thing, raw=raw)  # type: ignore[no-untyped-call]  # IPython's own
