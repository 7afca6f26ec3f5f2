"""CLIP's vocabulary, out of the data file that a wheel brings along, as transformers' tokenizers read it."""

from __future__ import annotations

import gzip
import json
from importlib.util import find_spec
from pathlib import Path

from engine.errors import ModelUnusable

__all__ = ["VOCABULARY_SIZE", "write_tokenizer"]

VOCABULARY_SIZE = 49408
_WORD_END = "</w>"
_MARKS = ("<|startoftext|>", "<|endoftext|>")
_BYTES = 256
_MERGES = VOCABULARY_SIZE - 2 * _BYTES - len(_MARKS)
_WHEEL = ("open_clip", "bpe_simple_vocab_16e6.txt.gz")


def write_tokenizer(folder: Path, padding: str = _MARKS[1]) -> None:
    """Write ``vocab.json``, ``merges.txt`` and their configuration; SDXL's second tokenizer pads with ``!``."""
    merges = _merges()
    folder.mkdir(parents=True, exist_ok=True)
    words = [*_letters(), *(letter + _WORD_END for letter in _letters()), *("".join(pair) for pair in merges), *_MARKS]
    vocabulary = {word: index for index, word in enumerate(words)}
    lines = ["#version: 0.2", *(" ".join(pair) for pair in merges), ""]
    _write(folder / "vocab.json", json.dumps(vocabulary, ensure_ascii=False, separators=(",", ":")))
    _write(folder / "merges.txt", "\n".join(lines))
    _write(folder / "tokenizer_config.json", json.dumps(_configuration(padding), indent=2))
    marks = {"bos_token": _MARKS[0], "eos_token": _MARKS[1], "unk_token": _MARKS[1], "pad_token": padding}
    _write(folder / "special_tokens_map.json", json.dumps(marks, indent=2))


def _configuration(padding: str) -> dict[str, object]:
    return {
        "tokenizer_class": "CLIPTokenizer",
        "bos_token": _MARKS[0],
        "eos_token": _MARKS[1],
        "unk_token": _MARKS[1],
        "pad_token": padding,
        "model_max_length": 77,
        "do_lower_case": True,
    }


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _merges() -> list[list[str]]:
    """Read the pairs in their order; what follows the first 48894 of the file is not part of CLIP."""
    package, name = _WHEEL
    found = find_spec(package)  # looks for the folder and imports nothing
    folders = found.submodule_search_locations if found else None
    if not folders:
        raise ModelUnusable("CLIP vocabulary", "the wheel open_clip_torch, whose data file holds it, is not installed")
    with gzip.open(Path(next(iter(folders))) / name, "rt", encoding="utf-8") as file:
        lines = file.read().split("\n")[1 : 1 + _MERGES]
    return [line.split() for line in lines]


def _letters() -> list[str]:
    """Return the letters that stand for the 256 bytes: printable ones for themselves, and first, the others after.

    Source: byte-level BPE of GPT-2 (Radford et al. 2019), which CLIP took over.
    """
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    return [chr(each) for each in printable] + [chr(_BYTES + n) for n in range(_BYTES - len(printable))]
