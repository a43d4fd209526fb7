"""How wide a text is, without asking any font.

The widths are those of DejaVu Sans, which Verdana shares; other fonts that a
viewer may have instead are narrower, so a text never leaves its box.
"""

from __future__ import annotations

import unicodedata

FONTS = (
    "DejaVu Sans, Verdana, Geneva, Noto Sans, Liberation Sans, Helvetica, Arial, Segoe UI, "
    "sans-serif"
)
"""By name, since not every renderer knows what a machine's sans-serif is."""

# Of the characters from space to tilde, in hundredths of the font's size.
_PLAIN = (
    *(32, 40, 46, 84, 64, 95, 78, 27, 39, 39, 50, 84, 32, 36, 32, 34, 64, 64, 64, 64, 64, 64, 64),
    *(64, 64, 64, 34, 34, 84, 84, 84, 53, 100, 68, 69, 70, 77, 63, 58, 77, 75, 29, 29, 66, 56, 86),
    *(75, 79, 60, 79, 69, 63, 61, 73, 68, 99, 69, 61, 69, 39, 34, 39, 84, 50, 50, 61, 63, 55, 63),
    *(62, 35, 63, 63, 28, 28, 58, 28, 97, 63, 61, 63, 63, 41, 52, 39, 63, 59, 82, 59, 59, 52, 64),
    *(34, 64, 84),
)
_BOLDER = 1.13  # bold is that much wider, on the average of real labels
_OTHER = 66  # other letters of alphabets
_WIDE = 104  # ideographs


def width_of(text: str, size: float, *, bold: bool = False) -> float:
    """Width of a text in pixels, rather too much than too little.

    Args:
        text: One line.
        size: Of the font, in pixels.
        bold: Whether it is set in bold.
    """
    hundredths = sum(map(_width, text))
    return hundredths * size / 100 * (_BOLDER if bold else 1)


def _width(char: str) -> int:
    if " " <= char <= "~":
        return _PLAIN[ord(char) - 32]
    if unicodedata.combining(char):
        return 0
    return _WIDE if unicodedata.east_asian_width(char) in "WF" else _OTHER
