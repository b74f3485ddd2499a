"""Results and grids as a notebook shows them, with the small sheets that a store keeps of them."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from beluga_nb.result import Bundle, Picture, Preview, Result
from beluga_nb.show.figures import bundle, still
from beluga_nb.show.preview import TILE_EDGE, montage, thumbnail
from beluga_nb.store import sheets
from beluga_nb.store.collection import Blob
from beluga_nb.store.records import Store


@dataclass(frozen=True)
class StoreView:
    """How results are shown: several at once as the sheet that the store keeps of them.

    The sheet is kept because encoders differ between machines, and a replay is the same to the byte. With
    `writing` one that is new is added. `embed` is the setting; links lead from the notebook's `folder` into
    the store.
    """

    store: Store
    writing: bool
    embed: str = "preview"
    folder: Path | None = None

    def __call__(self, result: Result) -> Bundle:
        return bundle(result, self._sheet, embed=self.embed, link=self._link)

    def still(self, results: Sequence[Result]) -> Bundle:
        """Return several results as what a saved notebook shows of them, without anything that moves."""
        if self.embed == "none":
            return {"text/plain": still(results)["text/plain"]}
        return still(results, self._sheet)

    def tile(self, small: Preview) -> Preview:
        """Return the copy of a preview that grids show: a sheet of one."""
        return sheets.sheet(self.store, [small], lambda: thumbnail(small, TILE_EDGE), writing=self.writing)

    def labelled(
        self, parts: Sequence[Preview], make: Callable[[], Preview], words: Sequence[str]
    ) -> Preview:
        """Return the sheet of a grid, or the plot of a ranking."""
        return sheets.sheet(self.store, parts, make, writing=self.writing, words=words)

    def link(self, blob: Blob) -> str:
        """Return the way from the notebook to recorded bytes, or nothing where there is none."""
        path = self.store.blob_path(blob)
        if self.folder is None or not os.path.isfile(path):
            return ""
        try:
            return quote(Path(os.path.relpath(path, self.folder)).as_posix())
        except ValueError:  # on another drive
            return ""

    def _sheet(self, parts: Sequence[Preview]) -> Preview:
        return sheets.sheet(self.store, parts, lambda: montage(parts), writing=self.writing)

    def _link(self, picture: Picture) -> str:
        return self.link(Blob(picture.sha256, picture.media_type))
