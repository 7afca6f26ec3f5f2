import asyncio
import os
from pathlib import Path

import pytest

from continuity.inference.server_log import BoundedLog


def said(words: bytes) -> int:
    """Return the reading end of a pipe that somebody wrote to and closed."""
    reading, writing = os.pipe()
    os.write(writing, words)
    os.close(writing)
    return reading


async def test_a_pipe_that_somebody_else_holds_open_is_let_go_when_cancelled(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    draining = asyncio.create_task(BoundedLog(tmp_path / "triton.log", limit_bytes=1000).drain(reading))
    os.write(writing, b"still there")
    async with asyncio.timeout(10):
        while not (tmp_path / "triton.log").exists():
            await asyncio.sleep(0)
    draining.cancel()
    await asyncio.wait([draining])
    with pytest.raises(BrokenPipeError):
        os.write(writing, b"nobody reads")
    os.close(writing)


async def test_a_stream_is_written_down_to_its_end(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "logs" / "triton.log", limit_bytes=1000)
    await log.drain(said(b"first\nlast, without an end of line"))
    assert log.tail() == "first\nlast, without an end of line"


def test_a_log_never_takes_more_than_twice_its_limit(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "triton.log", limit_bytes=1000)
    for number in range(100):
        log.write(f"{number:099}\n".encode())
        assert sum(file.stat().st_size for file in tmp_path.iterdir()) <= 2000
    assert log.tail().splitlines()[-1].endswith("99")


def test_the_tail_is_the_end_of_a_long_log(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "triton.log", limit_bytes=1_000_000)
    log.write(b"a" * 100_000 + b"the end")
    assert log.tail().endswith("the end")
    assert len(log.tail()) < 10_000


def test_a_log_that_was_never_written_has_an_empty_tail(tmp_path: Path) -> None:
    assert BoundedLog(tmp_path / "triton.log", limit_bytes=1000).tail() == ""


async def test_a_log_that_cannot_be_written_does_not_stop_the_reading(tmp_path: Path) -> None:
    log = BoundedLog(tmp_path / "triton.log", limit_bytes=1000)
    (tmp_path / "triton.log").mkdir()
    reading = said(b"lost")
    await log.drain(reading)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(reading)
