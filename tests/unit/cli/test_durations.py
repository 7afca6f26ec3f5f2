import pytest
import typer

from continuity.cli.durations import seconds


@pytest.mark.parametrize(
    ("written", "expected"), [("1s", 1), ("90s", 90), ("30m", 1_800), ("1.5h", 5_400), (" 7d ", 604_800)]
)
def test_a_time_is_written_with_its_unit(written, expected):
    assert seconds(written) == expected


@pytest.mark.parametrize("written", ["", "30", "m", "-5m", "0s", "0.5s", "8d", "1e3s", "30 minutes", "nan", "1m30s"])
def test_what_is_no_time_from_a_second_to_a_week_is_refused_naming_it(written):
    with pytest.raises(typer.BadParameter, match="is no time from 1s to 7d"):
        seconds(written)
