"""What the answers of an S3 server mean in our errors, and its silence. No library's message is passed on."""

from __future__ import annotations

from urllib3.exceptions import MaxRetryError

from continuity.kernel.errors import ContinuityError
from continuity.objects.port import ObjectMissing, ObjectStoreMisconfigured, ObjectStoreUnavailable
from continuity.objects.s3_settings import S3Settings

_ANOTHER_REGION = ("REGION", "the bucket is not in {region}")
_MISCONFIGURED = {
    "AccessDenied": ("ACCESS_KEY, CONTINUITY_S3_SECRET_KEY", "they may not use the bucket {bucket!r}"),
    "InvalidAccessKeyId": ("ACCESS_KEY", "no such key is known"),
    "SignatureDoesNotMatch": ("SECRET_KEY", "it does not belong to the access key"),
    "AuthorizationHeaderMalformed": _ANOTHER_REGION,
    "PermanentRedirect": _ANOTHER_REGION,
    "IllegalLocationConstraintException": _ANOTHER_REGION,
    "NoSuchBucket": (
        "BUCKET",
        "there is no bucket {bucket!r}; create it (aws s3 mb s3://{bucket}), or let the program do so with"
        " CONTINUITY_S3_CREATE_BUCKET=true",
    ),
}
"""What the server answers when a setting is wrong: which one, and what is wrong with it."""

_DETAILS = {"SSLError": "TLS is refused or its certificate not trusted; SSL_CERT_FILE may name an authority of yours"}


def misconfigured(code: str | None, settings: S3Settings) -> ObjectStoreMisconfigured | None:
    """Return which setting the server's code means; None when it means none."""
    setting, cause = _MISCONFIGURED.get(code or "", ("", ""))
    if not setting:
        return None
    told = cause.format(bucket=settings.bucket, region=settings.region)
    return ObjectStoreMisconfigured(setting=f"CONTINUITY_S3_{setting}", cause=f"{settings.endpoint} says: {told}")


def refused(code: str | None, operation: str, key: str) -> ContinuityError:
    """Return what the server's code means while the program runs."""
    if code == "NoSuchKey":
        return ObjectMissing(key=key)
    return ObjectStoreUnavailable(operation=operation, detail=f"the server answers {code}")


def unreachable(error: Exception, operation: str) -> ObjectStoreUnavailable:
    """Return what it means that there was no answer, or none that can be understood."""
    cause = error.reason if isinstance(error, MaxRetryError) and error.reason else error
    name = type(cause).__name__
    return ObjectStoreUnavailable(operation=operation, detail=_DETAILS.get(name, f"no proper answer ({name})"))
