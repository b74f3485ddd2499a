"""What is seen of the panel, without a browser: the widgets themselves, and what a notebook keeps of them."""

import itertools
import json
import re

import ipywidgets as widgets
import nbformat
import pytest
from benches import all_widgets, ask, fill, of_class, panel_at, rest, settled, states, widget
from conftest import KEY, drawing, service
from kernels import Kernel, clean_environment
from leaks import leaks, spellings
from nbclient import NotebookClient
from nbconvert import HTMLExporter, MarkdownExporter
from needed import needed

from beluga_nb.errors import APIStatusError
from beluga_nb.result import ImagePayload, Preview, Result
from beluga_nb.show.widget import WIDGET
from beluga_nb.store.notebooks import read_bytes
from beluga_nb.store.records import Store
from beluga_nb.store.verify import verify
from beluga_nb.widgets.state import Work
from beluga_nb.widgets.view.parts import Words
from beluga_nb.widgets.view.tiles import Tile, Tiles

CELL = "Its cell (copy it if none appeared)"

ATTACK = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'>"

PANEL = "import beluga_nb\npanel = beluga_nb.panel()\npanel"
MADE = """
panel.state.model = "flux-2.0"
panel.state.prompt = "a fox"
panel.state.n = 2
panel.controller.generate().result()
for job in panel.controller.jobs:
    try:
        job.result()
    except BaseException:
        pass
"""


@pytest.fixture(scope="module")
def base_url():
    with service(drawing) as running:
        yield running


@pytest.fixture
def panel(base_url, tmp_path):
    return panel_at(base_url, tmp_path)


def test_what_is_typed_and_clicked_reaches_the_session(panel):
    widget(panel, "Prompt").value = "a fox"
    widget(panel, "Model").value = "flux-2.0"
    widget(panel, "Pictures").value = 2
    widget(panel, "Size").value = "16:9"
    widget(panel, "Quality").value = "hd"
    widget(panel, "Take").value = "b"
    of_class(panel, "generate")[0].click()
    request = settled(panel).result.request
    assert (request.prompt, request.model, request.n) == ("a fox", "flux-2.0", 2)
    assert (request.size, request.quality, request.take) == ("16:9", "hd", "b")


def test_the_choices_follow_the_model_and_the_choice_stays(panel):
    size, model = widget(panel, "Size"), widget(panel, "Model")
    model.value = "seedream-4.0"
    assert [label for label, _ in size.options] == ["default", "1:1", "16:9", "9:16", "4:3", "3:4", "auto"]
    size.value = "4:3"
    model.value = "flux"
    assert panel.state.about_model == "Choose one: flux-kontext, flux-2.0."
    assert (panel.state.model, size.value) == ("seedream-4.0", "4:3")
    assert of_class(panel, "generate")[0].disabled, "it is not known which model is meant"


def test_every_click_does_what_its_words_say(base_url, tmp_path):
    names = {}
    panel = panel_at(base_url, tmp_path, names)
    ask(panel, "a fox", n=2)
    for words in ("☆ Favourite", "Download", "Insert as cell", "Use as a variable", "New take"):
        widget(panel, words).click()
        settled(panel)
        if words == "Insert as cell":
            assert widget(panel, CELL).layout.display is None
        if words == "Download":
            assert panel.state.file
    assert widget(panel, "☆ Favourite"), "the new take is none yet"
    assert names["picture"]
    assert panel.result.request.take == "2"
    widget(panel, "Note").value = "good"
    assert settled(panel).state.note == "good"
    by_caption = [each for each in all_widgets(panel) if getattr(each, "description", "") == "a fox"]
    by_caption[1].click()
    settled(panel)
    widget(panel, "Edit").click()
    assert panel.state.n == 2


def clicked(panel, button, seen, **form):
    """A click as the page reports it, that was made when a button's words and picture were these."""
    [reported], number = of_class(panel, "clicks"), next(CLICKS)
    tooltip, subject = seen
    click = {
        "page": "1",
        "number": number,
        "key": button.key,
        "tooltip": tooltip,
        "subject": subject,
        "form": form,
    }
    reported.value = json.dumps([click])
    return settled(panel)


CLICKS = itertools.count(1)

