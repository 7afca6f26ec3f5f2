"""A GPU's device asks torch and the driver for nothing that is not there, and counts memory as graphs leave it."""

import ctypes
import inspect
import json

import pytest
import torch

from engine.device import CudaDevice
from engine.device import cuda as module
from engine.device.driver import driver_version

GIB = 1024**3


@pytest.fixture
def gpu(monkeypatch):
    """What torch says of a GPU with 100 GiB, of which the driver has 60 left; tests change it."""
    said = {"free": 60 * GIB, "reserved": 30 * GIB, "allocated": 20 * GIB, "segments": [], "asked": 0}

    def snapshot(mempool_id=None, include_traces=True):
        said["asked"] += 1
        return said["segments"]

    def statistics(device):
        return {f"{name}_bytes": {"all": {"current": said[name]}} for name in ("reserved", "allocated")}

    assert inspect.signature(torch.cuda.memory_snapshot) == inspect.signature(snapshot), "torch's own takes the same"
    for name, answer in {
        "set_device": lambda device: None,
        "get_device_name": lambda index: "NVIDIA H200",
        "get_device_capability": lambda device: (9, 0),
        "mem_get_info": lambda device: (said["free"], 100 * GIB),
        "memory_stats_as_nested_dict": statistics,
        "memory_snapshot": snapshot,
    }.items():
        assert hasattr(torch.cuda, name)
        monkeypatch.setattr(torch.cuda, name, answer)
    monkeypatch.setattr(module, "driver_version", lambda: "580.159.04")
    return said


def segment(pool, total, allocated):
    return {"segment_pool_id": pool, "total_size": total, "allocated_size": allocated}


def test_its_facts_can_be_told_and_go_into_json(gpu):
    facts = json.loads(json.dumps(dict(CudaDevice().facts())))
    assert facts["cuda_driver"] == "580.159.04"
    assert (facts["device"], facts["instructions"]) == ("NVIDIA H200", "sm_90")
    assert facts["torch"] == torch.__version__


def test_what_torch_caches_is_free(gpu):
    assert CudaDevice().free_bytes() == 70 * GIB


def test_what_graphs_write_to_is_not_free_though_no_tensor_has_it(gpu):
    gpu["segments"] = [segment((0, 0), 22 * GIB, 17 * GIB), segment((0, 7), 8 * GIB, 3 * GIB)]
    assert CudaDevice().free_bytes() == 65 * GIB


def test_segments_are_counted_again_only_when_torch_has_taken_or_given_memory(gpu):
    device = CudaDevice()
    for _ in range(3):
        device.free_bytes()
    assert gpu["asked"] == 1
    gpu["reserved"] += GIB
    device.free_bytes()
    assert gpu["asked"] == 2


def test_nothing_is_asked_of_the_driver_where_nothing_is_wanted(gpu, monkeypatch):
    device = CudaDevice()
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: pytest.fail("asked"))
    with device.allocating("step", 0):
        pass


class Library:
    """NVML and CUDA's own, as far as they are asked; ``status`` is what each call answers."""

    def __init__(self, status=0):
        self.nvmlInit_v2 = lambda: status
        self.nvmlShutdown = lambda: 0
        self.cuDriverGetVersion = self._cuda

    def nvmlSystemGetDriverVersion(self, buffer, length):
        buffer.value = b"580.159.04"
        return 0

    def _cuda(self, version):
        ctypes.cast(version, ctypes.POINTER(ctypes.c_int))[0] = 13000
        return 0


def test_the_driver_is_called_as_its_maker_calls_it():
    assert driver_version(lambda name: Library()) == "580.159.04"


def test_without_nvml_the_driver_is_called_by_the_cuda_that_it_speaks():
    def library(name):
        if "nvidia-ml" in name:
            raise OSError(name)
        return Library()

    assert driver_version(library) == "CUDA 13.0"
    assert driver_version(lambda name: Library(status=9)) == "CUDA 13.0"


def test_without_a_driver_there_is_no_name():
    def library(name):
        raise OSError(name)

    assert driver_version(library) == ""
