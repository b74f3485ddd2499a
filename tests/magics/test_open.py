"""`%beluga open` in a real kernel: the picture is shown, and its cell is put into the notebook."""

import pytest
from kernels import Kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory):
    with Kernel(tmp_path_factory.mktemp("notebook")) as running:
        running.run("%load_ext beluga_nb")
        running.run("whale = %beluga -s 16:9 --take two a beluga whale")
        running.run("for name in ['whale.png', 'my whale.jpg', 'whale.webp']:\n    whale.save(name)")
        yield running


def opened(kernel, code):
    """What a cell showed, and the cells that it put into the notebook."""
    number = kernel.start(code)
    shown = kernel.finish(number)
    while (reply := kernel.client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != number:
        continue
    payload = reply["content"].get("payload", [])
    return shown, [each["text"] for each in payload if each["source"] == "set_next_input"]


@pytest.mark.parametrize("name", ["whale.png", "my whale.jpg", "'whale.webp'", "./whale.png"])
def test_a_saved_picture_gives_its_cell_back_and_the_cell_its_picture(kernel, name):
    shown, cells = opened(kernel, f"%beluga open {name}")
    assert cells == ["%%beluga -m gpt-image-2 -s 16:9 --take two\na beluga whale"]
    [text] = shown.texts
    assert text.startswith(
        "1 picture of “a beluga whale”\ngpt-image-2 · 1536 × 864 · take two · local preview"
    )
    kernel.run(f"{cells[0]}")
    assert kernel.run("_.pictures == whale.pictures").texts == ["True"]


def test_an_assignment_keeps_the_opened_result(kernel):
    shown, cells = opened(kernel, "again = %beluga open whale.png")
    assert (shown.bundles, len(cells)) == ([], 1)
    assert kernel.run("again == whale, again.rerun() == whale").texts == ["(True, True)"]


def test_what_only_python_can_say_becomes_a_call(kernel):
    kernel.run("import beluga_nb\nbeluga_nb.generate('a fox', output_format='webp').save('fox')")
    _, [cell] = opened(kernel, "%beluga open fox.webp")
    assert cell.startswith("import beluga_nb\n\nbeluga_nb.generate(\n    'a fox',\n")
    assert kernel.run(cell).texts[0].startswith("1 picture of “a fox”")


def test_a_raw_prompt_keeps_its_braces(kernel):
    shown = kernel.run("%beluga --raw a {{fox}}")
    assert shown.texts[0].startswith("1 picture of “a {{fox}}”")
    kernel.run("_.save('raw.png')")
    assert opened(kernel, "%beluga open raw.png")[1] == ["%%beluga -m gpt-image-2 --raw\na {{fox}}"]


def test_a_prompt_that_begins_with_open_is_a_prompt(kernel):
    assert kernel.run("%beluga open sea at night").texts[0].startswith("1 picture of “open sea at night”")


@pytest.mark.parametrize(
    ("line", "first", "second"),
    [
        ("open gone.png", "MetadataError: There is no file 'gone.png'.", "Looked in the current folder"),
        ("open folder/", "MetadataError: 'folder' is a folder.", "Give the name of a picture in it."),
        ("open folder.png", "MetadataError: 'folder.png' is a folder.", "Give the name of a picture in it."),
        (
            "open bare.png",
            "MetadataError: 'bare.png' holds no recipe.",
            "Pictures that save() wrote hold one",
        ),
        ("open text.png", "MetadataError: 'text.png' is not a PNG, JPEG or WebP.", "Only a picture"),
    ],
)
def test_a_file_that_gives_no_cell_says_so_in_two_lines(kernel, line, first, second):
    kernel.run(
        "import os\nfor name in ('folder', 'folder.png'):\n    os.makedirs(name, exist_ok=True)\n"
        "whale.save('bare.png', metadata='none')\nopen('text.png', 'w').write('a fox');"
    )
    shown, cells = opened(kernel, f"%beluga {line}")
    assert (shown.status, cells, len(shown.error)) == ("error", [], 2)
    assert shown.error[0] == first
    assert shown.error[1].startswith(second)
