"""`%beluga` in a real kernel, without a key: the embedded BelugAPI answers."""

import json

import pytest
from kernels import Kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    with Kernel(tmp_path_factory.mktemp("notebook")) as running:
        assert running.run("%load_ext beluga_nb").everything == repr(("", "", [], []))
        yield running


def test_a_cell_shows_its_picture_and_leaves_a_result(kernel):
    shown = kernel.run(
        "%%beluga -m gpt-image-2 -s 16:9 -o whale\n"
        "A photorealistic beluga whale swimming through crystal clear arctic water, 4K"
    )
    assert shown.status == "ok"
    [bundle] = shown.bundles
    assert set(bundle) == {"text/html", "image/jpeg", "text/plain"}
    assert 'alt="A photorealistic beluga whale' in bundle["text/html"]
    assert "gpt-image-2 · 1536 × 864 · local preview, not model output · sha256:" in bundle["text/plain"]
    shown = kernel.run("print(whale[0].resize((256, 144)).size, [image.size for image in whale], len(whale))")
    assert shown.stdout == "(256, 144) [(1536, 864)] 1\n"


def test_the_result_is_the_value_of_the_cell(kernel):
    kernel.run("%beluga a fox")
    assert kernel.run("type(_).__name__").texts == ["'Result'"]


def test_a_question_mark_at_the_end_belongs_to_the_prompt(kernel):
    shown = kernel.run("%beluga a red bicycle on a beach, really?")
    assert shown.texts[0].startswith("1 picture of “a red bicycle on a beach, really?”")


def test_an_assignment_keeps_the_result_and_shows_nothing(kernel):
    shown = kernel.run("x = %beluga a fox, or not?")
    assert (shown.status, shown.bundles) == ("ok", [])
    assert kernel.run("x.request.prompt").texts == ["'a fox, or not?'"]


def test_a_loop_shows_every_picture(kernel):
    shown = kernel.run("for animal in ['cat', 'dog']:\n    %beluga -s 3:4 a {{animal}} asleep?")
    assert [text.partition("\n")[0] for text in shown.texts] == [
        "1 picture of “a cat asleep?”",
        "1 picture of “a dog asleep?”",
    ]


def test_every_line_of_a_cell_shows_its_picture_once(kernel):
    shown = kernel.run("%beluga a cat\n%beluga a dog")
    assert [text.partition("\n")[0] for text in shown.texts] == [
        "1 picture of “a cat”",
        "1 picture of “a dog”",
    ]


def test_a_line_loads_its_settings_once(kernel):
    kernel.run(
        "import beluga_nb.config.preferences as preferences\n"
        "loads, load = [], preferences.load\n"
        "preferences.load = lambda *given: (loads.append(given), load(*given))[1]"
    )
    kernel.run("%beluga a fox")
    assert kernel.run("preferences.load = load; print(len(loads))").stdout == "1\n"


def test_a_function_knows_its_own_names(kernel):
    shown = kernel.run(
        "def paint(colour):\n"
        "    return get_ipython().run_line_magic('beluga', 'a {{colour}} car')\n"
        "paint('red')"
    )
    assert shown.texts[0].startswith("1 picture of “a red car”")


@pytest.mark.parametrize(
    ("cell", "first", "second"),
    [
        ("%beluga -m flux2 a cat", "UnknownNameError: No model 'flux2'.", "Did you mean 'flux-2.0'?"),
        (
            "%beluga -m seedream-4.5 -s 21:9 a cat",
            "RequestError: seedream-4.5 has no size '21:9'.",
            "It takes 1:1",
        ),
        ("%beluga -q ultra a cat", "UnknownNameError: No quality 'ultra'.", "Available: standard, hd."),
        ("%beluga -n 0 a cat", "RequestError: n is 0.", "Give n as a whole number from 1 on."),
        ("%beluga --sise 1:1 a cat", "UnknownNameError: No option '--sise'.", "Did you mean '--size'?"),
        ("%%beluga\n   \n", "RequestError: The prompt is empty.", "Describe the picture"),
        ("%beluga a {{kat}}", "UnknownNameError: No value for '{{kat}}'.", "Set it first"),
        (
            "%beluga -n 11 a giraffe",
            "NotConfirmedError: 11 new pictures are more than 10",
            "Ask for fewer at a time",
        ),
        ("%beluga --mode replay a new one", "NotRecordedError: Not recorded:", "Nearest recording:"),
    ],
)
def test_an_error_takes_two_lines_and_the_cell_has_failed(kernel, cell, first, second):
    shown = kernel.run(cell)
    shown.fails_with(first, second)
    assert shown.bundles == []


def test_an_error_is_catchable_by_its_class(kernel):
    shown = kernel.run(
        "import beluga_nb\n"
        "try:\n    %beluga -m flux2 a cat\n"
        "except beluga_nb.UnknownNameError as error:\n    print(error.nearest)"
    )
    assert shown.stdout == "flux-2.0\n"


