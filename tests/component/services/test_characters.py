from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import grpc
import pytest
from PIL import Image

from continuity.api.characters.v1 import character_pb2 as pb
from continuity.api.characters.v1.character_service_pb2 import (
    CreateCharacterRequest,
    DeleteCharacterRequest,
    GetCharacterRequest,
    WatchCharacterRequest,
)
from continuity.api.matting.v1.matting_service_pb2 import GetMatteRequest
from continuity.api.vision.v1.vision_service_pb2 import GetAnalysisRequest
from services.characters.adapters.stored_characters import CHARACTERS
from services.characters.domain.character import INGESTED
from tests.component.services.conftest import PHOTOGRAPHS, encoded

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_photograph_becomes_a_character_with_analysis_and_matte(crew, house, hopper):
    made = await crew.create("Grace Hopper", hopper, height_m=1.62, description="rear admiral")
    assert (made.state, made.version) == (pb.CHARACTER_STATE_INGESTED, 1)
    ready = (await crew.stream("WatchCharacter", WatchCharacterRequest(id=made.id)))[-1].character
    assert (ready.id, ready.state, ready.version) == (made.id, pb.CHARACTER_STATE_READY, 3)
    assert (ready.height_m, ready.description) == (1.62, "rear admiral")
    assert ready.figure_source == pb.FIGURE_SOURCE_MATTE
    assert not ready.HasField("matting_failure")
    assert not ready.HasField("analysis_failure")
    seen = ready.analysis.observations
    assert seen.HasField("face_box")
    assert seen.people_count == 1
    assert ready.analysis.characters_roster[0].name == "Grace Hopper"
    figure = Image.open(io.BytesIO(await house.platform.objects.get(ready.figure.key)))
    assert (figure.mode, figure.size) == ("RGBA", (ready.picture_width_px, ready.picture_height_px))
    assert figure.getchannel("A").getextrema() == (0, 255)
    assert (await house.platform.objects.get(ready.photo.key)) == hopper
    analysis = await crew.call("GetAnalysis", GetAnalysisRequest(character_id=made.id))
    assert analysis.analysis == ready.analysis
    matte = await crew.call("GetMatte", GetMatteRequest(character_id=made.id))
    assert matte.matte == ready.figure


async def test_where_no_figure_stands_out_the_photograph_stands_for_it_and_says_so(crew, grey):
    ready = await crew.ready("Nobody", grey)
    assert (ready.state, ready.figure_source) == (pb.CHARACTER_STATE_READY, pb.FIGURE_SOURCE_FALLBACK)
    assert ready.figure == ready.picture
    assert ready.matting_failure.reason == "NO_FIGURE_FOUND"
    assert "no figure stands out" in ready.matting_failure.message
    matte = await crew.call("GetMatte", GetMatteRequest(character_id=ready.id))
    assert matte.failure == ready.matting_failure


async def test_a_photograph_of_nobody_is_analysed_with_the_face_absent(crew, grey):
    ready = await crew.ready("Nobody", grey)
    assert not ready.HasField("analysis_failure")
    assert not ready.analysis.observations.HasField("face_box")
    assert ready.analysis.observations.people_count == 0
    assert ready.analysis.characters_roster[0].physical_appearance.face == "absent"
    assert ready.analysis.characters_roster[0].physical_appearance.hair == "unknown"


