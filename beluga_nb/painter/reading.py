"""Reading: the known phrases of a prompt, longest first by the lexicon, and its other words."""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from PIL import ImageColor

from beluga_nb.painter.colour import RGB, rgb
from beluga_nb.painter.figure import ENGLISH, figures
from beluga_nb.painter.flags import PREFIX

WORDS_READ = 400  # a prompt may have 32,000 characters, and its first words describe the picture


@dataclass(frozen=True, slots=True)
class Term:
    """A phrase of the prompt: where it stands, its tag, what it means; absent when the prompt negates it."""

    text: str
    tag: str
    value: str
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Reading:
    """The terms of a prompt in order."""

    terms: tuple[Term, ...]
    prompt: str = ""

    def all(self, *tags: str) -> tuple[Term, ...]:
        """Return the terms with one of the tags, negated ones left out."""
        return tuple(t for t in self.terms if t.tag in tags and not t.absent)

    def values(self, *tags: str) -> tuple[str, ...]:
        """Return what the terms with one of the tags mean, each once."""
        return tuple(dict.fromkeys(t.value for t in self.all(*tags)))

    def first(self, tag: str) -> str | None:
        """Return the first value of a tag, or None."""
        return next(iter(self.values(tag)), None)


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


def _phrases(value: object) -> list[str]:
    """Return phrases that stand between commas: one long text is read much sooner than an array."""
    return str(value).split(", ")


@cache
def setting_kinds() -> Mapping[str, str]:
    """Return the scene kind of each setting that decides one."""
    names = table("lexicon.toml", "setting")
    entries = {name: table("lexicon.toml", "setting", name) for name in names}
    return {name: str(entry["kind"]) for name, entry in entries.items() if "kind" in entry}


Entries = Iterator[tuple[Sequence[str], str, str]]
"""Phrases, their tag, and what they mean."""


def _entries() -> Entries:
    """Yield what is known, in six languages; a later entry wins."""
    every = list(figures().words())
    yield from (
        ([word[:-1] for word in words if word.endswith("?")], "alone", name) for _, words, name in every
    )
    spoken = [(lang, [word for word in words if not word.endswith("?")], name) for lang, words, name in every]
    yield from _foreign_entries()
    yield from ((words, "subject", name) for language, words, name in spoken if language != ENGLISH)
    # English, which the lexicon is made for, wins where a word means something else in another language.
    yield from (
        ((name,), "colour", name) for name in (*ImageColor.colormap, *table("lexicon.toml", "colour"))
    )
    for tag in ("noise", "glue", "negation"):
        yield _phrases(table("lexicon.toml", tag)["words"]), tag, tag
    for tag in ("camera", "mood", "medium", "weather", "time", "count"):
        yield from ((_phrases(words), tag, value) for value, words in table("lexicon.toml", tag).items())
    yield from _listed("setting")
    yield from ((words, "subject", name) for language, words, name in spoken if language == ENGLISH)
    for words in table("lexicon.toml", "people").values():
        yield _phrases(words), "subject", "bust"
    yield from _listed("relation")
    yield from _listed("material")


def _listed(tag: str) -> Entries:
    for value in table("lexicon.toml", tag):
        yield _phrases(table("lexicon.toml", tag, value)["words"]), tag, value


@cache
def following_colours() -> frozenset[str]:
    """Return words that follow their noun: French and Spanish colours; German, French, Spanish materials."""
    colours = [str(spec).split(" / ")[1:3] for spec in table("words.toml", "colour").values()]
    materials = [str(spec).split(" / ")[:3] for spec in table("words.toml", "material").values()]
    return frozenset(word for each in (*colours, *materials) for words in each for word in words.split(", "))


def _foreign_entries() -> Entries:
    for tag in table("words.toml"):
        for value, spec in table("words.toml", tag).items():
            german, *others = str(spec).replace("-", "").split(" / ")
            endings = ("", *(("e", "er", "es", "en", "em") if tag == "colour" else ()))
            yield [word + ending for word in german.split(", ") for ending in endings if word], tag, value
            yield from ((words.split(", "), tag, value) for words in others if words)


