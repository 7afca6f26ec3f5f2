import numpy as np
import pytest

from continuity.inference.errors import (
    MissingTensor,
    OutputMismatch,
    TensorMismatch,
    UnknownTensor,
    WrongDatatype,
    WrongShape,
)
from continuity.inference.tensors import (
    ModelSpec,
    Tensor,
    Tensors,
    TensorSpec,
    bytes_tensor,
    check_inputs,
    check_outputs,
)

MODEL = ModelSpec(
    "grader",
    inputs=(
        TensorSpec("spec", "BYTES", (1,)),
        TensorSpec("picture", "UINT8", (-1, -1, 3)),
        TensorSpec("plate", "BYTES", (1,), optional=True),
    ),
    outputs=(TensorSpec("step", "INT32", (1,)), TensorSpec("picture", "UINT8", (-1, -1, 3))),
)


def inputs(**changes: Tensor) -> Tensors:
    return {"spec": bytes_tensor(b"{}"), "picture": np.zeros((9, 16, 3), np.uint8)} | changes


def test_inputs_that_fit_pass_with_and_without_the_optional_one() -> None:
    check_inputs(MODEL, inputs())
    check_inputs(MODEL, inputs(plate=bytes_tensor(b"")))


@pytest.mark.parametrize(
    ("changes", "error", "text"),
    [
        ({"lens": np.zeros(1)}, UnknownTensor, "grader.lens: no such input, expected one of spec, picture, plate"),
        (
            {"picture": np.zeros((9, 16, 3), np.float32)},
            WrongDatatype,
            "grader.picture: got FP32 [9, 16, 3], expected UINT8 [-1, -1, 3]",
        ),
        (
            {"picture": np.zeros((9, 16, 4), np.uint8)},
            WrongShape,
            "grader.picture: got UINT8 [9, 16, 4], expected UINT8 [-1, -1, 3]",
        ),
        (
            {"picture": np.zeros((16, 3), np.uint8)},
            WrongShape,
            "grader.picture: got UINT8 [16, 3], expected UINT8 [-1, -1, 3]",
        ),
        ({"spec": bytes_tensor(b"", b"")}, WrongShape, "grader.spec: got BYTES [2], expected BYTES [1]"),
        ({"plate": np.zeros(1, np.uint8)}, WrongDatatype, "grader.plate: got UINT8 [1], expected BYTES [1]"),
    ],
)
def test_an_input_that_does_not_fit_is_refused_with_what_was_expected(
    changes: Tensors, error: type[TensorMismatch], text: str
) -> None:
    with pytest.raises(error) as caught:
        check_inputs(MODEL, inputs(**changes))
    assert str(caught.value) == text
    assert not caught.value.retryable


def test_a_missing_input_is_refused_by_name() -> None:
    with pytest.raises(MissingTensor, match=r"grader.picture: missing, expected UINT8 \[-1, -1, 3\]"):
        check_inputs(MODEL, {"spec": bytes_tensor(b"{}")})


def test_text_and_padded_strings_are_not_bytes() -> None:
    with pytest.raises(WrongDatatype):
        check_inputs(MODEL, inputs(spec=np.array(["{}"], np.object_)))
    with pytest.raises(WrongDatatype):
        check_inputs(MODEL, inputs(spec=np.array([b"ends in zero\0"])))


def test_outputs_may_be_absent_but_not_undeclared_or_different() -> None:
    check_outputs(MODEL, {"step": np.array([1], np.int32)})
    with pytest.raises(OutputMismatch, match=r"grader.step: the model answered INT64 \[1\], declared is INT32 \[1\]"):
        check_outputs(MODEL, {"step": np.array([1], np.int64)})
    with pytest.raises(OutputMismatch, match="declared is nothing"):
        check_outputs(MODEL, {"depth": np.zeros(1, np.float32)})


@pytest.mark.parametrize("items", [(), (b"",), (b"one", b"\0two\0")])
def test_a_bytes_tensor_holds_its_items_unchanged(items: tuple[bytes, ...]) -> None:
    tensor = bytes_tensor(*items)
    assert tensor.shape == (len(items),)
    assert tuple(tensor) == items
