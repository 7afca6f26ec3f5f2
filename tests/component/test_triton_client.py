import asyncio
import socket
from collections.abc import AsyncIterator

import pytest

from continuity.inference.client import MAX_MESSAGE_BYTES, TritonClient
from continuity.inference.errors import (
    MessageTooLarge,
    MissingTensor,
    OutputMismatch,
    RendererUnavailable,
    RenderRefused,
)
from continuity.inference.tensors import ModelSpec, TensorSpec
from tests.component.echo import answers, order

pytestmark = pytest.mark.triton


@pytest.fixture
async def client(triton_address: str) -> AsyncIterator[TritonClient]:
    async with TritonClient(triton_address) as client:
        yield client


async def test_steps_arrive_in_order_and_end_with_the_final_flag(client: TritonClient, echo: ModelSpec) -> None:
    responses = await answers(client, echo, order(b"echo", steps=7))
    assert [int(response["step"][0]) for response in responses] == list(range(1, 8))


async def test_bytes_survive_the_way_there_and_back(client: TritonClient, echo: ModelSpec) -> None:
    payload = [b"", b"\x00\xff\x00", "héros".encode(), bytes(3_000_000)]
    (response,) = await answers(client, echo, order(b"echo", *payload))
    assert list(response["payload"]) == payload


async def test_an_optional_input_may_stay_away(client: TritonClient, echo: ModelSpec) -> None:
    inputs = order(b"echo")
    del inputs["payload"]
    (response,) = await answers(client, echo, inputs)
    assert response["payload"].shape == (0,)


async def test_request_id_and_priority_reach_the_model(client: TritonClient, echo: ModelSpec) -> None:
    (response,) = await answers(client, echo, order(b"parameters"), request_id="job-7", priority=3)
    assert list(response["payload"]) == [b'{"job_priority": 3}', b"job-7"]


async def test_inputs_are_checked_before_anything_is_sent(echo: ModelSpec) -> None:
    inputs = order(b"echo")
    del inputs["steps"]
    async with TritonClient("127.0.0.1:1") as nobody:
        with pytest.raises(MissingTensor):
            await answers(nobody, echo, inputs)


@pytest.mark.parametrize(
    ("command", "text"), [(b"refuse", "the light falls from two suns"), (b"fail", "lens fell off")]
)
async def test_an_error_of_the_model_comes_with_its_text(
    client: TritonClient, echo: ModelSpec, command: bytes, text: str
) -> None:
    with pytest.raises(RenderRefused, match=text) as caught:
        await answers(client, echo, order(command))
    assert not caught.value.retryable


async def test_an_undeclared_answer_is_the_fault_of_the_model(client: TritonClient, echo: ModelSpec) -> None:
    fewer = ModelSpec(echo.name, echo.inputs, (TensorSpec("step", "INT32", (2,)), *echo.outputs[1:]))
    with pytest.raises(
        OutputMismatch, match=r"echo_stream.step: the model answered INT32 \[1\], declared is INT32 \[2\]"
    ):
        await answers(client, fewer, order(b"echo"))


async def test_concurrent_streams_keep_their_own_answers(client: TritonClient, echo: ModelSpec) -> None:
    names = [f"stream {number}".encode() for number in range(24)]
    results = await asyncio.gather(*(answers(client, echo, order(b"echo", name, steps=5)) for name in names))
    assert [[response["payload"][0] for response in responses] for responses in results] == [[n] * 5 for n in names]


async def test_a_message_beyond_the_limit_is_refused(client: TritonClient, echo: ModelSpec) -> None:
    with pytest.raises(MessageTooLarge):
        await answers(client, echo, order(b"echo", bytes(MAX_MESSAGE_BYTES)))


async def test_a_model_that_is_not_loaded_is_unavailable(client: TritonClient, echo: ModelSpec) -> None:
    with pytest.raises(RendererUnavailable, match="unknown model"):
        await answers(client, ModelSpec("absent", echo.inputs, echo.outputs), order(b"echo"))
    assert not await client.ready("absent")
    assert await client.ready(echo.name)


async def test_a_server_that_is_not_there_is_unavailable_and_not_ready(echo: ModelSpec) -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        async with TritonClient(f"127.0.0.1:{held.getsockname()[1]}") as nobody:
            assert not await nobody.ready(echo.name)
            with pytest.raises(RendererUnavailable) as caught:
                await answers(nobody, echo, order(b"echo"))
    assert caught.value.retryable
