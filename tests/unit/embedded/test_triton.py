"""What the log tells of Triton."""

import logging

import pytest

from continuity.inference.watchdog import RendererHealth, RendererState
from services.embedded.triton import say


@pytest.mark.parametrize(
    ("state", "reason", "level", "said"),
    [
        (RendererState.SERVING, "", "INFO", "Triton is serving"),
        (RendererState.RESTARTING, "the server died", "WARNING", "Triton is restarting: the server died"),
        (RendererState.FAILED, "exit code 1", "ERROR", "Triton is failed: exit code 1"),
    ],
)
def test_how_triton_stands_is_logged_with_what_led_to_it(caplog, state, reason, level, said):
    with caplog.at_level(logging.INFO, "services.embedded.triton"):
        say(RendererHealth(state, reason))
    (record,) = caplog.records
    assert (record.levelname, record.getMessage()) == (level, said)
