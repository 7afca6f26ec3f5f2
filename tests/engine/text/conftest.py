from pathlib import Path
from typing import Any

import pytest
from transformers import CLIPTokenizer


@pytest.fixture(scope="session")
def tokenizers(tiny_folder: Path) -> list[Any]:
    """SDXL's two: the second one pads with ``!``."""
    return [CLIPTokenizer.from_pretrained(tiny_folder / name) for name in ("tokenizer", "tokenizer_2")]
