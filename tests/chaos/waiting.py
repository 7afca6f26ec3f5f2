"""Waiting until nothing is left of something, within a limit."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Collection

from confluent_kafka import KafkaException
from minio.error import MinioException
from pymongo.errors import PyMongoError
from urllib3.exceptions import HTTPError

LOOK_S = 1.0
SILENT = (PyMongoError, KafkaException, MinioException, HTTPError, sqlite3.Error)


async def none_left(look: Callable[[], Collection[str]], limit_s: float) -> list[str]:
    """Return what is left when that is nothing, or when the limit is reached. ``look`` may block."""
    deadline = time.monotonic() + limit_s
    while True:
        left = await asyncio.to_thread(_looked, look)
        if not left or time.monotonic() > deadline:
            return left
        await asyncio.sleep(LOOK_S)


def _looked(look: Callable[[], Collection[str]]) -> list[str]:
    """A server that has just come back may not answer yet."""
    try:
        return sorted(look())
    except SILENT as error:
        return [str(error)]
