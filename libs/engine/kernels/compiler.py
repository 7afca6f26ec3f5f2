"""How a call is compiled: without measuring, or with kernels that were chosen by timing them once.

torch's deterministic algorithms, which the engine always draws with, also forbid its compiler to choose by timing
(``torch.use_deterministic_algorithms``). Choosing is allowed while tuning only, and what is chosen is as deterministic
as what it is chosen from. The compiler finds its own results again under a key in which all of its options stand, so
serving has to ask with the options of tuning, and is kept from measuring in another way.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch._dynamo import config as tracing
from torch._inductor import compile_fx

from engine.kernels.port import Call
from engine.offload.process import interpreter

__all__ = ["OPTIONS", "Compiler", "Missing", "inductor", "many_classes", "reading_only"]

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "plain": {"max_autotune": False, "deterministic": True},
    "tuned": {"max_autotune": True, "deterministic": False},
    "tuned with TMA": {"max_autotune": True, "deterministic": False, "triton.enable_persistent_tma_matmul": True},
}
"""The compiler's options by the name that artifacts know them by. Plain ones choose by rules and never measure what
could change a result; how a kernel without any sum is cut into blocks may be timed by either and changes nothing."""
CLASSES = 4096
"""How many shapes a call may be compiled for. torch gives up at the ninth, and counts those of all calls together."""

Compiler = Callable[[Call, str], Call]
"""Compiles a call with the options of a name."""


class Missing(Exception):
    """The compiler's caches do not hold what was tuned."""


def inductor(call: Call, options: str) -> Call:
    """Return the call compiled by torch; it happens when it is first called, and again for no other reason."""
    return torch.compile(call, dynamic=False, fullgraph=True, options=dict(OPTIONS[options]))


@contextmanager
def many_classes() -> Iterator[None]:
    """Enclose whatever may compile."""
    sys.executable = interpreter()  # torch starts its compiling processes with it; embedded, it may be the host
    with tracing.patch(recompile_limit=CLASSES, accumulated_recompile_limit=CLASSES):
        yield


@contextmanager
def reading_only() -> Iterator[None]:
    """Let the compiler take what its caches hold; raises ``Missing`` where it would begin to make something."""
    usual, is_missing = compile_fx.fx_codegen_and_compile, False

    def refused(*_: Any, **__: Any) -> Any:
        nonlocal is_missing
        is_missing = True
        raise Missing

    compile_fx.fx_codegen_and_compile = refused
    try:
        yield
    except Exception as error:
        if is_missing:
            raise Missing("the caches hold no such kernels") from error
        raise
    finally:
        compile_fx.fx_codegen_and_compile = usual
