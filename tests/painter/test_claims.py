"""What the painter says of its pictures, against the pixels: random prompts in six languages."""

import numpy as np
import pytest
from masks import masks, shown
from prompts import random_prompt
from sampling import rounds

from beluga_nb.painter import paint
from beluga_nb.painter.look import look_of
from beluga_nb.painter.reading import Reading, colour_of, read, words_of
from beluga_nb.painter.stream import Stream

MODEL = "gpt-image-2"
SIZE = 128, 128
LEAST = 0.01  # of the picture, for a subject that is called drawn
MOST = 0.02  # of the picture, for one that is called ignored: most of it lies behind others
COLOURED = 0.1  # of a subject's pixels, in the colour that is called drawn
SMALL = 0.05  # of the picture: a subject as small has more rim than body
COLOURED_WHEN_SMALL = 0.05
UNCLAIMED = ("glue", "negation", "relation")


@pytest.mark.parametrize("seed", range(rounds(40, 2000)))
def test_each_claim_is_true_of_the_pixels(seed: int) -> None:
    prompt = random_prompt(Stream(seed))
    painting, reading, look = (
        paint(prompt, model=MODEL, size=SIZE, take=str(seed)),
        read(prompt),
        look_of(MODEL),
    )
    drawn = {name.split(" (as ")[0] for name in painting.account.drawn}
    pixels, cast = np.asarray(painting.image), painting.scene.cast
    names = [reading.terms[actor.terms[0]].text for actor in cast]
    for actor, name, mask in zip(cast, names, masks(painting.scene, look, SIZE), strict=True):
        share = mask.mean()
        if name in drawn and names.count(name) == 1:  # a family is several actors with one name
            assert share >= LEAST, (prompt, actor.subject)
        if name not in drawn:
            assert share < MOST, (prompt, actor.subject)
        colours = [t for t in (reading.terms[n] for n in actor.terms) if t.tag in ("colour", "material")]
        for term in colours:
            if term.text in drawn and share >= LEAST:
                least = COLOURED_WHEN_SMALL if share < SMALL else COLOURED
                assert shown(colour_of(term), pixels[mask]) >= least, (prompt, actor.subject, term.text)
    assert not _lost(reading, (*painting.account.drawn, *painting.account.ignored)), prompt


def _lost(reading: Reading, named: tuple[str, ...]) -> set[str]:
    """Return the content words of a prompt that are neither drawn nor ignored."""
    terms = (term for term in reading.terms if term.tag not in UNCLAIMED and not term.absent)
    return {word for term in terms for word in words_of(term.text)} - {
        word for name in named for word in words_of(name)
    }
