"""Whatever the engine has evaluated, torch's compiler takes as one graph: otherwise no kernels can be tuned for it."""

import json

import cv2
import numpy as np
import pytest
import torch

from engine.device import CpuDevice
from engine.drawing.autoencoder import decode
from engine.drawing.drawer import Drawer
from engine.drawing.loop import reference_loop
from engine.kernels.compiled import Compiled
from engine.kernels.port import Eager
from engine.models.memory import Models
from engine.offload.jobs import prepared
from engine.preparation import RawRequest

PNG = cv2.imencode(".png", np.random.default_rng(5).integers(0, 256, (64, 64, 3), np.uint8))[1].tobytes()
PLAIN = {"id": "one", "checkpoint": "sdxl-tiny", "prompt": "a street", "steps": 2, "width_px": 256, "height_px": 256}
SPECS = {
    "a picture": ({"strength": 1.0}, {"image": PNG}),
    "people": ({"references": [{"adapter": "tiny-ip-adapter", "picture": 0}]}, {"references": [PNG]}),
    "a layout": ({"layout": {"kind": "tiny-controlnet"}}, {"layout": PNG}),
    "words and a refiner": ({"refiner": "tiny-refiner", "steps": 6}, {}),
    "another architecture": ({"checkpoint": "tiny-sd2"}, {}),
}


def drawn(catalogue, kernels, asked, pictures):
    models = Models(catalogue, torch.device("cpu"), torch.float32, 1 << 30)
    made = prepared(str(catalogue.folder), 1, RawRequest(json.dumps(PLAIN | asked).encode(), **pictures))
    (picture,) = reference_loop(Drawer(models, catalogue, CpuDevice(1), kernels), made)
    return picture.pixels


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_it_is_one_graph_and_gives_the_same_bytes(tiny_catalogue, name):
    def compiler(call, _):
        if call.func is decode and "image" not in SPECS[name][1]:  # which is the same for all
            return call
        return torch.compile(call, fullgraph=True, dynamic=False, backend="eager")

    kernels = Compiled("", compiler=compiler)
    whole = drawn(tiny_catalogue, kernels, *SPECS[name])
    assert (whole == drawn(tiny_catalogue, Eager(), *SPECS[name])).all()
    assert {each.split()[0] for each in kernels.made} >= {"unet", "decode"}
