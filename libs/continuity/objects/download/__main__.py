"""``python -m continuity.objects.download s3://BUCKET/PREFIX FOLDER`` with the credentials that the services have.

It says one JSON document per line: ``progress``, then ``fetched`` with the name of the object where the address is of
one and "" where it is of a prefix, or ``error``. Exit code 1 where it failed, 2 where what is asked for is wrong.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from continuity.kernel.errors import ContinuityError, Invalid, InvalidValue, Misconfigured
from continuity.objects.download.bucket import Address, Bucket, address_of
from continuity.objects.download.folder import download
from continuity.objects.port import ObjectStoreMisconfigured
from continuity.objects.s3_settings import S3Settings

FAILED, INVALID, INTERRUPTED = 1, 2, 130


class StoreSettings(BaseSettings):
    """The object store's variables, as every service reads them."""

    model_config = SettingsConfigDict(env_prefix="CONTINUITY_", frozen=True, extra="ignore")

    s3_endpoint: str = ""
    s3_region: str = "us-east-1"
    s3_access_key: SecretStr = SecretStr("")
    s3_secret_key: SecretStr = SecretStr("")


def settings_of(address: Address) -> S3Settings:
    """Return how the bucket of an address is reached. Raises ``ObjectStoreMisconfigured``, ``InvalidValue``."""
    told = StoreSettings()
    if not told.s3_endpoint:
        cause = "it must be set to read s3:// addresses, as https://s3.eu-central-1.amazonaws.com"
        raise ObjectStoreMisconfigured(setting="CONTINUITY_S3_ENDPOINT", cause=cause)
    try:
        return S3Settings(
            told.s3_endpoint, address.bucket, told.s3_access_key, told.s3_secret_key, region=told.s3_region
        )
    except ObjectStoreMisconfigured as error:
        if not error.setting.endswith("_BUCKET"):
            raise
        raise InvalidValue(field="path", value=address.text, limit=f"{error.cause}; s3://bucket/prefix") from None


def main(address_text: str, folder: str) -> int:
    """Fetch; return the exit code."""
    try:
        address = address_of(address_text)
        bucket = Bucket(settings_of(address), address)
        files, single = bucket.files()
        download(bucket, files, Path(folder), lambda progress: _say({"progress": asdict(progress)}))
    except (ContinuityError, OSError) as error:
        _say({"error": {"message": error.limit if isinstance(error, InvalidValue) else str(error)}})
        return INVALID if isinstance(error, (Invalid, Misconfigured)) else FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    _say({"fetched": single})
    return 0


def _say(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
