"""The look of the panel, and what only a page can do: keys, names for screen readers, the clipboard.

Both come as one `<style>`, which runs `page.js` when it is loaded: nothing is fetched, and nothing of it
depends on what anybody has typed. Where a front end takes it away, every button still works.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files

import ipywidgets as widgets

from beluga_nb.catalog import Size

ROOT = "beluga-panel"


def page(sizes: Sequence[Size], *, still: str) -> widgets.HTML:
    """Return the widget that brings the look; `still` is the class of what it hides beside itself."""
    script, style = (files("beluga_nb.widgets.view").joinpath(name).read_text("utf-8") for name in _FILES)
    rules = "".join(_ratio(size) for size in sizes)
    html = f'<style onload="{escape(script)}">{style}{rules}{_hidden(still)}</style>'
    look = widgets.HTML(html)
    look.add_class("beluga-page")
    return look


def _hidden(still: str) -> str:
    # By its place and not by a name of its own, which would be another one in each run of the notebook.
    # `.output` is a cell's in Notebook 6.
    return f":is(.jp-OutputArea,.output):has(.{ROOT}) .{still}{{display:none}}"


_FILES = ("page.js", "page.css")


def _ratio(size: Size) -> str:
    name = size.label.replace(":", "%3A")
    width, height = (round(edge * 22 / max(size.pixels)) for edge in size.pixels)
    label = f'.beluga-sizes label:has([data-value="{name}"])::before'
    return f"{label}{{width:{width}px;height:{height}px}}"
