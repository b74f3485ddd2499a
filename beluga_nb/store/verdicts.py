"""Verdicts: what a judge answered to a question about pictures, one small JSON file for each answer.

    verdicts/0b/0b5c1f….json   {"schema": 1, "inputs": ["77610d44…"], "request": {"prompt": …, …}, …}

The key is that of any recording: the question, the model, the schema of the answer, the pictures by their
SHA-256, the take and the number of the answer in it. The answer is recorded as the model gave it, also where
it does not fit the schema, so that it replays, and is not bought again. A verdict is forgotten with the
pictures that it is about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import beluga_nb.chat as chat
import beluga_nb.untrusted as untrusted
from beluga_nb.errors import APIStatusError
from beluga_nb.request import Request
from beluga_nb.result import Answer, Picture, Preview, Recipe
from beluga_nb.store.codec import sha256_text
from beluga_nb.store.collection import Collection, References
from beluga_nb.store.format import key, parse_refusal, parse_request, refusal_fields, request_fields
from beluga_nb.store.records import Store
from beluga_nb.store.scores import naming


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A file that was read: one question, and the answer, or the refusal, that came."""

    key: str
    provider: str
    recipe: Recipe
    answer: Mapping[str, object] | None
    refusal: APIStatusError | None = None

    def to_fields(self) -> Mapping[str, object]:
        """Return the fields of its file."""
        recipe, declined = self.recipe, self.refusal
        fields = request_fields(recipe.request, self.provider) | {
            "answer": self.answer,
            "response": {"engine": recipe.engine, "created": recipe.created},
        }
        return fields | ({"refusal": refusal_fields(declined)} if declined else {})


def _parse(fields: Mapping[str, Any]) -> Verdict:
    inputs = list(map(sha256_text, untrusted.items(fields["inputs"])))
    if not inputs:
        raise ValueError("a verdict is about pictures")
    request, provider = parse_request(fields, inputs=inputs)
    answer, response = fields["answer"], untrusted.members(fields["response"])
    return Verdict(
        key=fields["key"],
        provider=provider,
        recipe=Recipe(
            request=request,
            engine=untrusted.text(response["engine"]),
            created=untrusted.whole(response["created"]),
        ),
        answer=None if answer is None else chat.checked_answer(answer),
        refusal=parse_refusal(fields["refusal"]) if answer is None else None,
    )


VERDICTS = Collection(
    folder="verdicts",
    parse=_parse,
    to_fields=Verdict.to_fields,
    name=lambda verdict: verdict.key,
    never_changes=True,
    first_fields={"answer"},
    references=lambda verdict: References(set(verdict.recipe.request.inputs)),
    conflicts=lambda here, packed: here.answer != packed.answer,
)


class Verdicts(Store):
    """A store as engines read and write it for questions: answers in place of pictures."""

    def place(self, name: str) -> str:
        """Return where in the store the verdict of that key is, or would be."""
        return VERDICTS.place(name)

    def read(self, request: Request, *, provider: str) -> Picture | APIStatusError | None:
        """Return the first answer to a question, the refusal that came instead, or None: not recorded."""
        name = key(request, provider=provider)
        try:
            verdict = VERDICTS.read(self, name)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise self._unreadable(self.record_path(name), error) from None
        if verdict.answer is None:
            return verdict.refusal
        return Answer(chat.answer_to_data(verdict.answer), chat.JSON, verdict.recipe)

    def write(self, picture: Picture, preview: Preview | None, *, provider: str) -> None:  # noqa: ARG002
        """Record an answer; raise `StoreError` where that fails."""
        answer = untrusted.members(untrusted.load_json(picture.data))
        self._write_verdict(picture.recipe, provider, answer)

    def write_refusal(
        self, request: Request, refusal: APIStatusError, *, provider: str, created: int
    ) -> None:
        """Record that the model declined each answer to a question; raise `StoreError` where that fails."""
        for sample in request.samples:
            recipe = Recipe(request=request.slice(sample), engine=provider, created=created)
            self._write_verdict(recipe, provider, None, refusal)

    def _write_verdict(
        self,
        recipe: Recipe,
        provider: str,
        answer: Mapping[str, object] | None,
        refusal: APIStatusError | None = None,
    ) -> None:
        name = key(recipe.request, provider=provider)
        with naming("Answers"):
            VERDICTS.write(
                self, Verdict(key=name, provider=provider, recipe=recipe, answer=answer, refusal=refusal)
            )
