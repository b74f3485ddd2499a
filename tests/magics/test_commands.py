"""Settings, aliases, lists, the newest result, the card: in a real kernel, without a key."""

import contextlib
import re

import pytest
from conftest import KEY, drawing, service
from kernels import Kernel

from beluga_nb.commands.table import COMMANDS, commands_on, function
from beluga_nb.console import shown_on
from beluga_nb.errors import RequestError
from beluga_nb.hints import Surface, on
from beluga_nb.magics.parse import parse
from beluga_nb.session.session import Session

EMPTY = {
    "history": "Nothing is recorded yet. Begin with %beluga a red bicycle on a beach",
    "history --text zebra": "Nothing that fits is recorded. %beluga history lists all runs.",
    "last": "There is no picture yet.\nAsk for one: %beluga a red bicycle on a beach",
    "alias": "There are no aliases. For example: %beluga alias poster=-m flux-2.0 -s 3:4",
    "models --search zebra": "No model matches. %beluga models lists all.",
    "weight": "There is no notebook in this folder: name one that is elsewhere.",
    "verify": "beluga_store (0 recordings): all well",
    "forget --prompt zebra": "Nothing was removed: no recording fits.",
    "serve --stop": "No server is running. %beluga serve starts one.",
}
"""What each command says where it has nothing to show."""

NEVER_EMPTY = {"status", "sizes", "compare", "config", "login", "open", "pack", "unpack", "panel"}
NEVER_EMPTY |= {"cheatsheet", "help"}


@pytest.mark.parametrize("line", EMPTY)
def test_a_command_that_has_nothing_to_show_says_so_and_how_to_begin(line, tmp_path):
    call = parse(line)
    with shown_on(Surface.MAGIC):
        try:
            found = function(COMMANDS[call.name].run)(Session(environ={}, folder=tmp_path), call)
        except RequestError as error:
            error.surface = Surface.MAGIC
            found = str(error)
        found = getattr(found, "report", found)
        if bundle := getattr(found, "_repr_mimebundle_", None):
            found = bundle()
        if isinstance(found, dict):
            assert "<table" not in found["text/html"]
            found = found["text/plain"]
    assert on(found, Surface.MAGIC) == EMPTY[line]


def test_each_command_is_tried_or_always_has_something_to_show():
    assert {line.split()[0] for line in EMPTY} | NEVER_EMPTY == {*commands_on(Surface.MAGIC)}


@pytest.fixture
def kernel(tmp_path):
    with Kernel(tmp_path) as running:
        running.run("%load_ext beluga_nb")
        running.folder = tmp_path
        yield running


def rows(shown):
    """The rows of a table in text, by their first cell."""
    [text] = shown.texts
    cells = [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]
    return {first: rest for first, *rest in cells}


def test_a_setting_holds_until_it_is_unset_and_names_its_source(kernel):
    (kernel.folder / "beluga.toml").write_text('model = "flux-2.0"\nmax_images = 7\n')
    listed = rows(kernel.run("%beluga config"))
    assert listed["model"] == ["flux-2.0", "beluga.toml"]
    assert listed["mode"] == ["auto", "default"]
    assert listed["store"] == ["beluga_store", "default"], "no folder of this machine"
    assert listed["max_cost"] == ["none", "default"]
    assert listed["faults"] == ["false", "default"], "as it is typed"
    assert rows(kernel.run("%beluga config model=seedream-4.5 max_cost=2.50 timeout=60"))["model"] == [
        "seedream-4.5",
        "this notebook",
    ]
    listed = rows(kernel.run("%beluga config"))
    assert (listed["max_cost"], listed["timeout"]) == (["2.5", "this notebook"], ["60", "this notebook"])
    assert kernel.run("%beluga a cat").texts[0].splitlines()[1].startswith("seedream-4.5 · ")
    assert rows(kernel.run("%beluga config model="))["model"] == ["flux-2.0", "beluga.toml"]


def test_a_setting_that_is_refused_changes_nothing(kernel):
    assert kernel.run("%beluga config model=flux-2.0 mode=later").status == "error"
    assert rows(kernel.run("%beluga config"))["model"] == ["gpt-image-2", "default"]


