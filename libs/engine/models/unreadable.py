"""What is said of a model's file that cannot be read. Wants no torch."""

from __future__ import annotations

from pathlib import Path

from engine.errors import ModelUnusable

__all__ = ["said_of", "unreadable"]


def unreadable(model: str, file: str, error: Exception) -> ModelUnusable:
    """Return why a file, by its path within the model's folder, cannot be read; one that is not there is missing."""
    if isinstance(error, FileNotFoundError):
        return ModelUnusable(model, f"{file} is missing")
    return ModelUnusable(model, f"{file} cannot be read: {said_of(error)}")


def said_of(error: Exception, folder: Path | None = None) -> str:
    """Return an error's words without the server's own folders, of which ``folder`` is the one that it may name."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) if folder is None else str(error).replace(str(folder), folder.name)
