"""Runs a command that never outlives this program: ``python tether.py PARENT_PID COMMAND [ARGUMENT ...]``.

It stands between the runtime and the server as the leader of their process group. When the parent dies, whatever is in
the group is killed; when the server ends, so is everything that it started, because a model's interpreter that hangs
does not notice. SIGTERM is passed on. It ends with the server's exit code, or 128 and the number of the signal.
A process of its own instead of ``preexec_fn``, because code between fork and exec may deadlock beside gRPC's threads.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
END_LIMIT_S = 5.0
"""How long the kernel may take to end what was killed."""
END_POLL_S = 0.005


def main() -> None:
    """Start the command, wait for its end, leave nothing behind."""
    parent, *command = sys.argv[1:]
    libc = ctypes.CDLL(None)
    signal.signal(signal.SIGHUP, _end_group)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGHUP)
    # What the server started becomes ours when the server ends.
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != int(parent):  # it died before the kernel was asked
        sys.exit(1)
    server = os.fork()
    if server == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.execv(command[0], command)  # noqa: S606
    signal.signal(signal.SIGTERM, lambda number, _frame: os.kill(server, number))
    code = _exit_code(server)
    _end_children()
    sys.exit(code)


def _end_group(_number: int, _frame: FrameType | None) -> None:
    os.killpg(0, signal.SIGKILL)


def _exit_code(server: int) -> int:
    while True:
        pid, status = os.wait()
        if pid == server:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def _end_children() -> None:
    """Return when none is left. A listing that is read while some of them end may lack others, so it is read again."""
    until = time.monotonic() + END_LIMIT_S
    with suppress(ChildProcessError):  # there are none
        while time.monotonic() < until:
            for listing in Path("/proc/self/task").glob("*/children"):
                for pid in listing.read_text().split():
                    os.kill(int(pid), signal.SIGKILL)  # nobody else waits for it, so it is there
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            time.sleep(END_POLL_S)


if __name__ == "__main__":
    main()
