"""The log: lines of text for people, or one JSON object a line, with the trace that each belongs to."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Literal, TextIO
from urllib.parse import quote, unquote, urlsplit

from opentelemetry import trace
from opentelemetry.trace import format_span_id, format_trace_id
from pydantic import BaseModel, SecretStr

from continuity.kernel.clock import utc
from continuity.telemetry.tracing import reason_of

Format = Literal["text", "json"]

HIDDEN = "**********"
_TEXT = "%(asctime)s %(levelname)s %(name)s %(message)s"


def set_up_logging(
    level: str,
    format: Format = "text",
    service: str = "",
    secrets: Iterable[SecretStr] = (),
    stream: TextIO | None = None,
) -> None:
    """Log to standard error; the libraries below only when something is wrong. ``secrets`` never appear."""
    lines = JsonLines(service) if format == "json" else logging.Formatter(_TEXT)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(WithoutSecrets(lines, secrets))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for library, least in _LIBRARIES.items():
        logging.getLogger(library).setLevel(least)


_LIBRARIES = {
    "aiokafka": logging.CRITICAL,  # a broker that is away it reports twenty times a second; the bus says it once
    "urllib3": logging.ERROR,  # a warning for each repetition, with the object's key
}


def secrets_of(settings: BaseModel) -> tuple[SecretStr, ...]:
    """Return every secret among the settings."""
    return tuple(value for _, value in settings if isinstance(value, SecretStr))


class JsonLines(logging.Formatter):
    """One JSON object a line: time (RFC 3339), level, logger, message, service, trace and span, error."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, Any] = {
            "time": utc(record.created).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            "service": self._service,
            **_place(),
            **self._error(record),
        }
        return json.dumps(line, ensure_ascii=False)

    def _error(self, record: logging.LogRecord) -> dict[str, str]:
        if not record.exc_info or record.exc_info[1] is None:
            return {}
        return {"error_type": reason_of(record.exc_info[1]), "stack": self.formatException(record.exc_info)}


class WithoutSecrets(logging.Formatter):
    """Writes as another formatter does and strikes out secrets, whatever brought them there."""

    def __init__(self, lines: logging.Formatter, secrets: Iterable[SecretStr]) -> None:
        super().__init__()
        self._lines = lines
        spoken = {form for secret in secrets for form in _spoken(secret.get_secret_value())}
        self._struck = sorted(spoken, key=len, reverse=True)

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line = self._lines.format(record)
        for secret in self._struck:
            line = line.replace(secret, HIDDEN)
        return line


def _place() -> dict[str, str]:
    found = trace.get_current_span().get_span_context()
    if not found.is_valid:
        return {}
    return {"trace_id": format_trace_id(found.trace_id), "span_id": format_span_id(found.span_id)}


def _spoken(secret: str) -> Iterator[str]:
    """Yield how a secret may turn up: itself, in JSON, in a URL; the same of the password that it holds as a URL."""
    password = _password(secret)
    for part in filter(None, (secret, password, unquote(password))):
        yield part
        yield quote(part, safe="")
        yield json.dumps(part, ensure_ascii=False)[1:-1]


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
