"""The magic itself: parse, call, show; decisions live elsewhere."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from IPython.core.magic import Magics, line_cell_magic, magics_class, needs_local_scope, no_var_expand
from IPython.display import display

from beluga_nb.core import Bundle, Incomplete, Result
from beluga_nb.magics.fate import thrown_away
from beluga_nb.magics.parse import EXAMPLES, Call, help_text, parse
from beluga_nb.session import default
from beluga_nb.show.catalogue import models_table, sizes_table
from beluga_nb.show.markup import status_lines


@magics_class
class BelugaMagics(Magics):
    """`%beluga` and `%%beluga`."""

    @needs_local_scope
    @no_var_expand
    @line_cell_magic
    def beluga(
        self, line: str, cell: str | None = None, local_ns: Mapping[str, object] | None = None
    ) -> Result | None:
        call = parse(line, cell)
        if call.help:
            print(help_text())
        elif call.command is not None:
            _display(self._answer_to(call.command), raw=True)
        else:
            return self._generated(call, {**self._names, **(local_ns or {})})
        return None

    beluga.__doc__ = help_text()  # what %beluga? shows

    @property
    def _names(self) -> dict[str, object]:
        assert self.shell is not None
        names: dict[str, object] = self.shell.user_ns
        return names

    def _answer_to(self, command: str) -> Bundle:
        commands = {"": self._status, "models": models_table, "sizes": sizes_table}
        return commands[command]()

    def _status(self) -> Bundle:
        return status_lines(default.status(), EXAMPLES)

    def _generated(self, call: Call, values: Mapping[str, object]) -> Result:
        try:
            result = default.generate(call.prompt, values=values, **call.options)
        except Incomplete as error:
            self._keep(call, error.result)
            _display(error.result)
            raise
        self._keep(call, result)
        if thrown_away(inspect.currentframe()):
            _display(result)
        return result

    def _keep(self, call: Call, result: Result) -> None:
        if call.output:
            self._names[call.output] = result


def _display(thing: Result | Bundle, *, raw: bool = False) -> None:
    display(thing, raw=raw)  # type: ignore[no-untyped-call]  # IPython's own
