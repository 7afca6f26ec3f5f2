"""Tells by an exit code whether models answer: ``probe.py [host:port [model…]]`` of Triton's HTTP.

Triton's own readiness stays true when the interpreters of its models are dead, so this asks each model itself: for a
frame of nothing, which it refuses in milliseconds. Runs on the image's own Python with nothing installed.
"""

from __future__ import annotations

import http.client
import sys

ADDRESS = "127.0.0.1:8000"
MODELS = ("previz",)
TIMEOUT_S = 5.0
REFUSAL = b"is not acceptable"
"""How the model refuses; a Triton that cannot reach it says something else."""


def answers(address: str, model: str) -> bool:
    """Tell whether a model answers within the time."""
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT_S)
    try:
        connection.request("POST", f"/v2/models/{model}/generate_stream", '{"spec": ""}')
        return REFUSAL in connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    address, *models = sys.argv[1:] or [ADDRESS]
    sys.exit(0 if all(answers(address, model) for model in models or MODELS) else 1)
