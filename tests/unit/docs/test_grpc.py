"""The page on calling the services names things as the code does. ``tests/e2e/test_grpc_page.py`` runs its example."""

from pathlib import Path

import pytest

from continuity.api.rendering.v1.verification_pb2 import Verdict
from continuity.client.dead_letters import CONSUMERS, SERVICE_HEADER
from continuity.rpc.calls import DEFAULT_PROJECT, MAX_UNARY_S, PROJECT_HEADER
from continuity.rpc.errors import DOMAIN
from services.prompts.domain.errors import UnknownWord
from services.rendering.domain.errors import JobExpired, QueueFull, VerificationsFull

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "grpc.md").read_text()


@pytest.mark.parametrize(
    "said",
    [
        f"`{PROJECT_HEADER}: pilot`",
        f"belongs to `{DEFAULT_PROJECT}`",
        f"`{SERVICE_HEADER}`",
        f"`domain` is `{DOMAIN}`",
        f"ends after {MAX_UNARY_S:.0f} s",
        *(f"`{name}`" for name in CONSUMERS),
        *(f"`{error.__new__(error).reason}`" for error in (JobExpired, QueueFull, UnknownWord, VerificationsFull)),
        *(
            f"| {name.removeprefix('VERDICT_')} |"
            for name in Verdict.DESCRIPTOR.values_by_name
            if "UNSPECIFIED" not in name
        ),
    ],
)
def test_the_page_names_it_as_it_is(said: str) -> None:
    assert said in PAGE
