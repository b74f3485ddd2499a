"""Our matcher, as IPython's completer takes it; what to offer is decided in `complete.py`."""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Any

from IPython.core.completer import SimpleCompletion, context_matcher

if TYPE_CHECKING:
    from IPython.core.completer import CompletionContext, SimpleMatcherResult
    from IPython.core.interactiveshell import InteractiveShell

_NO_VALUES = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type)


def matcher_for(shell: InteractiveShell) -> Any:
    """Return a matcher that knows a shell's variables."""

    def beluga_matcher(context: CompletionContext) -> SimpleMatcherResult:
        if "%beluga" not in context.full_text:
            return {"completions": []}
        try:
            return _matched(shell, context)
        except Exception:  # whatever is wrong with a setting or a folder, Tab is no place to hear of it
            return {"completions": []}

    named: Any = context_matcher(identifier="beluga_nb")
    return named(beluga_matcher)


def _matched(shell: InteractiveShell, context: CompletionContext) -> SimpleMatcherResult:
    from beluga_nb.magics.complete import Known, offer
    from beluga_nb.session import default

    lines = context.full_text.split("\n")
    before = "\n".join([*lines[: context.cursor_line], context.line_with_cursor[: context.cursor_position]])
    after = context.line_with_cursor[context.cursor_position :]
    known = Known(default.preferences.choices, variables(shell), default.preferences.folder)
    found = offer(before, after, known)
    if found is None:
        return {"completions": []}
    # Only a matcher that has something keeps others away: in a prompt it is what stands there already.
    completions = [SimpleCompletion(each.text, type=each.kind) for each in found.candidates]
    return {
        "completions": completions or [SimpleCompletion(found.fragment, type="prompt")],
        "matched_fragment": found.fragment,
        "suppress": True,
        "ordered": True,
    }


def variables(shell: InteractiveShell) -> list[str]:
    """Return the names that the notebook has given to values of its own."""
    own = {name: value for name, value in shell.user_ns.items() if not name.startswith("_")}
    hidden = shell.user_ns_hidden
    return sorted(
        name for name, value in own.items() if name not in hidden and not isinstance(value, _NO_VALUES)
    )
