"""What makes the engine faster, one thing after another, each switched on for a measurement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.attention_processor import AttnProcessor2_0
from diffusers.models.resnet import ResnetBlock2D
from torch.nn.attention import SDPBackend, sdpa_kernel

from engine.checkpoint import Checkpoint
from engine.drawing import studio
from engine.identity.attention import install
from engine.kernels.compiled import Compiled
from engine.kernels.compiler import OPTIONS
from engine.kernels.port import Eager, Kernels
from engine.kernels.projections import join

ATTENTION = {
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "flash": SDPBackend.FLASH_ATTENTION,
    "memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "plain products": SDPBackend.MATH,
}
REST = [SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]
"""For the autoencoder's one head of 512 channels, which neither of the fast ones takes."""


def _nothing(_: Any) -> None: ...


@dataclass(frozen=True)
class Setting:
    """``lay`` is done to the checkpoint once, ``attend`` to the denoiser whenever the engine opens it."""

    name: str
    kernels: Callable[[], Kernels] = Eager
    lay: Callable[[Checkpoint], None] = _nothing
    attend: Callable[[Any], None] = install
    attention: str | None = None

    @contextmanager
    def on(self, checkpoint: Checkpoint) -> Iterator[Kernels]:
        """Enclose a measurement with exactly this: what serving does by itself on a GPU is left out."""
        self.lay(checkpoint)
        with ExitStack() as stack:
            stack.enter_context(patch.object(studio, "install", self.attend))
            if hasattr(studio, "arrange"):
                stack.enter_context(patch.object(studio, "arrange", _nothing))
            if self.attention is not None:
                stack.enter_context(sdpa_kernel([ATTENTION[self.attention], *REST], set_priority=True))
            self.attend(checkpoint.unet)
            yield self.kernels()


def channels_last(checkpoint: Checkpoint) -> None:
    for network in (checkpoint.unet, checkpoint.vae):
        network.to(memory_format=torch.channels_last)


def joined(unet: Any) -> None:
    install(unet)
    join(unet)


def captured() -> Compiled:
    """Return torch's own kernels, in a graph."""
    return Compiled("", compiler=lambda call, _: call)


def compiled(options: str) -> Callable[[], Compiled]:
    return lambda: Compiled("", options, is_tuning=True)


def _stock_attention(unet: Any) -> None:
    """Without a place of its own in each layer, all layers of a size are one for the compiler."""
    unet.set_attn_processor(AttnProcessor2_0())


def _compiled_blocks(checkpoint: Checkpoint) -> None:
    channels_last(checkpoint)
    for module in checkpoint.unet.modules():
        if isinstance(module, BasicTransformerBlock | ResnetBlock2D):
            module.compile(dynamic=False, fullgraph=True, options=dict(OPTIONS["plain"]))


EAGER = (
    Setting("eager"),
    Setting("+ channels last", lay=channels_last),
    Setting("+ joined products", lay=channels_last, attend=joined),
    Setting("+ graphs", captured, channels_last, joined),
    Setting("+ graphs, flash attention", captured, channels_last, joined, "flash"),
    Setting("+ graphs, cuDNN attention", captured, channels_last, joined, "cuDNN"),
)
BLOCKS = (Setting("blocks compiled, graphs", captured, _compiled_blocks, _stock_attention),)
COMPILED = (Setting("compiled, graphs", compiled("plain"), channels_last, joined),)
TUNED = (Setting("tuned, graphs", compiled("tuned"), channels_last, joined),)
TMA = (Setting("tuned with TMA, graphs", compiled("tuned with TMA"), channels_last, joined),)
GRAPHS = EAGER[3]

__all__ = ["ATTENTION", "BLOCKS", "COMPILED", "EAGER", "GRAPHS", "REST", "TMA", "TUNED", "Setting"]
