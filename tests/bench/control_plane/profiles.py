"""Where the time goes: what the event loop's thread does by group of functions, and what the other threads take."""

from __future__ import annotations

import cProfile
import pstats
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

GROUPS: Sequence[tuple[str, tuple[str, ...]]] = (
    ("waiting", ("'poll' of 'select.epoll'",)),
    ("Kafka: aiokafka and FastStream", ("/aiokafka/", "/faststream/", "/fast_depends/", "aiokafka.record")),
    ("messaging: relay, consumers, envelopes", ("/continuity/messaging/",)),
    ("documents", ("/continuity/documents/", "sqlite3", "/motor/", "/pymongo/", "bson")),
    ("JSON and pydantic", ("/json/", "pydantic", "_json")),
    ("protobuf and its conversion", ("/continuity/wire/", "/continuity/api/", "/google/protobuf/", "google._upb")),
    ("gRPC", ("/grpc/", "/continuity/rpc/", "grpc._cython")),
    ("objects and pictures", ("/continuity/objects/", "/continuity/compute/", "cv2", "/numpy/", "zlib")),
    ("telemetry", ("/opentelemetry/", "/continuity/telemetry/")),
    ("services: rules, handlers, adapters", ("/services/",)),
    ("sockets", ("_socket.socket", "/socket.py")),
    ("asyncio", ("/asyncio/", "_asyncio", "_contextvars", "/selectors.py", "/threading.py", "_thread", "/queue.py")),
)
OTHER = "the rest of Python"


@contextmanager
def profiled(path: Path | None) -> Iterator[None]:
    """Profile the calling thread into a file; nothing without one."""
    if path is None:
        yield
        return
    profile = cProfile.Profile()
    profile.enable()
    try:
        yield
    finally:
        profile.disable()
        profile.dump_stats(path)


def shares(path: Path) -> dict[str, float]:
    """Return each group's share of the time that the profiled thread was not waiting."""
    spent: Counter[str] = Counter()
    for (file, _, function), (_, _, own_s, _, _) in pstats.Stats(str(path)).stats.items():  # type: ignore[attr-defined]
        spent[_group(f"{file} {function}")] += own_s
    del spent["waiting"]
    total = sum(spent.values())
    return {group: own_s / total for group, own_s in spent.most_common()}


def _group(place: str) -> str:
    return next((group for group, marks in GROUPS if any(mark in place for mark in marks)), OTHER)
