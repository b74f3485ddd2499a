"""Tests that need a POSIX system are marked `posix`, and Windows runs the others: what they use is read."""

import ast
from pathlib import Path

import pytest
from sampling import of_each

pytestmark = pytest.mark.unsampled  # each file is a claim of its own

TESTS = Path(__file__).parent

ATTRIBUTES = {
    "os": "fork geteuid getuid setuid getpgid getpgrp getsid setsid kill killpg mkfifo openpty WTERMSIG",
    "signal": "SIGKILL SIGHUP SIGUSR1 setitimer alarm pthread_kill ITIMER_REAL",
}
MODULES = {"resource", "pty", "fcntl", "termios", "pexpect", "pwd"}
METHODS = {"symlink_to", "chmod", "send_signal", "mkfifo"}
PHRASES = ("/proc/", "os.fork", "os.kill(", "SIGKILL", "setrlimit", "SIGINT")


def needs_posix(node):
    """Whether a piece of a test's code uses what Windows has not, or text that does."""
    for each in ast.walk(node):
        match each:
            case ast.Attribute(value=ast.Name(id=owner), attr=name) if (
                name in ATTRIBUTES.get(owner, "").split()
            ):
                return True
            case ast.Attribute(attr=name) if name in METHODS:
                return True
            case ast.Name(id=name) if name in MODULES:
                return True
            case ast.Constant(value=str(text)) if any(phrase in text for phrase in PHRASES):
                return True
    return False


def is_marked(node):
    return "pytest.mark.posix" in " ".join(map(ast.unparse, getattr(node, "decorator_list", ())))


def unmarked(source):
    """The tests of a module that need POSIX, by themselves or by what they use of it, and do not say so."""
    tree = ast.parse(source)
    if any(isinstance(each, ast.Assign) and "pytest.mark.posix" in ast.unparse(each) for each in tree.body):
        return []
    pieces = {name: each for each in tree.body for name in names_of(each)}
    guilty = {name for name, each in pieces.items() if needs_posix(each)}
    while more := {name for name, each in pieces.items() if name not in guilty and used(each) & guilty}:
        guilty |= more
    tests = [name for name in pieces if name in guilty and name.startswith("test_")]
    return [name for name in tests if not is_marked(pieces[name])]


def names_of(node):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Assign):
        return [each.id for each in node.targets if isinstance(each, ast.Name)]
    return []


def used(node):
    names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    return names | {each.arg for each in ast.walk(node) if isinstance(each, ast.arg)}


@of_each(path=sorted(TESTS.rglob("test_*.py")))
def test_what_needs_posix_is_marked(path):
    if path != Path(__file__):
        assert unmarked(path.read_text("utf-8")) == []


@pytest.mark.parametrize(
    "body",
    [
        "    os.fork()",
        "    Path('/proc/1/stat').read_text()",
        "    path.symlink_to(other)",
        "    helper()",
        "    print(PROGRAM)",
    ],
)
def test_what_is_not_marked_would_be_found(body):
    helpers = "PROGRAM = 'import os; os.fork()'\ndef helper():\n    signal.SIGKILL\n"
    assert unmarked(f"{helpers}def test_it():\n{body}\n") == ["test_it"]
    assert unmarked(f"{helpers}@pytest.mark.posix\ndef test_it():\n{body}\n") == []
    assert unmarked(f"{helpers}def test_it():\n    os.getpid()\n") == []
