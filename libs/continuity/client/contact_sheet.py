"""A contact sheet: every shot of a film on one picture, in reading order, scene by scene."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageOps

from continuity.client.typeface import Typeface, fitted, wrapped

# A grading room: neutral greys, so that nothing but the pictures has colour, and one accent.
BACKGROUND = (30, 30, 31)
FRAME = (42, 42, 44)
RULE = (62, 62, 64)
BRIGHT = (226, 226, 224)
PLAIN = (176, 176, 175)
DIM = (128, 128, 128)
ACCENT = (226, 164, 88)

FALLBACK_RATIO = 16 / 9
MAX_COLUMNS = 16
MAX_PANEL_PX, SHEET_PX = 640, 2560


@dataclass(frozen=True)
class Panel:
    """One shot. Without a ``picture`` the frame stays empty and says ``missing`` and ``reason``."""

    label: str
    shot_type: str
    camera: str
    duration_s: float | None
    description: str
    picture: Path | None
    missing: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Section:
    """The shots of one scene."""

    heading: str
    place: str
    panels: tuple[Panel, ...]


def contact_sheet(title: str, sections: Sequence[Section]) -> Image.Image:
    """Return the sheet as an 8-bit RGB picture, about ``SHEET_PX`` wide; panels shrink as shots grow in number."""
    layout = _Layout.of(sections)
    sheet = Image.new("RGB", (layout.width, layout.height(sections)), BACKGROUND)
    pen = _Pen(sheet, layout)
    top = pen.header(title, sections)
    for section in sections:
        top = pen.section(section, top)
    return sheet


@dataclass(frozen=True)
class _Layout:
    """Sizes in pixels; all of them follow from the panel's width and the frame's ratio."""

    columns: int
    panel: int
    ratio: float

    @classmethod
    def of(cls, sections: Sequence[Section]) -> _Layout:
        columns = _columns([len(section.panels) for section in sections])
        panel = min(SHEET_PX // columns, MAX_PANEL_PX)
        return cls(columns, panel, _ratio(sections))

    @property
    def text(self) -> int:
        """Size of the captions."""
        return max(12, round(self.panel / 25))

    @property
    def line(self) -> int:
        return round(self.text * 1.4)

    @property
    def gap(self) -> int:
        return max(14, self.panel // 18)

    @property
    def margin(self) -> int:
        return self.gap * 2

    @property
    def picture(self) -> int:
        return round(self.panel / self.ratio)

    @property
    def row(self) -> int:
        """A picture, its caption of four lines, and the space below."""
        return self.picture + round(self.line * 4.4) + self.gap

    @property
    def header(self) -> int:
        return self.margin + self.line * 4

    @property
    def heading(self) -> int:
        return round(self.line * 2.2)

    @property
    def width(self) -> int:
        return self.columns * (self.panel + self.gap) - self.gap + 2 * self.margin

    def rows(self, section: Section) -> int:
        return math.ceil(len(section.panels) / self.columns)

    def height(self, sections: Sequence[Section]) -> int:
        inside = sum(self.heading + self.rows(section) * self.row + self.gap for section in sections)
        return self.header + inside + self.margin - self.gap


class _Pen:
    def __init__(self, sheet: Image.Image, layout: _Layout) -> None:
        self._sheet = sheet
        self._draw = ImageDraw.Draw(sheet)
        self._layout = layout
        self._plain = Typeface("Regular", layout.text)
        self._strong = Typeface("Semibold", layout.text)
        self._title = Typeface("Semibold", layout.text * 2)

    def header(self, title: str, sections: Sequence[Section]) -> int:
        layout = self._layout
        count = _counted(sections)
        room = layout.width - 2 * layout.margin
        top = layout.margin
        self._write((layout.margin, top), fitted(title, self._title, room), self._title, BRIGHT)
        self._write((layout.margin, top + round(layout.line * 1.9)), count, self._plain, DIM)
        return layout.header

    def section(self, section: Section, top: int) -> int:
        layout = self._layout
        left, right = layout.margin, layout.width - layout.margin
        self._draw.line([(left, top), (right, top)], fill=RULE)
        baseline = top + round(layout.line * 0.55)
        self._write((left, baseline), section.heading, self._strong, ACCENT)
        indent = left + round(self._strong.width(section.heading)) + layout.text
        self._write((indent, baseline), fitted(section.place, self._plain, right - indent), self._plain, PLAIN)
        first = top + layout.heading
        for index, panel in enumerate(section.panels):
            row, column = divmod(index, layout.columns)
            self._panel(panel, left + column * (layout.panel + layout.gap), first + row * layout.row)
        return first + layout.rows(section) * layout.row + layout.gap

    def _panel(self, panel: Panel, left: int, top: int) -> None:
        layout = self._layout
        self._picture(panel, left, top)
        first = top + layout.picture + round(layout.line * 0.4)
        lasts = f"{panel.duration_s:g} s" if panel.duration_s else ""
        right = left + layout.panel
        self._write((left, first), panel.label, self._strong, ACCENT)
        indent = left + round(self._strong.width(panel.label)) + round(layout.text * 0.8)
        room = right - indent - round(self._plain.width(lasts)) - layout.text
        self._write((indent, first), fitted(panel.shot_type, self._strong, room), self._strong, BRIGHT)
        self._write((right - round(self._plain.width(lasts)), first), lasts, self._plain, PLAIN)
        second = first + layout.line
        self._write((left, second), fitted(panel.camera, self._plain, layout.panel), self._plain, DIM)
        for number, line in enumerate(wrapped(panel.description, self._plain, layout.panel, lines=2), start=1):
            self._write((left, second + number * layout.line), line, self._plain, PLAIN)

    def _picture(self, panel: Panel, left: int, top: int) -> None:
        layout = self._layout
        box = (left, top, left + layout.panel - 1, top + layout.picture - 1)
        if panel.picture is None:
            self._empty(panel, box)
            return
        with Image.open(panel.picture) as opened:
            size = (layout.panel, layout.picture)
            picture = ImageOps.contain(opened.convert("RGB"), size, Image.Resampling.LANCZOS)
        offset = (left + (layout.panel - picture.width) // 2, top + (layout.picture - picture.height) // 2)
        self._sheet.paste(picture, offset)

    def _empty(self, panel: Panel, box: tuple[int, int, int, int]) -> None:
        layout = self._layout
        self._draw.rectangle(box, fill=FRAME, outline=RULE)
        lines = [(panel.missing.upper(), self._strong, ACCENT)]
        room = layout.panel - 2 * layout.gap
        lines += [(line, self._plain, PLAIN) for line in wrapped(panel.reason, self._plain, room, lines=3)]
        top = box[1] + (layout.picture - len(lines) * layout.line) // 2
        for number, (text, typeface, colour) in enumerate(lines):
            left = box[0] + (layout.panel - round(typeface.width(text))) // 2
            self._write((left, top + number * layout.line), text, typeface, colour)

    def _write(self, place: tuple[int, int], text: str, typeface: Typeface, colour: tuple[int, int, int]) -> None:
        self._draw.text(place, text, font=typeface.font, fill=colour)


def _columns(counts: Sequence[int]) -> int:
    """Return the number of columns, near the root of all, that leaves the fewest empty places in the scenes' rows."""
    most = min(max(counts, default=1), MAX_COLUMNS)
    near = min(math.ceil(math.sqrt(sum(counts))), most)
    candidates = range(near - near // 4, min(near + 1, most) + 1)
    return min(candidates, key=lambda columns: (sum(-count % columns for count in counts), -columns))


def _ratio(sections: Sequence[Section]) -> float:
    """Width by height of the first picture there is; a film has one ratio."""
    first = next((panel.picture for section in sections for panel in section.panels if panel.picture), None)
    if first is None:
        return FALLBACK_RATIO
    with Image.open(first) as opened:
        return opened.width / opened.height


def _counted(sections: Sequence[Section]) -> str:
    panels = [panel for section in sections for panel in section.panels]
    seconds = sum(panel.duration_s or 0 for panel in panels)
    counts = [_several(len(sections), "scene"), _several(len(panels), "shot")]
    if seconds:
        counts.append(f"{int(seconds // 60)}:{round(seconds % 60):02} min")
    return "  ·  ".join(counts)


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
