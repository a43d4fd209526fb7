"""What a plugin implements. `docs/plugins.md` walks through one.

    class Sms(Channel[SmsSettings, SmsParameters]):
        name = "sms"
        Settings = SmsSettings
        Parameters = SmsParameters

        async def execute(self, call):
            ...

A package names its class under the entry point group `nexus.channels`, and steps
say `{"channel": "sms", "with": {…}}`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar, Final, Generic, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from nexus.core.calls import CallRequest

ENTRY_POINTS = "nexus.channels"

OPERATOR: Final = {"operator": True}
"""`Field(json_schema_extra=OPERATOR)`: a setting of the operator's alone, which no definition may
give: where a channel connects to, and as whom. Fields of type `SecretStr` need no mark."""

HTML: Final = {"html": True}
"""`Field(json_schema_extra=HTML)`: a parameter that is HTML: what templates put in is escaped."""


class ChannelError(Exception):
    """A call did not succeed.

    Attributes:
        code: Stable word, such as `unreachable`; the code of the incident.
        message: What a person should read; never a secret.
        retryable: Another try may succeed; else this was the last one.
        retry_after: How long to wait before it; None leaves that to the step's `retry`.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        retryable: bool = True,
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.retryable = retryable
        self.retry_after = retry_after


class Strict(BaseModel):
    """Base of settings and parameters: unknown keys are refused, nothing changes afterwards.

    A field `reply_to` is written `replyTo`, as the other keys of definitions are; `reply_to` will
    do. A number that stands where a text belongs becomes one, since templates put in numbers.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )


S = TypeVar("S", bound=BaseModel)
P = TypeVar("P", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelCall(Generic[S, P]):
    """One try of one call.

    Attributes:
        request: All that the instance says.
        settings: What applies to this tenant and name, secrets resolved.
        parameters: The step's `with`, rendered and checked.
        attempt: From 1; a retry of an incident begins anew.
        timeout: How long this try may take.
    """

    request: CallRequest
    settings: S
    parameters: P
    attempt: int
    timeout: timedelta

    @property
    def key(self) -> str:
        """The idempotency key: the same at every attempt, and of no other call."""
        return self.request.key


class Channel(ABC, Generic[S, P]):
    """One way to reach the world. One object serves all calls, concurrently, in one event loop.

    Attributes:
        name: Its kind: what `"channel"` says in definitions and settings.
        Settings: What operators (and, but for `OPERATOR` fields, definitions) set. Validators find
            what the operator gave, by field, in `info.context["operator"]`.
        Parameters: What a step gives `with`, once rendered.
    """

    name: ClassVar[str]
    Settings: ClassVar[type[BaseModel]]
    Parameters: ClassVar[type[BaseModel]]

    @abstractmethod
    async def execute(self, call: ChannelCall[S, P]) -> object:
        """Make the call.

        It may be repeated with the same key, if the answer was lost: whoever is
        reached has to be told the key, or it has to do no harm twice.

        Returns:
            JSON, which later steps see as `steps.<name>.response`.

        Raises:
            ChannelError: It did not succeed. Any other exception is taken for a
                failure that another try may heal.
        """

    async def compensate(self, call: ChannelCall[S, P]) -> object:  # noqa: ARG002 - others need it
        """Undo what a call did; `call.parameters` are those of `compensate`.

        Raises:
            ChannelError: As for `execute`.
        """
        raise ChannelError("not_undoable", f"{type(self).name!r} undoes nothing.", retryable=False)

    def check(self, parameters: P) -> None:
        """Refuse what could never be sent, whatever is at the other end. The simulator asks this.

        Raises:
            ChannelError: `execute` would refuse these parameters as well.
        """

    async def close(self) -> None:
        """Close what is open; no calls come any more."""
