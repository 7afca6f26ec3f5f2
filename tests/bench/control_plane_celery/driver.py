"""Hand shots to the Celery chain and wait until they are finished; prints one JSON line. Runs in ``.venv-bench``."""

from __future__ import annotations

import argparse
import json
import time

from tests.bench.control_plane_celery.stages import app, database, stages

LIMIT_S = 300.0
LOOK_S = 0.02
LOOK_AT_ONE_S = 0.0005


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--shots", type=int, required=True)
    parser.add_argument("--rounds", type=int, required=True)
    parser.add_argument("--singles", type=int, required=True)
    asked = parser.parse_args()
    batch([f"warm-{number}" for number in range(50)])
    batches_s = [batch([f"{turn}-{number}" for number in range(asked.shots)]) for turn in range(asked.rounds)]
    latencies_s = [single(f"single-{number}") for number in range(asked.singles)]
    print(json.dumps({"batches_s": batches_s, "latencies_s": latencies_s}))


def batch(shot_ids: list[str]) -> float:
    """Return the seconds from the first shot handed in to the last one finished."""
    done = finished()
    start = time.perf_counter()
    with app.producer_pool.acquire(block=True) as producer:
        for shot_id in shot_ids:
            chain = stages()
            chain.tasks[0].args = (shot_id,)
            chain.apply_async(producer=producer)
    while finished() - done < len(shot_ids):
        wait(start, LOOK_S)
    return time.perf_counter() - start


def single(shot_id: str) -> float:
    """Return the seconds that one shot takes when there is no other."""
    chain = stages()
    chain.tasks[0].args = (shot_id,)
    start = time.perf_counter()
    chain.apply_async()
    while database().execute("SELECT 1 FROM shots WHERE id = ? AND state = 'finished'", (shot_id,)).fetchone() is None:
        wait(start, LOOK_AT_ONE_S)
    return time.perf_counter() - start


def finished() -> int:
    """Return how many shots are finished."""
    number: int = database().execute("SELECT count(*) FROM shots WHERE state = 'finished'").fetchone()[0]
    return number


def wait(start: float, look_s: float) -> None:
    """Sleep until it is time to look again. Raises ``TimeoutError`` when it has taken too long."""
    if time.perf_counter() - start > LIMIT_S:
        raise TimeoutError("the chain did not finish")
    time.sleep(look_s)


if __name__ == "__main__":
    main()
