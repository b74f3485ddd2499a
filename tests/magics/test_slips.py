"""No line that is one slip away from a command is paid for without a question: generated from the tables."""

import re
from itertools import product

import pytest

from beluga_nb.commands.table import OPTIONS, SETTINGS, CommandCall, commands_on
from beluga_nb.errors import RequestError
from beluga_nb.hints import Surface
from beluga_nb.magics.parse import Comparison, Help, Prompt, parse
from beluga_nb.magics.slips import SHORT, SKIP_A_QUESTION

COMMANDS = commands_on(Surface.MAGIC)
NEEDED = {"open": "whale.png", "pack": "study.ipynb", "unpack": "study.zip", "compare": "-m a,b a fox"}
WHOLE = {name: f"{name} {NEEDED.get(name, '')}".strip() for name in COMMANDS}
DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"
FLAGS = sorted({flag for each in OPTIONS for flag in each.flags})


def asked_about(line):
    """Return the error for a line, which tells how to buy it as a prompt; that way buys it unchanged."""
    with pytest.raises(RequestError) as caught:
        parse(line)
    assert "%beluga -- " in caught.value.hint, line
    assert parse(f"-- {line}") == Prompt(line)
    assert len(str(caught.value).splitlines()) == 2
    return caught.value


def suggested(line):
    """Return the command that the error for a line asks about, which is one."""
    found = re.search(r"Did you mean %beluga (.+?)\? For a picture", asked_about(line).hint)
    assert found is not None, line
    assert isinstance(parse(found[1]), CommandCall | Comparison | Help)
    return found[1]


def is_command(line):
    try:
        return isinstance(parse(line), CommandCall)
    except RequestError:
        return False


@pytest.mark.parametrize("name", COMMANDS)
def test_an_option_after_a_command_is_never_part_of_a_prompt(name):
    for flag in [*FLAGS, "--unheard-of", "-x", "-n3"]:
        for line in (f"{name} {flag}", f"{name} {flag} 3", f"{name} {flag}=3"):
            try:
                assert not isinstance(parse(line), Prompt), line
            except RequestError:
                assert parse(f"-- {line}") == Prompt(line)
    assert parse(f"{name} - a waiter").prompt == f"{name} - a waiter"
    assert parse(f"{name} -old books").prompt == f"{name} -old books"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "help"])
def test_a_decorated_command_is_asked_about(name):
    line = WHOLE[name]
    for decorated in (f'"{line}"', f"%beluga {line}", f"beluga {line}", f"!{line}"):
        assert asked_about(decorated)
    if name != "compare":  # Its prompt may hold the mark of a comment.
        assert asked_about(f"{line} # as before")
    for first in (f"{name}()", f"{name}:", f"`{name}`", f"{name.upper()}!", f"\u200b{name}"):
        assert asked_about(line.replace(name, first, 1))
    for at in range(1, len(name)):
        joined = line.replace(name, f"{name[:at]} {name[at:]}", 1)
        assert asked_about(joined)
    for help_line in (f"{name} help", f"help {name}"):
        assert suggested(help_line) == f"{name} --help"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_after_config_is_asked_about_in_any_spelling(name):
    dashed = name.replace("_", "-")
    for typed in (name, dashed, name.upper(), f"--{name}", f"--{dashed}", f"set {name}", f"\u2014{name}"):
        for line in (f"config {typed} 5", f"config {typed} = 5", f"config {typed}: 5", f"config {typed} =5"):
            assert suggested(line) == f"config {name}=5"
    assert suggested(f"{name}=5") == f"config {name}=5"
    assert parse(f"config {name} of a robot").prompt == f"config {name} of a robot"


@pytest.mark.parametrize("flag", FLAGS)
def test_an_option_with_a_dash_of_another_kind_is_refused_wherever_options_stand(flag):
    name = flag.lstrip("-")
    skips = any(flag in each.flags and each.name in SKIP_A_QUESTION for each in OPTIONS)
    for dash in DASHES:
        for line in (f"{dash}{name} 3 a fox", f"-n 2 {dash}{dash}{name} a fox", f"{dash}-{name}=3 a fox"):
            with pytest.raises(RequestError) as caught:
                parse(line)
            assert (f"'{flag}'" in caught.value.hint) == (not skips), line
            assert "put -- before a prompt" in caught.value.hint
        with pytest.raises(RequestError):
            parse(f"{dash}{name} 3", "a fox")
        for command in COMMANDS:
            assert asked_about(f"{command} {dash}{name} 3")


@pytest.mark.parametrize(
    "prompt", ["\u2014 a fox", "\u2212 5 degrees", "\u22125 degrees", "\u2014fin\u2014", "a \u2014help"]
)
def test_a_dash_before_other_words_begins_a_prompt(prompt):
    assert parse(prompt) == Prompt(prompt)


ARGUMENTS = [
    (name, option)
    for name, command in COMMANDS.items()
    for option in command.options
    if not command.prompt and not option.positional and option.flags[-1].startswith("--")
]


@pytest.mark.parametrize(("name", "option"), ARGUMENTS, ids=[f"{a}{b.flags[-1]}" for a, b in ARGUMENTS])
def test_an_option_without_its_dashes_is_asked_about(name, option):
    value = " x3" if option.kind == "variable" else " 3" if option.metavar else ""
    line = f"{name} {option.flags[-1].lstrip('-')}{value}"
    if option.name in SKIP_A_QUESTION:
        assert suggested(line) == name
    elif name not in NEEDED:
        assert suggested(line) == f"{name} {option.flags[-1]}{value}"
    if option.metavar == "N":
        assert suggested(f"{name} 3").endswith(" 3")
    assert isinstance(parse(f"{line} and a fox"), Prompt)


