"""The diffusion engine: draws with SDXL, one step at a time, so that many requests share a device.

It runs inside Triton's Python backend and knows neither Triton nor any service. torch and diffusers, nothing else.
"""

VERSION = "2"
"""Changes with everything that may change a picture's bytes."""
