"""Keyframes as files."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import grpc

from continuity.api.rendering.v1.job_pb2 import Job
from continuity.cli.failures import failure
from continuity.cli.files import write_atomically
from continuity.client import CallFailed, ContinuityClient
from continuity.client.errors import KeyframeDamaged
from continuity.client.shots import takes

AT_ONCE = 4
FOLDER = "keyframes"
EARLIER = "earlier"
_TAKE = re.compile(r"(-take[0-9]+)?\.png$")
"""How the name of a shot's file ends."""


class Keyframes:
    """The folder of a film's keyframes, one file for each take; ``damaged`` says by job and take why there is none."""

    def __init__(self, out: Path) -> None:
        self.out = out
        self.damaged: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._limit = asyncio.Semaphore(AT_ONCE)

    def has(self, job: Job, take: int = 0) -> bool:
        """Tell whether there is such a take of the job to be had; the first is its keyframe."""
        return take < len(takes(job)) and (job.id, take) not in self.damaged

    def damage(self, job: Job) -> Mapping[str, Any] | None:
        """Return what is wrong with the first of the job's takes that is damaged."""
        return next((why for (id, _), why in self.damaged.items() if id == job.id), None)

    def file(self, job: Job, take: int = 0) -> str:
        """Return the file's path relative to the film's folder; scene, shot number and take alone make its name."""
        number = f"-take{take + 1}" if take else ""
        return f"{FOLDER}/{self._shot(job)}{number}.png"

    async def save(self, client: ContinuityClient, job: Job) -> None:
        """Download every take, unless the file has its bytes already. Raises ``CallFailed``.

        One that is damaged is remembered and no error: the others are to be had all the same.
        """
        for take, keyframe in enumerate(takes(job)):
            path = self.out / self.file(job, take)
            async with self._limit:
                if await asyncio.to_thread(_sha256, path) != keyframe.object.sha256:
                    await self._save(client, job, take, path)

    def put_aside_earlier(self, jobs: Iterable[Job]) -> list[str]:
        """Move the files of earlier runs that these jobs have no take for to ``EARLIER``; return their names."""
        there: defaultdict[str, set[str]] = defaultdict(set)
        for path in (self.out / FOLDER).glob("*.png"):
            there[_TAKE.sub("", path.name)].add(f"{FOLDER}/{path.name}")
        stale = [self.out / name for job in jobs for name in sorted(there[self._shot(job)] - self._current(job))]
        for path in stale:
            (self.out / EARLIER).mkdir(exist_ok=True)
            path.replace(self.out / EARLIER / path.name)
        return [path.name for path in stale]

    def _current(self, job: Job) -> set[str]:
        return {self.file(job, take) for take in range(len(takes(job))) if self.has(job, take)}

    def _shot(self, job: Job) -> str:
        return f"{job.shot.scene_id}-{job.shot.shot_number:02}"

    async def _save(self, client: ContinuityClient, job: Job, take: int, path: Path) -> None:
        try:
            png = await client.shots.download(job, take=take)
        except (CallFailed, KeyframeDamaged) as error:
            if isinstance(error, CallFailed) and error.status is not grpc.StatusCode.DATA_LOSS:
                raise
            self.damaged[job.id, take] = failure(error)
            return
        await asyncio.to_thread(write_atomically, path, png)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
