"""Keyframes as files."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

from continuity.api.rendering.v1.job_pb2 import Job
from continuity.cli.files import write_atomically
from continuity.client import ContinuityClient

AT_ONCE = 4
FOLDER = "keyframes"


class Keyframes:
    """The folder of a film's keyframes, one file for each shot."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self._limit = asyncio.Semaphore(AT_ONCE)

    def file(self, job: Job) -> str:
        """Return the file's path relative to the film's folder; nothing but scene and shot number make its name."""
        return f"{FOLDER}/{job.shot.scene_id}-{job.shot.shot_number:02}.png"

    async def save(self, client: ContinuityClient, job: Job) -> None:
        """Download the keyframe, unless the file has its bytes already."""
        path = self._out / self.file(job)
        async with self._limit:
            if await asyncio.to_thread(_sha256, path) != job.keyframe.object.sha256:
                png = await client.shots.download(job)
                await asyncio.to_thread(write_atomically, path, png)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
