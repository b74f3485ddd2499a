"""The house as a table: who may import whom. The imports themselves are read, not believed."""

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest
from sampling import of_each

import beluga_nb

pytestmark = pytest.mark.unsampled  # each module is a claim of its own

PACKAGE = Path(beluga_nb.__file__).parent

# Each layer may import from the layers above it in this list, and from its own room.
LAYERS = [
    {"process", "money"},
    {"redaction"},
    {"text"},
    {"hints"},
    {"errors", "untrusted"},
    {"paths", "placeholders", "signatures", "interrupted", "caller"},
    {"commands"},
    {"metadata", "key_check", "copy_on_write"},
    {"images"},
    {"request"},
    {"result", "runtime"},
    {"merge", "catalog", "budget", "console"},
    {"config"},
    {"wire"},
    {"chat"},
    {"painter"},
    {"api", "server", "store", "learned"},
    {"engines"},
    {"compare"},
    {"show"},
    {"progress"},
    {"session"},
    {"widgets"},
    {"terminal"},
    {"magics"},
    {"__init__", "__main__"},
]

# Values know how they are shown: Jupyter asks the value itself (`_repr_mimebundle_`), and `to_html` and
# `vote` are its methods too. So `compare` imports `show`, which stands above it, inside these methods only.
OWN_DISPLAY = ("compare", "show")

# Where a library may be imported; what is not named here may be imported nowhere.
LIBRARIES = {
    "httpx": {"api/transport.py"},
    # In the package's root for type checkers only; what stands in a cell is kept up to date, as a saved
    # notebook shows it.
    "IPython": {
        "magics/",
        "progress/",
        "__init__.py",
        "widgets/panel.py",
        "show/booth.py",
    },
    "traitlets": {"magics/registered.py", "widgets/"},  # what IPython and ipywidgets are configured by
    "ipywidgets": {"widgets/", "show/booth.py", "show/widget.py"},
    "starlette": {"server/"},
    "uvicorn": {"server/"},
    "jupyterlab": {"terminal/lab.py"},
    # Measures and rankings are arithmetic on arrays: by hand they would be slower and longer.
    "numpy": {"painter/", "compare/inference.py", "compare/kid.py", "compare/metrics.py", "compare/rank.py"},
    "PIL": {  # in `compare` and `learned.py` for types
        "copy_on_write.py",
        "images.py",
        "result.py",
        "show/",
        "painter/",
        "compare/metrics.py",
        "compare/scores.py",
        "learned.py",
    },
    "comm": {"widgets/view/comms.py"},  # what carries the messages of widgets
    "pybase64": {"wire.py", "chat.py", "api/encoded.py", "show/", "redaction.py"},
    "pandas": {  # else for types
        "show/spreadsheet.py",
        "show/frame.py",
        "compare/agreement.py",
        "compare/grid.py",
        "show/grid.py",
    },
    "pyarrow": {"show/dataset.py", "show/parquet.py"},
    "dynamicprompts": {"compare/dynamic.py"},
    "fsspec": {"store/objects.py"},
    # What the extra `metrics` installs; each is imported when a picture is measured.
    "torch": {"learned.py"},
    "transformers": {"learned.py"},
    "lpips": {"learned.py"},
    "nest_asyncio": {"runtime.py"},
    "nest_asyncio2": {"runtime.py"},
}

MODULES = sorted(path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py"))


def room(module: str) -> str:
    return module.removesuffix(".py").split("/")[0]


def depth(name: str) -> int:
    return next(number for number, layer in enumerate(LAYERS) if name in layer)


@cache
def parsed(module: str) -> ast.Module:
    """The syntax tree of a file, for all tests that read it."""
    return ast.parse((PACKAGE / module).read_text("utf-8"))


@cache
def imports(module: str) -> set[str]:
    """Every module that a file imports, at its top or inside a function, by its full name."""
    tree = parsed(module)
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: a relative import hides where things come from"
            found.add(str(node.module))
    return found


@of_each(module=MODULES)
def test_a_module_imports_only_from_the_layers_below_it(module):
    own = room(module)
    for name in imports(module):
        if not name.startswith("beluga_nb"):
            continue
        _, _, inner = name.partition(".")
        assert inner or own == "__init__", f"{module} imports from the package's own root"
        other = inner.split(".")[0]
        if other and other != own and (own, other) != OWN_DISPLAY:
            assert depth(other) < depth(own), f"{module} imports {name}, which is not below it"


@of_each(module=MODULES)
def test_a_library_is_imported_only_in_its_place(module):
    allowed = sys.stdlib_module_names | {"beluga_nb"}
    for name in {name.split(".")[0] for name in imports(module)} - allowed:
        assert name in LIBRARIES, f"{module} imports {name}, which no room is for"
        assert any(module.startswith(place) for place in LIBRARIES[name]), f"{module} imports {name}"


def test_what_is_compared_imports_its_display_inside_its_methods_only():
    own, other = OWN_DISPLAY
    for module in MODULES:
        if room(module) == own:
            tree = parsed(module)
            at_the_top = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
            assert not [name for name in at_the_top if str(name).startswith(f"beluga_nb.{other}")], module


@cache
def defined_in(module: str) -> set[str]:
    """What a module defines at its top, and what an `__init__.py` gives out of its folder."""
    tree = parsed(module)
    found = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and module.endswith("__init__.py"):
            found |= {alias.name for alias in node.names}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        for each in ast.walk(node) if isinstance(node, ast.Assign | ast.AnnAssign) else ():
            if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store):
                found.add(each.id)
    return found


