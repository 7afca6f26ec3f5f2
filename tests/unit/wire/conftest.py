"""Pairs of dataclass and message that the services convert, found by walking from the ones at the top."""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import strategies as st

from continuity.api.characters.v1 import character_pb2, character_service_pb2
from continuity.api.common.v1 import object_pb2
from continuity.api.events.v1 import analysis_events_pb2, matte_events_pb2, prompt_events_pb2
from continuity.api.locations.v1 import location_pb2, location_service_pb2
from continuity.api.matting.v1 import matting_service_pb2
from continuity.api.prompts.v1 import prompt_pb2, prompt_service_pb2
from continuity.api.rendering.v1 import job_pb2, render_service_pb2
from continuity.api.vision.v1 import vision_service_pb2
from continuity.kernel.values import ObjectRef
from continuity.wire.conversion import closed, words
from services.characters.domain.character import Character
from services.characters.domain.location import Location
from services.characters.entrypoints import mapping as characters
from services.characters.entrypoints import subscribers as characters_events
from services.characters.handlers.create_character import NewCharacter
from services.characters.handlers.locations import LocationAsked
from services.matting.domain.matte import MatteRecord
from services.matting.entrypoints import mapping as matting
from services.prompts.domain.record import PromptRecord
from services.prompts.entrypoints import mapping as prompts
from services.rendering.domain.events import RenderProgressed
from services.rendering.domain.job import Job
from services.rendering.domain.keyframe import Prompt
from services.rendering.entrypoints import mapping as rendering
from services.rendering.entrypoints import subscribers as rendering_events
from services.rendering.handlers.submit_shots import ShotsAsked
from services.vision.domain.analysis import AnalysisRecord
from services.vision.entrypoints import mapping as vision

Pair = tuple[type, type[Message]]

CODECS = tuple(mapping.CODEC for mapping in (characters, matting, prompts, rendering, vision))
SENT: tuple[Pair, ...] = (
    *((event, each.message) for codec in CODECS for event, each in codec._publications.items()),
    (Character, character_pb2.Character),
    (Location, location_pb2.Location),
    (MatteRecord, matting_service_pb2.GetMatteResponse),
    (AnalysisRecord, vision_service_pb2.GetAnalysisResponse),
    (PromptRecord, prompt_service_pb2.GetPromptResponse),
    (Job, job_pb2.Job),
    (RenderProgressed, job_pb2.JobProgress),
)
RECEIVED: tuple[Pair, ...] = (
    (NewCharacter, character_service_pb2.CreateCharacterRequest),
    (LocationAsked, location_service_pb2.SaveLocationRequest),
    (ShotsAsked, render_service_pb2.SubmitShotsRequest),
    (ObjectRef, object_pb2.ObjectRef),
    (Prompt, prompt_pb2.Prompt),
    (RenderProgressed, rendering.events.RenderProgressed),
    (characters_events._Matted, matte_events_pb2.CharacterMatted),
    (characters_events._Analyzed, analysis_events_pb2.CharacterAnalyzed),
    (characters_events._Failed, matte_events_pb2.CharacterMattingFailed),
    (characters_events._Failed, analysis_events_pb2.CharacterAnalysisFailed),
    (rendering_events._Failed, prompt_events_pb2.PromptFailed),
)
_LATE_NAMES = {"Character": Character, "Location": Location}
_RANGES = {
    FieldDescriptor.TYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: (0, 2**32 - 1),
}
_TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def hints(kind: type) -> dict[str, Any]:
    found = typing.get_type_hints(kind, localns=_LATE_NAMES)
    return {field.name: found[field.name] for field in dataclasses.fields(kind)}


def nested(hint: Any) -> type | None:
    """Return the dataclass in ``X``, ``X | None`` or ``tuple[X, ...]``, if there is one."""
    for each in (hint, *typing.get_args(hint)):
        if dataclasses.is_dataclass(each):
            return typing.cast(type, each)
    return None


def walk(pair: Pair) -> Iterator[Pair]:
    """Yield the pair and those that its fields are made of."""
    kind, message = pair
    yield pair
    fields = message.DESCRIPTOR.fields_by_name
    for name, hint in hints(kind).items():
        inner = nested(hint)
        if inner is not None and name in fields and fields[name].message_type:
            yield from walk((inner, GetMessageClass(fields[name].message_type)))


