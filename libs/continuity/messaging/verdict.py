"""What becomes of an event that could not be handled: another try later, or the dead letters."""

from __future__ import annotations

from dataclasses import replace

from continuity.kernel.errors import Absent, Unavailable
from continuity.kernel.values import Failure
from continuity.messaging.backoff import full_jitter_s
from continuity.messaging.handling import Failed
from continuity.messaging.held_event import DEAD, WAITING, HeldEvent

FIRST_DELAY_S = 0.5
"""About as long as a peer takes to restart a connection; what passes by itself has passed by then."""
MAX_DELAY_S = 300.0
"""So that whoever mends something sees within minutes that it is mended."""
MAX_ATTEMPTS = 12
"""Some ten minutes of doubling delays: an error that is the event's own does not pass by waiting longer."""
ABSENT_ATTEMPTS = 4
"""What an event tells of was written before the event; this bridges a store that answers from a lagging copy."""
UNAVAILABLE_LIMIT_S = 86_400.0
"""A dependency that is away is nobody's fault; after a day it will not come back by itself."""


def judged(held: HeldEvent, failed: Failed, now: float) -> HeldEvent:
    """Return the event after one more failure: waiting for its next try, or dead and to be told of."""
    blamed = not isinstance(failed.error, Unavailable)
    after = replace(
        held,
        tries=held.tries + 1,
        attempts=held.attempts + blamed,
        failure=Failure.of(failed.error),
        stack=failed.stack,
        claim="",
    )
    if _hopeless(after, failed, now):
        return replace(after, state=DEAD, due_time=now, tries=0, told=False)
    return replace(after, state=WAITING, due_time=now + full_jitter_s(held.tries, FIRST_DELAY_S, MAX_DELAY_S))


def _hopeless(held: HeldEvent, failed: Failed, now: float) -> bool:
    if isinstance(failed.error, Unavailable):
        return now - held.hold_time > UNAVAILABLE_LIMIT_S
    if isinstance(failed.error, Absent):
        return held.attempts >= ABSENT_ATTEMPTS
    return not failed.error.retryable or held.attempts >= MAX_ATTEMPTS
