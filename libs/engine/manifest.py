"""The manifest of a picture: everything that determines its bytes, so that they can be made again and compared.

Equal bytes are promised where two manifests agree in all but ``pixels_sha256`` and ``extra``. What depends on when or
for whom it was drawn (id, project, priority, deadline, previews) is not in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import engine
from engine.request import RenderRequest
from engine.work import Picture

__all__ = ["FORMAT", "canonical", "differences", "libraries", "manifest"]

FORMAT = 1
"""Version of the manifest's own layout, under ``version``."""

_NOT_IN_THE_PICTURE = ("id", "project", "priority", "deadline_s", "commercial", "images", "preview_every", "extra")
_LIBRARIES = (
    "diffusers",
    "numpy",
    "opencv-python-headless",
    "pillow",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
)
_ORDER = (
    "version",
    "engine",
    "request",
    "pictures",
    "weights",
    "kernels_sha256",
    "drawn",
    "libraries",
    "device",
    "extra",
)
_HASH_DIGITS = 64
_ABSENT = "absent"


def manifest(request: RenderRequest, facts: Mapping[str, Any], picture: Picture, pixels_sha256: str) -> dict[str, Any]:
    """Return the manifest of one picture, as plain JSON values.

    ``request``: the fields that determine the picture; its ``seed`` is the picture's own, so that asking for one image
    with these fields draws this one. ``facts`` is what the process and the request's inputs are, ``picture.facts`` how
    it was drawn; of both together ``pictures`` (SHA-256 of the pixels sent: ``image``, ``mask``, ``layout``,
    ``references``, ``reference_masks``), ``libraries`` and ``device`` keep their places, ``checkpoint`` (name and
    sha256), ``variant_sha256`` and ``adapters`` go under ``weights``, and what is left under ``drawn``.
    ``pixels_sha256`` is over the picture's RGB bytes, row by row.
    """
    known: dict[str, Any] = {**facts, **picture.facts}
    weights = _taken(known, "checkpoint", "variant_sha256", "adapters")
    places = _taken(known, "pictures", "libraries", "device", "kernels_sha256")
    asked = {key: value for key, value in asdict(request).items() if key not in _NOT_IN_THE_PICTURE}
    made: dict[str, Any] = {
        "version": FORMAT,
        "engine": known.pop("engine", engine.VERSION),
        "request": {**asked, "seed": picture.seed},
        "weights": {**weights, **known.pop("weights", {})},
        **places,
        "drawn": known,
        "extra": request.extra,
        "pixels_sha256": pixels_sha256,
    }
    plain: dict[str, Any] = json.loads(canonical(made))
    return plain


def canonical(manifest: Mapping[str, Any]) -> bytes:
    """Return a manifest as JSON of one spelling: UTF-8, keys sorted, no spaces. Raises ``ValueError`` for NaN."""
    return json.dumps(manifest, sort_keys=True, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode()


def differences(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Return each input in which two manifests differ, as "weights.checkpoint.sha256: 3fa9… -> 77c1…".

    What weighs most comes first: the request, the pictures sent, the weights; then kernels, libraries and device; last
    what only repeats words. ``pixels_sha256`` is no input: an empty list beside other pixels means a fault.
    """
    left, right = dict(_leaves(a)), dict(_leaves(b))
    paths = [path for path in {**left, **right} if left.get(path, _ABSENT) != right.get(path, _ABSENT)]
    paths.sort(key=lambda path: (_weight(path[0]), path))
    shown = [(_path(path), left.get(path, _ABSENT), right.get(path, _ABSENT)) for path in paths]
    return [f"{path}: {_short(before)} -> {_short(after)}" for path, before, after in shown if path != "pixels_sha256"]


def libraries() -> dict[str, str]:
    """Return the versions of the installed libraries that take part in a picture."""
    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = _ABSENT
    return found


def _taken(values: dict[str, Any], *keys: str) -> dict[str, Any]:
    """Move what is there out of ``values``."""
    return {key: values.pop(key) for key in keys if key in values}


def _leaves(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every value with its path, written as JSON; an empty object or list is a value, too."""
    if value and isinstance(value, Mapping):
        for key, each in value.items():
            yield from _leaves(each, (*path, str(key)))
    elif value and isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _leaves(each, (*path, f"[{index}]"))
    else:
        yield path, json.dumps(value, ensure_ascii=False)


def _weight(head: str) -> int:
    return _ORDER.index(head) if head in _ORDER else len(_ORDER)


def _path(path: tuple[str, ...]) -> str:
    return ".".join(path).replace(".[", "[")


def _short(value: str) -> str:
    plain = value.strip('"')
    if len(plain) == _HASH_DIGITS and set(plain) <= set("0123456789abcdef"):
        return plain[:8] + "…"
    return plain if len(plain) <= _HASH_DIGITS else plain[:_HASH_DIGITS] + "…"
