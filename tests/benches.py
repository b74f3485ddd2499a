"""Panels for tests: on a session with a key, whose service is our own server, and without a screen."""

import asyncio
import contextlib
import threading
from concurrent.futures import CancelledError

import ipywidgets as widgets
from conftest import KEY, drawing

from beluga_nb.session.session import Session
from beluga_nb.widgets.panel import Panel


def panel_at(base_url, folder, names=None, **more):
    """A panel on a session of its own."""
    environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url} | more
    return settled(Panel(Session(environ=environ, folder=folder), {} if names is None else names))


def settled(panel):
    """The panel, when all that it does by itself is done."""
    while waiting := panel.controller.jobs:
        for job in waiting:
            with contextlib.suppress(asyncio.CancelledError, CancelledError):
                job.result()
    return panel


def ask(panel, prompt="a fox", **form):
    """Fill in the form, click Generate, and wait for the end."""
    fill(panel, prompt=prompt, **form)
    panel.controller._clicked = (None, 0.0)  # the last click may have been a moment ago
    panel.controller.generate().result()
    return settled(panel)


def rest(panel):
    """Let the next click count, and those after it as the same one, however slow the test is."""
    panel.controller._clock = lambda: 0.0
    panel.controller._clicked = (None, 0.0)


def fill(panel, **form):
    for name, value in ({"model": "flux-2.0"} | form).items():
        setattr(panel.state, name, value)


class Patient:
    """An engine that answers when it is told to, and knows who asked and who went away."""

    def __init__(self):
        self.asked, self.left = threading.Semaphore(0), threading.Event()
        self.answering = threading.Event()

    async def __call__(self, request):
        self.asked.release()
        try:
            while not self.answering.is_set():
                await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            self.left.set()
            raise
        return await drawing(request)


class OneByOne:
    """An engine that answers one request each time that it is let."""

    def __init__(self):
        self.let = threading.Semaphore(0)

    async def __call__(self, request):
        while not self.let.acquire(blocking=False):
            await asyncio.sleep(0.01)
        return await drawing(request)


def all_widgets(panel):
    """Every widget of a panel, with layouts and styles."""
    found, todo = {}, [panel.box]
    while todo:
        widget = todo.pop()
        if id(widget) not in found:
            found[id(widget)] = widget
            values = [getattr(widget, name) for name in widget.trait_names() if name != "comm"]
            todo += [each for value in values for each in _widgets_in(value)]
    return list(found.values())


def of_class(panel, name):
    """The widgets of a panel with this class, by which the page lays them out."""
    return [each for each in all_widgets(panel) if f"beluga-{name}" in getattr(each, "_dom_classes", ())]


def _widgets_in(value):
    parts = value if isinstance(value, list | tuple) else [value]
    return [each for each in parts if isinstance(each, widgets.Widget)]


def states(panel):
    """What a front end, or a saved notebook, gets to know of a panel."""
    return [dict(widget.get_state()) for widget in all_widgets(panel)]


def widget(panel, description):
    """The one widget with this description."""
    [found] = [each for each in all_widgets(panel) if getattr(each, "description", None) == description]
    return found
