from typing import Any

import pytest
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    EulerDiscreteScheduler,
    StableDiffusionPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPImageProcessorPil,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    CLIPVisionModelWithProjection,
)

from engine.models.catalogue import Catalogue


@pytest.fixture(scope="session")
def pipelines(tiny_catalogue: Catalogue) -> dict[str, Any]:
    """Stock pipelines over networks that the engine has never touched, by what is special about them."""
    text = _loaded(tiny_catalogue)
    made = {
        "text": text,
        "image": StableDiffusionXLImg2ImgPipeline(**text.components),
        "mask": StableDiffusionXLInpaintPipeline(**text.components),
        "lora": _with_lora(tiny_catalogue),
        "people": _with_adapter(tiny_catalogue),
        "layout": _with_control(tiny_catalogue, text),
        "refiner": _refiner(tiny_catalogue),
        "sd2": _sd2(tiny_catalogue),
    }
    for each in made.values():
        each.set_progress_bar_config(disable=True)
    return made


def _loaded(catalogue: Catalogue, **components: Any) -> Any:
    path = catalogue.entry("sdxl-tiny").path
    return StableDiffusionXLPipeline.from_pretrained(path, use_safetensors=True, local_files_only=True, **components)


def _with_lora(catalogue: Catalogue) -> Any:
    pipeline = _loaded(catalogue)
    (file,) = catalogue.entry("tiny-lora").path.glob("*.safetensors")
    pipeline.load_lora_weights(str(file.parent), weight_name=file.name)
    pipeline.fuse_lora(lora_scale=0.8)
    return pipeline


def _with_adapter(catalogue: Catalogue) -> Any:
    encoder = CLIPVisionModelWithProjection.from_pretrained(catalogue.entry("tiny-image-encoder").path)
    processor = CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size=224)
    pipeline = _loaded(catalogue, image_encoder=encoder, feature_extractor=processor)
    (file,) = catalogue.entry("tiny-ip-adapter").path.glob("*.safetensors")
    pipeline.load_ip_adapter(
        str(file.parent.parent), subfolder=file.parent.name, weight_name=file.name, image_encoder_folder=None
    )
    pipeline.set_ip_adapter_scale([[0.7, 0.4]])
    return pipeline


def _with_control(catalogue: Catalogue, text: Any) -> Any:
    network = ControlNetModel.from_pretrained(catalogue.entry("tiny-controlnet").path, use_safetensors=True)
    components = {name: each for name, each in text.components.items() if name not in ("image_encoder",)}
    return StableDiffusionXLControlNetPipeline(**components, controlnet=network)


def _refiner(catalogue: Catalogue) -> Any:
    path = catalogue.entry("tiny-refiner").path
    scheduler = EulerDiscreteScheduler.from_pretrained(path / "scheduler")
    return StableDiffusionXLImg2ImgPipeline(
        vae=AutoencoderKL.from_pretrained(path / "vae"),
        text_encoder=None,
        text_encoder_2=CLIPTextModelWithProjection.from_pretrained(path / "text_encoder_2"),
        tokenizer=None,
        tokenizer_2=CLIPTokenizer.from_pretrained(path / "tokenizer_2"),
        unet=UNet2DConditionModel.from_pretrained(path / "unet"),
        scheduler=scheduler,
        requires_aesthetics_score=True,
        force_zeros_for_empty_prompt=False,
    )


def _sd2(catalogue: Catalogue) -> Any:
    path = catalogue.entry("tiny-sd2").path
    return StableDiffusionPipeline(
        vae=AutoencoderKL.from_pretrained(path / "vae"),
        text_encoder=CLIPTextModel.from_pretrained(path / "text_encoder"),
        tokenizer=CLIPTokenizer.from_pretrained(path / "tokenizer"),
        unet=UNet2DConditionModel.from_pretrained(path / "unet"),
        scheduler=EulerDiscreteScheduler.from_pretrained(path / "scheduler"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
