"""An operator meets a poison record: services and broker as processes, everything else by command."""

from __future__ import annotations

import json
import os
import subprocess
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pytest
from confluent_kafka import Producer

from continuity.api.events.v1.render_events_pb2 import RenderRequested
from tests.e2e.conftest import ROOT, Running, environment, running

pytestmark = pytest.mark.slow

TOPIC = "continuity.render.v1"
HEADERS = {
    "ce_specversion": "1.0",
    "ce_id": "poison-1",
    "ce_source": "continuity/rendering",
    "ce_type": "film.continuity.RenderRequested",
    "ce_subject": "job-1",
    "ce_project": "noir",
}


class Commands(Protocol):
    """Runs ``continuity dead-letters …`` and returns its JSON."""

    def __call__(self, *arguments: str, expect: int = 0) -> Any: ...


def dead_letters(home: Path, address: str, *arguments: str, expect: int = 0) -> Any:
    done = subprocess.run(
        [ROOT / "bin" / "continuity", "dead-letters", *arguments, "--json"],
        env=environment(home, address=address),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == expect, f"{done.args} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return json.loads(done.stdout)


def publish(broker: Running, headers: dict[str, str], value: bytes) -> None:
    producer = Producer({"bootstrap.servers": broker.address})
    producer.produce(TOPIC, key=b"job-1", value=value, headers=headers)
    assert producer.flush(30) == 0


@pytest.fixture
def broker(tmp_path: Path, processes: ExitStack) -> Running:
    return processes.enter_context(running("services.embedded.broker", tmp_path))


@pytest.fixture
def prompts(tmp_path: Path, broker: Running, processes: ExitStack) -> Running:
    return processes.enter_context(running("services.prompts", tmp_path, bootstrap_servers=broker.address))


@pytest.fixture
def commands(tmp_path: Path, prompts: Running) -> Commands:
    return partial(dead_letters, tmp_path / "operator", prompts.address)


def until_dead(commands: Commands, count: int) -> list[dict[str, Any]]:
    """Ask until so many letters are dead; the test's own limit ends what never comes."""
    while len(letters := commands("list", "--consumer", "prompts")["dead_letters"]) < count:
        pass
    return letters


def test_poison_is_listed_shown_replayed_and_dropped_by_command(broker: Running, commands: Commands) -> None:
    broken = RenderRequested(job_id="job-1").SerializeToString()[:-3]
    publish(broker, HEADERS, broken)
    publish(broker, {}, os.urandom(64))
    by_reason = {(letter["event_type"] or "garbage"): letter for letter in until_dead(commands, 2)}
    assert set(by_reason) == {"RenderRequested", "garbage"}
    id = by_reason["RenderRequested"]["id"]

    shown = commands("show", id)
    assert id.startswith("prompts/")
    assert (shown["topic"], shown["key"], shown["project"]) == (TOPIC, "job-1", "noir")
    assert shown["failure"]["reason"] == "EVENT_MALFORMED"
    assert "does not parse" in shown["failure"]["message"]
    assert shown["headers"] == HEADERS
    assert "payload_base64" in shown
    assert "EventMalformed" in shown["stack"]

    assert commands("replay", id)["replayed"] == [id]
    again = {letter["id"]: letter for letter in until_dead(commands, 2)}
    assert again[id]["hold_time"] != shown["hold_time"]

    assert commands("drop", id, expect=2)["error"]["reason"] == "WRONG_USAGE"
    everything = [letter["id"] for letter in until_dead(commands, 2)]
    assert set(commands("drop", *everything, "--yes")["dropped"]) == set(everything)
    assert commands("list", "--consumer", "prompts") == {"dead_letters": []}
    assert commands("show", id, expect=3)["error"]["reason"] == "HELD_EVENT_MISSING"


@pytest.mark.triton
def test_the_embedded_runtime_answers_for_every_service(embedded: Running, tmp_path: Path) -> None:
    assert dead_letters(tmp_path, embedded.address, "list") == {"dead_letters": []}
