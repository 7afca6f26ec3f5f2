"""A worker process: answers calls one by one until its parent closes the pipe. Started as a script by ``process``.

It imports what its calls need and nothing else, so it is there in milliseconds and without torch.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import signal
import sys
import traceback
from io import BufferedReader, BufferedWriter
from typing import Any


def main() -> None:
    """Serve the calls that come on the standard input; the first message is the parent's ``sys.path``."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    calls, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # what a library prints must not come between the replies
    sys.path[:] = pickle.loads(calls.read(int(sys.argv[1])))  # noqa: S301 - from our own parent
    _serve(calls, replies)


def _serve(calls: BufferedReader, replies: BufferedWriter) -> None:
    from engine.offload.frames import receive, send  # noqa: PLC0415 - needs the path that has just come

    while True:
        try:
            function, args = receive(calls)
        except EOFError:
            return
        except Exception as error:
            send(replies, (False, _portable(error)))
            continue
        send(replies, _answer(function, args))


def _answer(function: Any, args: Any) -> tuple[bool, Any]:
    """Return (succeeded, result or exception)."""
    try:
        return True, function(*args)
    except Exception as error:
        error.add_note("in a worker process:\n" + traceback.format_exc())
        return False, _portable(error)


def _portable(error: Exception) -> Exception:
    """Return ``error`` where it survives pickling, else what it says."""
    if dataclasses.is_dataclass(error):  # what was given by name is not in its ``args``
        error.args = tuple(getattr(error, field.name) for field in dataclasses.fields(error))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - what we have just pickled
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


if __name__ == "__main__":
    main()
