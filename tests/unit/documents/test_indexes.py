"""Every query that the services make of their documents is served by an index, in MongoDB and in SQLite.

The repositories are driven by the types of their methods' parameters, so a new query is looked at without being named.
"""

import inspect
import itertools
import pkgutil
import sqlite3
from dataclasses import dataclass
from importlib import import_module
from typing import Any, get_args, get_type_hints
from unittest.mock import Mock

import pytest

import services
from continuity.documents import Collection, Condition, Document, DocumentMissing, Page, at_most, equal, one_of
from continuity.documents.mongo.outboxes import DUE_ORDER, due_at
from continuity.documents.mongo.query import Index, filtering, indexes, sorting
from continuity.documents.paging import page_token, stretches
from continuity.documents.sqlite.query import counted, schema, select, taken_over
from continuity.kernel.errors import ContinuityError
from continuity.messaging.held_events import HeldEvents
from continuity.messaging.repository import Aggregates
from continuity.objects.memory import InMemoryObjectStore

FILTERED = {
    # Which fields may be looked at in the documents that an index finds, and why those are few.
    ("characters", "body.state"): "characters that are deleted are few beside those that live",
    ("locations", "body.deleted"): "likewise",
    ("jobs", "body.state"): "a submission has at most 2,000 jobs",
}
ARGUMENTS: dict[Any, tuple[Any, ...]] = {
    str: ("x", ""),
    int: (7,),
    float: (7.0,),
    bool: (True,),
    type(None): (None,),
}
"""What query methods are called with: every combination, for an empty string often means that all are asked for."""


@dataclass(frozen=True)
class Query:
    """One look-up: ``order`` is None where documents are counted."""

    collection: Collection
    where: tuple[Condition, ...]
    project: str | None
    order: tuple[str, ...] | None

    def filters(self) -> list[dict[str, Any]]:
        return [filtering(self.collection, self.where, self.project, bounds) for bounds in self.bounds()]

    def statements(self) -> list[tuple[str, list[Any]]]:
        if self.order is None:
            return [counted(self.collection, self.where, self.project, 1_000)]
        asked = (self.collection, self.where, self.project, self.order)
        return [select(*asked, limit=50, bounds=bounds) for bounds in self.bounds()]

    def bounds(self) -> list[list[Any]]:
        """Return the bounds of a first page and of a later one."""
        if self.order is None:
            return [[]]
        body = {field.lstrip("-"): 7 for field in self.order}
        token = page_token(self.collection, self.order, Document("x", "x", 1, body))
        return [[], *stretches(self.collection, self.where, self.project, self.order, token)]


class Recorder:
    """A store without documents that notes what is asked of it."""

    def __init__(self) -> None:
        self.queries: dict[Query, None] = {}

    def note(self, collection, where, project, order):
        plain = tuple(Condition(each.field, each.operator, _plain(each.value)) for each in where)
        self.queries[Query(collection, plain, project, order)] = None

    async def page(self, collection, where=(), *, project, order=(), limit=50, token=""):
        self.note(collection, where, project, tuple(order))
        return Page((), "")

    async def count(self, collection, where, *, project, limit=None):
        self.note(collection, where, project, None)
        return 1

    async def claim(self, collection, where, order, changes):
        self.note(collection, where, None, tuple(order))

    async def claim_several(self, collection, where, order, changes, limit):
        self.note(collection, where, None, tuple(order))
        return []

    async def several(self, collection, project, ids):
        return {}

    async def get(self, collection, project, id):
        raise DocumentMissing(collection.name, id)

    async def insert(self, collection, document, events=(), owner=""):
        return

    async def outbox(self, ref, owner=None):
        return ()


def _plain(value):
    return tuple(value) if isinstance(value, (set, frozenset, list, tuple)) else value


def repositories():
    """Return each class over ``Aggregates`` and the collections of its module."""
    for service in pkgutil.iter_modules(services.__path__):
        folder = f"services.{service.name}.adapters"
        try:
            adapters = import_module(folder)
        except ModuleNotFoundError:
            continue
        for found in pkgutil.iter_modules(adapters.__path__):
            if not found.name.startswith("stored_"):
                continue
            module = import_module(f"{folder}.{found.name}")
            collections = [each for each in vars(module).values() if isinstance(each, Collection)]
            for name, kind in inspect.getmembers(module, inspect.isclass):
                if name.startswith("Stored") and kind.__module__ == module.__name__ and collections:
                    yield kind, collections


def arguments(method):
    """Return the values to call a method with; None for one that writes a given document, which is found by its id."""
    hints = get_type_hints(method)
    hints.pop("return", None)
    values = [candidates(hint) for hint in hints.values()]
    return None if None in values else itertools.product(*values)


def candidates(hint):
    if hint in ARGUMENTS:
        return ARGUMENTS[hint]
    name = getattr(hint, "__name__", str(hint))
    if name == "Job":
        return (Mock(queue_key=7, priority=7, state="ready", renderer="x"),)
    if name in {"Collection", "Sequence", "Set", "list"}:
        (element,) = get_args(hint)
        return ([*ARGUMENTS[element]],) if element in ARGUMENTS else None
    if type(None) in get_args(hint):
        return [value for each in get_args(hint) for value in candidates(each) or ()]
    return None


