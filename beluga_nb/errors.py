"""What can go wrong, as a tree. Each error says what happened and what to do, in two lines.

* BelugaError
  * RequestError                    refused here, before anything was sent (also a ValueError)
    * UnknownNameError              no such model, size, quality, option … with the nearest that exists
    * UnknownArgumentError          a function has no argument of this name (also a TypeError)
    * NotConfirmedError             many pictures, or something to be forgotten, and it was not confirmed
    * OverBudgetError               more than max_images or max_cost allows
    * ImpossibleCombinationError    combinations of a grid that cannot be asked for, all at once
  * SettingsError                   a setting, a key or `beluga.toml` is unusable (also a ValueError)
  * NotRecordedError                mode "replay", and the store has no answer
  * NotSentError                    an earlier answer has stopped the run that this belongs to
  * InvalidVerdictError             a judge's answer is recorded, and is no verdict
  * CheckFailedError                checks of a study did not pass (also an AssertionError)
  * StoreError                      the store cannot be read or written
  * MetadataError                   a file holds no recipe that can be read, or can take none
  * EngineError                     an engine gave no pictures
    * APIConnectionError            no connection was made: nothing was sent
      * CertificateError            … since the certificate cannot be trusted
    * APIStatusError                the service refused, by its status
      * AuthenticationError         … since the key is missing or wrong (401)
      * RateLimitError              … for now (429, 503)
    * OutcomeUnknownError           sent, and its outcome is unknown: it may have been billed
      * APITimeoutError             … within the time limit
    * InvalidResponseError          the answer is not what the contract promises
      * InvalidImageError           … a picture cannot be decoded; its bytes are kept
    * IncompleteError               some pictures arrived, the rest did not (defined in `result.py`)
"""

from __future__ import annotations

import inspect
import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import FrameType
from typing import Literal

from beluga_nb.hints import Hint, Remedy, Surface, did_you_mean, mapped, on
from beluga_nb.redaction import redact, redact_bytes
from beluga_nb.text import nearest, plural, printable, sanitize

SHORT_ID = 8
"""Characters of an id that people see; commands take them for the whole."""

Outcome = Literal["not_sent", "refused", "unknown"]
"""What came of a request: it was not sent, its answer proves that it was not executed, or this is unknown."""

BILLING: Mapping[Outcome | None, str] = {
    "not_sent": "not billed",
    "refused": "not billed",
    "unknown": "may have been billed",
}
"""What each outcome means for the bill, in the words of the badge."""

MAY_BE_BILLED = "It may have been billed."
NOT_BILLED = "Nothing is billed."
# Beside a badge, which says the same, a hint is shown without these sentences.
_SAID_BY_BADGE = re.compile(
    f" ?({MAY_BE_BILLED}|{NOT_BILLED}|Nothing was sent or billed.)".replace(".", r"\.")
)

_BOLD, _PLAIN = "\x1b[1m", "\x1b[0m"
_BADGES: Mapping[Outcome | None, str] = {
    "not_sent": "\x1b[7m",
    "refused": "\x1b[7m",
    "unknown": "\x1b[30;43m",
}


def _is_asked_by_tb(frame: FrameType | None) -> bool:
    while frame is not None:
        # %tb asks for the trace of an error whose short form was shown already.
        if frame.f_code.co_name == "tb" and "IPython" in str(frame.f_globals.get("__name__")):
            return True
        frame = frame.f_back
    return False


