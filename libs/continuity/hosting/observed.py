"""A process's log and telemetry, as its settings say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import continuity
from continuity.hosting.settings import PlatformSettings
from continuity.kernel.variables import mistyped
from continuity.telemetry.logs import secrets_of, set_up_logging
from continuity.telemetry.setup import set_up_telemetry

_log = logging.getLogger(__name__)


@contextmanager
def observed(settings: PlatformSettings, service: str) -> Iterator[None]:
    """Log, and send telemetry where that is wanted, until the block ends; what waits is sent within a limit."""
    set_up_logging(settings.log_level, settings.log_format, service, secrets_of(settings))
    for slip in mistyped():
        _log.warning("%s", slip)
    version, content = continuity.__version__, settings.telemetry_content
    telemetry = set_up_telemetry(service, settings.otlp_endpoint, version, content=content)
    try:
        yield
    finally:
        telemetry.shutdown()
