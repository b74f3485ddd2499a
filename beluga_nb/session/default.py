"""The session behind `beluga_nb.generate` and the magics; it starts nothing before the first call."""

from beluga_nb.budget import Budget
from beluga_nb.session.session import Session


class _Default(Session):
    def __reduce__(self) -> str:
        if self.preferences.own_engine:
            return super().__reduce__()
        return "default"  # the same there, with the key and the settings of that place


default = _Default()

# A forked child spends from the budget of its parent.
default.resources.budget = Budget.inherited()

generate = default.generate
agenerate = default.agenerate
submit = default.submit
use = default.use
grid = default.grid
gallery = default.gallery
check = default.check
open = default.open  # noqa: A001  as in PIL.Image.open
