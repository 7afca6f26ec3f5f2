from __future__ import annotations

import json
import os

import pytest

from services.embedded.claim import RuntimeExists, sole_runtime, told


def test_a_home_has_one_runtime_at_a_time(tmp_path):
    lock = tmp_path / "home" / "runtime.lock"
    with sole_runtime(lock):
        with pytest.raises(RuntimeExists) as refusal, sole_runtime(lock):
            pytest.fail("two runtimes hold one home")
        assert refusal.value.home == str(lock.parent)
    with sole_runtime(lock):
        pass


def test_two_homes_have_a_runtime_each(tmp_path):
    with sole_runtime(tmp_path / "a" / "runtime.lock"), sole_runtime(tmp_path / "b" / "runtime.lock"):
        assert len(list(tmp_path.iterdir())) == 2


def test_a_runtime_tells_where_it_listens_and_what_draws_for_as_long_as_it_lives(tmp_path):
    path = tmp_path / "runtime.json"
    with told(path, "127.0.0.1:5", "sdxl", {"steps": {"value": 30, "default": 20}}):
        said = json.loads(path.read_text())
        assert (said["address"], said["pid"], said["renderer"]) == ("127.0.0.1:5", os.getpid(), "sdxl")
        assert said["settings"]["steps"]["value"] == 30
    assert list(tmp_path.iterdir()) == []


def test_a_runtime_that_breaks_does_not_leave_its_address_behind(tmp_path):
    path = tmp_path / "runtime.json"
    with pytest.raises(ZeroDivisionError), told(path, "127.0.0.1:5", "sdxl", {"steps": {"value": 30, "default": 20}}):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []
