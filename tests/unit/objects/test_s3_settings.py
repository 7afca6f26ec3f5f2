import pytest
from pydantic import SecretStr

from continuity.objects.port import ObjectStoreMisconfigured
from continuity.objects.s3 import S3ObjectStore
from continuity.objects.s3_settings import S3Settings

KEY = "film/keyframes/a.png"
SECRET = "hush-hush-hush"


def settings(**changes: object) -> S3Settings:
    right: dict[str, object] = {
        "endpoint": "http://127.0.0.1:9000",
        "bucket": "continuity",
        "access_key": SecretStr("access"),
        "secret_key": SecretStr(SECRET),
    }
    return S3Settings(**{**right, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("endpoint", url) for url in ("", "minio:9000", "ftp://host", "http://", "http://h/path", "http://h?a=b")),
        *(("endpoint", url) for url in (f"https://user:{SECRET}@host", "http://host:0", "http://host:x", "http://[::")),
        *(("public_url", url) for url in ("cdn", "ftp://cdn/x", f"https://me:{SECRET}@cdn", "https://cdn/?q=1")),
        *(("bucket", name) for name in ("", "ab", "UPPER", "a..b", "-ab", "ab-", "a" * 64, "a/b", "a b")),
        *(("region", name) for name in ("", "us east", "-us", "us/1")),
        ("access_key", SecretStr("")),
        ("secret_key", SecretStr("")),
    ],
)
def test_a_setting_that_cannot_be_right_is_named_and_no_secret_shown(field: str, value: object) -> None:
    with pytest.raises(ObjectStoreMisconfigured) as caught:
        settings(**{field: value})
    assert caught.value.setting == f"CONTINUITY_S3_{field.upper()}"
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:9000", "https://s3.eu-central-1.amazonaws.com", "http://[::1]:9"]
)
def test_right_endpoints_are_taken(endpoint: str) -> None:
    assert settings(endpoint=endpoint).secure is endpoint.startswith("https")
    S3ObjectStore(settings(endpoint=endpoint))


def test_settings_show_no_secret() -> None:
    assert SECRET not in repr(settings())


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("https://cdn.example.org", f"https://cdn.example.org/{KEY}"),
        ("https://cdn.example.org/films/", f"https://cdn.example.org/films/{KEY}"),
    ],
)
def test_the_address_of_a_published_object_follows_from_its_key(base: str, url: str) -> None:
    assert S3ObjectStore(settings(public_url=base)).address(KEY, 60) == url


@pytest.mark.parametrize("expires_s", [1, 7 * 24 * 3600])
def test_an_address_ends_when_it_is_asked_to(expires_s: int) -> None:
    url = S3ObjectStore(settings()).address(KEY, expires_s)
    assert url
    assert f"X-Amz-Expires={expires_s}&" in url
    assert SECRET not in url
