"""Every message and dataclass that the services convert: nothing drifts apart, nothing is lost on the way."""

import dataclasses

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from continuity.wire.conversion import from_message, to_message

ONLY_IN_DATACLASS = {
    "Character": {"name_key", "content_hash", "keep_background", "ingested_version", "look_time", "looks"},
    "Location": {"name_key", "deleted"},
    "NewCharacter": {"project"},
    "LocationAsked": {"project"},
    "MatteRecord": {"version"},
    "AnalysisRecord": {"version"},
    "Job>Job": {
        "film_seed", "queue_key", "line_key", "look_time", "looks", "width_px", "height_px", "waiting_for",
        "characters", "location", "lease_token", "lease_until", "requested_time", "ready_time", "started_time",
        "interruptions", "crashes", "commercial", "more_takes",
    },
    "RenderProgressed>JobProgress": {"preview"},
}  # fmt: skip
"""Fields that stay inside a service, by dataclass."""

ONLY_IN_MESSAGE = {
    "Job>Job": {"queue_position", "takes"},
    "RenderProgressed>JobProgress": {"preview_jpeg"},
}
"""Fields that the servicer fills or a property holds, by dataclass and message."""

QUICK = settings(
    max_examples=15,
    deadline=None,
    database=None,
    phases=[Phase.generate],  # shrinking nested values takes minutes, and the pair's name says enough
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def listed(table, pair):
    name = pair[0].__name__
    return table.get(f"{name}>{pair[1].DESCRIPTOR.name}", table.get(name, set()))


def test_fields_that_only_the_dataclass_has_are_listed(pair):
    fields = {field.name for field in dataclasses.fields(pair[0])}
    assert fields - set(pair[1].DESCRIPTOR.fields_by_name) == listed(ONLY_IN_DATACLASS, pair)


def test_fields_that_only_the_message_has_are_listed(pair):
    fields = {field.name for field in dataclasses.fields(pair[0])}
    assert set(pair[1].DESCRIPTOR.fields_by_name) - fields == listed(ONLY_IN_MESSAGE, pair)


def test_what_is_listed_exists(pairs):
    names = {name for kind, message in pairs for name in (kind.__name__, f"{kind.__name__}>{message.DESCRIPTOR.name}")}
    assert {*ONLY_IN_DATACLASS, *ONLY_IN_MESSAGE} <= names


@QUICK
@given(data=st.data())
def test_what_both_sides_have_survives_the_way_there_and_back(pair, drawn, shared_type, data):
    kind, message = shared_type(*pair), pair[1]
    value = data.draw(drawn(kind, message))
    sent = to_message(value, message).SerializeToString()
    assert from_message(message.FromString(sent), kind) == value


@QUICK
@given(data=st.data())
def test_what_comes_in_becomes_the_dataclass_itself(received, drawn, data):
    kind, message = received
    value = data.draw(drawn(kind, message))
    assert from_message(to_message(value, message), kind) == value
