"""The panel as a person uses it, in whatever page it stands."""

import asyncio
import os
import re
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
from conftest import KEY, drawing, on_a_port
from playwright.sync_api import expect

from beluga_nb.errors import APIStatusError
from beluga_nb.server.app import create_app

PANEL = "%load_ext beluga_nb\nimport beluga_nb\npanel = beluga_nb.panel()\npanel"


def notebook(*cells):
    """A notebook with a panel in its first cell."""
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(each) for each in (PANEL, *cells)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )


BUSY = """import ctypes
ctypes.PyDLL(None).system(b'touch held; while [ ! -e go ]; do sleep 0.05; done')"""
"""A cell that keeps all else in its kernel from running, from a file `held` to a file `go`."""

STILL = """() => [...document.querySelectorAll('.jp-OutputArea figure img')]
    .filter(image => image.offsetParent && image.naturalWidth > 20).map(image => image.alt)"""
"""The text alternatives of the pictures that are seen in a panel's place."""

LOADED = """() => [...document.querySelectorAll('.beluga-panel .beluga-tile')]
    .filter(tile => tile.offsetParent && tile.querySelector('img').naturalWidth > 20)
    .map(tile => tile.querySelector('button').title)"""
"""The words of the tiles that are seen with their pictures."""

ICONS = """() => [...document.querySelectorAll('.beluga-panel, .beluga-panel *')].filter(it =>
    it.matches('.jupyter-widgets-disconnected:not(img)')
    && !['none', 'normal'].includes(getComputedStyle(it, '::before').content)).length"""
"""How many widgets of a panel show the icon of a lost connection; a picture has no room for one."""

AXE = Path(__file__).parents[1] / "node" / "node_modules" / "axe-core" / "axe.min.js"

needs_axe = pytest.mark.skipif(
    not AXE.exists() and not os.environ.get("TESTS_IN_CI"),
    reason="axe-core is missing (npm install in tests/node); in CI this fails instead",
)


def violations(page, what, where=".beluga-panel"):
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=str(AXE))
    found = page.evaluate("async where => (await axe.run(where)).violations", where)
    return [(what, each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]


def wait_until(condition):
    """Wait until a condition outside the page is true."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


SHAPES = {"tall": (480, 1920), "wide": (1920, 480)}
"""The pixels of a picture, by a word of its prompt."""


class Service:
    """An engine that draws; never answers what is slow, but notices who leaves; refuses what is bad."""

    def __init__(self):
        self.asked, self.left, self.requests = threading.Semaphore(0), threading.Semaphore(0), []

    async def __call__(self, request):
        self.requests.append(request)
        if "bad" in request.prompt:
            raise APIStatusError("The prompt was refused.", "Write another.", status=400)
        if "slow" in request.prompt:
            self.asked.release()
            try:
                await asyncio.sleep(120)
            finally:
                self.left.release()
        size = next((size for shape, size in SHAPES.items() if shape in request.prompt), (96, 64))
        return await drawing(request, size)


@contextmanager
def serving(front_end, **words):
    """A front end with a panel, whose kernels ask the service on a real port that is `app.service`."""
    service = Service()
    with on_a_port(create_app(service, key=KEY)) as base_url:
        environment = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url}
        with front_end(notebook(), size=(1280, 1500), **words, **environment) as app:
            app.service = service
            yield app


class Desk:
    """What a person does at a panel."""

    def __init__(self, page, number=0):
        self.page = page
        self.panel = page.locator(".beluga-panel").nth(number)
        self.tiles = self.panel.locator(".beluga-tile:visible")
        self.large = self.panel.locator(".beluga-stage img")
        self.go = self.panel.locator(".beluga-generate")

    def ready(self):
        self.go.wait_for()
        self.panel.get_by_text("Answers:").wait_for()
        return self

    def button(self, words):
        return self.panel.get_by_role("button", name=words, exact=True)

    def type(self, prompt):
        self.panel.get_by_role("textbox", name="Prompt", exact=True).fill(prompt)

    def model(self, name):
        self.panel.get_by_role("combobox", name="Model").fill(name)
        self.page.keyboard.press("Tab")

    def sizes(self):
        return self.panel.locator(".beluga-sizes label:has(input):visible").all_inner_texts()

    def count(self, n):
        self.panel.get_by_role("spinbutton", name="Pictures").focus()
        self.page.keyboard.press("Control+a")  # `fill` replaces no number in Firefox
        self.page.keyboard.type(str(n))
        self.page.keyboard.press("Tab")

    def generate(self, prompt, *, n=1):
        """Make pictures, and wait until they are there."""
        self.type(prompt)
        if n > 1:
            self.model("flux-2.0")
        self.count(n)
        self.go.click()
        words = f"{n} picture{'s' * (n > 1)} of “{prompt}”."
        self.panel.locator(".beluga-message").get_by_text(words).first.wait_for()
        self.page.wait_for_function(
            f"([prompt, n]) => ({LOADED})().filter(words => words.includes(prompt)).length >= n",
            arg=[prompt, n],
        )

    def tab(self, words):
        self.panel.get_by_role("tab", name=words).click()

    def tile(self, number):
        """The button of a tile, which shows its picture on the stage."""
        return self.tiles.nth(number).get_by_role("button").first

    def pick(self, number):
        """Select a tile."""
        self.tiles.nth(number).hover()
        self.tiles.nth(number).locator(".beluga-pick").click()
        expect(self.tiles.nth(number)).to_have_class(re.compile("beluga-picked"))

    def loaded(self):
        """The text alternatives of the pictures in tiles that are loaded."""
        return self.page.evaluate(LOADED)

    def outside(self):
        """What reaches beyond the right edge of the panel."""
        return self.panel.evaluate(
            """panel => [...panel.querySelectorAll('button, input, select, textarea, img')]
                .filter(each => each.offsetParent && !each.closest('.beluga-sizes')
                    && each.getBoundingClientRect().right > panel.getBoundingClientRect().right + 2)
                .map(each => each.outerHTML.slice(0, 120))"""
        )
