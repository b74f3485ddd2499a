"""The composer: what the form asks for, what the chosen model takes, and what a click would do."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from beluga_nb.compare.plan import Plan
from beluga_nb.config.settings import Settings
from beluga_nb.errors import BelugaError, OverBudgetError, RequestError, UnknownNameError
from beluga_nb.placeholders import names
from beluga_nb.request import Request
from beluga_nb.session.resources import ASK_ABOVE
from beluga_nb.session.session import Session
from beluga_nb.text import plural, sanitize
from beluga_nb.widgets.data import PanelData
from beluga_nb.widgets.jobs import DEBOUNCE, Jobs, in_a_line
from beluga_nb.widgets.promises import Promise, Promises, is_kept
from beluga_nb.widgets.state import DEFAULT, Form, State

MOST = ASK_ABOVE
"""Pictures that one click asks for at most; of more, a cell asks first whether so many are meant."""

NO_TAKE = "Mode replay asks for nothing, so there is no new take."

_GRID_FILLS = "The axes of the grid fill this prompt: press Run grid."

_FORM = ("prompt", "search", "model", "size", "quality", "n", "take")


class Composer:
    """Keeps the form consistent with the chosen model, and says what a click on its button would do."""

    def __init__(
        self, session: Session, data: PanelData, state: State, jobs: Jobs, names: Mapping[str, object]
    ) -> None:
        self.session, self.data, self.state, self.jobs = session, data, state, jobs
        self._names = names
        self._promises = Promises()
        self.is_cell_running = False
        settings = session.settings()
        self._offer(settings)
        self._apply(settings.model, settings)
        # Observed only now: the lines above set the same traits.
        state.observe(lambda change: self._searched(change.new), "search")
        state.observe(lambda change: self._model_changed(change.new), "model")
        state.observe(lambda _: self._describe_size(), "size")
        state.observe(lambda _: self.estimate(), _FORM)
        state.observe(lambda _: self.renew(), "grid_ready")

    @property
    def form(self) -> Form:
        """The form as the kernel knows it, with what is said of it."""
        return Form(**{each.name: getattr(self.state, each.name) for each in fields(Form)})

    @property
    def arguments(self) -> dict[str, Any]:
        """The form as arguments of `Session.submit`."""
        return self.arguments_of(self.form)

    def arguments_of(self, form: Form) -> dict[str, Any]:
        """Return a form as arguments of `Session.submit`."""
        arguments = {"prompt": form.prompt, "model": form.model, "n": form.n, "take": form.take.strip()}
        return arguments | {
            name: value for name in ("size", "quality") if (value := getattr(form, name)) != DEFAULT
        }

    def fill(self, request: Request) -> None:
        """Copy a request into the form."""
        state = self.state
        self._choose_model(request.model)
        state.prompt, state.take = request.prompt, request.take
        state.size, state.quality = request.size or DEFAULT, request.quality or DEFAULT
        self._set_count(request.n)

    def values(self) -> dict[str, object]:
        """Return what each `{{name}}` of a prompt is filled from: the variables as they are now."""
        return dict(self._names)

    def describe(self) -> None:
        """Say anew who answers, and what was spent."""
        self.jobs.restart("provider", self._describe_provider)

    async def _describe_provider(self) -> None:
        state = self.state
        self._offer(self.session.settings())
        state.provider = await asyncio.to_thread(self.data.backend, state.model)
        state.spent, state.share = await asyncio.to_thread(self.data.spent)
        state.takes = "" if self.session.settings().may_ask else NO_TAKE

    # The model.

    def _offer(self, settings: Settings) -> None:
        self.state.offered = (*(each.id for each in self.data.models()), *settings.aliases)

    def _apply(self, name: str, settings: Settings) -> None:
        alias = settings.aliases.get(name, {})
        self._choose_model(str(alias.get("model", name)))
        size = str(alias.get("size", DEFAULT))
        if size in {DEFAULT, "auto", *(each.label for each in self.state.sizes)}:
            self.state.size = size
        self.state.quality = str(alias.get("quality", DEFAULT))
        self._set_count(int(str(alias.get("n", 1))))

    def _set_count(self, n: int) -> None:
        if n > MOST:
            self.state.message = f"The panel asks for {MOST} pictures at most, not {n}."
        self.state.n = min(n, MOST)

    def _searched(self, text: str) -> None:
        state = self.state
        if text == state.model:
            return
        settings = self.session.settings()
        if self.data.model(text):
            state.model = text
        elif text in settings.aliases:
            self._apply(text, settings)
            asked = [state.model, *(each for each in (state.size, state.quality) if each)]
            state.message = f"{sanitize(text, 80)} is {', '.join([*asked, plural(state.n, 'picture')])}."
        else:
            state.models = tuple(self.data.models(text))
            names = ", ".join(each.id for each in state.models)
            state.about_model = (
                f"Choose one: {names}."
                if names
                else f"No model matches “{sanitize(text, 60)}” in its id, name or provider."
            )

    def _model_changed(self, name: str) -> None:
        self._choose_model(name)
        self.describe()

    def _choose_model(self, name: str) -> None:
        state = self.state
        model = self.data.model(name)
        if model is None:
            model = self.data.models()[0]
            state.message = f"The panel has no model '{sanitize(name, 80)}': {model.id} is chosen."
        state.model = state.search = model.id
        state.models = (model,)
        state.sizes = tuple(self.data.sizes(model.id))
        if state.size not in {DEFAULT, "auto", *model.sizes}:
            state.message = f"{model.id} has no size {state.size}: its default is chosen."
            state.size = DEFAULT
        sizes, most = f"{len(state.sizes)} sizes", plural(model.n_max, "picture")
        state.about_model = f"{model.name or model.id}, by {model.provider}: {sizes}, {most} per request."
        self._describe_size()

    def _describe_size(self) -> None:
        size = next((each for each in self.state.sizes if each.label == self.state.size), None)
        words = {DEFAULT: "The service's own default.", "auto": "The model decides."}
        if size is None:
            self.state.about_size = words.get(self.state.size, "")
        else:
            best = f", best for {size.best_for}" if size.best_for else ""
            self.state.about_size = f"{size.label}{best}."

    # What a click would do.

    def estimate(self) -> None:
        """Find out what a click would do; until that is known, the button promises nothing."""
        state = self.state
        state.action = _unplanned(state.n)
        state.ready = self._complete
        self.renew()

    def renew(self) -> None:
        """Find out again what a click would do; until then, the button keeps its text."""
        self.jobs.restart("estimate", self._estimate)

    def check(self, form: Form) -> None:
        """Raise `RequestError` where one click may not ask for a form."""
        if form.n > MOST:
            raise RequestError(
                f"The panel asks for {MOST} pictures at most, not {form.n}.",
                "In a cell, so many are made after a question.",
            )
        if not self.data.model(form.model):
            raise RequestError(f"The panel has no model '{sanitize(form.model, 80)}' yet.", "Click again.")

    @property
    def _complete(self) -> bool:
        state = self.state
        return bool(state.prompt.strip()) and state.search == state.model and state.n <= MOST

    async def _estimate(self) -> None:
        await asyncio.sleep(DEBOUNCE)
        state = self.state
        if not self._complete and state.n <= MOST:
            state.estimate = ""
            return
        try:
            self.check(self.form)
            arguments, mode = self.arguments, self.session.settings().mode
            plan = await asyncio.to_thread(self._plan, arguments, mode, self.values())
        except OverBudgetError as error:
            state.estimate, state.action, state.ready = in_a_line(error), "Over your cap", False
        except UnknownNameError as error:
            # The grid has a plan, so its axes have all that is missing here.
            state.estimate = _GRID_FILLS if state.grid_ready else in_a_line(error)
            state.ready = False
        except BelugaError as error:
            state.estimate, state.ready = in_a_line(error), False
        else:
            self._promise(Promise(plan, mode), arguments)

    def has_waited(self, form: Form) -> bool:
        """Return whether cells have run since a form was shown, or one runs: they may change variables."""
        # With subshells, a click may be heard before its cell has ended.
        return self.is_cell_running or form.turn != self.state.turn

    def promised(self, form: Form) -> Promise | None:
        """Return what the button of a form promised, or None."""
        return self._promises.find(form.turn, form.action, self.arguments_of(form))

    def _promise(self, promise: Promise, arguments: dict[str, Any], *, refused: bool = False) -> None:
        plan = promise.plan
        verb = "to draw" if plan.local else "to buy"
        new = f"{plan.images} {verb}, " if plan.images else ""
        words = f"{new}{plan.recorded} already in the store"
        missing = f", {plan.missing} not recorded" if plan.missing else ""
        self._promises.add(self.state.turn, _action(plan), arguments, promise, refused=refused)
        self.state.ready = True
        self.state.estimate, self.state.action = f"{words}{missing}; {plan.price}.", _action(plan)

    async def exceeds(self, form: Form, values: Mapping[str, object]) -> bool:
        """Return whether a call would ask for more than the button said, and update the button if so.

        Variables, store and settings may have changed since. A button that has said no more than the form
        has promised its number of pictures; where cells have run since the click, also what fills them.
        """
        arguments, waited = self.arguments_of(form), self.has_waited(form)
        promised = self.promised(form)
        if promised is None and form.action == _unplanned(form.n) and not (waited and names(form.prompt)):
            return False
        try:
            mode = self.session.settings().mode
            plan = await asyncio.to_thread(self._plan, arguments, mode, values)
        except BelugaError:  # the call itself reports it
            return False
        if promised and is_kept(promised, plan, mode, exactly=waited):
            return False
        if self.arguments == arguments:  # else the button speaks of another form by now
            self._promise(Promise(plan, mode), arguments, refused=True)
        return True

    def _plan(self, arguments: Mapping[str, Any], mode: str, values: Mapping[str, object]) -> Plan:
        # With a mode of its own, a plan for a replay counts what is missing, as the click would.
        settings = self.session.settings()
        plan = self.session.plan(**arguments, values=values, mode=mode)
        if not plan.local:
            self.session.resources.budget_of(settings).check(plan.requests, plan.caps)
        return plan


def _unplanned(n: int) -> str:
    """Return what the button says until it is known what a click would do."""
    return f"Generate {n}"


def _action(plan: Plan) -> str:
    shown = plan.recorded + plan.recoverable
    if not plan.images:
        return f"Show {shown} recorded" if shown else "Show what is recorded"
    words = f"Draw {plural(plan.images, 'preview')}" if plan.local else f"Generate {plan.images}"
    if shown:
        words += f", show {shown}"
    # A price is only ever the user's own.
    return f"{words} · at most {plan.caps.words(plan.cost)}" if plan.cost and not plan.local else words
