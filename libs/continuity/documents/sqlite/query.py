"""Tables, indexes and conditions as SQL. Field names come from code, never from a caller; values are parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from continuity.documents.port import Collection, Condition


def table(collection: Collection) -> str:
    """Return the name of the collection's table."""
    return f'"c_{collection.name}"'


def column(field: str) -> str:
    """Return the expression for a body field; indexes use the same one."""
    return f"json_extract(body, '$.{field}')"


def schema(collection: Collection) -> list[str]:
    """Return the statements that create the collection's table and indexes."""
    name = table(collection)
    statements = [
        f"CREATE TABLE IF NOT EXISTS {name} (project TEXT NOT NULL, id TEXT NOT NULL, version INTEGER NOT NULL,"
        " body TEXT NOT NULL, inbox TEXT NOT NULL DEFAULT '[]', outbox TEXT, outbox_due_time REAL, outbox_owner TEXT,"
        " PRIMARY KEY (project, id))",
        f'CREATE INDEX IF NOT EXISTS "c_{collection.name}_outbox" ON {name} (outbox_due_time)'
        " WHERE outbox_due_time IS NOT NULL",
    ]
    for fields in collection.unique:
        columns = ", ".join(column(field) for field in fields)
        present = " AND ".join(f"{column(field)} IS NOT NULL" for field in fields)
        statements.append(
            f"CREATE UNIQUE INDEX IF NOT EXISTS {_index(collection, 'u', fields)} ON {name} (project, {columns})"
            f" WHERE {present}"
        )
    for fields in collection.indexes:
        columns = ", ".join(_ordered(field) for field in fields)
        statements.append(f"CREATE INDEX IF NOT EXISTS {_index(collection, 'i', fields)} ON {name} ({columns})")
    return statements


def where_clause(conditions: Sequence[Condition], project: str | None) -> tuple[str, list[Any]]:
    """Return ``WHERE …`` (or nothing) and its parameters."""
    terms: list[str] = []
    parameters: list[Any] = []
    if project is not None:
        terms.append("project = ?")
        parameters.append(project)
    for condition in conditions:
        term, values = _term(condition)
        terms.append(term)
        parameters.extend(values)
    return (f" WHERE {' AND '.join(terms)}" if terms else ""), parameters


def order_clause(order: Sequence[str]) -> str:
    """Return ``ORDER BY …``, ended by project and id so that it is total."""
    return " ORDER BY " + ", ".join([*(_ordered(field) for field in order), "project", "id"])


def behind_clause(order: Sequence[str], place: Sequence[Any]) -> tuple[str, list[Any]]:
    """Return the condition that a document stands behind a place in the order, and its parameters.

    SQLite has no comparison of rows with mixed directions, so it is spelt out: equal up to a column, behind in it.
    """
    columns = [(column(field.lstrip("-")), field.startswith("-")) for field in order]
    columns += [("project", False), ("id", False)]
    terms: list[str] = []
    parameters: list[Any] = []
    for index, (expression, descending) in enumerate(columns):
        equal = [f"{earlier} IS ?" for earlier, _ in columns[:index]]
        terms.append("(" + " AND ".join([*equal, _behind(expression, descending, place[index] is None)]) + ")")
        parameters += [*place[:index], *([] if place[index] is None else [place[index]])]
    return "(" + " OR ".join(terms) + ")", parameters


def _behind(expression: str, descending: bool, absent: bool) -> str:
    """Missing values come first in ascending order and last in descending order."""
    if absent:
        return "0" if descending else f"{expression} IS NOT NULL"
    return f"({expression} < ? OR {expression} IS NULL)" if descending else f"{expression} > ?"


def _ordered(field: str) -> str:
    return f"{column(field[1:])} DESC" if field.startswith("-") else column(field)


def _index(collection: Collection, kind: str, fields: Sequence[str]) -> str:
    return '"' + "_".join([f"c_{collection.name}", kind, *(field.lstrip("-") for field in fields)]) + '"'


def _term(condition: Condition) -> tuple[str, list[Any]]:
    expression = column(condition.field)
    if condition.operator == "in":
        values = [value for value in condition.value if value is not None]
        among = f"{expression} IN ({', '.join('?' * len(values))})"
        absent = f"({among} OR {expression} IS NULL)"
        return among if len(values) == len(condition.value) else absent, values
    if condition.operator == "=" and condition.value is None:
        return f"{expression} IS NULL", []
    return f"{expression} {condition.operator} ?", [condition.value]
