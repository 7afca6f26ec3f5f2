import json
import subprocess
import sys
from copy import deepcopy
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest

import engine
from engine.manifest import canonical, differences, libraries, manifest
from engine.request import HiresFix, LayoutGuide, LoraUse, Reference, RenderRequest
from engine.work import Picture

REQUEST = RenderRequest(
    id="job-7",
    checkpoint="sdxl-base",
    prompt="Ana at the window, dusk — 35 mm",
    negative="blurred",
    project="harbour",
    priority=90,
    seed=41,
    images=3,
    loras=(LoraUse("film-grain", 0.7), LoraUse("ana", 0.5)),
    references=(Reference(0, 0.5, mask=0), Reference(1)),
    layout=LayoutGuide("img2img", 0.4),
    hires=HiresFix(),
    extra={"continuity": "0.1.0"},
)
FACTS = {
    "device": {"device": "a processor", "threads": 1, "torch": "2.11.0", "tf32": False},
    "libraries": {"diffusers": "0.42.1"},
    "pictures": {"layout": "1" * 64, "references": ["2" * 64, "3" * 64], "reference_masks": ["4" * 64]},
}
PICTURE = Picture(
    2,
    43,
    np.zeros((8, 8, 3), np.uint8),
    {
        "checkpoint": {"name": "sdxl-base", "sha256": "a" * 64},
        "variant_sha256": "b" * 64,
        "kernels_sha256": "c" * 64,
        "dtype": "torch.bfloat16",
        "engine": engine.VERSION,
        "passes": [{"width_px": 1344, "evaluations": 20, "sigmas_sha256": "d" * 64}],
    },
)


def made(request: RenderRequest = REQUEST, picture: Picture = PICTURE, **facts: Any) -> dict[str, Any]:
    return manifest(request, {**FACTS, **facts}, picture, "e" * 64)


def test_what_determines_the_picture_is_in_it() -> None:
    found = made()
    assert found["weights"]["checkpoint"]["sha256"] == "a" * 64
    assert found["weights"]["variant_sha256"] == "b" * 64
    assert found["kernels_sha256"] == "c" * 64
    assert found["drawn"]["passes"][0]["sigmas_sha256"] == "d" * 64
    assert found["drawn"]["dtype"] == "torch.bfloat16"
    assert found["request"]["loras"] == [{"name": "film-grain", "scale": 0.7}, {"name": "ana", "scale": 0.5}]
    assert found["pictures"]["references"] == ["2" * 64, "3" * 64]
    assert found["device"]["threads"] == 1
    assert (found["engine"], found["pixels_sha256"]) == (engine.VERSION, "e" * 64)


def test_its_seed_is_the_picture_s_own() -> None:
    assert made()["request"]["seed"] == 43


def test_its_request_can_be_made_again() -> None:
    asked = {each.name for each in fields(RenderRequest)}
    assert set(made()["request"]) <= asked


@pytest.mark.parametrize(
    "change",
    [{"id": "job-8"}, {"project": "other"}, {"priority": 1}, {"deadline_s": 5.0}, {"images": 1}, {"preview_every": 0}],
)
def test_what_depends_on_when_and_for_whom_is_not_in_it(change: dict[str, Any]) -> None:
    assert canonical(made(replace(REQUEST, **change))) == canonical(made())


def test_its_spelling_does_not_depend_on_the_order_of_facts() -> None:
    turned = dict(reversed(list(FACTS.items())))
    assert canonical(manifest(REQUEST, turned, PICTURE, "e" * 64)) == canonical(made())


def test_it_comes_back_from_json_as_it_was() -> None:
    assert json.loads(canonical(made())) == made()
    assert "dusk — 35 mm".encode() in canonical(made())


def test_nan_is_no_manifest() -> None:
    with pytest.raises(ValueError, match="JSON"):
        made(device={"threads": float("nan")})


def test_equal_manifests_differ_in_nothing() -> None:
    assert differences(made(), json.loads(canonical(made()))) == []


CHANGES: list[tuple[str, Any, str]] = [
    ("request.prompt", "Ana at the door", "request.prompt: Ana at the window, dusk — 35 mm -> Ana at the door"),
    ("request.loras", [], "request.loras: absent -> []"),
    ("weights.checkpoint.sha256", "f" * 64, "weights.checkpoint.sha256: aaaaaaaa… -> ffffffff…"),
    ("device.threads", 2, "device.threads: 1 -> 2"),
    ("kernels_sha256", "0" * 64, "kernels_sha256: cccccccc… -> 00000000…"),
    ("pictures.references", ["2" * 64, "9" * 64], "pictures.references[1]: 33333333… -> 99999999…"),
    ("pictures.references", ["2" * 64], "pictures.references[1]: 33333333… -> absent"),
    ("request.refiner", "sdxl-refiner", "request.refiner: null -> sdxl-refiner"),
    ("extra.continuity", "0.2.0", "extra.continuity: 0.1.0 -> 0.2.0"),
]


def changed(path: str, value: Any) -> dict[str, Any]:
    other = deepcopy(made())
    *way, last = path.split(".")
    inner = other
    for key in way:
        inner = inner[key]
    inner[last] = value
    return other


@pytest.mark.parametrize(("path", "value", "said"), CHANGES)
def test_an_input_that_differs_is_named(path: str, value: Any, said: str) -> None:
    assert said in differences(made(), changed(path, value))


def test_one_change_is_one_difference() -> None:
    assert len(differences(made(), changed("device.threads", 2))) == 1


def test_what_weighs_most_comes_first() -> None:
    device = {**FACTS["device"], "threads": 2}
    other = made(replace(REQUEST, prompt="a door", extra={}), replace(PICTURE, facts={}), device=device)
    heads = [said.split(".")[0].split(":")[0].split("[")[0] for said in differences(made(), other)]
    order = ["request", "weights", "kernels_sha256", "drawn", "device", "extra"]
    assert list(dict.fromkeys(heads)) == order


def test_other_pixels_are_no_input() -> None:
    assert differences(made(), {**made(), "pixels_sha256": "0" * 64}) == []


def test_true_and_one_are_told_apart() -> None:
    assert differences(made(device={"tf32": True}), made(device={"tf32": 1})) == ["device.tf32: true -> 1"]


def test_a_long_value_is_shortened() -> None:
    said = differences(made(), changed("request.prompt", "x" * 100_000))
    assert len(said[0]) < 200


def test_the_versions_of_the_libraries_are_told() -> None:
    assert libraries()["torch"].startswith("2.")
    assert libraries()["diffusers"]
    assert "absent" not in libraries().values()
    assert {"pillow", "numpy", "opencv-python-headless", "tokenizers", "transformers"} <= libraries().keys()


def test_it_is_written_without_torch() -> None:
    script = "import sys, engine.manifest, engine.presets; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": ":".join(sys.path)}, check=True)
