"""The device that draws: its memory, what about it may change a picture's bytes, and how it is kept the same."""

from engine.device.cpu import CpuDevice
from engine.device.cuda import CudaDevice
from engine.device.port import Device, chosen, is_sticky

__all__ = ["CpuDevice", "CudaDevice", "Device", "chosen", "is_sticky"]
