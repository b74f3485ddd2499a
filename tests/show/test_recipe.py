"""A saved file gives back the picture and what was asked: file, recipe, cell, parser, the same request."""

import copy
import io
import json
import pickle
import random
import re
import types
import warnings
from pathlib import Path

import pytest
from conftest import drawn
from hypothesis import given, settings
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager
from PIL import Image
from sampling import rounds

from beluga_nb.errors import MetadataError, RequestError, UnknownNameError
from beluga_nb.magics.parse import parse
from beluga_nb.magics.verbatim import Verbatim
from beluga_nb.metadata import files
from beluga_nb.metadata.embedding import embed, extract
from beluga_nb.painter.painting import paint
from beluga_nb.placeholders import filled
from beluga_nb.request import Request
from beluga_nb.result import ImagePayload, Picture, Recipe, Result
from beluga_nb.session.session import Session
from beluga_nb.show.lightbox import cell_of
from beluga_nb.show.recipe import opened
from beluga_nb.wire import request_to_json

KINDS = {"PNG": ("image/png", ".png"), "JPEG": ("image/jpeg", ".jpg"), "WEBP": ("image/webp", ".webp")}
FOX = Request(prompt="a fox in the snow", model="flux-2.0", size="16:9")


def result_of(request, kind="PNG", engine="belugapi", **more):
    answer = ImagePayload(drawn(request, request.sample, kind), KINDS[kind][0], **more)
    return Result.of(request, [answer], engine=engine, created=1_750_000_000)


def saved(result, path, **how):
    [path] = result.save(path, **how)
    return path


class Unread(dict):
    """Variables that nobody may read."""

    def __contains__(self, name):
        raise AssertionError(f"{name} was looked for")

    __getitem__ = __contains__


def asked_by(cell):
    """The request that IPython and our parser make of a cell, which may read no variable on the way."""
    manager, calls = TransformerManager(), []
    manager.token_transformers.append(Verbatim)
    shell = types.SimpleNamespace(run_cell_magic=lambda *args: calls.append(args))
    exec(manager.transform_cell(cell), {"get_ipython": lambda: shell})
    [(name, line, body)] = calls
    assert name == "beluga"
    call = parse(line, body, fill=lambda text: filled(text, Unread()))
    prompt = call.prompt if call.raw else filled(call.prompt, Unread())
    return Request(prompt=prompt, **call.options)


# --- there and back

AWKWARD = [
    "-5 degrees outside",
    "--model gpt-image-2 -- a fox",
    "--",
    "a {{animal}}, literally",
    "{{ x }}",
    "{{}} {{1}} {%x%} {#c#} }}",
    'it\'s "quoted" and \\back\\slashed\\',
    "\"\"\"triple\"\"\" and '''triple'''",
    "ends with a newline\n",
    "ends with three\n\n\n",
    "\n\nbegins with two",
    "   indented\n\tand tabbed   ",
    "🦊 日本語 ñ \N{COMBINING ACUTE ACCENT} \u200d\u200b",
    "%%beluga -n 2\na cell in a cell",
    "%beluga models",
    "models",
    "open whale.png",
    "really?",
    "why??",
    "!ls {x} $HOME",
    ">>> a = 1\n... b",
    "first\n>>> second",
    "  ... and so on",
    "In [3]: x",
    "[ins] In [3]: x",
    "a\rb\r\nc",
    "a\x00b\x07\x0b\x0c\x1b[31m",
    "a\x85b\u2028c\u2029d",
    "\ufeffa mark",
    "</rdf:Description>\n]]> <!-- & -->",
    "\ufffe\uffff",
    '{"json": [1, 2]}',
    "# a comment",
    "x" * 3_000,
]


def random_text(rng):
    alphabet = "abc  \n\t\"'\\{}%!?-<>&#$;=🦊é日\r\x0c\u2028.[]():"
    return "x" + "".join(rng.choice(alphabet) for _ in range(rng.randrange(40)))


def requests():
    rng = random.Random(11)
    prompts = AWKWARD + [random_text(rng) for _ in range(180)]
    for prompt in prompts:
        yield Request(
            prompt=prompt,
            model=rng.choice(["gpt-image-2", "flux-2.0", 'my "own" model\\', "-m", "it's"]),
            n=1,
            size=rng.choice([None, "16:9", "auto", "1024x1024", ""]),
            quality=rng.choice([None, "hd"]),
            take=rng.choice(["", "second", "second try", "'\"", random_text(rng)]),
            sample=rng.choice([0, 0, 3]),
        )


