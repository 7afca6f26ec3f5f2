"""The tensors of the Triton model ``sdxl``, as its ``config.pbtxt`` declares them."""

from __future__ import annotations

from continuity.inference.tensors import ModelSpec, TensorSpec

SDXL = ModelSpec(
    name="sdxl",
    inputs=(
        TensorSpec("spec", "BYTES", (1,)),
        TensorSpec("image", "BYTES", (1,), optional=True),
        TensorSpec("mask", "BYTES", (1,), optional=True),
        TensorSpec("layout", "BYTES", (1,), optional=True),
        TensorSpec("references", "BYTES", (-1,), optional=True),
        TensorSpec("reference_masks", "BYTES", (-1,), optional=True),
    ),
    outputs=(
        TensorSpec("step", "INT32", (1,)),
        TensorSpec("steps", "INT32", (1,)),
        TensorSpec("preview", "BYTES", (1,)),
        TensorSpec("index", "INT32", (1,)),
        TensorSpec("image", "UINT8", (-1, -1, 3)),
        TensorSpec("manifest", "BYTES", (1,)),
    ),
)