CHANGES = {
    "nothing": settled,
    "a twin arrives": lambda panel: ask(panel, "a fox", size="9:16"),
    "another is chosen": lambda panel: panel.controller.choose(panel.state.gallery[1]),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("wanted", ["open", "star", "pick", "☆ Favourite", "Use as a variable", "Keep note"])
@pytest.mark.parametrize("number", [0, 1])
def test_a_click_that_waited_is_about_the_picture_that_was_seen(wanted, number, change, base_url, tmp_path):
    names = {}
    panel = panel_at(base_url, tmp_path, names)
    for size in ("1:1", "16:9"):
        ask(panel, "a fox", size=size)
    tile = of_class(panel, "tiles")[0].children[number]
    parts = {"open": tile.children[2], "star": tile.children[4], "pick": tile.children[5]}
    button = parts.get(wanted) or widget(panel, wanted)
    seen = button.tooltip, button.subject
    assert len({each.words for each in panel.state.gallery}) == 1, "the words do not tell them apart"
    CHANGES[change](panel)
    settled(panel)
    clicked(panel, button, seen, name="picture", note="good")
    state, data = panel.state, panel.controller.data
    done = {each.picture.sha256 for each in state.gallery if data.note(each.picture.sha256).favourite}
    done |= {each.picture.sha256 for each in state.gallery if data.note(each.picture.sha256).note}
    done |= {each.sha256 for each in state.picked} | {each.pictures[0].sha256 for each in names.values()}
    if state.message.startswith("Nothing was done"):
        assert (done, change == "nothing") == (set(), False)
    else:
        assert (done or {state.chosen.picture.sha256}) == {seen[1]}


def words_of(tile):
    return [each.text for each in tile.children if isinstance(each, Words)]


def test_a_tile_for_each_call_says_how_many_pictures_have_arrived(panel):
    panel.state.work = (
        Work(7, "a <fox>", "gpt-image-2", 3, arrived=2, seconds=9),
        Work(8, "a whale", "flux-2.0", 1),
    )
    tiles = of_class(panel, "running")
    assert sorted(map(words_of, tiles)) == [
        ["a <fox>", "2 of 3 pictures, 9 s", "gpt-image-2"],
        ["a whale", "0 of 1 picture, 0 s", "flux-2.0"],
    ]
    [everything] = of_class(panel, "stop-all")
    assert everything.layout.display is None
    panel.state.work = panel.state.work[:1]
    assert everything.layout.display == "none"


def test_a_click_on_stop_that_comes_late_stops_no_other_call(panel, monkeypatch):
    first, second = Work(1, "a fox", "flux-2.0", 1), Work(2, "a cat", "flux-2.0", 1)
    panel.state.work = (first, second)
    stops = {tile.children[0].text: tile.children[-1] for tile in of_class(panel, "running")}
    stopped = []
    monkeypatch.setattr(panel.controller, "stop", stopped.append)
    panel.state.work = (second,)  # the first has ended when the click arrives
    stops["a fox"].click()
    assert stopped == []
    stops["a cat"].click()
    assert stopped == [2]


def test_a_failed_call_is_a_tile_that_says_whether_it_was_billed_and_asks_again(tmp_path):
    async def moody(request):
        if moody.bad:
            raise APIStatusError("The prompt was refused.", "Write another.", status=400)
        return await drawing(request)

    moody.bad = True
    with service(moody) as base_url:
        panel = ask(panel_at(base_url, tmp_path), "a fox")
        [tile] = of_class(panel, "failed")
        prompt, reason, badge = words_of(tile)
        assert (prompt, badge) == ("a fox", "not billed")
        assert reason == "The prompt was refused."
        moody.bad = False
        rest(panel)
        tile.children[-2].click()
        settled(panel)
    assert len(panel.state.gallery) == 1
    assert panel.state.failures == ()
    assert of_class(panel, "failed") == []


def test_a_strip_that_is_scrolled_has_three_messages_for_each_tile(monkeypatch):
    """The picture, the button and a line of text: a message for each of their parts made a window 250."""

    def shown(number):
        data, words = Preview(bytes([number]), "image/jpeg"), f"picture {number}"
        return Tile(preview=data, caption=words, name=f"#{number}", words=words, subject=str(number))

    tiles, sent = Tiles(print, print, print), []
    tiles.show([*map(shown, range(36))])
    monkeypatch.setattr(widgets.Widget, "_send", lambda _, message, **__: sent.append(message))
    tiles.show([*map(shown, range(36, 72))])
    if not widgets.__version__.startswith("7."):  # which sends nothing without a kernel
        assert len(sent) == 3 * 36


def test_a_tile_without_a_picture_does_not_show_that_of_another():
    tiles = Tiles(print, print, print)
    tiles.show([Tile(preview=Preview(b"a fox", "image/jpeg"), caption="a fox", words="a fox", subject="1")])
    tiles.show([Tile(preview=None, caption="a cat", words="a cat", subject="2")])
    [image] = [each for each in tiles.box.children[0].children if isinstance(each, widgets.Image)]
    assert image.value == b""


def test_every_control_has_a_name(panel):
    ask(panel, "a fox", n=2)
    unseen = list(heard(panel).values())  # which the next test shows
    for each in all_widgets(panel):
        if each in unseen:
            continue
        if isinstance(each, widgets.Button):
            assert each.description
            assert each.tooltip
        elif isinstance(each, widgets.ValueWidget) and not isinstance(
            each, widgets.HTML | widgets.Label | widgets.Image | widgets.IntProgress | widgets.FloatProgress
        ):
            assert each.description, each


def heard(panel):
    """The fields that tell the page what the kernel has heard, by the names of what they repeat."""
    return {
        name.removeprefix("beluga-received-"): each
        for each in all_widgets(panel)
        for name in getattr(each, "_dom_classes", ())
        if name.startswith("beluga-received-")
    }


def test_what_the_kernel_has_heard_is_what_was_typed_and_is_never_seen(panel):
    fields, blank = heard(panel), widgets.Textarea().get_state()
    assert set(fields) == {"prompt", "search", "take", "n", "size", "quality", "axes"}
    ask(panel, "a fox", take="b", n=2)
    for click in (panel.controller.toggle_favourite, panel.controller.download, panel.controller.again):
        click().result()
    settled(panel)
    for words in ({"prompt": "a whale\nin the <night>", "take": " c "}, {"prompt": "", "take": ""}):
        fill(panel, **words)
        expected = words | {"search": "flux-2.0", "axes": "", "n": "2", "size": "", "quality": ""}
        assert {name: field.value for name, field in fields.items()} == expected
    for name, field in fields.items():
        before = getattr(panel.state, name)
        field.value = "from the page"
        assert getattr(panel.state, name) == before, "it repeats, and is not asked"
        traits = {trait for trait, value in field.get_state().items() if value != blank[trait]}
        assert traits == {"value", "_dom_classes", "layout", "style"}
        drawn = {trait for trait, value in field.layout.get_state().items() if value is not None}
        assert {trait for trait in drawn if not trait.startswith("_")} == {"display"}
        assert field.layout.display == "none"


def test_only_core_widgets_and_none_that_swallows_errors(panel):
    ask(panel, "a fox")
    modules = {str(each._model_module) for each in all_widgets(panel)}
    assert modules == {"@jupyter-widgets/base", "@jupyter-widgets/controls"}
    assert not [each for each in all_widgets(panel) if isinstance(each, widgets.Output | widgets.Password)]


def test_s08_no_synced_trait_ever_holds_a_key(panel, tmp_path):
    async def telling(request):
        raise APIStatusError(f"Your key {KEY} is wrong.", status=401, code=KEY)

    ask(panel, "a fox", n=2)
    panel.controller.download().result()
    with service(telling) as base_url:
        refused = ask(panel_at(base_url, tmp_path / "other"), "a fox")
    assert refused.state.error
    for each in (panel, refused):
        text = repr(states(each)) + repr(each.state.trait_values()) + repr(each.state.snapshot)
        assert "fox" in text
        assert not any(spelling.decode() in text for spelling in spellings())


@pytest.fixture(scope="module")
def saved(base_url, tmp_path_factory):
    """A notebook with a panel that has made two pictures, as nbclient saves it, in its folder."""
    folder = tmp_path_factory.mktemp("saved")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in (PANEL, MADE)])
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(folder)}})
    environ = {"BELUGA_API_KEY": KEY, "BELUGA_BASE_URL": base_url, "IPYTHONDIR": str(folder / ".ipython")}
    client.execute(env=clean_environment(**environ))
    nbformat.write(notebook, folder / "saved.ipynb")
    return folder / "saved.ipynb"


