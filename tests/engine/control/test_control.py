"""A layout guides as diffusers' own pipeline lets it, whoever shares the batch."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, StableDiffusionXLControlNetPipeline, StableDiffusionXLPipeline
from PIL import Image

from engine.control import Controls, Guide, residuals
from engine.errors import ModelUnusable, Refused
from engine.request import LayoutGuide, RenderRequest

HEIGHT, WIDTH = 24, 40
PLENTY = 1 << 30


def asked(kind="canny", scale=0.5, commercial=False):
    return RenderRequest("1", "tiny", "a kitchen", layout=LayoutGuide(kind, scale), commercial=commercial)


@pytest.fixture
def controls(shelf):
    return Controls(shelf, PLENTY)


def inputs(rows, seed=0):
    made = torch.Generator().manual_seed(seed)
    return {
        "sample": torch.randn(rows, 4, HEIGHT, WIDTH, generator=made),
        "timesteps": torch.full((rows,), 500.0),
        "prompt": torch.randn(rows, 77, 56, generator=made),
        "pooled": torch.randn(rows, 40, generator=made),
        "time_ids": torch.full((rows, 6), 256.0),
    }


@torch.no_grad()
def drawn(checkpoint, given, network=None, batch=None):
    added = {"text_embeds": given["pooled"], "time_ids": given["time_ids"]}
    told = {name: given[name] for name in ("sample", "timesteps", "prompt")}
    guided = {} if network is None else residuals(network, **told, added=added, **batch)
    return checkpoint.unet(
        given["sample"],
        given["timesteps"],
        encoder_hidden_states=given["prompt"],
        added_cond_kwargs=added,
        return_dict=False,
        **guided,
    )[0]


def guide_every_call(unet, network, batch):
    """Let a denoiser's calls get what a guide adds, so that diffusers' plain pipeline can be driven with it."""
    forward = unet.forward

    def guided(sample, t, encoder_hidden_states, added_cond_kwargs, **others):
        told = {"sample": sample, "timesteps": t.expand(len(sample)), "prompt": encoder_hidden_states}
        more = residuals(network, **told, added=added_cond_kwargs, **batch)
        given = {"encoder_hidden_states": encoder_hidden_states, "added_cond_kwargs": added_cond_kwargs}
        return forward(sample, t, **given, **others, **more)

    unet.forward = guided


@pytest.mark.parametrize(("guidance", "scale"), [(6.0, 0.7), (1.0, 0.35)])
def test_what_is_drawn_is_what_diffusers_draws(
    checkpoint, controls, frame, tiny_folder, network_folder, guidance, scale
):

    common = {
        "prompt": "a kitchen",
        "negative_prompt": "blurred",
        "num_inference_steps": 3,
        "guidance_scale": guidance,
        "width": 8 * WIDTH,
        "height": 8 * HEIGHT,
        "output_type": "latent",
    }
    network = ControlNetModel.from_pretrained(network_folder)
    stock = StableDiffusionXLControlNetPipeline.from_pretrained(tiny_folder, controlnet=network)
    wanted = stock(
        image=Image.fromarray(frame),
        controlnet_conditioning_scale=scale,
        generator=torch.Generator().manual_seed(1),
        **common,
    ).images
    guide = controls.of(checkpoint, asked(scale=scale), frame)
    batch = Guide.batch([guide], 1, guidance > 1, HEIGHT, WIDTH)
    plain = StableDiffusionXLPipeline.from_pretrained(tiny_folder)
    free = plain(generator=torch.Generator().manual_seed(1), **common).images
    guide_every_call(checkpoint.unet, guide.network, batch)
    plain.unet = checkpoint.unet
    got = plain(generator=torch.Generator().manual_seed(1), **common).images
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)
    assert (got - free).abs().mean() > 1e-2


def test_who_else_is_in_the_batch_changes_no_bytes(checkpoint, controls, frame):
    mine, theirs = controls.of(checkpoint, asked(), frame), controls.of(checkpoint, asked(scale=1.0), 255 - frame)
    own, other = inputs(1, seed=1), inputs(1, seed=2)
    empty = {name: torch.zeros_like(each) for name, each in own.items()}

    def rows(*slots):
        return {name: torch.cat([each[name] for each in (*slots, *slots)]) for name in own}

    def guided(slots, guides):
        return drawn(checkpoint, rows(*slots), mine.network, Guide.batch(guides, 4, True, HEIGHT, WIDTH))

    alone = guided((own, empty, empty, empty), [mine])
    crowd = guided((own, other, own, other), [mine, theirs, None, mine])
    assert torch.equal(crowd[[0, 4]], alone[[0, 4]])
    assert not torch.equal(crowd[[1, 5]], alone[[1, 5]])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_scale_of_zero_guides_nothing(checkpoint, shelf, frame, dtype):
    checkpoint = replace(checkpoint, unet=checkpoint.unet.to(dtype), dtype=dtype)
    guide = Controls(shelf, PLENTY).of(checkpoint, asked(scale=0.0), frame)
    given = {name: each.to(dtype) for name, each in inputs(2).items()}
    batch = Guide.batch([guide], 1, True, HEIGHT, WIDTH)
    assert torch.equal(drawn(checkpoint, given, guide.network, batch), drawn(checkpoint, given))


def test_tensors_have_one_shape_whoever_is_there(checkpoint, controls, frame):
    guide = controls.of(checkpoint, asked(), frame)
    for guides in ([guide], [guide, guide], [None, guide]):
        batch = Guide.batch(guides, 4, True, HEIGHT, WIDTH)
        assert batch["control_picture"].shape == (8, 3, 8 * HEIGHT, 8 * WIDTH)
        assert batch["control_scale"].shape == (8, 1, 1, 1)


def test_a_frame_that_an_image_starts_from_needs_no_network(controls, checkpoint, frame):
    assert controls.of(checkpoint, asked("img2img"), frame) is None
    assert controls.of(checkpoint, RenderRequest("1", "tiny", ""), None) is None


def test_a_guide_without_a_picture_is_refused(controls, checkpoint):
    with pytest.raises(Refused, match=r"layout: 'canny'.*picture"):
        controls.of(checkpoint, asked(), None)


def test_a_commercial_project_gets_no_network_that_forbids_it(shelf, checkpoint, frame):
    shelf.held["canny"] = replace(shelf.held["canny"], licence="cc-by-nc-4.0", commercial=False)
    with pytest.raises(Refused, match=r"layout: 'canny'.*cc-by-nc-4\.0"):
        Controls(shelf, 0).of(checkpoint, asked(commercial=True), frame)


def test_the_least_recently_used_network_leaves(shelf, checkpoint, frame):
    controls = Controls(shelf, 1)
    assert not controls.ready(checkpoint, asked("canny"))
    for kind, other in (("canny", "depth"), ("depth", "canny")):
        controls.of(checkpoint, asked(kind), frame)
        assert controls.ready(checkpoint, asked(kind))
        assert not controls.ready(checkpoint, asked(other))


def test_what_is_to_be_loaded_is_known_beforehand(controls, checkpoint, frame):
    wanted = controls.wanted_bytes(checkpoint, asked())
    controls.of(checkpoint, asked(), frame)
    assert wanted == controls.weight_bytes > 0
    assert controls.wanted_bytes(checkpoint, asked()) == 0
    assert controls.wanted_bytes(checkpoint, asked("img2img")) == 0


@pytest.mark.parametrize("budget", [1, PLENTY])
def test_networks_that_guide_nobody_leave_and_it_is_told(shelf, checkpoint, frame, budget):
    left = []
    controls = Controls(shelf, budget, left.append)
    guide = controls.of(checkpoint, asked("canny"), frame)
    controls.of(checkpoint, asked("depth"), frame)
    assert left == []
    controls.give_up()
    assert left == [guide.sha256], "both have the same weights, one is in use"
    assert controls.ready(checkpoint, asked("canny"))
    assert not controls.ready(checkpoint, asked("depth"))
    del guide
    controls.give_up()
    assert len(left) == 2
    assert controls.weight_bytes == 0


def damaged(folder, fault):
    """Spoil a ControlNet's folder in one way."""
    weights, settings = folder / "diffusion_pytorch_model.safetensors", folder / "config.json"
    if fault == "base":
        settings.write_text(json.dumps(json.loads(settings.read_text()) | {"cross_attention_dim": 768}))
    elif fault == "cut":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif fault == "pickle":
        weights.rename(folder / "diffusion_pytorch_model.bin")
    elif fault == "layers":
        settings.write_text(json.dumps(json.loads(settings.read_text()) | {"transformer_layers_per_block": [1, 1]}))


