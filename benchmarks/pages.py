"""The panel in JupyterLab in Chromium: what a click and the wheel take until the page changes."""

from __future__ import annotations

import os
import statistics
import sys
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.rows import Job, Measures, Row, environment

REPEAT = 7
ZOOMED_FOR = 3.0
"""Seconds of turning the wheel."""

RECEIVED = """() => ['prompt', 'take'].every(name =>
    document.querySelector(`.beluga-${name} :is(textarea, input)`)?.value
        === document.querySelector(`.beluga-received-${name} textarea`)?.value)"""

CLICKED = """() => new Promise(resolve => {
    const began = performance.now(), panel = document.querySelector('.beluga-panel');
    new MutationObserver((_, observer) => {
        observer.disconnect();
        resolve((performance.now() - began) / 1000);
    }).observe(panel, {childList: true, subtree: true, attributes: true, characterData: true});
    panel.querySelector('button.beluga-generate, .beluga-generate button').click();
})"""

COMPARED = """() => [...document.querySelectorAll('.beluga-compared img')]
    .filter(image => image.offsetParent && image.naturalWidth > 20).length == 2"""

ZOOMED = """lasts => new Promise(resolve => {
    const image = document.querySelector('.beluga-compared .beluga-frame img'), began = performance.now();
    let frames = 0, turn = 0, shown = '';
    const wheel = () => {
        const elapsed = performance.now() - began, transform = getComputedStyle(image).transform;
        if (transform !== shown) frames++;
        shown = transform;
        if (elapsed > lasts * 1000) return resolve(elapsed / 1000 / frames);
        const deltaY = turn++ % 40 < 20 ? -100 : 100;
        image.dispatchEvent(new WheelEvent('wheel', {deltaY, bubbles: true, cancelable: true}));
        requestAnimationFrame(wheel);
    };
    wheel();
})"""


@cache
def _tests() -> None:
    """Make what the tests in a browser share importable."""
    folder = Path(__file__).parent.parent / "tests"
    sys.path += [str(folder), str(folder / "browser")]


def _opened(job: Job) -> tuple[Any, Any]:
    _tests()
    from desk import Desk, notebook  # type: ignore[import-not-found]
    from lab import Lab  # type: ignore[import-not-found]

    os.environ |= {"JUPYTER_PREFER_ENV_PATH": "1"}
    settings = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}
    lab = Lab(notebook(), settings=settings, size=(1280, 1500), **environment(job)).__enter__()
    lab.run(0)
    return lab, Desk(lab.page).ready()


def click(job: Job) -> Measures:
    """Click on Generate; time until the first change of the panel."""
    lab, desk = _opened(job)
    try:
        seconds = []
        for number in range(REPEAT):
            desk.type(f"a whale, number {number}")
            lab.page.wait_for_function(RECEIVED)
            desk.panel.get_by_text("1 to buy").wait_for()
            seconds.append(lab.page.evaluate(CLICKED))
            desk.panel.get_by_text(f"1 picture of “a whale, number {number}”.").first.wait_for()
    finally:
        lab.__exit__()
    return {"seconds": statistics.median(seconds), "slowest": max(seconds)}


def zoom(job: Job) -> Measures:
    """Turn the wheel over a comparison of two pictures; the time from one shown change to the next."""
    lab, desk = _opened(job)
    try:
        for number in range(2):
            desk.generate(f"a whale, number {number}")
        for number in range(2):
            desk.pick(number)
        lab.page.wait_for_function(COMPARED)
        frame = lab.page.evaluate(ZOOMED, ZOOMED_FOR)
    finally:
        lab.__exit__()
    return {"frame": frame}


def page_row(title: str, subject: Any) -> Row:
    """Return a row of the panel."""
    return Row(title, {"beluga_nb": subject}, rounds=1, in_quick=False, needs={"beluga_nb": "playwright"})


ROWS = {
    "click": page_row("a click on Generate, until the panel changes", click),
    "zoom": page_row("the wheel over a comparison, from frame to frame", zoom),
}
