"""How a document stands in MongoDB.

``_id`` is ``{p: project, i: id}``. Beside it stand ``version``, ``body``, ``inbox``, in ``unique`` a key for each
unique index whose fields the body has and, while events wait, ``outbox``, ``outbox_due_time`` and ``outbox_owner``.
What is empty is absent (the inbox aside), so that sparse indexes pass it over.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

from continuity.documents.port import INBOX_LIMIT, Body, Collection, Document, OutgoingEvent, Ref

Stored: TypeAlias = dict[str, Any]

PROJECT_PATH, ID_PATH = "_id.p", "_id.i"
SEEN = {"version": 1, "body": 1, "inbox": 1}
"""The fields that ``document`` reads."""


def key(project: str, id: str) -> Stored:
    """Return the ``_id`` of a document. The order of its fields is part of it."""
    return {"p": project, "i": id}


def ref(collection: Collection, stored_key: Stored) -> Ref:
    """Return what an ``_id`` names."""
    return Ref(collection.name, stored_key["p"], stored_key["i"])


def document(stored: Stored) -> Document:
    """Return the document that is stored."""
    inbox = tuple(stored.get("inbox", ()))
    return Document(stored["_id"]["p"], stored["_id"]["i"], stored["version"], stored["body"], inbox)


def inbox(seen: Sequence[str]) -> list[str]:
    """Return what is kept of the keys of consumed events."""
    return list(seen[-INBOX_LIMIT:])


def unique_keys(collection: Collection, project: str, body: Body) -> list[str]:
    """Return the keys that no other document may have: one for each unique index whose fields are all there."""
    values = [(fields, [body.get(field) for field in fields]) for fields in collection.unique]
    return [unique_key(project, fields, held) for fields, held in values if None not in held]


def unique_key(project: str, fields: Sequence[str], values: Sequence[Any]) -> str:
    """Return one string for a project, the fields of a unique index and their values."""
    return json.dumps([project, *fields, *values], ensure_ascii=False)


def encoded(events: Iterable[OutgoingEvent]) -> list[Stored]:
    """Return events as they wait in an outbox."""
    return [{**vars(event), "headers": dict(event.headers)} for event in events]


def decoded(outbox: Iterable[Mapping[str, Any]]) -> tuple[OutgoingEvent, ...]:
    """Return the events that ``encoded`` stored."""
    return tuple(OutgoingEvent(**event) for event in outbox)
