"""`%beluga` and `%%beluga`: parse, call, show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from beluga_nb.magics.verbatim import Verbatim

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def register(shell: InteractiveShell) -> None:
    """Add our magic, its completion, and the transformer that keeps prompts as they are typed."""
    from beluga_nb.magics.completer import matcher_for
    from beluga_nb.magics.registered import BelugaMagics

    unregister(shell)
    shell.register_magics(BelugaMagics(shell=shell, parent=shell))
    shell.input_transformer_manager.token_transformers.append(Verbatim)
    shell.Completer.custom_matchers.append(matcher_for(shell))


def unregister(shell: InteractiveShell) -> None:
    """Take away what `register` added, and nothing else."""
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("beluga", None)
    ours = shell.magics_manager.registry.pop("BelugaMagics", None)
    shell.configurables[:] = [each for each in shell.configurables if each is not ours]
    matchers = shell.Completer.custom_matchers
    matchers[:] = [each for each in matchers if getattr(each, "matcher_identifier", "") != "beluga_nb"]
    transformers = shell.input_transformer_manager.token_transformers
    transformers[:] = [each for each in transformers if each is not Verbatim]
