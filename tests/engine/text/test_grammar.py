import random
import re

import pytest

from engine.errors import Refused
from engine.text.grammar import ROUND, SQUARE, sections

PLAIN = "abc, déjà 12 é 写真 ✓"


def rounded(prompt: str) -> list[list[tuple[str, float]]]:
    return [[(text, round(weight, 9)) for text, weight in section] for section in sections(prompt)]


@pytest.mark.parametrize(
    ("prompt", "passages"),
    [
        ("", []),
        ("normal text", [("normal text", 1.0)]),
        ("an (important) word", [("an ", 1.0), ("important", 1.1), (" word", 1.0)]),
        ("(x:1.3)", [("x", 1.3)]),
        ("(x: 1.3 )", [("x", 1.3)]),
        ("(x:+.5)", [("x", 0.5)]),
        ("(x:-1)", [("x", -1.0)]),
        ("(x:2.)", [("x", 2.0)]),
        ("(x:0)", [("x", 0.0)]),
        ("[x]", [("x", SQUARE)]),
        ("((x))", [("x", ROUND**2)]),
        ("[[x]]", [("x", SQUARE**2)]),
        ("([x])", [("x", ROUND * SQUARE)]),
        ("((x:1.3):2)", [("x", 2.6)]),
        ("(a [b:c] d)", [("a ", 1.1), ("b:c", 1.0), (" d", 1.1)]),
        (r"at \[10:30\]", [("at [10:30]", 1.0)]),
        ("a|b (c|d) ANNA AND BEN: 2", [("a|b ", 1.0), ("c|d", 1.1), (" ANNA AND BEN: 2", 1.0)]),
        ("[a (b:0.5)]", [("a ", SQUARE), ("b", 0.5 * SQUARE)]),
        ("[a:0.5", [("a:0.5", SQUARE)]),
        ("([a)b]", [("a", 1.0), ("b", SQUARE)]),
        ("(a)(b)", [("ab", 1.1)]),
        (r"\(literal\]", [("(literal]", 1.0)]),
        (r"(a \(b\):1.2)", [("a (b)", 1.2)]),
        (r"a\\(b)", [("a\\", 1.0), ("b", 1.1)]),
        (r"\x", [("x", 1.0)]),
        ("(never closed", [("never closed", 1.1)]),
        ("a ((b) c", [("a ", 1.0), ("b", 1.21), (" c", 1.1)]),
        ("[never closed", [("never closed", SQUARE)]),
        ("never opened) a", [("never opened) a", 1.0)]),
        ("never opened:1.3) a]", [("never opened:1.3) a]", 1.0)]),
        ("a: b", [("a: b", 1.0)]),
        ("(a:b)", [("a:b", 1.1)]),
        ("(a:1.2.3)", [("a:1.2.3", 1.1)]),
        ("(a:nan) (b:1e3)", [("a:nan", 1.1), (" ", 1.0), ("b:1e3", 1.1)]),
        (
            "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).",
            [
                ("a ", 1.0),
                ("house", 1.573),
                (" ", 1.1),
                ("on", 1.0),
                (" a ", 1.1),
                ("hill", 0.55),
                (", sun, ", 1.1),
                ("sky", 1.4641),
                (".", 1.1),
            ],
        ),
    ],
)
def test_a_prompt_is_read_as_its_writer_means_it(prompt, passages):
    assert rounded(prompt) == [[(text, round(weight, 9)) for text, weight in passages]]


@pytest.mark.parametrize(
    "prompt",
    [
        "[cat:dog:0.5]",
        "[dog:10]",
        "[cat::.3 ]",
        "a [cat|dog], b",
        "(a [b [c:d:1] e])",
        "[(cat:1.2):dog:5]",
        "[(a:2)|b]",
    ],
)
def test_words_that_change_from_step_to_step_are_refused_by_the_field(prompt):
    with pytest.raises(Refused, match="stay from step to step") as refusal:
        sections(prompt, "negative")
    assert refusal.value.field == "negative"


@pytest.mark.parametrize(
    ("prompt", "parts"),
    [
        ("a BREAK b", [[("a", 1.0)], [("b", 1.0)]]),
        ("a\n BREAK\n b", [[("a", 1.0)], [("b", 1.0)]]),
        ("BREAK a", [[], [("a", 1.0)]]),
        ("a BREAK", [[("a", 1.0)], []]),
        ("BREAK BREAK", [[], [], []]),
        ("a,BREAK,b", [[("a,", 1.0)], [(",b", 1.0)]]),
        ("(a BREAK b:1.5)", [[("a", 1.5)], [("b", 1.5)]]),
        ("(BREAK)", [[], []]),
        ("BREAKFAST break Break", [[("BREAKFAST break Break", 1.0)]]),
        (r"\(BREAK\)", [[("(", 1.0)], [(")", 1.0)]]),
    ],
)
def test_only_the_word_break_in_capitals_parts_a_prompt(prompt, parts):
    assert rounded(prompt) == parts


def test_escaped_text_of_any_kind_comes_back_as_it_is():
    rng = random.Random(5)
    for _ in range(300):
        text = "".join(rng.choices(PLAIN + "()[]\\:.", k=rng.randrange(1, 40)))
        escaped = re.sub(r"[\\()\[\]]", r"\\\g<0>", text)
        assert sections(escaped) == [[(text, 1.0)]]


def nested(rng: random.Random, depth: int) -> tuple[str, list[tuple[str, float]]]:
    """A prompt with properly nested brackets, and what each of its words is to weigh."""
    prompt, words = "", []
    for _ in range(rng.randrange(1, 4)):
        kind = rng.choice("w([:") if depth else "w"
        if kind == "w":
            word = f"w{rng.randrange(1000)} "
            prompt, words = prompt + word, [*words, (word, 1.0)]
            continue
        inner, inside = nested(rng, depth - 1)
        factor = {"(": ROUND, "[": SQUARE, ":": rng.randrange(1, 30) / 10}[kind]
        prompt += {"(": f"({inner})", "[": f"[{inner}]", ":": f"({inner}:{factor})"}[kind]
        words += [(word, weight * factor) for word, weight in inside]
    return prompt, words


def test_nested_weights_multiply_whatever_the_nesting():
    rng = random.Random(11)
    for _ in range(300):
        prompt, words = nested(rng, 4)
        found = [(word, weight) for text, weight in sections(prompt)[0] for word in re.findall(r"w\d+ ", text)]
        assert [word for word, _ in found] == [word for word, _ in words]
        assert [weight for _, weight in found] == pytest.approx([weight for _, weight in words])


def test_any_brackets_in_any_order_lose_no_word():
    rng = random.Random(7)
    for _ in range(500):
        prompt = " ".join(rng.choices(["(", ")", "[", "]", ":1.2)", "\\(", "word", ",", ":"], k=rng.randrange(1, 60)))
        said = "".join(text for section in sections(prompt) for text, _ in section)
        assert said.count("word") == prompt.count("word")


LONG = 20_000


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "hostile",
    [
        "(" * LONG,
        ")" * LONG,
        "(a" * (LONG // 2),
        "\\" * LONG,
        "(a:9)[" * (LONG // 6),
        " " * LONG + "x",
        ":" + " " * LONG,
        ":" + "1" * LONG,
        "(a:" + "1" * LONG,
        (":" + " " * 99) * (LONG // 100),
    ],
    ids=lambda prompt: repr(prompt[:6]),
)
def test_no_twenty_thousand_characters_hold_the_reader_up(hostile):
    assert len(sections(hostile)) == 1
