"""What an object store on S3 is told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr

from continuity.objects.port import DEFAULT_MAX_BYTES, ObjectStoreMisconfigured
from continuity.objects.threads import MAX_WAITING

_BUCKET = re.compile(r"(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?")


@dataclass(frozen=True)
class S3Settings:
    """``endpoint`` is ``http(s)://host[:port]``, ``public_url`` the address under which the bucket's keys are public.

    ``timeout_s`` is the longest that a caller waits for anything; ``threads`` talk to the server at once. Raises
    ``ObjectStoreMisconfigured``, which names the variable and shows no secret.
    """

    endpoint: str
    bucket: str
    access_key: SecretStr
    secret_key: SecretStr
    region: str = "us-east-1"
    public_url: str = ""
    create_bucket: bool = False
    max_bytes: int = DEFAULT_MAX_BYTES
    threads: int = 8
    max_waiting: int = MAX_WAITING
    timeout_s: float = 30.0

    def __post_init__(self) -> None:
        """Check what the server cannot tell."""
        _require(_is_url(self.endpoint) and _is_bare(self.endpoint), "ENDPOINT", "it must be http(s)://host[:port]")
        _require(
            not self.public_url or _is_url(self.public_url), "PUBLIC_URL", "it must be http(s)://host[:port][/path]"
        )
        _require(bool(_BUCKET.fullmatch(self.bucket)), "BUCKET", "it must be a bucket's name: 3 to 63 of a-z 0-9 . -")
        _require(bool(_REGION.fullmatch(self.region)), "REGION", "it must be a region's name, as us-east-1")
        for name, key in (("ACCESS_KEY", self.access_key), ("SECRET_KEY", self.secret_key)):
            _require(bool(key.get_secret_value()), name, "it must be set where CONTINUITY_S3_ENDPOINT is")

    @property
    def secure(self) -> bool:
        """Whether the endpoint speaks TLS."""
        return urlsplit(self.endpoint).scheme == "https"

    @property
    def address(self) -> str:
        """The endpoint's host and port."""
        return urlsplit(self.endpoint).netloc


def _require(right: bool, setting: str, cause: str) -> None:
    if not right:
        raise ObjectStoreMisconfigured(setting=f"CONTINUITY_S3_{setting}", cause=cause)


def _is_url(url: str) -> bool:
    parts = _split(url)
    if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
        return False
    return "@" not in parts.netloc and not parts.query and not parts.fragment


def _is_bare(url: str) -> bool:
    parts = _split(url)
    return parts is not None and parts.path in ("", "/")


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:
        return None