@pytest.mark.parametrize("kind", KINDS)
def test_file_recipe_cell_and_parser_give_the_same_request(kind, tmp_path):
    for number, request in enumerate(requests()):
        path = saved(result_of(request, kind), tmp_path / f"{number}{KINDS[kind][1]}")
        again = asked_by(opened(path).to_magic())
        assert request_to_json(again, response_format="url") == request_to_json(
            request, response_format="url"
        )
        assert again == request
    assert number >= 200


@pytest.mark.parametrize("prompt", ["x" + "\n" * 31_000 + "x", "x\n" + "\t" * 31_000 + "x", "🦊" * 32_000])
def test_the_longest_prompts_are_in_a_png_and_beside_a_jpeg(prompt, tmp_path):
    request = Request(prompt=prompt, model="flux-2.0")
    png = saved(result_of(request), tmp_path / "fox.png")
    with pytest.warns(UserWarning, match=r"A JPEG holds 65,502 bytes of XMP, and this would take"):
        jpeg = saved(result_of(request, "JPEG"), tmp_path / "fox.jpg")
    assert asked_by(opened(png).to_magic()) == asked_by(opened(jpeg).to_magic()) == request
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fox.jpg", "fox.jpg.xmp", "fox.png"]


PIECES = st.sampled_from(
    [
        "{{animal}}",
        "{{ animal }}",
        "{{",
        "}}",
        "{x}",
        "$x",
        "$HOME",
        "\\",
        '"',
        "'",
        '"""',
        "\n",
        "\r",
        "\t",
        "\x00",
        "-",
        "--",
        "-m",
        "--raw",
        "%",
        "%%beluga",
        "!ls",
        "?",
        "#",
        ";",
        ",",
        "=",
        "@x",
        "&gt;",
        "<b>",
        ">>> ",
        " ",
        "\x1b[31m",
        "\x85",
        "\u2028",
        "\u2029",
        "\ufeff",
        "\u202e",
        "\u200b",
        "🦊",
        "é",
        "\ufffe",
        "a",
        "0",
    ]
)
HOSTILE = st.one_of(st.lists(PIECES, max_size=8).map("".join), st.text(max_size=20))
PROMPTS = st.tuples(HOSTILE, st.sampled_from(["a fox", "-", "{{animal}}"]), HOSTILE).map("".join)
TEXTS = dict.fromkeys(("model", "size", "quality", "take"), HOSTILE)


def sent(result):
    """What both the cell and the call of an opened file ask for, as `%beluga open` writes either."""
    package = types.SimpleNamespace(generate=lambda prompt, **more: Request(prompt=prompt, **more))
    call = eval(result.to_python(), {"beluga_nb": package})
    cell = cell_of(result)
    if cell.startswith("import beluga_nb\n\n"):
        assert cell.removeprefix("import beluga_nb\n\n") == result.to_python()
        return [call]
    return [call, asked_by(cell)]


@settings(max_examples=rounds(60, 600), deadline=None)
@given(
    request=st.builds(
        Request,
        prompt=PROMPTS,
        sample=st.sampled_from([0, 3]),
        output_format=st.sampled_from([None, None, None, "webp", "{{animal}}"]),
        **TEXTS,
    )
)
def test_no_field_of_a_file_is_filled_or_read_as_anything_else(request):
    recipe = Recipe(request=request, engine="x", created=1)
    again, _ = Recipe.from_json(recipe.to_json("0" * 64))
    result = Result(again.request, (Picture(b"", "image/png", again),))
    assert sent(result) == [request] * len(sent(result))


@pytest.mark.parametrize("name", ["prompt", "model", "size", "quality", "take", "output_format"])
@pytest.mark.parametrize(
    "value", ["{{animal}}", "{{ animal }}", "a{{animal}}b", '"{{animal}}"', "{{animal}}\n"]
)
def test_a_name_in_braces_in_any_field_of_a_file_stays_as_it_is(name, value, tmp_path):
    request = Request(**{"prompt": "a fox", "model": "flux-2.0", name: value})
    result = opened(saved(result_of(request), tmp_path / "fox.png"))
    assert sent(result) == [request] * len(sent(result))


