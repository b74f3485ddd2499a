"""The model catalogue as tables."""

from __future__ import annotations

import beluga_nb.money as money
from beluga_nb.budget import Prices
from beluga_nb.catalog import Listing, Model, Size, find, labels, sizes
from beluga_nb.console import surface
from beluga_nb.hints import Hint, Remedy, on
from beluga_nb.result import Bundle
from beluga_nb.show.tables import Cell, Column, Kind, noted, sentence, shape, table


def models_table(listing: Listing, prices: Prices | None = None) -> Bundle:
    """Return the models: id, name, provider, size labels, your price of a picture, pictures per request.

    Most models have all sizes, so these are drawn once, above the table.
    """
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
        all_models = Hint("No model matches. ", Remedy("models"), " lists all.")
        return noted(sentence(on(all_models, surface())), listing.note)
    head: list[str | Column] = [
        Column("model", Kind.ID),
        "name",
        "provider",
        "sizes, and auto",
        "max per request",
    ]
    legend = _all_sizes() if any(model.sizes == labels() for model in listing.models) else ""
    if prices is None:
        return table(rows, head, "Models", listing.note, legend=legend)
    priced = [(*row[:-1], _price(prices, row[0]), row[-1]) for row in rows]
    head.insert(-1, Column(f"your price in {prices.currency}", Kind.NUMBERS))
    note = f"Your prices are of {prices.date}, for one picture."
    return table(priced, head, "Models", " ".join(filter(None, [listing.note, note])), legend=legend)


def _sizes_cell(model: Model) -> Cell:
    if model.sizes == labels():
        return Cell(f"all {len(labels())}")
    shapes = (shape(size.pixels, size.label, edge=11) for size in sizes() if size.label in model.sizes)
    before = f'<span style="white-space:nowrap">{"".join(shapes)}</span> <span style="display:inline-block">'
    return Cell(" ".join(model.sizes), before, "</span>")


def _all_sizes() -> str:
    style = "display:inline-block;margin-right:14px"
    named = (f'<span style="{style}">{_hidden_shape(each, edge=11)} {each.label}</span>' for each in sizes())
    return f'<span style="{style}">all {len(labels())}:</span>{"".join(named)}'


def _hidden_shape(size: Size, *, edge: int) -> str:
    """Return the shape of a size whose label stands beside it: a screen reader reads that alone."""
    return f'<span aria-hidden="true">{shape(size.pixels, size.label, edge=edge)}</span>'


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
            Cell(size.label, before=f"{_hidden_shape(size, edge=15)} "),
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
