"""What it would take, before anything is spent: which requests, how many pictures, what they cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby

import beluga_nb.money as money
from beluga_nb.budget import Caps
from beluga_nb.redaction import redacted_bundle
from beluga_nb.request import Question, Request
from beluga_nb.text import and_more, plural, printable, sanitize

LISTED = 20
"""Different requests that are shown word for word; all of them are in the plan."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Post:
    """One POST: what it asks for, its exact JSON, and where it would go.

    `url` is empty where the built-in painter would draw, which costs nothing. `make_body` returns the JSON of
    the request: the plan of a large grid does not hold all of them.
    """

    request: Request
    make_body: Callable[[Request], Mapping[str, object]]
    url: str

    @property
    def body(self) -> Mapping[str, object]:
        """Its exact JSON."""
        return self.make_body(self.request)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a call or a whole grid would send: nothing of it was sent.

    `recorded` pictures are in the store already, `recoverable` ones are left by lost calls and cost nothing
    (unless their address is gone by then), and `missing` ones are not to be made, as in a replay.
    `cells` is how many combinations a grid has, and 0 for a single call. In a plan for a judge, `cells`
    counts the questions, and the `unit` is an answer, not a picture.
    """

    posts: Sequence[Post]
    recorded: int
    caps: Caps
    recoverable: int = 0
    missing: int = 0
    cells: int = 0
    unit: str = Request.unit

    @property
    def requests(self) -> Sequence[Request]:
        """What the POSTs ask for, in order."""
        return [post.request for post in self.posts]

    @property
    def bodies(self) -> Sequence[Mapping[str, object]]:
        """The exact JSON of each."""
        return [post.body for post in self.posts]

    @property
    def local(self) -> bool:
        """Whether the built-in painter would draw all of it."""
        return not self._sold

    @property
    def _sold(self) -> Sequence[Request]:
        return [post.request for post in self.posts if post.url]

    @property
    def images(self) -> int:
        """How many pictures would be made."""
        return sum(request.n for request in self.requests)

    @property
    def cost(self) -> Decimal | None:
        """What they cost at worst, by the user's own prices, or None where one is unknown."""
        return None if self.unpriced else self._priced

    @property
    def unpriced(self) -> Sequence[Request]:
        """The requests whose price is unknown."""
        return [each for each in self._sold if self.caps.worst(each) is None]

    @property
    def _priced(self) -> Decimal:
        known = [self.caps.worst(request) for request in self._sold]
        return money.total(cost for cost in known if cost is not None)

    @property
    def models(self) -> list[str]:
        """The models that would be asked."""
        return list(dict.fromkeys(request.model for request in self.requests))

    def __str__(self) -> str:
        return "\n".join([self._summary(), *self.sent()])

    def _repr_mimebundle_(self, **_: object) -> Mapping[str, str]:
        from beluga_nb.show.plan import plan_bundle

        return redacted_bundle(plan_bundle(self))

    @property
    def counts(self) -> Mapping[str, int]:
        """How many combinations there are, and pictures of each kind, by its name."""
        total = self.images + self.recorded + self.recoverable + self.missing
        cells, new = _NOUNS.get(self.unit, ("combinations", "to make"))
        return {
            **({cells: self.cells} if self.cells else {}),
            f"{self.unit}s": total,
            "recorded": self.recorded,
            **({"left by lost calls": self.recoverable} if self.recoverable else {}),
            new: self.images,
            **({"missing": self.missing} if self.missing else {}),
        }

    def _summary(self) -> str:
        counts = dict(self.counts)
        if not counts[f"{self.unit}s"]:
            return "Dry run, nothing was sent: nothing is missing."
        nouns = list(counts)[: 1 + bool(self.cells)]
        words = [plural(counts.pop(name), name.removesuffix("s")) for name in nouns]
        words += [f"{count} {name}" for name, count in counts.items()]
        return f"Dry run, nothing was sent: {', '.join(words)}; {self.price}."

    @property
    def price(self) -> str:
        """What it costs, in words: an estimate, unknown, or nothing."""
        if not self.requests:
            return "no cost"
        if self.local:
            return "local previews, no cost" if self.unit == Request.unit else "no model judges, no cost"
        if self.caps.prices is None or len(self.unpriced) == len(self._sold):
            return "the price is unknown"
        words = (
            f"at most {self.caps.words(self._priced)} by your prices of {self.caps.prices.date} (estimated)"
        )
        if not self.unpriced:
            return words
        count = sum(request.n for request in self.unpriced)
        unknown = ", ".join(dict.fromkeys(sanitize(request.model, 80) for request in self.unpriced))
        return f"{words}, and {count} of {unknown}, whose price is unknown"

    def sent(self) -> list[str]:
        """Return what would be sent; of requests that differ only in their sample, the first."""
        alike = [list(posts) for _, posts in groupby(self.posts, key=_all_but_the_sample)]
        shown = [
            "\n".join(
                [
                    f"POST {sanitize(posts[0].url) or 'the embedded BelugAPI'}",
                    _json(posts[0].body),
                    *(
                        [f"{and_more(len(posts) - 1)} like it, up to sample {posts[-1].request.sample}"]
                        if len(posts) > 1
                        else []
                    ),
                ]
            )
            for posts in alike[:LISTED]
        ]
        more = and_more(sum(map(len, alike[LISTED:])))
        return [*shown, f"{more}, all in .bodies"] if more else shown


_NOUNS = {Question.unit: ("questions", "to ask for")}
"""The words for cells and for new answers, in place of those for pictures."""


def _all_but_the_sample(post: Post) -> tuple[str, Mapping[str, object]]:
    return post.url, {name: value for name, value in post.body.items() if name != "sample"}


def _json(body: Mapping[str, object]) -> str:
    """Return what is sent, to the letter; where a letter would move a terminal, all of them in ASCII."""
    text = json.dumps(body, ensure_ascii=False)
    return text if printable(text) == text else json.dumps(body)
