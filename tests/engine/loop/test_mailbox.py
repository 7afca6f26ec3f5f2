"""News of one request: what is kept when telling is slow, and that there is one end."""

import random

import numpy as np
import pytest

from engine.errors import Stopped
from engine.loop.mailbox import Ended, Mailbox
from engine.work import Picture, Progress

PREVIEW = np.zeros((4, 4, 3), np.uint8)


def progress(step):
    return Progress(step, 50, PREVIEW)


def picture(index):
    return Picture(index, index, PREVIEW)


def told(mailbox):
    news = []
    while (one := mailbox.take()) is not None:
        news.append(one)
    return news


def short(news):
    return [one.step if isinstance(one, Progress) else one.index if isinstance(one, Picture) else "end" for one in news]


@pytest.fixture
def mailbox():
    return Mailbox(lambda: None)


def test_of_progress_that_nobody_takes_the_newest_is_kept(mailbox):
    for step in range(1000):
        mailbox.put(progress(step))
    assert short(told(mailbox)) == [998, 999]


def test_pictures_are_never_dropped_and_keep_their_place(mailbox):
    for index in range(8):
        mailbox.put(progress(100 + index))
        mailbox.put(picture(index))
    mailbox.end(None)
    assert short(told(mailbox)) == [0, 1, 2, 3, 4, 5, 106, 6, 107, 7, "end"]


def test_an_error_drops_what_was_not_told(mailbox):
    mailbox.put(progress(1))
    mailbox.put(picture(0))
    mailbox.end(Stopped())
    (end,) = told(mailbox)
    assert isinstance(end.error, Stopped)


def test_behind_the_end_nothing_is_added(mailbox):
    mailbox.end(None)
    mailbox.put(picture(0))
    mailbox.end(None)
    assert told(mailbox) == [Ended(None)]


def test_the_first_error_stands(mailbox):
    mailbox.end(Stopped())
    mailbox.end(ValueError())
    mailbox.end(None)
    (end,) = told(mailbox)
    assert isinstance(end.error, Stopped)


def test_an_error_stands_against_a_good_end_that_was_not_told(mailbox):
    mailbox.put(picture(0))
    mailbox.end(None)
    assert short([mailbox.take()]) == [0]
    mailbox.end(Stopped())
    (end,) = told(mailbox)
    assert isinstance(end.error, Stopped)


def test_a_good_end_that_was_told_stands(mailbox):
    mailbox.end(None)
    assert mailbox.take() == Ended(None)
    mailbox.end(Stopped())
    assert mailbox.take() is None


def test_one_is_called_at_a_time_and_again_as_long_as_there_is_news():
    calls = []
    mailbox = Mailbox(lambda: calls.append(1))
    for index in range(3):
        mailbox.put(picture(index))
    assert len(calls) == 1
    for taken in range(1, 4):
        assert mailbox.take() is not None
        mailbox.done()
        assert len(calls) == min(3, taken + 1)
    mailbox.put(picture(3))
    assert len(calls) == 4


@pytest.mark.parametrize("seed", range(50))
def test_whatever_happens_there_is_one_end_and_it_is_last(mailbox, seed):
    chance, news = random.Random(seed), []
    for number in range(60):
        chance.choice(
            [
                lambda number=number: mailbox.put(progress(number)),
                lambda number=number: mailbox.put(picture(number)),
                lambda: news.append(mailbox.take()),
                lambda: chance.random() < 0.05 and mailbox.end(chance.choice([None, Stopped()])),
            ]
        )()
    mailbox.end(None)
    news = [one for one in [*news, *told(mailbox)] if one is not None]
    assert [type(one) for one in news].count(Ended) == 1 and isinstance(news[-1], Ended)
