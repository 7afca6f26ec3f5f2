"""Pauses grow and differ; a bucket lets only so much through."""

import asyncio

from continuity.messaging.backoff import TokenBucket, full_jitter_s


def test_pauses_grow_to_their_limit_and_stay_there_however_often_one_tries():
    longest = [max(full_jitter_s(tries, 0.5, 300.0) for _ in range(200)) for tries in (0, 4, 20, 5_000)]
    assert longest[0] <= 0.5 < longest[1] <= 8.0 < longest[2] <= 300.0
    assert longest[3] <= 300.0


def test_those_who_failed_together_part():
    pauses = [full_jitter_s(3, 0.5, 300.0) for _ in range(200)]
    assert len(set(pauses)) > 190
    assert min(pauses) >= 0.4, "a tenth of the bound is waited for in any case"
    assert min(pauses) < 1.0, "some come back long before the others"
    assert max(pauses) > 3.0


async def test_a_bucket_lets_a_burst_through_and_spaces_out_the_rest(monkeypatch):
    waited = []

    async def sleep(delay_s):
        waited.append(round(delay_s, 6))

    monkeypatch.setattr(asyncio, "sleep", sleep)
    now = 0.0
    bucket = TokenBucket(10.0, lambda: now)
    for _ in range(13):
        await bucket.take()
    assert waited == [0.1, 0.2, 0.3], "each waits for a token of its own"
    now = 60.0
    for _ in range(10):
        await bucket.take()
    assert len(waited) == 3, "a quiet minute gives a second's worth and no more"
    await bucket.take()
    assert len(waited) == 4
