"""The size "auto": a size label by the words of the prompt."""

from collections.abc import Sequence

from beluga_nb.painter.reading import read, table


def choose_size(prompt: str, labels: Sequence[str]) -> str:
    """Return the label that suits a prompt, one of labels.

    >>> choose_size("a poster of a fox", ["1:1", "16:9", "3:4"])
    '3:4'
    """
    reading, suitable = read(prompt), table("lexicon.toml", "sizes")
    wishes = (*reading.values("camera"), *reading.values("subject", "setting"))
    wanted = [label for wish in wishes for label in str(suitable.get(wish, "")).split()]
    return next((label for label in [*wanted, "1:1"] if label in labels), labels[0] if labels else "1:1")
