"""No regular expression of the package can be made to work more than in proportion to the text.

Each is read as an automaton, and no two loops of it may share what they read: only then the number of ways
through it, which is what `re` tries one after the other, is bounded (Weber and Seidl, "On the degree of
ambiguity of finite automata", 1991). All are then run, in a process of their own, on texts that are made of
their own characters.
"""

import ast
import importlib
import itertools
import json
import re
import subprocess
import sys
from collections import deque
from functools import cache
from pathlib import Path
from re import _constants as sre
from re import _parser as parser

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sampling import rounds
from stores import notebook, record

import beluga_nb
from beluga_nb.commands import table as commands
from beluga_nb.magics import parse
from beluga_nb.store import notebooks
from beluga_nb.store.records import Store
from beluga_nb.text import in_order

PACKAGE = Path(beluga_nb.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
METHODS = {"match", "fullmatch", "search", "findall", "finditer", "sub", "subn", "split"}
WHOLE, ANYWHERE = "fullmatch", METHODS - {"match", "fullmatch"}

# Expressions that are made as they run, and why none of them is harmful.
MADE = {
    ("compare/axes.py", "_replaced"): "words that the caller gave, side by side, without a loop",
    ("api/http.py", "without"): "the characters of a key one after the other, each in its spellings",
    ("learned.py", "quoted"): "each pair of quotation marks, with a loop over other signs alone between them",
    ("catalog.py", "taken"): "the same as in `label`",
}


# --- what there is


def uses():
    """How each name is used, `name.search(…)` anywhere in the package; and what `re.…(…)` is called with."""
    by_name, inline = {}, []
    for path in MODULES:
        for function, node in calls(ast.parse(path.read_text("utf-8"))):
            if isinstance(node.func, ast.Attribute):
                owner, method = node.func.value, node.func.attr
                if isinstance(owner, ast.Name) and owner.id == "re" and method in METHODS:
                    inline.append((path, function, node, method))
                elif method in METHODS:
                    for name in names_in(owner):
                        # A private name is used in its own module alone.
                        place = (path, name) if name.startswith("_") else name
                        by_name.setdefault(place, set()).add(method)
    return by_name, inline


def calls(node, function=None):
    """Each call below a node, with the function that it is in."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield function, child
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        yield from calls(child, child if inside else function)


def names_in(owner):
    if isinstance(owner, ast.IfExp):
        return [*names_in(owner.body), *names_in(owner.orelse)]
    return (
        [owner.id]
        if isinstance(owner, ast.Name)
        else [owner.attr]
        if isinstance(owner, ast.Attribute)
        else []
    )


def compiled(thing, name, seen):
    """Every compiled expression in a module's values, by the name it is called by."""
    if isinstance(thing, re.Pattern):
        yield name, thing
    elif isinstance(thing, tuple | list | dict) and id(thing) not in seen:
        seen.add(id(thing))
        fields = getattr(thing, "_fields", None)
        named = zip(fields, thing, strict=True) if fields else ((name, each) for each in values_of(thing))
        for field, each in named:
            yield from compiled(each, field, seen)


def values_of(thing):
    return thing.values() if isinstance(thing, dict) else thing


@cache
def expressions():
    """(module, name, pattern, flags, methods) of each."""
    by_name, inline = uses()
    found = {}
    for path in MODULES:
        place = path.relative_to(PACKAGE).as_posix()
        module = importlib.import_module("beluga_nb." + place.removesuffix(".py").replace("/", "."))
        for variable, value in vars(module).items():
            for name, pattern in compiled(value, variable, set()):
                methods = by_name.get((path, variable)) or by_name.get(name) or METHODS
                found[place, name, pattern.pattern, pattern.flags] = frozenset(methods)
        for where, function, node, method in inline:
            if where == path and function:
                text = literal(node.args[0], vars(module))
                if text is not None:
                    found[place, function.name, text, flags_of(node)] = frozenset({method})
                elif (place, function.name) not in MADE:
                    raise AssertionError(f"{place}, {function.name}: an expression that is made as it runs")
    return [(*key, methods) for key, methods in found.items()]


def literal(node, names):
    if isinstance(node, ast.Constant):
        return node.value
    value = names.get(node.id) if isinstance(node, ast.Name) else None
    return value if isinstance(value, str | bytes) else None


def flags_of(node):
    flags = [each for each in ast.walk(node) if isinstance(each, ast.Attribute) and each.attr.isupper()]
    return sum(int(getattr(re, each.attr)) for each in flags if ast.unparse(each.value) == "re")


# --- as automata


READERS = {sre.LITERAL, sre.NOT_LITERAL, sre.ANY, sre.IN}
FURTHEST = 3


def ALWAYS(before, after):
    return True


def NEVER(before, after):
    return False


class Wide(Exception):
    """A part that no automaton of this kind has: a reference back, or a far look."""


class Automaton:
    """An expression: states, steps that read a character, and steps that read none but may look at two."""

    def __init__(self, pattern, flags, method):
        tree = parser.parse(pattern, flags)
        self.flags = tree.state.flags
        self.free, self.reading, self.count = {}, {}, 0
        start = self.state()
        if method in ANYWHERE:
            self.reading.setdefault(start, []).append((lambda _: True, start))
        self.start = start
        self.end = self.sequence(tree, start)
        self.whole = method == WHOLE
        self.atoms = self.alphabet(pattern)

    def state(self):
        self.count += 1
        return self.count

    def step(self, one, other, look=ALWAYS, sure=None):
        """A step that reads nothing: when it may be taken, and when it is certain that it is."""
        self.free.setdefault(one, []).append((look, sure or look, other))

    def sequence(self, items, start):
        for kind, value in items:
            start = self.item(kind, value, start)
        return start

    def item(self, kind, value, start):
        end = self.state()
        if kind in READERS:
            self.reading.setdefault(start, []).append((self.reader(kind, value), end))
        elif kind is sre.SUBPATTERN:
            self.step(self.sequence(value[-1], start), end)
        elif kind is sre.BRANCH:
            for each in value[1]:
                self.step(self.sequence(each, start), end)
        elif kind in {sre.MAX_REPEAT, sre.MIN_REPEAT}:
            self.repeat(*value, start, end)
        elif kind is sre.AT:
            self.step(start, end, self.place(value))
        elif kind is sre.POSSESSIVE_REPEAT:
            self.possessive(*value, start, end)
        elif kind in {sre.ASSERT, sre.ASSERT_NOT}:
            self.step(start, end, *self.look(kind is sre.ASSERT, *value))
        else:
            raise Wide(str(kind))
        return end

    def repeat(self, least, most, what, start, end):
        for _ in range(min(least, 2)):  # more of the same are no loop
            start = self.sequence(what, start)
        if most is sre.MAXREPEAT:
            if not parser.SubPattern.getwidth(what)[0]:
                raise Wide("a loop around nothing")
            head = self.state()
            self.step(start, head)
            self.step(self.sequence(what, head), head)
            self.step(head, end)
        else:
            for _ in range(min(most - least, 2)):
                self.step(start, end)
                start = self.sequence(what, start)
            self.step(start, end)

    def possessive(self, least, most, what, start, end):
        """One character again and again, as often as it can be read: no part of it is given back."""
        if most is not sre.MAXREPEAT or len(what) != 1:
            raise Wide("a possessive loop around more than a character")
        test, over = self.reader(*what[0]), self.state()
        self.repeat(least, most, what, start, over)
        # Where it goes on, it comes to its end later, for certain.
        self.step(over, end, lambda _, after: after is None or not test(after), ALWAYS)

    def reader(self, kind, value):
        if kind is sre.ANY:
            return lambda char: char != "\n" or bool(self.flags & re.DOTALL)
        if kind is sre.IN:
            negated = value[0][0] is sre.NEGATE
            tests = [self.reader(*each) for each in value[negated:]]
            return lambda char: any(test(char) for test in tests) != negated
        if kind is sre.RANGE:
            return lambda char: any(value[0] <= ord(each) <= value[1] for each in self.cases(char))
        if kind is sre.CATEGORY:
            return self.category(value)
        if kind in {sre.LITERAL, sre.NOT_LITERAL}:
            return lambda char: (value in map(ord, self.cases(char))) == (kind is sre.LITERAL)
        raise Wide(str(kind))

    def cases(self, char):
        return {char, char.lower(), char.upper()} if self.flags & re.IGNORECASE else {char}

    def category(self, value):
        sign = {"DIGIT": r"\d", "SPACE": r"\s", "WORD": r"\w"}[str(value).rsplit("_", 1)[1]]
        meant = "NOT" not in str(value)
        expression = re.compile(sign, self.flags & re.ASCII)
        return lambda char: bool(expression.match(char)) == meant

    def place(self, value):
        many = self.flags & re.MULTILINE
        if value in {sre.AT_BOUNDARY, sre.AT_NON_BOUNDARY}:
            inside = lambda char: char is not None and bool(re.match(r"\w", char))  # noqa: E731
            return lambda before, after: (inside(before) != inside(after)) == (value is sre.AT_BOUNDARY)
        if value in {sre.AT_BEGINNING, sre.AT_BEGINNING_STRING, sre.AT_BEGINNING_LINE}:
            return lambda before, _: before is None or (bool(many) and before == "\n")
        # Before a last newline too, which no loop can make use of.
        return lambda _, after: after is None or (bool(many) and after == "\n")

    def look(self, wanted, direction, what):
        if parser.SubPattern.getwidth(what)[1] > FURTHEST:
            raise Wide("a look further than a few characters")
        if len(what) != 1 or what[0][0] not in READERS:
            return ALWAYS, NEVER  # a few characters take no time: either result is counted with
        test = self.reader(*what[0])
        side = 1 if direction > 0 else 0
        return (lambda *both: (both[side] is not None and test(both[side])) == wanted,)

    def alphabet(self, pattern):
        text = pattern.decode("latin-1") if isinstance(pattern, bytes) else pattern
        near = {chr(ord(char) + by) for char in text for by in (-1, 0, 1) if 0 <= ord(char) + by < 0x110000}
        near |= set("aAzZ09_ \n\t-.\"'\\é\0\u2028🦊{}~%<")
        tests = [test for steps in self.reading.values() for test, _ in steps]
        kinds = {}
        for char in sorted(near):
            sign = (
                *(test(char) for test in tests),
                char == "\n",
                bool(re.match(r"\w", char)),
                char.isspace(),
            )
            kinds.setdefault(sign, char)
        return list(kinds.values())

    def onward(self, state, before, after, *, certain=False):
        """What can be read next, `after` standing there: (state, number of ways); and whether it matches."""
        found, reached = {}, {}
        todo = [(state, frozenset())]
        while todo:
            here, seen = todo.pop()
            if here in seen:
                continue
            reached[here] = reached.get(here, 0) + 1
            if after is not None:
                for test, there in self.reading.get(here, ()):
                    if test(after):
                        found[there] = found.get(there, 0) + 1
            for look, sure, there in self.free.get(here, ()):
                if (sure if certain else look)(before, after):
                    todo.append((there, seen | {here}))
        return found, self.end in reached

    def is_safe(self, state, before):
        """Whether the expression has matched in any case: nothing before this is ever tried again."""
        nexts = [None, *self.atoms]
        return not self.whole and all(self.onward(state, before, each, certain=True)[1] for each in nexts)


def graph_of(automaton):
    """By (state, last character): by next character, the (state, ways) that follow; safe ones go nowhere."""
    graph, todo = {}, [(automaton.start, None)]
    while todo:
        node = todo.pop()
        if node in graph:
            continue
        graph[node] = {}
        if automaton.is_safe(*node):
            continue
        for char in automaton.atoms:
            onward, _ = automaton.onward(*node, char)
            graph[node][char] = onward
            todo += [(there, char) for there in onward]
    return graph


def reachable(graph, start):
    seen, todo = set(), [(there, char) for char, onward in graph[start].items() for there in onward]
    while todo:
        node = todo.pop()
        if node not in seen:
            seen.add(node)
            todo += [(there, char) for char, onward in graph[node].items() for there in onward]
    return seen


def ambiguous(graph):
    """A text that two loops share, or one loop reads in two ways; None where there is no such thing."""
    reach = {node: reachable(graph, node) for node in graph}
    loops = [node for node in graph if node in reach[node]]
    for node in loops:
        for char, onward in graph[node].items():
            for there, ways in onward.items():
                if ways > 1 and node in reach[there, char] | {(there, char)}:
                    return f"two ways to read {char!r} in one loop"
    for one, other in itertools.permutations(loops, 2):
        together = one[1] == other[1] and other in reach[one]
        if together and (shared := shared_text(graph, reach, one, other)):
            return shared
    return None


def shared_text(graph, reach, one, other):
    """A text that leads from `one` to itself, from `one` to `other`, and from `other` to itself."""
    start, goal = (one, one, other), (one, other, other)
    seen, todo = {start}, deque([(start, "")])
    while todo:
        nodes, text = todo.popleft()
        for char in graph[one] or ():
            steps = [[(there, char) for there in graph[node].get(char, ())] for node in nodes]
            for after in itertools.product(*steps):
                if after == goal:
                    return text + char
                if after not in seen and possible(reach, after, goal):
                    seen.add(after)
                    todo.append((after, text + char))
    return None


def possible(reach, nodes, goal):
    return all(end in reach[node] or end == node for node, end in zip(nodes, goal, strict=True))


def fault(pattern, flags, method):
    try:
        return ambiguous(graph_of(Automaton(pattern, flags, method)))
    except Wide as wide:
        return str(wide)


# --- the claims


KNOWN_BAD = [
    (r"(a*)*b", "match"),
    (r"(a|a)*b", "match"),
    (r"(a|aa)+$", "match"),
    (r"a*a*b", "match"),
    (r"\s*x?\s*y", "match"),
    (r".*?a.*?a.*?b", "match"),
    (r"\s+$", "search"),
    (r"\S*$", "search"),
    (r"\w+=", "findall"),
    (r"(^|[\"']|beluga(\s+-\S+(\s+[^-\s]\S*)?)*)\s*$", "search"),
    (r"(a)\1", "match"),
    (r"(?=.*b)a", "match"),
    (r"[^,]*\s*,", "match"),
    (r"(?:(?!ab)a)*(?:(?!ab)a)*b", "match"),
    (r"(?!ab)a*a*b", "match"),
    (r"(?:a++|b)*[ab]*c", "match"),
    (r"a++b", "search"),
    (r"(?:ab)++", "match"),
]
KNOWN_GOOD = [
    (r"a*b", "match"),
    (r'"(?:[^"\\]|\\.)*"', "fullmatch"),
    (r"\w+(?:-\w+)*", "fullmatch"),
    (r"(?<!\s)\s+$", "search"),
    (r"\b\w+=", "findall"),
    (r"(?:\{\{\w+\}\}|\S)+", "match"),
    (r"sha256:([0-9a-f]{64})(?![0-9a-f])", "findall"),
    (r"a++a*b", "match"),
    (r"(?!ab)a*b", "match"),
    (r"a++", "search"),
    (r"(?<!a)a++b", "search"),
]


@pytest.mark.parametrize(("pattern", "method"), KNOWN_BAD)
def test_what_can_be_made_to_work_longer_is_found(pattern, method):
    assert fault(pattern, 0, method)


@pytest.mark.parametrize(("pattern", "method"), KNOWN_GOOD)
def test_what_cannot_is_not(pattern, method):
    assert fault(pattern, 0, method) is None


@cache
def cases():
    """Each expression as it is used, with its place; all modules are read for that."""
    found = {}
    for place, name, pattern, flags, methods in expressions():
        for method in sorted(methods):
            kind = "search" if method in ANYWHERE else method
            found.setdefault((pattern, flags, kind), f"{place}:{name}:{kind}")
    return found


def test_no_expression_works_more_than_in_proportion_to_the_text():
    found = {name: fault(*case) for case, name in cases().items()}
    assert len(found) > 50
    assert {name: each for name, each in found.items() if each is not None} == {}


def pumped(automaton):
    """Texts of an expression's own characters, two by two: much of the one, then much of the other."""
    for one, other in itertools.product(automaton.atoms[:24], repeat=2):
        yield one * 300 + other * 300
        yield (one + other) * 300


RUN = """
import json, re, sys
for pattern, flags, method, texts, raw in json.load(sys.stdin):
    read = (lambda text: text.encode("latin-1")) if raw else str
    expression = re.compile(read(pattern), flags)
    for text in texts:
        try:
            text = read(text)
        except UnicodeEncodeError:
            continue
        list(expression.finditer(text)) if method == "search" else getattr(expression, method)(text)
print("done")
"""


def test_all_of_them_come_to_an_end():
    work = []
    for pattern, flags, method in cases():
        raw = isinstance(pattern, bytes)
        texts = list(pumped(Automaton(pattern, flags, method)))
        work.append((pattern.decode("latin-1") if raw else pattern, flags, method, texts, raw))
    assert len(work) > 50
    done = subprocess.run(
        [sys.executable, "-c", RUN], input=json.dumps(work), capture_output=True, text=True, timeout=240
    )
    assert done.stdout == "done\n", done.stderr


# --- texts that expressions once read, and walks read now


def old_holds(source, prompt):
    """Whether a prompt stands in a source, as an expression says it: right, and slow beyond a few names."""
    before, behind = r"(?:^|(?<=[\s\"']))", r"(?=\s*$|[\"'\n])"
    if re.search(rf"{before}{re.escape(prompt)}{behind}", source):
        return True
    first, *others = notebooks._FILLED.split(source)
    if not others:
        return False
    last = others.pop()
    ends = {last.rstrip(), re.split(r"[\"'\n]", last)[0]}
    between = "".join(f".*?{re.escape(each)}" for each in others)
    nothing_yet = r"(^|[\"']|beluga(\s+-\S+(\s+[^-\s]\S*)?)*)\s*$"
    return any(
        re.fullmatch(f"{between}.*?{re.escape(end)}", prompt[len(first) - start.end() :], re.DOTALL)
        for start in re.finditer(before, first)
        if prompt.startswith(first[start.end() :])
        and (start.end() < len(first) or re.search(nothing_yet, first))
        for end in ends
    )


SOURCES = st.lists(
    st.sampled_from(
        ["{{x}}", "{{ y }}", " ", "\n", '"', "'", "a", "b", "ab", "-m", "%%beluga", "beluga", ",", "=", "("]
    ),
    max_size=9,
).map("".join)


@settings(max_examples=rounds(60, 3000), deadline=None)
@given(
    SOURCES,
    st.lists(st.sampled_from(["a", "b", " ", "-m", '"', "\n", "ab", "beluga"]), min_size=1, max_size=7),
)
def test_a_walk_finds_the_prompts_that_an_expression_finds(source, words):
    prompt = "".join(words).strip()
    assume(prompt)
    assert notebooks._Piece(source).holds(prompt) == old_holds(source, prompt)


@settings(max_examples=rounds(60, 1000))
@given(st.lists(st.sampled_from(["", "a", "b", "ab"]), min_size=1, max_size=5), st.text("ab", max_size=8))
def test_pieces_stand_in_their_order(pieces, text):
    expression = re.compile(".*".join(map(re.escape, pieces)), re.DOTALL)
    assert in_order(text, pieces) == (expression.fullmatch(text) is not None)


PICTURE = re.compile(r"""(["']?)(\S.*\.(?:png|jpe?g|webp)|\S*[/\\])\1""", re.IGNORECASE)


@settings(max_examples=rounds(60, 2000))
@given(
    st.lists(
        st.sampled_from(["a", " ", ".png", ".JPG", "jpeg", "webp", ".", "/", "\\", '"', "'"]), max_size=6
    )
)
def test_a_name_of_a_picture_is_one_as_before(words):
    text = "".join(words)
    assert commands.is_picture_name(text) == (PICTURE.fullmatch(text) is not None)


VALUE = re.compile(
    r"""\s*(?:(?P<label>[^,:"']*):(?=["']))?(?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|(?!\s*["'])[^,]*)\s*(?:,|$)"""
)


def old_labelled(values):
    found, rest = [], values
    while rest:
        match = VALUE.match(rest)
        if match is None or not match["text"].strip():
            return None
        found.append(((match["label"] or "").strip(), match["text"].strip()))
        rest = rest[match.end() :]
    return found


def new_labelled(values):
    found, place = [], 0
    while place < len(values):
        label, text, place = parse._value_at(values, place)
        if not text:
            return None
        found.append((label, text))
    return found


@settings(max_examples=rounds(60, 3000))
@given(st.lists(st.sampled_from(["a", " ", ",", ":", '"', "'", "\\", "b c", "16:9", "@"]), max_size=8))
def test_the_values_of_an_axis_are_read_as_before(words):
    assert new_labelled("".join(words)) == old_labelled("".join(words))


HANG = """
import sys
from pathlib import Path
from beluga_nb.store.pack import pack
from beluga_nb.store.records import Store
from beluga_nb.store.verify import verify
folder = Path(sys.argv[1])
store = Store(folder / "beluga_store")
print(verify(store, [folder / "a.ipynb"]).fine, pack(store, folder / "a.ipynb").pictures)
"""


@pytest.mark.parametrize("between", [" ", "a", "", ", "])
@pytest.mark.parametrize("count", [12, 400])
def test_many_blanks_hang_neither_pack_nor_verify(count, between, tmp_path):
    store = Store(tmp_path / "beluga_store")
    for prompt in ("a" * 2000, " ".join("a" * 1000) + "!", "a " * 1000 + "b", "x"):
        record(store, prompt)
    path = notebook(tmp_path / "a.ipynb", record(store, "shown"))
    content = json.loads(path.read_text())
    content["cells"][0]["source"] = "%beluga " + between.join(["{{a}}"] * count) + " never"
    path.write_text(json.dumps(content))
    done = subprocess.run(
        [sys.executable, "-c", HANG, str(tmp_path)], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "True 1\n", done.stderr
