"""The panel in a real browser: typed, clicked, saved, and read by who cannot see it.

In JupyterLab, and in the whole check in Notebook 7 too: one server and one browser for each.
Every check tries Notebook 7 in `test_prose.py`.
"""

import datetime
import hashlib
import json
import random
import re
from pathlib import Path

import nbformat
import pytest
from desk import BUSY, ICONS, PANEL, STILL, Desk, needs_axe, notebook, serving, violations, wait_until
from lab import IN_A_BROWSER, Lab, Notebook7
from playwright.sync_api import expect
from sampling import rounds

from beluga_nb.session.session import Session

pytestmark = IN_A_BROWSER


@pytest.fixture(scope="module", params=[Lab, pytest.param(Notebook7, marks=pytest.mark.whole)])
def app(request):
    # Without windowing, what is below the window is drawn too.
    settings = {"@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"}}
    with serving(request.param, settings=settings, voila=True) as app:
        yield app


SCROLLERS = """panel => {
    let count = 0;
    while ((panel = panel.parentElement)) {
        count += ['auto', 'scroll', 'hidden'].includes(getComputedStyle(panel).overflowY)
            && Boolean(panel.closest('.jp-Notebook .jp-WindowedPanel-outer'));
    }
    return count;
}"""
"""How many elements around a panel, the notebook's own included, scroll what is in them."""


in_lab = pytest.mark.parametrize("app", [Lab], indirect=True)
"""For what depends on no front end."""


@pytest.fixture
def opened(app, request):
    """Open a notebook with a panel and these cells below it, run the panel, and return its desk."""

    def with_cells(*cells):
        app.open(notebook(*cells), f"{request.node.name.split('[')[0]}.ipynb")
        app.run(0)
        return Desk(app.page).ready()

    return with_cells


def test_a_prompt_is_typed_and_generated_with_the_keyboard_alone(opened, app, tmp_path):
    desk = opened("panel.selected[0].size")
    keys = app.page.keyboard
    desk.panel.get_by_role("textbox", name="Prompt", exact=True).focus()
    for prompt in ("a red fox", "a white fox"):
        keys.press("Control+a")
        keys.type(prompt)
        keys.press("Control+Enter")
        expect(desk.tiles.filter(has_text=prompt)).to_have_count(1)
    order = []
    for _ in range(60):
        keys.press("Tab")
        order.append(
            app.page.evaluate(
                """() => { const it = document.activeElement;
                    return it.getAttribute('aria-label') || it.labels?.[0]?.innerText || it.innerText; }"""
            )
        )
        if order[-1].startswith("a white fox"):
            break
    named = ["Model", "default", "more…", "Pictures", "Advanced", "Show 1 recorded", "☆ Favourite"]
    places = [next(n for n, each in enumerate(order) if each.startswith(name)) for name in named]
    assert places == sorted(places)
    assert order[-1].startswith("a white fox")
    keys.press("ArrowRight")
    keys.press("Enter")
    expect(desk.tiles.nth(1)).to_have_class(re.compile("beluga-chosen"))
    expect(desk.large).to_have_attribute("alt", "a red fox")
    expect(desk.tile(0)).to_have_attribute("tabindex", "-1")
    for _ in range(3):
        keys.press("Tab")
    assert app.page.evaluate("!document.activeElement.closest('.beluga-tiles')"), "one tile is on the way"
    app.picture(tmp_path / "keyboard.png")
    quality = desk.panel.get_by_label("Quality", exact=True)
    expect(quality).to_be_hidden()
    desk.button("Advanced").focus()
    keys.press("Enter")
    quality.focus()
    keys.press("ArrowDown")
    expect(quality).to_have_value("standard")
    assert quality.evaluate("it => it === document.activeElement"), "the notebook's cursor stays where it is"
    before = app.notebook.stat().st_mtime_ns
    keys.press("Control+s")
    wait_until(lambda: app.notebook.stat().st_mtime_ns != before)


@in_lab
def test_what_is_sent_is_what_was_typed_however_fast(opened, app):
    desk = opened("panel.result.request.take")
    desk.button("Advanced").click()
    heard = desk.panel.locator("[class*=beluga-received]")
    expect(heard).to_have_count(7)
    assert not any(each.is_visible() for each in heard.all())
    for turn in range(4):
        prompt, take = f"{turn}: a fox that jumps over the lazy dog", f"take {turn}"
        desk.panel.get_by_role("textbox", name="Take", exact=True).focus()
        app.page.keyboard.press("Control+a")
        app.page.keyboard.type(take)
        desk.panel.get_by_role("textbox", name="Prompt", exact=True).focus()
        app.page.keyboard.press("Control+a")
        app.page.keyboard.type(prompt)
        app.page.keyboard.press("Control+Enter")
        desk.panel.locator(".beluga-message").get_by_text(f"1 picture of “{prompt}”.").wait_for()
    app.run(1)
    assert "'take 3'" in app.cell(1).inner_text()


