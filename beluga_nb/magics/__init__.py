"""`%beluga` and `%%beluga`: parse, call, show."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from IPython.core.magic import needs_local_scope, no_var_expand

from beluga_nb.magics.parse import help_text
from beluga_nb.magics.question import keep_questions

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def register(shell: InteractiveShell) -> None:
    """Add our magic, and the transformer that lets a prompt end with a question mark."""
    unregister(shell)

    @needs_local_scope
    @no_var_expand
    def beluga(line: str, cell: str | None = None, local_ns: Mapping[str, object] | None = None) -> object:
        # Imported at the first use: loading the extension takes no time.
        from beluga_nb.magics.beluga import answer

        return answer(shell, line, cell, local_ns or {})

    beluga.__doc__ = help_text()  # what %beluga? shows
    shell.register_magic_function(beluga, "line_cell", "beluga")  # type: ignore[arg-type]  # untyped there
    shell.input_transformer_manager.line_transforms.append(keep_questions)


def unregister(shell: InteractiveShell) -> None:
    """Take away what `register` added, and nothing else."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("beluga", None)
    transforms = shell.input_transformer_manager.line_transforms
    transforms[:] = [each for each in transforms if each is not keep_questions]
