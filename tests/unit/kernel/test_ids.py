"""Ids are one of a kind, whoever draws them."""

from __future__ import annotations

import os
import uuid
from concurrent.futures import ThreadPoolExecutor

from continuity.kernel.ids import new_id


def test_new_ids_are_random_uuids():
    parsed = uuid.UUID(new_id())
    assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)


def test_no_id_is_given_twice_to_any_thread():
    with ThreadPoolExecutor(8) as threads:
        drawn = [id for ids in threads.map(lambda _: [new_id() for _ in range(1_000)], range(8)) for id in ids]
    assert len(set(drawn)) == len(drawn)


def test_a_forked_process_draws_ids_of_its_own():
    new_id()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, "".join(new_id() for _ in range(20)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    told = os.read(reading, 20 * 36).decode()
    os.close(reading)
    os.close(writing)
    theirs = {told[start : start + 36] for start in range(0, len(told), 36)}
    assert len(theirs) == 20
    assert theirs.isdisjoint(new_id() for _ in range(300))
