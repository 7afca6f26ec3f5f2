"""Page tokens: the place of the last document that a page gave, so that what comes and goes moves no other."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from continuity.documents.port import Body, Collection, Document
from continuity.kernel.errors import InvalidValue

_PLAIN = (str, int, float, bool, type(None))


def page_token(collection: Collection, order: Sequence[str], last: Document) -> str:
    """Return an opaque token for the place behind ``last`` in a listing of this order."""
    body: Body = last.body
    place = [*(body.get(field.lstrip("-")) for field in order), last.project, last.id]
    return base64.urlsafe_b64encode(json.dumps([collection.name, *order, place]).encode()).decode()


def page_place(collection: Collection, order: Sequence[str], token: str) -> list[Any] | None:
    """Return the values of the ordering fields, project and id that a token stands for; None for the beginning.

    Raises ``InvalidValue`` for what is no token of this collection in this order.
    """
    if not token:
        return None
    try:
        *listing, place = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError):
        listing, place = [], None
    fits = isinstance(place, list) and len(place) == len(order) + 2
    if listing != [collection.name, *order] or not fits or not all(isinstance(each, _PLAIN) for each in place):
        raise InvalidValue(field="page_token", value=token, limit="a next_page_token of an earlier answer")
    return list(place)
