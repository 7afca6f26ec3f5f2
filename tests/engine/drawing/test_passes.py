"""What an image, a mask, a layout and a second pass do to the picture."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.drawing import image, request
from engine.drawing.autoencoder import pixels_of, tensor_of
from engine.drawing.enlarging import enlarged
from engine.drawing.fit import fitted
from engine.drawing.image import developed, encoded
from engine.drawing.loop import reference_loop
from engine.errors import Refused
from engine.request import HiresFix, LayoutGuide
from engine.work import Finished


def drawn(drawer, prepared):
    (picture,) = reference_loop(drawer, prepared)
    return picture.pixels.astype(float)


def distance(a, b):
    return float(np.abs(a.astype(float) - b).mean())


def test_the_less_strength_the_nearer_is_the_picture_to_the_image(drawer, prepared, photograph):
    kept = fitted(fitted(photograph, 160, 96), 256, 144)
    asked = {"image": photograph, "steps": 8}
    far, near = (distance(kept, drawn(drawer, prepared(strength=each, **asked))) for each in (0.9, 0.13))
    assert near < far


def test_strength_that_leaves_no_step_is_refused(drawer, prepared, photograph):
    with pytest.raises(Refused, match="strength"):
        drawer.begin(prepared(image=photograph, strength=0.2, steps=3))


def test_inpainting_leaves_what_the_mask_hides_as_it_was(drawer, prepared, photograph, monkeypatch):
    latents = []
    monkeypatch.setattr(request, "developed", lambda scene, latent: latents.append(latent) or developed(scene, latent))
    mask = np.zeros(photograph.shape[:2], np.uint8)
    mask[:, photograph.shape[1] // 2 :] = 255
    for each in (np.zeros_like(mask), mask):
        reference_loop(drawer, prepared(image=photograph, mask=each, strength=1.0))
    nothing, half = latents
    columns = half.shape[-1] // 2
    assert torch.equal(half[..., :columns], nothing[..., :columns])
    assert float((half - nothing)[..., columns:].abs().mean()) > 0.1


def test_the_second_pass_keeps_to_the_mask_of_the_first(drawer, prepared, photograph):
    asked = {"image": photograph, "strength": 1.0, "hires": HiresFix(scale=1.5, strength=0.5, steps=4)}

    def painted(prompt, value):
        mask = np.full(photograph.shape[:2], value, np.uint8)
        return drawn(drawer, prepared(prompt=prompt, mask=mask, **asked))

    assert np.array_equal(painted("a storm", 0), painted("a calm", 0))
    assert not np.array_equal(painted("a storm", 255), painted("a calm", 255))


def test_a_layout_frame_guides_like_an_image_of_the_opposite_strength(drawer, prepared, photograph):
    guided = prepared(layout=LayoutGuide("img2img", 0.25), layout_picture=photograph, steps=4)
    shown = prepared(image=photograph, strength=0.75, steps=4)
    assert np.array_equal(drawn(drawer, guided), drawn(drawer, shown))


def test_an_image_beside_a_guiding_layout_is_refused(drawer, prepared, photograph):
    with pytest.raises(Refused, match="layout"):
        drawer.begin(prepared(image=photograph, layout=LayoutGuide("img2img", 0.5), layout_picture=photograph))


def test_the_second_pass_draws_on_the_enlarged_picture_of_the_first(drawer, prepared):
    size = {"width_px": 160, "height_px": 96}
    (first,) = reference_loop(drawer, prepared(**size))
    second = drawn(drawer, prepared(hires=HiresFix(scale=1.5, strength=0.5, steps=4), **size))
    large = prepared(image=fitted(first.pixels, 240, 144), strength=0.5, steps=4, **size)
    large.shape = replace(large.shape, width_px=240, height_px=144)
    unlike = drawn(drawer, prepared(**size, seed=1))
    assert distance(second, drawn(drawer, large)) < 2 < distance(second, unlike)


def test_between_the_passes_nothing_is_rounded_to_bytes(drawer, prepared, monkeypatch):
    seen = []
    monkeypatch.setattr(request, "encoded", lambda scene, picture: seen.append(picture) or encoded(scene, picture))
    reference_loop(drawer, prepared(hires=HiresFix(scale=1.5, strength=0.5, steps=2)))
    (picture,) = seen
    levels = (picture / 2 + 0.5) * 255
    assert float((levels - levels.round()).abs().mean()) > 0.2
    assert -1 <= float(picture.min()) < float(picture.max()) <= 1


@pytest.mark.parametrize("size", [(240, 144), (256, 144), (240, 160), (160, 96)])
def test_enlarging_covers_and_cuts_as_fitting_does(photograph, size):
    small = fitted(photograph, 160, 96)
    grown = enlarged(tensor_of(small, torch.device("cpu")), *size)
    assert distance(pixels_of(grown), fitted(small, *size)) < 3


def test_a_second_pass_beyond_the_limit_is_refused(drawer, prepared):
    with pytest.raises(Refused, match=r"hires\.scale"):
        drawer.begin(prepared(hires=HiresFix(scale=40.0)))


def test_a_large_second_pass_goes_through_the_autoencoder_in_tiles_each_a_unit(drawer, prepared, monkeypatch):
    monkeypatch.setattr(image, "MEGAPIXEL", 160 * 96)
    monkeypatch.setattr(image, "TILE", 16)
    monkeypatch.setattr(image, "OVERLAP", 4)
    work = drawer.begin(prepared(hires=HiresFix(scale=1.5, strength=0.5, steps=4)))
    phases, told = [], []
    while not any(isinstance(each, Finished) for each in told):
        phases.append(work.next.phase)
        (outcome,) = drawer.run([work])
        told += outcome
    assert phases == ["load", "encode"] + ["step"] * 3 + ["decode"] + ["encode"] * 6 + ["step"] * 2 + ["decode"] * 6
    assert told[-2].pixels.std() > 5
