"""Hints fit the surface they are shown on: Python callers read arguments, users of the magics options."""

import ast
import inspect
import pickle
import re
from pathlib import Path

import pytest
from sampling import of_each

import beluga_nb
import beluga_nb.errors
from beluga_nb.catalog import sizes
from beluga_nb.commands.table import commands_on
from beluga_nb.commands.usage import help_text
from beluga_nb.console import cannot_ask, check_yes, shown_on, tell
from beluga_nb.errors import (
    BelugaError,
    NotConfirmedError,
    NotRecordedError,
    NotSentError,
    RequestError,
    UnknownNameError,
)
from beluga_nb.hints import ACTIONS, Hint, Remedy, Surface, mapped, on
from beluga_nb.magics.parse import parse
from beluga_nb.redaction import Secret
from beluga_nb.result import IncompleteError
from beluga_nb.session.library import Library
from beluga_nb.session.session import Session
from beluga_nb.terminal import cli
from beluga_nb.wire import error_from_json, error_to_json

pytestmark = pytest.mark.unsampled  # each module and action is a claim of its own

PACKAGE = Path(beluga_nb.__file__).parent

# --- the rule holds for every hint in the package

OF_ONE_SURFACE = {
    # These texts are shown on one surface alone: the magics' own, the terminal's own.
    *(
        "magics/",
        "terminal/actions.py",
        "terminal/cli.py",
        "terminal/lab.py",
        "__main__.py",
        "server/serve.py",
        "commands/arguments.py",
    ),
    # These hold the words of each surface.
    *("hints.py", "commands/table.py", "commands/usage.py", "show/cheatsheet.py"),
}

NO_HINTS = {
    "learned.py": "it starts tesseract by its options",
    "commands/cells.py": "it writes cells, whose text is code",
    "server/child.py": "it starts a process by its options; its repr is for a notebook",
    "show/booth.py": "a number: -inf",
    "session/session.py": "the source of a key is called `%beluga login`",
    "config/keys.py": "the source of a key is called `%beluga login`",
    "show/catalogue.py": "a table of `%beluga models`",
}
"""Other modules with strings that look like commands or options, and why they are none of a hint."""

OPTION_OR_COMMAND = re.compile(r"%beluga|(?<![\w-])--?[a-z][\w-]*(?=[\s=.,:;]|$)|python -m beluga_nb")
PYTHON_ARGUMENT = re.compile(r"\b[a-z_]+=(?:True|False|[\"'\d])|\bSession\(")

# Only a Python caller can give a session an engine, or call these functions of the kit.
PYTHON_ALONE = {
    "engines/own.py",
    "engines/imported.py",
    "engines/worker.py",
    "engines/backend.py",
    "config/preferences.py",
    "compare/cluster.py",
}

MODULES = sorted(
    name
    for path in PACKAGE.rglob("*.py")
    if not (name := path.relative_to(PACKAGE).as_posix()).startswith((*OF_ONE_SURFACE, "painter/"))
)


def trees(module):
    return ast.parse((PACKAGE / module).read_text("utf-8"))


def texts(tree):
    """Every text of a tree that is no docstring; of an f-string its constant pieces."""
    passive = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passive:
            yield node.value


def calls(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.Call)]


def name_of(call):
    return ast.unparse(call.func).rpartition(".")[2]


def hints(tree):
    """Every text in the call of an error's class or of `Hint`, or in what is called a hint."""
    for node in ast.walk(tree):
        match node:
            case ast.Call() if name_of(node).endswith("Error") or name_of(node) == "Hint":
                yield from texts(node)
            case ast.keyword(arg="hint" | "nothing"):
                yield from texts(node)
            case ast.Assign() if re.search("hint|advice", ast.unparse(node.targets[0]), re.IGNORECASE):
                yield from texts(node)


@of_each(module=[each for each in MODULES if each not in NO_HINTS])
def test_no_text_names_a_command_or_an_option_but_by_a_remedy(module):
    found = [text for text in texts(trees(module)) if OPTION_OR_COMMAND.search(text)]
    # Styles have variables that begin with two dashes.
    assert [text for text in found if not re.search(r"--jp-| -text|style=\"--", text)] == []


@of_each(module=MODULES)
def test_no_hint_names_a_command_or_an_option_but_by_a_remedy(module):
    tolerated = {"%beluga login", "%%beluga has no option for "}
    found = [text for text in hints(trees(module)) if OPTION_OR_COMMAND.search(text)]
    assert [text for text in found if text not in tolerated] == []


@of_each(module=[each for each in MODULES if each not in PYTHON_ALONE])
def test_no_hint_names_an_argument_of_python_but_by_a_remedy(module):
    assert [text for text in hints(trees(module)) if PYTHON_ARGUMENT.search(text)] == []


