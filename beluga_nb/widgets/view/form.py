"""The form: the parameters of the request, and an estimate of what it buys."""

from __future__ import annotations

import ipywidgets as widgets
import traitlets

from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import DEFAULT, State
from beluga_nb.widgets.view.parts import button, choices, field, line, row

_QUALITIES = [("default", DEFAULT), ("standard", "standard"), ("hd", "hd")]


def form(state: State, controller: Controller) -> widgets.VBox:
    """Return the form."""
    generate = button(
        "Generate",
        controller.generate,
        tooltip="Generate the pictures of the form (Ctrl or Cmd with Enter)",
        name="generate",
        style="primary",
    )
    box = widgets.VBox(
        [
            line(state, "provider"),
            _prompt(state),
            row(_model(state), _size(state)),
            row(_quality(state), _count(state), _take(state)),
            row(generate, line(state, "estimate", width="auto")),
            *(_received(state, name) for name in ("prompt", "take")),
        ]
    )
    box.add_class("beluga-form")
    return box


def _prompt(state: State) -> widgets.DOMWidget:
    text = widgets.Textarea(
        description="Prompt", placeholder="Describe the picture. Ctrl or Cmd with Enter generates it."
    )
    traitlets.link((state, "prompt"), (text, "value"))
    return field(text, name="prompt")


def _model(state: State) -> widgets.VBox:
    search = widgets.Text(description="Search models", placeholder="name, provider …")
    traitlets.link((state, "search"), (search, "value"))
    select = widgets.Select(description="Model", rows=5)

    def options() -> list[tuple[str, str]]:
        return [(f"{each.id}  ({each.provider})", each.id) for each in state.models]

    choices(select, state, among="models", chosen="model", options=options)
    return widgets.VBox(
        [field(search), field(select, name="model"), line(state, "about_model")], layout={"width": "330px"}
    )


def _size(state: State) -> widgets.VBox:
    radio = widgets.RadioButtons(description="Size")

    def options() -> list[tuple[str, str]]:
        labels = [(size.label, size.label) for size in state.sizes]
        return [("default", DEFAULT), *labels, ("auto", "auto")]

    choices(radio, state, among="sizes", chosen="size", options=options)
    return widgets.VBox(
        [field(radio, name="sizes"), line(state, "about_size")], layout={"width": "auto", "flex": "1 1 300px"}
    )


def _quality(state: State) -> widgets.DOMWidget:
    quality = widgets.Dropdown(description="Quality", options=_QUALITIES)
    traitlets.link((state, "quality"), (quality, "value"))
    return field(quality, width="120px")


def _count(state: State) -> widgets.DOMWidget:
    count = widgets.BoundedIntText(description="Pictures", min=1)
    traitlets.dlink((state, "max_n"), (count, "max"))
    traitlets.link((state, "n"), (count, "value"))
    return field(count, width="90px")


def _take(state: State) -> widgets.DOMWidget:
    take = widgets.Text(description="Take", placeholder="a label for another sampling")
    traitlets.link((state, "take"), (take, "value"))
    return field(take, width="240px", name="take")


def _received(state: State, name: str) -> widgets.Textarea:
    # A widget sends its newest text only after the kernel has acknowledged the text before, so a click can
    # overtake it. This hidden field echoes what the kernel has received, and the script delays the click.
    echo = widgets.Textarea(layout={"display": "none"})
    echo.add_class(f"beluga-received-{name}")
    traitlets.dlink((state, name), (echo, "value"))
    return echo
