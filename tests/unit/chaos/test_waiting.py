from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from confluent_kafka import KafkaError, KafkaException
from minio.error import InvalidResponseError, S3Error, ServerError
from pymongo.errors import AutoReconnect
from urllib3 import HTTPResponse
from urllib3.exceptions import ProtocolError

from tests.chaos import waiting
from tests.chaos.waiting import none_left

HICCUPS = [
    AutoReconnect("not now"),
    KafkaException(KafkaError(KafkaError._TRANSPORT)),
    S3Error(HTTPResponse(), "SlowDown", "not now", "r", "r", "h"),
    ServerError("not now", 503),
    InvalidResponseError(503, "text/html", "not now"),
    ProtocolError("not now"),
    sqlite3.OperationalError("not now"),
]


@pytest.mark.parametrize("hiccup", HICCUPS, ids=lambda each: type(each).__name__)
async def test_a_store_that_does_not_answer_for_a_moment_is_asked_again(
    hiccup: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "LOOK_S", 0.0)
    answers: Iterator[Exception | list[str]] = iter([hiccup, ["1 job"], []])

    def look() -> list[str]:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert await none_left(look, limit_s=60) == []
    assert not list(answers)


async def test_what_is_left_at_the_limit_is_told() -> None:
    assert await none_left(lambda: {"b", "a"}, limit_s=0) == ["a", "b"]
