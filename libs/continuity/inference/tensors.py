"""What a model takes and gives, declared once and checked before anything is sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from tritonclient.utils import np_to_triton_dtype

from continuity.inference.errors import MissingTensor, OutputMismatch, UnknownTensor, WrongDatatype, WrongShape

Tensor = NDArray[Any]
Tensors = dict[str, Tensor]
Datatype = Literal[
    "BOOL", "UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"
]


@dataclass(frozen=True)
class TensorSpec:
    """One tensor: Triton's datatype (``BYTES`` is an object array of ``bytes``) and its shape, -1 for any size."""

    name: str
    dtype: Datatype
    shape: tuple[int, ...]
    optional: bool = False

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"

    def takes_type_of(self, array: Tensor) -> bool:
        """Tell whether the datatype fits; NumPy's ``S`` does not, because it drops trailing zero bytes."""
        if self.dtype == "BYTES":
            return array.dtype == np.object_ and all(isinstance(item, bytes) for item in array.flat)
        return bool(np_to_triton_dtype(array.dtype) == self.dtype)

    def takes_shape_of(self, array: Tensor) -> bool:
        """Tell whether rank and every fixed size fit."""
        return len(self.shape) == array.ndim and all(
            want in (-1, have) for want, have in zip(self.shape, array.shape, strict=True)
        )


@dataclass(frozen=True)
class ModelSpec:
    """One model of the repository; an empty ``version`` leaves the choice to the server."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    version: str = ""


def bytes_tensor(*items: bytes) -> Tensor:
    """Return a ``BYTES`` tensor of shape [len(items)]."""
    tensor = np.empty(len(items), np.object_)
    tensor[:] = items
    return tensor


def check_inputs(model: ModelSpec, inputs: Mapping[str, Tensor]) -> None:
    """Raise the ``TensorMismatch`` of the first input that is unknown, missing, or of another datatype or shape."""
    specs = {spec.name: spec for spec in model.inputs}
    for name in inputs.keys() - specs.keys():
        raise UnknownTensor(model.name, name, expected=", ".join(specs), got=describe(inputs[name]))
    for name, spec in specs.items():
        if name in inputs:
            _check_input(model, spec, inputs[name])
        elif not spec.optional:
            raise MissingTensor(model.name, name, expected=str(spec), got="nothing")


def check_outputs(model: ModelSpec, outputs: Mapping[str, Tensor]) -> None:
    """Raise ``OutputMismatch`` for a tensor that differs from its declaration; any of them may be absent."""
    specs = {spec.name: spec for spec in model.outputs}
    for name, array in outputs.items():
        spec = specs.get(name)
        if spec is None or not (spec.takes_type_of(array) and spec.takes_shape_of(array)):
            raise OutputMismatch(model.name, name, expected=str(spec or "nothing"), got=describe(array))


def describe(array: Tensor) -> str:
    """Return datatype and shape in the words of ``TensorSpec``."""
    return f"{np_to_triton_dtype(array.dtype) or array.dtype} {list(array.shape)}"


def _check_input(model: ModelSpec, spec: TensorSpec, array: Tensor) -> None:
    if not spec.takes_type_of(array):
        raise WrongDatatype(model.name, spec.name, expected=str(spec), got=describe(array))
    if not spec.takes_shape_of(array):
        raise WrongShape(model.name, spec.name, expected=str(spec), got=describe(array))
