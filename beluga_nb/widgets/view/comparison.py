"""The comparison: the same part of two to four pictures side by side, or one drawn over another."""

from __future__ import annotations

import ipywidgets as widgets
import traitlets

from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import CURTAIN, SIDE_BY_SIDE, State
from beluga_nb.widgets.view.parts import button, field, put, row

_ADVICE = "Choose pictures and press Compare: two to four of them."


def comparison(state: State, controller: Controller) -> widgets.VBox:
    """Return the comparison."""
    how = widgets.Dropdown(description="How", options=[SIDE_BY_SIDE, CURTAIN])
    traitlets.link((state, "how"), (how, "value"))
    split = _slider(state, "split", "Split", 0.0, 1.0, 0.01)

    def follow(_: object = None) -> None:
        split.layout.display = None if state.how == CURTAIN else "none"

    state.observe(follow, "how")
    follow()
    sliders = widgets.VBox(
        [
            split,
            _slider(state, "zoom", "Zoom", 1.0, 8.0, 0.1),
            _slider(state, "across", "Across", 0.0, 1.0, 0.01),
            _slider(state, "down", "Down", 0.0, 1.0, 0.01),
        ]
    )
    sliders.add_class("beluga-sliders")
    return widgets.VBox(
        [
            row(
                field(how, width="140px"),
                button("Clear", controller.clear_comparison, told="Compare nothing"),
            ),
            sliders,
            _sights(state),
        ]
    )


def _slider(
    state: State, trait: str, words: str, least: float, most: float, step: float
) -> widgets.FloatSlider:
    slider = widgets.FloatSlider(
        description=words, min=least, max=most, step=step, value=getattr(state, trait), readout_format=".2f"
    )
    slider.add_class("beluga-slider")
    slider.add_class(f"beluga-{trait}")
    slider.layout.width = "100%"
    traitlets.link((state, trait), (slider, "value"))
    return slider


def _sights(state: State) -> widgets.VBox:
    advice, box = widgets.Label(_ADVICE), widgets.Box()
    advice.add_class("beluga-told")
    box.add_class("beluga-sights")
    made: list[widgets.VBox] = []

    def show(_: object = None) -> None:
        while len(made) < len(state.sights):
            made.append(_sight())
        words = [piece.words for piece in state.compared]
        if len(state.sights) == 1 < len(words):
            words = [f"{words[0]} | {words[1]}"]
        for each, sight, told in zip(made, state.sights, words, strict=False):
            image, label = each.children
            put(image, sight)
            label.value = told
        box.children = tuple(made[: len(state.sights)])
        advice.layout.display = "none" if len(state.compared) > 1 else None

    state.observe(show, ["sights", "compared"])
    show()
    return widgets.VBox([advice, box])


def _sight() -> widgets.VBox:
    image, label = widgets.Image(), widgets.Label()
    for name in ("alt", "note"):
        label.add_class(f"beluga-{name}")
    sight = widgets.VBox([image, label])
    sight.add_class("beluga-named")
    return sight
