from __future__ import annotations

import cv2
import numpy as np
import pytest

from continuity.compute.pool import CpuPool
from continuity.kernel.values import Failure
from services.vision.adapters.portrait_analyzer import PortraitAnalyzer
from services.vision.domain.analysis import UNKNOWN, CharacterAnalysisFailed, CharacterAnalyzed
from services.vision.domain.errors import PictureUnusable
from services.vision.handlers.analyze_character import AnalyzeCharacter
from tests.unit.vision.fakes import FixedAnalyzer, InMemoryAnalyses, PicturesByKey
from tests.unit.vision.test_words import ALL

FAILURE = Failure("BROKEN", "it broke")


@pytest.fixture
def analyses() -> InMemoryAnalyses:
    return InMemoryAnalyses()


@pytest.fixture
def analyze(analyses) -> AnalyzeCharacter:
    return AnalyzeCharacter(analyses, FixedAnalyzer(ALL), PicturesByKey())


async def test_a_photograph_is_answered_with_words_measurements_and_who_made_them(analyze, analyses):
    await analyze("film", "ward", 1, "Ward", "picture")
    record = await analyses.latest("film", "ward")
    assert record.analysis.observations == ALL
    assert [entry.name for entry in record.analysis.characters_roster] == ["Ward"]
    assert record.analysis.analyzer == "fake 1"
    assert analyses.events == [CharacterAnalyzed("ward", record.analysis)]


async def test_the_same_photograph_is_looked_at_once_and_answered_whenever_it_is_asked_for(analyze, analyses):
    await analyze("film", "ward", 1, "Ward", "picture")
    await analyze("film", "ward", 1, "Ward", "picture")
    await analyze.give_up("film", "ward", 1, FAILURE)
    told, told_again = analyses.events
    assert told == told_again
    assert analyze.analyzer.looks == 1


async def test_a_photograph_that_was_given_up_is_answered_again_with_the_same_reason(analyze, analyses):
    await analyze.give_up("film", "ward", 1, FAILURE)
    await analyze("film", "ward", 1, "Ward", "picture")
    assert analyses.events == 2 * [CharacterAnalysisFailed("ward", FAILURE)]


async def test_a_later_version_of_the_character_is_answered_anew(analyze, analyses):
    await analyze("film", "ward", 1, "Ward", "picture")
    await analyze.give_up("film", "ward", 3, FAILURE)
    assert analyses.events[1] == CharacterAnalysisFailed("ward", FAILURE)
    assert (await analyses.latest("film", "ward")).failure == FAILURE


async def test_a_picture_that_cannot_be_looked_at_is_not_answered_before_it_is_given_up(analyze, analyses):
    with pytest.raises(PictureUnusable):
        await analyze("film", "ward", 1, "Ward", "flat")
    assert not analyses.events


class TestTheEmbeddedAnalyzer:
    @pytest.fixture
    async def analyzer(self):
        pool = CpuPool(1, max_waiting=4, timeout_s=60)
        yield PortraitAnalyzer(pool)
        await pool.close()

    async def test_a_picture_without_anybody_has_no_face_and_no_colours_but_light(self, analyzer):
        seen = await analyzer.look(png(np.full((256, 256, 3), 128, np.uint8)))
        assert (seen.face_box, seen.people_count) == (None, 0)
        assert (seen.skin.name, seen.hair.name, seen.clothing, seen.framing) == (UNKNOWN, UNKNOWN, (), UNKNOWN)
        assert (seen.skin.confidence, seen.hair.confidence) == (0.0, 0.0)
        assert seen.light.brightness == pytest.approx(0.5, abs=0.01)

    async def test_a_picture_of_a_shape_that_nobody_has_is_refused_with_its_limit(self, analyzer):
        with pytest.raises(PictureUnusable, match=r"photo: .*1024×64 px.*at most 8 times") as refusal:
            await analyzer.look(png(np.zeros((64, 1024, 3), np.uint8)))
        assert not refusal.value.retryable


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()
