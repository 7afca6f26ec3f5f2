from __future__ import annotations

import numpy as np
import pytest
from grpc import StatusCode
from PIL import Image

from continuity.api.characters.v1.character_service_pb2 import CreateCharacterRequest, ListCharactersRequest
from continuity.api.common.v1 import shot_pb2
from continuity.api.locations.v1.location_service_pb2 import ListLocationsRequest, SaveLocationRequest
from tests.component.services.conftest import encoded
from tests.unit.security.pictures import picture, png_bomb

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLAIN = picture(256, 256)
PNG = encoded(PLAIN, "PNG")
FRAMES = [PLAIN, picture(256, 256).rotate(90)]
FLOATS = Image.fromarray(np.full((256, 256), 0.5, np.float32))

REFUSED = {
    "empty": (b"", "EMPTY_PHOTO"),
    "truncated-jpeg": (encoded(PLAIN, "JPEG")[:-400], "TRUNCATED_PHOTO"),
    "truncated-png": (PNG[: len(PNG) // 2], "TRUNCATED_PHOTO"),
    "damaged-png": (PNG[:60] + bytes([PNG[60] ^ 1]) + PNG[61:], "DAMAGED_PHOTO"),
    "no-image": (b"%PDF-1.7 dear casting agency", "UNKNOWN_PHOTO_FORMAT"),
    "gif": (encoded(PLAIN.convert("P"), "GIF"), "UNKNOWN_PHOTO_FORMAT"),
    "bomb": (png_bomb(), "PHOTO_TOO_MANY_PIXELS"),
    "tiny": (encoded(picture(20, 20), "PNG"), "PHOTO_TOO_SMALL"),
    "animated-png": (encoded(PLAIN, "PNG", save_all=True, append_images=FRAMES[1:]), "ANIMATED_PHOTO"),
    "animated-webp": (encoded(PLAIN, "WebP", save_all=True, append_images=FRAMES[1:]), "ANIMATED_PHOTO"),
    "floating-point": (encoded(FLOATS, "TIFF"), "UNSUPPORTED_PHOTO_COLOURS"),
}
TAKEN = {
    "cmyk": encoded(PLAIN.convert("CMYK"), "JPEG"),
    "16-bit": encoded(Image.fromarray(np.full((256, 256), 40_000, np.uint16)), "PNG"),
    "palette": encoded(PLAIN.convert("P"), "PNG"),
    "transparent": encoded(PLAIN.convert("RGBA"), "PNG"),
    "grey": encoded(PLAIN.convert("L"), "PNG"),
    "bmp": encoded(PLAIN, "BMP"),
    "tiff": encoded(PLAIN, "TIFF"),
    "webp": encoded(PLAIN, "WebP"),
}


@pytest.mark.parametrize("kind", REFUSED)
async def test_a_bad_photograph_is_refused_with_field_value_and_limit_and_leaves_nothing(crew, kind):
    photo, reason = REFUSED[kind]
    refusal = await crew.refused("CreateCharacter", CreateCharacterRequest(name="Ward", photo=photo, request_id="1"))
    assert (refusal.code, refusal.reason) == (StatusCode.INVALID_ARGUMENT, reason)
    assert refusal.values["field"] == "photo"
    assert refusal.values["value"]
    assert refusal.values["limit"]
    assert "photo" in refusal.message
    assert not (await crew.call("ListCharacters", ListCharactersRequest())).characters
    assert not await crew.objects()


async def test_a_refused_photograph_takes_neither_the_name_nor_the_request_id(crew):
    await crew.refused("CreateCharacter", CreateCharacterRequest(name="Ward", photo=b"", request_id="1"))
    made = await crew.create("Ward", PNG, request_id="1")
    assert {made.photo.key, made.picture.key} <= {ref.key for ref in await crew.objects()}


@pytest.mark.parametrize("kind", TAKEN)
async def test_an_unusual_photograph_is_taken(crew, house, kind):
    made = await crew.create("Ward", TAKEN[kind], keep_background=True)
    assert (made.picture_width_px, made.picture_height_px) == (256, 256)
    assert made.picture.content_type == "image/png"
    assert await house.platform.objects.get(made.photo.key) == TAKEN[kind]


async def test_more_bytes_than_allowed_are_refused_before_they_are_looked_at(crew):
    heavy = CreateCharacterRequest(name="Ward", photo=bytes(25 * 1024 * 1024 + 1))
    refusal = await crew.refused("CreateCharacter", heavy)
    assert (refusal.code, refusal.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    assert refusal.values["field"] == "photo"
    assert not await crew.objects()


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \t "}, "name"),
        ({"name": "a\x07b"}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"height_m": -1.0}, "height_m"),
        ({"height_m": 5.1}, "height_m"),
        ({"height_m": float("nan")}, "height_m"),
        ({"description": "x" * 2001}, "description"),
        ({"request_id": "x" * 129}, "request_id"),
    ],
)
async def test_a_bad_field_is_refused_by_its_name(crew, fields, field):
    refusal = await crew.refused("CreateCharacter", CreateCharacterRequest(**{"name": "Ward", "photo": PNG, **fields}))
    assert (refusal.code, refusal.reason) == (StatusCode.INVALID_ARGUMENT, "INVALID_VALUE")
    assert refusal.values["field"] == field
    assert not await crew.objects()


@pytest.mark.parametrize("kind", ["truncated-jpeg", "no-image", "bomb"])
async def test_a_location_with_a_bad_photograph_is_not_saved(crew, kind):
    photo, reason = REFUSED[kind]
    request = SaveLocationRequest(name="Pad", type=shot_pb2.LOCATION_TYPE_EXTERIOR, photo=photo)
    refusal = await crew.refused("SaveLocation", request)
    assert (refusal.code, refusal.reason) == (StatusCode.INVALID_ARGUMENT, reason)
    assert not (await crew.call("ListLocations", ListLocationsRequest())).locations
    assert not await crew.objects()
