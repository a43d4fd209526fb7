"""Making calls: settings found, secrets resolved, templates rendered, the channel asked."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pydantic import BaseModel, ValidationError

from nexus.channels import models
from nexus.channels.operator_settings import OperatorSettings, SecretMissing, references, resolve
from nexus.channels.rendering import is_template, render
from nexus.channels.secrecy import answer_without, without
from nexus.contracts import Channel, ChannelCall, ChannelError
from nexus.core.calls import CallRequest
from nexus.core.channel_kinds import Finding
from nexus.core.errors import nearest

_log = logging.getLogger("nexus.channels")


@dataclass(frozen=True, slots=True)
class SeenChannels:
    """The channels as a tenant's definitions see them: a `nexus.core.channel_kinds.ChannelKinds`.

    What other tenants call theirs is nobody's business.
    """

    kinds: Mapping[str, Channel[Any, Any]]
    operator: OperatorSettings
    tenant: str | None

    def names(self) -> Sequence[str]:
        """Every kind of channel, and every name of the operator's settings."""
        return tuple(dict.fromkeys((*self.kinds, *self.operator.names(self.tenant))))

    def kind_of(self, name: str) -> str | None:
        """The kind that a name stands for; None where nobody knows it."""
        kind = self.operator.kind_of(name, self.tenant) or name
        return kind if kind in self.kinds else None

    def check_settings(self, kind: str, settings: Mapping[str, object]) -> Sequence[Finding]:
        """What is wrong in a definition's settings of this kind."""
        channel = self.kinds.get(kind)
        if channel is None:
            return ()
        given = {key: value for key, value in settings.items() if key != "channel"}
        return models.check_settings(channel.Settings, given)

    def check_given(self, kind: str, given: Mapping[str, object]) -> Sequence[Finding]:
        """What is wrong in a step's `with`; what templates make of it is not known yet."""
        channel = self.kinds.get(kind)
        return () if channel is None else models.check_given(channel.Parameters, given)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a call would say.

    Attributes:
        kind: The kind of channel; None where it is not installed here.
        content: The step's `with`, rendered; as it is where that cannot be done.
        fault: Why the channel would refuse it, whatever is at the other end; None if it would not.
    """

    kind: str | None
    content: Mapping[str, object]
    fault: ChannelError | None = None


class Channels:
    """The channels that are installed, with the operator's settings.

    Args:
        kinds: By name.
        operator: What the operator's file says.
    """

    def __init__(
        self, kinds: Mapping[str, Channel[Any, Any]], operator: OperatorSettings | None = None
    ) -> None:
        self._kinds = dict(kinds)
        self._operator = operator or OperatorSettings()

    def seen_by(self, tenant: str | None) -> SeenChannels:
        """What the checker of a definition asks, for a tenant's; None for one of all tenants."""
        return SeenChannels(self._kinds, self._operator, tenant)

    # --- calls ------------------------------------------------------------------------------

    async def call(
        self,
        request: CallRequest,
        *,
        attempt: int,
        timeout: timedelta,  # noqa: ASYNC109 - a fact for the channel; whoever calls enforces it
    ) -> object:
        """Make one try of a call.

        Args:
            request: What is to be done.
            attempt: From 1.
            timeout: How long it may take.

        Returns:
            What the channel answered, without the secrets that it was given.

        Raises:
            ChannelError: It did not succeed. No secret is in it.
        """
        seen = self.seen_by(request.tenant)
        own = request.settings.get("channel")
        kind = seen.kind_of(own if isinstance(own, str) else request.channel)
        if kind is None:
            raise _unknown(request.channel, seen.names())
        channel = self._kinds[kind]
        secrets: list[str] = []
        try:
            settings, own_secrets = self._settings(channel, request, secrets)
            parameters = self._parameters(channel, request)
            call = ChannelCall(
                request=request,
                settings=settings,
                parameters=parameters,
                attempt=attempt,
                timeout=timeout,
            )
            undo = request.operation == "compensate"
            answer = await (channel.compensate(call) if undo else channel.execute(call))
            return answer_without(own_secrets, answer)
        except ChannelError as error:
            raise ChannelError(
                error.code,
                without(secrets, error.message),
                retryable=error.retryable,
                retry_after=error.retry_after,
            ) from None
        except TimeoutError:
            raise
        except Exception as error:  # noqa: BLE001 - plugins are strangers
            # Whatever a plugin's exception says may hold a secret: only where it broke is logged.
            frames = "".join(traceback.format_tb(error.__traceback__))
            _log.error("%s broke with %s:\n%s", channel.name, type(error).__name__, frames)
            raise ChannelError(
                "channel_error", f"{channel.name!r} broke with {type(error).__name__}."
            ) from None

    def preview(self, request: CallRequest) -> Preview:
        """What a call would say. Nothing is sent; settings and secrets are not looked at."""
        own = request.settings.get("channel")
        name = own if isinstance(own, str) else request.channel
        kind = self.seen_by(request.tenant).kind_of(name)
        channel = None if kind is None else self._kinds[kind]
        html = () if channel is None else models.html_keys(channel.Parameters)
        try:
            content = render(request.given, request.scope, html)
        except ChannelError as error:
            return Preview(kind, request.given, error)
        if channel is None:
            return Preview(kind, content)
        try:
            channel.check(_validated(channel, request, content))
        except ChannelError as error:
            return Preview(kind, content, error)
        return Preview(kind, content)

    async def close(self) -> None:
        """Close all channels; no calls come any more."""
        for channel in self._kinds.values():
            await channel.close()

    # --- parts ------------------------------------------------------------------------------

    def _settings(
        self, channel: Channel[Any, Any], request: CallRequest, secrets: list[str]
    ) -> tuple[BaseModel, list[str]]:
        """The settings of a call, from the weakest to the strongest.

        With them what references led to where the model says that it is secret. `secrets` is
        given what they led to anywhere, so that it is known also if all else fails.
        """
        own = {key: value for key, value in request.settings.items() if key != "channel"}
        refused = models.not_for_definitions(channel.Settings, own)
        if refused:
            raise ChannelError("not_for_definitions", refused[0].message, retryable=False)
        base = request.settings.get("channel")
        # A definition's name that builds on one of the operator's has the settings of that alone:
        # else it could pair the token of one with the hosts of another.
        named = base if isinstance(base, str) and base != channel.name else request.channel
        merged: dict[str, object] = {}
        for name in dict.fromkeys((channel.name, named)):
            merged |= models.by_field(channel.Settings, self._operator.of(request.tenant, name))
        merged.pop("channel", None)
        try:
            secrets += [str(resolve(one)) for one in references(merged)]
            hidden = {key: merged.get(key) for key in models.secret_fields(channel.Settings)}
            own_secrets = [str(resolve(one)) for one in references(hidden)]
            secrets += _texts(hidden)  # those that stand in the file itself, against all advice
            resolved = {key: resolve(value) for key, value in merged.items()}
            given = {**resolved, **models.by_field(channel.Settings, own)}
            context = {"operator": resolved}
            return channel.Settings.model_validate(given, context=context), own_secrets
        except SecretMissing as error:
            raise _not_configured(request, str(error)) from None
        except ValidationError as error:
            why = without(secrets, models.told(error))
            raise _not_configured(request, why) from None

    def _parameters(self, channel: Channel[Any, Any], request: CallRequest) -> BaseModel:
        html = models.html_keys(channel.Parameters)
        return _validated(channel, request, render(request.given, request.scope, html))


