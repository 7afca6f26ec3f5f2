"""Errors as people and programs are told of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import grpc
from pydantic import ValidationError

from continuity.client import CallFailed
from continuity.client.shotlist import ShotListInvalid
from continuity.kernel.errors import ContinuityError
from continuity.kernel.wrong_settings import wrong_variable


def failure(error: Exception) -> dict[str, Any]:
    """Return reason, message and metadata of the error; all problems besides where a shot list has them."""
    told: dict[str, Any] = {"reason": _reason(error), "message": _message(error), "metadata": _metadata(error)}
    if isinstance(error, ShotListInvalid):
        told["problems"] = [asdict(problem) for problem in error.problems]
    return told


def wrong_usage(message: str) -> dict[str, Any]:
    """Return what is told of arguments that the parser refuses."""
    return {"reason": "WRONG_USAGE", "message": message, "metadata": {}}


def _reason(error: Exception) -> str:
    if isinstance(error, CallFailed | ContinuityError):
        return error.reason
    return "FILE_UNUSABLE" if isinstance(error, OSError) else "SETTINGS_INVALID"


def _message(error: Exception) -> str:
    if isinstance(error, CallFailed) and error.reason == error.status.name:
        if error.status is grpc.StatusCode.UNAVAILABLE:
            return f"no service answers ({error.message})"
        if error.status is grpc.StatusCode.DEADLINE_EXCEEDED:
            return "the service did not answer in time"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, ValidationError):
        return "; ".join(map(wrong_variable, error.errors(include_url=False)))
    return str(error) or type(error).__name__


def _metadata(error: Exception) -> dict[str, str]:
    values: Mapping[str, object] = {}
    if isinstance(error, CallFailed):
        values = error.metadata
    elif isinstance(error, OSError):
        values = {"file": error.filename, "cause": error.strerror}
    elif isinstance(error, ContinuityError) and not isinstance(error, ShotListInvalid):
        values = error.values()  # whole: nothing here must fit into the headers of a call
    return {name: str(value) for name, value in values.items() if value is not None}
