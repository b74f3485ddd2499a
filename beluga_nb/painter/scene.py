"""Scene: everything decided before a line is drawn. Print it to see why a picture looks as it does."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from beluga_nb.painter.colour import RGB, mix, rgb, turned
from beluga_nb.painter.figure import figures
from beluga_nb.painter.look import Look
from beluga_nb.painter.reading import (
    EAST_ASIAN,
    Reading,
    Term,
    colour_of,
    following_colours,
    is_plural,
    quoted,
    setting_kinds,
    shot_of,
    table,
    texts,
)
from beluga_nb.painter.stream import Stream

PEOPLE = ("bust", "man", "woman", "child", "girl")
LAND = ("landscape", "forest", "mountain", "desert", "garden")
OUTDOORS = ("landscape", "forest", "mountain", "beach", "coast", "lake", "desert", "garden", "city")


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a picture; lamp is the colour that light gives to everything."""

    sky_top: RGB
    sky_mid: RGB
    sky_low: RGB
    haze: RGB
    lamp: RGB
    glow: RGB
    far: RGB
    near: RGB
    accent: RGB


@dataclass(frozen=True, slots=True)
class Frame:
    """Width and height in units (the short edge is 1), and a factor for the number of small things."""

    w: float
    h: float
    detail: float = 1.0


@dataclass(frozen=True, slots=True)
class Actor:
    """One of the things that a picture is of: how many, in which colour, and its relation to the one before.

    `terms` are the numbers of the words that it shows: its name, its colours, how many, the relation.
    """

    subject: str
    count: int = 1
    colours: tuple[RGB, ...] = ()
    relation: str = "beside"
    stacked: bool = False
    terms: tuple[int, ...] = ()

    def colour(self, member: int = 0) -> RGB | None:
        """Return the colour that was asked for, of one of several."""
        return self.colours[member % len(self.colours)] if self.colours else None


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture in words and numbers."""

    kind: str
    subject: str | None
    stance: str
    cast: tuple[Actor, ...]
    count: int
    colour: RGB | None
    palette: Palette
    time: str
    weather: str
    medium: str
    moods: tuple[str, ...]
    settings: tuple[str, ...]
    camera: tuple[str, ...]
    side: float
    sun: float
    zoom: float
    rise: float
    depth: int
    flip: bool
    seed: int
    text: str = ""
    letters: str = ""  # the words in quotes
    tint: RGB | None = None
    mirrored: bool = False

    @property
    def stream(self) -> Stream:
        """Return the scene's own chance."""
        return Stream(self.seed)

    @property
    def written(self) -> bool:
        """Return whether it shows letters, which stay readable: no look mirrors it."""
        return (
            self.kind == "poster"
            or bool(self.letters)
            or any(figures()[actor.subject].written for actor in self.cast)
        )

    @property
    def reversed(self) -> bool:
        """Return whether what is drawn is seen the other way round."""
        return self.flip != (self.mirrored and not self.written)

    @property
    def night(self) -> bool:
        """Return whether lamps are on."""
        return self.time == "night"


def staged(reading: Reading, look: Look, *, seed: int) -> Scene:
    """Return the scene for what was read, as this model frames it."""
    stream = Stream(seed)
    cast = cast_of(reading)
    kind = kind_of(reading, cast)
    if kind != "portrait" or len(cast) > 1 or (cast and len(people_of(cast[0], reading)) > 1):
        cast = tuple(whole for actor in cast for whole in in_full(actor, reading))
    subject = cast[0].subject if cast else reading.first("subject")
    time = reading.first("time") or _usual_time(kind, reading)
    weather = reading.first("weather") or "clear"
    own, around = colours_of(reading)
    closer, lower = shot_of(reading)
    letters = quoted(reading.prompt)
    return Scene(
        kind=kind,
        subject=subject,
        stance=stance_of(cast) if cast else figures()[subject].stance if subject else "",
        cast=cast,
        count=cast[0].count if len(cast) == 1 and not cast[0].stacked else 1,
        colour=cast[0].colour() if cast else own,
        palette=palette_of(
            kind, time, weather, around or (own if subject is None else None), stream, look.turn
        ),
        time=time,
        weather=weather,
        medium=reading.first("medium") or "photo",
        moods=moods_of(reading),
        settings=reading.values("setting"),
        camera=reading.values("camera"),
        side=max(-0.32, min(0.32, look.side * 0.6 + stream.one("side", -0.2, 0.2))),
        sun=sun_of(look, stream),
        zoom=look.zoom * stream.one("zoom", 0.92, 1.08) * closer,
        rise=look.rise + lower,
        depth=max(2, round(look.layers)),
        flip=stream.one("flip") < 0.5,
        seed=seed,
        tint=around,
        mirrored=bool(look.mirror),
        text=letters or " ".join(reading.prompt.split()),
        letters=letters,
    )


