from pathlib import Path

import pytest

from engine.models.catalogue import About, write_about


@pytest.fixture(scope="session")
def catalogue(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue's folder with the tiny checkpoint in it, called ``tiny``."""
    folder = tmp_path_factory.mktemp("catalogue")
    (folder / "tiny").mkdir()
    for part in tiny_folder.iterdir():
        if part.name != "model.json":
            (folder / "tiny" / part.name).symlink_to(part)
    write_about(folder / "tiny", About("checkpoint", "sdxl", "none", commercial=True))
    return folder