@pytest.mark.parametrize("name", ["prompt", "model", "size", "quality", "take", "output_format", "engine"])
def test_half_of_a_character_in_any_field_is_a_damaged_recipe(name, tmp_path):
    where = WHOLE if name in {"take", "engine"} else WHOLE["request"]
    record = WHOLE | {name: "\ud800"} if where is WHOLE else WHOLE | {"request": where | {name: "\ud800"}}
    (tmp_path / "fox.png").write_bytes(hostile(json.dumps(record)))
    with pytest.raises(MetadataError, match="The recipe in the file is damaged"):
        opened(tmp_path / "fox.png")


def test_the_call_in_python_is_the_same_request_too(tmp_path):
    for request in requests():
        package = types.SimpleNamespace(generate=lambda prompt, **more: Request(prompt=prompt, **more))
        assert eval(result_of(request).to_python(), {"beluga_nb": package}) == request


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_gives_the_result_back_to_the_byte(kind, tmp_path):
    result = result_of(FOX.slice(2), kind, revised_prompt="a red fox 🦊")
    again = opened(saved(result, tmp_path / "fox"))
    assert again == result
    assert again.recipe.created == 1_750_000_000
    assert again.pictures[0].sha256 == result.pictures[0].sha256


def test_saving_what_was_opened_writes_the_same_file(tmp_path):
    first = saved(result_of(FOX), tmp_path / "first.png")
    second = saved(opened(first), tmp_path / "second.png")
    assert second.read_bytes() == first.read_bytes()


def test_a_converted_file_knows_its_recipe_and_keeps_its_own_bytes(tmp_path):
    result = result_of(FOX)
    path = saved(result, tmp_path / "fox.jpg")
    again = opened(path)
    assert (again.recipe, again.pictures[0].media_type) == (result.recipe, "image/jpeg")
    assert again.pictures[0].data == path.read_bytes()
    with Image.open(path) as image:
        assert image.format == "JPEG"


def test_a_sidecar_that_speaks_of_another_picture_does_not_count(tmp_path):
    hen = result_of(Request(prompt="a hen", model="flux-2.0"))
    saved(result_of(FOX), tmp_path / "a.png", metadata="sidecar")
    saved(hen, tmp_path / "b.png").replace(tmp_path / "a.png")
    assert opened(tmp_path / "a.png") == hen


def test_a_converted_file_is_saved_without_its_recipe_where_none_is_wanted(tmp_path):
    path = saved(result_of(FOX), tmp_path / "fox.jpg")
    bare = saved(opened(path), tmp_path / "bare.jpg", metadata="none")
    assert extract(bare.read_bytes(), "image/jpeg") is None
    assert b"snow" not in bare.read_bytes()


def test_a_format_that_takes_no_metadata_gets_a_sidecar_and_says_so(tmp_path):
    with pytest.warns(
        UserWarning, match=r"Nothing is embedded into \.gif\. The recipe is in fox\.gif\.xmp\."
    ):
        saved(result_of(FOX), tmp_path / "fox.gif")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fox.gif", "fox.gif.xmp"]


def test_a_warning_names_the_line_that_called_the_package(tmp_path):
    session = Session(store=tmp_path / "store")
    grid = session.grid("a {{animal}}", animal=["cat \U00013000", "fox"]).run()
    result = session.generate("a fox", n=2)
    with warnings.catch_warnings(record=True, action="always") as caught:
        result[:1].save(tmp_path / "one.gif")
        result.save(tmp_path / "several.gif")
        result.pictures[0].save(tmp_path / "picture.gif")
        grid.sheet(tmp_path / "sheet.png")
    lines = Path(__file__).read_text("utf-8").splitlines()
    assert {each.filename for each in caught} == {__file__}
    named = [re.search("(one|several|picture|sheet)[.]", lines[each.lineno - 1])[1] for each in caught]
    assert named == ["one", "several", "several", "picture", "sheet"]


