"""The comparison: the same part of two to four pictures side by side, or a curtain between two."""

from __future__ import annotations

import ipywidgets as widgets
import traitlets

from beluga_nb.result import Preview
from beluga_nb.show.comparison import CURTAIN, SIDE_BY_SIDE
from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import State
from beluga_nb.widgets.view.parts import button, field, put, row, show_if

_ADVICE = "Choose pictures and press Compare: two to four of them."


def comparison(state: State, controller: Controller) -> widgets.VBox:
    """Return the comparison."""
    mode = widgets.Dropdown(description="How", options=[SIDE_BY_SIDE, CURTAIN])
    traitlets.link((state, "mode"), (mode, "value"))
    split = _slider(state, "split", "Split", 0.0, 1.0, 0.01)

    def follow(_: object = None) -> None:
        show_if(state.mode == CURTAIN, split)

    state.observe(follow, "mode")
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
                field(mode, width="140px"),
                button("Clear", controller.clear_comparison, tooltip="Compare nothing"),
            ),
            sliders,
            _images(state),
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


def _images(state: State) -> widgets.VBox:
    advice, box = widgets.Label(_ADVICE), widgets.Box()
    advice.add_class("beluga-message")
    box.add_class("beluga-comparison")
    shown: list[_NamedImage] = []

    def show(_: object = None) -> None:
        while len(shown) < len(state.comparison_images):
            shown.append(_NamedImage())
        words = [piece.words for piece in state.compared]
        # The curtain shows two pictures in one image.
        if len(state.comparison_images) == 1 < len(words):
            words = [f"{words[0]} | {words[1]}"]
        for named, image, text in zip(shown, state.comparison_images, words, strict=False):
            named.show(image, text)
        box.children = tuple(each.box for each in shown[: len(state.comparison_images)])
        show_if(len(state.compared) < 2, advice)

    state.observe(show, ["comparison_images", "compared"])
    show()
    return widgets.VBox([advice, box])


class _NamedImage:
    """An image with its text alternative in a label, which the script copies into `alt`."""

    def __init__(self) -> None:
        self._image, self._label = widgets.Image(), widgets.Label()
        for name in ("alt", "note"):
            self._label.add_class(f"beluga-{name}")
        self.box = widgets.VBox([self._image, self._label])
        self.box.add_class("beluga-named")

    def show(self, image: Preview, words: str) -> None:
        put(self._image, image)
        self._label.value = words
