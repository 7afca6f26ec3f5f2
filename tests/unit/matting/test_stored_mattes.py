"""Mattes on SQLite: what they refer to must not be collected."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import Mock

from continuity.documents.sqlite import SqliteDocuments
from continuity.kernel.values import Failure, ObjectRef
from continuity.messaging.repository import Aggregates
from continuity.objects.references import DocumentReferences
from services.matting.adapters.stored_mattes import MATTE, MATTES, StoredMattes
from services.matting.domain.matte import MatteRecord, cut_out, not_cut_out
from services.matting.entrypoints.mapping import CODEC


async def test_a_matte_is_referred_to_and_a_failure_refers_to_nothing(tmp_path: Path) -> None:
    documents = await SqliteDocuments(tmp_path / "documents.sqlite3", [MATTES]).open()
    mattes = StoredMattes(Aggregates(MatteRecord, MATTES, documents, CODEC, Mock(owner="test")))
    figure = ObjectRef("film/mattes/a.png", "00", 3, "image/png")
    await mattes.add("film", cut_out("ward", 1, figure))
    await mattes.add("film", not_cut_out("mara", 1, Failure("BROKEN", "it broke", {})))
    referenced = DocumentReferences(documents, (MATTES, MATTE))
    assert await referenced([figure.key, "film/mattes/other.png"]) == {figure.key}
    await documents.close()