SAYS_NOTHING_TO_DO = re.compile(r"\s*((Nothing (is|was sent or) billed|It may have been billed)\.\s*)*")
QUOTED = {
    # Another error gives these as its reason, and has the hint.
    *("CorruptFileError", "FigureError", "InvalidPackError", "NotAStoreError", "NotPlainFileError"),
    *("NotSentError", "NotTakenError", "RecordedMeanwhileError"),
    # These make their hint from what they are given.
    *("CheckFailedError", "ImpossibleCombinationError", "IncompleteError", "NotPulledError"),
    *("NotRecordedError", "UnknownArgumentError", "UnknownNameError"),
}
WITHOUT_A_HINT = {
    "api/download.py": "the reason why a picture cannot be fetched",
    "compare/judge.py": "it is given the hint",
    "engines/recorded.py": "written into the journal",
    "engines/upstream.py": "a server of its own sends it",
    "metadata/": "`files.py` gives these as its reason",
    "painter/": "shown by the check of figures",
    "server/": "sent over HTTP, where a message carries both",
    "wire.py": "sent over HTTP",
}


def raised(tree):
    """Every error of ours that is made, with its arguments."""
    kinds = {name for name in vars(beluga_nb.errors) if name.endswith("Error")} | {"RemoteError"}
    for call in calls(tree):
        if name_of(call) in kinds - QUOTED and not any(isinstance(each, ast.Starred) for each in call.args):
            yield call


@of_each(module=MODULES)
def test_every_error_says_what_to_do(module):
    found = [*raised(trees(module))]
    if not module.startswith(tuple(WITHOUT_A_HINT)):
        assert [ast.unparse(each) for each in found if len(each.args) < 2] == []
    bare = [each.args[1] for each in found if len(each.args) > 1 and isinstance(each.args[1], ast.Constant)]
    assert [each.value for each in bare if SAYS_NOTHING_TO_DO.fullmatch(each.value)] == []


def test_no_hint_names_an_option_that_skips_a_question_about_money():
    asked = {action for action, words in ACTIONS.items() if words.magic in {"--yes", "--insist"}}
    assert asked == {"yes"}
    found = [
        module
        for module in MODULES
        for call in calls(trees(module))
        if name_of(call) == "Remedy" and getattr(call.args[0], "value", "") in asked
    ]
    assert found == ["session/library.py"], "whether recordings are to be forgotten"


def test_pictures_that_cannot_be_confirmed_are_refused_without_such_an_option():
    with pytest.raises(NotConfirmedError, match="Ask for fewer at a time"):
        check_yes(None, unasked="11 new pictures are more than 10", declined="")


def test_hints_that_break_the_rule_would_be_found():
    broken = (
        "raise RequestError('No.', 'Use --mode auto.')",
        "raise UnknownNameError('x', y, z, hint=f'{a} %beluga models lists {b}.')",
        "error.hint = f'Run python -m beluga_nb verify {name}'",
        "_ADVICE = {404: 'Give -m lab:sd'}",
        "check_yes(answer, nothing='Say --yes.')",
    )
    for source in broken:
        assert any(map(OPTION_OR_COMMAND.search, hints(ast.parse(source)))), source
    [found, *_] = [
        each for each in hints(ast.parse("raise StoreError('No.', 'Give mode=\"auto\".')")) if "=" in each
    ]
    assert PYTHON_ARGUMENT.search(found)


def test_every_remedy_is_an_action_that_has_words():
    used = set()
    for module in MODULES:
        for call in calls(trees(module)):
            if name_of(call) == "Remedy":
                [action, *values] = call.args
                assert isinstance(action, ast.Constant), module
                words = ACTIONS[action.value]
                assert bool(values) == ("{}" in words.python), (module, action.value)
                used.add(action.value)
    assert used == set(ACTIONS), "an action that no hint names"


# --- the words of each action are right on each surface

VALUES = {"values": "animal", "seed": "1", "mode": "auto", "older": "90d", "to": "other.zip"}


def words(action, surface):
    value = VALUES.get(action, "lab") if "{}" in ACTIONS[action].python else ""
    return Remedy(action, value).on(surface)


@pytest.mark.parametrize("action", ACTIONS)
def test_what_hints_of_python_name_exists(action):
    found = words(action, Surface.PYTHON)
    assert not OPTION_OR_COMMAND.search(found)
    if found.startswith("Session."):
        *inner, method = found.removeprefix("Session.").partition("(")[0].split(".")
        assert inner in ([], ["store"])
        assert callable(getattr(Library if inner else Session, method))
    elif "(" in found:
        assert found.startswith(("beluga_nb.generate(", "beluga_nb.catalog.sizes(")), found
        assert callable(beluga_nb.generate)
        assert callable(sizes)
    else:
        name = found.partition("=")[0]
        verbs = (Session.submit, Library.history, Library.forget, Library.pack, Library.unpack, Session.grid)
        known = {each for verb in verbs for each in inspect.signature(verb).parameters}
        assert name in known | {"animal"}, found


@pytest.mark.parametrize("action", ACTIONS)
def test_what_hints_of_the_magic_name_is_understood(action):
    found = words(action, Surface.MAGIC)
    assert "=" not in found or found.startswith("--axis")
    if found.startswith("%beluga"):
        assert parse(found.removeprefix("%beluga").strip())
    else:
        assert found.split()[0] in help_text()


