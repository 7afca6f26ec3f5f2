"""The previz frame as a guide: what a ControlNet adds to the denoiser's own features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers.image_processor import VaeImageProcessor
from numpy.typing import NDArray
from PIL import Image

__all__ = ["Guide", "residuals"]

_LATENT_PX = 8


@dataclass(eq=False)
class Guide:
    """One request's guide. ``picture`` is RGB, uint8 (h, w, 3), in the proportions of the drawn frame.

    The picture goes to the network as it is: a network trained on depth wants depth. ``sha256`` names its weights;
    requests share a batch only where it is the same.
    """

    network: Any
    sha256: str
    scale: float
    picture: NDArray[np.uint8]
    _shown: dict[tuple[int, int], torch.Tensor] = field(default_factory=dict, repr=False)

    def shown(self, latent_h: int, latent_w: int) -> torch.Tensor:
        """Return the picture, (1, 3, H, W), 0 to 1, in the network's dtype; made once for each size."""
        size = (_LATENT_PX * latent_h, _LATENT_PX * latent_w)
        if size not in self._shown:
            made = VaeImageProcessor(do_normalize=False).preprocess(Image.fromarray(self.picture), *size)
            self._shown[size] = made.to(self.network.device, self.network.dtype)
        return self._shown[size]

    @staticmethod
    def batch(
        guides: Sequence[Guide | None], slots: int, guided: bool, latent_h: int, latent_w: int
    ) -> dict[str, torch.Tensor]:
        """Return ``control_picture`` (B, 3, H, W) and ``control_scale`` (B, 1, 1, 1), float32, for ``residuals``.

        B is ``slots``, with guidance twice that, all unconditional rows first. Requests that are None and slots beyond
        the given ones are black with a scale of 0. At least one guide has to be there.
        """
        present = [*guides, *[None] * (slots - len(guides))]
        some = next(each for each in present if each is not None)

        def rows(tensor_of: Callable[[Guide], torch.Tensor]) -> torch.Tensor:
            empty = torch.zeros_like(tensor_of(some))
            made = torch.cat([empty if each is None else tensor_of(each) for each in present])
            return torch.cat([made, made]) if guided else made

        device = some.network.device
        return {
            "control_picture": rows(lambda each: each.shown(latent_h, latent_w)),
            "control_scale": rows(lambda each: torch.full((1, 1, 1, 1), each.scale, device=device)),
        }


def residuals(
    network: Any,
    *,
    sample: torch.Tensor,
    timesteps: torch.Tensor,
    prompt: torch.Tensor,
    added: dict[str, Any] | None,
    control_picture: torch.Tensor,
    control_scale: torch.Tensor,
) -> dict[str, Any]:
    """Return the keyword arguments that the denoiser's call gets besides; the tensors are those of its own call.

    Source: Zhang et al., ControlNet (2023). The scale multiplies in float32, as a Python number would.
    """
    down, middle = network(
        sample,
        timesteps,
        encoder_hidden_states=prompt,
        controlnet_cond=control_picture,
        added_cond_kwargs=added,
        return_dict=False,
    )
    down, middle = [(each * control_scale).to(each.dtype) for each in down], (middle * control_scale).to(middle.dtype)
    return {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
