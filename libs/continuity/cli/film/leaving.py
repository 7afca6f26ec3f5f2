"""What is said to somebody who does not wait for the keyframes."""

from __future__ import annotations

from pathlib import Path

from continuity.cli.documents import document
from continuity.cli.exits import ExitCode
from continuity.cli.film.handing_in import HandedIn
from continuity.cli.output import Output
from continuity.client.shots import FINISHED


def leave(handed_in: HandedIn, out: Path, output: Output) -> ExitCode:
    """Say what was handed in, and how its files come to ``out``."""
    output.show(
        {"submission_id": handed_in.submission_id, "jobs": [document(job) for job in handed_in.jobs]},
        how_to_go_on(output, handed_in, _on_their_way(handed_in)),
        f"  fetch:  the same command again without --no-wait writes the files to {out}",
    )
    return ExitCode.OK


def _on_their_way(handed_in: HandedIn) -> str:
    count, finished = len(handed_in.jobs), sum(job.state in FINISHED for job in handed_in.jobs)
    if not finished:
        return f"{count} jobs are on their way"
    return f"{count - finished} of {count} jobs are on their way, the others are finished"


def how_to_go_on(output: Output, handed_in: HandedIn, what: str) -> str:
    """Return ``what`` with the commands that watch and cancel what is unfinished."""
    lines = [
        f"  {command + ':':<7} {output.command} jobs {command} --submission {id}"
        for id in handed_in.unfinished_submissions
        for command in ("watch", "cancel")
    ]
    return "\n".join([what, *lines])
