"""A channel for Nexus: messages to rooms of Matrix."""

from nexus_channel_matrix.channel import MatrixChannel
from nexus_channel_matrix.models import MatrixParameters, MatrixSettings

__all__ = ["MatrixChannel", "MatrixParameters", "MatrixSettings"]
