"""What each command does: ask the session, and return what is to be shown.

Every function takes the session and the command as it was typed. What they return is shown by
`magics/commands.py` in a notebook and by `terminal/cli.py` in a terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from beluga_nb.commands.table import CommandCall
from beluga_nb.commands.usage import EXAMPLES
from beluga_nb.errors import RequestError
from beluga_nb.hints import Code, Hint, Surface, on
from beluga_nb.result import Bundle
from beluga_nb.show.catalogue import models_table, sizes_table
from beluga_nb.show.status import status_bundle
from beluga_nb.show.tables import Column, Kind, table

if TYPE_CHECKING:
    from beluga_nb.result import Result
    from beluga_nb.server.child import Server
    from beluga_nb.session.session import Session
    from beluga_nb.store.runs import History


class Findings(NamedTuple):
    """What a check has found: its report, and the number of problems in it."""

    report: Bundle
    problems: int


def status(session: Session, _: CommandCall) -> Bundle:
    """Return who would answer, where pictures are kept, and what was spent and saved."""
    facts = {name: on(words, Surface.MAGIC) for name, words in session.status().items()}
    return status_bundle(facts, EXAMPLES)


def models(session: Session, call: CommandCall) -> Bundle:
    """Return a table of the models."""
    filters = dict(call.options)  # popped from below
    listing = session.models(filters.pop("search", ""), **filters)
    return models_table(listing, session.settings().prices)


def sizes(_: Session, call: CommandCall) -> Bundle:
    """Return a table of the sizes."""
    return sizes_table(**call.options)


def config(session: Session, call: CommandCall) -> Bundle:
    """Set what is given, and return a table of the settings: those that are named, or all."""
    if call.options:
        session.preferences.set(**{name: _value(text) for name, text in call.options.items()})
    named = {*call.options, *call.words}
    rows = [
        (each.name, _setting_text(each.value), each.place)
        for each in session.preferences.listed()
        if not named or each.name in named
    ]
    return table(rows, (Column("setting", Kind.CODE), Column("value", Kind.LONG), "source"), "Settings")


def _value(text: str) -> object:
    import tomllib  # Lazy import: it is needed only where a setting changes.

    try:
        # As in beluga.toml; a text needs no quotes here.
        return tomllib.loads(f"value = {text}")["value"] if text else None
    except tomllib.TOMLDecodeError:
        return text


def _setting_text(value: object) -> str:
    if value is None or value == {}:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()  # As it is typed in a command and in beluga.toml.
    return f"{value:g}" if isinstance(value, float) else str(value)


def alias(session: Session, call: CommandCall) -> Bundle | str:
    """Set an alias if one is given, and return a table of all."""
    if call.words:
        session.preferences.alias(*call.words, **call.options)
    aliases = session.settings().aliases
    if not aliases:
        return "There are no aliases. For example: %beluga alias poster=-m flux-2.0 -s 3:4"
    rows = [(name, _parts(parts)) for name, parts in aliases.items()]
    return table(rows, (Column("alias", Kind.CODE), "stands for"), "Aliases")


def _parts(parts: Mapping[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in parts.items())


def login(session: Session, call: CommandCall) -> str:
    """Ask for the key, unseen."""
    return f"The key that ends in {session.login(**call.options)} is used from now on."


def last(session: Session, _: CommandCall) -> Result:
    """Return the newest result."""
    return session.last()


def history(session: Session, call: CommandCall) -> History | Result:
    """Return what is recorded, or the result of the run that is named."""
    if not call.words and call.output is None:
        return session.store.history(**call.options)
    if len(call.words) != 1 or call.options:
        raise RequestError(
            "One run can be brought back.", Hint("For example: ", Code("%beluga history -o fox 6611bcbd3494"))
        )
    return session.store.recall(*call.words)


def verify(session: Session, call: CommandCall) -> Findings:
    """Check the store, or what some notebooks show of theirs."""
    from beluga_nb.show.verify import reports_bundle  # Lazy import: few cells check a store.

    reports = session.store.verify(*call.words)
    return Findings(reports_bundle(reports), sum(len(report.problems) for report in reports))


def check(session: Session, call: CommandCall) -> Findings:
    """Run the checks of a study."""
    from beluga_nb.compare.checks import checks  # Lazy import: few commands check a study.

    found = checks(session.grid, *call.words)
    if junit := call.options.get("junit"):
        found.to_junit(junit)
    return Findings(found._repr_mimebundle_(), len(found.failed))


def weight(session: Session, call: CommandCall) -> str:
    """Return what the pictures in notebooks weigh."""
    return (
        "\n".join(map(str, session.store.weigh(*call.words)))
        or "There is no notebook in this folder: name one that is elsewhere."
    )


def forget(session: Session, call: CommandCall) -> str:
    """Remove recordings."""
    return str(session.store.forget(*call.words, **call.options))


def pack(session: Session, call: CommandCall) -> str:
    """Write a notebook and its recordings to a zip."""
    return str(session.store.pack(*call.words, **call.options))


def unpack(session: Session, call: CommandCall) -> str:
    """Put a packed notebook and its recordings into a folder."""
    return str(session.store.unpack(*call.words, **call.options))


def serve(session: Session, call: CommandCall) -> Server | str:
    """Start the server of the image API, or stop it."""
    if call.options.get("stop"):
        return (
            "The server has ended."
            if session.stop_serving()
            else "No server is running. %beluga serve starts one."
        )
    return session.serve(**call.options)


def panel(session: Session, _: CommandCall) -> object:
    """Return the panel."""
    from beluga_nb.widgets.panel import panel  # Lazy import: it needs ipywidgets.

    return panel(session)


def cheatsheet(_: Session, __: CommandCall) -> Bundle:
    """Return the whole kit on one card."""
    from beluga_nb.show.cheatsheet import cheatsheet  # Lazy import: few cells show it.

    return cheatsheet()


def help(_: Session, __: CommandCall) -> Bundle:  # noqa: A001  the command's name
    """Return every option and command."""
    from beluga_nb.show.cheatsheet import help_bundle  # Lazy import, for the same reason.

    return help_bundle()
