import pickle
import random
import subprocess
import sys
from pathlib import Path

import pytest

import engine
from engine.errors import Refused
from engine.text import tokenise
from engine.text.triggers import RESERVED

LIBS = str(Path(engine.__file__).parents[1])
EXOTIC = [
    "a photo of 12 cats, 3.5 metres!",
    "don't you'll we've I'd THE'S",
    "写真 女の子 фото köln ﬁne Å İstanbul",
    "👩‍🚀🚀 😀😀 \U0001f1e9\U0001f1ea",
    "  many\t\tspaces \n new\r\nlines \u3000 wide",
    "a_b-c/d {x} <y> #z @w 50% $5 & ~ ^ * = + | ; ` '",
    "<|endoftext|> and <|startoftext|>",
    "e\u0301 é \u200b zero \x01 width",
]


def texts() -> list[str]:
    rng = random.Random(2)
    letters = "abc de fgh ,.;!?'\"-_/#0123 ÄÖß é 写 ж 😀 🚀 \n\t"
    return EXOTIC + ["".join(rng.choices(letters, k=rng.randrange(1, 60))) for _ in range(100)]


def test_a_short_plain_prompt_has_the_ids_that_the_tokenizers_pad_to(tokenizers):
    for text in texts():
        tokens = tokenise(text, "", tokenizers)
        for encoder, tokenizer in enumerate(tokenizers):
            expected = tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids
            assert list(tokens.positive[encoder][0].ids) == expected, text


def test_the_second_encoder_pads_with_its_own_token(tokenizers):
    first, second = tokenise("hello", "", tokenizers).positive
    assert first[0].ids[2:] == (49407,) * 75
    assert second[0].ids[2:] == (49407, *[0] * 74)


def test_ids_do_not_depend_on_what_a_tokenizer_was_asked_before(tokenizers):
    text = "a word, " * 60
    fresh = tokenise(text, "", tokenizers)
    tokenizers[0]("short", padding="max_length", max_length=8, truncation=True)
    assert tokenise(text, "", tokenizers) == fresh


def test_prompt_and_negative_prompt_get_the_same_number_of_chunks(tokenizers):
    tokens = tokenise("word " * 200, "bad", tokenizers)
    assert tokens.chunks == 3
    assert {len(side) for side in (*tokens.positive, *tokens.negative)} == {3}
    assert tokens.negative[0][2].ids == (49406, *[49407] * 76)


def test_break_fills_up_the_present_chunk(tokenizers):
    first, second = tokenise("red BREAK blue", "", tokenizers).positive[0]
    assert list(first.ids[:3]) == [49406, 736, 49407]
    assert list(second.ids[:3]) == [49406, 1746, 49407]


def test_weights_stand_beside_their_tokens(tokenizers):
    chunk = tokenise("a (big cat:1.5), [dog]", "", tokenizers).positive[0][0]
    assert chunk.weights[:7] == (1.0, 1.0, 1.5, 1.5, 1.0, 1 / 1.1, 1.0)


def test_the_report_says_how_the_prompts_fill_clip(tokenizers):
    report = tokenise("word " * 80 + "(more:1.2)", "bad, worse", tokenizers).report
    assert (report.prompt.tokens, report.prompt.chunks, report.prompt.beyond_first) == (81, 2, 6)
    assert (report.negative.tokens, report.negative.chunks, report.negative.beyond_first) == (3, 1, 0)


def test_tokens_go_through_a_pickle(tokenizers):
    tokens = tokenise("a (b:1.2) BREAK sks", "c", tokenizers, {"sks": 3})
    assert pickle.loads(pickle.dumps(tokens)) == tokens


@pytest.mark.parametrize(("negative", "empty"), [("", True), (" \n", True), ("x", False), ("BREAK", False)])
def test_an_empty_negative_prompt_is_known_as_such(tokenizers, negative, empty):
    assert tokenise("a", negative, tokenizers).negative_is_empty is empty


@pytest.mark.parametrize("prompt", ["(x:101)", "(x:-101)", "(" * 200 + "x", "(x:" + "9" * 500 + ")", "((x:50):50)"])
def test_a_weight_beyond_reason_is_refused(tokenizers, prompt):
    with pytest.raises(Refused, match="weights from -100 to 100") as refusal:
        tokenise("a", prompt, tokenizers)
    assert refusal.value.field == "negative"


@pytest.mark.parametrize("prompt", ["BREAK " * 65, "😀 " * 9_000])
def test_more_chunks_than_anyone_means_are_refused(tokenizers, prompt):
    with pytest.raises(Refused, match="at most 64 chunks") as refusal:
        tokenise(prompt, "", tokenizers)
    assert refusal.value.field == "prompt"


def test_a_trigger_holds_its_rows_together_under_reserved_ids(tokenizers):
    tokens = tokenise("photo of (Ada:1.3), not adamant, ada", "no <zed>", tokenizers, {"ada": 2, "<zed>": 3, "bob": 1})
    assert tokens.triggers == (("<zed>", 3), ("ada", 2))
    rows = (RESERVED + 3, RESERVED + 4)
    chunk = tokens.positive[0][0]
    assert [each for each in chunk.ids if each >= RESERVED] == [*rows, *rows]
    assert chunk.weights[3:5] == (1.3, 1.3)
    assert tokens.negative[1][0].ids[2:5] == (RESERVED, RESERVED + 1, RESERVED + 2)


def test_of_two_triggers_the_longer_one_is_meant(tokenizers):
    tokens = tokenise("ada-old and ada", "", tokenizers, {"ada": 1, "ada-old": 1})
    assert tokens.positive[0][0].ids[1] == RESERVED + 1
    assert tokens.positive[0][0].ids[3] == RESERVED


@pytest.mark.parametrize("spelled", ["INK", "\u0130nk", "\u0131nk", "in\u212a"])
def test_a_trigger_is_found_in_whatever_letters_count_as_the_same(tokenizers, spelled):
    ids = tokenise(f"an {spelled} drawing", "", tokenizers, {"ink": 1}).positive[0][0].ids
    assert ids[2] == RESERVED


def test_a_trigger_that_nobody_uses_changes_nothing(tokenizers):
    assert tokenise("a cat", "", tokenizers, {"ada": 4}) == tokenise("a cat", "", tokenizers)


def test_an_embedding_with_more_rows_than_a_chunk_is_refused(tokenizers):
    with pytest.raises(Refused, match="1 to 75 rows"):
        tokenise("ada", "", tokenizers, {"ada": 76})


def test_tokenising_never_imports_torch(tiny_folder):
    program = f"""
import sys
from transformers import CLIPTokenizer
from engine.text import tokenise
tokenise("a (b:1.2)", "c", [CLIPTokenizer.from_pretrained({str(tiny_folder / "tokenizer")!r})])
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True, env={"PYTHONPATH": LIBS, "HF_HUB_OFFLINE": "1"})
