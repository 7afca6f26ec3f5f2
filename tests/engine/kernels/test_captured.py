"""A capture happens in the order that CUDA asks for; what cannot be captured is drawn all the same."""

import inspect
from contextlib import contextmanager

import pytest
import torch

from engine.kernels.captured import Captures
from engine.kernels.compiled import Compiled

GROUP = ("unet", "1024x576", "f00d")


class Stream:
    def __init__(self, said, name):
        self._said, self._name = said, name

    def wait_stream(self, other):
        self._said.append(f"{self._name} waits for {other._name}")

    def synchronize(self):
        self._said.append(f"{self._name} is awaited")


@pytest.fixture
def said(monkeypatch):
    """What was asked of CUDA, in order; torch's own functions with those arguments are there."""
    said = []
    usual, side = Stream(said, "usual"), Stream(said, "side")

    class Graph:
        def replay(self):
            said.append("replay")

    @contextmanager
    def on(stream):
        yield

    @contextmanager
    def graph(graph, pool=None, stream=None, capture_error_mode="global"):
        said.append(f"capture on {stream._name} in {pool}, {capture_error_mode}")
        yield
        said.append("captured")

    fakes = {
        "Stream": lambda: side,
        "current_stream": lambda: usual,
        "stream": on,
        "graph_pool_handle": lambda: "pool",
        "CUDAGraph": Graph,
        "graph": graph,
    }
    for name, fake in fakes.items():
        assert hasattr(torch.cuda, name)
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda each: True))
    return said


def call(said):
    def called(*, latent, scale):
        said.append("call")
        return latent * scale

    return called


def inputs(value):
    return {"latent": torch.full((2, 4), value), "scale": torch.full((1,), 3.0)}


def test_a_call_is_warmed_up_and_captured_on_one_stream_of_its_own(said):
    Captures().capture(call(said), inputs(1.0))
    assert said == [
        "side waits for usual",
        *["call"] * 3,
        "side is awaited",
        "capture on side in pool, thread_local",
        "call",
        "captured",
        "usual waits for side",
    ]


def test_a_run_copies_into_the_buffers_that_were_captured_and_replays(said):
    seen = []

    def called(*, latent, scale):
        seen.append(latent)
        return latent

    captured = Captures().capture(called, inputs(1.0))
    given = inputs(5.0)
    del said[:]
    captured(given)
    assert said == ["replay"]
    assert len({each.data_ptr() for each in seen}) == 1, "warm-ups and capture see one buffer"
    assert seen[0].data_ptr() != given["latent"].data_ptr()
    assert torch.equal(seen[0], given["latent"])


def test_what_a_run_gave_stays_when_the_next_one_runs(said, monkeypatch):
    captured = Captures().capture(lambda *, latent: latent, {"latent": torch.ones(2)})
    first = captured({"latent": torch.full((2,), 2.0)})
    captured({"latent": torch.full((2,), 3.0)})
    assert first.tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    "other",
    [
        {"latent": torch.ones(1, 4), "scale": torch.ones(1)},
        {"latent": torch.ones(2, 4, dtype=torch.float64), "scale": torch.ones(1)},
        {"latent": torch.ones(2, 4)},
        {"latent": torch.ones(2, 4), "scale": torch.ones(1), "more": torch.ones(1)},
    ],
)
def test_inputs_of_another_kind_are_refused_and_never_spread_out(said, other):
    captured = Captures().capture(call(said), inputs(1.0))
    del said[:]
    with pytest.raises(ValueError, match="captured"):
        captured(other)
    assert said == []


def compiled():
    return Compiled("", compiler=lambda call, options: call)


def test_what_cuda_will_not_capture_is_drawn_all_the_same(said, monkeypatch):
    @contextmanager
    def refusing(*_, **__):
        raise torch.AcceleratorError("CUDA error: operation not permitted when stream is capturing")
        yield

    monkeypatch.setattr(torch.cuda, "graph", refusing)
    kernels = compiled()
    assert torch.equal(kernels.run(GROUP, call(said), inputs(2.0)), torch.full((2, 4), 6.0))
    assert "not permitted" in "".join(kernels.uncaptured)


@pytest.mark.parametrize("words", ["CUDA out of memory", "CUDA error: an illegal memory access was encountered"])
def test_no_memory_and_a_broken_device_are_told_as_such(said, monkeypatch, words):
    @contextmanager
    def failing(*_, **__):
        raise RuntimeError(words)
        yield

    monkeypatch.setattr(torch.cuda, "graph", failing)
    kernels = compiled()
    with pytest.raises(RuntimeError, match=words):
        kernels.prepare(GROUP, call(said), inputs(2.0))
    assert not kernels.ready(GROUP)


def test_kernels_are_given_back_once_nothing_runs_any_more(said, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: said.append("all is awaited"))
    kernels = compiled()
    kernels.prepare(GROUP, call(said), inputs(1.0))
    del said[:]
    kernels.forget("other")
    assert said == []
    kernels.forget("f00d")
    assert said == ["all is awaited"]
    assert not kernels.ready(GROUP)


def test_torchs_own_capture_takes_what_it_is_given():
    assert {"pool", "stream", "capture_error_mode"} <= {*inspect.signature(torch.cuda.graph).parameters}
