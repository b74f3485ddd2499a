"""The model catalogue as tables."""

from __future__ import annotations

from beluga_nb.catalog import Listing, find, labels, sizes
from beluga_nb.result import Bundle
from beluga_nb.show.markup import noted, table


def models_table(listing: Listing) -> Bundle:
    """Return the models: id, name, provider, size labels, pictures per request."""
    rows = [
        (
            model.id,
            model.name,
            model.provider,
            "all 13, auto" if model.sizes == labels() else " ".join(model.sizes) + ", auto",
            str(model.n_max),
        )
        for model in listing.models
    ]
    rows += [(each.id, each.name, each.provider, "not known here: --insist", "") for each in listing.others]
    rows += [
        (each.id, each.name, each.provider, "what that server makes of it", "") for each in listing.named
    ]
    if not rows:
        words = "No matching model."
        return noted({"text/html": f"<p>{words}</p>", "text/plain": words}, listing.note)
    return noted(table(rows, ("model", "name", "provider", "sizes", "per request")), listing.note)


def sizes_table(model: str = "") -> Bundle:
    """Return the size labels, or those of a model, with the pixels of local previews and typical uses."""
    own = find(model).sizes if model else labels()
    rows = [
        (size.label, "{} × {}".format(*size.pixels), size.best_for) for size in sizes() if size.label in own
    ]
    return table([*rows, ("auto", "", "the model decides")], ("size", "local preview", "best for"))
