from __future__ import annotations

import cv2
import numpy as np
import pytest

from continuity.compute.pool import CpuPool
from continuity.kernel.values import Failure, ObjectRef
from services.matting.adapters.portrait_matter import PortraitMatter
from services.matting.domain.errors import NoFigureFound
from services.matting.domain.matte import CharacterMatted, CharacterMattingFailed
from services.matting.handlers.matte_character import MatteCharacter
from tests.unit.matting.fakes import InMemoryMattes, PicturesByKey, PrefixMatter

PICTURE = ObjectRef("picture", "22", 3, "image/png")
FLAT = ObjectRef("flat", "22", 3, "image/png")
FAILURE = Failure("NO_FIGURE_FOUND", "photo: it is flat", {"cause": "it is flat"})


class Service:
    def __init__(self) -> None:
        self.mattes = InMemoryMattes()
        self.pictures = PicturesByKey()
        self.matte = MatteCharacter(self.mattes, PrefixMatter(), self.pictures)


async def test_the_figure_is_cut_out_stored_and_told():
    service = Service()
    await service.matte("film", "ward", 1, PICTURE, keep_background=False)
    (event,) = service.mattes.events
    assert event == CharacterMatted("ward", event.matte, background_kept=False)
    assert service.pictures.stored == [b"figure of picture"]
    assert (await service.mattes.latest("film", "ward")).matte == event.matte


async def test_a_background_that_is_to_be_kept_is_not_even_looked_at():
    service = Service()
    await service.matte("film", "ward", 1, FLAT, keep_background=True)
    assert service.mattes.events == [CharacterMatted("ward", FLAT, background_kept=True)]
    assert not service.pictures.stored
    record = await service.mattes.latest("film", "ward")
    assert (record.matte, record.failure) == (None, None)


async def test_a_picture_without_a_figure_is_given_up_with_the_reason():
    service = Service()
    with pytest.raises(NoFigureFound) as refusal:
        await service.matte("film", "ward", 1, FLAT, keep_background=False)
    await service.matte.give_up("film", "ward", 1, Failure.of(refusal.value))
    assert service.mattes.events == [CharacterMattingFailed("ward", FAILURE)]


@pytest.mark.parametrize("keep_background", [False, True], ids=["cut-out", "kept"])
async def test_the_same_photograph_is_cut_out_once_and_answered_whenever_it_is_asked_for(keep_background):
    service = Service()
    for _ in range(2):
        await service.matte("film", "ward", 1, PICTURE, keep_background=keep_background)
    await service.matte.give_up("film", "ward", 1, FAILURE)
    told, told_again = service.mattes.events
    assert told == told_again
    assert len(service.pictures.stored) == (0 if keep_background else 1)


async def test_a_photograph_that_was_given_up_is_answered_again_with_the_same_reason():
    service = Service()
    await service.matte.give_up("film", "ward", 1, FAILURE)
    await service.matte("film", "ward", 1, PICTURE, keep_background=False)
    assert service.mattes.events == 2 * [CharacterMattingFailed("ward", FAILURE)]


async def test_a_later_version_is_answered_anew():
    service = Service()
    await service.matte("film", "ward", 1, PICTURE, keep_background=False)
    await service.matte.give_up("film", "ward", 3, FAILURE)
    assert (await service.mattes.latest("film", "ward")).failure == FAILURE


async def test_the_embedded_matter_finds_nobody_in_a_flat_picture_and_says_so():
    pool = CpuPool(1, max_waiting=4, timeout_s=60)
    flat = cv2.imencode(".png", np.full((256, 256, 3), 128, np.uint8))[1].tobytes()
    try:
        with pytest.raises(NoFigureFound, match="no figure stands out"):
            await PortraitMatter(pool).cut_out(flat)
    finally:
        await pool.close()