ENLARGED = """() => {
    const {naturalWidth, naturalHeight} = document.querySelector('.beluga-stage img');
    return Math.max(naturalWidth, naturalHeight) > 700;
}"""
"""Whether the stage has its picture, and no longer the one of the tile."""


@in_lab
def test_the_picture_on_the_stage_takes_most_of_the_room_and_at_most_60_percent_of_the_window(opened, app):
    desk = opened()
    for shape in ("tall", "wide"):
        desk.type(f"a {shape} tower")
        desk.go.click()
        expect(desk.large).to_have_attribute("alt", f"a {shape} tower")
        app.page.wait_for_function(ENLARGED)
        for width, height in ((1400, 1500), (1000, 700), (600, 900), (1280, 1000)):
            app.page.set_viewport_size({"width": width, "height": height})
            box, room = desk.large.bounding_box(), desk.panel.locator(".beluga-canvas").bounding_box()
            assert box["height"] <= 0.6 * height
            assert box["width"] <= room["width"]
            assert box["height"] >= 0.45 * height or box["width"] >= 0.9 * min(room["width"], 960)


@in_lab
def test_panels_and_other_kernels_know_of_each_other(opened, app):
    desk = opened(PANEL)
    app.run(1)
    other = Desk(app.page, 1).ready()
    desk.generate("a hen")
    other.panel.hover()
    expect(other.tiles.filter(has_text="a hen")).to_have_count(1)
    Session(environ=app.environment, folder=app.work).generate("an owl")
    for each in (desk, other):
        app.page.mouse.move(0, 0)
        each.panel.hover()
        expect(each.tiles.filter(has_text="an owl")).to_have_count(1)


def test_two_run_at_once_and_stop_stops_while_a_cell_sleeps(opened, app, tmp_path):
    desk = opened("import time\nprint('asleep')\ntime.sleep(20)")
    for prompt in ("a slow fox", "a slow whale"):
        desk.type(prompt)
        desk.go.click()
        assert app.service.asked.acquire(timeout=60)
    stops = desk.panel.get_by_role("button", name="Stop “")
    expect(stops).to_have_count(2)
    expect(desk.button("Stop all")).to_be_visible()
    app.start(1)
    app.cell(1).get_by_text("asleep").last.wait_for()
    running = desk.panel.get_by_role("group", name="Running and failed calls")
    expect(running.get_by_role("button", name="Stop “")).to_have_count(2)
    assert running.locator("xpath=ancestor-or-self::*[@role='status' or @aria-live]").count() == 0
    app.picture(tmp_path / "two at once.png")
    stops.first.click()
    assert app.service.left.acquire(timeout=60)
    expect(stops).to_have_count(1)
    assert "*" in app.cell(1).locator(".jp-InputPrompt").inner_text(), "the cell still runs"
    stops.first.click()
    expect(stops).to_have_count(0)
    assert app.service.left.acquire(timeout=60)
    expect(desk.panel.locator(".beluga-message").first).to_contain_text("Stopped")
    app.cell(1).locator(".jp-InputPrompt").click()
    for _ in range(2):
        app.page.keyboard.press("i")
    app.cell(1).get_by_text("KeyboardInterrupt").first.wait_for()
    desk.generate("a fox after all")


@in_lab
def test_a_click_that_the_kernel_cannot_hear_yet_says_that_it_waits(opened, app):
    desk = opened(BUSY)
    desk.type("a patient fox")
    expect(desk.go).to_have_text("Generate 1")
    app.start(1)
    wait_until((app.work / "held").exists)
    desk.go.click()
    waiting = desk.panel.locator(".beluga-waiting[role=status]")
    expect(waiting).to_have_text("Waits for the kernel: a cell may be running.")
    (app.work / "go").touch()
    desk.panel.locator(".beluga-message").get_by_text("1 picture of “a patient fox”.").wait_for()
    expect(waiting).to_have_text("")


