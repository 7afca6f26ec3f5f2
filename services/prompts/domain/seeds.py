"""Seeds that follow from what is filmed, so that the same shot of the same people starts from the same noise.

seed = the first 32 bits (big endian) of sha256 over the ASCII JSON array
``["continuity.seed.v1", film seed, [sorted case-folded character names], scene id, shot number]`` without spaces.
JSON keeps the parts apart; names rather than ids make the seed equal on every machine that reads the same shot list.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from continuity.kernel.errors import InvalidValue

MAX_SEED = 2**32 - 1


def derive_seed(film_seed: int, characters: Iterable[str], scene_id: str, shot_number: int) -> int:
    """Return the seed, 0 to 2³²-1, of one shot of ``characters`` (their order does not matter)."""
    cast = sorted({name.casefold() for name in characters})
    subject = ["continuity.seed.v1", film_seed, cast, scene_id, shot_number]
    digest = hashlib.sha256(json.dumps(subject, separators=(",", ":")).encode("ascii")).digest()
    return int.from_bytes(digest[:4], "big")


def require_seed(field: str, seed: int) -> None:
    """Raise ``InvalidValue`` where ``seed`` does not fit 32 bits without a sign."""
    if not 0 <= seed <= MAX_SEED:
        raise InvalidValue(field, seed, f"a seed is 0 to {MAX_SEED}")