def test_s08_what_nbclient_saves_of_a_panel_holds_no_key(saved):
    notebook = nbformat.read(saved, 4)
    assert len(notebook.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]) > 50
    assert leaks(saved.parent) == []
    assert "PasswordModel" not in saved.read_text("utf-8")


async def attacking(request):
    if "refuse" in request.prompt:
        raise APIStatusError(f"No {ATTACK}.", f"Ask {ATTACK}.", status=400)
    answers = (await drawing(request)).pictures
    return Result.of(
        request, [ImagePayload(each.data, each.media_type, ATTACK) for each in answers], engine=ATTACK
    )


def test_s32_text_from_outside_is_html_in_no_widget(tmp_path):
    with service(attacking) as base_url:
        panel = panel_at(base_url, tmp_path)
        ask(panel, f"a fox {ATTACK}", take="<b>t</b>", n=2)
        panel.controller.annotate(ATTACK).result()
        panel.controller.collection.pick(panel.state.items[0])
        panel.controller.download().result()
        ask(panel, f"refuse {ATTACK}")
        panel.state.search = ATTACK
        settled(panel)
    text = repr(states(panel))
    assert text.count("onerror=alert(1)") > 5, "it is shown, as text"
    for each in all_widgets(panel):
        assert not getattr(each, "description_allow_html", False)
        assert not isinstance(each, widgets.HTMLMath)
        if isinstance(each, Words):
            assert "<" not in re.sub(r"</?span( class=\"[a-z2_ ]+\")?>", "", each.value)
        elif isinstance(each, widgets.HTML):
            assert "alert(" not in each.value
            assert "fox" not in each.value
            assert "<b>" not in each.value
    still = panel.state.snapshot["text/html"]
    assert "<img src=x" not in still
    assert "&lt;img src=x" in still


