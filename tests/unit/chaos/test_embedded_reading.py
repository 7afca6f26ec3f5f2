from __future__ import annotations

from pathlib import Path

import pytest

from continuity.documents.port import Collection, Document, OutgoingEvent, Ref
from continuity.documents.sqlite import SqliteDocuments
from continuity.objects.filesystem import FilesystemObjectStore
from continuity.objects.port import sha256_of
from tests.chaos import embedded_reading
from tests.chaos.evidence import StoredDocument, StoredObject, TopicEvent

JOBS = Collection("jobs")
TOPIC = "continuity.render.v1"
KEY = "film/keyframes/picture.png"
EVENT = OutgoingEvent("e-1", "continuity/rendering", "RenderRequested", TOPIC, "job-1", "film", 1.0, b"\x01\x02")


@pytest.fixture
async def home(tmp_path: Path) -> Path:
    """A home with a job that has told one event of two, and a picture that the job names."""
    objects = FilesystemObjectStore(tmp_path / "objects")
    await objects.put(KEY, b"bytes", "image/png")
    await objects.close()
    documents = SqliteDocuments(tmp_path / "documents.sqlite3", [JOBS], {TOPIC: ("prompts",)})
    await documents.open()
    job = Document("film", "job-1", 0, {"state": "ready", "picture": KEY}, ("seen",))
    waiting = OutgoingEvent("e-2", EVENT.source, "KeyframeRendered", TOPIC, "job-1", "film", 2.0, b"")
    await documents.insert(JOBS, job, [EVENT, waiting], owner="me")
    await documents.settle({Ref("jobs", "film", "job-1"): ["e-1"]})
    await documents.close()
    return tmp_path


async def test_documents_are_read_with_what_waits_in_their_outboxes(home: Path) -> None:
    (job,) = embedded_reading.read(home).of("jobs")
    body = {"state": "ready", "picture": KEY}
    assert job == StoredDocument("jobs", "film", "job-1", 1, body, ("seen",), waiting_events=1)


async def test_objects_are_read_as_their_bytes_are(home: Path) -> None:
    assert embedded_reading.read(home).objects == {KEY: StoredObject(KEY, sha256_of(b"bytes"), 5)}


async def test_bytes_that_were_tampered_with_are_read_as_they_are(home: Path) -> None:
    (path,) = (home / "objects").rglob("picture.png")
    path.write_bytes(path.read_bytes().replace(b"bytes", b"Bytes", 1))
    assert embedded_reading.read(home).objects[KEY].sha256 == sha256_of(b"Bytes")


async def test_events_and_those_who_have_not_handled_them_are_read(home: Path) -> None:
    evidence = embedded_reading.read(home)
    assert evidence.events == (
        TopicEvent(TOPIC, "film", "job-1", "continuity/rendering", "e-1", "RenderRequested", b"\x01\x02"),
    )
    assert evidence.unhandled == {("prompts", TOPIC): 1}


async def test_what_still_waits_is_told(home: Path) -> None:
    assert embedded_reading.unsettled(home) == ["1 unfinished jobs", "1 outboxes", "1 deliveries"]


async def test_an_object_that_no_document_names_is_left_over(home: Path) -> None:
    objects = FilesystemObjectStore(home / "objects")
    await objects.put("film/keyframes/other.png", b"more", "image/png")
    await objects.close()
    assert embedded_reading.left_over(home) == {"film/keyframes/other.png"}
