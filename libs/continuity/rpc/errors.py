"""The one table from errors to gRPC status, and the rich status that every error carries."""

from __future__ import annotations

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

if TYPE_CHECKING:
    Context: TypeAlias = grpc.aio.ServicerContext[Any, Any]
else:
    Context = grpc.aio.ServicerContext

DOMAIN = "continuity"
MAX_TEXT = 300
MAX_VIOLATIONS = 20
"""A status travels in headers, of which gRPC takes 8 KiB: all that is said of an error must stay below that."""

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
    text = str(error)[:MAX_TEXT]
    details = [error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN, metadata=error.metadata())]
    packed = [_packed(detail) for detail in details]
    if isinstance(error, InvalidValue):
        packed.append(_packed(bad_request([(error.field, text)])))
    if isinstance(error, Full):
        packed.append(_packed(error_details_pb2.RetryInfo(retry_delay=_duration(error.retry_after_s))))
    return status_pb2.Status(code=status_code(error).value[0], message=text, details=packed)


def bad_request(violations: list[tuple[str, str]]) -> error_details_pb2.BadRequest:
    """Return the first fields and what is wrong with each."""
    return error_details_pb2.BadRequest(
        field_violations=[
            error_details_pb2.BadRequest.FieldViolation(field=field, description=text[:MAX_TEXT])
            for field, text in violations[:MAX_VIOLATIONS]
        ]
    )


def invalid_request(violations: list[tuple[str, str]], value: str) -> status_pb2.Status:
    """Return INVALID_ARGUMENT for a request that breaks the rules of its proto; ``value`` is the first field's."""
    field, limit = violations[0]
    metadata = {"field": field, "value": value[:MAX_TEXT], "limit": limit[:MAX_TEXT]}
    info = error_details_pb2.ErrorInfo(reason="INVALID_VALUE", domain=DOMAIN, metadata=metadata)
    text = "; ".join(f"{field}: {problem}" for field, problem in violations[:MAX_VIOLATIONS])
    more = f" (and {len(violations) - MAX_VIOLATIONS} more)" if len(violations) > MAX_VIOLATIONS else ""
    return status_pb2.Status(
        code=code_pb2.INVALID_ARGUMENT,
        message=text[:1_000] + more,
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


def _duration(seconds: float) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration


def _packed(detail: object) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)  # type: ignore[arg-type]
    return packed
