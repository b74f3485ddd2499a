"""The catalogue as tables."""

from __future__ import annotations

from beluga_nb.catalog import labels, models, sizes
from beluga_nb.core import Bundle
from beluga_nb.show.markup import table


def models_table() -> Bundle:
    """Return the models: id, name, provider, size labels, pictures per request."""
    rows = [
        (
            model.id,
            model.name,
            model.provider,
            "all 13, auto" if model.sizes == labels() else " ".join(model.sizes) + ", auto",
            str(model.n_max),
        )
        for model in models()
    ]
    return table(rows, ("model", "name", "provider", "sizes", "per request"))


def sizes_table() -> Bundle:
    """Return the size labels: pixels of the local previews, and what each is good for."""
    rows = [(size.label, "{} × {}".format(*size.pixels), size.best_for) for size in sizes()]
    return table([*rows, ("auto", "", "the model decides")], ("size", "local preview", "best for"))