@of_each(module=MODULES)
def test_a_name_is_imported_from_the_module_that_defines_it(module):
    """Magics and widgets may import any layer below them, so nothing is re-exported for them.

    Once they could import only the session, which passed on names of other modules to keep that rule.
    """
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("beluga_nb."):
            path = node.module.removeprefix("beluga_nb.").replace(".", "/")
            source = next((each for each in (f"{path}.py", f"{path}/__init__.py") if each in MODULES), None)
            assert source, f"{module} imports {node.module}, which is no module"
            names = {alias.name for alias in node.names}
            known = defined_in(source) | {Path(each).stem for each in MODULES if each.startswith(f"{path}/")}
            assert names <= known, f"{module} imports {names - known} from {source}, which does not define it"


def test_every_exported_name_exists_and_has_one_home():
    assert sorted(beluga_nb.__all__) == beluga_nb.__all__
    assert "open" not in beluga_nb.__all__, "`from beluga_nb import *` would replace the builtin"
    assert callable(beluga_nb.open)
    for name in beluga_nb.__all__:
        assert getattr(beluga_nb, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        beluga_nb.nothing  # noqa: B018


def test_what_type_checkers_see_is_what_is_exported():
    tree = ast.parse((PACKAGE / "__init__.py").read_text("utf-8"))
    [seen] = [node for node in tree.body if isinstance(node, ast.If)]
    imported = [each for each in seen.body if str(each.module).startswith("beluga_nb")]
    names = {alias.name for each in imported for alias in each.names}
    defined = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)} - {
        "__getattr__",
        "__dir__",
    }
    assert names | defined == {*beluga_nb.__all__, "open"}


def test_every_module_can_be_imported_by_itself():
    for module in MODULES:
        importlib.import_module("beluga_nb." + module.removesuffix(".py").replace("/", "."))


HEAVY = ("httpx", "PIL", "numpy", "starlette", "uvicorn", "IPython", "ipywidgets", "nest_asyncio", "torch")


def test_s52_importing_the_package_imports_no_heavy_library_opens_no_socket_and_writes_nothing(tmp_path):
    probe = f"""
import socket, sys
def never(*_): raise AssertionError("a socket was opened")
socket.socket.connect = socket.socket.bind = never
import beluga_nb
print([name for name in {HEAVY} if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-B", "-c", probe], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


BANNED = {"pickle", "marshal", "shelve", "dbm", "sqlite3", "mmap", "fcntl", "msvcrt", "yaml", "ctypes"}

# What forked processes have spent is shared in memory, where no disk is full: the store needs none of it.
IN_ITS_PLACE = {"process/forks.py": {"mmap"}}


@of_each(module=MODULES)
def test_s37_r32_nothing_stored_is_executed_and_nothing_locks(module):
    """No lock, no map of memory and no database is needed for correctness, and no data becomes code."""
    assert {name.split(".")[0] for name in imports(module)} & BANNED == IN_ITS_PLACE.get(module, set())
    tree = parsed(module)
    called = {
        each.func.id for each in ast.walk(tree) if isinstance(each, ast.Call) and hasattr(each.func, "id")
    }
    assert called & {"eval", "exec", "compile", "__import__"} == set()


def test_pictures_are_decoded_in_one_module():
    """A room may draw on Pillow's images; bytes become images, and images bytes, in images.py alone."""
    for module in set(MODULES) - {"images.py"}:
        tree = parsed(module)
        calls = [ast.unparse(each.func) for each in ast.walk(tree) if isinstance(each, ast.Call)]
        assert [each for each in calls if each in {"Image.open", "ImageFile.Parser"}] == [], module
        if room(module) in {"show", "widgets", "compare", "magics", "result"}:
            savers = [each for each in calls if each.endswith("image.save") or each.endswith("buffer.save")]
            assert savers == [], module


