from pathlib import Path

import pytest
from google.protobuf import text_format

from continuity.inference.model_config import declared_spec, read_config
from continuity.inference.tensors import ModelSpec, TensorSpec

CONFIG = """
name: "grader"
backend: "python"
input [
  { name: "names" data_type: TYPE_STRING dims: [ -1 ] optional: true },
  { name: "picture" data_type: TYPE_UINT8 dims: [ -1, -1, 3 ] }
]
output [ { name: "step" data_type: TYPE_INT32 dims: [ 1 ] } ]
"""


def test_a_config_is_read_as_the_spec_that_it_declares(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").write_text(CONFIG)
    assert declared_spec(read_config(tmp_path / "config.pbtxt")) == ModelSpec(
        "grader",
        inputs=(TensorSpec("names", "BYTES", (-1,), optional=True), TensorSpec("picture", "UINT8", (-1, -1, 3))),
        outputs=(TensorSpec("step", "INT32", (1,)),),
    )


def test_an_unknown_field_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.pbtxt").write_text('nome: "grader"')
    with pytest.raises(text_format.ParseError, match="nome"):
        read_config(tmp_path / "config.pbtxt")
