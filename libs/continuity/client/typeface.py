"""Source Sans Pro (SIL Open Font License), measured and broken into lines."""

from __future__ import annotations

from importlib import resources

from PIL import ImageFont

_ELLIPSIS = "…"


class Typeface:
    """One weight at one size; ``weight`` is as in the font's file names."""

    def __init__(self, weight: str, size_px: int) -> None:
        file = resources.files("font_source_sans_pro") / "files" / f"SourceSansPro-{weight}.ttf"
        with resources.as_file(file) as path:
            self.font = ImageFont.truetype(str(path), size_px)

    def width(self, text: str) -> float:
        """Return the width of one line in pixels."""
        return self.font.getlength(text)


def fitted(text: str, typeface: Typeface, width_px: float) -> str:
    """Return the text, cut with an ellipsis where it is wider."""
    text = " ".join(text.split())
    if typeface.width(text) <= width_px:
        return text
    keep = _longest(text, typeface, width_px - typeface.width(_ELLIPSIS))
    return text[:keep].rstrip() + _ELLIPSIS


def wrapped(text: str, typeface: Typeface, width_px: float, *, lines: int) -> list[str]:
    """Return the text broken at spaces into at most so many lines; the last is cut where more would follow."""
    words = text.split()
    made: list[str] = []
    while words and len(made) < lines - 1:
        count = max(1, _count(words, typeface, width_px))
        made.append(fitted(" ".join(words[:count]), typeface, width_px))
        words = words[count:]
    return [*made, fitted(" ".join(words), typeface, width_px)] if words else made


def _count(words: list[str], typeface: Typeface, width_px: float) -> int:
    """Return how many of the words fit on one line."""
    count = 0
    while count < len(words) and typeface.width(" ".join(words[: count + 1])) <= width_px:
        count += 1
    return count


def _longest(text: str, typeface: Typeface, width_px: float) -> int:
    """Return the length of the longest beginning that is not wider."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if typeface.width(text[:middle]) <= width_px else (low, middle - 1)
    return low