async def test_of_two_people_the_largest_is_the_subject(crew, hopper):
    one = Image.open(io.BytesIO(hopper))
    width, height = one.size
    both = Image.new("RGB", (width + width // 2, height), (90, 90, 90))
    both.paste(one, (0, 0))
    both.paste(one.resize((width // 2, height // 2)), (width, height // 2))
    ready = await crew.ready("Grace", encoded(both, "JPEG", quality=92), keep_background=True)
    seen = ready.analysis.observations
    assert seen.people_count == 2
    assert seen.face_box.x + seen.face_box.width < width / both.width


async def test_a_background_that_is_to_be_kept_is_kept(crew, hopper):
    ready = await crew.ready("Grace", hopper, keep_background=True)
    assert ready.figure_source == pb.FIGURE_SOURCE_BACKGROUND_KEPT
    assert ready.figure == ready.picture
    matte = await crew.call("GetMatte", GetMatteRequest(character_id=ready.id))
    assert not matte.HasField("matte")
    assert not matte.HasField("failure")


async def test_a_photograph_that_the_disk_damages_gives_a_character_that_is_marked_and_can_be_cast(crew_of, hopper):
    ready = await crew_of("worn").ready("Grace", hopper)
    assert ready.state == pb.CHARACTER_STATE_READY
    assert not ready.HasField("analysis")
    assert (ready.analysis_failure.reason, ready.matting_failure.reason) == ("OBJECT_DAMAGED", "OBJECT_DAMAGED")
    assert ready.figure_source == pb.FIGURE_SOURCE_FALLBACK


async def test_a_photograph_on_its_side_is_put_upright_and_says_so(crew, hopper):
    upright = Image.open(io.BytesIO(hopper))
    exif = Image.Exif()
    exif[274] = 6
    lying = encoded(upright.rotate(90, expand=True), "JPEG", quality=92, exif=exif)
    ready = await crew.ready("Grace", lying, keep_background=True)
    assert (ready.picture_width_px, ready.picture_height_px) == upright.size
    assert ready.analysis.observations.HasField("face_box")
    assert any("EXIF" in note or "rotated" in note for note in ready.intake_notes), ready.intake_notes


async def test_a_transparent_photograph_of_eileen_is_read_like_any_other(crew):
    picture = Image.open(PHOTOGRAPHS / "eileen_collins.png").convert("RGBA")
    picture.putalpha(Image.new("L", picture.size, 200))
    ready = await crew.ready("Eileen", encoded(picture, "PNG"), keep_background=True)
    assert ready.state == pb.CHARACTER_STATE_READY
    assert ready.analysis.observations.HasField("face_box")


async def test_the_same_request_again_is_the_same_character_and_other_content_is_refused(crew, grey):
    first = await crew.create("Ward", grey, request_id="take-1")
    again = await crew.create("Ward", grey, request_id="take-1")
    assert again.id == first.id
    request = CreateCharacterRequest(name="Ward", photo=grey, request_id="take-1", description="other")
    refusal = await crew.refused("CreateCharacter", request)
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "REQUEST_REUSED")
    assert refusal.values["request_id"] == "take-1"


async def test_a_name_belongs_to_one_character_until_it_is_deleted(crew, grey):
    first = await crew.create("Ward", grey)
    refusal = await crew.refused("CreateCharacter", CreateCharacterRequest(name="WARD", photo=grey))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.ALREADY_EXISTS, "CHARACTER_NAME_TAKEN")
    assert refusal.values == {"name": "Ward", "id": first.id}
    await crew.call("DeleteCharacter", DeleteCharacterRequest(id="ward"))
    refusal = await crew.refused("GetCharacter", GetCharacterRequest(id=first.id))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "CHARACTER_MISSING")
    assert (await crew.create("WARD", grey)).id != first.id


async def test_a_deleted_character_is_made_again_by_its_request_and_becomes_ready_again(crew, grey):
    first = await crew.ready("Ward", grey, request_id="take-1")
    await crew.call("DeleteCharacter", DeleteCharacterRequest(id=first.id))
    again = await crew.ready("Ward", grey, request_id="take-1")
    assert (again.id, again.state) == (first.id, pb.CHARACTER_STATE_READY)
    assert again.version > first.version


async def test_two_calls_of_one_request_at_once_make_one_character(crew, grey):
    made = await asyncio.gather(*(crew.create("Ward", grey, request_id="take-1") for _ in range(8)))
    assert len({one.id for one in made}) == 1


async def test_of_many_requests_for_one_name_at_once_one_wins(crew, grey):
    tries = [crew.create("Ward", grey, request_id=f"take-{number}") for number in range(8)]
    made = await asyncio.gather(*tries, return_exceptions=True)
    won = [one for one in made if isinstance(one, pb.Character)]
    lost = [one for one in made if isinstance(one, grpc.aio.AioRpcError)]
    assert len(won) == 1
    assert [error.code() for error in lost] == [grpc.StatusCode.ALREADY_EXISTS] * 7


async def test_a_character_whose_answers_were_lost_long_ago_becomes_ready_with_the_same_ones(crew, house, grey):
    ready = await crew.ready("Ward", grey)
    documents = house.platform.documents
    stored = await documents.get(CHARACTERS, crew.project, ready.id)
    lost = {"state": INGESTED, "analysis": None, "figure": None, "figure_source": "", "matting_failure": None}
    await documents.replace(CHARACTERS, replace(stored, body={**stored.body, **lost, "look_time": 1.0}))
    assert (await crew.character(ready.id)).state == pb.CHARACTER_STATE_INGESTED
    again = (await crew.stream("WatchCharacter", WatchCharacterRequest(id=ready.id)))[-1].character
    assert again.state == pb.CHARACTER_STATE_READY
    assert again.analysis == ready.analysis
    assert (again.figure, again.figure_source) == (ready.figure, ready.figure_source)
    assert (again.matting_failure, again.analysis_failure) == (ready.matting_failure, ready.analysis_failure)
