"""A checkpoint from disk into memory, bit by bit: verified, complete, of the architecture that its entry states.

The device's thread takes it one short step after another; files are read and hashed beside it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import Future, wait
from functools import partial
from typing import Any, NamedTuple

import torch

from engine.checkpoint import Checkpoint
from engine.device.memory import is_memory
from engine.errors import OutOfMemory
from engine.models.assembly import Assembly, assembly
from engine.models.entry import Entry, sha256_of
from engine.models.files import Read
from engine.models.networks import TEXT_ENCODERS, configuration
from engine.models.reader import Chunk, Reader
from engine.models.slices import Slices
from engine.models.survey import Settings, files_of_weights, settings_of, zeros_for_empty
from engine.models.tokenizers import Tokenizers

__all__ = ["Loading", "load", "vae_dtype"]

_LATENT_PX = 8


class Step(NamedTuple):
    """What is done next, once ``waits`` is over. It may be done again after it ran out of memory."""

    act: Callable[[], Any]
    waits: Future[Any] | None = None


Steps = Generator[Step, Any, Checkpoint]


class Loading:
    """A checkpoint on its way; see ``Wait``, too. Belongs to the device's thread.

    ``advance`` takes one short step, after waiting for what that wants if it is not there yet. Running out of memory
    leaves it where it was; any other error is its end, and that of all who wait for it.
    """

    def __init__(self, entry: Entry, device: torch.device | str, dtype: torch.dtype, read: Read = os.preadv) -> None:
        self.entry = entry
        self.checkpoint: Checkpoint | None = None
        self.error: Exception | None = None
        self.moved_s = time.monotonic()
        self._steps = _steps(entry, torch.device(device), dtype, read)
        self._step = next(self._steps)

    @property
    def has_ended(self) -> bool:
        """Whether the checkpoint is there, or will never be."""
        return self.checkpoint is not None or self.error is not None

    def done(self) -> bool:
        """Whether ``advance`` has something to do."""
        return self.has_ended or self._step.waits is None or self._step.waits.done()

    def add_done_callback(self, call: Callable[[Any], object]) -> None:
        """See ``Wait``."""
        if self._step.waits is not None:
            self._step.waits.add_done_callback(call)

    def advance(self) -> Checkpoint | None:
        """Take a step; return the checkpoint when it is there. Raises ``EngineError``."""
        if not self.has_ended:
            self._advance()
        if self.error is not None:
            raise self.error
        return self.checkpoint

    def close(self) -> None:
        """Give back what was read."""
        self._steps.close()

    def _advance(self) -> None:
        try:
            if self._step.waits is not None:
                wait([self._step.waits])
            self._step = self._steps.send(self._step.act())
        except StopIteration as end:
            self.checkpoint = end.value
        except Exception as error:
            if isinstance(error, OutOfMemory) or is_memory(error):
                raise
            self.error = error
            self.close()
        self.moved_s = time.monotonic()


def load(entry: Entry, device: torch.device | str, dtype: torch.dtype) -> Checkpoint:
    """Read a checkpoint onto a device, waiting for it. Raises ``ModelUnusable`` where it cannot be used."""
    loading = Loading(entry, device, dtype)
    try:
        while (checkpoint := loading.advance()) is None:
            pass
        return checkpoint
    finally:
        loading.close()


def vae_dtype(dtype: torch.dtype, settings: Mapping[str, Any]) -> torch.dtype:
    """Return what the autoencoder computes in: an SDXL one overflows in half precision unless it says otherwise."""
    return torch.float32 if dtype == torch.float16 and settings.get("force_upcast", True) else dtype


def _steps(entry: Entry, device: torch.device, dtype: torch.dtype, read: Read) -> Steps:
    settings = yield Step(partial(settings_of, entry))
    files = yield Step(partial(files_of_weights, entry, settings))
    names = [name for found in files.values() for name in found]
    reader = Reader(entry, names, is_pinned=device.type == "cuda", read=read)
    try:
        tensors = yield Step(reader.tensors.result, reader.tensors)
        stored = {component: [each for name in found for each in tensors[name]] for component, found in files.items()}
        dtypes = {name: vae_dtype(dtype, settings["vae"]) if name == "vae" else dtype for name in settings}
        parts = yield from _in_slices(partial(assembly, entry.name, settings, stored, device, dtypes))
        following: Future[Chunk | None] = reader.first
        while chunk := (yield Step(partial(_taken, parts, following), following)):
            reader.taken()
            following = chunk.following
            del chunk
        yield Step(parts.require_finite)
        networks = {}
        for name in settings:
            networks[name] = yield Step(partial(parts.filled, name))
        return _checkpoint(entry, settings, parts, networks, dict(sorted(reader.sha256.items())))
    finally:
        reader.close()


def _in_slices(function: Callable[[], Assembly]) -> Generator[Step, Any, Assembly]:
    slices = Slices(function)
    try:
        while not (yield Step(slices.advance)):
            pass
        return slices.outcome.result()
    finally:
        slices.close()


def _taken(parts: Assembly, following: Future[Chunk | None]) -> Chunk | None:
    chunk = following.result()
    if chunk is not None:
        parts.take(chunk)
    return chunk


def _checkpoint(
    entry: Entry, settings: Settings, parts: Assembly, networks: Mapping[str, Any], files: Mapping[str, str]
) -> Checkpoint:
    return Checkpoint(
        name=entry.name,
        architecture=entry.architecture,
        sha256=sha256_of(files),
        unet=networks["unet"],
        vae=networks["vae"],
        text_encoders=tuple(networks[name] for name in TEXT_ENCODERS if name in networks),
        tokenizers=Tokenizers(entry),
        scheduler_config=configuration(entry.name, entry.path / "scheduler", "scheduler_config.json"),
        native_px=_LATENT_PX * int(settings["unet"]["sample_size"]),
        device=parts.device,
        dtype=parts.dtypes["unet"],
        zeros_for_empty=zeros_for_empty(entry),
        licence=entry.licence,
        commercial=entry.commercial,
        files=files,
    )