def test_nothing_of_the_page_is_fetched(panel):
    [page] = [each for each in all_widgets(panel) if "beluga-page" in getattr(each, "_dom_classes", ())]
    assert not re.search(r"https?:|//[a-z]|@import|url\(|fetch\(|import\(", page.value.replace("// ", ""))


def test_a_long_session_does_not_pile_up_widgets(panel):
    for number in range(2):
        ask(panel, f"fox {number}", n=4)
    before = len(all_widgets(panel))
    for number in range(4):
        ask(panel, f"fox {number % 2}", n=4)
        panel.controller.choose(panel.state.gallery[number])
        panel.controller.collection.pick(panel.state.items[number])
    assert len(all_widgets(settled(panel))) == before


def test_a_saved_notebook_shows_the_last_gallery_and_knows_its_recordings(saved):
    notebook = nbformat.read(saved, 4)
    view, still = notebook.cells[0].outputs
    assert WIDGET in view.data
    assert "run this cell" in view.data["text/plain"]
    assert still.data["text/plain"].startswith("2 pictures of “a fox”")
    assert "image/jpeg" in still.data
    assert len(read_bytes(saved.read_bytes()).hashes) == 2
    assert verify(Store(saved.parent / "beluga_store"), [saved]).problems == ()


@pytest.mark.parametrize("exporter", [HTMLExporter, MarkdownExporter])
def test_an_exported_notebook_shows_it_too(saved, exporter):
    notebook = nbformat.read(saved, 4)
    del notebook.metadata["widgets"]  # as JupyterLab saves it
    page, _ = exporter().from_notebook_node(notebook)
    assert page.count('alt="a fox"') == 2
    assert "run this cell" in page


def test_where_nothing_of_the_pictures_may_leave_the_still_is_words(base_url, tmp_path):
    panel = ask(panel_at(base_url, tmp_path, BELUGA_EMBED="none"), "a <fox>")
    assert list(panel.state.snapshot) == ["text/plain"]
    bundle = panel._bundle()
    assert set(bundle) == {"text/plain", "text/html"}
    assert "1 picture of “a &lt;fox&gt;”" in bundle["text/html"]


def test_the_command_and_the_function_open_a_panel(tmp_path):
    with Kernel(tmp_path) as kernel:
        kernel.run("%load_ext beluga_nb")
        shown = kernel.run("%beluga panel")
        assert [WIDGET in bundle for bundle in shown.bundles] == [True, False]
        assert (shown.status, shown.stdout, shown.stderr) == ("ok", "", "")
        kept = kernel.run("p = %beluga panel\n(p.result, p.selected)")
        assert kept.texts == ["(None, None)"]
        assert kernel.run("%beluga panel of a comic").texts[0].startswith("1 picture of “panel of a comic")


def test_a_panel_that_was_closed_is_still_and_fails_nowhere(panel, capsys):
    fill(panel, prompt="a fox")
    for each in all_widgets(panel):
        each.close()
    ask(panel, "a fox", n=2)
    assert len(panel.result) == 2
    assert panel.failure is None
    assert capsys.readouterr() == ("", "")


def test_a_message_to_stop_is_delivered_in_the_shell_that_the_front_end_names(panel):
    """ipykernel 7.4 prefers the shell of the comm's last own message, which a running cell may block."""
    comm = needed("comm")  # older kernels have it no more than subshells
    stopped = []
    panel.controller.stop = stopped.append
    panel.state.work = (Work(7, "a fox", "gpt-image-2", 1),)
    [stop] = [tile.children[-1] for tile in of_class(panel, "running")]
    if getattr(stop.comm, "kernel", stop) is None:
        pytest.skip("Before ipykernel 6.18, a comm delivers nothing outside a kernel.")
    registered = comm.get_comm_manager().get_comm(stop.comm.comm_id)
    assert type(registered) is not type(stop.comm)
    assert not hasattr(registered, "_reply_subshell_for")
    click = {"method": "custom", "content": {"event": "click"}}
    registered.handle_msg({"content": {"data": click}, "buffers": []})
    assert stopped == [7]
    model = stop.comm.comm_id
    stop.close()
    assert model not in comm.get_comm_manager().comms
