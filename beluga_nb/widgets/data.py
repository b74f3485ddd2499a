"""What a panel reads and writes beside calling for pictures: models, recorded runs, favourites and notes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import beluga_nb.catalog as catalog
from beluga_nb.catalog import Model, Size
from beluga_nb.request import Request
from beluga_nb.result import Bundle, Preview, Result
from beluga_nb.session.session import Session
from beluga_nb.show.history import thumbnails_of
from beluga_nb.store.index import Row
from beluga_nb.store.runs import Run, history

_EDGE = 256  # pixels of the longer side of a run's first picture


@dataclass(frozen=True, kw_only=True)
class Found:
    """A recorded run that has pictures, whether one is a favourite, and its first picture, small."""

    run: Run
    favourite: bool
    preview: Preview | None


@dataclass(frozen=True)
class PanelData:
    """What a session has for a panel to show."""

    session: Session

    def backend(self, model: str = "") -> str:
        """Return who answers for a model, in which mode, and where a key was found; of the key nothing."""
        resources, settings = self.session.resources, self.session.settings()
        backend = resources.backend(settings.at(model or settings.model))
        who = backend.description + (": previews, not model output" if backend.is_local else "")
        key = backend.key.source if backend.key else "none"
        return f"Answers: {who}. Mode: {settings.mode}. Key: {key}."

    def models(self, text: str = "") -> list[Model]:
        """Return the models with all words of a text in id, name or provider, other servers' among them."""
        return catalog.matching(text, among=self.session.preferences.models())

    def sizes(self, model: str = "") -> list[Size]:
        """Return the sizes that a model has, all of them for one that the catalogue does not know."""
        own = {label for each in catalog.models() if each.id == model for label in each.sizes}
        return [size for size in catalog.sizes() if not own or size.label in own]

    def runs(
        self,
        text: str = "",
        *,
        model: str | None = None,
        since: str | None = None,
        until: str | None = None,
        favourites: bool = False,
        limit: int = 24,
    ) -> tuple[list[Found], int]:
        """Return the newest recorded runs that have pictures and fit, and how many more there are."""
        library = self.session.store
        store = library.open()
        starred = {name for name, mark in library.marks().items() if mark.favourite}

        def is_meant(each: Row | Request) -> bool:
            # A refusal has no picture, nor has a call without a known end.
            image = each.image if isinstance(each, Row) else None
            return image is not None and (not favourites or image in starred)

        found = history(store, text, model=model, since=since, until=until, limit=limit, also=is_meant)
        return [
            Found(
                run=run,
                favourite=not starred.isdisjoint(run.images),
                preview=next(thumbnails_of(store, run, most=1, edge=_EDGE), None),
            )
            for run in found.runs
        ], found.more

    def still(self, results: Sequence[Result]) -> Bundle:
        """Return several results as what a saved notebook shows of them, without anything that moves."""
        resources, settings = self.session.resources, self.session.settings()
        view = resources.store_view(settings, resources.store(settings), writing=settings.writes_store)
        return view.still(results)
