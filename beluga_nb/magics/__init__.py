"""`%beluga` and `%%beluga`: parse, call, show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_nb.magics.verbatim import Verbatim

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def register(shell: InteractiveShell) -> None:
    """Add our magic, its completion, and the transformer that keeps prompts as they are typed."""
    from beluga_nb.magics import completer
    from beluga_nb.magics.registered import BelugaMagics

    unregister(shell)
    shell.register_magics(BelugaMagics(shell=shell, parent=shell))
    shell.input_transformer_manager.token_transformers.append(Verbatim)
    completer.register(shell)


def unregister(shell: InteractiveShell) -> None:
    """Remove what `register` added, and nothing else."""
    from beluga_nb.magics import completer

    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("beluga", None)
    ours = shell.magics_manager.registry.pop("BelugaMagics", None)
    shell.configurables[:] = [each for each in shell.configurables if each is not ours]
    completer.unregister(shell)
    transformers = shell.input_transformer_manager.token_transformers
    transformers[:] = [each for each in transformers if each is not Verbatim]
