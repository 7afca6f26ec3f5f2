from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from continuity.client.shotlist import Problem, ShotList, ShotListInvalid, read_shot_list
from services.prompts.adapters.vocabulary_csv import read_vocabulary

VOCABULARY = read_vocabulary().spellings

Read = Callable[..., ShotList]
Refuse = Callable[..., tuple[Problem, ...]]


@pytest.fixture
def write(tmp_path: Path) -> Callable[[Any, str], Path]:
    (tmp_path / "ward.png").write_bytes(b"a photograph")

    def to_file(content: Any, suffix: str = ".yaml") -> Path:
        path = tmp_path / f"list{suffix}"
        if not isinstance(content, str | bytes):
            content = json.dumps(content)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file


@pytest.fixture
def read(write: Callable[..., Path]) -> Read:
    return lambda content, suffix=".yaml": read_shot_list(write(content, suffix), VOCABULARY)


@pytest.fixture
def refuse(read: Read) -> Refuse:
    def refused(content: Any, suffix: str = ".yaml") -> tuple[Problem, ...]:
        with pytest.raises(ShotListInvalid) as refusal:
            read(content, suffix)
        return refusal.value.problems

    return refused


@pytest.fixture
def film() -> dict[str, Any]:
    return {
        "film": {"title": "Test", "style": "noir"},
        "characters": [{"name": "Ward", "photo": "ward.png"}],
        "locations": [{"name": "Pad", "type": "exterior", "description": "a pad", "weather": "fog"}],
        "scenes": [
            {
                "id": "a",
                "location": "Pad",
                "mood": "tense",
                "shots": [
                    {"shot": 1, "shot_type": "wide", "description": "one", "characters": ["Ward"]},
                    {"shot": 2, "shot_type": "medium", "description": "two"},
                ],
            }
        ],
    }
