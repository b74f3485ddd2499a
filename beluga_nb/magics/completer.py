"""Our completions, as IPython's completer takes them; what to offer is decided in `complete.py`.

IPython 8.6 and later has matchers that know the whole cell, and take the kind of each completion. Before that
a matcher is given a line; in a kernel the cell stands in the request that it answers.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from IPython.core import completer

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

    from beluga_nb.magics.complete import Offer

_NO_VALUES = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)

_KNOWS_CELLS = hasattr(completer, "context_matcher")


def register(shell: InteractiveShell) -> None:
    """Add our matcher to the shell's completer."""
    matcher = _cell_matcher(shell) if _KNOWS_CELLS else _line_matcher(shell)
    matcher.matcher_identifier = "beluga_nb"
    _matchers(shell).append(matcher)


def unregister(shell: InteractiveShell) -> None:
    """Remove what `register` added."""
    found = _matchers(shell)
    found[:] = [each for each in found if getattr(each, "matcher_identifier", "") != "beluga_nb"]


def _matchers(shell: InteractiveShell) -> list[Any]:
    # If a `magic_arg_matcher` offers something, IPython calls no other matcher, as with `suppress` since 8.6.
    which = "custom_matchers" if _KNOWS_CELLS else "magic_arg_matchers"
    found: list[Any] = getattr(shell.Completer, which)
    return found


def _cell_matcher(shell: InteractiveShell) -> Any:
    def beluga_matcher(context: CompletionContext) -> SimpleMatcherResult:
        line, column = context.line_with_cursor, context.cursor_position
        above = context.full_text.split("\n")[: context.cursor_line]
        found = _offered(shell, "\n".join([*above, line[:column]]), line[column:])
        if found is None:
            return {"completions": []}
        completions = [completer.SimpleCompletion(each.text, type=each.kind) for each in found.candidates]
        return {
            "completions": completions or [completer.SimpleCompletion(found.fragment, type="prompt")],
            "matched_fragment": found.fragment,
            "suppress": True,
            "ordered": True,
        }

    named: Any = completer.context_matcher(identifier="beluga_nb")
    return named(beluga_matcher)


def _line_matcher(shell: InteractiveShell) -> Any:
    def beluga_matcher(line: str) -> list[str]:
        typed: str = shell.Completer.text_until_cursor
        found = _offered(shell, *_cell(shell, typed, line))
        if found is None:
            return []
        # IPython replaces only the text after the last delimiter.
        replaced = shell.Completer.splitter.split_line(typed)  # type: ignore[no-untyped-call]  # IPython's
        start = len(found.fragment) - len(replaced)
        texts = [each.text for each in found.candidates] or [found.fragment]
        return [text[max(0, start) :] for text in texts]

    return beluga_matcher


def _cell(shell: InteractiveShell, typed: str, line: str) -> tuple[str, str]:
    """Return the cell before the cursor and after it, as far as it is known."""
    parent = shell.get_parent() if hasattr(shell, "get_parent") else {}
    code, position = (parent.get("content", {}).get(name) for name in ("code", "cursor_pos"))
    if isinstance(code, str) and isinstance(position, int) and code[:position].endswith(typed):
        return code[:position], code[position:]
    return typed, line[len(typed) :]


def _offered(shell: InteractiveShell, before: str, after: str) -> Offer | None:
    """Return what to offer; in a prompt that is nothing, and the text stays as it is."""
    if "%beluga" not in before:
        return None
    from beluga_nb.magics.complete import Known, offer
    from beluga_nb.session.default import default

    try:
        known = Known(default.preferences.choices, variables(shell), default.preferences.folder)
        return offer(before, after, known)
    except Exception:  # A broken setting or folder is reported by the next call, not by Tab.
        return None


def variables(shell: InteractiveShell) -> list[str]:
    """Return the names of the notebook's own values."""
    own = {name: value for name, value in shell.user_ns.items() if not name.startswith("_")}
    hidden = shell.user_ns_hidden
    return sorted(
        name for name, value in own.items() if name not in hidden and not isinstance(value, _NO_VALUES)
    )
