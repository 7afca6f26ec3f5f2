"""Spans. Where nobody wants them they cost a comparison, and a trace that comes in still goes on.

Spans carry ids, sizes, counts and names of types. What users wrote (prompts, names, file names) and the text of errors,
which may quote it, are not among them unless the operator asked for content.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span, StatusCode

from continuity.kernel.errors import ContinuityError
from continuity.telemetry.names import CONTENT, ERROR_TYPE, Operation
from continuity.telemetry.propagation import context_of, continuing
from continuity.telemetry.providers import Attributes, content_wanted, tracer

MAX_CONTENT = 4_096
_NO_SPAN: AbstractContextManager[Span] = nullcontext(INVALID_SPAN)


def span(
    operation: Operation, subject: str = "", attributes: Attributes | None = None, *, parent: str | None = None
) -> AbstractContextManager[Span]:
    """Run what is inside as a span below ``parent`` (a traceparent), else below the current one.

    An exception that leaves it marks it as failed, by its reason.
    """
    if tracer() is not None:
        return _current(operation, subject, attributes, parent)
    return _NO_SPAN if parent is None else _passing(parent)


def begin(
    operation: Operation, subject: str = "", attributes: Attributes | None = None, *, parent: str | None = None
) -> Span:
    """Begin a span that is not made the current one; the caller judges and ends it.

    That is for generators, too: what is current inside of one is so for whoever iterates it.
    """
    wanted = tracer()
    if wanted is None:
        return INVALID_SPAN
    name = operation.name.format(subject)
    return wanted.start_span(name, context=context_of(parent), kind=operation.kind, attributes=attributes)


def current(begun: Span) -> AbstractContextManager[Span]:
    """Make a span the current one, and end it at the end."""
    return trace.use_span(begun, end_on_exit=True, record_exception=False, set_status_on_exception=False)


def fail(failed: Span, reason: str) -> None:
    """Mark a span as failed. ``reason`` is for machines."""
    failed.set_status(StatusCode.ERROR)
    failed.set_attribute(ERROR_TYPE, reason)


def reason_of(error: BaseException) -> str:
    """Return what a machine may know of an error: our reason, else the name of its type."""
    return error.reason if isinstance(error, ContinuityError) else type(error).__qualname__


def note_content(noted: Span, message: Message) -> None:
    """Put the beginning of a message on a span, if the operator asked for content; bytes are left out."""
    if content_wanted() and noted.is_recording():
        noted.set_attribute(CONTENT, _text(message)[:MAX_CONTENT])


@contextmanager
def _current(operation: Operation, subject: str, attributes: Attributes | None, parent: str | None) -> Iterator[Span]:
    with current(begin(operation, subject, attributes, parent=parent)) as begun:
        try:
            yield begun
        except Exception as error:  # a cancellation is none
            fail(begun, reason_of(error))
            raise


@contextmanager
def _passing(parent: str) -> Iterator[Span]:
    with continuing(parent):
        yield INVALID_SPAN


def _text(message: Message) -> str:
    kept = type(message)()
    kept.CopyFrom(message)
    for field, _ in message.ListFields():
        if field.type == field.TYPE_BYTES:
            kept.ClearField(field.name)
    return MessageToJson(kept, indent=None)
