import pytest

from beluga_nb.commands.table import OPTIONS, SETTINGS, CommandCall, commands_on
from beluga_nb.commands.usage import help_text
from beluga_nb.config.settings import names
from beluga_nb.errors import RequestError, UnknownNameError
from beluga_nb.hints import Surface
from beluga_nb.magics.parse import Help, Prompt, parse
from beluga_nb.magics.slips import SKIP_A_QUESTION


@pytest.mark.parametrize(
    ("line", "prompt", "options"),
    [
        ("a red bicycle on a beach, really?", "a red bicycle on a beach, really?", {}),
        ("-m flux-2.0 a cat", "a cat", {"model": "flux-2.0"}),
        ("--model=flux-2.0 -s 16:9 -n 3 a cat", "a cat", {"model": "flux-2.0", "size": "16:9", "n": 3}),
        ("a word --help", "a word --help", {}),
        ("a cat - black --style -n 3", "a cat - black --style -n 3", {}),
        ("it's 5$ {x} \"quoted\" 'too", "it's 5$ {x} \"quoted\" 'too", {}),
        ("-n 2 -- -5 degrees outside", "-5 degrees outside", {"n": 2}),
        ('--take "second try" a  double  blank', "a  double  blank", {"take": "second try"}),
        ("--yes --insist -q hd x", "x", {"assume_yes": True, "allow_unknown_model": True, "quality": "hd"}),
        ("models of the 1920s", "models of the 1920s", {}),
        ("-- models", "models", {}),
        ('--take "the \\"best\\" of \\\\" a cat', "a cat", {"take": 'the "best" of \\'}),
        ("--sample 2 a cat", "a cat", {"sample": 2}),
    ],
)
def test_options_come_first_and_the_prompt_is_the_rest_untouched(line, prompt, options):
    assert parse(line) == Prompt(prompt, options)


@pytest.mark.parametrize(
    ("cell", "prompt"),
    [
        ("a cat\n", "a cat"),
        ("  a cat  \n\n", "  a cat  \n"),
        ('{"json": [1, 2]}\n-n 3 %beluga\n', '{"json": [1, 2]}\n-n 3 %beluga'),
    ],
)
def test_the_body_of_a_cell_is_the_prompt_less_one_newline(cell, prompt):
    assert parse("-n 2", cell).prompt == prompt


@pytest.mark.parametrize(
    ("line", "command"), [("", "status"), ("  ", "status"), ("models", "models"), (" sizes ", "sizes")]
)
def test_a_line_that_is_only_a_command_is_one(line, command):
    assert parse(line) == CommandCall(command, (), {})


LETTERS = "aeinst"


def slips(word):
    """The word with one letter more, less or another, with two neighbours swapped, or in capitals."""
    yield word.upper()
    for at in range(len(word)):
        start, rest = word[:at], word[at:]
        yield start + rest[1:]
        yield start + rest[1:2] + rest[:1] + rest[2:]
        for letter in LETTERS:
            yield start + letter + rest
            yield start + letter + rest[1:]


def is_swapped(one, other):
    return sorted(one) == sorted(other)


REST = {"open": " whale.png", "unpack": " study.zip", "pack": " study.ipynb", "alias": " poster=-m flux-2.0"}
COMMAND_NAMES = commands_on(Surface.MAGIC)
SLIPS = [
    (name, slip)
    for name in COMMAND_NAMES
    for slip in sorted({each for each in slips(name) if each and not each.startswith("-")})
    if slip not in COMMAND_NAMES
]


@pytest.mark.parametrize("name", COMMAND_NAMES)
def test_a_slip_in_a_command_is_asked_about_and_never_bought(name):
    tried = 0
    for slip in (slip for command, slip in SLIPS if command == name):
        line = slip + REST.get(name, "")
        if len(name) > 4 or slip.casefold() == name or is_swapped(slip, name):
            with pytest.raises(UnknownNameError, match=f"No command '{slip}'") as caught:
                parse(line)
            assert caught.value.nearest in COMMAND_NAMES
            assert caught.value.hint.endswith(f"For a picture of it: %beluga -- {line}"), line
            tried += 1
        assert parse(f"-- {line}").prompt == line
        prompt = f"{slip} at the seaside, at night"
        assert parse(prompt).prompt == prompt
        assert parse("", line).prompt == line
    assert tried >= 4


