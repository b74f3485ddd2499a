"""Recording what arrives: the part that `Recorded` and `Recovering` share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from beluga_nb.api import spool
from beluga_nb.errors import MAY_BE_BILLED, BelugaError, InvalidImageError, StoreError
from beluga_nb.process.work import at_work
from beluga_nb.request import Question, Request
from beluga_nb.result import CallCancelled, Picture, Preview, Result, Usage, causes, with_fields
from beluga_nb.store import pending
from beluga_nb.store.records import RecordedMeanwhileError, Store
from beluga_nb.store.takes import next_free_take
from beluga_nb.text import sanitize
from beluga_nb.wire import answer_of

RECORDING_TIMEOUT = 0.5
"""Seconds that a stopped call waits for its pictures to be recorded. The recording goes on after that."""


class Recorder:
    """Records pictures in a store, under a provider.

    `preview` makes the small copy that goes into notebooks, where the engine has not made it already. It is
    made once and recorded, since encoders differ between machines. Where the store cannot be written,
    `notify` gets one line, and the pictures are passed on. `under_way` has the ids of the calls that this
    process has written down and that have no end yet. Who holds the claim of a request knows that these are
    for other requests, and need not read their files in the journal.
    """

    def __init__(
        self,
        store: Store,
        *,
        provider: str,
        preview: Callable[[Picture], Preview | None],
        notify: Callable[[str], None],
        under_way: set[str] | None = None,
    ) -> None:
        self.store = store
        self.provider = provider
        self.preview = preview
        self.under_way = set[str]() if under_way is None else under_way
        self._notify = notify
        self._notified: set[str] = set()

    def missing(self, request: Request) -> set[int]:
        """Return the samples of a request that are not recorded."""
        return self.store.missing(request, provider=self.provider)

    def has_all(self, result: Result) -> bool:
        """Whether all pictures of a result are recorded, each under its own take, as far as can be seen."""
        with contextlib.suppress(StoreError):  # The service of the store may not answer any more.
            return not any(self.missing(picture.recipe.request) for picture in result.pictures)
        return False

    def record(self, result: Result, usage: Usage | None = None) -> Result:
        """Record the pictures of a result, each with its usage.

        At an address, the answer of an engine of this process is kept first, like that of a service.
        Returns the result with the previews and takes of the recordings.
        """
        if self.store.mirror:
            self._keep_answer(result)
        pictures = tuple(self._record(picture, usage) for picture in result.pictures)
        return replace(result, pictures=pictures, extra=None)

    def _keep_answer(self, result: Result) -> None:
        request = result.request
        # Its pictures are found by their places, so none may be missing.
        if request.spool is None or len(result) < request.n or isinstance(request, Question):
            return
        if not pending.answers(self.store, request.idempotency_key):
            with contextlib.suppress(OSError):
                spool.write(request.spool, *answer_of(result))

    async def keep_extra(self, result: Result) -> None:
        """Keep the pictures that an answer holds beyond those that were asked for."""
        if not result.extra:
            return
        kept: list[str] = []
        async with contextlib.aclosing(result.extra()) as extra:
            async for each in extra:
                kept.append(await at_work(self._keep, "a further picture", each.data, each.media_type))
        if names := ", ".join(name for name in kept if name):
            sent = len(result) + len(kept)
            self.notify(
                f"The service sent {sent} pictures where {len(result)} were asked for; also kept: {names}."
            )

    def rescue(self, stopped: CallCancelled) -> int:
        """Record the pictures that a stopped call had received; return how many they are."""
        count = 0
        with contextlib.suppress(BelugaError):
            for each in stopped.arrived():
                if isinstance(each, Result):
                    count += len(each) if self.has_all(self.record(each)) else 0
                elif isinstance(each, InvalidImageError) and each.data:
                    self._keep_invalid(each)
        return count

    def keep_invalid_images(self, error: BaseException) -> None:
        """Keep the bytes of the pictures that could not be decoded, and name the files in their errors."""
        for cause in causes(error):
            if isinstance(cause, InvalidImageError) and cause.data:
                self._keep_invalid(cause)

    def notify(self, message: str) -> None:
        """Tell the user something, once."""
        if message not in self._notified:
            self._notified.add(message)
            self._notify(message)

    @contextlib.contextmanager
    def notifying(self) -> Iterator[None]:
        """Tell the user of an error of the store in the block, and go on."""
        try:
            yield
        except (StoreError, InvalidImageError) as error:
            self.notify(f"{error.message} {error.hint}")

    def _record(self, picture: Picture, usage: Usage | None) -> Picture:
        recipe = replace(picture.recipe, usage=None if picture.recipe.procedural else usage)
        picture = with_fields(picture, recipe=recipe, preview=self._preview(picture))
        with self.notifying():
            picture = self._written(picture)
        return picture

    def _written(self, picture: Picture) -> Picture:
        if not self.store.mirror:
            picture = self._at_free_take(picture)
        while True:
            try:
                self.store.write(picture, picture.preview, provider=self.provider)
            except RecordedMeanwhileError:  # at an address, found by a conditional write
                picture = self._at_free_take(picture, is_taken=True)
            else:
                return picture

    def _at_free_take(self, picture: Picture, *, is_taken: bool = False) -> Picture:
        request, known = picture.recipe.request, None
        with contextlib.suppress(StoreError):  # damaged: it is written anew, unless it `is_taken`
            known = self.store.read(request, provider=self.provider)
        if isinstance(known, Picture) and known.sha256 == picture.sha256:
            # What was recorded first stays: outputs show it.
            return with_fields(picture, recipe=replace(picture.recipe, usage=known.recipe.usage))
        if is_taken or isinstance(known, Picture):
            # Another kernel bought the same meanwhile. Both were paid for, so both stay.
            request = next_free_take(request, self.store, provider=self.provider)
            self.notify(f"Another kernel has recorded the same; this one is kept as take {request.take}.")
        return with_fields(picture, recipe=replace(picture.recipe, request=request))

    def _preview(self, picture: Picture) -> Preview | None:
        try:
            return picture.preview or self.preview(picture)
        except Exception as error:  # An error of an encoder must not lose the picture itself.
            reason = f"{type(error).__name__}: {sanitize(str(error), 120)}"
            self.notify(f"A picture has no preview ({reason}). It is recorded all the same.")
            return None

    def _keep_invalid(self, error: InvalidImageError) -> None:
        name = self._keep("a broken picture", error.data)
        if name and error.whole:
            error.hint = (
                f"It may have been billed, so it is kept as {name} and not bought again: a new take buys"
                " another."
            )
        elif name:
            error.hint = f"{MAY_BE_BILLED} Its bytes are kept as {name}."

    def _keep(self, what: str, data: bytes, media_type: str | None = None) -> str:
        try:
            path = self.store.keep(data, media_type)
        except (OSError, StoreError) as failed:
            reason = getattr(failed, "strerror", None) or failed
            self.notify(f"The bytes of {what} are not kept: {reason}.")
            return ""
        return f"{self.store.name}/{path.relative_to(self.store.folder).as_posix()}"
