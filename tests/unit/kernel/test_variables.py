"""Variables with a slip in their name are told of; those of other programs are not."""

import re
from pathlib import Path

import pytest

from continuity.kernel.variables import KNOWN, mistyped
from tests.unit.docs.test_operations import every_setting

CADDYFILE = Path(__file__).resolve().parents[3] / "deploy" / "proxy" / "Caddyfile"


def test_every_variable_that_a_program_reads_is_known_and_no_other():
    of_the_proxy = set(re.findall(r"\$CONTINUITY_([A-Z_]+)", CADDYFILE.read_text()))
    assert {setting.name for setting in every_setting()} | of_the_proxy | {"COMMAND"} == KNOWN


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("CONTINUITY_LEASE_SS", "CONTINUITY_LEASE_S"),
        ("CONTINUITY_ADRESS", "CONTINUITY_ADDRESS"),
        ("continuity_log_levle", "CONTINUITY_LOG_LEVEL"),
    ],
)
def test_a_slip_is_told_with_what_was_meant_and_not_with_its_value(given, meant):
    (said,) = mistyped({given: "secret", "PATH": "/bin"})
    assert said == f"{given} is ignored: there is no such setting; did you mean {meant}?"


@pytest.mark.parametrize("given", ["CONTINUITY_LEASE_S", "continuity_home", "CONTINUITY_TEST_MONGODB_URL", "LEASE_SS"])
def test_what_somebody_reads_or_nobody_meant_for_us_is_not_told(given):
    assert list(mistyped({given: "1"})) == []
