"""Every option by itself through Triton: the bytes that the engine's functions draw, and a manifest that says how."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from continuity.inference.client import TritonClient
from engine import VERSION
from engine.presets import preset
from tests.integration.engine.asking import Answer, answered
from tests.integration.engine.bare_process import Expected
from tests.integration.engine.cases import CASES, FAST, PLAIN, Case
from tests.integration.engine.pictures import noise

pytestmark = [pytest.mark.engine, pytest.mark.triton, pytest.mark.timeout(600)]

DIGITS = 64
SEEDS = 2**32


def is_hash(value: str) -> bool:
    return len(value) == DIGITS and set(value) <= set("0123456789abcdef")


@pytest.mark.parametrize("name", CASES)
async def test_it_draws_what_the_engines_functions_draw_and_says_with_what(
    client: TritonClient, expected: Expected, name: str
) -> None:
    case = CASES[name]
    answer = await answered(client, case)
    assert answer.sha256 == expected(name)
    require_progress(answer)
    for index, manifest in enumerate(answer.manifests):
        require_request(manifest["request"], case, index)
        require_facts(manifest, case)
    assert [each["pixels_sha256"] for each in answer.manifests] == answer.sha256
    width, height = (case.spec("one")[side] for side in ("width_px", "height_px"))
    assert {each.shape for each in answer.pictures} == {(height, width, 3)}


def require_progress(answer: Answer) -> None:
    """Every evaluation is told once, in order, over all passes and images."""
    evaluations = sum(each["evaluations"] for each in answer.manifests[0]["drawn"]["passes"])
    steps = evaluations * len(answer.pictures)
    assert {of for _, of in answer.steps} == {steps}
    taken = [step for step, _ in answer.steps]
    assert taken == sorted(set(taken))
    assert taken[-1] == steps


def require_request(told: dict[str, Any], case: Case, index: int) -> None:
    """What was asked for stands there, with the picture's own seed."""
    asked = {**PLAIN, **case.fields}
    assert told["seed"] == (asked.pop("seed") + index) % SEEDS
    for name in ("prompt", "negative", "guidance", "rescale", "width_px", "height_px", "clip_skip", "strength"):
        if name in asked:
            assert told[name] == asked[name], name
    for name in ("steps", "sampler", "schedule", "refiner", "checkpoint"):
        if asked.get(name) is not None:
            assert told[name] == asked[name], name
    for name in ("loras", "references", "layout", "hires"):
        require_within(asked.get(name), told[name])


def require_within(asked: Any, told: Any) -> None:
    """Whatever was asked for is told; what was left out has its default there."""
    if isinstance(asked, dict):
        for name, value in asked.items():
            require_within(value, told[name])
    elif isinstance(asked, list):
        assert len(asked) == len(told)
        for each, other in zip(asked, told, strict=True):
            require_within(each, other)
    else:
        assert asked is None or asked == told


def require_facts(manifest: dict[str, Any], case: Case) -> None:
    """Everything that decides bytes is named: weights, pictures sent, sigmas, kernels, libraries, device."""
    weights = manifest["weights"]
    assert weights["checkpoint"]["name"] == case.spec("one")["checkpoint"]
    assert is_hash(weights["checkpoint"]["sha256"])
    assert is_hash(weights["variant_sha256"])
    assert (weights["variant_sha256"] != weights["checkpoint"]["sha256"]) == bool(case.fields.get("loras"))
    assert set(case.models) <= set(weights["adapters"])
    assert all(map(is_hash, weights["adapters"].values()))
    assert manifest["pictures"] == _hashes(case)
    assert "kernels_sha256" in manifest
    assert manifest["engine"] == VERSION
    assert {"torch", "diffusers", "transformers", "numpy"} <= manifest["libraries"].keys()
    assert manifest["device"]["threads"] == 1
    passes = manifest["drawn"]["passes"]
    assert len(passes) == 1 + ("hires" in case.fields)
    assert all(is_hash(each["sigmas_sha256"]) for each in passes)
    if case.drawn_px:
        assert [(each["width_px"], each["height_px"]) for each in passes] == list(case.drawn_px)


def _hashes(case: Case) -> dict[str, str]:
    named = {
        name if name in ("image", "mask", "layout") else f"{name}[{i}]": encoded
        for name, several in case.pictures.items()
        for i, encoded in enumerate(several)
    }
    return {name: hashlib.sha256(encoded).hexdigest() for name, encoded in named.items()}


def test_every_option_changes_the_picture(expected: Expected) -> None:
    seen: dict[str, str] = {}
    equal = [(seen[each], name) for name in CASES if (each := expected(name)[0]) in seen or seen.update({each: name})]
    assert not equal


SAME = {
    "the usual name of a sampler": ("dpmpp-2m karras", {"sampler": "DPM++ 2M Karras", "schedule": None}),
    "another usual name": ("euler-ancestral normal", {"sampler": "Euler a", "schedule": None}),
    "capitals and spaces": ("dpmpp-2m-sde exponential", {"sampler": " dpm++ 2m SDE  exponential ", "schedule": None}),
    "a weight of one": ("plain", {"prompt": "a (launch pad:1.0) in the rain"}),
    "a negative that does not pull": ("unguided", {"negative": "fog"}),
    "a LoRA of nothing": ("plain", {"loras": [{"name": "tiny-lora", "scale": 0.0}]}),
    "a checkpoint in one file": ("plain", {"checkpoint": "one-file"}),
    "fields that say nothing": ("plain", {"negative": None, "loras": [], "references": [], "hires": None}),
    "who asks, and how urgently": ("plain", {"project": "B", "priority": 90, "deadline_s": 5.0, "extra": {"a": "b"}}),
}


@pytest.mark.parametrize("what", SAME)
async def test_what_means_the_same_draws_the_same(client: TritonClient, expected: Expected, what: str) -> None:
    name, fields = SAME[what]
    assert (await answered(client, CASES[name], **fields)).sha256 == expected(name)


async def test_image_i_of_a_request_is_that_of_seed_plus_i(client: TritonClient, expected: Expected) -> None:
    case = CASES["three images"]
    alone = [await answered(client, case, seed=seed, images=1) for seed in (SEEDS - 2, SEEDS - 1, 0)]
    assert [sha256 for each in alone for sha256 in each.sha256] == expected("three images")


@pytest.mark.parametrize("name", FAST)
async def test_a_name_of_few_steps_decides_what_nobody_asked_for(client: TritonClient, name: str) -> None:
    found = preset(name)
    assert found
    (manifest,) = (await answered(client, CASES[name])).manifests
    assert found.defaults.items() <= manifest["request"].items()
    assert manifest["request"]["steps"] <= found.most_steps


async def test_each_person_acts_most_where_the_mask_lets_them(client: TritonClient) -> None:
    case = CASES["two people"]
    first, second = case.pictures["references"]
    both, others = await drawn_with(client, case, first, second), noise(9)
    left = np.abs(await drawn_with(client, case, others, second) - both).mean(axis=(0, 2))
    right = np.abs(await drawn_with(client, case, first, others) - both).mean(axis=(0, 2))
    middle = len(left) // 2
    assert left[:middle].mean() > left[middle:].mean()
    assert right[:middle].mean() < right[middle:].mean()


async def drawn_with(client: TritonClient, case: Case, *references: bytes) -> NDArray[np.float64]:
    changed = replace(case, pictures={**case.pictures, "references": references})
    (picture,) = (await answered(client, changed)).pictures
    return picture.astype(float)
