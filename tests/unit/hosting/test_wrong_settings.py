"""What an operator reads who has set something that can't work: one line that names the variable, and no stack."""

import asyncio

import pytest

import continuity
from continuity.documents.port import DocumentsUnavailable
from continuity.hosting import platform as platform_module
from continuity.hosting.platform import open_platform
from continuity.hosting.run import MISCONFIGURED, announce, unless_misconfigured
from continuity.hosting.settings import PlatformSettings
from continuity.objects.port import ObjectStoreUnavailable
from services.embedded.claim import sole_runtime
from services.rendering.settings import Settings


@pytest.fixture
def last_words(capsys):
    """Do something that is to end the process; return the one line that it ends with."""

    def read(what):
        with pytest.raises(SystemExit) as caught, unless_misconfigured():
            what()
        (line,) = capsys.readouterr().err.splitlines()
        assert caught.value.code == MISCONFIGURED
        return line

    return read


def opening(**settings):
    return lambda: asyncio.run(open_platform(PlatformSettings(**settings), []))


@pytest.mark.parametrize("level", ["LOUD", "", "10"])
def test_a_log_level_that_is_none_is_named(last_words, level, tmp_path):
    assert last_words(opening(home=tmp_path, log_level=level)).startswith("CONTINUITY_LOG_LEVEL: ")


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("renderer", "sdxxl", "'sdxxl' is none of 'previz', 'sdxl' or 'sdxl-tiny'"),
        ("steps", "0", "'0' is not acceptable; 1 is the least"),
        ("steps", "151", "'151' is not acceptable; 150 is the most"),
        ("steps", "many", "'many' is not acceptable; it must be a whole number"),
        ("guidance", "nan", "'nan' is not acceptable; it must be a finite number"),
        ("lease_s", "0.1", "'0.1' is not acceptable; 0.2 is the least"),
        ("cast_deadline_s", "0", "'0' is not acceptable; it must be above 0"),
        ("commercial", "perhaps", "'perhaps' is not acceptable; it must be true or false"),
        ("cast_deadline_s", "9" * 99, f"'{'9' * 58}… is not acceptable; 86400 is the most"),
    ],
)
def test_a_wrong_value_is_told_with_what_is_allowed(last_words, monkeypatch, tmp_path, setting, value, said):
    monkeypatch.setenv(f"CONTINUITY_{setting.upper()}", value)
    assert last_words(lambda: Settings(home=tmp_path)) == f"CONTINUITY_{setting.upper()}: {said}"


@pytest.mark.parametrize(
    ("setting", "said"),
    [("checkpoint", "it must fit the pattern "), ("otlp_endpoint", "it must fit the pattern ")],
)
def test_a_text_is_not_shown_for_it_may_be_a_secret(last_words, monkeypatch, tmp_path, setting, said):
    monkeypatch.setenv(f"CONTINUITY_{setting.upper()}", "user:wr0ng-horse@host")
    told = last_words(lambda: Settings(home=tmp_path))
    assert told.startswith(f"CONTINUITY_{setting.upper()}: {said}")
    assert "wr0ng-horse" not in told


def test_the_log_tells_which_version_serves_where(caplog, capsys):
    with caplog.at_level("INFO", "continuity.hosting"):
        announce("127.0.0.1:7")
    assert caplog.messages == [f"version {continuity.__version__} serves at 127.0.0.1:7"]
    assert capsys.readouterr().out == "serving 127.0.0.1:7\n"


def test_a_log_level_may_be_written_small():
    assert PlatformSettings(log_level="debug").log_level == "DEBUG"


@pytest.mark.parametrize("inside", ["", "deeper/still"])
def test_a_home_that_cannot_be_made_is_named(last_words, tmp_path, inside):
    (tmp_path / "file").write_text("in the way")
    home = tmp_path / "file" / inside
    said = last_words(opening(home=home))
    assert said.startswith(f"CONTINUITY_HOME: {tmp_path / 'file'}")

    def claim():
        with sole_runtime(home / "runtime.lock"):
            pass

    assert last_words(claim).startswith(f"CONTINUITY_HOME: {tmp_path / 'file'}")


def test_a_folder_of_objects_that_cannot_be_made_is_named(last_words, tmp_path):
    (tmp_path / "objects").write_text("in the way")
    assert last_words(opening(home=tmp_path)).startswith(f"CONTINUITY_HOME: {tmp_path / 'objects'}")


def test_a_file_of_documents_that_is_no_database_is_named(last_words, tmp_path):
    (tmp_path / "documents.sqlite3").write_text("this is no database. " * 100)
    said = last_words(opening(home=tmp_path))
    assert said.startswith(f"CONTINUITY_HOME: {tmp_path / 'documents.sqlite3'}")
    assert "not a database" in said


@pytest.mark.parametrize(
    ("setting", "error"),
    [
        ("CONTINUITY_MONGODB_URL", DocumentsUnavailable(cause="no answer")),
        ("CONTINUITY_S3_ENDPOINT", ObjectStoreUnavailable(operation="open", detail="no answer")),
    ],
)
def test_a_store_that_is_away_for_too_long_is_named(last_words, monkeypatch, setting, error):
    monkeypatch.setattr(platform_module, "START_PATIENCE_S", 0.0)

    async def away():
        raise error

    said = last_words(lambda: asyncio.run(platform_module._patiently(setting, away)))
    assert said.startswith(f"{setting}: waited 0 s in vain: ")
    assert "no answer" in said


def test_a_folder_without_topics_is_named(last_words, tmp_path):
    said = last_words(opening(home=tmp_path, topics_folder=tmp_path))
    assert said.startswith("CONTINUITY_TOPICS_FOLDER: ")