def test_ipythons_own_configuration_shows_and_sets_the_same(kernel):
    kernel.run("%config BelugaMagics.model = 'flux-2.0'")
    assert rows(kernel.run("%beluga config"))["model"] == ["flux-2.0", "this notebook"]
    kernel.run("%beluga config mode=replay")
    assert "BelugaMagics.mode" in (output := kernel.run("%config BelugaMagics").stdout)
    assert re.search(r"BelugaMagics.mode=.*\n.*\n    Current: 'replay'", output)
    kernel.run("%config BelugaMagics.mode = None")
    assert rows(kernel.run("%beluga config"))["mode"] == ["auto", "default"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [("modle = 'flux-2.0'", "No setting 'modle'."), ("mode = 'later'", "No value 'later' for mode.")],
)
def test_ipythons_own_configuration_checks_names_and_values(kernel, given, expected):
    assert expected in kernel.run(f"%config BelugaMagics.{given}").stderr
    assert rows(kernel.run("%beluga config"))["mode"] == ["auto", "default"]


def test_every_setting_is_one_of_ipythons(kernel):
    names = "get_ipython().magics_manager.registry['BelugaMagics'].trait_names(config=True)"
    same = kernel.run(f"from beluga_nb.config.settings import names\nsorted({names}) == sorted(names())")
    assert same.texts == ["True"]


def test_the_profile_speaks_first_and_the_project_outranks_it(tmp_path):
    profile = tmp_path / ".ipython" / "profile_default"
    profile.mkdir(parents=True)
    (profile / "ipython_config.py").write_text(
        "c = get_config()\nc.BelugaMagics.model = 'flux-2.0'\nc.BelugaMagics.max_images = 3\n"
    )
    (tmp_path / "beluga.toml").write_text("max_images = 7\n")
    with Kernel(tmp_path) as kernel:
        assert kernel.run("%load_ext beluga_nb").everything == repr(("", "", [], []))
        listed = rows(kernel.run("%beluga config"))
    assert listed["model"] == ["flux-2.0", "IPython's profile"]
    assert listed["max_images"] == ["3", "IPython's profile"], "a file raises no cap"


def test_an_alias_stands_for_a_model_and_what_is_asked_of_it(kernel):
    assert "There are no aliases." in kernel.run("%beluga alias").stdout
    shown = kernel.run("%beluga alias poster=-m flux-2.0 -s 3:4 -n 2")
    assert rows(shown)["poster"] == ["model flux-2.0, size 3:4, n 2"]
    kernel.run("%beluga -m poster -o p a cat")
    assert kernel.run("p.request.model, p.request.size, len(p)").texts == ["('flux-2.0', '3:4', 2)"]
    kernel.run("%beluga -m poster -s 1:1 -n 1 -o p a cat")
    assert kernel.run("p.request.size, len(p)").texts == ["('1:1', 1)"]
    assert kernel.run("import beluga_nb\nlen(beluga_nb.generate('a cat', model='poster'))").texts == ["2"]
    kernel.run("%beluga config model=poster")
    assert kernel.run("beluga_nb.generate('a cat').request.size").texts == ["'3:4'"]
    kernel.run("%beluga config model=\n%beluga alias poster=")
    assert kernel.run("%beluga -m poster a cat").error[0] == "UnknownNameError: No model 'poster'."


def test_an_alias_of_the_file_hides_no_model(kernel):
    (kernel.folder / "beluga.toml").write_text(
        '[aliases]\n"flux-2.0" = { model = "z-image-turbo" }\nwide = { model = "flux-2.0", size = "21:9" }\n'
    )
    kernel.run("x = %beluga -m flux-2.0 a cat\ny = %beluga -m wide a cat")
    shown = kernel.run("x.request.model, y.request.model, y.request.size").texts
    assert shown == ["('flux-2.0', 'flux-2.0', '21:9')"]


def test_options_are_filled_from_variables_as_prompts_are(kernel):
    kernel.run("model, n, size, who, name = 'flux-2.0', 2, '21:9', 'fox', 'kept'")
    kernel.run("%beluga -m {{model}} -n {{ n }} -s {{size}} -o {{name}} --quiet a {{who}}")
    assert kernel.run("kept.request.prompt, kept.request.size, len(kept)").texts == ["('a fox', '21:9', 2)"]
    raw = kernel.run("%beluga --raw -m {{model}} a {{who}}")
    assert raw.error[0] == "UnknownNameError: No model '{{model}}'."


