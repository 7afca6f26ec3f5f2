"""Requests that pictures, people or further passes take part in."""

from __future__ import annotations

from tests.integration.engine.case import Case
from tests.integration.engine.pictures import gradient, half, noise

__all__ = ["GUIDED"]


def _pictures() -> dict[str, Case]:
    image = {"image": [gradient()]}
    masked = image | {"mask": [half(left=True)]}
    little, other = {"strength": 0.75, "steps": 4}, {"sampler": "euler-ancestral", "schedule": None}
    return {
        "little of an image": Case({"strength": 1.0, "steps": 3}, image),
        "half of an image": Case({"strength": 0.5, "steps": 4}, image),
        "most of an image": Case({"strength": 0.25, "steps": 4}, image),
        "an image of another size": Case({"strength": 0.5, "steps": 4}, {"image": [gradient(400, 130)]}),
        "inpainted": Case(little, masked),
        "all of it inpainted": Case({"strength": 1.0, "steps": 4}, masked),
        "inpainted by another sampler": Case(little | other, masked),
    }


def _layouts() -> dict[str, Case]:
    wide, layout, models = {"width_px": 512, "height_px": 288}, {"layout": [gradient(336, 192)]}, ["tiny-controlnet"]
    guide, half_an_image = {"kind": "tiny-controlnet", "scale": 1.0}, {"strength": 0.5, "steps": 4}
    return {
        "layout begun with": Case(wide | {"layout": {"kind": "img2img", "scale": 0.5}, "steps": 4}, layout),
        "layout guides": Case(wide | {"layout": guide}, layout, models),
        "layout guides little": Case(wide | {"layout": guide | {"scale": 0.3}}, layout, models),
        "layout guides an image": Case(half_an_image | {"layout": guide}, {"image": [gradient()]} | layout, models),
    }


def _passes() -> dict[str, Case]:
    hires, wide = {"scale": 1.5, "strength": 0.5, "steps": 2}, {"width_px": 512, "height_px": 288}
    return {
        "hi-res": Case({"hires": hires}, drawn_px=[(256, 256), (384, 384)]),
        "hi-res in tiles": Case(
            wide | {"checkpoint": "larger", "steps": 1, "hires": hires | {"scale": 4.0}},
            drawn_px=[(352, 208), (1408, 832)],
        ),
        "hi-res inpainted": Case(
            {"hires": hires, "strength": 0.75, "steps": 4}, {"image": [gradient()], "mask": [half(left=False)]}
        ),
        "refined": Case({"refiner": "tiny-refiner", "steps": 6}, models=["tiny-refiner"]),
        "refined hi-res": Case({"refiner": "tiny-refiner", "steps": 6, "hires": hires}, models=["tiny-refiner"]),
    }


def _people() -> dict[str, Case]:
    faces = {"references": [noise(1), noise(2)]}
    masked = faces | {"reference_masks": [half(left=True), half(left=False)]}
    who = {"adapter": "tiny-ip-adapter", "scale": 0.9}
    both = [{"picture": 0, "mask": 0, **who}, {"picture": 1, "mask": 1, **who}]
    changed = [{"picture": 1, "mask": 0, **who}, {"picture": 0, "mask": 1, **who}]
    models = ["tiny-ip-adapter"]
    four = Case(
        {"references": [{"picture": i, **who} for i in range(4)]}, {"references": [noise(i) for i in range(4)]}, models
    )
    return {
        "one person": Case({"references": [{"picture": 0, **who}]}, {"references": [noise(1)]}, models),
        "two people": Case({"references": both}, masked, models),
        "two people who change places": Case({"references": changed}, masked, models),
        "two people anywhere": Case({"references": [{"picture": i, **who} for i in (0, 1)]}, faces, models),
        "two people of whom one counts": Case({"references": [both[0], both[1] | {"scale": 0.1}]}, masked, models),
        "four people": four,
    }


def _all_at_once() -> dict[str, Case]:
    person = {"picture": 0, "mask": 0, "adapter": "tiny-ip-adapter", "scale": 0.8}
    fields = {
        "prompt": "a (tiny-embedding:1.2) BREAK in the rain",
        "negative": "fog, " * 40,
        "guidance": 6.0,
        "rescale": 0.4,
        "sampler": "dpmpp-2m-sde",
        "schedule": "exponential",
        "clip_skip": 1,
        "steps": 6,
        "strength": 0.8,
        "loras": [{"name": "tiny-lora", "scale": 0.5}, {"name": "other-lora", "scale": 0.5}],
        "references": [person],
        "layout": {"kind": "tiny-controlnet", "scale": 0.6},
        "hires": {"scale": 1.25, "strength": 0.4},
        "refiner": "tiny-refiner",
        "images": 2,
        "width_px": 512,
        "height_px": 288,
    }
    pictures = {
        "image": [gradient(300, 200)],
        "mask": [half(left=True, width=300, height=200)],
        "layout": [noise(5)],
        "references": [noise(6)],
        "reference_masks": [half(left=False)],
    }
    models = ["tiny-embedding", "tiny-ip-adapter", "tiny-controlnet", "tiny-refiner"]
    return {
        "everything": Case(fields, pictures, models),
        "another architecture": Case({"checkpoint": "tiny-sd2", "steps": 4}),
        "another architecture of an image": Case({"checkpoint": "tiny-sd2", "steps": 4}, {"image": [gradient()]}),
    }


GUIDED: dict[str, Case] = {
    **_pictures(),
    **_layouts(),
    **_passes(),
    **_people(),
    **_all_at_once(),
}
