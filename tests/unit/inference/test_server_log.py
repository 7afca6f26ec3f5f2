import asyncio
from pathlib import Path

from continuity.inference.server_log import BoundedLog


async def test_a_stream_is_written_down_to_its_end(tmp_path: Path) -> None:
    stream = asyncio.StreamReader()
    stream.feed_data(b"first\nlast, without an end of line")
    stream.feed_eof()
    log = BoundedLog(tmp_path / "logs" / "triton.log", limit_bytes=1000)
    await log.drain(stream)
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
    stream = asyncio.StreamReader()
    stream.feed_data(b"lost")
    stream.feed_eof()
    await log.drain(stream)
    assert stream.at_eof()