def _validated(
    channel: Channel[Any, Any], request: CallRequest, rendered: Mapping[str, object]
) -> BaseModel:
    try:
        parameters: BaseModel = channel.Parameters.model_validate(rendered)
    except ValidationError as error:
        missing = [
            key for key, text in request.given.items() if _came_out_empty(rendered, key, text)
        ]
        hint = f" ({', '.join(missing)} came out empty)" if missing else ""
        raise ChannelError(
            "invalid_parameters", f"with: {models.told(error)}{hint}.", retryable=False
        ) from None
    return parameters


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list | tuple):
        return [text for item in value for text in _texts(item)]
    return []


def _unknown(name: str, names: Sequence[str]) -> ChannelError:
    near = nearest(name, names)
    hint = f" Did you mean {near!r}?" if near else ""
    return ChannelError(
        "unknown_channel",
        f"No channel {name!r} is installed.{hint} There are: {', '.join(names)}.",
        retryable=False,
    )


def _came_out_empty(rendered: Mapping[str, object], key: str, given: object) -> bool:
    return is_template(given) and rendered.get(key) in ("", None)


def _not_configured(request: CallRequest, why: str) -> ChannelError:
    return ChannelError(
        "not_configured",
        f"The channel {request.channel!r} is not set up for the tenant {request.tenant!r}: {why}.",
        retryable=False,
    )