def is_coloured() -> bool:
    """Whether an error is shown by a kernel, whose front ends all render colours."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return hasattr(shell, "kernel") and str(getattr(shell, "colors", "")).lower() != "nocolor"


def bold(text: str) -> str:
    """Return a text that stands out in an error of a notebook."""
    return f"{_BOLD}{text}{_PLAIN}"


class BelugaError(Exception):
    """Any error of this package: `message` is what happened, `hint` what to do; neither holds a key.

    `hint` is for Python callers. `str(error)`, `lines()` and a notebook's traceback are in the words of the
    `surface` that the error has passed (`console.shown_on`): Python, unless a magic, the panel or a terminal
    command was used. `may_be_billed`: pictures may have been charged that did not arrive.
    `status` is that of the answer, where there was one. `outcome` is what came of the request, where the
    error is about one, and `is_of_a_run` means that the run sent other requests before.

    A notebook shows the Jupyter error output itself as a card: the first line is bold, the second begins with
    a badge (`billing`), and what is to be typed stands out in it. The colours are those of a terminal (ANSI),
    which JupyterLab, Notebook, Colab, VS Code, GitHub and nbconvert render in this output. An HTML output
    beside it would show the same text twice in each of them, since none hides an error output. So there
    is one output, the cell has failed for every tool, and `ename` and `evalue` hold no colour. Tools that
    write text remove colours; a terminal, and a shell without colours, gets the two lines alone. The
    extension of JupyterLab (`lab/src/errors.js`) recognises the card by its first line, and adds a button
    that copies what stands out; elsewhere nothing can be added, since front ends escape this text.
    """

    may_be_billed: bool = False
    outcome: Outcome | None = None
    is_of_a_run: bool = False
    status: int | None = None
    traced: bool = False  # Whether a notebook shows the whole trace.
    surface: Surface = Surface.PYTHON

    def __init__(self, message: str, hint: str = "") -> None:
        # Names of files, words of a server and damaged records are all shown on a screen.
        self.message = _clean(message)
        self.hint = mapped(hint, _clean)
        super().__init__(self.message, self.hint)

    def __str__(self) -> str:
        hint = on(self.hint, self.surface)
        return redact(f"{self.message}\n{hint}" if hint else self.message)

    def __repr__(self) -> str:
        return redact(super().__repr__())

    def __reduce__(self) -> tuple[object, ...]:
        # Most are made from other arguments than their message and hint.
        state = {
            name: mapped(value, redact) if isinstance(value, str) else value
            for name, value in vars(self).items()
        }
        return _again, (type(self), *map(redact, self.args)), state

    def _render_traceback_(self) -> list[str]:
        # IPython asks for this before it builds a traceback, for %tb too.
        if self.traced or _is_asked_by_tb(inspect.currentframe()):
            return redact("".join(traceback.format_exception(self))).splitlines()
        return self._coloured() if is_coloured() else self.lines()

    def lines(self, *, beside_badge: bool = False) -> list[str]:
        """Return the lines that are shown: what happened, and what to do.

        Beside a badge (`billing`), which says whether the request was billed, the second line does not.
        """
        title, *hint = map(redact, self._lines())
        return [title, *filter(None, map(self._unbilled, hint))] if beside_badge else [title, *hint]

    def _unbilled(self, hint: str) -> str:
        return _SAID_BY_BADGE.sub("", hint).strip() if self.billing else hint

    @property
    def billing(self) -> str:
        """Whether the request was billed, in words; empty where this error does not know it."""
        return "" if self.is_of_a_run else BILLING.get(self.outcome, "")

    def _lines(self) -> list[str]:
        hint = on(self.hint, self.surface)
        return [f"{type(self).__name__}: {self.message}", *([hint] if hint else [])]

    def _coloured(self) -> list[str]:
        title, *details = self.lines()[0].split("\n")
        hint = on(self.hint, self.surface, code=lambda text: bold(redact(text)), words=redact)
        # At the beginning of its line: JupyterLab breaks lines between any two letters.
        badge = f"{_BADGES[self.outcome]} {self.billing} {_PLAIN}" if self.billing else ""
        second = " ".join(filter(None, [badge, self._unbilled(hint)]))
        return ["\n".join([bold(title), *details]), *([second] if second else [])]


def _clean(text: str) -> str:
    return redact(printable(text))


def _again(kind: type[BelugaError], *args: str) -> BelugaError:
    """Return an error as it was pickled, but for its attributes."""
    return kind.__new__(kind, *args)


class RequestError(BelugaError, ValueError):
    """The request cannot be sent as it stands; nothing was sent.

    `param` and `code` are the words of the API's error object (API reference: Errors).
    """

    outcome = "not_sent"

    def __init__(
        self, message: str, hint: str = "", *, param: str | None = None, code: str | None = None
    ) -> None:
        super().__init__(message, hint)
        self.param = param
        self.code = code


class UnknownNameError(RequestError):
    """A name, or a value `of` a setting, that does not exist; `nearest` is probably what was meant."""

    def __init__(
        self,
        kind: str,
        name: str,
        choices: Iterable[str],
        *,
        of: str = "",
        hint: str = "",
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        self.name = name
        self.choices = tuple(choices)
        self.nearest = nearest(name, self.choices)
        advice = hint or f"Available: {', '.join(self.choices)}."
        suffix = f" for {of}" if of else ""
        message = f"No {kind} '{sanitize(name, 80)}'{suffix}."
        super().__init__(message, did_you_mean(self.nearest, advice), param=param, code=code)


class UnknownArgumentError(RequestError, TypeError):
    """A function has no argument of this name. It is a `TypeError` too, as where Python itself finds it."""

    def __init__(self, name: str, choices: Iterable[str], *, of: str) -> None:
        known = tuple(choices)
        advice = did_you_mean(nearest(name, known)) or f"It takes {', '.join(known) or 'none'}."
        super().__init__(f"{of}() has no argument '{sanitize(name, 80)}'.", advice)


class NotConfirmedError(RequestError):
    """Many pictures, or something to be forgotten, and it was not confirmed; nothing was done."""


class OverBudgetError(RequestError):
    """It would cost more than the user's own caps allow; nothing was sent."""


