"""What each command does: ask the session, show the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from beluga_nb.errors import RequestError, StoreError
from beluga_nb.magics.grammar import EXAMPLES, help_text
from beluga_nb.magics.parse import Call
from beluga_nb.magics.shown import display, kept, say, shown
from beluga_nb.result import Result
from beluga_nb.session import default
from beluga_nb.show.catalogue import models_table, sizes_table
from beluga_nb.show.markup import status_lines, table

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def run(shell: InteractiveShell, call: Call) -> object:
    """Do what a command asks for, and return what it gives, if anything."""
    return _COMMANDS[call.command or "status"](shell, call)


def _status(_: InteractiveShell, __: Call) -> None:
    display(status_lines(default.status(), EXAMPLES), raw=True)


def _models(_: InteractiveShell, call: Call) -> None:
    said = dict(call.said)
    display(models_table(default.models(said.pop("search", ""), **said)), raw=True)


def _sizes(_: InteractiveShell, call: Call) -> None:
    display(sizes_table(**call.said), raw=True)


def _config(_: InteractiveShell, call: Call) -> None:
    if call.said:
        default.preferences.set(**{name: _value(text) for name, text in call.said.items()})
    asked = {*call.said, *call.words}
    listed = [each for each in default.preferences.listed() if not asked or each.name in asked]
    display(table([(each.name, _spelt(each.value), each.place) for each in listed], _PLACES), raw=True)


_PLACES = ("setting", "value", "said by")


def _value(text: str) -> object:
    import tomllib  # in its place: who changes no setting waits for no parser

    try:
        return tomllib.loads(f"value = {text}")["value"] if text else None
    except tomllib.TOMLDecodeError:
        return text


def _spelt(value: object) -> str:
    if value is None or value == {}:
        return "none"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _alias(_: InteractiveShell, call: Call) -> None:
    if call.words:
        default.preferences.alias(call.words[0], **call.said)
    aliases = default.settings().aliases
    rows = [
        (name, ", ".join(f"{part} {value}" for part, value in said.items())) for name, said in aliases.items()
    ]
    if rows:
        display(table(rows, ("alias", "stands for")), raw=True)
    else:
        say("There are no aliases. For example: %beluga alias poster=-m flux-2.0 -s 3:4")


def _login(_: InteractiveShell, call: Call) -> None:
    say(f"The key that ends in {default.login(**call.said)} is used from now on.")


def _last(shell: InteractiveShell, call: Call) -> Result:
    return shown(kept(call, default.last(), shell.user_ns))


def _opened(shell: InteractiveShell, call: Call) -> Result:
    from beluga_nb.show.recipe import cell_of  # in its place: no other cell reads files

    result = default.open(_one(call))
    shell.set_next_input(cell_of(result))
    return shown(result)


def _recorded(shell: InteractiveShell, call: Call) -> object:
    if not call.words and call.output is None:
        return shown(default.store.history(**call.said))
    if len(call.words) != 1 or call.said:
        raise RequestError("One run can be brought back.", "For example: %beluga history -o fox 6611bcbd3494")
    return shown(kept(call, default.store.recall(call.words[0]), shell.user_ns))


def _verified(_: InteractiveShell, call: Call) -> None:
    reports = default.store.verify(*call.words)
    say("\n".join(map(str, reports)))
    if problems := sum(len(report.problems) for report in reports):
        raise StoreError(f"Problems: {problems}, listed above.", "Nothing was changed.")


def _weighed(_: InteractiveShell, call: Call) -> None:
    say("\n".join(map(str, default.store.weigh(*call.words))) or "There is no notebook in this folder.")


def _forgotten(_: InteractiveShell, call: Call) -> None:
    say(default.store.forget(*call.words, **call.said))


def _packed(_: InteractiveShell, call: Call) -> None:
    say(default.store.pack(_one(call), **call.said))


def _unpacked(_: InteractiveShell, call: Call) -> None:
    say(default.store.unpack(_one(call), **call.said))


def _served(_: InteractiveShell, call: Call) -> object:
    if call.said.pop("stop", False):
        say("The server has ended." if default.stop_serving() else "No server is running.")
        return None
    return shown(default.serve(**call.said))


def _panel(_: InteractiveShell, __: Call) -> object:
    from beluga_nb.widgets.panel import panel  # Lazy import: few cells need widgets.

    return shown(panel(default))


def _cheatsheet(_: InteractiveShell, __: Call) -> None:
    from beluga_nb.show.cheatsheet import cheatsheet  # in its place, as above

    display(cheatsheet(), raw=True)


def _help(_: InteractiveShell, __: Call) -> None:
    say(help_text())


def _one(call: Call) -> str:
    if len(call.words) != 1:
        raise RequestError(f"%beluga {call.command} takes one file.", "%beluga --help shows how it is named.")
    return call.words[0]


_COMMANDS: dict[str, Callable[[InteractiveShell, Call], object]] = {
    "status": _status,
    "models": _models,
    "sizes": _sizes,
    "config": _config,
    "alias": _alias,
    "login": _login,
    "last": _last,
    "open": _opened,
    "history": _recorded,
    "verify": _verified,
    "weight": _weighed,
    "forget": _forgotten,
    "pack": _packed,
    "unpack": _unpacked,
    "serve": _served,
    "panel": _panel,
    "cheatsheet": _cheatsheet,
    "help": _help,
}
