"""A key that was typed on a line or in a cell: it is not sent, and is removed from the kernel's history.

The cell itself, the front end's own history and a log of `%logstart` are beyond the kernel's reach.
"""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING

from beluga_nb.errors import RequestError
from beluga_nb.hints import Code, Hint
from beluga_nb.key_check import holds_key
from beluga_nb.session.default import default

if TYPE_CHECKING:
    from IPython.core.history import HistoryManager
    from IPython.core.interactiveshell import InteractiveShell

_ASSIGNED = re.compile(r"(?:key|token|secret|password)\s*=\s*[\"']?", re.IGNORECASE)
_VALUE = re.compile(r"[^\s\"']{8,200}")
_LOGIN = re.compile(r"\s*login((?:\s+\S+)+)\s*", re.IGNORECASE)
_SERVICE = re.compile(r"(?:bapi|sk|pk|rk|xai|fal|gsk|r8|hf|nvapi)[-_]\S*", re.IGNORECASE)
# Random keys hardly ever have seven letters in a row.
_WORD = re.compile(r"[A-Za-z]{7,}")

_INSTEAD = "# This cell held a key, which is not kept."


def check_no_key(shell: InteractiveShell, line: str, cell: str | None) -> None:
    """Raise `RequestError` for a key in a line or cell, before anything is parsed, filled in or sent."""
    default.resources.watch()
    if not (is_key(line) or holds_key(f"{line}\n{cell or ''}")):
        return
    forgotten = _forget(shell)
    raise RequestError(
        "This cell contains a key; it was not sent"
        + (", and the kernel's history does not keep it." if forgotten else "."),
        Hint(
            "Log in with ",
            Code("%beluga login"),
            ", which does not show it. Delete this cell: the notebook holds the key.",
        ),
    )


def is_key(line: str) -> bool:
    """Whether a line holds what was meant as a key, of whatever shape.

    >>> is_key("login s3cr3t-of-mine"), is_key("api_key=abcd1234"), is_key("login page of a bank")
    (True, True, False)
    """
    login = _LOGIN.fullmatch(line)
    words = [each.strip("\"'") for each in (login[1] if login else line).split() if not each.startswith("--")]
    if len(words) == 1 and (_is_random(words[0]) or (login and _is_odd(words[0]))):
        return True
    return any(_is_value(_VALUE.match(line, name.end())) for name in _ASSIGNED.finditer(line))


def _is_value(found: re.Match[str] | None) -> bool:
    return found is not None and _is_numbered(found[0])


def _is_numbered(word: str) -> bool:
    return any(each.isdigit() for each in word) and any(each.isalpha() for each in word)


def _is_odd(word: str) -> bool:
    # For a word after `login`; `login page` is a prompt.
    return _SERVICE.fullmatch(word) is not None or (len(word) >= 8 and not word.isalpha())


def _is_random(word: str) -> bool:
    # For a word alone; some prompts are one long word, or several that are joined by hyphens.
    enough = 8 if _SERVICE.fullmatch(word) else 24
    return _is_numbered(word) and word.isascii() and len(word) >= enough and not _WORD.search(word)


def _forget(shell: InteractiveShell) -> bool:
    """Remove the running cell from the history; return whether all of it could be removed."""
    history = shell.history_manager
    if history is None or not history.input_hist_raw:
        return False
    typed = history.input_hist_raw[-1]
    history.input_hist_raw[-1] = history.input_hist_parsed[-1] = history._i00 = _INSTEAD
    names = [name for name, value in shell.user_ns.items() if name.startswith("_i") and value == typed]
    shell.user_ns.update(dict.fromkeys(names, _INSTEAD))
    try:
        _forget_on_disk(history, typed)
    except Exception:  # IPython's database may be locked, missing, or open in another thread.
        return False
    return True


def _forget_on_disk(history: HistoryManager, typed: str) -> None:
    with getattr(history, "db_input_cache_lock", contextlib.nullcontext()):  # Shared with a writing thread.
        history.db_input_cache = [
            (number, _INSTEAD, _INSTEAD) if raw == typed else (number, source, raw)
            for number, source, raw in history.db_input_cache
        ]
        if history.enabled:
            with history.db:
                history.db.execute("PRAGMA secure_delete = ON")
                history.db.execute(
                    "UPDATE history SET source = ?, source_raw = ? WHERE session = ? AND source_raw = ?",
                    (_INSTEAD, _INSTEAD, history.session_number, typed),
                )
