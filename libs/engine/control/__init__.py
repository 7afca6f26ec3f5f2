"""Layout guides by ControlNets: residuals that are added to the denoiser's features."""

from engine.control.controls import Controls
from engine.control.guide import Guide, residuals

__all__ = ["Controls", "Guide", "residuals"]