@cache
def lexicon() -> Mapping[str, tuple[tuple[str, str], ...]]:
    """Return phrase -> its meanings, the likeliest first."""
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for phrases, tag, value in _entries():
        # Most phrases share one object with the others of their entry: thousands of new ones take longer.
        only = ((tag, value),)
        for phrase in phrases:
            found[phrase] = (*only, *found[phrase]) if phrase in found else only
    return found


def words_of(prompt: str) -> list[str]:
    """Return the words of a prompt: lower case, no punctuation, at most WORDS_READ."""
    found = (word for match in re.finditer(r"[^\W_]+", prompt.lower()) for word in _split(match[0]))
    return [word for word, _ in zip(found, range(WORDS_READ), strict=False)]


EAST_ASIAN = re.compile("[\u3040-\u30ff\u3400-\u9fff]")


def _split(word: str) -> Iterator[str]:
    """Yield the words of a text without spaces, Chinese or Japanese: the longest that the lexicon has."""
    if not EAST_ASIAN.search(word) or word in lexicon():
        yield word
        return
    at, strange = 0, ""
    while at < len(word):
        length = next((n for n in range(8, 0, -1) if word[at : at + n] in lexicon()), 0)
        if length and strange:
            yield strange
            strange = ""
        if length:
            yield word[at : at + min(length, len(word) - at)]
        else:
            strange += word[at]
        at += length or 1
    if strange:
        yield strange


def quoted(prompt: str) -> str:
    """Return the words in quotes, which a sign or a poster shows; empty if there are none.

    >>> quoted('a poster that says "Open late"'), quoted("the dog's sign with 'No cats' on it")
    ('Open late', 'No cats')
    """
    found = QUOTED.search(prompt)
    return next(filter(None, found.groups())).strip() if found else ""


QUOTED = re.compile(
    '["\u201c\u201e\u00ab]([^"\u201c\u201d\u00bb]{1,80})["\u201c\u201d\u00bb]'
    "|(?<!\\w)['\u2018]([^'\u2018\u2019]{1,80})['\u2019](?!\\w)"
)
"""Quotation marks; a single one stands before or after a word, an apostrophe within it."""


def read(prompt: str) -> Reading:
    """Return what the prompt says.

    >>> [t.value for t in read("a red bicycle on a beach, no rain").all("subject", "setting", "weather")]
    ['bicycle', 'beach']
    """
    terms = [*_negated(_chosen(_alone(_phrases_of(prompt))))]
    absent = {(term.tag, term.value) for term in terms if term.absent and term.tag == "subject"}
    unknown = (  # "a bike rack without bicycles" shows no bicycle
        Term(term.text, "unknown", term.text)
        if (term.tag, term.value) in absent and not term.absent
        else term
        for term in terms
    )
    return Reading(tuple(unknown), prompt)


def _phrases_of(prompt: str) -> list["Match"]:
    """Return the phrases of a prompt; words in quotes after others are letters, not things to be drawn."""
    found = QUOTED.search(prompt)
    if not found or not words_of(prompt[: found.start()]):
        return [*_matches(words_of(prompt))]
    letters = [(word, (("unknown", word),)) for word in words_of(found[0])]
    around = (_matches(words_of(part)) for part in (prompt[: found.start()], prompt[found.end() :]))
    before, after = map(list, around)
    return [*before, *letters, *after][:WORDS_READ]


def _matches(words: list[str]) -> Iterator["Match"]:
    at = 0
    while at < len(words):
        for length in (6, 5, 4, 3, 2, 1):
            phrase = " ".join(words[at : at + length])
            meanings = _meanings(phrase) if at + length <= len(words) else ()
            if meanings or length == 1:
                break
        yield phrase, meanings or (("unknown", phrase),)
        at += length


def _meanings(phrase: str) -> tuple[tuple[str, str], ...]:
    known = lexicon()
    return next((known[form] for form in (phrase, *_singulars(phrase)) if form in known), ())


