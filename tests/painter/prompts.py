"""Random prompts over all words that the painter knows, in its six languages, with some that it does not."""

import tomllib
from collections.abc import Sequence
from functools import cache

from beluga_nb.painter.figure import figures
from beluga_nb.painter.reading import lexicon, table
from beluga_nb.painter.stream import Stream

LANGUAGES = ("words", "de", "fr", "es", "zh", "ja")
STRANGE = ("zorb", "glimmerish", "quondam", "sprocketeer")
PLAIN = ("on", "under", "behind", "in front of", "left of", "right of", "next to", "above", "holding", "and")


@cache
def words(language: str, tag: str) -> Sequence[str]:
    """Return the words of a language that have a tag."""
    if language == "words":
        return [word for word, meanings in lexicon().items() if meanings[0][0] == tag and word.isascii()]
    at = LANGUAGES.index(language) - 1
    specs = (str(spec).split(" / ")[at] for spec in table("words.toml", tag).values())
    return [word for spec in specs for word in spec.split(", ") if word != "-"]


@cache
def nouns(language: str) -> Sequence[str]:
    """Return what the figures are called in a language, and in English what the lexicon draws besides."""
    found = [name.replace("-", " ") for name in figures()] if language == "words" else []
    for source in figures().sources.values():
        listed = str(tomllib.loads(source.text).get(language, ""))
        found += [word.strip() for word in listed.split(",") if word.strip()]
    return found + (words("words", "subject")[::3] if language == "words" else [])


def random_prompt(stream: Stream) -> str:
    """Return a prompt of one to three things, each perhaps with a colour or a number, and where and how."""
    language = stream.pick("language", (*LANGUAGES, "words", "words"))
    parts: list[str] = []
    for k in range(stream.pick("things", (1, 1, 1, 2, 2, 3))):
        thing = stream.child(k)
        if k:
            parts.append(
                thing.pick("relation", PLAIN if language == "words" else words(language, "relation"))
            )
        for tag, odds in (("count", 0.2), ("colour", 0.4), ("material", 0.1 if language == "words" else 0.0)):
            if thing.one(tag) < odds:
                parts.append(thing.pick(f"{tag} word", words(language, tag)))
        parts.append(thing.pick("noun", nouns(language)))
    for tag, odds in (("setting", 0.4), ("time", 0.2), ("weather", 0.2), ("medium", 0.25), ("mood", 0.15)):
        if stream.one(tag) < odds:
            parts.append(stream.pick(f"{tag} word", words(language, tag)))
    if language == "words" and stream.one("camera") < 0.15:
        parts.append(stream.pick("camera word", words(language, "camera")))
    if stream.one("strange") < 0.3:
        parts.append(stream.pick("strange word", STRANGE))
    return (", " if stream.one("commas") < 0.2 else " ").join(parts)
