"""A worker process: answers pickled calls one by one. Started as a script by ``pool``; standard library only.

It ignores Ctrl-C (its parent decides) and dies with its parent, by signal and by the end of its input.
"""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import struct
import sys
import traceback
from typing import BinaryIO

FRAME = struct.Struct(">Q")
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serve the parent, whose process id is the argument, until it closes our input."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[1]):
        return
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a library prints must not come between the replies
    sys.path[:] = pickle.loads(_read(requests) or b"")  # noqa: S301 - from our own parent
    while (request := _read(requests)) is not None:
        reply = _answer(request)
        replies.write(FRAME.pack(len(reply)))
        replies.write(reply)
        replies.flush()


def _read(requests: BinaryIO) -> bytes | None:
    head = requests.read(FRAME.size)
    return requests.read(FRAME.unpack(head)[0]) if len(head) == FRAME.size else None


def _answer(request: bytes) -> bytes:
    """Return the pickled (succeeded, result or exception)."""
    try:
        function, args = pickle.loads(request)  # noqa: S301 - from our own parent
        return pickle.dumps((True, function(*args)), pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        error.add_note("in a worker process:\n" + traceback.format_exc())
        return _pickled(error)


def _pickled(error: Exception) -> bytes:
    """Pickle ``error`` where it survives that, else what it says."""
    try:
        reply = pickle.dumps((False, error), pickle.HIGHEST_PROTOCOL)
        pickle.loads(reply)  # noqa: S301 - what we have just pickled
    except Exception:
        said = RuntimeError(f"{type(error).__name__}: {error}")
        return pickle.dumps((False, said), pickle.HIGHEST_PROTOCOL)
    return reply


if __name__ == "__main__":
    main()
