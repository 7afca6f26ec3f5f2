"""The held events' second life: those that are due are tried again, dead ones are told of."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from continuity.kernel.clock import Clock, SystemClock
from continuity.kernel.errors import ContinuityError
from continuity.messaging.backoff import Backoff, TokenBucket, full_jitter_s
from continuity.messaging.bus import EventBus
from continuity.messaging.claimed import CLAIM_S, Claimed
from continuity.messaging.dead_letter import dead_headers
from continuity.messaging.envelope import EventMalformed
from continuity.messaging.handling import Failed, Handling
from continuity.messaging.held_event import DEAD, HeldEvent
from continuity.messaging.held_events import HeldEvents
from continuity.messaging.held_gauges import HeldGauges
from continuity.messaging.verdict import FIRST_DELAY_S, MAX_ATTEMPTS, MAX_DELAY_S, judged

_log = logging.getLogger(__name__)

RETRIES_PER_S = 50.0
"""A service that is back after an outage must not be met by everything that it missed at once."""
SIDE_BY_SIDE = 16
POLL_S = 1.0
"""How often a replica looks for what others have left; of its own it knows."""
SWEEP_INTERVAL_S = 60.0


class Retries:
    """Works off what a service holds. Several replicas share the work by claims."""

    def __init__(self, bus: EventBus, held: HeldEvents, handling: Handling, clock: Clock | None = None) -> None:
        self._bus = bus
        self._held = held
        self._handling = handling
        self._clock = clock or SystemClock()
        self._gauges = HeldGauges(held, handling.topics, self._clock)
        self._budget = TokenBucket(RETRIES_PER_S)
        self._free = asyncio.Semaphore(SIDE_BY_SIDE)

    async def run(self) -> None:
        """Work until cancelled; what is begun then goes back."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._sweep())
            tasks.create_task(self._gauges.run())
            backoff = Backoff(FIRST_DELAY_S, POLL_S * 5)
            while True:
                try:
                    await self._begin_due(tasks)
                    backoff.reset()
                    continue
                except ContinuityError as error:
                    _log.warning("held events of %s wait: %s", self._bus.service, error)
                except Exception:
                    # One that can't be read keeps its claim until that lapses; the others go on.
                    _log.exception("a held event of %s could not be taken", self._bus.service)
                await backoff.pause()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            try:
                await self._held.sweep()
            except ContinuityError:
                continue  # the store is away; whoever needs it says so
            except Exception:
                _log.exception("the held events of %s could not be swept", self._bus.service)

    async def _begin_due(self, tasks: asyncio.TaskGroup) -> None:
        await self._free.acquire()
        try:
            claimed = await self._held.claim()
        except BaseException:
            self._free.release()
            raise
        if claimed is not None:
            tasks.create_task(self._work(claimed))
            return
        self._free.release()
        await self._held.until_due(POLL_S)

    async def _work(self, claimed: Claimed) -> None:
        try:
            async with self._kept(claimed):
                await (self._announce(claimed) if claimed.held.state == DEAD else self._retry(claimed))
        except asyncio.CancelledError:
            with suppress(ContinuityError):
                await claimed.save(due_time=self._clock.now(), claim="")
            raise
        except ContinuityError as error:
            # The claim lapses; whoever takes it then goes on.
            _log.warning("a held event of %s waits: %s", self._bus.service, error)
        except Exception:
            _log.exception("a held event of %s broke its retry", self._bus.service)
        finally:
            self._free.release()

    @asynccontextmanager
    async def _kept(self, claimed: Claimed) -> AsyncIterator[None]:
        """Renew the claim for as long as the block lasts."""

        async def renew() -> None:
            while True:
                await asyncio.sleep(CLAIM_S / 3)
                with suppress(ContinuityError):
                    await claimed.save(due_time=self._clock.now() + CLAIM_S)

        renewing = asyncio.create_task(renew())
        try:
            yield
        finally:
            renewing.cancel()

    async def _retry(self, claimed: Claimed) -> None:
        held = claimed.held
        first = await self._held.first_in(held.lane)
        if first is not None and first.id != held.id:
            await self._wait_behind(claimed, first)
            return
        await self._budget.take()
        self._handling.outcomes["retried"] += 1
        failed = await self._handling(held.record)
        if failed is None:
            await self._held.finish(held)
        elif failed.store_away and not await self._store_answers():
            await claimed.save(due_time=self._clock.now() + FIRST_DELAY_S, claim="")
        else:
            await self._failed_again(claimed, failed)

    async def _store_answers(self) -> bool:
        """Tell a store that is away from one that answers and has something against this event."""
        try:
            await self._held.check()
        except ContinuityError:
            return False
        return True

    async def _wait_behind(self, claimed: Claimed, first: HeldEvent) -> None:
        """Give an event back that is not the first of its lane: whoever lets that go gives it the turn.

        It looks again by itself only after the first, or every retry of that would wake all who wait behind it.
        """
        await claimed.save(due_time=max(first.due_time or 0.0, self._clock.now()) + CLAIM_S, claim="")
        now_first = await self._held.first_in(first.lane)
        if now_first is not None and now_first.id == claimed.held.id:  # whoever let the first go found this one claimed
            await self._held.advance(first.lane)

    async def _failed_again(self, claimed: Claimed, failed: Failed) -> None:
        after = judged(claimed.held, failed, self._clock.now())
        if after.state == DEAD:
            self._handling.outcomes["dead"] += 1
            _log.warning("%s gives up a record of %s: %s", self._bus.service, after.record.topic, failed.error)
        await claimed.become(after)
        if after.state == DEAD:
            await self._held.advance(after.lane)

    async def _announce(self, claimed: Claimed) -> None:
        """Mark the aggregate, then put the record on the dead-letter topic; both at least once."""
        try:
            if not claimed.held.told:
                await self._tell(claimed.held)
                await claimed.save(told=True)
            await self._publish(claimed.held)
        except ContinuityError as error:
            _log.warning("%s could not tell of a dead letter: %s", self._bus.service, error)
            tries = claimed.held.tries + 1
            delay_s = full_jitter_s(tries, FIRST_DELAY_S, MAX_DELAY_S)
            await claimed.save(due_time=self._clock.now() + delay_s, tries=tries, claim="")
        else:
            await claimed.save(due_time=None, claim="")

    async def _tell(self, held: HeldEvent) -> None:
        """Mark the aggregate. Raises what may pass; what does not pass is logged, the dead letter stays."""
        if held.failure is None:
            return
        try:
            await self._handling.give_up(held.record, held.failure)
        except EventMalformed:
            return  # there is nothing to mark
        except Exception as error:
            if isinstance(error, ContinuityError) and error.retryable and held.tries < MAX_ATTEMPTS:
                raise
            _log.exception("%s could not mark %s as failed", self._bus.service, held.lane)

    async def _publish(self, held: HeldEvent) -> None:
        topic = self._handling.dead_letter_topic(held.record.topic)
        if topic:
            told = dead_headers(held, self._bus.service)
            await self._bus.publish_raw(topic, held.record.key, held.record.value, told)
