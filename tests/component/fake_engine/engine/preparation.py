"""What a request is handed over as."""

from dataclasses import dataclass, field


@dataclass
class RawRequest:
    spec: bytes
    image: bytes | None = None
    mask: bytes | None = None
    layout: bytes | None = None
    references: list[bytes] = field(default_factory=list)
    reference_masks: list[bytes] = field(default_factory=list)
