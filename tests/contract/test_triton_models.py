from pathlib import Path

import pytest

from continuity.inference.model_config import declared_spec, read_config
from continuity.inference.tensors import ModelSpec
from services.rendering.adapters.previz_tensors import PREVIZ
from services.rendering.adapters.sdxl_tensors import SDXL

REPOSITORY = Path(__file__).resolve().parents[2] / "deploy" / "triton" / "model_repository"
SPECS = {spec.name: spec for spec in (PREVIZ, SDXL)}


def test_every_model_has_a_spec_and_every_spec_a_model() -> None:
    assert {folder.name for folder in REPOSITORY.iterdir() if folder.is_dir()} == SPECS.keys()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS.keys())
def test_a_model_declares_the_tensors_that_its_client_sends_and_expects(spec: ModelSpec) -> None:
    assert declared_spec(read_config(REPOSITORY / spec.name / "config.pbtxt")) == spec


@pytest.mark.parametrize("name", SPECS)
def test_a_model_streams_its_responses_and_takes_one_request_at_a_time(name: str) -> None:
    config = read_config(REPOSITORY / name / "config.pbtxt")
    assert config.model_transaction_policy.decoupled
    assert config.max_batch_size == 0
    assert (REPOSITORY / name / "1" / "model.py").is_file()