class ImpossibleCombinationError(RequestError):
    """Combinations of a grid that cannot be asked for; `reasons` has a line for each kind."""

    def __init__(self, count: int, total: int, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        lines = "".join(f"\n  {reason}" for reason in self.reasons)
        verb = "is" if count == 1 else "are"
        super().__init__(
            f"{count} of {plural(total, 'combination')} {verb} impossible:{lines}",
            "Nothing was sent. Remove these values, or request them in a separate grid.",
        )


class SettingsError(BelugaError, ValueError):
    """A setting, the key or `beluga.toml` is unusable; nothing was sent."""

    outcome = "not_sent"


class NotRecordedError(BelugaError):
    """Mode "replay" found no recording, and may not ask an engine.

    `missing` has a line for each request without one, with the nearest recording and what differs.
    """

    outcome = "not_sent"

    def __init__(self, *missing: str) -> None:
        self.missing = missing
        auto = Remedy("mode", "auto")
        if len(missing) == 1:
            asked, _, near = missing[0].partition("; ")
            near = f"{near[:1].upper()}{near[1:]}. " if near else ""
            super().__init__(f"Not recorded: {asked}.", Hint(near, "Use ", auto, " to have it made."))
        else:
            lines = "".join(f"\n  {line}" for line in missing)
            hint = Hint("Use ", auto, " to have them made.")
            super().__init__(f"Not recorded: {len(missing)} requests.{lines}", hint)


class NotSentError(BelugaError):
    """What belongs to a run that an earlier answer has stopped; nothing was sent for it."""

    outcome = "not_sent"

    def __init__(self, cause: BelugaError) -> None:
        super().__init__(f"Not sent, since the run was stopped: {cause.message}", cause.hint)


class InvalidVerdictError(BelugaError):
    """A judge declined to answer, or answered something else than was asked for; the answer is recorded."""


class CheckFailedError(BelugaError, AssertionError):
    """Checks of a study did not pass."""


class StoreError(BelugaError):
    """The store cannot be read or written."""


class MetadataError(BelugaError):
    """A file holds no recipe that can be read, or none can be put into it."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a picture lies that was made and did not arrive: sample `sample` of its request, at `url`."""

    sample: int
    url: str = field(repr=False)
    engine: str
    created: int = 0
    revised_prompt: str | None = None


class EngineError(BelugaError):
    """An engine gave no pictures.

    `outcome` is whether the request may have been billed: only "unknown" may. Each class has its own, which
    an error replaces where more is known, as for a 503, or a task that has failed. `temporary`: the same
    request may succeed a little later. `status`, `type`, `code`, `param`, `request_id` are what the service
    sent (`answered`), or what the embedded server answers when an engine behind it raises this.
    `idempotency_key` is the id of the call. `addresses` are those of pictures that were made and did not
    arrive, and `job` is the service's own name for the work that it has accepted. `sample` is the number of
    the picture that it is about, if it is about one; `others` are the bad replies about the call's further
    pictures where none arrived.
    """

    status: int
    default_status: int = 500
    outcome: Outcome | None = "unknown"
    temporary: bool = False

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        status: int | None = None,
        type: str | None = None,  # noqa: A002  the API's own word
        code: str | None = None,
        param: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(message, hint)
        self.status = self.default_status if status is None else status
        self.answered = status is not None
        self.type = type
        self.code = code
        self.param = param
        self.request_id = request_id
        self.idempotency_key = ""
        self.job = ""
        self.addresses: tuple[Address, ...] = ()
        self.sample: int | None = None
        self.others: tuple[BelugaError, ...] = ()

    @property
    def may_be_billed(self) -> bool:  # type: ignore[override]  # of other errors it is always false
        """Whether pictures may have been charged that did not arrive."""
        return self.outcome == "unknown"

    def _lines(self) -> list[str]:
        first, *rest = super()._lines()
        details = [f"status {self.status}"] if self.answered else []
        details += [f"request {self.request_id}"] if self.request_id else []
        if self.idempotency_key and self.may_be_billed:
            details.append(f"call {self.idempotency_key[:SHORT_ID]}")
        return [f"{first} ({', '.join(details)})" if details else first, *rest]


class APIConnectionError(EngineError):
    """No connection was made: nothing was sent, nothing is billed."""

    default_status = 502
    outcome = "not_sent"
    temporary = True


class CertificateError(APIConnectionError):
    """The server's certificate cannot be trusted: nothing was sent, nothing is billed."""

    temporary = False


DECLINED = {"moderation_blocked", "content_policy_violation", "sensitive_content"}
"""The codes of services for a prompt that the model declines; the API's contract names none."""


class APIStatusError(EngineError):
    """The service refused the request, by its status; it is not billed, but for a 503 (`RateLimitError`)."""

    default_status = 400
    outcome: Outcome = "refused"

    @property
    def declined(self) -> bool:
        """Whether the model declined the prompt: an answer for good, unlike a missing key or balance."""
        return self.status == 400 and self.code in DECLINED


class AuthenticationError(APIStatusError):
    """The key is missing, wrong or for another service (401); nothing is billed."""

    default_status = 401


class RateLimitError(APIStatusError):
    """The service is busy (429, 503); `retry_after` is how long it asks to wait, in seconds.

    A 503 without it may have been billed.
    """

    default_status = 429

    def __init__(
        self, message: str, hint: str = "", *, retry_after: float | None = None, **fields: object
    ) -> None:
        super().__init__(message, hint, **fields)  # type: ignore[arg-type]  # the fields of EngineError
        self.retry_after = retry_after
        # A 503 without Retry-After may have come in the middle of the work.
        self.outcome = "refused" if self.status == 429 or retry_after is not None else "unknown"
        self.temporary = True


class OutcomeUnknownError(EngineError):
    """The request was sent and no usable answer came back: it may have been billed."""

    default_status = 500


class APITimeoutError(OutcomeUnknownError):
    """No answer within the time limit: it may have been billed."""

    default_status = 504


class InvalidResponseError(EngineError):
    """The answer is not what the contract promises: it may have been billed."""

    default_status = 502


class InvalidImageError(InvalidResponseError):
    """A picture cannot be decoded; `data` holds the bytes as they came.

    `outcome` is None where no answer is known to have held it. `whole`: nothing is wrong with it, but it is
    not decoded here, and another would be no better.
    """

    def __init__(
        self,
        message: str,
        hint: str = "",
        *,
        data: bytes = b"",
        whole: bool = False,
        outcome: Outcome | None = "unknown",
    ) -> None:
        super().__init__(message, hint)
        self.outcome = outcome
        self.whole = whole
        self.data = redact_bytes(data)  # other data may hold a key