@in_lab
def test_what_the_kernel_says_of_the_form_before_takes_no_click_away(opened, app):
    desk = opened(BUSY)
    for file in ("held", "go"):
        (app.work / file).unlink(missing_ok=True)
    desk.model("flux-2.0")
    desk.type("foxes in time")
    desk.panel.get_by_text("1 to buy").wait_for()
    app.start(1)
    wait_until((app.work / "held").exists)
    desk.count(2)
    # As a message does that was on its way while the number was typed.
    desk.go.evaluate("it => { it.textContent = 'Generate 1'; }")
    expect(desk.go).to_have_text("Generate 2")
    desk.go.click()
    (app.work / "go").touch()
    desk.panel.locator(".beluga-message").get_by_text("2 pictures of “foxes in time”.").wait_for()


@in_lab
@pytest.mark.sampled(4)
@pytest.mark.parametrize("seed", range(40))
def test_a_click_while_a_cell_runs_buys_what_the_page_said_then_or_says_that_it_bought_nothing(
    seed, opened, app
):
    chance, wanted = random.Random(seed), {}
    becomes = chance.choice(
        ["", "animal = 'hen'", "%beluga config mode=refresh", "%beluga config mode=replay"]
    )
    desk = opened("animal = 'fox'\n%beluga config mode=auto", f"{becomes}\n{BUSY}")
    app.run(1)
    for file in ("held", "go"):
        (app.work / file).unlink(missing_ok=True)

    def change(*parts):
        for part in chance.sample(parts, chance.randint(0, len(parts))):
            wanted[part] = chance.choice(
                [f"a {{{{animal}}}} {seed}", f"an owl {seed}"] if part == "prompt" else [1, 2, 3]
            )
            (desk.type if part == "prompt" else desk.count)(wanted[part])

    desk.model("flux-2.0")
    change("prompt", "n")
    wanted.setdefault("prompt", f"a {{{{animal}}}} {seed}")
    desk.type(wanted["prompt"])
    if chance.random() < 0.7:
        desk.panel.get_by_text("already in the store").wait_for()
    asked = len(app.service.requests)
    app.start(2)
    wait_until((app.work / "held").exists)
    if chance.random() < 0.5:
        change("prompt", "n")
    shown, reported = dict(wanted), desk.panel.locator(".beluga-clicks textarea")
    for _ in range(chance.choice([1, 1, 2])):
        desk.go.click()
    if chance.random() < 0.7:
        wait_until(lambda: reported.input_value())
    change("prompt", "n")
    (app.work / "go").touch()
    app.cell(2).locator(app.prompt).filter(has_text=re.compile(r"\d")).wait_for()
    # In mode replay, an error says that it is not recorded.
    nothing = desk.panel.get_by_text("Nothing was sent").or_(desk.panel.get_by_role("alert"))
    made = desk.panel.locator(".beluga-message").get_by_text("of “")
    nothing.or_(made).first.wait_for()
    bought = [(each.prompt, each.n) for each in app.service.requests[asked:]]
    assert bought in ([], [(shown["prompt"].replace("{{animal}}", "fox"), shown.get("n", 1))])
    assert bought or nothing.count()


def test_the_sizes_change_with_the_model(opened):
    desk = opened()
    assert desk.sizes() == ["default", "1:1", "16:9", "9:16", "4:3", "3:4", "3:2"]
    desk.button("more…").click()
    expect(desk.panel.get_by_label("9:21")).to_be_visible()
    assert len(desk.sizes()) == 15
    model = desk.panel.get_by_role("combobox", name="Model")
    model.focus()
    expect(model).to_have_value("")
    model.fill("seedream")
    desk.panel.get_by_text("Choose one: seedream-4.0, seedream-4.5, seedream-5.0-lite.").wait_for()
    expect(desk.go).to_be_disabled()
    desk.model("seedream-4.5")
    desk.panel.get_by_text("Seedream 4.5, by ByteDance: 5 sizes, 4 pictures per request.").wait_for()
    expect(desk.panel.get_by_label("9:21")).to_have_count(0)
    assert desk.sizes() == ["default", "1:1", "16:9", "9:16", "4:3", "3:4", "auto"]
    desk.panel.get_by_label("16:9").check(force=True)
    desk.panel.get_by_text("16:9, best for thumbnails").wait_for()
    desk.type("a fox")
    for n in (4, 2):
        desk.count(n)
        expect(desk.panel.locator(".beluga-counts [aria-pressed=true]")).to_have_text(str(n))
    desk.count(44)
    desk.panel.get_by_text("The panel asks for 10 pictures at most, not 44.").wait_for()
    expect(desk.go).to_be_disabled()
    assert desk.panel.evaluate(SCROLLERS) <= 1, "but for the notebook nothing scrolls, so the form sticks"
    assert desk.panel.locator(".beluga-form + .beluga-canvas").count(), "beside the stage, and no further"


