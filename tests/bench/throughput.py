"""Shots a second end to end on one machine: accepted by gRPC, through every event, drawn by Triton, stored."""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path

from continuity.client import ContinuityClient
from tests.e2e import film
from tests.e2e.conftest import running

SHOTS = 120


def run() -> dict[str, dict[str, float]]:
    """Shots a second of a batch, and the share of it that the renderer's own time explains."""
    with (
        tempfile.TemporaryDirectory(prefix="continuity-bench-") as folder,
        running("services.embedded", Path(folder)) as runtime,
    ):
        return asyncio.run(_measure(runtime.address))


async def _measure(address: str) -> dict[str, dict[str, float]]:
    async with ContinuityClient(address) as client:
        character_id, location_id = await film.cast(client)
        warm = await film.submit(client, film.shots(character_id, location_id, 6), "warm")
        await film.finished(client, warm.submission_id)
        wanted = film.shots(character_id, location_id, SHOTS)
        start = time.perf_counter()
        submission = await film.submit(client, wanted, "measured")
        accepted_s = time.perf_counter() - start
        jobs = await film.finished(client, submission.submission_id)
        wall_s = time.perf_counter() - start
    rendering_s = sum(job.keyframe.timings.render_s for job in jobs.values())
    return {
        "end to end": {"shots_per_s": round(SHOTS / wall_s, 2)},
        "accepting": {"shots_per_s": round(SHOTS / accepted_s, 1)},
        "render per shot": {"seconds": round(rendering_s / SHOTS, 3)},
    }
