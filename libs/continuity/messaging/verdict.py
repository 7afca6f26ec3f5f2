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
    after = replace(
        held,
        tries=held.tries + 1,
        tried_time=_first_tried(held, now),
        attempts=held.attempts + (not _nobodys_fault(failed)),
        failure=Failure.of(failed.error),
        stack=failed.stack,
        claim="",
    )
    if _hopeless(after, failed, now):
        return replace(after, state=DEAD, due_time=now, tries=0, told=False)
    return replace(after, state=WAITING, due_time=now + full_jitter_s(held.tries, FIRST_DELAY_S, MAX_DELAY_S))


def _first_tried(held: HeldEvent, now: float) -> float:
    """Return since when it fails; the time that it waited behind another is not its own."""
    if held.tried_time is not None:
        return held.tried_time
    return held.hold_time if held.tries else now  # one that an older version tried first has no time of it


def _nobodys_fault(failed: Failed) -> bool:
    return failed.store_away or isinstance(failed.error, Unavailable)


def _hopeless(held: HeldEvent, failed: Failed, now: float) -> bool:
    if _nobodys_fault(failed):
        return held.tried_time is not None and now - held.tried_time > UNAVAILABLE_LIMIT_S
    if isinstance(failed.error, Absent):
        return held.attempts >= ABSENT_ATTEMPTS
    return not failed.error.retryable or held.attempts >= MAX_ATTEMPTS
