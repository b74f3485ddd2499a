"""`%beluga` and `%%beluga`: parse, call, show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_nb.magics.beluga import BelugaMagics
from beluga_nb.magics.question import keep_questions

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def register(shell: InteractiveShell) -> None:
    """Add our magics, and the transformer that lets a prompt end with a question mark."""
    unregister(shell)
    shell.register_magics(BelugaMagics)
    shell.input_transformer_manager.line_transforms.append(keep_questions)


def unregister(shell: InteractiveShell) -> None:
    """Take away what `register` added, and nothing else."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("beluga", None)
    shell.magics_manager.registry.pop(BelugaMagics.__name__, None)
    transforms = shell.input_transformer_manager.line_transforms
    transforms[:] = [each for each in transforms if each is not keep_questions]
