"""A widget as a notebook shows it."""

from __future__ import annotations

import ipywidgets as widgets

WIDGET = "application/vnd.jupyter.widget-view+json"


def bundle(widget: widgets.Widget, words: str) -> dict[str, object]:
    """Return what shows a widget in a notebook; `words` stand in its place where there are no widgets."""
    view = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    return {WIDGET: view, "text/plain": words}
