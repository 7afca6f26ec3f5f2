"""What can go wrong for a caller of the services."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from grpc_status import rpc_status

from continuity.kernel.errors import Absent, Late, Unavailable
from continuity.rpc.errors import DOMAIN

D = TypeVar("D", bound=Message)


@dataclass(eq=False)
class CallFailed(Exception):
    """A service refused a call, or none answered.

    ``reason`` and ``metadata`` are those of the service's ``google.rpc.ErrorInfo``; where no service of ours spoke, the
    reason is the name of the status and ``told`` is false. ``retry_after_s`` is the wait that a service which is full
    has asked for.
    """

    status: grpc.StatusCode
    reason: str
    message: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after_s: float | None = None
    told: bool = False

    def __str__(self) -> str:
        return self.message


@dataclass(eq=False)
class CharacterGone(Absent):
    """A character was deleted while somebody waited for it."""

    template = "character {character_id} was deleted before it was ready"
    character_id: str


@dataclass(eq=False)
class CharacterNotReady(Late):
    """Analysis and matting of a character took longer than somebody would wait."""

    template = "character {character_id} was not ready within {timeout_s:g} s"
    character_id: str
    timeout_s: float


@dataclass(eq=False)
class KeyframeDamaged(Unavailable):
    """The bytes that arrived are not those that the job points at."""

    template = "the keyframe of job {job_id} has SHA-256 {actual_sha256}, not {expected_sha256}"
    job_id: str
    expected_sha256: str
    actual_sha256: str


def call_failed(error: grpc.aio.AioRpcError) -> CallFailed:
    """Return the error with what its trailing metadata tells."""
    message = error.details() or error.code().name
    retry_after_s = next((each.retry_delay.ToNanoseconds() / 1e9 for each in _details(error, RetryInfo)), None)
    for info in _details(error, ErrorInfo):
        if info.domain == DOMAIN:
            return CallFailed(error.code(), info.reason, message, dict(info.metadata), retry_after_s, told=True)
    return CallFailed(error.code(), error.code().name, message, retry_after_s=retry_after_s)


def _details(error: grpc.aio.AioRpcError, kind: type[D]) -> Iterator[D]:
    try:
        status = rpc_status.from_call(error)  # type: ignore[arg-type]  # it has all that is asked of a call
    except ValueError:  # the trailing metadata contradict the status: believe the status
        return
    for packed in status.details if status else ():
        detail = kind()
        if packed.Unpack(detail):
            yield detail
