"""A picture as PNG. Needs the extra `authoring`, and a font on the machine."""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Protocol, cast

from nexus.authoring.lettering import FONTS
from nexus.core.errors import NexusError

MOST_PIXELS = 60_000_000
"""A picture beyond this is drawn smaller: each pixel takes four bytes of memory."""


class NoPng(NexusError):
    """This machine cannot make a PNG; the message says what is missing."""


class _Renderer(Protocol):
    def svg_to_bytes(self, *, svg_string: str, zoom: float) -> bytes: ...


def png_of(svg: str, zoom: float = 2.0) -> bytes:
    """An SVG of ours as PNG.

    Args:
        svg: As `draw` gives it.
        zoom: Pixels of the PNG for one of the SVG; less for very large pictures.

    Raises:
        NoPng: The extra is not installed, or there is no font.
    """
    renderer = _renderer()
    if not _has_font():
        raise NoPng(
            "there is no font on this machine to draw letters with: install one, such as "
            "fonts-dejavu-core, or ask for SVG"
        )
    width, height = (float(part) for part in svg.split('viewBox="0 0 ', 1)[1].split('"')[0].split())
    bounded = min(zoom, (MOST_PIXELS / (width * height)) ** 0.5)
    return bytes(renderer.svg_to_bytes(svg_string=svg, zoom=bounded))


def _renderer() -> _Renderer:
    try:
        return cast("_Renderer", importlib.import_module("resvg_py"))
    except ModuleNotFoundError:
        raise NoPng(
            "PNG needs the extra `authoring`: pip install 'nexus[authoring]'; SVG needs nothing"
        ) from None


@lru_cache(maxsize=1)
def _has_font() -> bool:
    """Without any font a renderer leaves letters out, and says nothing."""
    blank = '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20">{}</svg>'
    letter = f'<text x="2" y="16" font-family="{FONTS}" font-size="14">M</text>'
    render = _renderer().svg_to_bytes
    return bytes(render(svg_string=blank.format(letter), zoom=1.0)) != bytes(
        render(svg_string=blank.format(""), zoom=1.0)
    )
