"""A device's memory and settings."""

import json
import threading

import pytest
import torch

from engine.device import CpuDevice, CudaDevice, chosen, is_sticky
from engine.errors import OutOfMemory, Refused


def test_a_request_that_wants_more_than_is_free_is_refused_before_it_takes_any():
    device = CpuDevice()
    taken = []
    with pytest.raises(OutOfMemory) as refusal, device.allocating("decode", 1 << 60):
        taken.append(1)
    assert (refusal.value.phase, refusal.value.wanted_bytes, taken) == ("decode", 1 << 60, [])


def test_what_torch_says_when_memory_runs_out_becomes_the_requests_error():
    with pytest.raises(OutOfMemory) as refusal, CpuDevice().allocating("encode", 8):
        torch.empty(1 << 60, dtype=torch.uint8)
    assert isinstance(refusal.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), MemoryError(), RuntimeError("CUBLAS_STATUS_ALLOC_FAILED")]
)
def test_every_way_of_saying_it_counts(error):
    with pytest.raises(OutOfMemory), CpuDevice().allocating("step", 8):
        raise error


def test_other_errors_pass_unchanged():
    with pytest.raises(RuntimeError, match="shapes differ"), CpuDevice().allocating("step", 8):
        raise RuntimeError("shapes differ")


@pytest.mark.parametrize("failing", range(3))
def test_a_test_can_make_any_allocation_fail(failing):
    seen = []

    def third(phase, wanted):
        seen.append(phase)
        if len(seen) == failing + 1:
            raise OutOfMemory(phase, wanted, 0)

    device = CpuDevice(on_allocation=third)
    done = []
    for phase in ("encode", "step", "decode"):
        try:
            with device.allocating(phase, 16):
                done.append(phase)
        except OutOfMemory as refusal:
            assert refusal.phase == ("encode", "step", "decode")[failing]
    assert len(done) == 2 and len(seen) == 3


def test_facts_say_what_may_change_bytes_and_go_into_json():
    facts = json.loads(json.dumps(CpuDevice(threads=1).facts()))
    assert facts["threads"] == 1
    assert facts["deterministic"] is True
    assert facts["torch"] == torch.__version__
    assert facts["device"]


def test_the_drawing_thread_computes_with_the_fixed_number_of_threads():
    device = CpuDevice(threads=1)
    found = []

    def draw():
        device.settle()
        found.append(torch.get_num_threads())

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert found == [1]


def test_a_device_is_chosen_by_name():
    assert chosen("cpu", 1).torch_device.type == "cpu"
    assert isinstance(chosen("auto", 1), CudaDevice if torch.cuda.is_available() else CpuDevice)


@pytest.mark.parametrize("name", ["", "tpu", "cuda:x", "cuda:99"])
def test_a_device_that_is_not_there_is_refused(name):
    with pytest.raises(Refused, match="device"):
        chosen(name, 1)


def test_only_errors_of_the_accelerator_itself_are_sticky():
    assert is_sticky(torch.AcceleratorError("CUDA error: an illegal memory access was encountered"))
    assert not is_sticky(torch.AcceleratorError("CUDA error: out of memory"))
    assert not is_sticky(RuntimeError("CUDA"))


@pytest.mark.parametrize(
    "said",
    ["operation not permitted when stream is capturing", "operation failed due to a previous error during capture"],
)
def test_a_capture_that_is_given_up_is_not_sticky(said):
    assert not is_sticky(torch.AcceleratorError(f"CUDA error: {said}"))


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasGemmEx( handle, opa, opb, m, n, k)`",
        "cuDNN error: CUDNN_STATUS_EXECUTION_FAILED",
        "Triton Error [CUDA]: an illegal memory access was encountered",
        "CUDA error: device-side assert triggered",
        "CUDA driver error: unspecified launch failure",
        "CUDA error: the launch timed out and was terminated",
        "CUDA error: uncorrectable ECC error encountered",
        "CUDA error: misaligned address",
    ],
)
def test_a_librarys_failure_that_poisons_the_device_is_sticky_whatever_its_type(said):
    assert is_sticky(RuntimeError(said))
    assert not is_sticky(ValueError(said))


@pytest.mark.parametrize(
    "said", ["CUDNN_STATUS_NOT_SUPPORTED", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED", "shapes differ"]
)
def test_a_librarys_other_failures_are_a_requests_own(said):
    assert not is_sticky(RuntimeError(said))


def test_free_bytes_are_those_of_this_machine():
    assert 0 < CpuDevice().free_bytes() < 1 << 50
