"""Kernels that are compiled and, on CUDA, captured: one launch a call, and the same kernels every time."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection

import torch

from engine.device.memory import is_memory
from engine.device.sticky import is_poisoned
from engine.kernels.captured import Captures
from engine.kernels.compiler import Compiler, Missing, inductor, many_classes, reading_only
from engine.kernels.port import Call, Group, Inputs

__all__ = ["Compiled", "class_of"]

_LOGGER = logging.getLogger(__name__)
Runs = Callable[[Inputs], torch.Tensor]


class Compiled:
    """Compiles each group once, and captures it where the tensors are on CUDA. One thread uses it.

    ``sha256`` names the artifact that torch's caches were filled from, ``tuned`` the classes that it holds and
    ``options`` how they were compiled; all others are compiled without measuring. So is one of them that the caches do
    not hold after all, and ``sha256`` is another from then on. With ``is_tuning`` everything is compiled with these
    options, and ``made`` are the classes that were.
    """

    def __init__(
        self,
        sha256: str,
        options: str = "plain",
        tuned: Collection[str] = (),
        *,
        is_tuning: bool = False,
        compiler: Compiler = inductor,
    ) -> None:
        self.sha256, self.options = sha256, options
        self.made: set[str] = set()
        self.uncaptured: set[str] = set()
        """Classes that CUDA would not capture, and why; they are launched operation by operation."""
        self._tuned, self._is_tuning, self._compiler = frozenset(tuned), is_tuning, compiler
        self._artifact, self._missing = sha256, set[str]()
        self._captures = Captures()
        self._ready: dict[Group, Runs] = {}

    def ready(self, group: Group) -> bool:
        """Tell whether the group was prepared."""
        return group in self._ready

    def prepare(self, group: Group, call: Call, inputs: Inputs) -> None:
        """Compile for these shapes, call it until nothing is chosen any more, and capture it."""
        name = class_of(group, inputs)
        with many_classes():
            compiled = self._compiled(name, call, inputs)
            self._ready[group] = self._captured(name, compiled, inputs)
        self.made.add(name)

    def run(self, group: Group, call: Call, inputs: Inputs) -> torch.Tensor:
        """Run what was prepared; a group that was not is prepared first."""
        if group not in self._ready:
            self.prepare(group, call, inputs)
        return self._ready[group](inputs)

    def forget(self, checkpoint: str) -> None:
        """Give back the kernels of the groups that name a checkpoint: they hold its weights."""
        leaving = [group for group in self._ready if checkpoint in group]
        if leaving and torch.cuda.is_initialized():
            torch.cuda.synchronize()  # what is captured may still run
        for group in leaving:
            del self._ready[group]

    def _compiled(self, name: str, call: Call, inputs: Inputs) -> Call:
        """Compile, by calling it for the first time."""
        if name in self._tuned - self._missing and not self._is_tuning:
            tuned = self._compiler(call, self.options)
            try:
                with reading_only():
                    tuned(**inputs)
            except Missing:
                _LOGGER.warning("the tuned kernels of %s cannot be read; its kernels are chosen by rules", name)
                self._missing.add(name)
                self.sha256 = _without(self._artifact, self._missing)
            else:
                return tuned
        compiled = self._compiler(call, self.options if self._is_tuning else "plain")
        compiled(**inputs)
        return compiled

    def _captured(self, name: str, call: Call, inputs: Inputs) -> Runs:
        if all(each.is_cuda for each in inputs.values()):
            try:
                return self._captures.capture(call, inputs)
            except RuntimeError as error:
                if is_memory(error) or is_poisoned(error):
                    raise
                _LOGGER.warning("%s cannot be captured and is launched by operations: %s", name, error)
                self.uncaptured.add(f"{name}: {error}")
        return lambda given: call(**given)


def class_of(group: Group, inputs: Inputs) -> str:
    """Return what a group's kernels depend on beside the networks' layout: which call it is, and each tensor's shape.

    Checkpoints of one architecture share it; their weights are no part of the kernels.
    """
    shapes = (f"{name}={_kind(each)}" for name, each in sorted(inputs.items()))
    return " ".join((str(group[0]), *shapes))


def _without(artifact: str, missing: Collection[str]) -> str:
    """Return what names kernels of an artifact of which these classes are chosen by rules instead."""
    return hashlib.sha256("\n".join((artifact, "plain", *sorted(missing))).encode()).hexdigest()


def _kind(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')}[{','.join(map(str, tensor.shape))}]"
