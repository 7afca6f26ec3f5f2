"""The tensors of the Triton model ``previz``, as its ``config.pbtxt`` declares them."""

from __future__ import annotations

from continuity.inference.tensors import ModelSpec, TensorSpec

PREVIZ = ModelSpec(
    name="previz",
    inputs=(
        TensorSpec("spec", "BYTES", (1,)),
        TensorSpec("mattes", "BYTES", (-1,), optional=True),
        TensorSpec("plate", "BYTES", (1,), optional=True),
    ),
    outputs=(
        TensorSpec("step", "INT32", (1,)),
        TensorSpec("steps", "INT32", (1,)),
        TensorSpec("preview", "BYTES", (1,)),
        TensorSpec("image", "UINT8", (-1, -1, 3)),
        TensorSpec("masks", "UINT8", (-1, -1, -1)),
    ),
)
