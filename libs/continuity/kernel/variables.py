"""Variables that nobody reads because they are spelled wrong.

Programs of one machine share its environment, newer and older ones beside each other, so that a name which one of them
does not know is no error. One that all but is a setting's is told.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator, Mapping

PREFIX = "CONTINUITY_"
NEAR = 0.85
"""How alike two names are, from 0 to 1: above, one letter too many or two that have changed places."""
KNOWN = frozenset(
    """
    ADDRESS ANSWER_DEADLINE_S BOOTSTRAP_SERVERS CAST_DEADLINE_S CHARACTERS_UPSTREAMS CHECKPOINT COLLECT_AFTER_S
    COMMAND COMMERCIAL CPU_WORKERS DISTRIBUTED_DATA DISTRIBUTED_PORT DISTRIBUTED_REPLICAS DRAIN_S ENGINE_DEVICE
    ENGINE_THREADS GUIDANCE HOME IDENTITY IDENTITY_STRENGTH IDLE_EXIT_S INFRA_DATA INFRA_KAFKA_CONTROLLER_PORT
    INFRA_KAFKA_MUTUAL_PORT INFRA_KAFKA_PORT INFRA_KAFKA_SECURED_PORT INFRA_MINIO_ACCESS_KEY INFRA_MINIO_PORT
    INFRA_MINIO_SECRET_KEY INFRA_MONGO_PORT KAFKA_CA_FILE KAFKA_CERT_FILE KAFKA_KEY_FILE
    KAFKA_REPLICATION_FACTOR KAFKA_SASL_MECHANISM KAFKA_SASL_PASSWORD KAFKA_SASL_USERNAME
    KAFKA_SECURITY_PROTOCOL LAYOUT_GUIDE LAYOUT_STRENGTH LEASE_S LISTEN_ADDRESS LOG_FORMAT LOG_LEVEL
    MATTING_UPSTREAMS MAX_UNFINISHED_JOBS MODELS MONGODB_DATABASE MONGODB_URL OTLP_ENDPOINT PREVIEW_EVERY
    PROJECT PROMPTS_UPSTREAMS PROMPT_DEADLINE_S PROXY_HOST PROXY_PORT RENDERER RENDERING_UPSTREAMS
    RENDER_REPLICAS RENDER_SLOTS RENDER_TIMEOUT_S ROOT S3_ACCESS_KEY S3_BUCKET S3_CREATE_BUCKET S3_ENDPOINT
    S3_PUBLIC_URL S3_REGION S3_SECRET_KEY SAMPLER SCHEDULE SOLE_RENDERER STEPS TELEMETRY_CONTENT TOPICS_FOLDER
    TRITON_ADDRESS VISION_UPSTREAMS
    """.split()  # noqa: SIM905  eighty names
)
"""What programs read, the prefix left out. Written down here because each program loads its own settings only."""


def mistyped(environment: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield what to tell of each variable that is nobody's and nearly somebody's; never its value."""
    for given in sorted(environment):
        if not given.upper().startswith(PREFIX) or (name := given.upper().removeprefix(PREFIX)) in KNOWN:
            continue
        for near in difflib.get_close_matches(name, KNOWN, n=1, cutoff=NEAR):
            yield f"{given} is ignored: there is no such setting; did you mean {PREFIX}{near}?"
