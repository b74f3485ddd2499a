"""The style and script of the panel: layout, keys, names for screen readers, the clipboard.

Both come in one `<style>`, whose `onload` runs the script: nothing is fetched, and nothing in it depends on
the user's input. Without it, as in a front end that sanitizes HTML, every button still works.
"""

from __future__ import annotations

from collections.abc import Sequence

import ipywidgets as widgets

from beluga_nb.catalog import Size
from beluga_nb.show.template import fill, read_template, script_of


def page(sizes: Sequence[Size]) -> widgets.HTML:
    """Return the widget that holds style and script; each size gets an icon of its shape."""
    style, script = read_template("widgets/panel.css"), script_of("show/save.js", "widgets/panel.js")
    icons = "".join(map(_icon, sizes))
    widget = widgets.HTML(f'<style onload="{script}">{style}{icons}</style>')
    widget.add_class("beluga-page")
    return widget


def _icon(size: Size) -> str:
    width, height = (str(round(edge * 22 / max(size.pixels))) for edge in size.pixels)
    label = size.label.replace(":", "%3A")  # the front end encodes the option in `data-value`
    return fill("widgets/panel-size.css", label=label, width=width, height=height)
