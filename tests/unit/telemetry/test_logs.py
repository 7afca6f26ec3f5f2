import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from continuity.hosting.settings import PlatformSettings
from continuity.kernel.errors import InvalidValue
from continuity.telemetry.logs import secrets_of, set_up_logging
from continuity.telemetry.names import RENDER
from continuity.telemetry.tracing import span

_log = logging.getLogger("continuity.tests")


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    root.handlers = []
    yield
    root.handlers = before
    root.setLevel(level)


def json_lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_of_json_says_when_who_and_what() -> None:
    stream = io.StringIO()
    set_up_logging("info", "json", "rendering", stream=stream)
    _log.info("job %s is\ndone", "j1")
    (line,) = json_lines(stream)
    assert line["time"].endswith("+00:00")
    assert {name: line[name] for name in ("level", "logger", "message", "service")} == {
        "level": "INFO",
        "logger": "continuity.tests",
        "message": "job j1 is\ndone",
        "service": "rendering",
    }


def test_a_line_names_the_trace_that_it_belongs_to(kept: Any) -> None:
    stream = io.StringIO()
    set_up_logging("INFO", "json", "rendering", stream=stream)
    with span(RENDER):
        _log.info("inside")
    _log.info("outside")
    inside, outside = json_lines(stream)
    context = kept.span("render").context
    assert (inside["trace_id"], inside["span_id"]) == (f"{context.trace_id:032x}", f"{context.span_id:016x}")
    assert "trace_id" not in outside


def test_an_error_has_its_reason_and_its_stack() -> None:
    stream = io.StringIO()
    set_up_logging("INFO", "json", "rendering", stream=stream)
    try:
        raise InvalidValue(field="seed", value=-1, limit="0 or more")
    except InvalidValue:
        _log.exception("refused")
    (line,) = json_lines(stream)
    assert line["error_type"] == "INVALID_VALUE"
    assert "test_logs.py" in line["stack"]


def test_the_level_holds() -> None:
    stream = io.StringIO()
    set_up_logging("WARNING", "json", "rendering", stream=stream)
    _log.info("quiet")
    assert json_lines(stream) == []


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_secret_of_the_settings_reaches_the_log(form: Any) -> None:
    stream = io.StringIO()
    settings = PlatformSettings(
        mongodb_url=SecretStr("mongodb://house:pa%20ss%2Fword@db:27017"),
        kafka_sasl_password=SecretStr('quo"ted\\secret'),
        s3_secret_key=SecretStr("wJalrXUtnFEMI/K7MDENG"),
    )
    set_up_logging("INFO", form, "rendering", secrets_of(settings), stream=stream)
    _log.info("settings: %r", settings)
    _log.warning("cannot reach %s", settings.mongodb_url.get_secret_value())
    _log.warning("the driver says pa%%20ss%%2Fword and pa ss/word")
    _log.warning("signed with %s and %s", "wJalrXUtnFEMI/K7MDENG", "wJalrXUtnFEMI%2FK7MDENG")
    try:
        raise ConnectionError(settings.kafka_sasl_password.get_secret_value())
    except ConnectionError:
        _log.exception("refused")
    written = stream.getvalue()
    for secret in ("pa%20ss%2Fword", "pa ss/word", "ted\\secret", "ted\\\\secret", "K7MDENG"):
        assert secret not in written
    assert written.count("**********") >= 6


def test_secrets_that_are_not_set_strike_out_nothing() -> None:
    stream = io.StringIO()
    set_up_logging("INFO", "text", "rendering", secrets_of(PlatformSettings()), stream=stream)
    _log.info("all is well")
    assert stream.getvalue().endswith("INFO continuity.tests all is well\n")


def test_libraries_that_repeat_themselves_while_a_server_is_away_are_silent() -> None:
    stream = io.StringIO()
    set_up_logging("INFO", "text", "rendering", stream=stream)
    logging.getLogger("aiokafka.consumer.fetcher").error("Failed fetch messages")
    logging.getLogger("urllib3.connectionpool").warning("Retrying")
    assert stream.getvalue() == ""