@pytest.mark.parametrize(
    ("fault", "said"),
    [("base", "cross_attention_dim is 768"), ("cut", "damaged"), ("pickle", "pickle"), ("layers", "cannot be read")],
)
def test_a_network_that_cannot_be_used_says_why(shelf, checkpoint, frame, network_folder, tmp_path, fault, said):
    folder = tmp_path / "canny"
    shutil.copytree(network_folder, folder)
    damaged(folder, fault)
    shelf.held["canny"] = replace(shelf.held["canny"], path=folder, files={})
    with pytest.raises(ModelUnusable, match=said):
        Controls(shelf, 0).of(checkpoint, asked(), np.asarray(frame))


def test_what_is_no_controlnet_is_refused_before_its_weights_are_counted(shelf, checkpoint, network_folder):
    shelf.held["person"] = replace(shelf.held["canny"], name="person", kind="lora", path=network_folder / "none")
    with pytest.raises(Refused, match="kind lora"):
        Controls(shelf, 0).wanted_bytes(checkpoint, asked("person"))


@pytest.mark.parametrize("file", ["config.json", "diffusion_pytorch_model.safetensors"])
def test_a_network_that_was_replaced_on_disk_is_refused(shelf, checkpoint, frame, network_folder, tmp_path, file):
    shutil.copytree(network_folder, tmp_path / "canny")
    (tmp_path / "canny" / file).write_bytes((network_folder / file).read_bytes() + b" ")
    shelf.held["canny"] = replace(shelf.held["canny"], path=tmp_path / "canny")
    with pytest.raises(ModelUnusable, match="is not what was installed"):
        Controls(shelf, 0).of(checkpoint, asked(), np.asarray(frame))
