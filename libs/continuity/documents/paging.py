"""Listings page by page: a token is the place of the last document given, so that what comes and goes moves no other.

Missing values come first in ascending order and last in descending order.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from collections.abc import Set as SetOf
from dataclasses import dataclass
from typing import Any, Literal

from continuity.documents.port import Body, Collection, Condition, Document
from continuity.kernel.errors import InvalidValue

PROJECT = "@project"
ID = "@id"
INTEGER_LIMIT = 2**63


@dataclass(frozen=True)
class Bound:
    """A bound on a body field, ``PROJECT`` or ``ID``. Every value that is there is above None."""

    field: str
    operator: Literal["=", "<", ">"]
    value: Any


def total_order(order: Sequence[str]) -> list[str]:
    """Return the order made total by project and id, in the direction of its last field.

    So one index serves an order and its reverse.
    """
    sign = "-" if order and order[-1].startswith("-") else ""
    return [*order, sign + PROJECT, sign + ID]


def within(order: Sequence[str]) -> list[str]:
    """Return the fields of an index that serves the order within a project."""
    *fields, _, last = total_order(order)
    return [PROJECT, *fields, last]


def page_token(collection: Collection, order: Sequence[str], last: Document) -> str:
    """Return an opaque token for the place behind ``last`` in a listing of this order."""
    body: Body = last.body
    place = [*(body.get(field.lstrip("-")) for field in order), last.project, last.id]
    return base64.urlsafe_b64encode(json.dumps([collection.name, *order, place]).encode()).decode()


def stretches(
    collection: Collection, where: Sequence[Condition], project: str | None, order: Sequence[str], token: str
) -> list[list[Bound]]:
    """Return what lies behind a token's place, nearest first, as bounds that one walk along an index answers each.

    Without a token that is one stretch without bounds. Raises ``InvalidValue`` for what is no token of this collection
    in this order.
    """
    if not token:
        return [[]]
    place = _place(collection, where, order, token)
    fields = total_order(order)
    present = {PROJECT, ID} | {condition.field for condition in where if condition.operator == "<="}
    found: list[list[Bound]] = []
    for last in reversed(range(len(fields))):
        if project is not None and fields[last].endswith(PROJECT):
            continue  # there is no other project behind this one
        same = [Bound(field.lstrip("-"), "=", value) for field, value in zip(fields[:last], place, strict=False)]
        found += [[*same, bound] for bound in _behind(fields[last], place[last], present)]
    return found


def _behind(field: str, value: object, present: SetOf[str]) -> list[Bound]:
    if not field.startswith("-"):
        return [Bound(field, ">", value)]
    if value is None:
        return []
    below = Bound(field[1:], "<", value)
    return [below] if field[1:] in present else [below, Bound(field[1:], "=", None)]


def _place(collection: Collection, where: Sequence[Condition], order: Sequence[str], token: str) -> list[Any]:
    try:
        *listing, place = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, RecursionError):
        listing, place = [], None
    fits = isinstance(place, list) and len(place) == len(order) + 2
    if listing != [collection.name, *order] or not fits or not _may_stand(place, where, order):
        raise InvalidValue(field="page_token", value=token, limit="a next_page_token of an earlier answer")
    return list(place)


def _may_stand(place: Sequence[Any], where: Sequence[Condition], order: Sequence[str]) -> bool:
    """Tell whether a document that meets the conditions can stand there: whoever sends a token may have made it up."""
    bounded = {condition.field for condition in where if condition.operator == "<="}
    names = [field.lstrip("-") for field in order]
    numbers = all(type(value) in (int, float) for name, value in zip(names, place, strict=False) if name in bounded)
    return numbers and all(map(_storable, place)) and all(isinstance(each, str) for each in place[-2:])


def _storable(value: object) -> bool:
    """Tell whether every store can compare its values with this one."""
    if isinstance(value, str):
        return value.isascii() or not any(0xD800 <= ord(letter) < 0xE000 for letter in value)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and -INTEGER_LIMIT <= value < INTEGER_LIMIT)
