from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from continuity.client.contact_sheet import ACCENT, BACKGROUND, FRAME, Panel, Section, contact_sheet
from continuity.client.typeface import Typeface, fitted, wrapped

RED = (200, 20, 30)


def panel(number: int, picture: Path | None = None, description: str = "She turns.") -> Panel:
    missing = {} if picture else {"missing": "failed", "reason": "the renderer gave up"}
    return Panel(f"1–{number}", "close up", "low angle", 2.5, description, picture, **missing)


def pixels_of(sheet: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(sheet) == colour).all(axis=2).sum())


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    path = tmp_path / "frame.png"
    Image.new("RGB", (640, 360), RED).save(path)
    return path


def test_every_picture_is_on_the_sheet(picture: Path) -> None:
    one = contact_sheet("Film", [Section("Scene 1", "Pad", (panel(1, picture),))])
    several = contact_sheet("Film", [Section("Scene 1", "Pad", tuple(panel(n, picture) for n in (1, 2, 3)))])
    assert pixels_of(several, RED) == 3 * pixels_of(one, RED) > 0


def test_a_shot_without_a_picture_is_an_empty_frame_that_says_why(picture: Path) -> None:
    sheet = contact_sheet("Film", [Section("Scene 1", "Pad", (panel(1),))])
    assert pixels_of(sheet, FRAME) > 100_000
    silent = contact_sheet("Film", [Section("Scene 1", "Pad", (Panel("1–1", "close up", "low", 2, "She.", None),))])
    assert pixels_of(sheet, ACCENT) > pixels_of(silent, ACCENT)


def test_a_picture_keeps_its_ratio(tmp_path: Path) -> None:
    path = tmp_path / "wide.png"
    Image.new("RGB", (956, 400), RED).save(path)
    red = (np.asarray(contact_sheet("Film", [Section("Scene 1", "", (panel(1, path),))])) == RED).all(axis=2)
    assert red.any(axis=0).sum() / red.any(axis=1).sum() == pytest.approx(2.39, abs=0.01)


@pytest.mark.parametrize("count", [1, 2, 5, 12, 60])
def test_the_sheet_stays_of_a_size_that_can_be_looked_at(count: int, picture: Path) -> None:
    sheet = contact_sheet("Film", [Section("Scene 1", "Pad", tuple(panel(n, picture) for n in range(count)))])
    assert sheet.width <= 2900
    assert sheet.width * sheet.height < 20_000_000


def test_many_shots_are_on_the_sheet_scene_by_scene(picture: Path) -> None:
    sections = [Section(f"Scene {scene}", "Pad", tuple(panel(n, picture) for n in range(7))) for scene in range(9)]
    sheet = np.asarray(contact_sheet("Film", sections))
    rows = (sheet == RED).all(axis=2).any(axis=1)
    assert np.diff(np.flatnonzero(rows)).max() > 1
    assert int((np.diff(rows.astype(int)) == 1).sum()) >= len(sections)


def test_a_film_without_shots_has_a_sheet_with_its_title() -> None:
    sheet = contact_sheet("Film", [])
    assert 0 < pixels_of(sheet, BACKGROUND) < sheet.width * sheet.height


@pytest.mark.parametrize("text", ["né à l’aube", "Žižkov – “¾″ × 2·3…”", "Лучи", "Ἠώς"])
def test_the_typeface_has_the_letters_of_europe(text: str) -> None:
    font = Typeface("Regular", 20).font
    unknown = bytes(font.getmask("\U0010ffff"))
    assert [letter for letter in text if bytes(font.getmask(letter)) == unknown] == []


def test_a_long_text_is_cut_with_an_ellipsis() -> None:
    typeface = Typeface("Regular", 20)
    cut = fitted("a very long description of a shot", typeface, 100)
    assert cut.endswith("…")
    assert typeface.width(cut) <= 100
    assert fitted("short", typeface, 100) == "short"


def test_text_is_broken_at_spaces_into_the_lines_there_are() -> None:
    typeface = Typeface("Regular", 20)
    lines = wrapped("one two three four five six seven eight", typeface, 100, lines=2)
    assert len(lines) == 2
    assert lines[0] in "one two three four five six seven eight"
    assert all(typeface.width(line) <= 100 for line in lines)
    assert wrapped("", typeface, 100, lines=2) == []


def test_a_word_wider_than_the_line_is_cut() -> None:
    typeface = Typeface("Regular", 20)
    assert all(typeface.width(line) <= 60 for line in wrapped("Donaudampfschifffahrt now", typeface, 60, lines=2))
