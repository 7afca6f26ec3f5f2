"""Errors carry values: to people, to machines, and across processes."""

import pickle
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from continuity.kernel import errors
from continuity.kernel.clock import utc
from continuity.kernel.errors import ContinuityError, InvalidValue
from continuity.kernel.ids import derived_id, new_id
from continuity.kernel.values import Failure


@dataclass(eq=False)
class PNGTooLarge(errors.Invalid):
    template = "{name!r} is {size_bytes} bytes"
    name: str
    size_bytes: int = 5


RETRYABLE = {errors.Conflict, errors.Full, errors.Unavailable, errors.Late}


@pytest.mark.parametrize("category", ContinuityError.__subclasses__()[:9], ids=lambda each: each.__name__)
def test_a_category_says_whether_later_may_work(category):
    assert category.retryable is (category in RETRYABLE)


def test_an_error_speaks_with_its_values():
    error = PNGTooLarge(name="{braces} stay", size_bytes=7)
    assert str(error) == "'{braces} stay' is 7 bytes"
    assert error.reason == "PNG_TOO_LARGE"
    assert error.values() == {"name": "{braces} stay", "size_bytes": 7}


@pytest.mark.parametrize("error", [PNGTooLarge("a", 7), InvalidValue("film", "x", "y"), errors.Full()], ids=repr)
def test_an_error_is_the_same_in_another_process(error):
    other = pickle.loads(pickle.dumps(error))
    assert (type(other), other.values(), str(other)) == (type(error), error.values(), str(error))


def test_a_failure_keeps_what_an_error_says_in_short():
    failure = Failure.of(PNGTooLarge("x" * 500))
    assert failure.reason == "PNG_TOO_LARGE"
    assert failure.metadata == {"name": "x" * 200, "size_bytes": "5"}


def test_a_derived_id_follows_from_its_parts_and_where_they_part():
    assert derived_id("job", "a", 1) == derived_id("job", "a", "1")
    assert len({derived_id("ab", "c"), derived_id("a", "bc"), derived_id("abc"), new_id(), new_id()}) == 5


def test_seconds_since_the_epoch_are_utc():
    assert utc(0.5) == datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)
