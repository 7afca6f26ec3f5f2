"""What a runtime tells of the settings that it was started with."""

from __future__ import annotations

import json

import pytest
from pydantic import SecretStr

from continuity.hosting.settings import PlatformSettings
from continuity.kernel.variables import KNOWN
from services.embedded.brought import FROM_THE_PLATFORM, NOT_BROUGHT, brought, names
from services.embedded.settings import Settings
from services.rendering.settings import Settings as RenderingSettings


def settings(tmp_path, **changes):
    return Settings(home=tmp_path, **changes)


def test_every_setting_of_rendering_and_of_the_runtime_is_told_or_known_not_to_matter():
    every = set(RenderingSettings.model_fields) | set(Settings.model_fields)
    assert set(names()) | NOT_BROUGHT | set(PlatformSettings.model_fields) >= every
    assert {"renderer", "checkpoint", "steps", "sampler", "models", "engine_threads", "render_slots"} <= set(names())
    assert set(FROM_THE_PLATFORM) <= set(names())
    assert {name.upper() for name in names()} <= KNOWN


def test_no_secret_is_told(tmp_path):
    told = brought(settings(tmp_path, s3_secret_key=SecretStr("wr0ng-horse"), s3_endpoint="minio:9000"))
    assert "wr0ng-horse" not in json.dumps(told)
    assert not [name for name in told if "key" in name or "password" in name or "url" in name]


def test_a_setting_is_told_with_its_value_and_its_default(tmp_path, monkeypatch):
    monkeypatch.setenv("CONTINUITY_STEPS", "30")
    told = brought(settings(tmp_path, renderer="sdxl-tiny", models=tmp_path / "models"))
    assert told["steps"] == {"value": 30, "default": 20}
    assert told["guidance"] == {"value": 6.0, "default": 6.0}
    assert told["renderer"] == {"value": "sdxl-tiny", "default": "previz"}
    assert told["models"] == {"value": str(tmp_path / "models"), "default": None}
    assert told["engine_device"] == {"value": "auto", "default": "auto"}


@pytest.mark.parametrize(("given", "value"), [("", None), ("20", 20)])
def test_what_a_checkpoint_of_few_steps_decides_has_no_value_unless_somebody_has_set_it(
    tmp_path, monkeypatch, given, value
):
    monkeypatch.setenv("CONTINUITY_CHECKPOINT", "sdxl-turbo")
    if given:
        monkeypatch.setenv("CONTINUITY_STEPS", given)
    assert brought(settings(tmp_path, renderer="sdxl"))["steps"] == {"value": value, "default": None}
