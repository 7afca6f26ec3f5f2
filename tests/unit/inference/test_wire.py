import numpy as np
import pytest
from tritonclient.grpc import service_pb2

from continuity.inference.tensors import ModelSpec, TensorSpec, bytes_tensor
from continuity.inference.wire import decode, encode, is_final

MODEL = ModelSpec(
    "grader",
    inputs=(TensorSpec("names", "BYTES", (-1,)), TensorSpec("picture", "UINT8", (-1, -1, 3))),
    outputs=(),
    version="2",
)


def test_a_request_carries_model_version_id_priority_and_asks_for_the_final_flag() -> None:
    request = encode(MODEL, {"names": bytes_tensor()}, request_id="job", priority=5)
    assert (request.model_name, request.model_version, request.id) == ("grader", "2", "job")
    assert request.parameters["job_priority"].int64_param == 5
    assert request.parameters["triton_enable_empty_final_response"].bool_param


@pytest.mark.parametrize("names", [(), (b"",), (b"a", b"\0b\0")])
def test_tensors_come_back_as_they_were_sent(names: tuple[bytes, ...]) -> None:
    picture = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)[:, ::2]
    sent = encode(MODEL, {"picture": picture, "names": bytes_tensor(*names)}, request_id="", priority=0)
    response = service_pb2.ModelInferResponse(raw_output_contents=sent.raw_input_contents)
    for tensor in sent.inputs:
        response.outputs.add(name=tensor.name, datatype=tensor.datatype, shape=tensor.shape)
    received = decode(response)
    assert tuple(received["names"]) == names
    np.testing.assert_array_equal(received["picture"], picture)
    assert received["picture"].dtype == np.uint8


def test_a_response_is_final_only_when_flagged() -> None:
    response = service_pb2.ModelInferResponse()
    assert not is_final(response)
    response.parameters["triton_final_response"].bool_param = True
    assert is_final(response)