def test_an_error_is_shown_in_the_panel_and_the_next_click_works(opened, tmp_path, app):
    desk = opened()
    desk.type("a bad fox")
    desk.go.click()
    trouble = desk.panel.get_by_role("alert")
    expect(trouble).to_contain_text("APIStatusError: The prompt was refused.")
    expect(trouble.locator(".beluga-badge")).to_have_text("not billed")
    assert " not billed." in trouble.aria_snapshot(), "a sentence that ends before the next one"
    failed = desk.panel.locator(".beluga-failed")
    expect(failed).to_contain_text("not billed")
    app.picture(tmp_path / "error.png")
    failed.get_by_role("button", name="Remove this tile").click()
    expect(failed).to_have_count(0)
    expect(trouble).to_be_hidden()
    desk.type("another bad fox")
    desk.go.click()
    expect(trouble).to_contain_text("APIStatusError: The prompt was refused.")
    desk.generate("a good fox")
    expect(trouble).to_be_hidden()
    failed.get_by_role("button", name="Remove this tile").click()
    expect(failed).to_have_count(0)
    assert desk.loaded()[0].startswith("a good fox")


def test_a_cell_is_inserted_runs_and_gives_the_same(opened, app):
    desk = opened("panel.result.pictures[0].sha256")
    desk.generate('a fox, "quoted" (really)?')
    asked = len(app.service.requests)
    desk.button("⋯ More").click()
    desk.button("Insert as cell").click()
    inserted = app.cell(1)
    expect(inserted.locator(".cm-content")).to_contain_text('a fox, "quoted" (really)?')
    app.run(1)
    app.run(2)
    assert len(app.service.requests) == asked, "it is replayed"
    saved = app.save()
    assert saved.cells[1].source == '%%beluga -m gpt-image-2\na fox, "quoted" (really)?'
    sha256 = saved.cells[2].outputs[0].data["text/plain"].strip("'")
    assert f"sha256:{sha256}" in saved.cells[1].outputs[0].data["text/plain"]


def test_a_picture_is_enlarged_compared_and_downloaded(opened, app, tmp_path):
    desk = opened("print(panel.selected.pictures[0].sha256)")
    desk.generate("foxes to compare", n=3)
    desk.tile(1).click()
    large = desk.large
    expect(large).to_have_attribute("alt", "foxes to compare")
    app.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    desk.button("⋯ More").click()
    desk.button("Copy prompt").click()
    assert app.page.evaluate("navigator.clipboard.readText()") == "foxes to compare"
    with app.page.expect_download() as downloading:
        desk.button("Download").click()
    data = Path(downloading.value.path()).read_bytes()
    app.run(1)
    assert hashlib.sha256(data).hexdigest() in app.cell(1).locator(".jp-OutputArea").inner_text()
    box = desk.tiles.first.locator(".beluga-pick")
    desk.go.hover()
    expect(box).to_have_css("opacity", "0")
    desk.tab("Compare")
    expect(box).to_have_css("opacity", "1")
    desk.tab("Picture")
    for number in (0, 1):
        desk.pick(number)
    sights = desk.panel.locator(".beluga-compared img:visible")
    expect(sights).to_have_count(2)
    captions = desk.panel.locator(".beluga-slot > .beluga-note").all_inner_texts()
    assert captions[:2] == ["flux-2.0 · 96 × 64 · #1", "flux-2.0 · 96 × 64 · #2"]
    sent = [each.get_attribute("src") for each in sights.all()]

    def drawn(trait):
        return sights.evaluate_all(f"them => them.map(it => getComputedStyle(it).{trait})")

    sights.first.hover()
    app.page.mouse.wheel(0, -100)
    zoomed, other = drawn("transform")
    assert zoomed == other != "none", "the same part of all"
    app.page.mouse.down()
    app.page.mouse.move(500, 900, steps=4)
    app.page.mouse.up()
    moved, other = drawn("transform")
    assert moved == other != zoomed
    app.picture(tmp_path / "side by side.png")
    desk.panel.get_by_label("How", exact=True).select_option("slider")
    handle = desk.panel.get_by_role("slider", name="Split")
    handle.focus()
    app.page.keyboard.press("ArrowRight")
    expect(handle).to_have_attribute("aria-valuenow", "55")
    frame = desk.panel.locator(".beluga-frame").nth(1)
    assert frame.evaluate("it => getComputedStyle(it).clipPath").endswith("55%)")
    boxes = desk.panel.locator(".beluga-frame:visible").evaluate_all(
        "them => them.map(it => JSON.stringify(it.getBoundingClientRect()))"
    )
    assert len(boxes) == 2
    assert len(set(boxes)) == 1, "one over the other"
    assert set(drawn("objectFit")) == {"contain"}, "no picture is stretched"
    app.picture(tmp_path / "slider.png")
    desk.panel.get_by_label("How", exact=True).select_option("difference")
    assert frame.evaluate("it => getComputedStyle(it).mixBlendMode") == "difference"
    assert [each.get_attribute("src") for each in sights.all()] == sent, "nothing was sent again"


