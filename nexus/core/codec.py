"""The state as bytes: what continue-as-new carries over, compressed (R28)."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from datetime import datetime

import msgspec
from msgspec import Struct, field

from nexus.core.errors import Rejected
from nexus.core.state import State

MOST_BYTES = 1_572_864  # 1.5 MiB, compressed (R28)
# What continue-as-new carries may be 2 MiB in all: 1.75 for state and definition, the rest for ids.
MOST_CARRIED = 1_835_008
LEVEL = 6  # of zlib: the same bytes for the same state under one version of the library

_encoder = msgspec.json.Encoder()


class Carried(Struct, frozen=True):
    """What one run of an instance hands to the next.

    Attributes:
        state: The instance as it stands.
        recent: Ids of the commands taken lately, with their times: a repeat of
            one applies once, in whichever run it arrives.
        shell: What the shell itself wants back, the definition's text for one.
    """

    state: State
    recent: Mapping[str, datetime] = field(default_factory=dict)
    shell: Mapping[str, object] = field(default_factory=dict)


_decoder = msgspec.json.Decoder(Carried)


def encode_carried(carried: Carried) -> bytes:
    """What is carried over, as compressed JSON."""
    return zlib.compress(_encoder.encode(carried), LEVEL)


def decode_carried(data: bytes) -> Carried:
    """What `encode_carried` wrote.

    Raises:
        ValueError: The bytes are none.
    """
    try:
        return _decoder.decode(zlib.decompress(data))
    except (zlib.error, msgspec.MsgspecError) as error:
        raise ValueError(f"not a carried state: {error}") from error


def size_of(state: State) -> int:
    """Bytes of the state as JSON, uncompressed."""
    return len(_encoder.encode(state))


def require_room(state: State, beside: int = 0) -> None:
    """Refuse a state that would not fit when it is carried over.

    Args:
        state: The instance as it would stand.
        beside: Bytes of what is carried with it: its definition.

    Raises:
        Rejected: `too_large`.
    """
    most = min(MOST_BYTES, MOST_CARRIED - beside)
    encoded = _encoder.encode(state)
    if len(encoded) > most and len(zlib.compress(encoded, LEVEL)) > most:
        raise Rejected(
            "too_large",
            f"The instance would grow beyond {most / 1_048_576:.3g} MiB; nothing was changed.",
        )
