"""Tensors as Triton's gRPC messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from tritonclient.grpc import service_pb2
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor, triton_to_np_dtype

from continuity.inference.tensors import ModelSpec, Tensor, Tensors, TensorSpec

PRIORITY_PARAMETER = "job_priority"
"""Request parameter that carries the priority to the model; Triton keeps its own ``priority`` to itself."""


def encode(model: ModelSpec, inputs: Mapping[str, Tensor], *, request_id: str, priority: int) -> Any:
    """Return a ``ModelInferRequest`` whose last response is flagged, even when that response is empty."""
    request = service_pb2.ModelInferRequest(model_name=model.name, model_version=model.version, id=request_id)
    request.parameters["triton_enable_empty_final_response"].bool_param = True
    request.parameters[PRIORITY_PARAMETER].int64_param = priority
    for spec in model.inputs:
        if spec.name in inputs:
            array = inputs[spec.name]
            request.inputs.add(name=spec.name, datatype=spec.dtype, shape=array.shape)
            request.raw_input_contents.append(_raw(spec, array))
    return request


def decode(response: Any) -> Tensors:
    """Return the tensors of a ``ModelInferResponse`` by name; their arrays are read-only views of the message."""
    pairs = zip(response.outputs, response.raw_output_contents, strict=True)
    return {output.name: _array(output, raw) for output, raw in pairs}


def is_final(response: Any) -> bool:
    """Tell whether no response follows this one."""
    return bool(response.parameters["triton_final_response"].bool_param)


def _raw(spec: TensorSpec, array: Tensor) -> bytes:
    if spec.dtype != "BYTES":
        return array.tobytes()
    return bytes(serialize_byte_tensor(array).item()) if array.size else b""


def _array(output: Any, raw: bytes) -> Tensor:
    if output.datatype == "BYTES":
        flat: Tensor = deserialize_bytes_tensor(raw)
    else:
        flat = np.frombuffer(raw, dtype=triton_to_np_dtype(output.datatype))
    return flat.reshape(tuple(output.shape))