@pytest.mark.parametrize("action", ACTIONS)
def test_hints_of_the_panel_name_no_option(action):
    found = words(action, Surface.PANEL)
    assert not re.search(r"^--?\w", found)
    assert "%beluga" not in found or found.endswith(" in a cell")


@pytest.mark.parametrize("action", ACTIONS)
def test_hints_of_the_terminal_name_its_own_options_alone(action):
    found = words(action, Surface.TERMINAL)
    flags = {
        flag
        for command in commands_on(Surface.TERMINAL).values()
        for option in command.options
        for flag in option.flags
    }
    if found.startswith("-"):
        assert found.split()[0] in flags
    else:
        assert "%beluga" not in found or found.endswith(" in a notebook")


@pytest.mark.parametrize("action", ACTIONS)
def test_hints_to_a_client_over_http_name_no_magic(action):
    assert not OPTION_OR_COMMAND.search(words(action, Surface.API))


# --- a hint is a text


def test_a_hint_is_the_text_for_python_and_keeps_its_remedies():
    hint = Hint("Use ", Remedy("mode", "auto"), ".")
    assert hint == 'Use mode="auto".'
    more = Hint("First. ", hint, " Last.")
    assert on(more, Surface.MAGIC) == "First. Use --mode auto. Last."
    assert on("as it is", Surface.MAGIC) == "as it is"
    again = pickle.loads(pickle.dumps(more))
    assert (again, on(again, Surface.MAGIC)) == (more, on(more, Surface.MAGIC))
    assert on(mapped(hint, str.upper), Surface.MAGIC) == "USE --mode AUTO."


def test_a_hint_is_in_the_words_of_the_surface(capsys):
    notice = Hint("Log in with ", Remedy("login"), ".")
    tell(notice)
    with shown_on(Surface.MAGIC):
        tell(notice)
    assert "".join(capsys.readouterr()) == "Log in with Session.login().\nLog in with %beluga login.\n"


# --- errors as they are shown


def missing():
    return NotRecordedError("'a fox'; the store is empty")


def unconfirmed():
    return cannot_ask("Many.", Hint("Confirm with ", Remedy("yes"), "."))


def refused():
    with pytest.raises(RequestError) as caught:
        Session(environ={}).plan("a fox", model="flux2")
    return caught.value


SHOWN = {
    missing: ('mode="auto"', "--mode auto", 'the setting mode = "auto"'),
    unconfirmed: ("assume_yes=True", "--yes", "in Python"),
    refused: ("Session.models()", "%beluga models", "The model menu"),
    lambda: error_from_json(404, {}, b""): ("Session.models()", "%beluga models", "The model menu"),
    lambda: NotSentError(missing()): ('mode="auto"', "--mode auto", "the setting"),
    lambda: pickle.loads(pickle.dumps(missing())): ('mode="auto"', "--mode auto", "the setting"),
}


@pytest.mark.parametrize("make", SHOWN)
def test_an_error_is_shown_in_the_words_of_the_surface_that_it_has_passed(make):
    python, magic, panel = SHOWN[make]
    for surface, expected in ((Surface.MAGIC, magic), (Surface.PANEL, panel)):
        error = make()
        assert python in str(error)
        assert python in "\n".join(error._render_traceback_())
        with pytest.raises(BelugaError), shown_on(surface):
            raise error
        assert expected in "\n".join(error._render_traceback_())
        assert expected in str(error)
        assert python in error.hint, "the attribute is for Python"
        error.traced = True
        assert expected in "\n".join(error._render_traceback_())


def test_an_error_over_http_names_a_route_and_no_magic():
    error = UnknownNameError("model", "x", ["y"], hint=Hint(Remedy("models"), " lists all."))
    _, body = error_to_json(error)
    assert body["error"]["message"] == "No model 'x'. GET /v1/models lists all."


def test_hints_of_the_terminal_name_its_options(tmp_path, capsys):
    session = Session(environ={}, folder=tmp_path)
    assert cli.main(["forget"], session=session) == 2
    assert capsys.readouterr().err == (
        "python -m beluga_nb forget: No recordings were selected.\n"
        "Name runs, or give --older 90d, --prompt TEXT or --all.\n"
    )
    with pytest.raises(RequestError) as caught:
        session.store.forget()
    assert caught.value.hint == 'Name runs, or give older="90d", prompt="TEXT" or everything=True.'


def test_no_remedy_keeps_a_key():
    secret = Secret("bapi_a-key-that-is-in-a-hint-1234", "a test")
    error = RequestError("No.", Hint("Use ", Remedy("mode", secret.reveal()), f" or {secret.reveal()}."))
    for error.surface in Surface:
        assert secret.reveal() not in str(error)
        assert secret.reveal() not in repr(error.hint.parts)


def test_an_incomplete_result_keeps_the_remedy_of_its_cause(tmp_path):
    result = Session(environ={}, folder=tmp_path).generate("a fox", model="flux-2.0")
    hint = IncompleteError(result, [missing()]).hint
    assert "--mode auto" in on(hint, Surface.MAGIC)
    assert hint.endswith("Running it again asks only for what is missing.")
