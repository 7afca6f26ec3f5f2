"""Keyframes as files."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc

from continuity.api.rendering.v1.job_pb2 import Job
from continuity.cli.failures import failure
from continuity.cli.files import write_atomically
from continuity.client import CallFailed, ContinuityClient
from continuity.client.errors import KeyframeDamaged

AT_ONCE = 4
FOLDER = "keyframes"


class Keyframes:
    """The folder of a film's keyframes, one file for each shot; ``damaged`` says by job why there is none."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.damaged: dict[str, Mapping[str, Any]] = {}
        self._limit = asyncio.Semaphore(AT_ONCE)

    def has(self, job: Job) -> bool:
        """Tell whether there is a keyframe of the job to be had."""
        return job.HasField("keyframe") and job.id not in self.damaged

    def file(self, job: Job) -> str:
        """Return the file's path relative to the film's folder; nothing but scene and shot number make its name."""
        return f"{FOLDER}/{job.shot.scene_id}-{job.shot.shot_number:02}.png"

    async def save(self, client: ContinuityClient, job: Job) -> None:
        """Download the keyframe, unless the file has its bytes already. Raises ``CallFailed``.

        One that is damaged is remembered and no error: the others are to be had all the same.
        """
        path = self.out / self.file(job)
        async with self._limit:
            if await asyncio.to_thread(_sha256, path) == job.keyframe.object.sha256:
                return
            try:
                png = await client.shots.download(job)
            except (CallFailed, KeyframeDamaged) as error:
                if isinstance(error, CallFailed) and error.status is not grpc.StatusCode.DATA_LOSS:
                    raise
                self.damaged[job.id] = failure(error)
                return
            await asyncio.to_thread(write_atomically, path, png)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
