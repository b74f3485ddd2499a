"""The size "auto": a size label by the words of the prompt."""

from collections.abc import Mapping, Sequence

from beluga_nb.painter.reading import read

WISHES: Mapping[str, tuple[str, ...]] = {
    "panorama": ("21:9", "2:1", "16:9"),
    "story": ("9:16", "9:21", "3:4"),
    "poster": ("3:4", "2:3", "4:5", "9:16"),
    "portrait": ("3:4", "4:5", "9:16"),
    "landscape": ("16:9", "3:2", "2:1", "4:3"),
    "wide": ("16:9", "3:2", "2:1", "4:3"),
    "aerial": ("16:9", "3:2", "4:3"),
    "square": ("1:1",),
}
KINDS: Mapping[str, tuple[str, ...]] = {
    "bust": ("3:4", "4:5", "9:16"),
    "figure": ("3:4", "9:16"),
    "skyline": ("21:9", "16:9"),
    "city": ("16:9", "21:9"),
    "mountain": ("16:9", "3:2"),
}


def choose_size(prompt: str, labels: Sequence[str]) -> str:
    """Return the label that suits a prompt, one of labels.

    >>> choose_size("a poster of a fox", ["1:1", "16:9", "3:4"])
    '3:4'
    """
    reading = read(prompt)
    asked = [WISHES[t.value] for t in reading.all("camera") if t.value in WISHES]
    meant = [KINDS[t.value] for t in reading.all("subject", "setting") if t.value in KINDS]
    wanted = [label for wish in asked + meant for label in wish]
    return next((label for label in [*wanted, "1:1"] if label in labels), labels[0] if labels else "1:1")
