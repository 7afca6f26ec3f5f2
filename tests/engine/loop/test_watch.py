"""Who asks whether answers are still wanted: soon for those who draw, seldom for those who wait, never for nobody."""

import importlib.util
import threading
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[3] / "deploy/triton/model_repository/sdxl/1/cancellation.py"
LONG_S = 60.0


@pytest.fixture(scope="module")
def cancellation():
    spec = importlib.util.spec_from_file_location("cancellation", SOURCE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def watch(cancellation):
    faults = []
    made = cancellation.Watch(faults.append, lambda: faults.append("fatal"))
    yield made
    made.end()
    assert not faults


class Answer:
    def __init__(self):
        self.asked, self.unwanted = 0, False
        self.heard, self.ended = threading.Semaphore(0), threading.Event()

    def cancel_if_unwanted(self):
        self.asked += 1
        self.heard.release()
        return self.unwanted

    def end(self, _response):
        self.ended.set()

    def is_asked(self, times):
        return all(self.heard.acquire(timeout=LONG_S) for _ in range(times))


def test_those_who_draw_are_asked_at_every_round_and_all_who_wait_in_turn(watch):
    drawing, waiting = Answer(), [Answer() for _ in range(100)]
    watch.open(drawing)
    watch.begun(drawing)
    for each in waiting:
        watch.open(each)
    assert all(each.is_asked(2) for each in waiting)
    assert drawing.asked > max(each.asked for each in waiting) * 10


def test_who_is_unwanted_is_asked_no_more(watch):
    first, second = Answer(), Answer()
    first.unwanted = True
    watch.open(first)
    assert first.is_asked(1)
    watch.open(second)
    assert second.is_asked(5)
    assert first.asked == 1


def test_nobody_is_missed_who_comes_while_it_sleeps(watch):
    for _ in range(50):
        answer = Answer()
        watch.open(answer)
        assert answer.is_asked(1)
        watch.close(answer)


def test_the_last_word_is_sent_though_nobody_is_asked_any_more(watch):
    answer = Answer()
    watch.open(answer)
    watch.end_later(answer, "the last word")
    assert answer.ended.wait(LONG_S)


def test_with_nobody_to_ask_it_sleeps_and_still_ends(cancellation):
    watch = cancellation.Watch(print, print)
    answer = Answer()
    watch.open(answer)
    assert answer.is_asked(3)
    watch.close(answer)
    watch.end()
    assert not watch._thread.is_alive()


def test_where_it_fails_itself_somebody_is_told(cancellation):
    told = threading.Event()

    def log(text):
        raise MemoryError(text)

    watch = cancellation.Watch(log, told.set)
    watch.open("no answer at all")
    assert told.wait(LONG_S)
