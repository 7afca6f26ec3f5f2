"""Other processes, as Linux shows them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the ids of the direct children of ``pid``, dead ones that were not waited for included."""
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
            found += map(int, listing.read_text().split())
    return found


async def first_death(pids: Iterable[int]) -> int:
    """Return the first of ``pids`` to die, at once and without polling; they need not be children of this process."""
    loop = asyncio.get_running_loop()
    died: asyncio.Future[int] = loop.create_future()

    def note(pid: int) -> None:
        if not died.done():
            died.set_result(pid)

    with ExitStack() as watched:
        for pid in pids:
            try:
                descriptor = os.pidfd_open(pid)
            except ProcessLookupError:
                return pid
            watched.callback(os.close, descriptor)
            loop.add_reader(descriptor, note, pid)
            watched.callback(loop.remove_reader, descriptor)
        return await died


def kill_group(leader: int) -> None:
    """Kill every process of the group that ``leader`` leads or led."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
