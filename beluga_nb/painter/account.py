"""The account: which words of a prompt are on the picture, and which are not."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from beluga_nb.painter.figure import figures
from beluga_nb.painter.lettering import covered
from beluga_nb.painter.reading import (
    Reading,
    Term,
    furnishes,
    is_plural,
    lexicon,
    quoted,
    setting_kinds,
    table,
    words_of,
)
from beluga_nb.painter.register import Cover
from beluga_nb.painter.scene import LAND, OUTDOORS, Actor, Scene

LEAST_SHARE = 0.0118
"""The least share of a picture that shows a subject that is called drawn: a hundredth, and a map's error."""
LEAST_DYED = 0.2
"""The least share of a visible subject in its own colour for the colour to be called drawn."""
STRONG = 96
"""The least range of the channels of a colour that neon light leaves as it is."""
DARK = 64
"""The most of all channels of a colour that fog turns into a grey."""
WORDS_NAMED = 8
LETTERS_NAMED = 40


@dataclass(frozen=True, slots=True)
class Account:
    """The words that are drawn, in the prompt's order, and the other content words; `shown` are terms."""

    drawn: tuple[str, ...]
    ignored: tuple[str, ...]
    shown: tuple[Term, ...] = ()

    def __str__(self) -> str:
        """Return both lists in one line.

        >>> str(Account(("fox", "snow"), ("sly",)))
        'drawn: fox, snow · ignored: sly'
        """
        parts = [("drawn", self.drawn), ("ignored", self.ignored)]
        return " \u00b7 ".join(f"{name}: {_named(words)}" for name, words in parts if words)


def _named(words: Sequence[str]) -> str:
    named = ", ".join(word[:LETTERS_NAMED] for word in words[:WORDS_NAMED])
    return named + (f" and {len(words) - WORDS_NAMED} more" if len(words) > WORDS_NAMED else "")


def account_of(reading: Reading, scene: Scene, covers: Sequence[Cover], *, lettered: bool = False) -> Account:
    """Return what became of each content word, by how much of the picture each actor covers.

    `lettered` says whether the words in quotes are set on one of the actors.
    """
    shown = {
        number
        for actor, cover in zip(scene.cast, covers, strict=True)
        if cover.share >= LEAST_SHARE
        for number in actor.terms
        if reading.terms[number].tag not in ("colour", "material") or _wears(cover, actor, scene)
    }
    painted = {n for actor in scene.cast for n in actor.terms}
    drawn: dict[Term, str] = {}
    ignored: list[str] = []
    names = dict(_names(reading, scene))
    letters = {word for word in words_of(scene.letters) if covered(word)} if lettered else set()
    for at, term in enumerate(reading.terms):
        if term.absent or term.tag in ("glue", "negation"):
            continue
        if term.tag == "relation" and (at not in shown or term.value.startswith("beside")):
            continue
        if at and (term.tag, term.value) == ("subject", reading.terms[at - 1].value):
            shown |= shown & {at - 1} and {at}  # "a tabby cat" is one
        is_set = term.tag == "unknown" and term.text in letters
        if at in shown or is_set or (at not in painted and _is_drawn(term, scene, reading)):
            drawn.setdefault(term, names.get(at, term.text))
        else:
            ignored.append(term.text)
    texts = {term.text for term in drawn}
    return Account(
        tuple(dict.fromkeys(drawn.values())),
        tuple(word for word in dict.fromkeys(ignored) if word not in texts),
        tuple(drawn),
    )


ARTICLE = re.compile(r" (?:an?|la)$")
"""Ends some phrases of relations, such as "with a"."""


def _names(reading: Reading, scene: Scene) -> Iterator[tuple[int, str]]:
    """Yield (term, name) for each subject that is drawn as something else than it is called, and relation."""
    shared = Counter(actor.terms[0] for actor in scene.cast)  # a family is three actors
    for actor in scene.cast:
        if shared[actor.terms[0]] == 1:
            text, name = reading.terms[actor.terms[0]].text, actor.subject.replace("-", " ")
            same = name in text.split() or text in (f"{name}s", f"{name}es", name)
            yield actor.terms[0], text if same else f"{text} (as {name})"
    for at, term in enumerate(reading.terms):
        if term.tag == "relation":
            yield at, ARTICLE.sub("", term.text)
        elif term.tag == "subject" and figures()[term.value].stance == "scenery" and is_plural(term):
            yield at, f"{term.text} (as {term.value})"  # a sky has one moon


def _wears(cover: Cover, actor: Actor, scene: Scene) -> bool:
    """Return whether a subject shows its colours: some are fixed, neon changes weak ones, ink has none, and
    what is nearly black is grey in fog.
    """
    if scene.weather == "fog" and scene.kind in OUTDOORS and any(max(c) < DARK for c in actor.colours):
        return False
    if scene.medium == "neon" and any(max(colour) - min(colour) < STRONG for colour in actor.colours):
        return False
    return cover.dyed >= LEAST_DYED * cover.share and scene.medium != "ink"


def _is_drawn(term: Term, scene: Scene, reading: Reading) -> bool:
    """Return whether a word that is about no actor shows in a scene of this kind."""
    if scene.kind == "poster":
        set_in_type = term.text in scene.text.lower() and covered(term.text)
        return set_in_type or (term.tag == "medium" and term.value == scene.medium != "photo")
    if quoted(reading.prompt) and term.tag == "unknown":
        return False
    match term.tag:
        case "subject":
            return _scenery(term.value, scene)
        case "setting":
            if term.value == "arctic":
                return scene.kind in (*LAND, "coast", "underwater")
            return setting_kinds().get(term.value) == scene.kind and not _replaced(term, scene)
        case "time":
            return term.value == scene.time and scene.kind not in ("studio", "space")
        case "weather":
            return term.value == scene.weather and scene.kind in OUTDOORS
        case "medium":
            return term.value == scene.medium != "photo"
        case "mood":
            return _mood(term.value, scene)
        case "camera":
            shot = term.value in table("lexicon.toml", "shot")
            return shot or (term.value == "portrait" and scene.kind == "portrait")
        case "colour" | "material":
            return scene.tint is not None and scene.medium != "ink"
    return False


def _replaced(term: Term, scene: Scene) -> bool:
    """Return whether a word names furniture of a room that other furniture takes the place of."""
    furnished = any(furnishes(("subject", actor.subject)) for actor in scene.cast)
    return furnished and any(map(furnishes, lexicon().get(term.text, ())))


def _scenery(subject: str, scene: Scene) -> bool:
    """Return whether a part of the place shows; the sun and the moon do in a clear sky."""
    if subject in ("sun", "moon"):
        seen = scene.weather == "clear" and scene.night == (subject == "moon")
        return scene.kind in OUTDOORS and (seen or scene.subject == subject)
    return figures()[subject].stance == "scenery" and scene.kind == figures()[subject].kind


def _mood(mood: str, scene: Scene) -> bool:
    if mood == "aurora":
        return scene.kind in OUTDOORS and scene.weather == "clear"
    is_seen = table("lexicon.toml", "shown").get(mood) == scene.kind
    return is_seen or mood in table("lexicon.toml", "saturation")
