"""What the workers of the tests are given to do."""

import ctypes
import os
import sys
import time
from pathlib import Path

from continuity.kernel.errors import InvalidValue


def double(number: int) -> int:
    return 2 * number


def echo(data: bytes) -> bytes:
    return data


def own_pid() -> int:
    return os.getpid()


def sleep_for(started: str, seconds: float) -> None:
    """Tell our process id through the named pipe ``started``, then sleep."""
    Path(started).write_text(str(os.getpid()))
    time.sleep(seconds)


def crash() -> None:
    ctypes.string_at(0)


def leave() -> None:
    sys.exit(3)


def refuse() -> None:
    raise InvalidValue(field="photo", value=7, limit="at most 6")


class OddError(Exception):
    """One that pickle cannot rebuild."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} is not {second}")


def fail_oddly() -> None:
    raise OddError(1, 2)


def return_what_cannot_be_pickled() -> object:
    return lambda: None


def chatter() -> str:
    print("a library that prints")
    os.write(1, b"and another")
    return "said"


def module_names() -> set[str]:
    return set(sys.modules)