@in_lab
def test_axes_are_chips_whose_text_the_grid_and_its_cell_have(opened, app, tmp_path):
    desk = opened("g = beluga_nb.grid('a {{animal}}', animal=['owl', 'a, b'])")
    app.run(1)
    keys = app.page.keyboard
    chips = desk.panel.locator(".beluga-chip")
    text = desk.panel.locator(".beluga-axes textarea")
    plan = desk.panel.locator(".beluga-plan")
    desk.tab("Grid")
    desk.type("a {{animal}}, {{style}}")
    desk.button("Add the axis animal").focus()
    keys.press("Enter")
    field = desk.panel.get_by_role("combobox", name="Add values of animal")
    expect(field).to_be_focused()
    keys.type("fox,hen,owl")
    keys.press("Enter")
    keys.type('"sea lion, wet",')
    expect(chips).to_have_text(["fox×", "hen×", "owl×", "sea lion, wet×"])
    keys.press("Backspace")
    keys.press("Shift+Tab")
    expect(desk.button("Remove owl")).to_be_focused()
    keys.press("Enter")
    expect(field).to_be_focused()
    expect(text).to_have_value("animal: fox, hen")
    name = desk.panel.get_by_role("combobox", name="Axis", exact=True).last
    name.focus()
    keys.type("style")
    keys.press("Tab")
    expect(desk.panel.get_by_role("combobox", name="Add values of style")).to_be_focused()
    app.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    app.page.evaluate("navigator.clipboard.writeText('flat, ink, oil')")
    keys.press("Control+v")
    expect(text).to_have_value("animal: fox, hen\nstyle: flat, ink, oil")
    expect(plan).to_contain_text("6 combinations, 6 pictures")
    expect(plan).to_have_attribute("role", "status")
    app.picture(tmp_path / "chips.png")
    # A click does not overtake what was typed just before.
    keys.type("wet")
    desk.button("Run grid").click()
    expect(desk.panel.get_by_role("status").get_by_text("8 of 8 cells done.")).to_be_visible()
    desk.button("Insert grid as cell").click()
    expect(app.cell(1)).to_contain_text(
        "%%beluga compare --axis animal=fox,hen --axis style=flat,ink,oil,wet"
    )
    desk.button("As text").click()
    text.fill("@g")
    expect(text).to_have_value('animal: owl, "a, b"')
    expect(chips).to_have_text(["owl×", "a, b×"])
    desk.button("Remove the axis animal").click()
    expect(text).to_have_value("")
    expect(chips).to_have_count(0)


def test_after_a_restart_one_banner_says_so_and_then_the_pictures_are_there(opened, app, tmp_path):
    desk = opened()
    desk.generate("a fox for ever", n=2)
    desk.button("☆ Favourite").click()
    desk.button("★ Favourite").wait_for()
    if app.app == "lab":  # where a kernel can be restarted without its menu
        app.restart_kernel()
        app.page.locator(".beluga-panel .jupyter-widgets-disconnected").first.wait_for(state="attached")
        layout = app.page.locator(".beluga-layout")
        assert "Run this cell again" in layout.evaluate("it => getComputedStyle(it, '::after').content")
        assert app.page.evaluate(ICONS) == 0
        expect(desk.large).to_be_visible()
        expect(desk.panel.locator(".beluga-form")).to_have_attribute("inert", "")
        app.picture(tmp_path / "ended.png")
    app.restart()
    app.run(0)
    desk = Desk(app.page).ready()
    expect(desk.large).to_have_attribute("alt", re.compile("."))
    desk.button("History").click()
    desk.panel.get_by_role("checkbox", name="Favourites only").check()
    desk.panel.get_by_role("textbox", name="Search prompts").fill("FOR EVER")
    expect(desk.tiles).to_have_count(1)
    app.picture(tmp_path / "history.png")
    desk.tile(0).click()
    expect(desk.large).to_have_attribute("alt", "a fox for ever")


