import asyncio
import os
import sys
from pathlib import Path

from continuity.inference.processes import children, first_death, kill_group

WAIT = ("-c", "import sys; sys.stdin.read()")
FAMILY = (
    "-c",
    "import subprocess, sys; c = subprocess.Popen([sys.executable, '-c', 'import sys; sys.stdin.read()']);"
    "print(c.pid, flush=True); c.wait()",
)


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def process(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdin=pipe, stdout=pipe, start_new_session=True
    )


async def test_the_first_of_several_to_die_is_named() -> None:
    lasting, dying = await process(*WAIT), await process(*WAIT)
    death = asyncio.create_task(first_death((lasting.pid, dying.pid)))
    dying.kill()
    assert await death == dying.pid
    lasting.kill()
    await asyncio.gather(lasting.wait(), dying.wait())


async def test_a_process_that_is_long_gone_counts_as_dead() -> None:
    gone = await process("-c", "")
    await gone.wait()
    assert await first_death((os.getpid(), gone.pid)) == gone.pid


async def test_giving_up_the_watch_closes_its_descriptors() -> None:
    before = descriptors()
    watch = asyncio.create_task(first_death((os.getpid(),)))
    await asyncio.wait([watch], timeout=0)
    assert descriptors() == before + 1
    watch.cancel()
    await asyncio.wait([watch])
    assert descriptors() == before


async def test_children_are_listed_and_die_with_their_group() -> None:
    parent = await process(*FAMILY)
    assert parent.stdout
    child = int(await parent.stdout.readline())
    assert children(parent.pid) == [child]
    death = asyncio.create_task(first_death((child,)))
    kill_group(parent.pid)
    assert await death == child
    await parent.wait()


async def test_killing_a_group_that_is_gone_is_no_error() -> None:
    gone = await process("-c", "")
    await gone.wait()
    kill_group(gone.pid)