@pytest.mark.parametrize(
    "prompt", ["park", "oven", "list", "kelp", "back", "fast", "a", "map", "stairs", "pets", "a history"]
)
def test_a_word_of_its_own_is_a_prompt(prompt):
    assert parse(prompt).prompt == prompt


@pytest.mark.parametrize("word", ["plan", "statsu", "vote", "generate", "a", "Status"])
def test_help_for_what_is_no_command_says_so(word):
    with pytest.raises(UnknownNameError, match=f"No command '{word}'"):
        parse(f"{word} --help")


def test_a_long_line_in_the_hint_is_seen_to_be_cut():
    with pytest.raises(UnknownNameError) as caught:
        parse(f"opne {'whales/' * 20}whale.png")
    assert caught.value.hint.endswith("…")


@pytest.mark.parametrize("line", ["histroy --limit 3", "confg mode=off", "vrify study.ipynb", "statsu;"])
def test_a_slip_before_a_commands_arguments_is_asked_about(line):
    with pytest.raises(UnknownNameError, match="No command"):
        parse(line)


def test_a_word_that_is_a_command_is_a_prompt_in_a_cell():
    assert parse("", "models\n").prompt == "models"


@pytest.mark.parametrize("cell", ["", "\n", "  \n\n"])
def test_an_empty_cell_is_what_its_line_says(cell):
    assert parse("-n 2 a cat", cell).prompt == "a cat"
    assert parse("status", cell) == parse("status")
    with pytest.raises(UnknownNameError, match="No command 'statsu'"):
        parse("statsu", cell)
    assert parse("", cell).prompt.strip() == parse("-n 2", cell).prompt == ""
    with pytest.raises(RequestError, match="There is nothing to compare"):
        parse("compare -m flux-2.0", cell)


def test_the_output_is_the_name_of_a_variable():
    assert parse("-o whale a whale").output == "whale"
    with pytest.raises(RequestError, match="'my whale' is not a valid variable name"):
        parse('-o "my whale" a whale')


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--modle flux-2.0 a cat", "No option '--modle'"),
        ("-5 degrees outside", "No option '-5'"),
        ("-n two cats", "-n is 'two'"),
        ("-m", "--model has no value"),
        ("-m   ", "--model has no value"),
    ],
)
def test_an_option_that_is_not_understood_says_so(line, expected):
    with pytest.raises(RequestError, match=expected):
        parse(line)


def test_a_misspelt_option_names_the_one_that_was_meant():
    with pytest.raises(UnknownNameError) as caught:
        parse("--qualty hd a cat")
    assert caught.value.nearest == "--quality"
    assert "put -- before a prompt that starts with a dash" in caught.value.hint


def test_text_beside_the_options_of_a_cell_is_an_error():
    with pytest.raises(RequestError, match="'black' on the first line of the cell is not an option"):
        parse("-n 2 black", "a cat\n")


def test_the_help_names_every_option_and_command():
    text = help_text()
    for option in OPTIONS:
        assert all(flag in text for flag in option.flags)
        assert option.help in " ".join(text.split())
    assert "%beluga models" in text
    assert "%beluga sizes" in text


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("serve", {}),
        ("serve --stop", {"stop": True}),
        (" serve  --port 8787 ", {"port": 8787}),
        ("serve --port=0", {"port": 0}),
    ],
)
def test_a_command_may_have_options_of_its_own(line, options):
    assert parse(line) == CommandCall("serve", (), options)


@pytest.mark.parametrize("line", ["--help", "-n 2 --help"])
def test_help_is_asked_for_among_the_options(line):
    assert parse(line) == Help()


@pytest.mark.parametrize(
    ("line", "prompt"),
    [
        ("serve the drinks --stop", "serve the drinks --stop"),
        ("serve - a waiter", "serve - a waiter"),
        ("serve -- a match", "serve -- a match"),
        ("-n 2 serve", "serve"),
        ("-- serve --stop", "serve --stop"),
    ],
)
def test_a_prompt_that_only_begins_like_a_command_is_a_prompt(line, prompt):
    call = parse(line)
    assert isinstance(call, Prompt)
    assert call.prompt == prompt


