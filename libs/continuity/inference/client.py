"""Requests to Triton over gRPC: one stream per request, so that cancelling a request ends its stream and nothing else.

tritonclient's own asyncio client cannot ask for the final flag, so its generated stub is used directly.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from types import TracebackType
from typing import Any, Self

import grpc
from tritonclient.grpc import service_pb2, service_pb2_grpc

from continuity.inference.errors import RendererUnavailable, from_response, from_status
from continuity.inference.tensors import ModelSpec, Tensor, Tensors, check_inputs, check_outputs
from continuity.inference.wire import decode, encode, is_final
from continuity.kernel.errors import ContinuityError
from continuity.telemetry.names import MODEL, SERVER_ADDRESS, SERVER_PORT
from continuity.telemetry.rpc import OutgoingCall

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
READY_TIMEOUT_S = 1.0
_STREAM = f"{service_pb2.DESCRIPTOR.services_by_name['GRPCInferenceService'].full_name}/ModelStreamInfer"
_CHANNEL_OPTIONS = (
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    # A restarted server must be found again in about a second, not after gRPC's default of up to two minutes.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.enable_http_proxy", 0),
    # A host that vanished is noticed though an answer may take an hour. Servers take it ill to be asked more often.
    ("grpc.keepalive_time_ms", 310_000),
    ("grpc.keepalive_timeout_ms", 20_000),
)


class TritonClient:
    """Speaks to the Triton at ``address`` (``host:port``), which may go and come back; never retries by itself."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)
        self._stub: Any = service_pb2_grpc.GRPCInferenceServiceStub(self._channel)
        host, _, port = address.rpartition(":")
        self._server: dict[str, str | int] = {SERVER_ADDRESS: host, SERVER_PORT: int(port)}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def stream(
        self, model: ModelSpec, inputs: Mapping[str, Tensor], *, request_id: str, timeout_s: float, priority: int = 0
    ) -> AsyncGenerator[Tensors, None]:
        """Yield the outputs of every response, in order, until the final one; all within ``timeout_s``.

        Closing the generator (``contextlib.aclosing``) or cancelling the task that iterates it cancels the request,
        and the model sees that. A higher ``priority`` is more urgent; the model reads it as ``PRIORITY_PARAMETER``.

        Raises ``TensorMismatch``, ``RendererUnavailable``, ``RenderLate``, ``RenderRefused``, ``RenderCancelled``,
        ``MessageTooLarge`` or ``OutputMismatch``.
        """
        check_inputs(model, inputs)
        request = encode(model, inputs, request_id=request_id, priority=priority)
        traced = OutgoingCall(_STREAM, {MODEL: model.name, **self._server})
        call = self._stub.ModelStreamInfer(iter((request,)), timeout=timeout_s, metadata=traced.metadata)
        failure: ContinuityError | None = None
        final = False
        status = grpc.StatusCode.CANCELLED
        try:
            # Read on to the end even after the final flag or an error: a cancellation that meets a response on its way
            # out may crash Triton 2.51 (server pull request 7840), so only callers who leave early cancel.
            async for message in call:
                if message.error_message:
                    failure = failure or from_response(model.name, message.error_message)
                elif message.infer_response.outputs:
                    outputs = decode(message.infer_response)
                    check_outputs(model, outputs)
                    yield outputs
                final = final or is_final(message.infer_response)
            status = grpc.StatusCode.OK
        except grpc.aio.AioRpcError as error:
            status = error.code()
            failure = failure or from_status(model.name, error, timeout_s=timeout_s, limit_bytes=MAX_MESSAGE_BYTES)
        finally:
            call.cancel()
            traced.end(status.name, failure.reason if failure else "")
        if failure:
            raise failure
        if not final:
            raise RendererUnavailable(model.name, "the stream ended before the final response")

    async def ready(self, model: str) -> bool:
        """Tell whether the server calls ``model`` loaded; it still does when the model's interpreter is dead."""
        try:
            request = service_pb2.ModelReadyRequest(name=model)
            return bool((await self._stub.ModelReady(request, timeout=READY_TIMEOUT_S)).ready)
        except grpc.aio.AioRpcError:
            return False

    async def close(self) -> None:
        """End every stream and close the connection."""
        await self._channel.close()
