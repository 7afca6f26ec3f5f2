"""The rules of conversion, one by one."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from continuity.api.common.v1 import object_pb2, shot_pb2
from continuity.api.events.v1 import render_events_pb2
from continuity.api.locations.v1 import location_pb2
from continuity.api.rendering.v1 import job_pb2
from continuity.kernel.values import Failure, ObjectRef
from continuity.wire.conversion import closed, from_message, number, opened, to_message, word, words

ENUMS = [
    shot_pb2.ShotType.DESCRIPTOR,
    shot_pb2.CameraAngle.DESCRIPTOR,
    shot_pb2.TimeOfDay.DESCRIPTOR,
    shot_pb2.Weather.DESCRIPTOR,
    shot_pb2.LocationType.DESCRIPTOR,
    job_pb2.JobState.DESCRIPTOR,
]


@dataclass(frozen=True)
class Made:
    create_time: float = -1.0
    failure: Failure | None = None
    attempts: int = 7


@dataclass(frozen=True)
class Seeded:
    seed: int | None = None
    style: str = "noir"


@dataclass(frozen=True)
class Opaque:
    location: str | None = None
    characters: tuple[str, ...] = ()


@pytest.mark.parametrize("enum", ENUMS, ids=lambda enum: enum.name)
def test_every_word_of_an_enum_comes_back(enum):
    spoken = words(enum)
    assert len(set(spoken)) == len(enum.values) - 1
    assert [word(enum, number(enum, each)) for each in spoken] == list(spoken)
    for each in spoken:
        assert each == each.lower()
        assert "_" not in each


def test_words_are_as_people_write_them():
    assert word(shot_pb2.ShotType.DESCRIPTOR, shot_pb2.SHOT_TYPE_OVER_THE_SHOULDER) == "over-the-shoulder"
    assert number(job_pb2.JobState.DESCRIPTOR, "waiting-for-cast") == job_pb2.JOB_STATE_WAITING_FOR_CAST


def test_nothing_chosen_is_the_empty_word():
    enum = shot_pb2.ShotType.DESCRIPTOR
    assert (word(enum, 0), number(enum, "")) == ("", 0)


def test_a_number_from_a_newer_version_is_the_empty_word():
    assert word(shot_pb2.ShotType.DESCRIPTOR, 999) == ""


def test_a_word_that_is_none_is_an_error():
    with pytest.raises(KeyError):
        number(shot_pb2.ShotType.DESCRIPTOR, "closeup")


@given(st.floats(1e9, 4e9))
def test_a_time_of_this_century_is_exact(seconds):
    assert from_message(to_message(Made(create_time=seconds), job_pb2.Job), Made).create_time == seconds


@given(st.floats(-1e9, 1e9))
def test_any_time_is_right_to_a_nanosecond(seconds):
    made = to_message(Made(create_time=seconds), job_pb2.Job).create_time
    assert 0 <= made.nanos < 10**9
    assert made.seconds + made.nanos / 1e9 == pytest.approx(seconds, abs=2e-9, rel=1e-15)


def test_what_the_message_does_not_say_keeps_its_default():
    assert from_message(job_pb2.Job(), Made) == Made(attempts=0)
    assert from_message(shot_pb2.Shot(), Seeded) == Seeded(style="")


@pytest.mark.parametrize("seed", [None, 0, 1, 2**32 - 1])
def test_an_optional_number_tells_zero_from_nothing(seed):
    message = to_message(Seeded(seed), shot_pb2.Shot)
    assert message.HasField("seed") is (seed is not None)
    assert from_message(message, Seeded).seed == seed


def test_a_message_that_is_present_but_empty_stays_present():
    message = to_message(Made(failure=Failure("", "")), job_pb2.Job)
    assert message.HasField("failure")
    assert from_message(message, Made).failure == Failure("", "")


def test_a_map_comes_back_as_a_dictionary():
    failure = Failure("REEL_JAMMED", "jammed", {"reel": "B", "": "empty", "ключ": "значение"})
    assert from_message(to_message(failure, object_pb2.Failure), Failure) == failure


def test_an_opaque_message_is_passed_on_byte_by_byte_with_fields_this_version_does_not_know():
    unknown = b"\xf8\x3f\x07"  # field 1023, varint 7
    place = location_pb2.Location.FromString(location_pb2.Location(name="Pad").SerializeToString() + unknown)
    held = from_message(render_events_pb2.RenderRequested(location=place), Opaque)
    assert opened(held.location, location_pb2.Location).name == "Pad"
    passed_on = to_message(held, render_events_pb2.RenderRequested).location
    assert passed_on.SerializeToString().endswith(unknown)


def test_an_opaque_message_is_text_that_json_can_hold():
    assert closed(location_pb2.Location(name="Pad")).isascii()
    assert opened(closed(location_pb2.Location()), location_pb2.Location) == location_pb2.Location()


def test_a_value_out_of_range_is_refused_not_cut():
    with pytest.raises(ValueError, match=r"out of range|Value"):
        to_message(ObjectRef("a", "b", 2**63, "c"), object_pb2.ObjectRef)
