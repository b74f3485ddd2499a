"""Reading: the known phrases of a prompt, longest first by the lexicon, and its other words."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from PIL import ImageColor

from beluga_nb.painter.colour import RGB, rgb

WORDS_READ = 400  # a prompt may have 32,000 characters, and its first words describe the picture


@dataclass(frozen=True, slots=True)
class Term:
    """A phrase of the prompt: where it stands, its tag, what it means; absent when the prompt negates it."""

    text: str
    tag: str
    value: str
    absent: bool = False


@dataclass(frozen=True, slots=True)
class SubjectEntry:
    """What the lexicon says of a subject."""

    kind: str
    stance: str
    size: float
    colour: RGB


@dataclass(frozen=True, slots=True)
class Reading:
    """The terms of a prompt in order."""

    terms: tuple[Term, ...]

    def all(self, *tags: str) -> tuple[Term, ...]:
        """Return the terms with one of the tags, negated ones left out."""
        return tuple(t for t in self.terms if t.tag in tags and not t.absent)

    def first(self, tag: str) -> str | None:
        """Return the first value of a tag, or None."""
        return next((t.value for t in self.all(tag)), None)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return the words the lexicon does not know, each once."""
        return tuple(dict.fromkeys(t.text for t in self.terms if t.tag == "unknown"))


Table = Mapping[str, object]


@cache
def _toml(name: str) -> Table:
    return tomllib.loads((files("beluga_nb.painter") / name).read_text(encoding="utf-8"))


def table(name: str, *keys: str) -> dict[str, object]:
    """Return a table of one of the package's TOML files."""
    found: object = _toml(name)
    for key in keys:
        assert isinstance(found, Mapping)
        found = found[key]
    assert isinstance(found, Mapping)
    return {str(key): value for key, value in found.items()}


def texts(value: object) -> list[str]:
    """Return a TOML array of strings."""
    assert isinstance(value, list)
    return [str(item) for item in value]


@cache
def subjects() -> Mapping[str, SubjectEntry]:
    """Return the subjects of the lexicon."""
    entries = {name: table("lexicon.toml", "subject", name) for name in table("lexicon.toml", "subject")}
    return {
        name: SubjectEntry(str(e["kind"]), str(e["stance"]), float(str(e["size"])), rgb(str(e["colour"])))
        for name, e in entries.items()
    }


@cache
def setting_kinds() -> Mapping[str, str]:
    """Return the scene kind of each setting that decides one."""
    names = table("lexicon.toml", "setting")
    entries = {name: table("lexicon.toml", "setting", name) for name in names}
    return {name: str(entry["kind"]) for name, entry in entries.items() if "kind" in entry}


def _entries() -> Iterator[tuple[str, str, str]]:
    """Yield (phrase, tag, value); a later one wins."""
    yield from ((name, "colour", name) for name in ImageColor.colormap)
    yield from ((name, "colour", name) for name in table("lexicon.toml", "colour"))
    for tag in ("noise", "glue", "negation"):
        yield from ((word, tag, word) for word in texts(table("lexicon.toml", tag)["words"]))
    for tag in ("camera", "mood", "medium", "weather", "time", "count"):
        for value, words in table("lexicon.toml", tag).items():
            yield from ((word, tag, value) for word in texts(words))
    for tag in ("material", "setting", "subject"):
        for value in table("lexicon.toml", tag):
            words = texts(table("lexicon.toml", tag, value)["words"])
            yield from ((word, tag, value) for word in words)


@cache
def lexicon() -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Return phrase -> its meanings, the likeliest first."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for phrase, tag, value in _entries():
        found[phrase] = ((tag, value), *found.get(phrase, ()))
    return found


def words_of(prompt: str) -> list[str]:
    """Return the words of a prompt: lower case, no punctuation, at most WORDS_READ."""
    found = (match[0] for match in re.finditer(r"[^\W_]+", prompt.lower()))
    return [word for word, _ in zip(found, range(WORDS_READ), strict=False)]


def read(prompt: str) -> Reading:
    """Return what the prompt says.

    >>> [t.value for t in read("a red bicycle on a beach, no rain").all("subject", "setting", "weather")]
    ['bicycle', 'beach']
    """
    return Reading(tuple(_negated(_chosen(_matches(words_of(prompt))))))


def _matches(words: list[str]) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    at = 0
    while at < len(words):
        for length in (3, 2, 1):
            phrase = " ".join(words[at : at + length])
            meanings = _meanings(phrase) if at + length <= len(words) else ()
            if meanings or length == 1:
                break
        yield phrase, meanings or (("unknown", phrase),)
        at += length


def _meanings(phrase: str) -> tuple[tuple[str, str], ...]:
    known = lexicon()
    endings = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"))
    singulars = [
        phrase[: -len(end)] + one for end, one in endings if phrase.endswith(end) and len(phrase) > 3
    ]
    return next((known[form] for form in (phrase, *singulars) if form in known), ())


def _chosen(matches: Iterable[tuple[str, tuple[tuple[str, str], ...]]]) -> Iterator[Term]:
    """Take the first subject as the subject; where a later one may also mean a setting, it does."""
    subject_seen = False
    for text, meanings in matches:
        later = [m for m in meanings if m[0] != "subject"] if subject_seen else []
        tag, value = later[0] if later else meanings[0]
        subject_seen = subject_seen or tag == "subject"
        yield Term(text, tag, value)


def _negated(terms: Iterable[Term]) -> Iterator[Term]:
    """Mark what follows a "no" or "without", past glue, noise and colours, as absent."""
    negating = False
    for term in terms:
        passing = term.tag in ("glue", "noise", "colour", "material", "negation")
        yield Term(term.text, term.tag, term.value, negating and term.tag != "negation")
        negating = term.tag == "negation" or (negating and passing)


def colour_of(term: Term) -> RGB:
    """Return the colour that a colour or a material means."""
    if term.tag == "material":
        return rgb(str(table("lexicon.toml", "material", term.value)["colour"]))
    own = table("lexicon.toml", "colour")
    return rgb(str(own.get(term.value, term.value)))


def shot_of(reading: Reading) -> tuple[float, float]:
    """Return what the camera words do: a factor of the zoom, and how much lower the horizon lies."""
    shots, zoom, rise = table("lexicon.toml", "shot"), 1.0, 0.0
    for word in dict.fromkeys(t.value for t in reading.all("camera")):
        if word in shots:
            closer, lower = (float(v) for v in texts(shots[word]))
            zoom, rise = zoom * closer, rise + lower
    return zoom, rise
