"""The magic itself: parse, call, show; decisions live elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from IPython.display import display

from beluga_nb.core import Bundle, Incomplete, Result
from beluga_nb.errors import RequestError, StoreError
from beluga_nb.magics.fate import thrown_away
from beluga_nb.magics.parse import EXAMPLES, Call, Options, help_text, parse
from beluga_nb.session import default
from beluga_nb.show.catalogue import models_table, sizes_table
from beluga_nb.show.markup import status_lines

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

T = TypeVar("T")


def answer(shell: InteractiveShell, line: str, cell: str | None, local_ns: Mapping[str, object]) -> object:
    """Do what a line or cell asks for; return what it gives, which IPython shows if it is the last line."""
    call = parse(line, cell)
    if call.help:
        print(help_text())
    elif call.command == "serve":
        return _served(**call.said)
    elif call.command is not None and call.command in _CARE:
        return _CARE[call.command](call, shell.user_ns)
    elif call.command == "login":
        print(f"The key that ends in {default.login(**call.said)} is used from now on.")
    elif call.command == "open":
        return _opened(shell, call.file)
    elif call.command is not None:
        _display(_told(call.command), raw=True)
    else:
        return _generated(call, shell.user_ns, local_ns)
    return None


def _told(command: str) -> Bundle:
    tables = {"models": models_table, "sizes": sizes_table}
    return tables[command]() if command in tables else status_lines(default.status(), EXAMPLES)


def _served(*, stop: bool = False, port: int | None = None) -> object:
    if stop:
        print("The server has ended." if default.stop_serving() else "No server is running.")
        return None
    return _shown(default.serve(port=port))


def _verified(call: Call, _: dict[str, object]) -> None:
    reports = default.verify(*call.words)
    print("\n".join(map(str, reports)))
    if problems := sum(len(report.problems) for report in reports):
        raise StoreError(f"Problems: {problems}, listed above.", "Nothing was changed.")


def _recorded(call: Call, names: dict[str, object]) -> object:
    if not call.words and call.output is None:
        return _shown(default.history(**call.said))
    if len(call.words) != 1 or call.said:
        raise RequestError("One run can be brought back.", "For example: %beluga history -o fox 6611bcbd3494")
    return _shown(_kept(call, default.recall(call.words[0]), names))


def _forgotten(call: Call, _: dict[str, object]) -> None:
    print(default.forget(*call.words, **call.said))


def _packed(call: Call, _: dict[str, object]) -> None:
    print(default.pack(_one(call), **call.said))


def _unpacked(call: Call, _: dict[str, object]) -> None:
    print(default.unpack(_one(call), **call.said))


_CARE = {
    "verify": _verified,
    "history": _recorded,
    "forget": _forgotten,
    "pack": _packed,
    "unpack": _unpacked,
}


def _one(call: Call) -> str:
    if len(call.words) != 1:
        raise RequestError(f"%beluga {call.command} takes one file.", "%beluga --help shows how it is named.")
    return call.words[0]


def _opened(shell: InteractiveShell, file: str) -> Result:
    from beluga_nb.show.recipe import cell_of  # in its place: no other cell reads files

    result = default.open(Path(file).expanduser())
    shell.set_next_input(cell_of(result))
    return _shown(result)


def _generated(call: Call, names: dict[str, object], local_ns: Mapping[str, object]) -> Result | None:
    values = None if call.raw else {**names, **local_ns}
    if call.dry_run:
        print(default.plan(call.prompt, values=values, **_planned(call.options)))
        return None
    try:
        result = default.generate(call.prompt, values=values, **call.options)
    except Incomplete as error:
        _display(_kept(call, error.result, names))
        raise
    return _shown(_kept(call, result, names))


def _planned(options: Options) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "yes"}


def _kept(call: Call, result: Result, names: dict[str, object]) -> Result:
    if call.output:
        names[call.output] = result
    return result


def _shown(thing: T) -> T:
    """Return what IPython shows as the value of the last line, and show it anywhere else."""
    if thrown_away(inspect.currentframe()):
        _display(thing)
    return thing


def _display(thing: object, *, raw: bool = False) -> None:
    display(thing, raw=raw)  # type: ignore[no-untyped-call]  # IPython's own
