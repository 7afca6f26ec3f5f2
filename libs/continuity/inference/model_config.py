"""A model's ``config.pbtxt`` read as the ``ModelSpec`` that it declares."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

from continuity.inference.tensors import Datatype, ModelSpec, TensorSpec


def read_config(path: Path) -> Any:
    """Return the ``model_config_pb2.ModelConfig`` in ``path``; raises ``text_format.ParseError`` where it is none."""
    return text_format.Parse(path.read_text(encoding="utf-8"), model_config_pb2.ModelConfig())


def declared_spec(config: Any) -> ModelSpec:
    """Return what a ``ModelConfig`` without batching declares, tensors in its order."""
    return ModelSpec(config.name, inputs=_specs(config.input), outputs=_specs(config.output))


def _specs(tensors: Iterable[Any]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(tensor.name, _datatype(tensor), tuple(tensor.dims), optional=getattr(tensor, "optional", False))
        for tensor in tensors
    )


def _datatype(tensor: Any) -> Datatype:
    name = model_config_pb2.DataType.Name(tensor.data_type).removeprefix("TYPE_")
    return cast("Datatype", "BYTES" if name == "STRING" else name)
