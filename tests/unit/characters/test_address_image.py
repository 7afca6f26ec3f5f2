"""Which picture's address a character is given out with."""

from __future__ import annotations

import pytest

from services.characters.domain.character import Character
from services.characters.handlers.address_image import AddressImage
from tests.unit.characters.fakes import MATTE, PICTURE, InMemoryPictures, character, ready_character


@pytest.mark.parametrize(("who", "key"), [(character(), PICTURE.key), (ready_character(), MATTE.key)])
def test_the_image_is_the_figure_and_the_photograph_until_there_is_one(who: Character, key: str) -> None:
    assert AddressImage(InMemoryPictures())(who) == f"https://cdn.example.org/{key}"
