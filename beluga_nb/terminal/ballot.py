"""The voting page without a notebook: `python -m beluga_nb ballot study.ipynb`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import suppress

from beluga_nb.commands.arguments import USAGE_ERROR
from beluga_nb.commands.usage import PROGRAM, parser
from beluga_nb.compare.rank import Ranking
from beluga_nb.errors import BelugaError, RequestError, SettingsError
from beluga_nb.hints import Surface, on
from beluga_nb.paths import absolute_path, path_of
from beluga_nb.redaction import redact
from beluga_nb.session.session import Session
from beluga_nb.show.ballot import BallotPage
from beluga_nb.text import plural, sanitize

LONGEST_CONSENT = 20_000
"""Characters of a text that voters agree to."""


def main(words: Sequence[str]) -> int:
    """Serve the page until Ctrl-C and return the exit status; an error is two lines on stderr."""
    options = vars(parser("ballot").parse_args(words))
    [notebook] = options.pop("words")
    try:
        page = _page(notebook, {name: value for name, value in options.items() if value is not None})
    except BelugaError as error:
        print(
            redact(f"{PROGRAM} ballot: {error.message}\n{on(error.hint, Surface.TERMINAL)}"), file=sys.stderr
        )
        return USAGE_ERROR
    where = f"{plural(len(page.links), 'link')} in {page.file}" if page.file else page.url
    print(
        redact(
            f"Voting page: {sanitize(where, 400)}\nCtrl-C ends it; votes are in the store as they are cast."
        ),
        flush=True,
    )
    with suppress(KeyboardInterrupt):
        if why := page.wait(for_close=True):
            print(f"The vote is closed: {why}. It has {plural(page.votes, 'vote')}.", flush=True)
        page.wait()
    page.stop()
    print(f"{plural(page.votes, 'vote')} on these pictures.")
    return 0


def _page(name: str, options: dict[str, object]) -> BallotPage:
    notebook = path_of(name)
    session = Session(folder=absolute_path(notebook.parent))
    if file := options.pop("consent", None):
        options["consent"] = _text(str(file))
    pictures = session.store.shown(absolute_path(notebook))
    if not pictures:
        raise RequestError(
            f"{sanitize(notebook.name, 80)} shows no pictures.",
            "Show a grid or a gallery in it, and save it.",
        )
    page = session.gallery(*pictures).ballot(**options)  # type: ignore[arg-type]  # as the parser made them
    if isinstance(page, Ranking):
        raise SettingsError('In mode "replay" there is no vote.', "Set BELUGA_MODE=auto.")
    return page


def _text(file: str) -> str:
    try:
        return path_of(file).read_text("utf-8")[:LONGEST_CONSENT]
    except (OSError, ValueError) as error:
        raise RequestError(
            f"{sanitize(file, 120)} cannot be read ({type(error).__name__}).", "Name a text file."
        ) from None
