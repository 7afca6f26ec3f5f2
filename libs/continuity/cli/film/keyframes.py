"""Keyframes as files."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from pathlib import Path

from continuity.api.rendering.v1.job_pb2 import Job
from continuity.cli.files import write_atomically
from continuity.client import ContinuityClient

AT_ONCE = 4
FOLDER = "keyframes"


class Keyframes:
    """The folder of a film's keyframes, one file for each job."""

    def __init__(self, out: Path, jobs: Iterable[Job]) -> None:
        self._out = out
        self._names = _names(list(jobs))
        self._limit = asyncio.Semaphore(AT_ONCE)

    def file(self, job: Job) -> str:
        """Return the file's path relative to the film's folder."""
        return f"{FOLDER}/{self._names[job.id]}"

    async def save(self, client: ContinuityClient, job: Job) -> None:
        """Download the keyframe, unless the file has its bytes already."""
        path = self._out / self.file(job)
        async with self._limit:
            if await asyncio.to_thread(_sha256, path) != job.keyframe.object.sha256:
                png = await client.shots.download(job)
                await asyncio.to_thread(write_atomically, path, png)


def _names(jobs: list[Job]) -> dict[str, str]:
    """Return ``<scene>-<shot>.png`` by job id, numbers padded so that the files sort as the film goes."""
    scenes = {job.shot.scene_id for job in jobs}
    padded = {scene: scene.zfill(_width(scenes)) if scene.isdecimal() else scene for scene in scenes}
    if len(set(padded.values())) < len(scenes):  # "1" and "01" are two scenes
        padded = {scene: scene for scene in scenes}
    width = _width(str(job.shot.shot_number) for job in jobs)
    return {job.id: f"{padded[job.shot.scene_id]}-{job.shot.shot_number:0{width}}.png" for job in jobs}


def _width(numbers: Iterable[str]) -> int:
    return max([2, *(len(number) for number in numbers if number.isdecimal())])


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