def test_a_raw_prompt_is_marked_and_is_no_argument():
    assert parse("--raw a {{cat}}") == Prompt("a {{cat}}", raw=True)
    assert not parse("a {{cat}}").raw


@pytest.mark.parametrize(
    ("line", "file"),
    [
        ("open whale.png", "whale.png"),
        ("open  my whale.JPEG ", "my whale.JPEG"),
        ('open "my whale.webp"', "my whale.webp"),
        ("open 'pictures/whale-1.jpg'", "pictures/whale-1.jpg"),
        ("open ~/whale.png", "~/whale.png"),
        ("open pictures/", "pictures/"),
        (r"open C:\pictures\whale.png", r"C:\pictures\whale.png"),
    ],
)
def test_the_name_of_a_picture_after_open_is_one(line, file):
    assert parse(line) == CommandCall("open", (file,), {})


@pytest.mark.parametrize(
    "line",
    [
        "open sea at night",
        "open 24/7",
        "open whale",
        "open .png",
        "open whale.png, swimming",
        "opened whale.png",
        "-- open whale.png",
        "-n 2 open whale.png",
    ],
)
def test_open_before_anything_else_begins_a_prompt(line):
    call = parse(line)
    assert isinstance(call, Prompt)
    assert line.endswith(call.prompt)


def test_open_in_a_cell_begins_a_prompt():
    assert parse("", "open whale.png\n").prompt == "open whale.png"


def test_words_after_the_options_of_a_command_are_an_error_and_no_picture():
    with pytest.raises(RequestError) as caught:
        parse("serve --stop it")
    assert caught.value.message == "'it' is not an option of %beluga serve."
    assert caught.value.hint == "For a picture of it all: %beluga -- serve …"


def test_the_help_names_every_option_of_a_command():
    text = " ".join(help_text().split())
    for line in {
        "%beluga serve serve the image API on this machine, for any OpenAI client",
        "%beluga serve --port N … use this port instead of a free one",
        "%beluga serve --stop … stop it",
        "%beluga open FILE show a saved picture and insert its cell",
        "A line is a command only if nothing else follows: %beluga open sea at night is a prompt.",
        "%beluga forget [RUN …] remove recordings that match all conditions",
        "%beluga pack NOTEBOOK pack a notebook and its recordings into a zip",
        "%beluga unpack FILE.zip unpack a notebook and its recordings, checking every byte",
    }:
        assert line in text


def test_a_setting_alone_is_no_prompt_and_asks_what_it_is():
    assert set(names()) == set(SETTINGS)
    for name in names():
        assert parse(f"config {name}") == CommandCall("config", (name,), {})
    assert parse("config mode of a robot").prompt == "config mode of a robot"


def test_no_line_of_the_help_is_broken_by_a_notebook():
    assert max(map(len, help_text().splitlines())) <= 104


@pytest.mark.parametrize(
    "given", ['"animal=cat, fox"', "'animal=cat, fox'", 'animal="cat", fox'.replace(" ", "")]
)
def test_an_axis_may_stand_in_quotes_as_in_a_shell(given):
    assert parse(f"compare --axis {given}", "a {{animal}}").axes == {"animal": {"cat": "cat", "fox": "fox"}}


# --- commands that take words


@pytest.mark.parametrize(
    ("line", "command", "words", "options"),
    [
        ("verify", "verify", (), {}),
        ("verify a.ipynb b/c.ipynb", "verify", ("a.ipynb", "b/c.ipynb"), {}),
        ('verify "my whales.ipynb"', "verify", ("my whales.ipynb",), {}),
        ("history", "history", (), {}),
        ("history --text fox --limit 5", "history", (), {"text": "fox", "limit": 5}),
        (
            'history --text "a red fox" --since 2026-11-01',
            "history",
            (),
            {"text": "a red fox", "since": "2026-11-01"},
        ),
        ("history 6611bcbd3494", "history", ("6611bcbd3494",), {}),
        ("forget 6611 3f2a9c1e-0000", "forget", ("6611", "3f2a9c1e-0000"), {}),
        ("forget 6611bcbd --yes", "forget", ("6611bcbd",), {"assume_yes": True}),
        ("forget --yes 6611bcbd", "forget", ("6611bcbd",), {"assume_yes": True}),
        ("forget --older 90d --prompt=cat", "forget", (), {"older": "90d", "prompt": "cat"}),
        ("forget --all", "forget", (), {"everything": True}),
        ("forget", "forget", (), {}),
        ("pack whales.ipynb", "pack", ("whales.ipynb",), {}),
        ("pack whales.ipynb -o x.zip", "pack", ("whales.ipynb",), {"to": "x.zip"}),
        ("pack -o x.zip whales.ipynb", "pack", ("whales.ipynb",), {"to": "x.zip"}),
        ("unpack whales.zip --into there", "unpack", ("whales.zip",), {"into": "there"}),
    ],
)
def test_a_command_may_take_words(line, command, words, options):
    assert parse(line) == CommandCall(command, words, options)