@in_lab
def test_the_history_is_narrowed_by_model_and_by_day(opened, app, tmp_path):
    desk = opened()
    desk.generate("a snow fox")
    desk.generate("snow foxes", n=2)
    desk.button("History").click()
    desk.panel.get_by_role("textbox", name="Search prompts").fill("snow")
    expect(desk.tiles).to_have_count(3)
    model = desk.panel.get_by_label("Of model", exact=True)
    model.select_option("flux-2.0")
    expect(desk.tiles).to_have_count(2)
    day = datetime.date.fromisoformat(desk.panel.locator(".beluga-day").first.inner_text())
    first, last = (desk.panel.get_by_label(words, exact=True) for words in ("From", "Until"))
    nothing = desk.panel.get_by_text("Nothing that fits is recorded.")
    for field, beyond in ((first, 1), (last, -1)):
        field.fill(str(day + datetime.timedelta(days=beyond)))
        nothing.wait_for()
        field.fill(str(day))
        expect(desk.tiles).to_have_count(2)
    model.select_option("every model")
    expect(desk.tiles).to_have_count(3)
    app.picture(tmp_path / "filtered.png")
    last.fill(str(day - datetime.timedelta(days=1)))
    nothing.wait_for()
    last.fill("")
    expect(desk.tiles).to_have_count(3)


AT = """number => {
    const tile = document.activeElement.closest('.beluga-tile');
    const tiles = [...document.querySelectorAll('.beluga-tile')].filter(it => it.offsetParent);
    const [first, , total] = document.querySelector('.beluga-window').textContent.split(' ').map(Number);
    if (!tile || first + tiles.indexOf(tile) != (number + total) % total) return false;
    const seen = tile.getBoundingClientRect(), all = tile.parentElement.getBoundingClientRect();
    return seen.right > all.left && seen.left < all.right && seen.bottom > all.top && seen.top < all.bottom;
}"""
"""Whether the picture of this number, from 0 or from the end, has the focus and is seen."""

HEARD = """() => {
    const report = JSON.parse(document.querySelector('.beluga-clicks textarea').value).at(-1);
    return document.querySelector('.beluga-heard').textContent.trim().endsWith(` ${report.number}`);
}"""
"""Whether the kernel has heard of every click."""

COLUMNS = """(() => {
    const style = getComputedStyle(document.querySelector('.beluga-tiles'));
    return style.display === 'grid' ? style.gridTemplateColumns.split(' ').length : 1;
})()"""
"""How many tiles stand side by side, in rows; 1 in a strip."""


