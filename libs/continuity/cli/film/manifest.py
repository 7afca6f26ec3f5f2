"""``manifest.json``: what was rendered, from what, and how long it took."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from continuity import __version__
from continuity.api.rendering.v1.job_pb2 import Job, JobState, Keyframe
from continuity.cli.documents import document
from continuity.cli.film.drawn import drawn
from continuity.cli.film.keyframes import Keyframes
from continuity.client.shotlist import Film
from continuity.client.shots import takes
from continuity.wire.conversion import word


def manifest(film: Film, submission_id: str, jobs: Iterable[Job], keyframes: Keyframes) -> dict[str, Any]:
    """Return the manifest; files are relative to its folder, times in seconds.

    The state of a shot is its job's, or ``damaged`` where one of its takes is no longer what was rendered.
    """
    shots = [_shot(job, keyframes) for job in jobs]
    states = Counter(shot["state"] for shot in shots)
    return {
        "continuity": __version__,
        "film": {"title": film.title, "style": film.style, "seed": film.seed},
        "submission_id": submission_id,
        "contact_sheet": "contact-sheet.png",
        "shots": shots,
        "totals": {
            "shots": len(shots),
            **{state: states[state] for state in ("succeeded", "failed", "cancelled", "damaged")},
            "size_bytes": sum(take["size_bytes"] for shot in shots for take in shot["takes"]),
            "timings": _sum(shot["timings"] for shot in shots if shot["timings"]),
        },
    }


def _shot(job: Job, keyframes: Keyframes) -> dict[str, Any]:
    done, damage = job.HasField("keyframe"), keyframes.damage(job)
    name, _, version = job.keyframe.renderer.rpartition(" ")
    return {
        "scene": job.shot.scene_id,
        "shot": job.shot.shot_number,
        "job_id": job.id,
        "submission_id": job.submission_id,
        "state": "damaged" if damage else word(JobState.DESCRIPTOR, job.state),
        "file": keyframes.file(job) if keyframes.has(job) else None,
        "object_key": job.keyframe.object.key or None,
        "sha256": job.keyframe.object.sha256 or None,
        "size_bytes": job.keyframe.object.size_bytes or None,
        "width_px": job.keyframe.width_px or None,
        "height_px": job.keyframe.height_px or None,
        "seed": job.keyframe.seed if done else None,
        "takes": [_take(job, number, keyframe, keyframes) for number, keyframe in enumerate(takes(job))],
        "prompt": job.prompt.text,
        "negative_prompt": job.prompt.negative,
        "renderer": {"name": name or version, "version": version} if done else None,
        "attempts": job.attempts,
        "timings": document(job.keyframe.timings) if done else None,
        "failure": damage or (document(job.failure) if job.HasField("failure") else None),
    }


def _take(job: Job, number: int, keyframe: Keyframe, keyframes: Keyframes) -> dict[str, Any]:
    file = keyframes.file(job, number) if keyframes.has(job, number) else None
    return {
        "file": file,
        "sha256": keyframe.object.sha256,
        "size_bytes": keyframe.object.size_bytes,
        "seed": keyframe.seed,
        "drawn": drawn(keyframes.out / file) if file else None,
    }


def _sum(timings: Iterable[dict[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for each in timings:
        total.update(each)
    return {stage: round(seconds, 6) for stage, seconds in total.items()}
