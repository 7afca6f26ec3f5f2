"""Runs a command that never outlives this program: ``python tether.py PARENT_PID [--shared-memory=PREFIX] COMMAND …``.

It stands between the runtime and the server as the leader of their process group. When the parent dies, the server is
killed; when the server ends, so is everything that it started, because a model's interpreter that hangs does not
notice. At last it removes the shared memory whose names begin with PREFIX: a runtime that was killed cannot, and may
never start again. SIGTERM is passed on. It ends with the server's exit code, or 128 and the number of the signal.
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

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108
OPTION = "--shared-memory="
END_LIMIT_S = 5.0
"""How long the kernel may take to end what was killed."""
END_POLL_S = 0.005


def main() -> None:
    """Start the command, wait for its end, leave nothing behind."""
    parent, *command = sys.argv[1:]
    prefix = command.pop(0).removeprefix(OPTION) if command[0].startswith(OPTION) else ""
    libc = ctypes.CDLL(None)
    signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGHUP,))
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGHUP)
    # What the server started becomes ours when the server ends.
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    if os.getppid() != int(parent):  # it died before the kernel was asked
        sys.exit(1)
    server = os.fork()
    if server == 0:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.execv(command[0], command)  # noqa: S606
    signal.signal(signal.SIGTERM, lambda number, _frame: os.kill(server, number))
    signal.signal(signal.SIGHUP, lambda _number, _frame: os.kill(server, signal.SIGKILL))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGHUP,))
    _await_end(server)
    for number in (signal.SIGHUP, signal.SIGTERM):  # the server's id may be another's once its exit code is taken
        signal.signal(number, signal.SIG_IGN)
    code = os.waitstatus_to_exitcode(os.waitpid(server, 0)[1])
    _end_children()
    _remove_shared_memory(prefix)
    sys.exit(code if code >= 0 else 128 - code)


def _await_end(server: int) -> None:
    """Return when the server has ended; its id stays its own, because a second signal may be on the way to it."""
    while (ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)) and ended.si_pid != server:
        os.waitpid(ended.si_pid, 0)


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


def _remove_shared_memory(prefix: str) -> None:
    for region in SHARED_MEMORY.iterdir() if prefix else ():
        if region.name.startswith(prefix):
            region.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