def docstrings(tree):
    owners = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    bodies = [each.body for each in ast.walk(tree) if isinstance(each, owners)]
    texts = [each for body in bodies for each in body if isinstance(each, ast.Expr)]
    return {id(each.value) for each in texts}


@of_each(module=[each for each in MODULES if room(each) in {"show", "widgets"}])
def test_pages_and_their_styles_and_scripts_are_template_files(module):
    tree = parsed(module)
    skipped = docstrings(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in skipped:
            lines = node.value.strip().splitlines()
            assert len(lines) < 2 or not re.search(r"[<{;]", node.value), f"{module}, line {node.lineno}"


@of_each(module=MODULES)
def test_s04_the_environment_is_read_where_nothing_can_fail(module):
    """`os.environ[...]` in an expression that fails would show the whole environment in a traceback."""
    tree = parsed(module)
    reads = [
        each
        for each in ast.walk(tree)
        if isinstance(each, ast.Subscript | ast.Call) and ast.unparse(each).startswith("os.environ")
    ]
    assert reads == []


def test_s60_what_is_installed_is_at_least_the_floor():
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))["project"]
    for words in project["dependencies"]:
        name, _, floor = words.partition(">=")
        installed = tuple(map(int, re.findall(r"\d+", version(name))[:2]))
        assert installed >= tuple(map(int, floor.split("."))), words


def swallows(handler):
    """Whether an `except` clause may keep an interrupt: it takes any, and does not raise it again."""
    named = [node.id for node in ast.walk(handler.type or ast.Tuple([])) if isinstance(node, ast.Name)]
    named += [
        node.attr for node in ast.walk(handler.type or ast.Tuple([])) if isinstance(node, ast.Attribute)
    ]
    takes_all = handler.type is None or "BaseException" in named or "KeyboardInterrupt" in named
    last = handler.body[-1]
    return takes_all and not (isinstance(last, ast.Raise) and last.exc is None)


# Ctrl-C in a terminal ends the command, with the status that shells know; what ends the work on a thread goes
# to whoever waits for it, and no interrupt of a person's comes to the thread of somebody's engine.
ENDS_THERE = {
    *("terminal/cli.py", "terminal/lab.py", "process/workers.py"),
    *("engines/own.py", "engines/batch_engine.py"),
}


@of_each(module=sorted(set(MODULES) - ENDS_THERE))
def test_r43_no_except_keeps_an_interrupt_to_itself(module):
    for node in ast.walk(parsed(module)):
        if isinstance(node, ast.ExceptHandler):
            assert not swallows(node), f"{module}, line {node.lineno}"


def test_r43_what_keeps_an_interrupt_to_itself_would_be_found():
    clauses = (
        "except:\n  pass",
        "except BaseException:\n  print()",
        "except (OSError, KeyboardInterrupt):\n  pass",
    )
    for words in clauses:
        [clause] = ast.parse(f"try:\n  pass\n{words}").body[0].handlers
        assert swallows(clause)
    [clause] = ast.parse("try:\n  pass\nexcept BaseException:\n  print()\n  raise").body[0].handlers
    assert not swallows(clause)


def by_hand(scope):
    """The blocking functions of a module or class that are written beside an async one: `x` and `ax`."""
    functions = {each.name for each in scope.body if isinstance(each, ast.FunctionDef)}
    coroutines = {each.name for each in scope.body if isinstance(each, ast.AsyncFunctionDef)}
    return {name for name in functions if f"a{name}" in coroutines}


def test_no_blocking_twin_is_written_by_hand():
    """`runtime.blocking` and `runtime.awaitable` make both from one function."""
    for module in MODULES:
        tree = parsed(module)
        scopes = [tree, *(each for each in ast.walk(tree) if isinstance(each, ast.ClassDef))]
        assert [by_hand(scope) for scope in scopes if by_hand(scope)] == [], module
    assert by_hand(ast.parse("def open(): ...\nasync def aopen(): ...")) == {"open"}