def test_many_pictures_ask_the_person_at_the_notebook(kernel):
    shown = kernel.run("%beluga -s 4:3 -n 11 a cat", answers=["n"])
    assert shown.error[0] == "NotConfirmedError: 11 new pictures were not confirmed."
    assert kernel.run("many = %beluga -s 4:3 -n 11 a cat", answers=["y"]).status == "ok"
    assert kernel.run("len(many), len({picture.sha256 for picture in many.pictures})").texts == ["(11, 11)"]


def test_yes_is_enough_where_nobody_can_answer(kernel):
    assert kernel.run("many = %beluga --yes -s 3:4 -n 11 a dog").status == "ok"


def test_the_bare_magic_tells_the_state_and_three_examples(kernel):
    [text] = kernel.run("%beluga").texts
    assert kernel.run("%beluga status").texts == [text]
    assert "the built-in painter: procedural previews, not model output" in text
    assert "none: set BELUGA_API_KEY, or %beluga login" in text
    examples = text.partition("\nTry\n")[2].splitlines()
    assert len(examples) == 3
    assert all("%beluga " in example for example in examples)


def test_models_and_sizes_are_listed(kernel):
    [models] = kernel.run("%beluga models").texts
    assert len(models.splitlines()) == 1 + 17
    [sizes] = kernel.run("%beluga sizes").texts
    assert len(sizes.splitlines()) == 1 + 13 + 1


def test_help_is_a_table_and_its_text_is_what_the_question_mark_shows(kernel):
    [bundle] = kernel.run("%beluga --help").bundles
    assert bundle["text/plain"].startswith("%beluga [options] prompt")
    assert '<code style="white-space:normal">%beluga [options] prompt</code>' in bundle["text/html"]
    assert kernel.run("print(get_ipython().find_line_magic('beluga').__doc__)").stdout == (
        f"{bundle['text/plain']}\n"
    )
    assert kernel.run("%beluga help").bundles == [bundle]
    [models] = kernel.run("%beluga models --help").bundles
    assert models["text/plain"].splitlines()[0].split()[:2] == ["%beluga", "models"]
    assert models["text/html"].count("<tr ") == len(models["text/plain"].splitlines()) - 1


def test_reloading_and_unloading_leave_nothing_behind(tmp_path):
    count = (
        "manager = get_ipython().input_transformer_manager\n"
        "print(manager.line_transforms, manager.cleanup_transforms, manager.token_transformers,"
        " [sorted(get_ipython().magics_manager.magics[kind]) for kind in ('line', 'cell')])"
    )
    with Kernel(tmp_path) as kernel:
        before = kernel.run(count).stdout
        kernel.run("%load_ext beluga_nb")
        loaded = kernel.run(count).stdout
        for _ in range(3):
            kernel.run("%reload_ext beluga_nb")
        assert kernel.run(count).stdout == loaded != before
        kernel.run("%unload_ext beluga_nb")
        assert kernel.run(count).stdout == before
    assert [path.name for path in tmp_path.iterdir()] == [".ipython"]


def test_a_dry_run_notices_a_wrong_option_as_the_run_does(kernel):
    kernel.run("%beluga --dry-run --embed small a dry whale").fails_with(
        "UnknownNameError: No value 'small' for embed.", "Available: preview, original, link, none."
    )


def test_a_dry_run_shows_what_would_be_sent_and_sends_nothing(kernel):
    shown = kernel.run("%beluga --dry-run -m flux-2.0 -s 1792x1024 -n 6 a dry whale")
    [text] = shown.texts
    summary, *posts = text.splitlines()
    assert summary == "Dry run, nothing was sent: 6 pictures, 0 recorded, 6 to make; local previews, no cost."
    assert posts[::2] == ["POST the embedded BelugAPI"] * 2
    bodies = [json.loads(body) for body in posts[1::2]]
    assert [(body["prompt"], body["n"]) for body in bodies] == [("a dry whale", 4), ("a dry whale", 2)]
    assert kernel.run("%beluga --mode replay -m flux-2.0 -s 1792x1024 a dry whale").status == "error"


def test_a_key_is_typed_unseen_and_shown_nowhere(kernel):
    shown = kernel.run("%beluga login", answers=["bapi_typed-unseen-0123456789wxyz"])
    assert shown.stdout == "The key that ends in wxyz is used from now on.\n"
    [status] = kernel.run("%beluga").texts
    assert "%beluga login, ending in wxyz" in status
    assert "0123456789" not in shown.everything + status
    kernel.run("from beluga_nb.session.default import default; default.resources.keys._typed = None")


def test_where_nobody_can_type_a_login_is_two_lines(kernel):
    assert len(kernel.run("%beluga login").error) == 2


def test_a_prompt_may_begin_with_a_commands_name(kernel):
    shown = kernel.run("%beluga --dry-run login screen of a game\n%beluga --dry-run open sea at night")
    assert "".join(shown.texts).count("Dry run") == 2
