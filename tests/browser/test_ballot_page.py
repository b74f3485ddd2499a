"""The voting page: keys, clicks, touch and zoom, what fits the window, and what axe finds.

In Chromium, and by `python -m tests environments` in Firefox.
"""

import pytest
from conftest import drawing
from desk import AXE, needs_axe
from lab import IN_A_BROWSER, launch, needs_firefox
from playwright.sync_api import Locator, expect, sync_playwright

from beluga_nb.session.session import Session
from beluga_nb.store.votes import votes

pytestmark = IN_A_BROWSER

MODELS = ("flux-2.0", "gpt-image-2", "seedream-4.5")
SIZES = {"wide": (1400, 1000), "zoomed to 200 %": (700, 500), "phone": (390, 844)}


@pytest.fixture(scope="module")
def study(browser, tmp_path_factory):
    """Pictures that nobody has voted on in this browser."""
    session = Session(engine=drawing, environ={}, folder=tmp_path_factory.mktemp("ballot"))
    pictures = session.gallery(
        *(session.generate(f"a {each}", model=model) for each in ("fox", "cat") for model in MODELS)
    )
    page = pictures.ballot()
    yield session, page
    page.stop()


@pytest.fixture(
    scope="module",
    params=["chromium", pytest.param("firefox", marks=[pytest.mark.everywhere, needs_firefox])],
)
def browser(request):
    with sync_playwright() as playwright:
        browser = launch(playwright, request.param)
        yield browser
        browser.close()


def begun(browser, study, name, size="wide", **options):
    width, height = SIZES[size]
    page = browser.new_context(viewport={"width": width, "height": height}, **options).new_page()
    page.set_default_timeout(60_000)
    page.goto(study[1].url)
    page.fill("#name", name)
    page.get_by_role("button", name="I agree, begin").click()
    compared(page, 0)
    return page


def compared(page, count):
    """Wait until so many pairs are compared, and an answer would be taken."""
    expect(page.locator("#count")).to_have_text(f"{count} of 6")
    if count < 6:
        page.wait_for_function("document.querySelectorAll('#pair img').length == 2")
        page.wait_for_timeout(300)  # as someone who looks at them


def answers(study, name):
    return [vote.answer for vote in votes(study[0].store.open()) if vote.voter == name]


def test_a_person_votes_with_keys_clicks_and_buttons_and_goes_back(browser, study):
    page = begun(browser, study, "Ada")
    errors = []
    page.on("pageerror", lambda error: errors.append(error))
    page.on("console", lambda message: message.type == "error" and errors.append(message.text))
    for count, press in enumerate(
        (
            lambda: page.keyboard.press("ArrowLeft"),
            lambda: page.keyboard.press("ArrowDown"),
            lambda: page.get_by_role("button", name="The right picture is better").click(),
        ),
        1,
    ):
        press()
        compared(page, count)
    page.keyboard.press("u")
    compared(page, 2)
    page.get_by_role("button", name="Both bad").click()
    compared(page, 3)
    assert sorted(answers(study, "Ada")) == ["both bad", "left", "tie"]
    page.go_back()
    page.get_by_role("button", name="I agree, begin").wait_for()
    page.go_forward()
    compared(page, 3)
    other = page.context.new_page()  # a second tab
    other.goto(page.url)
    compared(other, 3)
    other.keyboard.press("ArrowRight")
    compared(other, 4)
    page.keyboard.press("ArrowRight")  # to a question that is no longer asked
    compared(page, 4)
    for count in (5, 6):
        page.keyboard.press("1")
        compared(page, count)
    expect(page.get_by_role("heading", name="Thank you, Ada.")).to_be_visible()
    expect(page.locator("#summary")).to_contain_text("You compared 6 pairs.")
    assert len(answers(study, "Ada")) == 6
    assert errors == []
    page.context.close()


def test_zoom_is_on_both_pictures_at_once(browser, study):
    page = begun(browser, study, "Bo")
    look = "[...document.querySelectorAll('#pair img')].map(image => getComputedStyle(image).transform)"
    assert page.evaluate(look) == ["none", "none"]
    page.keyboard.press("z")
    assert page.evaluate(look) == ["matrix(2.5, 0, 0, 2.5, 0, 0)"] * 2
    origin = "getComputedStyle(document.querySelector('#pair')).getPropertyValue('--x')"
    page.keyboard.press("Shift+ArrowLeft")
    assert page.evaluate(origin) == "40%"
    page.locator("#left").click(position={"x": 5, "y": 50})
    assert float(page.evaluate(origin).rstrip("%")) < 3
    assert answers(study, "Bo") == []  # a click moves the view there
    page.keyboard.press("z")
    assert page.evaluate(look) == ["none", "none"]
    page.context.close()


@pytest.mark.parametrize("size", SIZES)
def test_all_of_it_is_within_the_window_and_large_enough_to_touch(browser, study, size):
    page = begun(browser, study, size, size, has_touch=size == "phone")
    width, height = SIZES[size]
    boxes = [each.bounding_box() for each in page.locator("#vote button").all()]
    assert all(box["width"] >= 44 and box["height"] >= 44 for box in boxes)
    assert all(box["x"] >= 0 and box["x"] + box["width"] <= width for box in boxes)
    assert all(box["y"] >= 0 and box["y"] + box["height"] <= height for box in boxes)
    left, right = boxes[:2]
    assert (left["y"] == right["y"]) == (size != "phone")
    assert left["width"] == right["width"] >= 300
    if size == "phone":
        # Playwright's touches do not reach a page in Firefox.
        touch = Locator.tap if browser.browser_type.name == "chromium" else Locator.click
        touch(page.get_by_role("button", name="The upper picture is better"))
        compared(page, 1)
        touch(page.get_by_role("button", name="Lower", exact=True))
        compared(page, 2)
        assert sorted(answers(study, size)) == ["left", "right"]
    page.context.close()


@needs_axe
def test_axe_finds_nothing_in_light_and_dark(browser, study):
    for scheme in ("light", "dark"):
        page = browser.new_context(color_scheme=scheme).new_page()
        page.goto(study[1].url)
        page.locator("#consent").wait_for()
        found = [(scheme, "consent", violations(page))]
        page.fill("#name", f"axe {scheme}")
        page.get_by_role("button", name="I agree, begin").click()
        compared(page, 0)
        assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Two pictures"
        found.append((scheme, "vote", violations(page)))
        if scheme == "dark":
            for count in range(1, 7):
                page.keyboard.press("ArrowDown")
                compared(page, count)
            found.append((scheme, "end", violations(page)))
        assert [each for each in found if each[2]] == []
        page.context.close()


def violations(page):
    # The page's policy allows no further script element.
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("async () => (await axe.run()).violations")
    return [(each["id"], [node["html"][:200] for node in each["nodes"]]) for each in found]
