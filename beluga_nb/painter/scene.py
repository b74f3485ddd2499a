"""Scene: everything decided before a line is drawn. Print it to see why a picture looks as it does."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from beluga_nb.painter.colour import RGB, mix, rgb, turned
from beluga_nb.painter.look import Look
from beluga_nb.painter.reading import Reading, colour_of, setting_kinds, shot_of, subjects, table, texts
from beluga_nb.painter.stream import Stream

OUTDOORS = ("landscape", "forest", "mountain", "beach", "coast", "lake", "desert", "garden", "city")


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a picture; lamp is the colour that light gives to everything."""

    name: str
    sky: tuple[RGB, RGB, RGB]
    haze: RGB
    lamp: RGB
    glow: RGB
    far: RGB
    near: RGB
    accent: RGB


@dataclass(frozen=True, slots=True)
class Scene:
    """A picture in words and numbers."""

    kind: str
    subject: str | None
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

    @property
    def stream(self) -> Stream:
        """Return the scene's own chance."""
        return Stream(self.seed)

    @property
    def night(self) -> bool:
        """Return whether lamps are on."""
        return self.time == "night"


def staged(reading: Reading, look: Look, *, seed: int) -> Scene:
    """Return the scene for what was read, as this model frames it."""
    stream = Stream(seed)
    subject = reading.first("subject")
    kind = kind_of(reading, subject)
    time = reading.first("time") or _usual_time(kind, reading)
    weather = reading.first("weather") or "clear"
    own, around = colours_of(reading)
    closer, lower = shot_of(reading)
    return Scene(
        kind=kind,
        subject=subject,
        count=min(7, int(reading.first("count") or 1)),
        colour=own,
        palette=palette_of(
            kind, time, weather, around or (own if subject is None else None), stream, look.turn
        ),
        time=time,
        weather=weather,
        medium=reading.first("medium") or "photo",
        moods=moods_of(reading),
        settings=tuple(dict.fromkeys(t.value for t in reading.all("setting"))),
        camera=tuple(dict.fromkeys(t.value for t in reading.all("camera"))),
        side=max(-0.32, min(0.32, look.side * 0.6 + stream.one("side", -0.2, 0.2))),
        sun=sun_of(look, stream),
        zoom=look.zoom * stream.one("zoom", 0.92, 1.08) * closer,
        rise=look.rise + lower,
        depth=max(2, round(look.layers)),
        flip=stream.one("flip") < 0.5,
        seed=seed,
    )


def moods_of(reading: Reading) -> tuple[str, ...]:
    """Return the moods; a princess is royal, a samurai is not."""
    words = " ".join(t.text for t in reading.all("subject")).split()
    royal = ("royal",) if any(word.startswith("prince") for word in words) else ()
    return (*(t.value for t in reading.all("mood")), *royal)


def sun_of(look: Look, stream: Stream) -> float:
    """Return where the light comes from, -1 left to 1 right, never from straight behind."""
    sun = look.sun * stream.one("sun", 0.7, 1.15) * stream.pick("sunside", (1, 1, -1))
    return max(0.58, abs(sun)) * (1 if sun > 0 else -1)


def kind_of(reading: Reading, subject: str | None) -> str:
    """Return the kind of scene: a place that is named, else where the subject lives, else an emblem."""
    places = [t.value for t in reading.all("setting")]
    home = subjects()[subject].kind if subject else None
    if subject in ("bust", "figure") and _sits(reading) and "garden" not in places:
        return "portrait"
    if home == "underwater" and not {"beach", "space", "city"} & set(places):
        return "underwater"
    if home == "studio" and "studio" in places:
        return "studio"
    named = [setting_kinds()[p] for p in places if p in setting_kinds()]
    if subject == "skyline" or not named:
        return home or _unnamed(reading, places)
    return named[0]


def _sits(reading: Reading) -> bool:
    return any(t.value == "portrait" for t in reading.all("camera"))


def _unnamed(reading: Reading, places: list[str]) -> str:
    if "arctic" in places:
        return "coast"
    outdoors = reading.first("time") or reading.first("weather")
    if _sits(reading):
        return "portrait"
    return "landscape" if outdoors else "emblem"


def _usual_time(kind: str, reading: Reading) -> str:
    if kind == "city" and {"neon-lit", "futuristic"} & {t.value for t in reading.all("mood")}:
        return "night"
    return "night" if kind == "space" or reading.first("subject") == "moon" else "day"


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


@cache
def _skies(time: str) -> tuple[Mapping[str, object], ...]:
    rows = table("palettes.toml", "sky")[time]
    assert isinstance(rows, list)
    return tuple(rows)


WEATHER_GREY: Mapping[str, tuple[str, float]] = {
    "rain": ("#76828f", 0.5),
    "storm": ("#4a5260", 0.66),
    "snow": ("#c9d4e0", 0.42),
    "fog": ("#d2d6d6", 0.62),
    "cloudy": ("#a9b1bb", 0.46),
}


def palette_of(kind: str, time: str, weather: str, tint: RGB | None, stream: Stream, turn: float) -> Palette:
    """Return the colours of a kind of place at an hour in a weather; tint colours the ground."""
    sky = stream.pick("palette", _skies(time))
    place = table("palettes.toml", "place", kind)
    lamp, turn = rgb(str(sky["lamp"])), turn + stream.one("turn", -5, 5)
    grey, much = WEATHER_GREY.get(weather, ("#000000", 0.0))
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
        name=str(sky["name"]),
        sky=(high, mid, low),
        haze=mix(turned(rgb(str(sky["haze"])), turn), veil, much),
        lamp=mix(lamp, veil, much * 0.4),
        glow=rgb(str(sky["glow"])),
        far=turned(far, turn),
        near=turned(near, turn),
        accent=turned(accent, turn),
    )
