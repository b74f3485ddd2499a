"""The composer: the parameters of a request, and a button that says what a click would do."""

from __future__ import annotations

import ipywidgets as widgets
import traitlets

from beluga_nb.widgets.controller import Controller
from beluga_nb.widgets.state import DEFAULT, State
from beluga_nb.widgets.view.comms import receive_in_any_shell
from beluga_nb.widgets.view.parts import box, button, choices, field, fold, line, linked, received, visible

_QUALITIES = [("default", DEFAULT), ("standard", "standard"), ("hd", "hd")]

EXAMPLES = (
    "a lighthouse on a cliff at dusk, flat illustration",
    "a red fox in the snow, ink drawing",
    "a bowl of lemons on a blue table, oil painting",
)
"""Prompts to begin with."""


def form(state: State, controller: Controller) -> widgets.Box:
    """Return the composer."""
    prompt = widgets.Textarea(
        description="Prompt", placeholder="Describe the picture. Ctrl or Cmd with Enter generates it."
    )
    take = widgets.Text(description="Take", placeholder="a label for another sampling")
    return box(
        "form",
        linked(prompt, state, "prompt", name="prompt"),
        _examples(state),
        _model(state),
        line(state, "about_model"),
        _size(state),
        _count(state),
        fold(
            "Advanced", _quality(state), linked(take, state, "take", name="take"), tooltip="Quality and take"
        ),
        _generate(state, controller),
        line(state, "estimate", "estimate"),
        *(received(state, name) for name in ("prompt", "search", "take", "n", "size", "quality")),
    )


def _examples(state: State) -> widgets.Box:
    def example(words: str) -> widgets.Button:
        def use() -> None:
            state.prompt = words

        return button(words, use, tooltip=f"Try: {words}", name="quiet")

    shown = box("examples", *map(example, EXAMPLES))

    def follow(_: object = None) -> None:
        shown.layout.display = "none" if state.prompt or state.gallery else None

    state.observe(follow, ["prompt", "gallery"])
    follow()
    return shown


def _generate(state: State, controller: Controller) -> widgets.Button:
    generate = button(
        state.action,
        controller.generate,
        tooltip="Ask for the pictures of the form (Ctrl or Cmd with Enter)",
        name="generate",
        style="primary",
        takes_form=True,
    )
    traitlets.dlink((state, "action"), (generate, "description"))
    traitlets.dlink((state, "ready"), (generate, "disabled"), lambda ready: not ready)
    return generate


def _model(state: State) -> widgets.DOMWidget:
    model = widgets.Combobox(description="Model", placeholder="a model, an alias")
    traitlets.dlink((state, "offered"), (model, "options"))
    receive_in_any_shell(model)
    # Not a link: an alias that is typed becomes the name of its model at once.
    model.observe(lambda change: setattr(state, "search", change.new), "value")

    def show(_: object = None) -> None:
        model.value = state.search

    state.observe(show, "search")
    show()
    return field(model, name="model")


def _size(state: State) -> widgets.Box:
    radio = widgets.RadioButtons(description="Size")

    def options() -> list[tuple[str, str]]:
        labels = [(size.label, size.label) for size in state.sizes]
        return [("default", DEFAULT), *labels, ("auto", "auto")]

    choices(radio, state, among="sizes", chosen="size", options=options)
    more = widgets.ToggleButton(description="more…", tooltip="Show all sizes", layout={"width": "auto"})
    for name in ("quiet", "more"):
        more.add_class(f"beluga-{name}")
    about = line(state, "about_size")
    visible(about, state, "about_size")
    return box("shapes", field(radio, name="sizes"), more, about)


def _count(state: State) -> widgets.Box:
    # A field with the real limit would cut a larger number without a word; the kernel refuses it with one.
    count = widgets.BoundedIntText(description="Pictures", min=1, max=999)

    def choose(n: int) -> widgets.Button:
        def use() -> None:
            state.n = n

        return button(str(n), use, tooltip=f"{n} picture{'s' * (n > 1)}", name="quiet")

    return box("counts", linked(count, state, "n", width="72px"), *map(choose, (1, 2, 4)))


def _quality(state: State) -> widgets.DOMWidget:
    quality = widgets.Dropdown(description="Quality", options=_QUALITIES)
    return linked(quality, state, "quality", name="quality")
