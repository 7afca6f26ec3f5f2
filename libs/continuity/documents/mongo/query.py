"""Indexes, filters and sort orders. Pure values: which index serves which query can be seen without a server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from continuity.documents.mongo.layout import ID_PATH, PROJECT_PATH, unique_key
from continuity.documents.paging import ID, PROJECT, Bound, total_order, within
from continuity.documents.port import Collection, Condition

Filter: TypeAlias = dict[str, Any]
Keys: TypeAlias = list[tuple[str, int]]

_OPERATORS = {"=": "$eq", "<=": "$lte", "in": "$in", "<": "$lt", ">": "$gt"}
_PATHS = {PROJECT: PROJECT_PATH, ID: ID_PATH}


@dataclass(frozen=True)
class Index:
    """One index; a sparse one has an entry for each document that has the field, and for no other."""

    keys: tuple[tuple[str, int], ...]
    unique: bool = False
    sparse: bool = False


def indexes(collection: Collection) -> list[Index]:
    """Return the indexes of a collection, that of ``_id`` aside.

    All unique indexes are one: a compound sparse index would hold documents that lack some of its fields.
    """
    unique = [Index((("unique", 1),), unique=True, sparse=True)] if collection.unique else []
    orders = [*map(total_order, collection.indexes), *map(within, collection.listings)]
    return [Index((("outbox_due_time", 1),), sparse=True), *unique, *(Index(tuple(_keys(order))) for order in orders)]


def sorting(order: Sequence[str]) -> Keys:
    """Return the sort order of a listing."""
    return _keys(total_order(order))


def filtering(
    collection: Collection, where: Sequence[Condition], project: str | None, bounds: Sequence[Bound] = ()
) -> Filter:
    """Return the filter for conditions, a project (None: every one) and the bounds of a stretch."""
    asked: list[Condition | Bound] = [*where, *bounds]
    if project is None:
        return _all([_term(each) for each in asked])
    looked_up = _looked_up(collection, where, project)
    return _all([(PROJECT_PATH, {"$eq": project}), *looked_up, *(_term(each) for each in asked)])


def _looked_up(collection: Collection, where: Sequence[Condition], project: str) -> list[tuple[str, Filter]]:
    """Ask for the unique key as well where all its fields are given: only that is indexed."""
    given = {each.field: each.value for each in where if each.operator == "=" and each.value is not None}
    for fields in collection.unique:
        if set(fields) <= set(given):
            return [("unique", {"$eq": unique_key(project, fields, [given[field] for field in fields])})]
    return []


def _term(asked: Condition | Bound) -> tuple[str, Filter]:
    if asked.operator == ">" and asked.value is None:  # MongoDB compares within a type only
        return _path(asked.field), {"$ne": None}
    value = list(asked.value) if asked.operator == "in" else asked.value
    return _path(asked.field), {_OPERATORS[asked.operator]: value}


def _all(terms: Sequence[tuple[str, Filter]]) -> Filter:
    """Several terms may speak of one field."""
    together = dict(terms)
    return together if len(together) == len(terms) else {"$and": [{path: term} for path, term in terms]}


def _keys(fields: Sequence[str]) -> Keys:
    return [(_path(field.lstrip("-")), -1 if field.startswith("-") else 1) for field in fields]


def _path(field: str) -> str:
    return _PATHS.get(field) or f"body.{field}"
