"""What is registered with IPython: the magic, and the settings of `%config BelugaMagics`.

Little else of the package is imported before the first use, so that the extension loads fast.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from IPython.core.magic import Magics, line_cell_magic, magics_class, needs_local_scope, no_var_expand
from traitlets import HasTraits, TraitType

from beluga_nb.commands.table import SETTINGS
from beluga_nb.commands.usage import help_text

if TYPE_CHECKING:
    _Trait = TraitType[Any, Any]
else:
    _Trait = TraitType  # It cannot be subscripted before traitlets 5.10.


class Setting(_Trait):
    """A setting of the session as a trait: reading and setting it reads and sets the session's."""

    info_text = "a setting of beluga_nb"

    def get(self, obj: HasTraits, cls: object = None) -> Any:  # noqa: ARG002  as traitlets calls it
        """Return the value in effect, wherever it was set."""
        return getattr(_default().settings(), str(self.name))

    def set(self, obj: HasTraits, value: object) -> None:
        """Set it for this kernel, or as the profile's while the extension is loading."""
        # The profile ranks below beluga.toml and the environment; what is set later ranks above them.
        if isinstance(obj, BelugaMagics) and obj.loading:
            _default().preferences.profile[str(self.name)] = value
        else:
            _default().preferences.set(**{str(self.name): value})


def _default() -> Any:
    from beluga_nb.session.default import default

    return default


@magics_class
class BelugaMagics(Magics):
    """%beluga and %%beluga, and their settings, which `beluga.toml` and BELUGA_* can set too."""

    # While it is made, traitlets sets the values of IPython's profile.
    loading = True

    # A trait for each setting, so that `%config BelugaMagics` lists, completes and sets all of them.
    locals().update(
        {name: Setting(help=text, allow_none=True).tag(config=True) for name, text in SETTINGS.items()}
    )

    def __init__(self, **ours: Any) -> None:
        super().__init__(**ours)
        self.loading = False

    def _load_config(self, cfg: Any, *args: Any, **more: Any) -> None:
        # traitlets itself ignores a name that does not exist.
        given = cfg.get(type(self).__name__, {})
        known = self.trait_names(config=True)
        if unknown := [name for name in given if name not in known]:
            from beluga_nb.errors import UnknownNameError  # Lazy import: loading without one needs no errors.

            raise UnknownNameError("setting", unknown[0], known)
        super()._load_config(cfg, *args, **more)

    @line_cell_magic
    @needs_local_scope
    @no_var_expand
    def beluga(
        self, line: str, cell: str | None = None, local_ns: Mapping[str, object] | None = None
    ) -> object:
        from beluga_nb.magics.beluga import answer

        assert self.shell is not None
        return answer(self.shell, line, cell, local_ns or {})

    beluga.__doc__ = help_text()  # %beluga? shows it.