def moods_of(reading: Reading) -> tuple[str, ...]:
    """Return the moods; a princess is royal, a samurai is not."""
    words = " ".join(t.text for t in reading.all("subject")).split()
    royal = ("royal",) if any(word.startswith("prince") for word in words) else ()
    people = {_people().get(t.text, ("man",))[-1] for t in reading.all("subject") if t.value == "bust"}
    worn = ("spectacled",) if "spectacles" in reading.values("subject") else ()
    aging = tuple(str(table("lexicon.toml", "body")["aged"]).split(", "))
    old = any(t.text.startswith(aging) for t in reading.all("subject"))
    aged = ("aged", "bearded") if old and people == {"man"} else ("aged",) if old else ()
    dark = ("dark",) if any(t.text == "black background" for t in reading.all("setting")) else ()
    lettered = ("lettered",) if quoted(reading.prompt) else ()
    return (*(t.value for t in reading.all("mood")), *royal, *people, *worn, *aged, *dark, *lettered)


def sun_of(look: Look, stream: Stream) -> float:
    """Return where the light comes from, -1 left to 1 right, never from straight behind."""
    sun = look.sun * stream.one("sun", 0.7, 1.15) * stream.pick("sunside", (1, 1, -1))
    return max(0.58, abs(sun)) * (1 if sun > 0 else -1)


MOST_ACTORS = 3
SEVERAL = 2  # how many a plural without a number shows


def cast_of(reading: Reading) -> tuple[Actor, ...]:
    """Return the first things that can be drawn, with what the words around them say."""
    found: list[Actor] = []
    colours: list[int] = []
    count: int | None = None
    relation: int | None = None
    is_after_setting = False
    for at, term in enumerate(reading.terms):
        if term.absent:
            continue
        match term.tag:
            case "colour" | "material" if term.text in following_colours() and is_after_setting:
                pass  # "un chat sur un canapé bleu": it is not the cat that is blue
            case "colour" | "material":
                if term.text in following_colours() and found and not found[-1].colours and not colours:
                    found[-1] = _coloured(found[-1], [at], reading)
                elif term.tag == "colour" or not colours:
                    colours = [*(n for n in colours if reading.terms[n].tag == "colour"), at]
            case "count":
                count = at
            case "relation" if term.value == "stack" and found:
                found[-1] = replace(found[-1], stacked=True, terms=(*found[-1].terms, at))
            case "relation" if (
                len(found) > 1 and found[-1].relation == "beside" and EAST_ASIAN.search(term.text)
            ):
                # Chinese says "cat, chair, on".
                found[-1] = replace(found[-1], relation=term.value, terms=(*found[-1].terms, at))
            case "relation":
                relation = at
                count = count if term.value.startswith("beside") else None
            case "mood" if term.value == "bearded":
                colours = []
            case "unknown" if _qualifies(at, reading):
                pass  # "ten massive windmills": what is not known says how they are
            case "setting" | "unknown" | "camera":
                colours, count = [], None
                is_after_setting = term.tag == "setting"
            case "subject" if figures()[term.value].stance != "scenery" and not (
                found and _is_body(term) and (relation is None or reading.terms[relation].value in OF_A_BODY)
            ):
                known = any(_same(actor, term, reading) for actor in found)
                if len(found) < MOST_ACTORS and not (known and not colours):
                    found += _actors(reading, at, colours, count, relation if found else None)
                colours, count, relation = [], None, None
                is_after_setting = False
    if found and colours and not found[-1].colours and _is_apposition(reading, colours[0]):
        found[-1] = _coloured(found[-1], colours, reading)
    return tuple(_bespectacled(found)[:MOST_ACTORS])


def _qualifies(at: int, reading: Reading) -> bool:
    """Return whether an unknown word stands right before a thing that is drawn, as adjectives do."""
    after = (term.tag for term in reading.terms[at + 1 :] if term.tag not in ("unknown", "noise", "mood"))
    return next(after, "") == "subject"


def _is_body(term: Term) -> bool:
    """Return whether a word names a part of a body."""
    return term.value in LIMBS or term.text in str(table("lexicon.toml", "body")["parts"]).split(", ")


