"""The error tree.

An error is a dataclass that carries values. Its category decides the gRPC status and the HTTP status (one table in
``continuity.rpc.errors``); ``retryable`` says whether doing the same again later may work. The reason that a machine
reads (``ErrorInfo.reason``) is the class name in upper snake case; what a person reads is ``str(error)``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from functools import partial
from typing import Any, ClassVar


@dataclass(eq=False)
class ContinuityError(Exception):
    """Base of every error that a caller may see. Subclasses are dataclasses with a ``template``."""

    template: ClassVar[str] = "something went wrong"
    retryable: ClassVar[bool] = False

    def __str__(self) -> str:
        return self.template.format(**self.values())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by field names: exceptions are rebuilt from positional arguments otherwise, which ours don't keep."""
        return partial(type(self), **self.values()), (), self.__dict__

    @property
    def reason(self) -> str:
        """The class name as ``UPPER_SNAKE_CASE``."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", type(self).__name__).upper()

    def metadata(self) -> dict[str, str]:
        """The values as text, each cut to 200 characters; those that are None say nothing."""
        return {name: str(value)[:200] for name, value in self.values().items() if value is not None}

    def values(self) -> dict[str, Any]:
        """The values that the error carries, by field name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


class Invalid(ContinuityError):
    """The request can never be fulfilled as it is."""


class Absent(ContinuityError):
    """What is asked for does not exist for this caller."""


class Exists(ContinuityError):
    """Something else already stands under this name."""


class WrongState(ContinuityError):
    """What is asked for does not fit the present state."""


class Conflict(ContinuityError):
    """Somebody else changed it first; read again and retry."""

    retryable = True


class Full(ContinuityError):
    """A limit is reached; ``retry_after_s`` later may work."""

    retryable = True
    retry_after_s: float = 1.0


class Unavailable(ContinuityError):
    """Something this depends on does not answer; later may work."""

    retryable = True


class Misconfigured(Unavailable):
    """Something this depends on answers and refuses our settings, which the message names: a person must change them.

    At the start of a process that is the end of it; later it may be about to be mended.
    """


class Late(ContinuityError):
    """The deadline has passed."""

    retryable = True


class Damaged(ContinuityError):
    """What is stored is no longer what was put there."""


class NotAllowed(ContinuityError):
    """The caller may not do this."""


@dataclass(eq=False)
class InvalidValue(Invalid):
    """One field holds a value that is not acceptable; ``limit`` says what would be."""

    template = "{field}: {value!r} is not acceptable; {limit}"
    field: str
    value: Any
    limit: str
