"""The baseline's five stages as Celery tasks: each writes its state durably before its message is acknowledged.

Runs in ``.venv-bench`` and imports nothing of the project. What it needs to know comes from the environment, because
Celery's workers import this module by name.
"""

from __future__ import annotations

import os
import sqlite3
import time
from functools import cache
from typing import Any

from celery import Celery, chain

PICTURE = bytes(8 * 8 * 3)

app = Celery("stages", broker=os.environ["BENCH_REDIS_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=16,
    worker_send_task_events=False,
    broker_connection_retry_on_startup=True,
    broker_transport_options={"visibility_timeout": 3_600},
)


@cache
def database() -> sqlite3.Connection:
    """Return this process's connection; a statement returns once it is on the disk."""
    connection = sqlite3.connect(os.environ["BENCH_DATABASE"], timeout=30.0, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS shots (id TEXT PRIMARY KEY, state TEXT, prompt TEXT, picture BLOB, time REAL)"
    )
    return connection


def move(shot_id: str, before: str, changes: dict[str, Any]) -> None:
    """Move a shot on from a state; a task that comes again finds it elsewhere and changes nothing."""
    fields = ", ".join(f"{name} = :{name}" for name in changes)
    values = {**changes, "id": shot_id, "before": before, "now": time.time()}
    database().execute(f"UPDATE shots SET {fields}, time = :now WHERE id = :id AND state = :before", values)


@app.task
def accept(shot_id: str) -> str:
    """Record the shot."""
    database().execute(
        "INSERT OR IGNORE INTO shots (id, state, time) VALUES (?, 'accepted', ?)", (shot_id, time.time())
    )
    return shot_id


@app.task
def build_prompt(shot_id: str) -> str:
    """Record the prompt."""
    move(shot_id, "accepted", {"state": "prompted", "prompt": f"wide shot of {shot_id}"})
    return shot_id


@app.task
def lease(shot_id: str) -> str:
    """Record that a worker has the shot."""
    move(shot_id, "prompted", {"state": "leased"})
    return shot_id


@app.task
def render(shot_id: str) -> str:
    """Record the picture that the null renderer gives at once."""
    move(shot_id, "leased", {"state": "rendered", "picture": PICTURE})
    return shot_id


@app.task
def finish(shot_id: str) -> None:
    """Record the end."""
    move(shot_id, "rendered", {"state": "finished"})


def stages() -> Any:
    """Return the chain that takes a shot through all stages."""
    return chain(accept.s(), build_prompt.s(), lease.s(), render.s(), finish.s())
