"""Which font has a character, how wide it is, and how text is broken into lines.

Fonts that come with PDF know Latin-1 only. Noto Sans and FiraGO (both under the SIL Open Font License, from the wheel
`pymupdf-fonts`) are embedded for Latin, Greek, Cyrillic, Georgian, Thai, arrows and mathematics. Chinese, Japanese and Korean are
set in Adobe's standard fonts, which readers bring themselves. Nothing here joins letters or sets them from right to left, so Arabic,
Hebrew and the Indic scripts are replaced, as is whatever no font has.
"""

import importlib
import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from typing import Any, NamedTuple

__all__ = ["REPLACEMENT", "Typeface", "typeface"]

REPLACEMENT = "\ufffd"
_EMBEDDED = {
    "NotoSans": "NotoSans_Regular",
    "NotoSans-Bold": "NotoSans_Bold",
    "FiraGO": "FiraGO_Regular",
    "FiraGO-Bold": "FiraGO_Bold",
}
_REGULAR, _BOLD = ("NotoSans", "FiraGO"), ("NotoSans-Bold", "FiraGO-Bold")
_NEEDS_SHAPING = re.compile("[\u0900-\u0dff\u0e80-\u109f\u1780-\u17ff]")
_RIGHT_TO_LEFT = frozenset({"R", "AL", "AN"})
_ASIAN = (
    (re.compile("[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]"), "HYSMyeongJo-Medium"),
    (re.compile("[\u3040-\u30ff\uff66-\uff9f]"), "HeiseiMin-W3"),
    (re.compile("[\u3000-\u303f\u3400-\u9fff\uf900-\ufaff\uff01-\uff65]"), "STSong-Light"),
)
_BREAKABLE = re.compile("(?<=[\u3000-\u9fff\uac00-\ud7a3\uff00-\uffef])|(?<= )")  # Chinese and Japanese have no spaces to break at


class Glyph(NamedTuple):
    """How a character is drawn: in which font, as which character, how wide at size 1."""

    font: str
    char: str
    width: float


class Typeface:
    """Regular or bold. Remembers every character that it was asked for. Make it with `typeface`."""

    def __init__(self, fonts: tuple[str, ...]) -> None:
        self._fonts = fonts
        self._glyphs: dict[str, Glyph] = {}

    def runs(self, text: str) -> Iterator[tuple[str, str]]:
        """Yield (font, text) so that every font has its part of the text."""
        font, chars = "", list[str]()
        for glyph in map(self.glyph, text):
            if glyph.font != font and chars:
                yield font, "".join(chars)
                chars = []
            font = glyph.font
            chars.append(glyph.char)
        if chars:
            yield font, "".join(chars)

    def width(self, text: str, size: float) -> float:
        """Return the width of `text` in points."""
        glyphs = self._glyphs
        try:
            return size * sum([glyphs[char].width for char in text])
        except KeyError:
            return size * sum(self.glyph(char).width for char in text)

    def lines(self, text: str, size: float, width: float) -> list[str]:
        """Break `text` at its line ends, and where it gets wider than `width`: between words, within those that are wider."""
        if "\n" not in text and self.width(text, size) <= width:
            return [text]
        return [line for part in text.split("\n") for line in self._broken(part, size, width)]

    def glyph(self, char: str) -> Glyph:
        """Return how the character is drawn."""
        known = self._glyphs.get(char)
        if known is None:
            known = self._glyphs[char] = self._found(char) or self._found(REPLACEMENT) or Glyph(self._fonts[0], "?", 0.6)
        return known

    def _found(self, char: str) -> Glyph | None:
        if _NEEDS_SHAPING.match(char) or unicodedata.bidirectional(char) in _RIGHT_TO_LEFT:
            return None
        for name in self._fonts:
            face = _embedded(name).face
            if ord(char) in face.charToGlyph:
                return Glyph(name, char, face.charWidths[ord(char)] / 1000)
        for script, name in _ASIAN:
            if script.match(char):
                return Glyph(name, char, _asian(name).stringWidth(char, 1))
        return None

    def _broken(self, part: str, size: float, width: float) -> Iterator[str]:
        line, used = "", 0.0
        for word in _BREAKABLE.split(part):
            needed = self.width(word, size)
            if used + self.width(word.rstrip(" "), size) > width and line:
                yield line.rstrip(" ")
                line, used = "", 0.0
            if needed > width:
                *full, word = self._chopped(word, size, width)  # noqa: PLW2901 - what is left of it goes on
                yield from full
                needed = self.width(word, size)
            line, used = line + word, used + needed
        yield line.rstrip(" ")

    def _chopped(self, word: str, size: float, width: float) -> Iterator[str]:
        start, used = 0, 0.0
        for index, char in enumerate(word):
            wide = size * self.glyph(char).width
            if used + wide > width and index > start:
                yield word[start:index]
                start, used = index, 0.0
            used += wide
        yield word[start:]


@cache
def typeface(*, bold: bool = False) -> Typeface:
    """Return the one typeface of this weight; fonts are loaded at the first character that needs them."""
    return Typeface(_BOLD if bold else _REGULAR)


def clean(text: str) -> str:
    """Return `text` in composed form, without what has no picture: control characters, marks of direction and the like."""
    plain = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\t", "    "))
    if plain.isprintable():
        return plain
    return "".join(char for char in plain if char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Cs"})


@cache
def _embedded(name: str) -> Any:
    from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415
    from reportlab.pdfbase.ttfonts import TTFont  # noqa: PLC0415

    module = importlib.import_module(f"pymupdf_fonts.{_EMBEDDED[name]}")
    font = TTFont(name, BytesIO(module.fontbuffer))
    pdfmetrics.registerFont(font)
    return font


@cache
def _asian(name: str) -> Any:
    from reportlab.pdfbase import pdfmetrics  # noqa: PLC0415
    from reportlab.pdfbase.cidfonts import UnicodeCIDFont  # noqa: PLC0415

    font = UnicodeCIDFont(name)
    pdfmetrics.registerFont(font)
    return font
