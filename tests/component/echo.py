"""Requests to the tests' own model."""

from __future__ import annotations

from contextlib import aclosing

import numpy as np

from continuity.inference.client import TritonClient
from continuity.inference.tensors import ModelSpec, Tensors, bytes_tensor


def order(command: bytes, *payload: bytes, steps: int = 1) -> Tensors:
    return {"command": bytes_tensor(command), "steps": np.array([steps], np.int32), "payload": bytes_tensor(*payload)}


async def answers(client: TritonClient, model: ModelSpec, inputs: Tensors, **options: object) -> list[Tensors]:
    options = {"request_id": "request", "timeout_s": 20.0} | options
    async with aclosing(client.stream(model, inputs, **options)) as responses:  # type: ignore[arg-type]
        return [response async for response in responses]
