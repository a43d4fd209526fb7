"""What operators set, and what steps give `with`."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr, model_validator
from pydantic_core import PydanticCustomError

from nexus.contracts import HTML, OPERATOR, Strict

Room = Annotated[str, Field(pattern=r"^![^\s/]+$", max_length=255)]


class MatrixSettings(Strict):
    """Which server, as whom, and where to.

    Attributes:
        server: Address of the home server (operator).
        token: Access token of the account that posts; by reference (operator).
        room: The room where a step names none.
    """

    server: Annotated[str, Field(pattern=r"^https?://[^/\s]+$", json_schema_extra=OPERATOR)]
    token: SecretStr
    room: Room | None = None


class MatrixParameters(Strict):
    """What a step says.

    Attributes:
        text: The message.
        html: The same with markup, for whoever can show it.
        room: Another room than that of the settings.
        event: In `compensate`: the message to take back.
    """

    text: str = ""
    html: Annotated[str | None, Field(json_schema_extra=HTML)] = None
    room: Room | None = None
    event: str = ""

    @model_validator(mode="after")
    def _says_something(self) -> MatrixParameters:
        if not {"text", "event"} & self.model_fields_set:
            raise PydanticCustomError("missing", "It needs 'text': what is said in the room")
        return self
