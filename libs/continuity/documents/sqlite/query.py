"""Tables, indexes and conditions as SQL. Field names come from code, never from a caller; values are parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from continuity.documents.paging import ID, PROJECT, Bound, total_order, within
from continuity.documents.port import Collection, Condition

FIELDS = "project, id, version, body, inbox"


def table(collection: Collection) -> str:
    """Return the name of the collection's table."""
    return f'"c_{collection.name}"'


def schema(collection: Collection) -> dict[str, str]:
    """Return the statements that create the collection's table and indexes, by the name of what they create."""
    name = table(collection)
    columns = (
        "project TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL, body TEXT NOT NULL,"
        " inbox TEXT NOT NULL DEFAULT '[]', outbox TEXT, outbox_due_time REAL, outbox_owner TEXT"
    )
    statements = {
        f"c_{collection.name}": f"CREATE TABLE IF NOT EXISTS {name} ({columns}, PRIMARY KEY (project, id))",
        f"c_{collection.name}_outbox": f'CREATE INDEX IF NOT EXISTS "c_{collection.name}_outbox" ON {name}'
        " (outbox_due_time) WHERE outbox_due_time IS NOT NULL",
    }
    for fields in collection.unique:
        present = " AND ".join(f"{_expression(field)} IS NOT NULL" for field in fields)
        statements |= _index(collection, "u", [PROJECT, *fields], f" WHERE {present}")
    for fields in collection.indexes:
        statements |= _index(collection, "i", total_order(fields))
    for fields in filter(None, collection.listings):  # the primary key is the listing by id
        statements |= _index(collection, "l", within(fields))
    return statements


def select(
    collection: Collection,
    where: Sequence[Condition],
    project: str | None,
    order: Sequence[str],
    *,
    limit: int,
    bounds: Sequence[Bound] = (),
) -> tuple[str, list[Any]]:
    """Return the statement that finds the first documents in order, and its parameters."""
    asked = _asked(where, project, bounds)
    clause, parameters = _where(asked)
    # What is equal has no order; SQLite does not see that of an expression.
    equal = {each.field for each in asked if each.operator == "="}
    by = ", ".join(_ordered(field) for field in total_order(order) if field.lstrip("-") not in equal) or "id"
    sql = f"SELECT {FIELDS} FROM {table(collection)}{clause} ORDER BY {by} LIMIT ?"
    return sql, [*parameters, limit]


def counted(
    collection: Collection, where: Sequence[Condition], project: str | None, limit: int | None
) -> tuple[str, list[Any]]:
    """Return the statement that counts documents up to a limit, and its parameters."""
    clause, parameters = _where(_asked(where, project))
    sql = f"SELECT count(*) FROM (SELECT 1 FROM {table(collection)}{clause} LIMIT ?)"
    return sql, [*parameters, -1 if limit is None else limit]


def taken_over(collection: Collection) -> tuple[str, str]:
    """Return the statements that take over outboxes: those due by a time, and those that lie behind one.

    Each one's parameters are until, owner, that time and a limit.
    """
    name = table(collection)
    due, ahead = (
        f"UPDATE {name} SET outbox_due_time = ?, outbox_owner = ? WHERE rowid IN"
        f" (SELECT rowid FROM {name} WHERE outbox_due_time {operator} ? ORDER BY outbox_due_time LIMIT ?)"
        " RETURNING project, id"
        for operator in ("<=", ">")
    )
    return due, ahead


def _asked(where: Sequence[Condition], project: str | None, bounds: Sequence[Bound] = ()) -> list[Condition | Bound]:
    own = [] if project is None else [Bound(PROJECT, "=", project)]
    exact = {each.field: each.value for each in bounds if each.operator == "=" and each.value is not None}
    return [*own, *(each for each in where if not _implied(each, exact)), *bounds]


def _implied(condition: Condition, exact: Mapping[str, Any]) -> bool:
    """Tell whether a bound leaves nothing to ask: SQLite would walk by the wider term and have to sort."""
    return condition.operator == "<=" and condition.field in exact and exact[condition.field] <= condition.value


def _where(asked: Sequence[Condition | Bound]) -> tuple[str, list[Any]]:
    terms = [_term(each) for each in asked]
    clause = f" WHERE {' AND '.join(term for term, _ in terms)}" if terms else ""
    return clause, [value for _, values in terms for value in values]


def _term(condition: Condition | Bound) -> tuple[str, list[Any]]:
    expression = _expression(condition.field)
    if condition.operator == "in":
        return _among(expression, condition.value)
    if condition.value is None:
        return f"{expression} {'IS NULL' if condition.operator == '=' else 'IS NOT NULL'}", []
    return f"{expression} {condition.operator} ?", [condition.value]


def _among(expression: str, asked: Sequence[Any]) -> tuple[str, list[Any]]:
    values = [value for value in asked if value is not None]
    among = f"{expression} IN ({', '.join('?' * len(values))})"
    return among if len(values) == len(asked) else f"({among} OR {expression} IS NULL)", values


def _index(collection: Collection, kind: str, fields: Sequence[str], where: str = "") -> dict[str, str]:
    name = "_".join([f"c_{collection.name}", kind, *fields])
    columns = ", ".join(map(_ordered, fields))
    create = "CREATE UNIQUE INDEX" if kind == "u" else "CREATE INDEX"
    return {name: f'{create} IF NOT EXISTS "{name}" ON {table(collection)} ({columns}){where}'}


def _ordered(field: str) -> str:
    return f"{_expression(field[1:])} DESC" if field.startswith("-") else _expression(field)


def _expression(field: str) -> str:
    """Indexes and queries use the same expression, or SQLite would not see that they fit."""
    return field[1:] if field in {PROJECT, ID} else f"json_extract(body, '$.{field}')"