VALUES = {
    "model": ["flux-2.0", "FLUX-2.0", "flux2.0"],
    "size": ["16:9", "auto", "1024x1024"],
    "provider": ["google"],
    "N": ["3"],
    "DATE": ["2026-11-22"],
    "AGE": ["90d"],
    "TEXT": ["fox", '"red fox"', "22nd"],
}
"""Values of the options of commands, by their kind or by what they are called."""

NOT_ALONE = {"variable", "endpoint", "FILE", "FOLDER"}
"""What looks like any word, and follows no command without its option."""


def values_of(option):
    return VALUES.get(option.kind) or VALUES.get(option.metavar) or []


def test_every_option_of_a_command_has_values_here_or_looks_like_any_word():
    for name, command in COMMANDS.items():
        for option in () if command.prompt else command.options:
            known = values_of(option) or {option.kind, option.metavar} & NOT_ALONE or not option.metavar
            assert known, (name, option)


@pytest.mark.parametrize(("name", "option"), ARGUMENTS, ids=[f"{a}{b.flags[-1]}" for a, b in ARGUMENTS])
def test_a_value_of_a_commands_option_without_the_option_is_asked_about(name, option):
    for value in values_of(option):
        if is_command(f"{name} {value}"):  # A day is written as the name of a run is.
            continue
        for line in (f"{name} {value}", f"{name}  {value} {option.flags[-1]} {value}"):
            meant = suggested(line)
            assert meant.startswith(f"{name} -")
            assert value in meant.split(maxsplit=2)[2]
    flags = {flag for each in COMMANDS[name].options for flag in each.flags}
    # Several at once, whichever they are; only a text stands alone.
    for _, other in [each for each in ARGUMENTS if each[0] == name]:
        for one, two in product(values_of(option)[:1], values_of(other)[:1]):
            line = f"{name} {one} {two}"
            if "fox" in (one, two):
                assert parse(line) == Prompt(line)
            elif not is_command(line):
                assert set(suggested(line).split()[1::2]) <= flags


@pytest.mark.parametrize("name", COMMANDS)
def test_a_number_after_a_command_is_never_a_prompt(name):
    for number in ("3", "2026"):
        if not is_command(f"{name} {number}"):
            assert asked_about(f"{name} {number}")


@pytest.mark.parametrize("name", NEEDED)
def test_a_command_without_what_it_needs_is_never_a_prompt(name):
    with pytest.raises(RequestError, match=r"takes one file|There is nothing to compare"):
        parse(name)


def test_models_and_sizes_in_front_of_what_is_compared_are_asked_about():
    assert suggested("compare flux-2.0,gpt-image-2 a fox") == "compare --model flux-2.0,gpt-image-2 a fox"
    assert suggested("compare 16:9,1:1 a fox") == "compare --size 16:9,1:1 a fox"
    assert asked_about("compare flux-2.0")


@pytest.mark.parametrize("name", [name for name in COMMANDS if len(name) <= SHORT])
def test_a_short_command_with_one_wrong_letter_and_its_own_argument_is_asked_about(name):
    arguments = NEEDED.get(name, "-o x")
    for at in range(len(name)):
        for wrong in ("", "x", name[at] + "s", "é"):
            typed = name[:at] + wrong + name[at + 1 :]
            assert asked_about(f"{typed} {arguments}").nearest in COMMANDS


@pytest.mark.parametrize("word", ["helo", "hlp", "hellp", "lst", "lasst", "kast", "pck"])
def test_a_mistyped_short_command_is_asked_about(word):
    assert asked_about(word).nearest in COMMANDS


@pytest.mark.parametrize(
    ("line", "meant"),
    [
        ("alias poster -m flux-2.0", "alias poster=-m flux-2.0"),
        ("alias poster = -m flux-2.0", "alias poster=-m flux-2.0"),
        ("alias poster: -s 3:4", "alias poster=-s 3:4"),
        ("alias poster=flux-2.0", "alias poster=-m flux-2.0"),
        ("config store=memory://my study", 'config store="memory://my study"'),
        ("config max_images=5 pictures", 'config max_images="5 pictures"'),
        ("history \u2014limit 3", "history --limit 3"),
        ("models flux-2.0", "models --search flux-2.0"),
        ("models 16:9", "models --size 16:9"),
        ("history fox", "history --text fox"),
        ("history flux-2.0 3", "history --model flux-2.0 --limit 3"),
        ("history fox --limit 3", "history --text fox --limit 3"),
        ("sizes flux-2.0", "sizes --model flux-2.0"),
        ("last 3", "last"),
        ("forget 90d", "forget --older 90d"),
        ("forget cafe", "forget --prompt cafe"),
        ("serve 8080", "serve --port 8080"),
        ("verify .", "verify"),
        ("log in", "login"),
        ("cheat sheet", "cheatsheet"),
    ],
)
def test_the_command_is_told_as_it_should_be_written(line, meant):
    assert suggested(line) == meant


@pytest.mark.parametrize(
    "prompt",
    [
        "open door in the fog",
        "models on a catwalk",
        "history of art",
        "panel #3 of a comic",
        "log in the fireplace",
        "for get me not",
        "serve stop signs",
        "forget all of it",
        "sizes of planets",
        "config mode of a robot",
        "alias poster - an ad",
        "status: a crown",
        '"models" on a catwalk',
        "{{status}}",
        "help a fox",
        "history fox, owl",
        "models of 16:9 screens",
        "compare 3 foxes",
        "compare apples and oranges",
        "sizes matter",
        "panel 3 of a comic",
        "last light",
    ],
)
def test_plain_words_after_a_commands_name_are_a_prompt(prompt):
    assert parse(prompt) == Prompt(prompt)
