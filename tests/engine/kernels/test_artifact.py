"""What tuning found is kept whole, found by what it fits, and refused when its bytes are others."""

import pytest

from engine.errors import ModelUnusable
from engine.kernels.artifact import KEYS, Artifact, differences, path_of, read, write

FACTS = {name: f"{name} 1" for name in KEYS}


@pytest.fixture
def artifact():
    return Artifact(FACTS, ("1024x1024 guided", "512x512"), b"\x00caches\nof any\nbytes")


def test_what_was_written_is_read(tmp_path, artifact):
    write(tmp_path, artifact)
    again = read(tmp_path, FACTS)
    assert again.payload == artifact.payload
    assert again.sha256 == artifact.sha256
    assert set(again.classes) == set(artifact.classes)


@pytest.mark.parametrize("name", KEYS)
def test_another_device_or_version_finds_nothing(tmp_path, artifact, name):
    write(tmp_path, artifact)
    assert read(tmp_path, FACTS | {name: "2"}) is None


def test_facts_that_do_not_count_change_nothing(tmp_path, artifact):
    write(tmp_path, artifact)
    assert read(tmp_path, FACTS | {"threads": 8}).sha256 == artifact.sha256


@pytest.mark.parametrize("at", [0, 30, 120, -1])
def test_an_artifact_with_another_byte_is_refused(tmp_path, artifact, at):
    path = write(tmp_path, artifact)
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ModelUnusable, match=path.name):
        read(tmp_path, FACTS)


@pytest.mark.parametrize("raw", [b"", b"\n\n\n", b"continuity kernels 2\n\n{}\n"])
def test_what_is_no_artifact_is_refused(tmp_path, raw):
    path_of(tmp_path, FACTS).write_bytes(raw)
    with pytest.raises(ModelUnusable):
        read(tmp_path, FACTS)


def test_other_kernels_have_another_hash(artifact):
    assert artifact.sha256 != Artifact(FACTS, artifact.classes, b"others").sha256
    assert artifact.sha256 != Artifact(FACTS | {"cuda_driver": "2"}, artifact.classes, artifact.payload).sha256


def test_what_the_nearest_artifact_was_tuned_for_otherwise_is_told(tmp_path, artifact):
    assert differences(tmp_path, FACTS) is None
    write(tmp_path, Artifact(FACTS | dict.fromkeys(KEYS, "another"), (), b""))
    write(tmp_path, Artifact(FACTS | {"cuda_driver": "old"}, (), b""))
    assert differences(tmp_path, FACTS) == {"cuda_driver": ("old", "cuda_driver 1")}
    assert differences(tmp_path, {"device": FACTS["device"]}) == {}, "what is not asked for fits"
    write(tmp_path, artifact)
    assert differences(tmp_path, FACTS) == {}


def test_files_that_are_no_artifacts_are_no_nearest_ones(tmp_path):
    for name, raw in (("a", b""), ("b", b"continuity kernels 2\nx\n[]\n"), ("c", b"\xff" * 99)):
        (tmp_path / f"{name}.kernels").write_bytes(raw)
    assert differences(tmp_path, FACTS) is None