async def recorded():
    recorder = Recorder()
    for kind, collections in repositories():
        repository = kind(*_given(kind, collections, recorder))
        for name, method in inspect.getmembers(repository, inspect.iscoroutinefunction):
            if not name.startswith("_"):
                for values in arguments(method) or ():
                    await _asked(method, values)
    held = HeldEvents(recorder, "cutting")
    await held.last_in(["x"])
    await held.full()
    await held.waiting("x")
    await held.claim()
    await held.first_in("x")
    await held.sweep()
    await held.list()
    return list(recorder.queries)


def _given(kind, collections, recorder):
    """Yield what it is made of: collections in the order of its parameters, a name, empty files, and mere mocks."""
    over = iter([Aggregates(Any, each, recorder, Mock(), Mock()) for each in collections])
    for parameter in inspect.signature(kind).parameters.values():
        if parameter.annotation.startswith("Aggregates"):
            yield next(over)
        elif parameter.annotation == "str | None":
            yield "x"
        else:
            yield InMemoryObjectStore() if parameter.annotation == "ObjectStore" else Mock()


async def _asked(method, values):
    try:
        await method(*values)
    except ContinuityError:
        return  # it looked, there was nothing


def filtered(index: Index, filter: dict[str, Any], order: list[tuple[str, int]]) -> set[str] | None:
    """Return the fields that are looked at in what the index finds; None when it does not serve.

    It serves when its keys begin with fields that are asked to be equal, and go on with those of the order, all of them
    in its direction or all against it. What is equal has no order. A bound limits the walk where its key comes next.
    """
    terms = [item for each in filter.get("$and", [filter]) for item in each.items()]
    equal = {path for path, term in terms if "$eq" in term} | {
        path for path, term in terms if "$in" in term and not order
    }
    keys = list(index.keys)
    if index.sparse and keys[0][0] not in dict(terms):
        return None
    if index.unique and keys[0][0] in equal:
        return set()
    found = set()
    while keys and keys[0][0] in equal:
        found.add(keys.pop(0)[0])
    ordered = [key for key in order if key[0] not in equal]
    walked = [key for key in keys if key[0] not in equal]
    against = [(path, -direction) for path, direction in walked]
    if ordered not in (walked[: len(ordered)], against[: len(ordered)]):
        return None
    bounded = {path for path, _ in walked[:1]}
    return {path for path, _ in terms} - found - bounded


def least_filtered(query: Query, filter: dict[str, Any]) -> set[str] | None:
    order = [] if query.order is None else sorting(query.order)
    outcomes = [filtered(index, filter, order) for index in indexes(query.collection)]
    return min((each for each in outcomes if each is not None), key=len, default=None)


async def test_every_query_is_served_by_an_index_of_mongodb():
    missing = []
    for query in await recorded():
        for filter in query.filters():
            left = least_filtered(query, filter)
            if left is None or any((query.collection.name, path) not in FILTERED for path in left):
                missing.append(f"{query.collection.name} {filter} in the order {query.order} leaves {left}")
    assert not missing, "\n".join(missing)


async def test_every_query_is_served_by_an_index_of_sqlite():
    connection = sqlite3.connect(":memory:")
    slow = []
    queries = await recorded()
    for collection in {query.collection for query in queries}:
        for statement in schema(collection).values():
            connection.execute(statement)
    for query in queries:
        for sql, parameters in query.statements():
            plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
            looks = any("SEARCH" in step for step in plan) or not (query.where or query.project)
            if not looks or any("TEMP B-TREE" in step for step in plan):
                slow.append(f"{sql}\n    {plan}")
    assert not slow, "\n".join(slow)


def test_due_outboxes_are_found_by_an_index():
    collection = Collection("shots")
    for part in due_at(7.0, 99.0)["$or"]:  # MongoDB merges walks that are in the order already
        assert filtered(indexes(collection)[0], part, DUE_ORDER) == set()
    connection = sqlite3.connect(":memory:")
    for statement in schema(collection).values():
        connection.execute(statement)
    for sql in taken_over(collection):
        plan = [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", (9.0, "me", 7.0, 5))]
        assert any("SEARCH c_shots USING COVERING INDEX c_shots_outbox" in step for step in plan), plan
        assert not any("TEMP B-TREE" in step for step in plan)


@pytest.mark.parametrize(
    ("where", "order"),
    [([equal("state", "x")], []), ([], ["-queue_key"]), ([at_most("lease_until", 7)], ["queue_key"]),
     ([equal("state", "x")], ["lease_until"]), ([one_of("state", ("x", "y"))], ["queue_key"])],
)  # fmt: skip
def test_the_rule_sees_that_an_index_is_missing(where, order):
    query = Query(Collection("shots", indexes=(("state", "queue_key"),)), tuple(where), None, tuple(order))
    assert least_filtered(query, query.filters()[0]) != set()


@pytest.mark.parametrize(
    ("where", "project", "order"),
    [([equal("state", "x")], None, ["queue_key"]), ([equal("state", "x")], None, ["-queue_key"]),
     ([equal("state", "x"), at_most("queue_key", 7)], None, ["-queue_key"]),
     ([equal("state", "x")], "p", []), ([equal("slate", "1A")], "p", []), ([], "p", ["state"]),
     ([one_of("state", ("x", "y"))], None, None)],
)  # fmt: skip
def test_the_rule_sees_that_an_index_serves(where, project, order):
    served = Collection("shots", unique=(("slate",),), indexes=(("state", "-queue_key"),), listings=(("state",),))
    query = Query(served, tuple(where), project, None if order is None else tuple(order))
    assert least_filtered(query, query.filters()[0]) == set()
