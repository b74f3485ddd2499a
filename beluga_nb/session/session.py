"""The session: one object of settings, keys, stores and budgets, and the verbs of the kit."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

import beluga_nb.session.status as status
from beluga_nb.budget import Budget
from beluga_nb.catalog import Listing
from beluga_nb.compare.plan import Plan
from beluga_nb.config import keys
from beluga_nb.config.preferences import Preferences
from beluga_nb.config.settings import Settings, SettingsOptions, check_names
from beluga_nb.console import ask, ask_hidden, tell
from beluga_nb.engines.call import Tally
from beluga_nb.key_check import refuses_keys
from beluga_nb.paths import absolute_path, path_of
from beluga_nb.redaction import Environment, Secret
from beluga_nb.result import Engine, Result
from beluga_nb.runtime import Job, awaitable, blocking
from beluga_nb.session.options import CallOptions
from beluga_nb.session.resources import Resources
from beluga_nb.session.serving import Serving
from beluga_nb.session.watching import calling, left_of
from beluga_nb.show.figures import bundle
from beluga_nb.signatures import named_methods, named_options

# Lazy imports in the methods: the first picture of a kernel needs none of these.
if TYPE_CHECKING:
    from beluga_nb.compare.checks import Checks
    from beluga_nb.compare.gallery import Gallery
    from beluga_nb.compare.grid import Grid
    from beluga_nb.server.child import Server
    from beluga_nb.session.library import Library


@named_methods
class Session:
    """Settings, keys, a store and a budget, and what asks, replays and compares with them.

    Settings are read anew at each call: defaults < `beluga.toml` < `BELUGA_*` < the options given here < the
    call. Nothing is read, opened or started before the first. The folder of the notebook is the one that is
    current then; a later change of folder moves no store. With an `engine`, that answers in place of all
    services; see `use`. `preferences` are what can be changed while it runs, and where each comes from.
    """

    def __init__(
        self,
        *,
        engine: Engine | str | None = None,
        provider: str | None = None,
        api_key: str | None = None,
        environ: Mapping[str, str] | None = None,
        folder: str | Path | None = None,
        notify: Callable[[str], None] = tell,
        confirm: Callable[[str], bool | None] = ask,
        hidden: Callable[[str], str | None] = ask_hidden,
        vaults: Mapping[str, keys.KeySource] | None = None,
        **options: Unpack[SettingsOptions],
    ) -> None:
        if vaults is None:  # an environment of one's own has no vaults
            vaults = keys.KEY_SOURCES if environ is None or environ is os.environ else {}
        key = None if api_key is None else Secret(api_key, "code")
        environment = Environment(os.environ if environ is None else environ)
        del api_key, environ  # a traceback may show the variables of its frames
        check_names(options, beside={*signature(Session).parameters} - {"options"})
        self.resources: Resources = Resources(
            environment,
            folder=None if folder is None else absolute_path(path_of(folder)),
            options=options,
            key=key,
            vaults=vaults,
            notify=notify,
            confirm=confirm,
            hidden=hidden,
            regenerate=self.generate,
        )
        self.preferences: Preferences = self.resources.preferences
        self._serving = Serving()
        self.use(engine, provider=provider)
        if options:  # Set again: this checks them, now that the engine is known.
            self.preferences.set(**options)

    def __reduce__(self) -> str:
        raise TypeError("A session is not copied or pickled: make one where it is wanted.")

    @property
    def budget(self) -> Budget:
        """What this session has spent."""
        return self.resources.budget

    @property
    def store(self) -> Library:
        """What is recorded: to be listed, brought back, verified, forgotten, packed."""
        from beluga_nb.session.library import Library

        return Library(self.resources)

    def use(self, engine: Engine | str | None, *, provider: str | None = None) -> None:
        """Let an engine of your own answer from here on: an async function `Request` -> `Result`.

        It is asked for one picture at a time, on beluga_nb's own thread and loop, in up to `max_in_flight`
        calls at once. Its pictures are recorded under `provider`, or under the name of the function or class:
        keep that name, and what was recorded replays in later sessions. The caps count its pictures, and no
        key is sent. Any model id is passed on, and so are all size labels and pixels. A text such as
        "package.module:factory" names an engine that each process makes when it first asks it, also the
        workers of a grid. With None, the service answers again. Raises `SettingsError` for what is no engine,
        or no name for one.
        """
        self.resources.use(engine, provider)

    @refuses_keys
    @named_options(CallOptions)
    def submit(
        self,
        prompt: str,
        *,
        bridge: str | None = None,
        progress: bool | None = None,
        assume_yes: bool = False,
        tally: Tally | None = None,
        **options: Unpack[CallOptions],
    ) -> Job[Result]:
        """Request `n` pictures of a prompt: one, unless an alias sets more. What is recorded is replayed.

        `generate` waits for the `Result`, `agenerate` is awaited, and `submit` returns a job at once.

        >>> import beluga_nb                                               # doctest: +SKIP
        >>> fox = beluga_nb.generate("a fox in the snow", size="16:9")     # doctest: +SKIP
        >>> fox[0].size                                                    # doctest: +SKIP
        (1536, 864)
        >>> fox.save("fox.png")                                            # doctest: +SKIP

        model                a model's id, or an alias, whose parts the other arguments outrank
        endpoint             a server of `beluga.toml`: model="lab:sd" is model="sd" with endpoint="lab"
        size                 a label such as "16:9", "auto", or pixels: "1024x1024" becomes the nearest label
        n                    how many pictures; more than ten new ones need `assume_yes`
        quality              "standard" or "hd"
        output_format        "png", "jpeg" or "webp"; `output_compression` is 0 to 100
        take                 a label for another sampling; `sample` is the number of its first picture
        mode                 "auto", "replay", "refresh" or "off": whether the store may answer
        embed                what a notebook holds of it: "preview", "original", "link" or "none"
        values               what each `{{name}}` in the prompt is filled from
        bridge               where it runs: "thread" or "nested"
        allow_unknown_model  whether to send a model id that the catalogue does not know
        tally                counts what is asked for and what arrives
        progress             false: `generate` does not show that after a second

        Raises `RequestError` or `SettingsError` before anything is sent, and `EngineError` after.
        """
        call = self.resources.prompted_call(prompt, bridge=bridge, progress=progress, tally=tally, **options)
        left = partial(left_of, self.resources, call.tally)
        return self.resources.start(call, assume_yes=assume_yes, left=left)

    generate = blocking("generate", submit, watch=lambda session, tally: calling(session.resources, tally))
    agenerate = awaitable("agenerate", submit)

    @refuses_keys
    @named_options(CallOptions)
    def plan(self, prompt: str, **options: Unpack[CallOptions]) -> Plan:
        """Return what `generate` with the same arguments would send, and what that would cost; send nothing.

        Raises what `generate` raises before it sends, but does not ask whether so many are meant.
        """
        call = self.resources.prompted_call(prompt, planned=True, **options)
        return self.resources.plan(self.resources.missing([call]), call.settings.caps)

    @refuses_keys
    def grid(
        self,
        /,
        template: str | Sequence[str] | Mapping[str, str],
        *,
        n: int = 1,
        pairs: Sequence[str] | Sequence[Sequence[str]] = (),
        sample: int | None = None,
        seed: int | None = None,
        replace: Mapping[str, Iterable[object]] | None = None,
        model: str | Iterable[object] | None = None,
        size: str | Iterable[object] | None = None,
        quality: str | Iterable[object] | None = None,
        take: str | Iterable[object] | None = None,
        output_format: str | None = None,
        output_compression: int | None = None,
        allow_unknown_model: bool = False,
        values: Mapping[str, object] | None = None,
        **axes: object,
    ) -> Grid:
        """Return the grid of all combinations of some axes, `n` pictures each; nothing is asked yet.

        `template` is a prompt, or several whole ones. Each name in `axes` is one: it fills `{{name}}` from a
        list of values, a mapping from labels to values, or the rows of a DataFrame, a list of mappings or a
        CSV file (a `Path`), whose columns fill the names that they have. `model`, `size`, `quality` and
        `take` are axes where they are lists. `replace` puts other words in place of a term of the prompt.
        The axes that `pairs` names advance together; `sample` combinations of all are drawn by `seed`.
        `values` fill what is the same everywhere, and the rest is as in `generate`.

        Raises `RequestError` where the axes and the prompt do not fit, and `ImpossibleCombinationError` for
        all combinations that no model takes.

        >>> import beluga_nb                                                       # doctest: +SKIP
        >>> g = beluga_nb.grid("a {{animal}}", animal=["cat", "fox"], n=2).run()   # doctest: +SKIP
        >>> g["fox"][0].size                                                       # doctest: +SKIP
        (1024, 1024)
        """
        from beluga_nb.session.grid_maker import GridMaker

        fixed = {"n": n, "output_format": output_format, "output_compression": output_compression}
        make = GridMaker(self.resources, fixed | {"allow_unknown_model": allow_unknown_model}).make
        # The model comes last, which makes it the columns.
        axes |= {"size": size, "quality": quality, "take": take, "model": model}
        return make(template, axes, replace=replace, pairs=pairs, sample=sample, seed=seed, values=values)

    def gallery(self, *results: Result) -> Gallery:
        """Return some results side by side, to be scored, voted on and ranked."""
        from beluga_nb.compare.gallery import Gallery
        from beluga_nb.session.grid_run import SessionRunner

        return Gallery(results, runner=SessionRunner(self.resources))

    def check(self, path: str | Path) -> Checks:
        """Run a study and return its checks; raise `CheckFailedError`, an `AssertionError`, if one failed.

        In a test of pytest, this is all: `def test_study(): beluga_nb.check("study.toml")`. Under CI nothing
        is sent: what is not recorded fails. The store is that of the session.
        """
        from beluga_nb.compare.checks import checks  # Lazy import: few sessions check a study.

        return checks(self.grid, path).raise_for_failure()

    def open(self, path: str | Path) -> Result:
        """Return the picture that `save()` wrote, as the result of the request in its recipe.

        Its bytes are the ones that came from the service, unless the file was changed or converted.
        Raises `MetadataError` for a file that holds no recipe, or whose model is an alias here.
        """
        from beluga_nb.show.recipe import check_model, opened  # Lazy import: few cells read files.

        settings, result = self.resources.settings(), opened(path_of(path))
        check_model(result, settings)
        view = partial(bundle, embed=settings.embed)
        return replace(result, renderer=view, regenerate=self.generate)

    def last(self) -> Result:
        """Return the newest result: this session's, or else the newest that the store has.

        Raises `RequestError` where there is none.
        """
        return self.resources.latest or self.store.newest()

    def settings(self, **options: Unpack[SettingsOptions]) -> Settings:
        """Return the settings as they stand now, with the options of a call."""
        return self.resources.settings(**options)

    def status(self) -> dict[str, str]:
        """Return, in words, who would answer now and where pictures are kept."""
        return status.status(self.resources)

    def models(self, text: str = "", *, provider: str = "", size: str = "", endpoint: str = "") -> Listing:
        """Return the models with a text in id, name or provider, of a provider, that have a size.

        With a key, and unless the mode is "replay", the service is asked what it has. Servers that
        `beluga.toml` names stand below, and `endpoint` asks one of them for its own.
        """
        return status.models(self.resources, text, provider=provider, size=size, endpoint=endpoint)

    def login(self, *, keep: bool = False) -> str:
        """Ask for the key, unseen, and use it until this session ends; return its last four characters.

        With `keep` it goes into the system's keyring too, where later sessions find it. Raises
        `SettingsError` where nothing can be typed, or what was typed is no key.
        """
        return self.resources.login(keep=keep)

    def serve(self, *, port: int | None = None) -> Server:
        """Return the image API as a process of its own on this machine: the running one, or a new one.

        It ends with `stop_serving()`, and with this process. Without `port` a new one takes a free port.
        Raises `RequestError` where one runs on another port, and `BelugaError` where none can start.
        """
        return self._serving.start(self.settings(), port=port)

    def stop_serving(self) -> bool:
        """End the server that `serve()` gave; return whether one was running."""
        return self._serving.stop()

    def close(self) -> None:
        """End the server, and the threads that calls run on as soon as none is under way.

        The next call starts anew.
        """
        self.stop_serving()
        self.resources.close()
