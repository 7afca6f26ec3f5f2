"""Exit codes: stable, so that scripts can rely on them."""

from __future__ import annotations

from enum import IntEnum

import grpc

from continuity.client.errors import CallFailed
from continuity.kernel.errors import ContinuityError
from continuity.rpc.errors import status_code


class ExitCode(IntEnum):
    """How a command ended."""

    OK = 0
    FAILED = 1
    """The command was understood, and the work itself failed: a job, a check."""
    INVALID = 2
    """Wrong usage or input."""
    ABSENT = 3
    """What was named does not exist."""
    UNAVAILABLE = 4
    """The services cannot be reached, are too busy or broken; later may work."""
    CONFLICT = 5
    """What was asked for does not fit the present state, such as a name that is taken."""
    INTERRUPTED = 130
    """Ctrl-C."""


HELP = """Exit codes: 0 done, 1 the work failed, 2 wrong usage or input, 3 not found, 4 service unavailable,
5 conflict with the present state, 130 interrupted."""

_BY_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: ExitCode.INVALID,
    grpc.StatusCode.OUT_OF_RANGE: ExitCode.INVALID,
    grpc.StatusCode.PERMISSION_DENIED: ExitCode.INVALID,
    grpc.StatusCode.UNAUTHENTICATED: ExitCode.INVALID,
    grpc.StatusCode.NOT_FOUND: ExitCode.ABSENT,
    grpc.StatusCode.ALREADY_EXISTS: ExitCode.CONFLICT,
    grpc.StatusCode.FAILED_PRECONDITION: ExitCode.CONFLICT,
    grpc.StatusCode.ABORTED: ExitCode.CONFLICT,
    grpc.StatusCode.DATA_LOSS: ExitCode.FAILED,
}


def exit_code(error: Exception) -> ExitCode:
    """Return the code that the error ends a command with."""
    if isinstance(error, CallFailed):
        return _BY_STATUS.get(error.status, ExitCode.UNAVAILABLE)
    if isinstance(error, ContinuityError):
        status = status_code(error)
        fallback = ExitCode.FAILED if status is grpc.StatusCode.INTERNAL else ExitCode.UNAVAILABLE
        return _BY_STATUS.get(status, fallback)
    return ExitCode.INVALID  # a file or a setting of the user's
