"""What can go wrong between a request and its last response, sorted by whether trying again may help.

Errors of a model reach a stream as text without a status. The mode that adds one (header ``triton_grpc_error``) is not
used: in Triton 2.51 a model that answers with an error and then sends its final flag crashes the server.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import grpc

from continuity.kernel.errors import ContinuityError, Invalid, Late, Unavailable

_SERVER_TEXT = re.compile(r"(Stub process .* is not healthy|Request for unknown model|Server is stopping)")


@dataclass(eq=False)
class TensorMismatch(Invalid):
    """An input does not fit what the model declares."""

    template = "{model}.{tensor}: got {got}, expected {expected}"
    model: str
    tensor: str
    expected: str
    got: str


class UnknownTensor(TensorMismatch):
    """An input that the model does not have."""

    template = "{model}.{tensor}: no such input, expected one of {expected}"


class MissingTensor(TensorMismatch):
    """A required input is absent."""

    template = "{model}.{tensor}: missing, expected {expected}"


class WrongDatatype(TensorMismatch):
    """An input of another datatype."""


class WrongShape(TensorMismatch):
    """An input of another rank or size."""


@dataclass(eq=False)
class OutputMismatch(ContinuityError):
    """The model answered with a tensor that it does not declare so: a bug in the model, not in the request."""

    template = "{model}.{tensor}: the model answered {got}, declared is {expected}"
    model: str
    tensor: str
    expected: str
    got: str


@dataclass(eq=False)
class RendererUnavailable(Unavailable):
    """The server or the model's process is not there now."""

    template = "model {model} is not available: {detail}"
    model: str
    detail: str


@dataclass(eq=False)
class RenderLate(Late):
    """The last response did not come within the time given."""

    template = "model {model} did not finish within {timeout_s} s"
    model: str
    timeout_s: float


@dataclass(eq=False)
class RenderCancelled(ContinuityError):
    """The server gave the request up; a caller who cancels sees ``asyncio.CancelledError`` instead."""

    template = "model {model} cancelled the request: {detail}"
    model: str
    detail: str


@dataclass(eq=False)
class RenderRefused(Invalid):
    """The model answered this request with an error of its own."""

    template = "model {model} refused the request: {detail}"
    model: str
    detail: str


@dataclass(eq=False)
class MessageTooLarge(Invalid):
    """A request or response is larger than one message may be."""

    template = "model {model}: a message is larger than {limit_bytes} bytes: {detail}"
    model: str
    limit_bytes: int
    detail: str


@dataclass(eq=False)
class TritonMissing(ContinuityError):
    """Triton is not installed in this checkout."""

    template = "Triton is not installed: {missing} does not exist; install it with: {remedy}"
    missing: str
    remedy: str = "make triton"


@dataclass(eq=False)
class EngineMissing(TritonMissing):
    """What the SDXL renderers need besides Triton is not installed in this checkout."""

    template = "the diffusion engine is not installed: {missing} does not exist; install it with: {remedy}"
    remedy: str = "python3 -m deploy.local.set_up engine"


@dataclass(eq=False)
class TinyModelUnmade(Unavailable):
    """The weights of ``sdxl-tiny`` could not be generated."""

    template = "sdxl-tiny could not be generated in {folder}: {cause}"
    folder: str
    cause: str


@dataclass(eq=False)
class TritonStartFailed(Unavailable):
    """The server did not become ready; ``log_tail`` holds its last words."""

    template = "Triton did not start: {detail}\n{log_tail}"
    detail: str
    log_tail: str


def from_response(model: str, text: str) -> ContinuityError:
    """Return the error that a response's ``error_message`` stands for."""
    if _SERVER_TEXT.match(text):
        return RendererUnavailable(model, text)
    return RenderRefused(model, text)


def from_status(model: str, error: grpc.aio.AioRpcError, *, timeout_s: float, limit_bytes: int) -> ContinuityError:
    """Return the error that a stream's gRPC status stands for; what is not known to be final counts as unavailable."""
    detail = error.details() or error.code().name
    match error.code():
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return RenderLate(model, timeout_s)
        case grpc.StatusCode.CANCELLED:
            return RenderCancelled(model, detail)
        case grpc.StatusCode.RESOURCE_EXHAUSTED:
            return MessageTooLarge(model, limit_bytes, detail)
        case grpc.StatusCode.INVALID_ARGUMENT | grpc.StatusCode.UNIMPLEMENTED:
            return RenderRefused(model, detail)
    return RendererUnavailable(model, detail)
