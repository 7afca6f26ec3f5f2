"""LoRAs and references: what they change, and that nothing of them is left for the next request."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engine.drawing import studio
from engine.drawing.expert import require_usable
from engine.drawing.loop import reference_loop
from engine.errors import ModelUnusable, Refused
from engine.identity.adapter import Adapter
from engine.identity.attention import Attention
from engine.kernels.projections import Joined, join
from engine.models.memory import Models
from engine.request import LayoutGuide, LoraUse, Reference

LORA = (LoraUse("tiny-lora", 0.8),)


@pytest.fixture
def models(tiny_catalogue):
    """Weights that no other test has merged anything into."""
    return Models(tiny_catalogue, torch.device("cpu"), torch.float32, budget_bytes=1 << 30)


@pytest.fixture
def person(photograph):
    return {
        "references": (Reference(0, 0.6, mask=0, adapter="tiny-ip-adapter"),),
        "references_shown": [photograph],
        "reference_masks": [np.pad(np.full((144, 128), 255, np.uint8), ((0, 0), (0, 128)))],
    }


@pytest.fixture
def layout(photograph):
    return {"layout": LayoutGuide("tiny-controlnet", 0.7), "layout_picture": photograph}


def drawn(drawer, prepared):
    (picture,) = reference_loop(drawer, prepared)
    return picture.pixels


def test_a_lora_changes_the_picture_and_nothing_of_it_stays(drawer, prepared):
    before, merged, after = (drawn(drawer, prepared(loras=each)) for each in ((), LORA, ()))
    assert not np.array_equal(merged, before)
    assert np.array_equal(after, before)
    assert np.array_equal(drawn(drawer, prepared(loras=LORA)), merged)


def test_weights_are_arranged_before_anything_is_merged_into_them(drawer, prepared, models, monkeypatch):
    usual = [drawn(drawer, prepared(loras=each)) for each in ((), LORA)]
    models.drop("sdxl-tiny")
    met = []

    def arrange(checkpoint):
        met.append({type(each) for each in checkpoint.unet.attn_processors.values()})
        checkpoint.unet.to(memory_format=torch.channels_last)
        checkpoint.vae.to(memory_format=torch.channels_last)
        join(checkpoint.unet)

    monkeypatch.setattr(studio, "arrange", arrange)
    before, merged = (drawn(drawer, prepared(loras=each)) for each in ((), LORA))
    places = places_of(models.checkpoint("sdxl-tiny"))
    after = [drawn(drawer, prepared(loras=each)) for each in ((), LORA, ())]
    assert met == [{Attention}]
    assert {type(each) for each in models.checkpoint("sdxl-tiny").unet.attn_processors.values()} == {Joined}
    assert [np.array_equal(each, as_then) for each, as_then in zip(after, (before, merged, before), strict=True)] == [
        True
    ] * 3
    assert places_of(models.checkpoint("sdxl-tiny")) == places
    for arranged, single in zip((before, merged), usual, strict=True):
        assert np.abs(arranged.astype(int) - single).max() <= 1


def places_of(checkpoint):
    return [each.data_ptr() for each in (*checkpoint.unet.parameters(), *checkpoint.vae.parameters())]


def test_requests_with_and_without_a_lora_take_turns_step_by_step(drawer, prepared):
    alone = {loras: drawn(drawer, prepared(loras=loras)) for loras in ((), LORA)}
    works = {loras: drawer.begin(prepared(loras=loras)) for loras in alone}
    for _ in range(5):
        for work in works.values():
            drawer.run([work])
    assert len({work.next.group for work in works.values()}) == 1
    for loras, work in works.items():
        ((picture, _finished),) = drawer.run([work])
        assert np.array_equal(picture.pixels, alone[loras])


def test_their_steps_never_share_a_batch(drawer, prepared):
    works = [drawer.begin(prepared(loras=loras)) for loras in ((), LORA)]
    for work in works:
        while work.next.phase != "step":
            drawer.run([work])
    assert len({work.next.group for work in works}) == 2


def test_a_reference_acts_inside_its_mask_and_nothing_of_it_stays(drawer, prepared, person):
    before, seen, after = (drawn(drawer, prepared(**each)) for each in ({}, person, {}))
    assert not np.array_equal(seen, before)
    assert np.array_equal(after, before)
    assert np.array_equal(drawn(drawer, prepared(**person)), seen)


def test_a_person_in_the_next_shot_is_not_looked_at_again(drawer, prepared, person, monkeypatch):
    looks, seen = [], Adapter.seen
    monkeypatch.setattr(Adapter, "seen", lambda self, picture: looks.append(picture.shape) or seen(self, picture))

    def shot(name):
        asked = prepared(**person)
        asked.sha256 = {"references[0]": name, "reference_masks[0]": "m"}
        return drawn(drawer, asked)

    first, again = shot("ada"), shot("ada")
    assert len(looks) == 1
    assert np.array_equal(first, again)
    shot("bob")
    assert len(looks) == 2
    assert drawer._studio.identities.seen_bytes > 0
    drawer._studio.give_up()
    assert drawer._studio.identities.seen_bytes == 0


def test_requests_with_references_share_a_batch_and_keep_their_bytes(drawer, prepared, person):
    alone = [drawn(drawer, prepared(seed=seed, **person)) for seed in (1, 2)]
    works = [drawer.begin(prepared(id=str(seed), seed=seed, **person)) for seed in (2, 1)]
    for work in works:
        while work.next.phase != "step":
            drawer.run([work])
    while works[0].next.phase == "step":
        drawer.run(works)
    for work, pixels in zip(works, reversed(alone), strict=True):
        ((picture, _finished),) = drawer.run([work])
        assert np.array_equal(picture.pixels, pixels)


def test_an_adapter_that_is_not_there_is_refused(drawer, prepared, person):
    nobody = person | {"references": (Reference(0, adapter="none"),)}
    with pytest.raises(Refused, match="none"):
        reference_loop(drawer, prepared(**nobody))


def test_what_was_merged_and_seen_is_told(drawer, prepared, person, models):
    (picture,) = reference_loop(drawer, prepared(loras=LORA, **person))
    assert picture.facts["variant_sha256"] != models.checkpoint("sdxl-tiny").sha256
    assert list(picture.facts["adapters"]) == ["tiny-ip-adapter", "tiny-image-encoder"]


def test_a_controlnet_guides_one_request_and_not_the_next(drawer, prepared, layout):
    before, kept, after = (drawn(drawer, prepared(**each)) for each in ({}, layout, {}))
    assert not np.array_equal(kept, before)
    assert np.array_equal(after, before)


def test_a_layout_for_a_network_has_to_be_shown(drawer, prepared):
    with pytest.raises(Refused, match="layout"):
        reference_loop(drawer, prepared(layout=LayoutGuide("tiny-controlnet", 0.7)))


def test_a_learned_word_changes_the_picture_where_it_stands(drawer, prepared):
    plain, learned = (drawn(drawer, prepared(prompt=f"a portrait of {each}")) for each in ("ann", "tiny-embedding"))
    assert not np.array_equal(plain, learned)
    (picture,) = reference_loop(drawer, prepared(prompt="tiny-embedding"))
    assert list(picture.facts["adapters"]) == ["tiny-embedding"]


@pytest.mark.parametrize(
    "config", [{"in_channels": 9, "time_cond_proj_dim": None}, {"in_channels": 4, "time_cond_proj_dim": 256}]
)
def test_a_unet_that_wants_what_the_engine_does_not_give_is_refused(config):
    unet = SimpleNamespace(config=SimpleNamespace(**config))
    with pytest.raises(ModelUnusable, match="its UNet"):
        require_usable(SimpleNamespace(name="odd", unet=unet))


def test_a_checkpoint_stays_while_a_request_draws_with_it_and_may_leave_then(drawer, prepared, models):
    work = drawer.begin(prepared())
    while work.next.phase == "load":
        drawer.run([work])
    models.drop("sdxl-tiny")
    assert "sdxl-tiny" in models.loaded
    work.close()
    models.drop("sdxl-tiny")
    assert "sdxl-tiny" not in models.loaded