def _singulars(phrase: str) -> Iterator[str]:
    endings = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"))
    if len(phrase) > 3 and not phrase.endswith("ss"):
        yield from (phrase[: -len(end)] + one for end, one in endings if phrase.endswith(end))


def is_plural(term: Term) -> bool:
    """Return whether a noun means more than one of what its singular means.

    >>> [is_plural(term) for term in read("glasses, an octopus, perros, mice").all("subject")]
    [False, False, True, True]
    """
    meaning = term.tag, term.value
    singulars = (one for one in _singulars(term.text) if meaning in lexicon().get(one, ()))
    return any(singulars) or term.text in _phrases(table("lexicon.toml", "plural")["words"])


Match = tuple[str, tuple[tuple[str, str], ...]]
FLAG = ("subject", "flag")


def _alone(matches: list[Match]) -> list[Match]:
    """Take a word that ends with "?" in its figure as that figure where nothing else is to be drawn.

    So is a country's name, and beside a flag it is that flag.
    """
    flagged = any(FLAG in meanings for _, meanings in matches)
    alone = not any(meanings[0][0] in ("subject", "setting") for _, meanings in matches)
    found: list[Match] = []
    for text, meanings in matches:
        figure = next((value for tag, value in meanings if tag == "alone"), "")
        if figure and (alone or (flagged and figure.startswith(PREFIX))):
            found.append((text, (("subject", figure),)))
        elif figure:  # not taken: read word by word
            found += [(word, _but_alone(word)) for word in text.split()]
        else:
            found.append((text, meanings))
    if not any(meanings[0][1].startswith(PREFIX) for _, meanings in found):
        return found
    return [(text, (("glue", "glue"),) if FLAG in meanings else meanings) for text, meanings in found]


def _but_alone(phrase: str) -> tuple[tuple[str, str], ...]:
    return tuple(each for each in _meanings(phrase) if each[0] != "alone") or (("unknown", phrase),)


def _chosen(matches: list[Match]) -> Iterator[Term]:
    """Take the first subject as one; where a later one may also mean a setting, it does.

    Beside other furniture, a sofa is a thing, not a part of the room. A colour that is also a thing, such as
    orange, is a colour where a noun follows. One that is also a mood, such as noir, is a colour after a noun.
    """
    subject_seen = is_after_noun = furnished = False
    for at, (text, known) in enumerate(matches):
        meanings = list(known)
        tags = [tag for tag, _ in meanings]
        if is_after_noun and "colour" in tags and text in following_colours():
            meanings = [m for m in meanings if m[0] == "colour"]
        elif "colour" in tags and "subject" in tags:
            meanings = [
                m for m in meanings if m[0] == ("colour" if _noun_follows(matches[at + 1 :]) else "subject")
            ]
        elif subject_seen and "setting" in tags and not (furnished and furnishes(meanings[0])):
            meanings = [m for m in meanings if m[0] == "setting"]
        tag, value = meanings[0]
        furnished = furnished or furnishes(meanings[0])
        subject_seen = subject_seen or tag == "subject"
        is_after_noun = tag in ("subject", "setting")
        yield Term(text, tag, value)


def furnishes(meaning: tuple[str, str]) -> bool:
    """Return whether a meaning is a piece of furniture, in whose room no other is drawn as a part of it."""
    tag, value = meaning
    return tag == "subject" and figures()[value].stance == "floor"


def _noun_follows(matches: list[Match]) -> bool:
    tags = (meanings[0][0] for _, meanings in matches)
    following = next((tag for tag in tags if tag not in ("noise", "colour", "material", "mood")), "")
    return following in ("subject", "setting", "unknown")


def _negated(terms: Iterable[Term]) -> Iterator[Term]:
    """Mark what follows a "no" or "without", past glue, noise and colours, as absent."""
    negating = False
    for term in terms:
        passing = term.tag in ("glue", "noise", "colour", "material", "negation", "relation")
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
    for word in reading.values("camera"):
        if word in shots:
            closer, lower = (float(v) for v in texts(shots[word]))
            zoom, rise = zoom * closer, rise + lower
    return zoom, rise