def test_a_damaged_picture_is_still_written(tmp_path):
    picture = Picture(b"\x89PNG\r\n\x1a\n\0\0", "image/png", Recipe(request=FOX, engine="x"))
    with pytest.warns(UserWarning, match="ends in the middle of a chunk"):
        picture.save(tmp_path / "fox.png")
    assert (tmp_path / "fox.png").read_bytes() == picture.data


def test_each_of_several_pictures_has_its_own_recipe(tmp_path):
    answers = [ImagePayload(drawn(FOX, sample)) for sample in (0, 1, 2)]
    result = Result.of(Request(prompt="a fox", model="flux-2.0", n=3), answers, engine="x")
    paths = result.save(tmp_path / "fox.png")
    assert [opened(path).request.sample for path in paths] == [0, 1, 2]
    assert [opened(path).request.n for path in paths] == [1, 1, 1]
    assert [opened(path).pictures[0] for path in paths] == list(result.pictures)


# --- what a file says


def properties_of(path):
    with Image.open(path) as image:
        described = image.getxmp()["xmpmeta"]["RDF"]["Description"]
    found = {}
    for each in described if isinstance(described, list) else [described]:
        found |= each
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_a_models_picture_says_what_made_it_in_iptcs_words(kind, tmp_path):
    properties = properties_of(saved(result_of(FOX, kind), tmp_path / "fox"))
    assert (
        properties["DigitalSourceType"]
        == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    )
    assert (properties["AISystemUsed"], properties["AIPromptInformation"]) == (
        "flux-2.0",
        "a fox in the snow",
    )
    assert (properties["CreatorTool"], properties["CreateDate"]) == ("beluga_nb", "2025-06-15T15:06:40Z")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_local_preview_says_that_no_model_made_it(kind, suffix, tmp_path):
    data = paint("a fox", model="flux-2.0", size=(48, 32)).encoded(KINDS[kind][0])
    preview = Picture(data, KINDS[kind][0], Recipe(request=FOX, engine="procedural"))
    properties = properties_of(preview.save(tmp_path / f"fox{suffix}"))
    assert (
        properties["DigitalSourceType"] == "http://cv.iptc.org/newscodes/digitalsourcetype/algorithmicMedia"
    )
    assert "AISystemUsed" not in properties


def test_the_recipe_holds_what_is_listed_and_nothing_else(tmp_path):
    request = Request(
        prompt="a fox",
        model="flux-2.0",
        size="1:1",
        quality="hd",
        output_format="webp",
        output_compression=90,
        take="second",
        sample=2,
    )
    path = saved(result_of(request, revised_prompt="a red fox"), tmp_path / "fox.png")
    assert json.loads(extract(path.read_bytes(), "image/png")) == {
        "schema": 1,
        "request": {
            "prompt": "a fox",
            "model": "flux-2.0",
            "size": "1:1",
            "quality": "hd",
            "output_format": "webp",
            "output_compression": 90,
        },
        "take": "second",
        "sample": 2,
        "engine": "belugapi",
        "created": 1_750_000_000,
        "revised_prompt": "a red fox",
        "sha256": result_of(request).pictures[0].sha256,
    }


def test_a_file_holds_no_user_name_no_folder_no_key_and_no_other_variable(tmp_path):
    session = Session(
        environ={"BELUGA_BASE_URL": "http://127.0.0.1:9/v1", "USER": "somebody"},
        folder=tmp_path,
        notify=[].append,
    )
    values = {"animal": "fox", "password": "hunter2"}
    result = session.generate("a {{animal}}", values=values)
    text = saved(result, tmp_path / "fox.png").read_bytes()
    packet = json.dumps(files.read(tmp_path / "fox.png").recipes) + str(properties_of(tmp_path / "fox.png"))
    for secret in ("hunter2", "somebody", str(tmp_path), "/v1", "bapi_"):
        assert secret not in packet
        assert secret.encode() not in text


@pytest.mark.parametrize("created", [0, -5, 10**30])
def test_a_time_that_is_none_is_left_out(created, tmp_path):
    picture = Picture(drawn(FOX, 0), "image/png", Recipe(request=FOX, engine="x", created=created))
    path = picture.save(tmp_path / "fox.png")
    assert "CreateDate" not in properties_of(path)
    assert opened(path).recipe.created == created


