"""An S3 server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import minio
import urllib3

from deploy.local import programs
from deploy.local.ports import free_port
from deploy.local.servers.base import Server
from deploy.local.servers.secrets import kept_secret

BUCKET = "continuity"


class Minio(Server):
    """MinIO on one folder; credentials are made once for the folder unless they are given."""

    name = "minio"

    def __init__(
        self, folder: Path, port: int = 0, *, access_key: str = "", secret_key: str = "", detached: bool = False
    ) -> None:
        super().__init__(folder, port or free_port(), detached=detached)
        # No word that logs are full of: what is secret is blotted out there.
        self.access_key = access_key or "continuity-local"
        self.secret_key = secret_key or kept_secret(self.folder, "minio")

    @property
    def url(self) -> str:
        """Where S3 is, with its scheme."""
        return f"http://{self.address}"

    @property
    def variables(self) -> dict[str, str]:
        """What a service is told to keep its objects here, in the bucket that ``create_bucket`` makes."""
        return {
            "CONTINUITY_S3_ENDPOINT": self.url,
            "CONTINUITY_S3_BUCKET": BUCKET,
            "CONTINUITY_S3_ACCESS_KEY": self.access_key,
            "CONTINUITY_S3_SECRET_KEY": self.secret_key,
        }

    def create_bucket(self, bucket: str = BUCKET) -> str:
        """Make a bucket unless it is there; return its name."""
        client = minio.Minio(self.address, self.access_key, self.secret_key, secure=False)
        if not client.bucket_exists(bucket):
            client.make_bucket(bucket)
        return bucket

    def command(self) -> Sequence[str]:
        """Return the command line."""
        return [str(programs.minio()), "server", "--quiet", "--address", self.address, str(self.folder / "objects")]

    def environment(self) -> Mapping[str, str]:
        """Return the credentials, and what keeps it small and from calling home."""
        return {
            **super().environment(),
            "MINIO_ROOT_USER": self.access_key,
            "MINIO_ROOT_PASSWORD": self.secret_key,
            "MINIO_BROWSER": "off",
            "MINIO_UPDATE": "off",
            "GOMEMLIMIT": "256MiB",
        }

    def answers(self) -> bool:
        """Tell whether it answers S3 calls: it says that it is ready a moment before it has read its folder."""
        quick = urllib3.PoolManager(timeout=2, retries=False)
        client = minio.Minio(self.address, self.access_key, self.secret_key, secure=False, http_client=quick)
        try:
            client.bucket_exists(BUCKET)
        except (minio.error.MinioException, urllib3.exceptions.HTTPError, OSError):
            return False
        finally:
            quick.clear()
        return True
