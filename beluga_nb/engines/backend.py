"""Who answers: a session's own engine, a service or server, or the built-in painter. Decided here alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import beluga_nb.catalog as catalog
from beluga_nb.api.endpoint import Endpoint, check_known, endpoint_of, key_of
from beluga_nb.config.addresses import StoreAddress
from beluga_nb.config.keys import KeyResolver, check_service_key
from beluga_nb.config.settings import SERVICE, Settings
from beluga_nb.errors import SettingsError, UnknownNameError
from beluga_nb.hints import Hint, Remedy
from beluga_nb.redaction import Secret
from beluga_nb.request import Question, Request

LOCAL = "local"
"""The provider name of pictures from the embedded BelugAPI, as recordings have it."""

EMBEDDED_URL = "http://127.0.0.1:0/v1"
"""The address of the embedded BelugAPI, whose app is called in this process: no server can have port 0."""


@dataclass(frozen=True, kw_only=True)
class Backend:
    """Who answers a call, by the settings as they hold for its model.

    `key` is the key that would be sent, if there is one; `local_key` opens the embedded BelugAPI.
    """

    settings: Settings
    key: Secret | None = field(default=None, repr=False)
    local_key: Secret | None = field(default=None, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether the built-in painter answers."""
        return not (self.settings.named or self.settings.own_engine or self.key)

    @property
    def is_metered(self) -> bool:
        """Whether its pictures may cost something: caps count what has a key, and a user's own engine."""
        return bool(self.settings.own_engine or self.key)

    @property
    def recovers(self) -> bool:
        """Whether what lost calls have left is used.

        Previews leave nothing, nor does an engine of this process whose store is a folder. One that other
        processes can import may have left answers with them.
        """
        own = self.settings.own_engine
        if own is None:
            return not self.is_local
        return bool(own.path) or isinstance(self.settings.store, StoreAddress)

    @property
    def provider(self) -> str:
        """Its name in recordings."""
        return LOCAL if self.is_local else self.settings.provider

    @property
    def identity(self) -> tuple[str, str]:
        """What tells it from other backends: its provider name and its address."""
        return self.provider, self.settings.address

    @property
    def description(self) -> str:
        """Who it is, in words."""
        if self.settings.own_engine:
            return f"the engine {self.settings.own_engine.name}"
        if self.is_local:
            return "the built-in painter"
        try:
            return self.endpoint().base_url
        except SettingsError:  # It is reported when something is asked for.
            return self.settings.address

    def split(self, request: Request) -> Sequence[Request]:
        """Return the parts of a request that are asked for by themselves: engines and judges give one."""
        if self.settings.own_engine or isinstance(request, Question):
            return [request.slice(sample) for sample in request.samples]
        return catalog.split(request)

    def endpoint(self) -> Endpoint:
        """Where requests go, and how; raises `SettingsError` where that address or key is not to be used."""
        settings = self.settings
        if settings.named:
            return endpoint_of(settings, settings.named, self.key)
        # Elsewhere a key may have any form.
        if self.key and settings.base_url == SERVICE:
            check_service_key(self.key)
        return Endpoint(
            base_url=EMBEDDED_URL if self.is_local else settings.base_url,
            provider=self.provider,
            key=self.local_key if self.is_local else self.key,
            response_format=settings.response_format,
            extensions=self.is_local or settings.loopback,  # on this machine it may be our own server
            timeout=settings.timeout,
            connect_timeout=settings.connect_timeout,
        )

    def check_known(self, request: Request) -> None:
        """Raise `BelugaError` where the model is at a server that the user has not named, or nowhere."""
        settings, named = self.settings, self.settings.named
        # Two servers under one name would answer with each other's recordings.
        if settings.main_provider in settings.endpoints:
            other, remedy = (
                ("this session's engine", 'the engine another name: Session(engine=…, provider="my-engine")')
                if settings.own_engine
                else (f"the server at {settings.base_url}", "the endpoint another name in beluga.toml")
            )
            raise SettingsError(
                f"'{settings.main_provider}' is the name of an endpoint of beluga.toml, and of {other}.",
                f"Nothing was sent. Give {remedy}.",
            )
        if named and named.name in settings.endpoints:
            check_known(named)
        elif named and not named.known:
            raise UnknownNameError(
                "model",
                request.model,
                [model.id for model in catalog.models()],
                hint=Hint(
                    Remedy("models"),
                    " lists all models; define another server in beluga.toml"
                    f" under [endpoints.{settings.provider}].",
                ),
                param="model",
                code="model_not_found",
            )


def backend_of(
    settings: Settings, keys: KeyResolver, environ: Mapping[str, str], *, local_key: Secret
) -> Backend:
    """Return who answers with some settings; raise `SettingsError` where its key is malformed."""
    if settings.own_engine:
        key = None
    elif settings.named is None:
        key = keys()
    else:
        key = key_of(settings.named, environ) if settings.named.known else None
    return Backend(settings=settings, key=key, local_key=local_key)
