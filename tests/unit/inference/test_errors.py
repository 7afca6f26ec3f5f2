import grpc
import pytest
from grpc.aio import AioRpcError, Metadata

from continuity.inference.errors import (
    MessageTooLarge,
    RenderCancelled,
    RendererUnavailable,
    RenderLate,
    RenderRefused,
    from_response,
    from_status,
)
from continuity.kernel.errors import ContinuityError, Invalid, Late, Unavailable


@pytest.mark.parametrize(
    ("status", "error", "category", "retryable"),
    [
        (grpc.StatusCode.DEADLINE_EXCEEDED, RenderLate, Late, True),
        (grpc.StatusCode.CANCELLED, RenderCancelled, ContinuityError, False),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, MessageTooLarge, Invalid, False),
        (grpc.StatusCode.INVALID_ARGUMENT, RenderRefused, Invalid, False),
        (grpc.StatusCode.UNAVAILABLE, RendererUnavailable, Unavailable, True),
        (grpc.StatusCode.UNKNOWN, RendererUnavailable, Unavailable, True),
    ],
)
def test_a_status_becomes_an_error_that_knows_whether_to_retry(
    status: grpc.StatusCode, error: type[ContinuityError], category: type[ContinuityError], retryable: bool
) -> None:
    mapped = from_status("previz", AioRpcError(status, Metadata(), Metadata(), "why"), timeout_s=3, limit_bytes=64)
    assert type(mapped) is error
    assert isinstance(mapped, category)
    assert mapped.retryable is retryable
    assert "previz" in str(mapped)


@pytest.mark.parametrize(
    "text",
    ["Stub process 'previz_0_0' is not healthy.", "Request for unknown model: 'previz' is not found"],
)
def test_a_text_of_the_server_itself_means_unavailable(text: str) -> None:
    assert from_response("previz", text).retryable


def test_a_text_of_the_model_means_refused_even_when_it_speaks_of_health() -> None:
    error = from_response("previz", "the figure is not healthy")
    assert isinstance(error, RenderRefused)
    assert str(error) == "model previz refused the request: the figure is not healthy"