def test_the_off_switch_leaves_the_bytes_as_they_came(tmp_path):
    for kind, (_, suffix) in KINDS.items():
        result = result_of(FOX, kind)
        assert (
            saved(result, tmp_path / f"fox{suffix}", metadata="none").read_bytes() == result.pictures[0].data
        )
    assert len(list(tmp_path.iterdir())) == 3


def test_saving_changes_neither_the_bytes_nor_the_hash_in_memory(tmp_path):
    result = result_of(FOX)
    before = result.pictures[0].data, result.pictures[0].sha256
    result.save(tmp_path / "fox.png")
    assert (result.pictures[0].data, result.pictures[0].sha256) == before


# --- recipes from anywhere


def hostile(text):
    return embed(drawn(FOX, 0), "image/png", {"beluga:recipe": text})


WHOLE = json.loads(Recipe(request=FOX, engine="x").to_json("0" * 64))


@pytest.mark.parametrize(
    "record",
    [
        [],
        {},
        "text",
        None,
        WHOLE | {"request": []},
        WHOLE | {"request": "prompt model"},
        WHOLE | {"request": {"prompt": "", "model": "x"}},
        WHOLE | {"request": {"prompt": 5, "model": "x"}},
        WHOLE | {"request": {"prompt": "x", "model": "x", "output_compression": -1}},
        WHOLE | {"sample": -1},
        WHOLE | {"take": None},
        WHOLE | {"engine": 7},
        WHOLE | {"created": "now"},
        WHOLE | {"created": float("inf")},
        WHOLE | {"revised_prompt": "\ud800"},
        WHOLE | {"template": 5},
        WHOLE | {"template": "x", "values": ["x"]},
        WHOLE | {"template": "x", "values": {"x": 1}},
    ],
)
def test_a_damaged_recipe_is_one_error(record, tmp_path):
    (tmp_path / "fox.png").write_bytes(hostile(json.dumps(record)))
    with pytest.raises(MetadataError, match="The recipe in the file is damaged"):
        opened(tmp_path / "fox.png")


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "9" * 10_000])
def test_a_recipe_that_is_no_json_is_one_error(text, tmp_path):
    (tmp_path / "fox.png").write_bytes(hostile(text))
    with pytest.raises(MetadataError):
        opened(tmp_path / "fox.png")


def test_a_recipe_of_another_version_says_so(tmp_path):
    (tmp_path / "fox.png").write_bytes(hostile(json.dumps(WHOLE | {"schema": 2})))
    with pytest.raises(MetadataError, match="another version of beluga_nb"):
        opened(tmp_path / "fox.png")


def test_what_a_recipe_says_beyond_ours_is_not_read(tmp_path):
    record = WHOLE | {"request": WHOLE["request"] | {"n": 400, "api_key": "x"}, "mode": "off"}
    (tmp_path / "fox.png").write_bytes(hostile(json.dumps(record)))
    assert opened(tmp_path / "fox.png").request == FOX


# --- again, in a session


@pytest.fixture
def local(tmp_path, messages):
    return Session(environ={}, folder=tmp_path, notify=messages.append, confirm=lambda _: None)


def test_a_template_and_the_values_it_used_are_in_the_file(local, tmp_path):
    names = {"animal": "fox", "count": 2, "other": "unused"}
    result = local.generate("{{count}} {{animal}}s", values=names, size="16:9")
    again = local.open(saved(result, tmp_path / "fox.png"))
    for recipe in (result.recipe, result.pictures[0].recipe, again.recipe):
        assert recipe.template == "{{count}} {{animal}}s"
        assert recipe.values == {"count": "2", "animal": "fox"}
    assert again.to_magic() == "%%beluga -m gpt-image-2 -s 16:9\n2 foxs"
    assert again.to_python() == (
        "beluga_nb.generate(\n"
        "    '{{count}} {{animal}}s',\n"
        "    model='gpt-image-2',\n"
        "    size='16:9',\n"
        "    values={'count': '2', 'animal': 'fox'},\n"
        ")"
    )


def test_a_replayed_call_has_the_template_of_the_call_itself(local):
    first = local.generate("a fox")
    again = local.generate("a {{animal}}", values={"animal": "fox"})
    assert again == first
    assert (first.recipe.template, again.recipe.template) == (None, "a {{animal}}")


def test_a_prompt_without_a_name_has_no_template(local):
    assert local.generate("a fox", values={"animal": "fox"}).recipe.template is None