def test_quiet_shows_nothing_and_keeps_the_result(kernel):
    assert kernel.run("%beluga --quiet a cat").everything == repr(("", "", [], []))
    assert kernel.run("%beluga -o cat a cat;").everything == repr(("", "", [], []))
    assert kernel.run("cat.request.prompt").texts == ["'a cat'"]
    assert kernel.run("%%beluga --quiet -o cell\na cat;").everything == repr(("", "", [], []))
    assert kernel.run("cell.request.prompt").texts == ["'a cat;'"]
    kernel.run("x = %beluga --quiet a dog")
    assert kernel.run("x.request.prompt").texts == ["'a dog'"]
    assert kernel.run("for _ in 'ab':\n    %beluga --quiet a cat").bundles == []
    assert len(kernel.run("%beluga models;").bundles) == 1, "what is asked to be told is told"


def test_the_newest_result_comes_back_also_after_a_restart(kernel):
    kernel.run("%beluga --quiet a cat\n%beluga --quiet -n 2 -m flux-2.0 a dog")
    assert kernel.run("%beluga last -o dogs").texts[0].startswith("2 pictures of “a dog”")
    with Kernel(kernel.folder) as again:
        shown = again.run("%load_ext beluga_nb\n%beluga last")
        assert shown.texts[0].startswith("2 pictures of “a dog”")


def test_models_and_sizes_are_narrowed(kernel):
    def listed(call):
        return list(rows(kernel.run(f"%beluga {call}")))[1:]

    assert listed("models --search flux") == ["flux-kontext", "flux-2.0"]
    assert listed("models --provider google --size 16:9") == [
        "gemini-3-pro-image-preview-official",
        "gemini-2.5-flash-image-preview-official",
    ]
    assert listed("models --provider bytedance -s 21:9") == []
    assert listed("sizes -m seedream-4.5") == ["1:1", "16:9", "9:16", "4:3", "3:4", "auto"]


@contextlib.contextmanager
def a_kernel_with_a_key(folder, base_url):
    # In its environment: a key that a cell sets would stand in IPython's history.
    with Kernel(folder, BELUGA_API_KEY=KEY, BELUGA_BASE_URL=base_url) as running:
        running.run("%load_ext beluga_nb")
        yield running


def test_with_a_key_the_service_says_what_it_has(tmp_path):
    with contextlib.ExitStack() as stack:
        with service(drawing) as base_url:
            kernel = stack.enter_context(a_kernel_with_a_key(tmp_path, base_url))
            [text] = kernel.run("%beluga models").texts
            assert text.splitlines()[-1] == "127.0.0.1 lists all of these."
            [text] = kernel.run("%beluga config mode=replay\n%beluga models").texts[1:]
            assert len(text.splitlines()) == 18, "who replays asks nobody"
            kernel.run("%beluga config mode=")
        [text] = kernel.run("%beluga models").texts
    assert text.splitlines()[-1].startswith("127.0.0.1 did not list its models. No connection to 127.0.0.1")
    assert len(text.splitlines()) == 19


def test_the_status_tells_what_the_store_has_saved(tmp_path):
    (tmp_path / "beluga.toml").write_text('[prices]\ndate = 2026-11-01\n"flux-2.0" = 0.03\n')
    with service(drawing) as base_url, a_kernel_with_a_key(tmp_path, base_url) as kernel:
        kernel.run("%beluga -m flux-2.0 -n 2 a cat")
        kernel.run("%beluga -m flux-2.0 -n 3 a cat")
        listed = rows(kernel.run("%beluga status"))
    assert listed["spent"] == ["3 pictures; 0.09 USD by your prices of 2026-11-01 (estimated)"]
    assert listed["saved"] == [
        "2 pictures came from the store; 0.06 USD by your prices of 2026-11-01 (estimated)"
    ]


def test_every_line_of_the_card_can_be_typed(kernel):
    from beluga_nb.show.cheatsheet import card

    [bundle] = kernel.run("%beluga cheatsheet").bundles
    kernel.run("colour = 'red'")
    for _, lines in card():
        for code, _ in lines:
            assert code in bundle["text/plain"]
            cell = f"{code}\na lighthouse" if code.startswith("%%") else code
            assert kernel.run(cell).status == "ok", code
