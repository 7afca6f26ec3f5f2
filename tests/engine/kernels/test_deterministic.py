"""No operation is asked for that torch refuses on a GPU once algorithms have to be deterministic."""

import json

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engine.device import CpuDevice
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.models.memory import Models
from engine.offload.jobs import prepared
from engine.preparation import RawRequest
from engine.samplers import NAMES

REFUSED = {
    "avg_pool3d_backward", "bincount", "fractional_max_pool2d", "grid_sampler_2d_backward", "histc", "kthvalue",
    "max_pool3d_with_indices_backward", "max_unpool2d", "max_unpool3d", "median", "nanmedian", "nll_loss2d_forward",
    "put_", "put", "scatter_reduce",
}  # fmt: skip
"""torch.use_deterministic_algorithms, those that raise; and ``cumsum`` of anything but whole numbers."""


class Asked(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        is_whole = name != "cumsum" or not args[0].is_floating_point()
        self.names.add(name if is_whole else "cumsum of floats")
        return operation(*args, **(kwargs or {}))


@pytest.mark.parametrize("sampler", sorted(set(NAMES.values())))
def test_drawing_asks_for_none_of_them(tiny_catalogue, sampler):
    spec = {"id": "one", "checkpoint": "sdxl-tiny", "prompt": "a (red:1.3) street", "negative": "rain", "steps": 3}
    spec |= {"width_px": 256, "height_px": 256, "sampler": sampler, "preview_every": 1, "rescale": 0.5}
    models = Models(tiny_catalogue, torch.device("cpu"), torch.float32, 1 << 30)
    made = prepared(str(tiny_catalogue.folder), 1, RawRequest(json.dumps(spec).encode()))
    with Asked() as asked:
        reference_loop(Drawer(models, tiny_catalogue, CpuDevice(1)), made)
    assert asked.names & (REFUSED | {"cumsum of floats"}) == set()
    assert {"convolution", "native_group_norm"} <= asked.names
