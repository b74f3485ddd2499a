"""`%beluga` and `%%beluga`: parse, call, show."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from IPython.utils.dir2 import get_real_method

from beluga_nb.magics.verbatim import Verbatim, with_body

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from beluga_nb.result import Picture

_PICTURE = "beluga_nb.result.Picture"


def register(shell: InteractiveShell) -> None:
    """Add our magic, its completion, and the transformers that keep prompts as they are typed."""
    from beluga_nb.magics import completer
    from beluga_nb.magics.registered import BelugaMagics

    unregister(shell)
    shell.register_magics(BelugaMagics(shell=shell, parent=shell))
    shell.input_transformer_manager.token_transformers.append(Verbatim)
    shell.input_transformer_manager.line_transforms.append(with_body)
    completer.register(shell)
    if list not in (bundles := _mime_bundles(shell)):
        bundles.for_type(list, _results)
    # By its name: the class is imported with the first picture.
    if _PICTURE not in bundles:
        bundles.for_type_by_name(*_PICTURE.rsplit(".", 1), _picture)


def _mime_bundles(shell: InteractiveShell) -> Any:
    assert shell.display_formatter is not None
    return shell.display_formatter.mimebundle_formatter


def _results(shown: list[Any]) -> Mapping[str, object] | None:
    """Return the pictures of a list of results; None for any other list, which IPython shows then."""
    if type(shown) is not list:  # Of a class derived from it, IPython asks us in place of the class.
        own = get_real_method(shown, "_repr_mimebundle_")
        return own(include=None, exclude=None) if own else None
    result = sys.modules.get("beluga_nb.result")  # Not imported yet, there can be no result.
    if result is None or not shown or not all(isinstance(each, result.Result) for each in shown):
        return None
    from beluga_nb.redaction import redacted_bundle
    from beluga_nb.show.figures import still

    return redacted_bundle(still(shown))


def _picture(shown: Picture) -> Mapping[str, object]:
    """Return a picture by itself as a result of one is shown."""
    from beluga_nb.redaction import redacted_bundle
    from beluga_nb.result import Result
    from beluga_nb.show.figures import bundle

    return redacted_bundle(bundle(Result(shown.recipe.request, (shown,))))


def unregister(shell: InteractiveShell) -> None:
    """Remove what `register` added, and nothing else."""
    from beluga_nb.magics import completer

    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("beluga", None)
    ours = shell.magics_manager.registry.pop("BelugaMagics", None)
    shell.configurables[:] = [each for each in shell.configurables if each is not ours]
    completer.unregister(shell)
    if cell := sys.modules.get("beluga_nb.progress.cell"):
        cell.forget(shell)
    bundles = _mime_bundles(shell)
    if list in bundles and bundles.lookup_by_type(list) is _results:
        bundles.pop(list)
    if _PICTURE in bundles and bundles.lookup_by_type(_PICTURE) is _picture:
        bundles.pop(_PICTURE)
    manager = shell.input_transformer_manager
    for transformers in (manager.token_transformers, manager.line_transforms):
        transformers[:] = [each for each in transformers if each not in (Verbatim, with_body)]