@in_lab
def test_arrows_reach_every_picture_of_a_long_filmstrip(opened, app):
    desk = opened("beluga_nb.grid('number {{a}}', a=[*map(str, range(60))]).run(assume_yes=True)")
    app.run(1)
    count = desk.panel.locator(".beluga-count")
    wait_until(lambda: int(count.inner_text().split()[0]) >= 60)
    keys, strip = app.page.keyboard, desk.panel.locator(".beluga-tiles")
    for layout in ("a row", "rows"):
        if layout == "rows":
            desk.button("History").click()
        desk.tile(0).focus()
        for number in range(rounds(12, 50)):
            app.page.wait_for_function(AT, arg=number)
            keys.press("ArrowRight")
        keys.press("End")
        app.page.wait_for_function(AT, arg=-1)
        for key, step in (("ArrowRight", 1), ("ArrowDown", app.page.evaluate(COLUMNS))):
            keys.press("Home")
            app.page.wait_for_function(AT, arg=0)
            for _ in range(45 // step):  # as a key that is held
                keys.down(key)
            keys.up(key)
            app.page.wait_for_function(AT, arg=45 // step * step)
        keys.press("Home")
        app.page.wait_for_function(AT, arg=0)
    # The browser keeps no tile in its place while other tiles come: the strip would scroll on by itself.
    strip.hover()
    for _ in range(8):
        app.page.mouse.wheel(0, 60)
        app.page.wait_for_timeout(100)
    app.page.wait_for_timeout(500)
    assert strip.evaluate("it => it.scrollTop") == 480


CAPTIONS = """() => [...document.querySelectorAll('.beluga-tile > button:first-of-type')].map(it =>
    [it.title.slice(0, it.title.lastIndexOf(', ')), it.textContent, it.scrollWidth <= it.clientWidth])"""
"""Of each tile the prompt, its caption, and whether the caption fits."""


def is_cut_at_a_word(prompt, caption, fits):
    shown = caption.removesuffix("…")
    rest = prompt.removeprefix(shown).lstrip(",;")
    return prompt.startswith(shown) and rest[:1] in {"", " "} and (fits or " " not in shown)


@in_lab
def test_a_long_prompt_ends_with_a_whole_word_on_its_tile_and_is_there_when_it_is_pointed_at(opened, app):
    chance = random.Random(19)
    words = "fox a of in lighthouse, snow; under mountains Überschwemmung 雪 impressionistic oil".split()  # noqa: SIM905
    prompts = {" ".join(chance.choices(words, k=chance.randint(1, 14))) for _ in range(16)}
    desk = opened(f"for prompt in {sorted(prompts)}: beluga_nb.generate(prompt)")
    app.run(1)
    desk.panel.hover()
    wait_until(lambda: prompts & {prompt for prompt, *_ in app.page.evaluate(CAPTIONS)})
    for strip in ("a row", "rows"):
        if strip == "rows":
            desk.button("History").click()
        wait_until(lambda: all(is_cut_at_a_word(*each) for each in app.page.evaluate(CAPTIONS)))


@in_lab
def test_a_note_that_waits_is_about_the_picture_that_was_on_the_stage(opened, app):
    other = "panel.controller.choose(panel.state.gallery[1])"
    desk = opened(
        f"{BUSY}\n{other}", "[panel.controller.data.note(each.sha256).note for each in panel.result.pictures]"
    )
    for file in ("held", "go"):
        (app.work / file).unlink(missing_ok=True)
    desk.generate("foxes to note", n=2)
    desk.button("⋯ More").click()
    note = desk.panel.get_by_label("Note", exact=True)
    note.fill("#first")
    note.press("Enter")
    app.start(1)
    wait_until((app.work / "held").exists)
    note.fill("#second")
    note.press("Enter")
    (app.work / "go").touch()
    app.page.wait_for_function(HEARD)
    app.run(2)
    # With subshells, it may have been heard before the cell went on.
    expect(app.cell(2).locator(".jp-OutputArea")).to_have_text(re.compile(r"\['#(first|second)', ''\]"))


def test_a_saved_notebook_shows_its_pictures_to_a_stranger_and_to_its_owner(opened, app, tmp_path):
    desk = opened()
    desk.generate("a fox to keep", n=2)
    app.page.wait_for_function(
        "document.querySelectorAll('.jp-OutputArea figure img[alt=\"a fox to keep\"]').length == 2"
    )
    assert app.page.evaluate(STILL) == [], "the panel itself is there to be looked at"
    saved = app.save()
    assert len(json.dumps(saved)) < 250_000
    app.visit()
    assert len([words for words in Desk(app.page).ready().loaded() if "a fox to keep" in words]) == 2
    assert app.page.evaluate(STILL) == [], "while its kernel lives, the panel itself comes back"
    app.shut_down()
    app.visit()
    app.page.wait_for_function(f"({STILL})().length == 2")
    assert not app.page.get_by_text("Loading widget...").is_visible()
    expect(app.page.get_by_text("Error displaying widget")).to_be_hidden()
    app.picture(tmp_path / "reopened.png")
    foreign = nbformat.from_dict(saved)
    foreign.cells.append(nbformat.v4.new_markdown_cell("from elsewhere"))
    app.open(foreign, "foreign.ipynb")
    app.page.wait_for_function(f"({STILL})().length == 2")
    assert app.page.evaluate(STILL) == ["a fox to keep"] * 2
    assert app.page.locator(".beluga-panel").count() == 0
    app.picture(tmp_path / "untrusted.png")


@needs_axe
@pytest.mark.parametrize("theme", ["JupyterLab Light", "JupyterLab Dark"])
def test_who_cannot_see_it_can_use_it_in_light_and_dark_and_on_a_narrow_page(opened, app, theme, tmp_path):
    app.set("@jupyterlab/apputils-extension/themes", {"theme": theme})
    desk = opened()
    app.page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
    desk.generate("foxes for all", n=2)
    for words in ("⋯ More", "Insert as cell", "Advanced", "History"):
        desk.button(words).click()
    found = violations(app.page, "Picture")
    app.picture(tmp_path / f"picture in {theme}.png")
    for number in (0, 1):
        desk.pick(number)
    expect(desk.panel.locator(".beluga-compared img:visible")).to_have_count(2)
    found += violations(app.page, "Compare")
    app.picture(tmp_path / f"compare in {theme}.png")
    assert found == []
    with app.at_width(400):
        desk.tab("Picture")
        app.picture(tmp_path / f"narrow in {theme}.png")
        assert desk.outside() == []


READ = """
- region "beluga_nb panel":
  - group "Who answers": /Answers. .* Mode. auto\\. .*/
  - text: Prompt
  - textbox "Prompt"
  - combobox "Model"
  - radiogroup "Size"
  - button "more…"
  - spinbutton "Pictures"
  - button "1 picture"
  - button "2 pictures"
  - button "4 pictures"
  - button "Advanced"
  - button "Show 1 recorded"
  - status: 1 picture of “a fox to hear”.
  - tablist:
    - tab "Picture" [selected]
    - tab "Compare"
    - tab "Grid"
  - tabpanel "Picture":
    - img "a fox to hear"
    - button "☆ Favourite"
    - button "New take"
    - button "⋯ More"
  - button "History"
  - 'group "Pictures: arrows move"':
    - 'button "a fox to hear, gpt-image-2 · #1" [pressed]'
    - 'button "Favourite: a fox to hear, gpt-image-2 · #1"'
    - 'button "Select: a fox to hear, gpt-image-2 · #1"'
"""
"""Names, roles and states of the panel, in the order in which a screen reader says them."""


@in_lab
def test_a_screen_reader_says_the_panel_in_its_order_and_a_prompt_no_more_than_twice(opened):
    desk = opened()
    desk.generate("a fox to hear")
    expect(desk.go).to_have_text("Show 1 recorded")
    expect(desk.panel).to_match_aria_snapshot(READ)
    stage = desk.panel.get_by_role("tabpanel").aria_snapshot()
    assert stage.count("a fox to hear") == 2, "of the picture, and as its title"


SMALL = """panel => [...panel.querySelectorAll('button, select, input, [role=tab], .beluga-sizes label')]
    .filter(each => each.offsetParent && !each.matches('[type=radio], [type=checkbox], .widget-label'))
    // A tile's button covers all of its tile.
    .map(each => each.matches('.beluga-tile > :not(.beluga-star, .beluga-pick)') ? each.parentElement : each)
    .map(each => [each.outerHTML.slice(0, 120), each.getBoundingClientRect()])
    .filter(([_, {width, height}]) => width < 44 || height < 44).map(([words]) => words)"""
"""The controls of a panel that are too small for a finger."""


@in_lab
@pytest.mark.everywhere
def test_fingers_find_every_control_and_move_the_compared_pictures(opened, app, tmp_path):
    opened().generate("foxes to touch", n=2)
    app.save()
    context = app.browser.new_context(viewport={"width": 820, "height": 1180}, has_touch=True, is_mobile=True)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.goto(app.address)
    desk = Desk(page).ready()
    expect(desk.tiles).to_have_count(2)
    for number in (0, 1):
        desk.tiles.nth(number).locator(".beluga-pick").tap()
    expect(desk.panel.locator(".beluga-compared img:visible")).to_have_count(2)
    desk.button("History").tap()
    for tab in ("Picture", "Compare", "Grid"):
        desk.panel.get_by_role("tab", name=tab).tap()
        page.screenshot(path=tmp_path / f"{tab}.png")
        assert desk.panel.evaluate(SMALL) == []
    desk.button("Add the axis size").tap()
    page.keyboard.insert_text("1:1,16:9,")
    expect(desk.panel.locator(".beluga-chip")).to_have_count(2)
    desk.button("Remove 16:9").tap()
    expect(desk.panel.locator(".beluga-chip")).to_have_count(1)
    context.close()


@in_lab
def test_voila_shows_the_same_panel(app, tmp_path):
    nbformat.write(notebook(), app.work / "page.ipynb")
    app.page.goto(f"{app.url}voila/render/page.ipynb?token=test")
    desk = Desk(app.page).ready()
    desk.generate("a fox in a page")
    assert desk.loaded()[0] == "a fox in a page, gpt-image-2 · #1"
    app.picture(tmp_path / "voila.png")
