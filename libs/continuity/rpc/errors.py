"""The one table from errors to gRPC status, and the rich status that every error carries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import code_pb2, error_details_pb2, status_pb2
from grpc_status import rpc_status

from continuity.kernel.errors import (
    Absent,
    Conflict,
    ContinuityError,
    Damaged,
    Exists,
    Full,
    Invalid,
    InvalidValue,
    Late,
    NotAllowed,
    Unavailable,
    WrongState,
)
from continuity.kernel.text import cut_to_bytes
from continuity.wire.rules import MAX_TEXT

if TYPE_CHECKING:
    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
else:
    Context = grpc.aio.ServicerContext

DOMAIN = "continuity"
MAX_VIOLATIONS = 20
MESSAGE_BYTES = 600
METADATA_BYTES = 1_200
VIOLATIONS_BYTES = 2_000
"""A status travels in headers, of which gRPC takes 8 KiB: all that is said of an error must stay below that.

Of the message each byte may take three there and four thirds among the details, in which all else is.
"""

STATUS: dict[type[ContinuityError], grpc.StatusCode] = {
    Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    Absent: grpc.StatusCode.NOT_FOUND,
    Exists: grpc.StatusCode.ALREADY_EXISTS,
    WrongState: grpc.StatusCode.FAILED_PRECONDITION,
    Conflict: grpc.StatusCode.ABORTED,
    Full: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Unavailable: grpc.StatusCode.UNAVAILABLE,
    Late: grpc.StatusCode.DEADLINE_EXCEEDED,
    NotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    Damaged: grpc.StatusCode.DATA_LOSS,
}


def status_code(error: ContinuityError) -> grpc.StatusCode:
    """Return the status of the error's category; INTERNAL where it has none."""
    return next((code for kind, code in STATUS.items() if isinstance(error, kind)), grpc.StatusCode.INTERNAL)


def rich_status(error: ContinuityError) -> status_pb2.Status:
    """Return the error as ``google.rpc.Status`` with ``ErrorInfo`` and what else fits."""
    text = cut_to_bytes(str(error), MAX_TEXT)
    packed = [_packed(_error_info(error.reason, error.metadata()))]
    if isinstance(error, InvalidValue):
        packed.append(_packed(bad_request([(error.field, text)])))
    if isinstance(error, Full):
        packed.append(_packed(error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_after_s))))
    return status_pb2.Status(code=status_code(error).value[0], message=text, details=packed)


def bad_request(violations: list[tuple[str, str]]) -> error_details_pb2.BadRequest:
    """Return the first fields and what is wrong with each, as far as they fit."""
    told, room = [], VIOLATIONS_BYTES
    for field, text in violations[:MAX_VIOLATIONS]:
        name, description = cut_to_bytes(field, MAX_TEXT), cut_to_bytes(text, MAX_TEXT)
        room -= len(name.encode()) + len(description.encode())
        if room < 0:
            break
        told.append(error_details_pb2.BadRequest.FieldViolation(field=name, description=description))
    return error_details_pb2.BadRequest(field_violations=told)


def invalid_request(violations: list[tuple[str, str]], value: str) -> status_pb2.Status:
    """Return INVALID_ARGUMENT for a request that breaks the rules of its proto; ``value`` is the first field's."""
    field, limit = violations[0]
    text = "; ".join(f"{field}: {problem}" for field, problem in violations[:MAX_VIOLATIONS])
    more = f" (and {len(violations) - MAX_VIOLATIONS} more)" if len(violations) > MAX_VIOLATIONS else ""
    info = _error_info("INVALID_VALUE", {"field": field, "value": value, "limit": limit})
    return status_pb2.Status(
        code=code_pb2.INVALID_ARGUMENT,
        message=cut_to_bytes(text, MESSAGE_BYTES) + more,
        details=[_packed(info), _packed(bad_request(violations))],
    )


def opaque_status(trace_id: str) -> status_pb2.Status:
    """Return INTERNAL with nothing in it but the id under which the log tells more."""
    info = error_details_pb2.ErrorInfo(reason="INTERNAL", domain=DOMAIN, metadata={"trace_id": trace_id})
    text = f"internal error; the log tells more under {trace_id}"
    return status_pb2.Status(code=code_pb2.INTERNAL, message=text, details=[_packed(info)])


async def abort(context: Context, status: status_pb2.Status) -> NoReturn:
    """End the call with a rich status."""
    wire = rpc_status.to_status(status)
    await context.abort(wire.code, wire.details, wire.trailing_metadata)
    raise AssertionError("abort always raises")


def _error_info(reason: str, metadata: Mapping[str, str]) -> error_details_pb2.ErrorInfo:
    """Return the reason with the values that fit."""
    told, room = {}, METADATA_BYTES
    for name, value in metadata.items():
        told[name] = cut_to_bytes(value, min(MAX_TEXT, max(0, room)))
        room -= len(name) + len(told[name].encode())
    return error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=told)


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration


def _packed(detail: object) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)  # type: ignore[arg-type]
    return packed