@pytest.mark.parametrize(
    ("template", "values"), [("a {{animal}}", {"animal": "cow"}), ("a {{animal}}", {}), ("a cow", {})]
)
def test_a_template_that_does_not_give_the_prompt_is_none(template, values, local, tmp_path):
    picture = Picture(
        drawn(FOX, 0), "image/png", Recipe(request=FOX, engine="x", template=template, values=values)
    )
    assert local.open(picture.save(tmp_path / "fox.png")).recipe.template is None


def test_running_again_replays_and_a_change_asks_anew(local, tmp_path):
    fox = local.generate("a fox", n=2)
    second = local.open(fox.save(tmp_path / "fox.png")[1])
    assert second.rerun().pictures == fox.pictures[1:]
    wide = second.rerun(size="16:9")
    assert (wide.request.size, wide.request.sample, wide[0].size) == ("16:9", 1, (1536, 864))
    assert second.rerun(prompt="a dog").request.prompt == "a dog"


def test_running_a_template_again_takes_other_values(local):
    fox = local.generate("a {{colour}} {{animal}}", values={"colour": "red", "animal": "fox"})
    assert fox.rerun() == fox
    assert fox.rerun(values={"colour": "red", "animal": "hen"}).request.prompt == "a red hen"
    assert fox.rerun(prompt="a {{colour}} dog").request.prompt == "a {{colour}} dog"
    with pytest.raises(UnknownNameError):
        fox.rerun(values={"colour": "red"})


def test_a_result_of_no_session_says_that_nobody_can_be_asked():
    with pytest.raises(RequestError, match="comes from no session"):
        result_of(FOX).rerun()


def test_what_the_magic_cannot_say_is_refused_and_python_says_it(local, tmp_path):
    fox = local.generate("a fox", output_format="jpeg", output_compression=80)
    assert fox.pictures[0].media_type == "image/jpeg"
    again = local.open(saved(fox, tmp_path / "fox"))
    with pytest.raises(RequestError) as caught:
        again.to_magic()
    assert caught.value.message == "%%beluga has no option for output_format."
    assert caught.value.hint == "Python has: to_python() gives the call."
    assert again.rerun() == fox
    assert "output_format='jpeg'" in again.to_python()


def test_an_opened_picture_shows_itself_like_any_other(local, tmp_path):
    fox = local.generate("a fox")
    again = local.open(saved(fox, tmp_path / "fox.png"))
    assert again._repr_mimebundle_() == fox._repr_mimebundle_()


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda it: pickle.loads(pickle.dumps(it))])
def test_a_copy_of_a_result_knows_no_session(copied, local):
    fox = local.generate("a fox")
    assert copied(fox) == fox
    assert (copied(fox).regenerate, copied(fox).renderer) == (None, fox.renderer)


def test_no_warning_comes_where_nothing_is_unusual(local, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for suffix in (".png", ".jpg", ".webp"):
            saved(local.generate("a fox"), tmp_path / f"fox{suffix}")
    assert Image.open(io.BytesIO((tmp_path / "fox.webp").read_bytes())).format == "WEBP"


ALIASES = (
    '[aliases]\nposter = { model = "flux-2.0", n = 10 }\n"flux-2.0" = { model = "gpt-image-2", n = 10 }\n'
)
LAB = '[endpoints.lab]\nbase_url = "https://lab.example/v1"\nmodel = "sd"\n'


@pytest.mark.parametrize("trusted", [False, True])
@pytest.mark.parametrize(
    ("model", "is_another"),
    [("poster", True), ("lab:", True), ("flux-2.0", False), ("lab:sd", False), ("posters", False)],
)
def test_a_file_whose_model_stands_for_another_request_here_is_not_opened(
    tmp_path, model, is_another, trusted
):
    (tmp_path / "beluga.toml").write_text(ALIASES + LAB)
    path = saved(result_of(Request(prompt="a fox", model=model)), tmp_path / "fox.png")
    session = Session(environ={"BELUGA_TRUST": str(tmp_path)} if trusted else {}, folder=tmp_path)
    if is_another:
        with pytest.raises(MetadataError, match="stands for another request here"):
            session.open(path)
    else:
        assert session.open(path).request.model == model
