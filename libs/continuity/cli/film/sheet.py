"""A film's jobs as a contact sheet."""

from __future__ import annotations

import io

from continuity.api.common.v1.shot_pb2 import CameraAngle, ShotType
from continuity.api.rendering.v1.job_pb2 import Job, JobState
from continuity.cli.film.keyframes import Keyframes
from continuity.client.contact_sheet import Panel, Section, contact_sheet
from continuity.client.shotlist import ShotList
from continuity.wire.conversion import word


def sheet_png(shots: ShotList, jobs: list[Job], keyframes: Keyframes) -> bytes:
    """Return the contact sheet; the keyframes are read from the film's folder."""
    by_scene: dict[str, list[Panel]] = {}
    for job in jobs:
        by_scene.setdefault(job.shot.scene_id, []).append(_panel(job, keyframes))
    sections = [
        Section(f"Scene {scene.id}", _place(scene.title, scene.shots[0].location), tuple(by_scene[scene.id]))
        for scene in shots.scenes
    ]
    buffer = io.BytesIO()
    contact_sheet(shots.film.title, sections).save(buffer, "PNG", compress_level=3)
    return buffer.getvalue()


def _place(title: str, location: str) -> str:
    return " · ".join(filter(None, (title, location)))


def _panel(job: Job, keyframes: Keyframes) -> Panel:
    there, damage = keyframes.has(job), keyframes.damage(job)
    return Panel(
        label=f"{job.shot.scene_id}–{job.shot.shot_number}",
        shot_type=word(ShotType.DESCRIPTOR, job.shot.shot_type).replace("-", " "),
        camera=word(CameraAngle.DESCRIPTOR, job.shot.camera_angle).replace("-", " ") or "eye level",
        duration_s=job.shot.duration_s or None,
        description=job.shot.description,
        picture=keyframes.out / keyframes.file(job) if there else None,
        missing="" if there else "damaged" if damage else word(JobState.DESCRIPTOR, job.state),
        reason="" if there else damage["message"] if damage else job.failure.message,
    )