def _same(actor: Actor, term: Term, reading: Reading) -> bool:
    """Return whether a word names an actor again; a man and a woman are two."""
    name = reading.terms[actor.terms[0]].text
    same_word = term.value != "bust" or name in (term.text, "bust")  # "the bust of a poet" is one
    return actor.subject == term.value and same_word


def _bespectacled(cast: list[Actor]) -> list[Actor]:
    """Return the cast; glasses that come with a person are on the person's nose."""
    worn = [actor for actor in cast if actor.subject == "spectacles"]
    if not worn or cast[0].subject != "bust":
        return cast
    first = replace(cast[0], terms=(*cast[0].terms, *(n for actor in worn for n in actor.terms)))
    return [first, *(actor for actor in cast[1:] if actor.subject != "spectacles")]


def _is_apposition(reading: Reading, at: int) -> bool:
    """Return whether a colour follows its noun closely, as in "a car, red"."""
    before = (term.tag for term in reversed(reading.terms[:at]))
    return (
        next((tag for tag in before if tag not in ("glue", "relation", "noise", "colour")), "") == "subject"
    )


def _coloured(actor: Actor, colours: Sequence[int], reading: Reading) -> Actor:
    found = tuple(colour_of(reading.terms[n]) for n in colours)
    return replace(actor, colours=found, terms=(*actor.terms, *colours))


def _actors(
    reading: Reading, at: int, colours: Sequence[int], count: int | None, relation: int | None
) -> Iterator[Actor]:
    """Yield the thing that a word names; "a green and a red apple" are two."""
    terms = reading.terms
    # Grapes and spectacles are one thing, and so is what is worn.
    one = terms[at].value.endswith("s") or figures()[terms[at].value].worn or _is_body(terms[at])
    several = is_plural(terms[at]) and not one
    many = min(12, int(terms[count].value)) if count is not None else SEVERAL if several else 1
    how = "beside" if relation is None else terms[relation].value
    if how in ("in", "wearing"):
        thing = figures()[terms[at].value]
        how = "wearing" if thing.worn else "in" if how == "in" and thing.holds else "beside"
    if how in TURNED and relation is not None and terms[relation].text.startswith("の"):
        how += "<"  # Japanese says "box, on, cat" of a cat on a box.
    actor = Actor(
        terms[at].value, many, (), how, terms=tuple(n for n in (at, count, relation) if n is not None)
    )
    others = [n for n in colours[1:] if terms[n - 1].tag == "glue"]
    if others:
        yield _coloured(actor, colours[:1], reading)
        for colour in others:
            yield _coloured(replace(actor, relation="beside"), [colour], reading)
    else:
        yield _coloured(actor, colours if many > 1 else colours[-1:], reading)


TURNED = ("on", "under", "behind", "front", "left", "right")
LIMBS = ("ear", "nose", "mouth", "head", "foot", "tooth", "leg", "tongue", "wing")
OF_A_BODY = ("beside", "holding", "in", "wearing")  # "a girl with blue eyes": no eye of its own


@cache
def _people() -> Mapping[str, tuple[str, ...]]:
    """Return the figures that show a person, or several, from head to foot: word -> figures."""
    listed = table("lexicon.toml", "people").items()
    return {word: tuple(names.split()) for names, words in listed for word in str(words).split(", ")}


def people_of(actor: Actor, reading: Reading) -> tuple[str, ...]:
    """Return the figures that show the people of a word."""
    text = reading.terms[actor.terms[0]].text
    return _people().get(text) or _people().get(text.removesuffix("s")) or ("man",)


