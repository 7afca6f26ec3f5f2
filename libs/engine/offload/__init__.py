"""Processes beside the engine's own for whatever would hold its interpreter: parsing, tokenising, encoding, hashing."""

from engine.offload.pool import Offload, WorkerDied, Workers

__all__ = ["Offload", "WorkerDied", "Workers"]
