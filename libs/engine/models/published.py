"""Published models that can be fetched by name: where they lie, at which revision, under which licence.

Licences are those that the models' own pages stated at these revisions; read them before you rely on them.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from engine.errors import Refused

__all__ = ["PUBLISHED", "Published", "Source", "published"]


@dataclass(frozen=True)
class Source:
    """Files of one repository at one revision. ``patterns`` are shell patterns, each of which must find something.

    A file goes to ``into`` followed by its path without ``strip``.
    """

    repository: str
    revision: str
    patterns: tuple[str, ...]
    strip: str = ""
    into: str = ""


@dataclass(frozen=True)
class Published:
    """A model; ``needs`` names others that are fetched along."""

    kind: str
    architecture: str
    licence: str
    commercial: bool
    sources: tuple[Source, ...]
    needs: tuple[str, ...] = ()


_WITHOUT_VAE = (
    "model_index.json", "scheduler/*.json", "tokenizer*/*", "text_encoder*/config.json",
    "text_encoder*/model.fp16.safetensors", "unet/config.json", "unet/*.fp16.safetensors",
)  # fmt: skip
_VAE = ("vae/config.json", "vae/*.fp16.safetensors")
_FOLDER = (*_WITHOUT_VAE, *_VAE)
_CONTROLNET = ("config.json", "*.fp16.safetensors")

_SDXL = ("stabilityai/stable-diffusion-xl-base-1.0", "462165984030d82259a11f4367a4eed129e94a7b")
_REFINER = ("stabilityai/stable-diffusion-xl-refiner-1.0", "5d4cfe854c9a9a87939ff3653551c2b3c99a4356")
_SDXL_TURBO = ("stabilityai/sdxl-turbo", "71153311d3dbb46851df1931d3ca6e939de83304")
_SD_TURBO = ("stabilityai/sd-turbo", "b261bac6fd2cf515557d5d0707481eafa0485ec2")
_FIXED_VAE = ("madebyollin/sdxl-vae-fp16-fix", "207b116dae70ace3637169f1ddd2434b91b3a8cd")
_LIGHTNING = ("ByteDance/SDXL-Lightning", "c9a24f48e1c025556787b0c58dd67a091ece2e44")
_IP_ADAPTER = ("h94/IP-Adapter", "018e402774aeeddd60609b4ecdb7e298259dc729")
_CANNY = ("diffusers/controlnet-canny-sdxl-1.0", "eb115a19a10d14909256db740ed109532ab1483c")
_DEPTH = ("diffusers/controlnet-depth-sdxl-1.0", "17bb97973f29801224cd66f192c5ffacf82648b4")

_RAIL = "CreativeML Open RAIL++-M"
_RESEARCH = "Stability AI Non-Commercial Research Community License"


def _ip_adapter(name: str) -> Published:
    files = Source(*_IP_ADAPTER, (f"sdxl_models/{name}_sdxl_vit-h.safetensors",), strip="sdxl_models/")
    return Published("ip-adapter", "sdxl", "Apache-2.0", commercial=True, sources=(files,), needs=("clip-vit-h",))


def _folder(kind: str, architecture: str, licence: str, source: tuple[str, str], *, commercial: bool) -> Published:
    return Published(kind, architecture, licence, commercial, (Source(*source, _FOLDER),))


def _controlnet(source: tuple[str, str]) -> Published:
    return Published("controlnet", "sdxl", _RAIL, commercial=True, sources=(Source(*source, _CONTROLNET),))


def _lightning(steps: int) -> Published:
    files = Source(*_LIGHTNING, (f"sdxl_lightning_{steps}step_lora.safetensors",))
    return Published("lora", "sdxl", _RAIL, commercial=True, sources=(files,))


PUBLISHED: dict[str, Published] = {
    "sdxl": _folder("checkpoint", "sdxl", _RAIL, _SDXL, commercial=True),
    "sdxl-fp16-vae": Published(
        "checkpoint",
        "sdxl",
        f"{_RAIL}; VAE: MIT",
        commercial=True,
        sources=(
            Source(*_SDXL, _WITHOUT_VAE),
            Source(*_FIXED_VAE, ("config.json", "diffusion_pytorch_model.safetensors"), into="vae/"),
        ),
    ),
    "sdxl-turbo": _folder("checkpoint", "sdxl", _RESEARCH, _SDXL_TURBO, commercial=False),
    "sd-turbo": _folder("checkpoint", "sd2", _RESEARCH, _SD_TURBO, commercial=False),
    "sdxl-refiner": _folder("refiner", "sdxl-refiner", _RAIL, _REFINER, commercial=True),
    "sdxl-lightning-4": _lightning(4),
    "sdxl-lightning-8": _lightning(8),
    "ip-adapter-plus": _ip_adapter("ip-adapter-plus"),
    "ip-adapter-plus-face": _ip_adapter("ip-adapter-plus-face"),
    "clip-vit-h": Published(
        "image-encoder",
        "clip",
        "Apache-2.0",
        commercial=True,
        sources=(
            Source(
                *_IP_ADAPTER,
                ("models/image_encoder/config.json", "models/image_encoder/model.safetensors"),
                strip="models/image_encoder/",
            ),
        ),
    ),
    "controlnet-canny": _controlnet(_CANNY),
    "controlnet-depth": _controlnet(_DEPTH),
}


def published(name: str) -> Published:
    """Return what is known of a model. Raises ``Refused`` with the nearest name and what to do instead."""
    if name in PUBLISHED:
        return PUBLISHED[name]
    if "://" in name:
        raise Refused("name", name, "that is pulled by a name; `continuity models adopt` takes s3:// addresses")
    near = get_close_matches(name, PUBLISHED, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise Refused("name", name, f"{hint}it is one of {', '.join(PUBLISHED)}. Adopt, not pull, files of your own")
