"""From words to token ids: what is done in a worker process, with the tokenizers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.errors import Refused
from engine.text.chunks import CHUNK_TOKENS, Chunk, Layout, Markers, Piece
from engine.text.grammar import Passage, sections
from engine.text.triggers import Triggers

__all__ = ["MAX_CHUNKS", "Budget", "TokenReport", "TokenisedPrompt", "tokenise"]

MAX_CHUNKS = 64
MAX_WEIGHT = 100.0
_COMMA = ",</w>"


@dataclass(frozen=True)
class Budget:
    """How one prompt fills CLIP's 75 tokens: ``beyond_first`` of its ``tokens`` stand in a second or later chunk."""

    tokens: int
    chunks: int
    beyond_first: int


@dataclass(frozen=True)
class TokenReport:
    """By field of the request; of several encoders the fullest counts."""

    prompt: Budget
    negative: Budget


@dataclass(frozen=True)
class TokenisedPrompt:
    """Prompt and negative prompt as ids: ``positive[encoder][chunk]``, all of them ``chunks`` long.

    ``triggers`` are the textual inversions that occur, with their number of embedding rows; the ids of their rows begin
    at ``engine.text.triggers.RESERVED`` and count on in this order. Plain tuples: it goes from process to process.
    """

    positive: tuple[tuple[Chunk, ...], ...]
    negative: tuple[tuple[Chunk, ...], ...]
    chunks: int
    report: TokenReport
    negative_is_empty: bool
    triggers: tuple[tuple[str, int], ...] = ()


def tokenise(
    prompt: str, negative: str, tokenizers: Sequence[Any], triggers: Mapping[str, int] | None = None
) -> TokenisedPrompt:
    """Tokenise a prompt in weight grammar for each of a checkpoint's tokenizers (transformers' ``CLIPTokenizer``).

    ``triggers`` says how many embedding rows a trigger word stands for. Raises ``Refused``, which names ``prompt`` or
    ``negative``.
    """
    words = Triggers.among(triggers or {}, prompt, negative)
    positive = [_laid_out("prompt", prompt, each, words) for each in tokenizers]
    against = [_laid_out("negative", negative, each, words) for each in tokenizers]
    chunks = max(len(layout.finished()) for layout in (*positive, *against))
    return TokenisedPrompt(
        positive=tuple(_padded(layout, chunks) for layout in positive),
        negative=tuple(_padded(layout, chunks) for layout in against),
        chunks=chunks,
        report=TokenReport(_budget(positive), _budget(against)),
        negative_is_empty=not negative.strip(),
        triggers=words.rows,
    )


def _laid_out(field: str, text: str, tokenizer: Any, triggers: Triggers) -> Layout:
    layout = Layout(_markers(tokenizer))
    for at, section in enumerate(sections(text, field)):
        if at:
            layout.close()
        for passage in section:
            _check_weight(field, passage)
            layout.add(_pieces(passage, tokenizer, triggers))
            _check_length(field, len(layout.chunks))
    _check_length(field, len(layout.finished()))
    return layout


def _check_length(field: str, chunks: int) -> None:
    if chunks > MAX_CHUNKS:
        raise Refused(field, f"{chunks} chunks and more", f"at most {MAX_CHUNKS} chunks of {CHUNK_TOKENS} tokens")


def _check_weight(field: str, passage: Passage) -> None:
    if not abs(passage.weight) <= MAX_WEIGHT:
        raise Refused(field, f"({passage.text}:{passage.weight:g})", f"weights from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}")


def _pieces(passage: Passage, tokenizer: Any, triggers: Triggers) -> list[Piece]:
    pieces = []
    for words, rows in triggers.parted(passage.text):
        ids = tokenizer(words, add_special_tokens=False, verbose=False).input_ids if words else ()
        pieces += [Piece((each,), passage.weight) for each in ids]
        if rows:
            pieces.append(Piece(rows, passage.weight))
    return pieces


def _padded(layout: Layout, chunks: int) -> tuple[Chunk, ...]:
    """Fill up with chunks that hold nothing; prompt and negative prompt go through the UNet in one shape."""
    nothing = Layout(layout.markers).finished()
    return layout.finished() + nothing * (chunks - len(layout.chunks))


def _budget(layouts: Sequence[Layout]) -> Budget:
    fullest = max(layouts, key=lambda layout: sum(layout.sizes))
    return Budget(sum(fullest.sizes), len(fullest.sizes), sum(fullest.sizes[1:]))


def _markers(tokenizer: Any) -> Markers:
    comma = tokenizer.convert_tokens_to_ids(_COMMA)
    return Markers(tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id, comma)
