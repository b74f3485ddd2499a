"""The table of commands: one entry and one function make a command, on every surface that it names."""

import re

import pytest

import beluga_nb.__main__ as program
import beluga_nb.magics.commands as magics
from beluga_nb.commands.table import (
    BOTH,
    COMMANDS,
    Command,
    CommandCall,
    Option,
    Words,
    commands_on,
    function,
)
from beluga_nb.commands.usage import help_text, parser, reference, terminal_usage
from beluga_nb.errors import RequestError
from beluga_nb.hints import Surface
from beluga_nb.magics.complete import Known, offer
from beluga_nb.magics.parse import Comparison, Prompt, parse
from beluga_nb.session.session import Session
from beluga_nb.show.cheatsheet import cheatsheet
from beluga_nb.terminal import cli


def number(text):
    return int(text)


def greet(session, call):
    return f"{call.options.get('greeting', 'Hello')}, {' and '.join(call.words)}!" * call.options["times"]


GREET = Command(
    "greet some animals",
    (
        Option(("--greeting",), "greeting", "WORD", "the word to begin with"),
        Option(("--times",), "times", "N", "how often", "count", type=number),
    ),
    words=Words(
        "[ANIMAL …]",
        lambda text: "whale" in text,
        lambda word: "whale" in word,
        "who is greeted",
        (".whale",),
    ),
    on=BOTH,
    run=greet,
    examples=(("%beluga greet a-whale --times 1", "a greeting"),),
)


@pytest.fixture
def toy(monkeypatch):
    monkeypatch.setitem(COMMANDS, "greet", GREET)


def offered(before, tmp_path):
    known = Known(lambda kind, _: ["1", "2"] if kind == "count" else [], folder=tmp_path)
    return [candidate.text for candidate in offer(before, "", known).candidates]


def test_the_help_and_the_reference_of_the_magic_have_a_new_command(toy):
    lines = [" ".join(line.split()) for line in help_text().splitlines()]
    assert "%beluga greet [ANIMAL …] greet some animals" in lines
    assert "%beluga greet --times N … how often" in lines
    assert "| `%beluga greet --greeting WORD` | … the word to begin with |" in reference()


def test_completion_offers_a_new_command_its_options_values_and_files(toy, tmp_path):
    (tmp_path / "small.whale").touch()
    assert offered("%beluga gr", tmp_path) == ["greet"]
    assert offered("%beluga greet ", tmp_path) == ["small.whale", "--greeting", "--times"]
    assert offered("%beluga greet --gr", tmp_path) == ["--greeting"]
    assert offered("%beluga greet --times ", tmp_path) == ["1", "2"]


def test_the_cheatsheet_has_the_examples_of_a_new_command(toy):
    card = cheatsheet()
    assert re.search(r"^  %beluga greet a-whale --times 1 +a greeting$", card["text/plain"], re.MULTILINE)
    assert ">%beluga greet a-whale --times 1</code>" in card["text/html"]


def test_the_terminal_has_a_new_command_and_its_help(toy, capsys):
    assert program.main(["--help"]) == 0
    assert re.search(r"^  greet +greet some animals$", capsys.readouterr().out, re.MULTILINE)
    with pytest.raises(SystemExit):
        parser("greet").parse_args(["--help"])
    printed = capsys.readouterr().out
    assert printed.startswith("usage: python -m beluga_nb greet [-h]")
    assert re.search(r"--times N +how often$", printed, re.MULTILINE)
    assert re.search(r"ANIMAL +who is greeted$", printed, re.MULTILINE)


def test_a_new_command_runs_below_the_magic_and_in_a_terminal(toy, capsys, tmp_path):
    call = parse("greet a-whale --greeting Hi --times 2")
    assert call == CommandCall("greet", ("a-whale",), {"greeting": "Hi", "times": 2})
    magics.run(None, call)
    assert capsys.readouterr().out == "Hi, a-whale!Hi, a-whale!\n"
    words = ["greet", "a-whale", "whales", "--times", "1"]
    assert cli.main(words, session=Session(environ={}, folder=tmp_path)) == 0
    assert capsys.readouterr().out == "Hello, a-whale and whales!\n"


def test_a_type_is_checked_on_both_surfaces(toy, capsys):
    with pytest.raises(RequestError, match="--times is 'often'"):
        parse("greet whale --times often")
    with pytest.raises(SystemExit) as ended:
        cli.main(["greet", "whale", "--times", "often"])
    assert ended.value.code == 2
    assert "argument --times: " in capsys.readouterr().err


def test_a_command_is_a_prompt_where_its_words_do_not_fit_and_where_it_does_not_exist(toy):
    assert parse("greet the sun") == Prompt("greet the sun")
    assert parse("lab") == Prompt("lab"), "the terminal alone has it"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_says_what_it_does_and_has_a_function(name):
    command = COMMANDS[name]
    assert command.help
    assert command.on
    if command.prompt:
        assert isinstance(parse(f"{name} -n 1 a fox"), Comparison)
    else:
        assert callable(function(command.program or command.run))
        assert callable(function(command.run or command.program))


@pytest.mark.parametrize("surface", [Surface.MAGIC, Surface.TERMINAL])
def test_no_flag_or_argument_stands_for_two_options(surface):
    for name, command in commands_on(surface).items():
        flags = [flag for option in command.options for flag in option.flags]
        names = [option.name for option in command.options]
        assert len(set(flags)) == len(flags), name
        assert len(set(names)) == len(names), name


@pytest.mark.parametrize("name", commands_on(Surface.TERMINAL))
def test_every_terminal_command_is_in_the_usage_and_has_a_parser(name, capsys):
    assert f"\n  {name} " in terminal_usage()
    with pytest.raises(SystemExit) as ended:
        parser(name).parse_args(["--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: python -m beluga_nb {name} [-h]")
