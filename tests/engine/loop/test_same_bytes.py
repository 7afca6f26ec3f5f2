"""The same request gives the same bytes in any company, in any order, whatever is cancelled beside it."""

import hashlib
import json
import random

import cv2
import numpy as np
import pytest

from engine import door
from engine.device import CpuDevice
from engine.door import Engine, Limits
from engine.errors import Stopped
from engine.models.tiny.everything import make_tiny_catalogue
from engine.preparation import Preparation, RawRequest

KINDS = {
    "plain": {"prompt": "a boat at dusk"},
    "other words": {"prompt": "(two people:1.3) on a pier", "negative": "fog"},
    "euler a": {"sampler": "euler-a", "schedule": "normal", "steps": 3},
    "two evaluations a step": {"sampler": "heun", "schedule": "normal"},
    "unguided": {"guidance": 1.0, "steps": 3},
    "rescaled": {"rescale": 0.7, "guidance": 9.0},
    "wide": {"width_px": 512, "height_px": 288},
    "two images": {"images": 2, "steps": 1},
    "LoRA": {"loras": [{"name": "tiny-lora", "scale": 0.8}]},
    "two chunks": {"prompt": "rain " * 90, "steps": 1},
    "from an image": {"strength": 0.7, "steps": 3, "has_image": True},
    "a person": {"references": [{"picture": 0, "adapter": "tiny-ip-adapter"}]},
}
SEEDS = (0, 4_294_967_295)


def encoded(seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (96, 96, 3), np.uint8)
    return cv2.imencode(".png", cv2.resize(pixels, (256, 256)))[1].tobytes()


def raw(id, kind, seed, **more):
    fields = {"steps": 2, "width_px": 256, "height_px": 256, "sampler": "dpmpp-2m", "schedule": "karras"}
    spec = {"id": id, "checkpoint": "sdxl-tiny", "prompt": "a boat", "seed": seed, **fields, **KINDS[kind], **more}
    return RawRequest(
        spec=json.dumps(spec).encode(),
        image=encoded(1) if spec.get("has_image") else None,
        references=[encoded(2)] if spec.get("references") else [],
    )


def no_manifest(_request, _facts, _picture):
    return b"{}"


@pytest.fixture(scope="module")
def engine(tmp_path_factory, request):
    folder = tmp_path_factory.mktemp("catalogue")
    make_tiny_catalogue(folder, ("sdxl-tiny", "tiny-ip-adapter", "tiny-image-encoder", "tiny-lora"))
    device = CpuDevice(threads=1)
    made = Engine(
        lambda: door._drawer(folder, device),
        Preparation(folder),
        InThread(),
        free_bytes=device.free_bytes,
        facts={},
        describe=no_manifest,
        limits=Limits(waiting=10_000),
    )
    yield made
    made.close()


class InThread:
    def run(self, function, *args):
        return function(*args)

    def close(self): ...


def hashes(ears):
    return [hashlib.sha256(picture.pixels.tobytes()).hexdigest() for picture in ears.pictures()]


@pytest.fixture(scope="module")
def alone(engine):
    """What each request gives with nobody beside it, drawn once."""
    drawn = {}

    def draw(kit, kind, seed):
        if (kind, seed) not in drawn:
            ears = kit.Ears()
            engine.submit("alone", raw("alone", kind, seed), ears)
            assert ears.wait() == "finished", ears.ends
            drawn[kind, seed] = hashes(ears)
        return drawn[kind, seed]

    return draw


def shuffled(engine, kit, alone, seed, count):
    """Draw ``count`` requests at once, a quarter of them cancelled at some moment; return how many were compared."""
    chance = random.Random(seed)
    wanted = [(chance.choice(list(KINDS)), chance.choice(SEEDS)) for _ in range(count)]
    expected = [alone(kit, *each) for each in wanted]
    asked = []
    for number, (kind, image_seed) in enumerate(wanted):
        more = {"project": chance.choice("AB"), "priority": chance.choice([10, 50, 50, 90]), "preview_every": 1}
        ears = Cancelling(kit.Ears(), chance.randint(0, 3) if chance.random() < 0.25 else None)
        ears.ticket = engine.submit(f"r{number}", raw(f"r{number}", kind, image_seed, **more), ears)
        asked.append(ears)
    compared = 0
    for ears, pictures, which in zip(asked, expected, wanted, strict=True):
        end = ears.wait()
        if isinstance(end, Stopped):
            continue
        assert end == "finished"
        assert hashes(ears) == pictures, which
        compared += 1
    return compared


class Cancelling:
    """A listener that cancels its request at the given piece of news."""

    def __init__(self, ears, at):
        self._ears, self._at, self.ticket = ears, at, None

    def __getattr__(self, name):
        return getattr(self._ears, name)

    def progress(self, *news):
        self._ears.progress(*news)
        if self._at is not None and len(self._ears.heard) > self._at and self.ticket:
            self.ticket.cancel()


def test_alone_twice_is_the_same(engine, kit, alone):
    first = alone(kit, "plain", 0)
    ears = kit.Ears()
    engine.submit("again", raw("again", "plain", 0), ears)
    assert ears.wait() == "finished"
    assert hashes(ears) == first
    assert alone(kit, "plain", SEEDS[1]) != first


def test_in_company_in_any_order_with_cancels(engine, kit, alone):
    assert shuffled(engine, kit, alone, seed=1, count=60) > 30


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 5))
def test_in_much_company(engine, kit, alone, seed):
    assert shuffled(engine, kit, alone, seed, count=100) > 50