def in_full(actor: Actor, reading: Reading) -> Iterator[Actor]:
    """Yield a person from head to foot where a bust would not do; a family is three of them."""
    if actor.subject != "bust":
        yield actor
        return
    people = people_of(actor, reading)
    share = [(actor.count + k) // len(people) for k in range(len(people))][::-1]
    for k, subject in enumerate(people):
        count = max(1, share[k])
        yield replace(actor, subject=subject, count=count, relation="beside" if k else actor.relation)


def stance_of(cast: Sequence[Actor]) -> str:
    """Return how the cast stands: on the ground as soon as one of several does."""
    stances = [figures()[actor.subject].stance for actor in cast]
    if len(cast) == 1:
        return stances[0]
    return stances[0] if {*stances} <= {"air", "float"} else "ground"


def kind_of(reading: Reading, cast: Sequence[Actor]) -> str:
    """Return the kind of scene: a place that is named, else where the subject lives, else a poster."""
    places = reading.values("setting")
    subject = reading.first("subject")
    home = _home(cast, reading) if subject else None
    if subject in (*PEOPLE, "warrior") and _sits(reading) and "garden" not in places:
        return "portrait"
    if home == "underwater" and not {"beach", "space", "city"} & set(places):
        return "underwater"
    if home == "studio" and "studio" in places:
        return "studio"
    named = [setting_kinds()[p] for p in places if p in setting_kinds()]
    if named and subject != "skyline":
        return named[0]
    return _usual_place(home, cast, reading) if home else _unnamed(reading, places)


def _home(cast: Sequence[Actor], reading: Reading) -> str:
    """Return where the first subject lives; people go where the others are."""
    homes = [figures()[actor.subject].kind for actor in cast]
    first = reading.first("subject")
    if len(cast) > 1 and cast[0].subject in PEOPLE:
        return next((home for home in homes[1:] if home not in ("studio", "room", "portrait")), "city")
    return figures()[first or cast[0].subject].kind


def _usual_place(home: str, cast: Sequence[Actor], reading: Reading) -> str:
    """Return where a subject usually is; a named weather or hour takes some of them outdoors."""
    weather, hour = reading.first("weather"), reading.first("time")
    if home == "portrait":
        people = people_of(cast[0], reading)
        alone = cast[0].count == 1 and people in (("man",), ("woman",))
        acts = str(table("lexicon.toml", "body")["acts"]).split(", ")
        sits = alone and not any(term.text in acts for term in reading.terms)
        return home if sits and not weather and not hour else figures()[people[0]].kind
    return "landscape" if home in ("room", "studio") and (weather or (hour and home == "studio")) else home


def _sits(reading: Reading) -> bool:
    return "portrait" in reading.values("camera")


def _unnamed(reading: Reading, places: Sequence[str]) -> str:
    if "arctic" in places:
        return "coast"
    outdoors = reading.first("time") or reading.first("weather") or "aurora" in moods_of(reading)
    if _sits(reading):
        return "portrait"
    return "landscape" if outdoors else "poster"


def _usual_time(kind: str, reading: Reading) -> str:
    if kind == "city" and {"neon-lit", "futuristic"} & {*reading.values("mood")}:
        return "night"
    nightly = {"moon", "aurora"} & {*reading.values("subject", "mood")}
    return "night" if kind == "space" or nightly else "day"


def colours_of(reading: Reading) -> tuple[RGB | None, RGB | None]:
    """Return (the subject's colour, the place's colour): a colour belongs to the next noun."""
    own: RGB | None = None
    around: RGB | None = None
    nouns = ("subject", "setting", "unknown")
    terms = [t for t in reading.terms if not t.absent]
    has_colour = any(t.tag == "colour" for t in terms)
    for at, term in enumerate(terms):
        if term.tag != "colour" and (has_colour or term.tag != "material"):
            continue  # a red leather shoe is red
        noun = next((t.tag for t in terms[at + 1 :] if t.tag in nouns), "subject")
        if noun == "setting" and around is None:
            around = colour_of(term)
        elif noun != "setting" and own is None:
            own = colour_of(term)
    return own, around


def palette_of(kind: str, time: str, weather: str, tint: RGB | None, stream: Stream, turn: float) -> Palette:
    """Return the colours of a kind of place at an hour in a weather; tint colours the ground."""
    sky = table("palettes.toml", "sky", time, stream.pick("palette", [*table("palettes.toml", "sky", time)]))
    place = table("palettes.toml", "place", kind)
    lamp, turn = rgb(str(sky["lamp"])), turn + stream.one("turn", -5, 5)
    grey, amount = texts(table("palettes.toml", "weather").get(weather, ["#000000", 0]))
    much = float(amount)
    # Grey weather takes the hour's own light: a rainy night stays night.
    cover = mix(mix((0, 0, 0), rgb(grey), sum(lamp) / 765), rgb(str(sky["haze"])), 0.25)
    veil = cover if much else lamp
    high, mid, low = (mix(turned(rgb(c), turn), veil, much) for c in texts(sky["sky"]))
    far, near = rgb(str(place["far"])), rgb(str(place["near"]))
    accent = rgb(str(place["accent"]))
    if tint:
        share = 0.1 if kind in ("room", "portrait") else 0.55
        far, near, accent = mix(far, tint, share), mix(near, tint, share * 1.1), tint
    return Palette(
        sky_top=high,
        sky_mid=mid,
        sky_low=low,
        haze=mix(turned(rgb(str(sky["haze"])), turn), veil, much),
        lamp=mix(lamp, veil, much * 0.4),
        glow=rgb(str(sky["glow"])),
        far=turned(far, turn),
        near=turned(near, turn),
        accent=turned(accent, turn),
    )
