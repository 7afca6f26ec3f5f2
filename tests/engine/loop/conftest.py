"""Stand-ins: a drawer whose units are scripted, workers that are no processes, a listener that remembers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engine.door import Engine, Limits
from engine.request import RenderRequest
from engine.work import Finished, Outcome, Picture, Progress, Unit

LONG_S = 120.0


@dataclass
class Raw:
    """Stands for a RawRequest; it carries the request itself."""

    request: RenderRequest
    shape: Hashable = "small"
    spec: bytes = b"spec"
    image: bytes | None = None
    mask: bytes | None = None
    layout: bytes | None = None
    references: list[bytes] = field(default_factory=list)
    reference_masks: list[bytes] = field(default_factory=list)


def prepared(raw: Raw, **pictures: Any) -> Any:
    return SimpleNamespace(request=raw.request, shape=raw.shape, sha256={}, **pictures)


class ScriptedWork:
    def __init__(self, request: RenderRequest, shape: Hashable, memory_bytes: int = 1) -> None:
        self.id = request.id
        self.memory_bytes = memory_bytes
        self.request = request
        self.shape = shape
        self.is_closed = False
        self.units = [("encode", None), *[("step", shape)] * request.steps, ("decode", None)] * request.images

    @property
    def next(self) -> Unit:
        phase, group = self.units[0]
        return Unit(phase, group, len(self.units), kind=None if phase == "step" else (phase, self.shape))

    def advance(self) -> Outcome:
        phase = self.units.pop(0)[0]
        steps = self.request.steps * self.request.images
        if phase == "encode":
            return []
        if phase == "step":
            left = sum(phase == "step" for phase, _ in self.units)
            return [Progress(steps - left, steps, np.full((4, 4, 3), left % 256, np.uint8))]
        index = self.request.images - 1 - sum(phase == "decode" for phase, _ in self.units)
        picture = Picture(index, self.request.seed + index, np.full((8, 8, 3), self.request.seed % 256, np.uint8))
        return [picture] if self.units else [picture, Finished()]

    def close(self) -> None:
        self.is_closed = True


class ScriptedDrawer:
    """``before`` sees every batch before it runs; what it raises, ``run`` raises. ``spoil`` gives single failures."""

    def __init__(self, slots: int = 1) -> None:
        self.width = slots
        self.batches: list[list[str]] = []
        self.works: dict[str, ScriptedWork] = {}
        self.before: Callable[[list[Any]], None] = lambda _works: None
        self.spoil: Callable[[ScriptedWork], Exception | None] = lambda _work: None

    def begin(self, ready: Any) -> ScriptedWork:
        if ready.request.prompt == "cannot begin":
            raise ValueError("cannot begin")
        work = self.works[ready.request.id] = ScriptedWork(ready.request, ready.shape)
        return work

    def slots(self, group: Hashable) -> int:
        return self.width

    def run(self, works: Sequence[Any]) -> list[Outcome]:
        self.before(list(works))
        self.batches.append([work.id for work in works])
        return [self.spoil(work) or work.advance() for work in works]


class Gate:
    """Holds the device before a unit until the test lets it go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()

    def __call__(self, _works: Any = None) -> None:
        self.reached.set()
        assert self._open.wait(LONG_S)

    def open(self) -> None:
        self._open.set()


class Inline:
    """Workers that are this thread."""

    def run(self, function: Any, *args: Any) -> Any:
        return function(*args)

    def close(self) -> None: ...


class Ears:
    """A listener that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []
        self.ends: list[Any] = []
        self.ended = threading.Event()
        self.thread_names: set[str] = set()

    def progress(self, step: int, steps: int, preview_jpeg: bytes) -> None:
        self._note("progress", step, steps, preview_jpeg)

    def picture(self, picture: Picture, manifest_json: bytes) -> None:
        self._note("picture", picture, manifest_json)

    def failed(self, error: Exception) -> None:
        self._end(error)

    def finished(self) -> None:
        self._end("finished")

    def wait(self) -> Any:
        assert self.ended.wait(LONG_S), f"no end; {len(self.heard)} pieces of news were heard"
        return self.ends[0]

    def pictures(self) -> list[Picture]:
        return [each[1] for each in self.heard if each[0] == "picture"]

    def _note(self, *words: Any) -> None:
        assert not self.ends, "something came behind the end"
        self.thread_names.add(threading.current_thread().name)
        self.heard.append(words)

    def _end(self, how: Any) -> None:
        self.ends.append(how)
        self.ended.set()


def manifest(request: Any, facts: Any, picture: Picture) -> bytes:
    return f"{request.id} {picture.index} {facts['engine']}".encode()


def request(id: str, **fields: Any) -> RenderRequest:
    return RenderRequest(**{"id": id, "checkpoint": "tiny", "prompt": "a boat", "steps": 3, **fields})


class Bench:
    """An engine on the stand-ins."""

    def __init__(self, slots: int = 1, prepare: Any = prepared, **options: Any) -> None:
        self.drawer = ScriptedDrawer(slots)
        self.fatal = threading.Event()
        settings = {
            "offload": Inline(),
            "free_bytes": lambda: 1 << 30,
            "facts": {"engine": "1"},
            "describe": manifest,
            "fatal": self.fatal.set,
            "limits": Limits(waiting=64),
            **options,
        }
        self.engine = Engine(lambda: self.drawer, prepare, **settings)

    def submit(self, id: str, ears: Ears | None = None, priority: int | None = None, **fields: Any) -> tuple[Any, Ears]:
        ears = ears or Ears()
        return self.engine.submit(id, Raw(request(id, **fields)), ears, priority), ears


@pytest.fixture
def make_bench():
    made: list[Bench] = []

    def make(**options: Any) -> Bench:
        made.append(Bench(**options))
        return made[-1]

    yield make
    for bench in made:
        bench.engine.close()


@pytest.fixture
def bench(make_bench):
    return make_bench()


@pytest.fixture
def kit():
    """What tests build for themselves."""
    return SimpleNamespace(
        Ears=Ears, Gate=Gate, Raw=Raw, Inline=Inline, request=request, prepared=prepared, LONG_S=LONG_S
    )
