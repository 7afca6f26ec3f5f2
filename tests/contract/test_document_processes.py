"""What every document store does when several processes share it."""

import asyncio
import os
import sys

import pytest

PROCESSES = 4
ROUNDS = 15

SHARER = """
import asyncio, sys
from continuity.documents import Collection, Document, DocumentExists, VersionConflict, equal

SHOTS = Collection("shots", unique=(("slate",),), indexes=(("state", "queue_key"),))
name, rounds = sys.argv[1], int(sys.argv[2])

async def add(documents):
    while True:
        found = await documents.get(SHOTS, "default", "shared")
        try:
            body = {"sum": found.body["sum"] + 1}
            return await documents.replace(SHOTS, Document("default", "shared", found.version, body))
        except VersionConflict:
            continue

async def claim_all(documents):
    ready = [equal("state", "ready")]
    while found := await documents.claim(SHOTS, ready, ["queue_key"], {"state": "taken", "by": name}):
        print("claimed", found.id, flush=True)

async def take_slates(documents):
    for number in range(rounds):
        try:
            await documents.insert(SHOTS, Document("default", f"{name}-{number}", 0, {"slate": str(number)}))
            print("slate", number, flush=True)
        except DocumentExists:
            pass

async def main():
    documents = await opened((SHOTS,))
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.readline)
    for _ in range(rounds):
        await add(documents)
    await claim_all(documents)
    await take_slates(documents)
    await documents.close()

asyncio.run(main())
"""


@pytest.fixture
async def sharers(case):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    started = []
    for number in range(PROCESSES):
        command = [sys.executable, "-c", case.script + SHARER, f"p{number}", str(ROUNDS)]
        pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
        started.append(await asyncio.create_subprocess_exec(*command, env=environment, **pipes))
    yield started
    for each in started:
        if each.returncode is None:
            each.kill()
            await each.wait()


async def test_processes_on_one_store_lose_no_update_and_share_no_claim(sharers, documents, shots, shot):
    await documents.insert(shots, shot("shared", sum=0))
    for number in range(40):
        await documents.insert(shots, shot(f"s{number:02}", state="ready", queue_key=number))
    for each in sharers:
        assert await each.stdout.readline() == b"ready\n"
    told = [line for each in await asyncio.gather(*(each.communicate(b"go\n") for each in sharers)) for line in
            each[0].decode().splitlines()]  # fmt: skip
    assert [each.returncode for each in sharers] == [0] * PROCESSES
    shared = await documents.get(shots, "default", "shared")
    assert (shared.body, shared.version) == ({"sum": PROCESSES * ROUNDS}, PROCESSES * ROUNDS + 1)
    assert sorted(line.split()[1] for line in told if line.startswith("claimed")) == [f"s{n:02}" for n in range(40)]
    assert sorted(int(line.split()[1]) for line in told if line.startswith("slate")) == list(range(ROUNDS))