def shared(kind: type, message: type[Message]) -> type:
    """Return a dataclass of the fields that both sides have, so that what one side lacks cannot fail a round trip."""
    specs: list[tuple[str, Any, Any]] = []
    for name, hint in hints(kind).items():
        field = message.DESCRIPTOR.fields_by_name.get(name)
        if field is None:
            continue
        inner = nested(hint)
        optional = _optional(hint)
        common: Any = hint
        if inner is not None and field.message_type:
            cut = shared(inner, GetMessageClass(field.message_type))
            common = cut | None if optional else types.GenericAlias(tuple, (cut, ...)) if field.is_repeated else cut
        default = dataclasses.field(default=None) if optional else dataclasses.field()
        specs.append((name, common, default))
    return dataclasses.make_dataclass(kind.__name__, specs, frozen=True, kw_only=True)


def values(kind: type, message: type[Message]) -> st.SearchStrategy[Any]:
    """Draw instances of ``kind`` that the message can hold; fields that the message lacks must have defaults."""
    fields = message.DESCRIPTOR.fields_by_name
    drawn = {name: _field(fields[name], hint) for name, hint in hints(kind).items() if name in fields}
    return st.builds(kind, **drawn)


def _field(field: Any, hint: Any) -> st.SearchStrategy[Any]:
    if typing.get_origin(hint) is not None and issubclass(_origin(hint), Mapping):
        return st.dictionaries(_TEXT, _TEXT, max_size=3)
    if field.is_repeated:
        return st.lists(_one(field, typing.get_args(hint)[0]), max_size=3).map(tuple)
    one = _one(field, next(each for each in (*typing.get_args(hint), hint) if each is not types.NoneType))
    return st.none() | one if _optional(hint) else one


def _one(field: Any, hint: Any) -> st.SearchStrategy[Any]:
    if field.enum_type:
        return st.sampled_from(["", *words(field.enum_type)])
    if field.message_type is Timestamp.DESCRIPTOR:
        return st.floats(1e9, 4e9)
    if field.message_type is Duration.DESCRIPTOR:
        return st.integers(0, 2_419_200).map(lambda quarters: quarters / 4)
    if field.message_type:
        concrete = GetMessageClass(field.message_type)
        return _opaque(concrete) if hint is str else values(hint, concrete)
    if field.type in _RANGES:
        return st.integers(*_RANGES[field.type])
    scalars: dict[Any, st.SearchStrategy[Any]] = {
        FieldDescriptor.TYPE_STRING: _TEXT,
        FieldDescriptor.TYPE_BYTES: st.binary(max_size=8),
        FieldDescriptor.TYPE_BOOL: st.booleans(),
        FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False),
    }
    return scalars[field.type]


def _opaque(message: type[Message]) -> st.SearchStrategy[str]:
    names = [f.name for f in message.DESCRIPTOR.fields if f.type == f.TYPE_STRING and not f.is_repeated]
    return st.fixed_dictionaries(dict.fromkeys(names, _TEXT)).map(lambda drawn: closed(message(**drawn)))


def _optional(hint: Any) -> bool:
    return types.NoneType in typing.get_args(hint)


def _origin(hint: Any) -> type:
    origin = typing.get_origin(hint)
    return origin if isinstance(origin, type) else object


def every_pair() -> list[Pair]:
    return list(dict.fromkeys(pair for root in (*SENT, *RECEIVED) for pair in walk(root)))


def name_of(pair: Pair) -> str:
    return f"{pair[0].__module__.removeprefix('services.')}.{pair[0].__name__}>{pair[1].DESCRIPTOR.name}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give ``pair`` every pair and ``received`` those that come in."""
    if "pair" in metafunc.fixturenames:
        pairs = every_pair()
        metafunc.parametrize("pair", pairs, ids=map(name_of, pairs))
    if "received" in metafunc.fixturenames:
        metafunc.parametrize("received", RECEIVED, ids=map(name_of, RECEIVED))


@pytest.fixture
def drawn() -> Any:
    """Draw instances of a dataclass as its message can hold them."""
    return values


@pytest.fixture
def shared_type() -> Any:
    """Cut a dataclass to the fields that its message has."""
    return shared


@pytest.fixture
def pairs() -> list[Pair]:
    """Return every pair there is."""
    return every_pair()