def test_the_output_of_a_command_is_the_name_of_a_variable():
    assert parse("history -o fox 6611bcbd") == CommandCall("history", ("6611bcbd",), {}, "fox")
    with pytest.raises(RequestError, match="'my fox' is not a valid variable name"):
        parse('history -o "my fox" 6611bcbd')


@pytest.mark.parametrize(
    "prompt",
    [
        "history of the world",
        "history of the world --text fox",
        "history - a museum",
        "history -old books",
        "history 6611bcbd and so on",
        "forget me not",
        "forget dead beef",
        "forget me 1984",
        "forget me-not 1984",
        "forget -- a match",
        "verify the seal",
        "verify a.ipynb is a picture",
        "verify - a stamp",
        "pack of wolves",
        "pack a suitcase.zip",
        "unpack the boxes",
        "unpack whales.ipynb",
        "verified",
    ],
)
def test_words_that_can_be_no_arguments_make_it_a_prompt(prompt):
    assert parse(prompt) == Prompt(prompt)


@pytest.mark.parametrize("name", ["verify", "history", "forget", "pack", "unpack"])
def test_after_two_dashes_and_in_a_cell_every_command_is_a_prompt(name):
    assert parse(f"-- {name}").prompt == name
    assert parse("", f"{name}\n").prompt == name


@pytest.mark.parametrize(
    ("line", "first", "second"),
    [
        ("verify my whales.ipynb", "'my whales.ipynb' is not an option of %beluga verify.", "in quotes"),
        ("forget 6611 --aall", "No option '--aall'.", "Did you mean '--all'?"),
        ("forget --all of it", "'of it' is not an option of %beluga forget.", "%beluga -- forget …"),
        ("history --limit many", "--limit is 'many'.", "Give a whole number"),
        ("pack whales.ipynb --into x", "No option '--into'.", "%beluga --help lists all options"),
        ("pack", "%beluga pack takes one file.", "For example: %beluga pack study.ipynb"),
        ("pack a.ipynb b.ipynb", "%beluga pack takes one file.", "For example: %beluga pack study.ipynb"),
    ],
)
def test_a_command_that_is_not_understood_is_an_error_and_no_picture(line, first, second):
    with pytest.raises(RequestError) as caught:
        parse(line)
    assert caught.value.message == first
    assert second in caught.value.hint


SKIPPING = [flag for each in OPTIONS if each.name in SKIP_A_QUESTION for flag in each.flags]


@pytest.mark.parametrize("flag", SKIPPING)
def test_an_option_that_skips_a_question_is_never_suggested(flag):
    tried = 0
    for slip in {each for each in slips(flag) if each.startswith("--")} - {flag, "--"}:
        with pytest.raises(UnknownNameError) as caught:
            parse(f"{slip} a cat")
        assert caught.value.nearest not in SKIPPING
        tried += 1
    assert SKIPPING == ["--yes", "--insist"]
    assert tried > 30


def test_two_swapped_letters_are_the_likeliest_slip():
    with pytest.raises(UnknownNameError, match="Did you mean '--model'"):
        parse("--modle flux-2.0 a cat")


def test_an_unknown_long_option_is_never_taken_for_a_short_one():
    with pytest.raises(UnknownNameError) as caught:
        parse("--foo a cat")
    assert caught.value.nearest is None


def test_help_after_a_command_shows_the_help_of_that_command():
    assert parse("login --help") == Help("login")
    assert parse("compare --help", "a fox") == Help("compare")
    assert parse("--help a fox") == Help()
    lines = help_text("login").splitlines()
    assert [line.split()[:2] for line in lines] == [["%beluga", "login"]] * 2
    assert "--keep" in lines[1]
