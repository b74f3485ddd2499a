"""The model catalogue as tables."""

from __future__ import annotations

import beluga_nb.money as money
from beluga_nb.budget import Prices
from beluga_nb.catalog import Listing, Model, find, labels, sizes
from beluga_nb.result import Bundle
from beluga_nb.show.tables import Cell, Column, Kind, noted, shape, table


def models_table(listing: Listing, prices: Prices | None = None) -> Bundle:
    """Return the models: id, name, provider, size labels, your price of a picture, pictures per request."""
    rows = [
        (
            model.id,
            model.name,
            model.provider,
            _sizes_cell(model),
            str(model.n_max),
        )
        for model in listing.models
    ]
    rows += [
        (each.id, each.name, each.provider, Cell("not known here: --insist"), "") for each in listing.others
    ]
    rows += [
        (each.id, each.name, each.provider, Cell("decided by that server"), "") for each in listing.named
    ]
    if not rows:
        words = "No matching model."
        return noted({"text/html": f"<p>{words}</p>", "text/plain": words}, listing.note)
    head: list[str | Column] = [
        Column("model", Kind.ID),
        "name",
        "provider",
        "sizes",
        "max per request",
    ]
    if prices is None:
        return table(rows, head, "Models", listing.note)
    priced = [(*row[:-1], _price(prices, row[0]), row[-1]) for row in rows]
    head.insert(-1, Column(f"your price in {prices.currency}", Kind.NUMBERS))
    note = f"Your prices are of {prices.date}, for one picture."
    return table(priced, head, "Models", " ".join(filter(None, [listing.note, note])))


def _sizes_cell(model: Model) -> Cell:
    words = f"all {len(labels())}" if model.sizes == labels() else " ".join(model.sizes)
    shapes = (shape(size.pixels, size.label, edge=11) for size in sizes() if size.label in model.sizes)
    return Cell(f"{words}, auto", before=f'<div style="min-width:min(182px,12vw)">{"".join(shapes)}</div>')


def _price(prices: Prices, model: str) -> str:
    by_quality = prices.table.get(model, {})
    return (
        ", ".join(f"{quality} {money.words(price)}".strip() for quality, price in by_quality.items())
        or "unknown"
    )


def sizes_table(model: str = "") -> Bundle:
    """Return the size labels, or those of a model, with the pixels of local previews and typical uses."""
    own = find(model).sizes if model else labels()
    rows = [
        (
            Cell(size.label, before=f'<span aria-hidden="true">{shape(size.pixels, size.label)}</span> '),
            "{} × {}".format(*size.pixels),
            size.best_for,
        )
        for size in sizes()
        if size.label in own
    ]
    head = (Column("size", Kind.CODE), Column("local preview", Kind.NUMBER), "best for")
    return table(
        [*rows, (Cell("auto"), "", "the model decides")], head, f"Sizes of {model}" if model else "Sizes"
    )
