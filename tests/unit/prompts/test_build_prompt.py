from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from continuity.kernel.errors import Invalid, InvalidValue
from services.prompts.adapters.vocabulary_csv import read_vocabulary
from services.prompts.domain.build import BuiltPrompt, build_prompt
from services.prompts.domain.errors import UnknownWord
from services.prompts.domain.grammar import bare, phrases
from services.prompts.domain.shot import CastMember, Location, Shot
from services.prompts.domain.vocabulary import Kind, Style, Vocabulary

VOCABULARY = read_vocabulary()
PAD = Location("Pad Nine", "exterior", "a launch pad on the coast")
BRIDGE = Location("Bridge", "interior", "a dim ship's bridge")
REYES = CastMember("Reyes", face="freckles", hair="short brown hair", clothing="orange pressure suit")
WARD = CastMember("Ward", face="deep lines", hair="white hair", clothing="navy uniform")
SHOT = Shot(
    scene_id="1",
    shot_number=2,
    shot_type="medium",
    description="The clock stops.",
    action="Reyes turns away",
    style="noir",
    lighting="low-key",
    mood="tense",
    camera_angle="low-angle",
    composition="framed",
    time_of_day="night",
    weather="rain",
)
TEXT = st.text(max_size=60) | st.text(alphabet="()[]\\:,.1aB <>&", max_size=40)


def built(shot: Shot = SHOT, *characters: CastMember, location: Location = PAD, film_seed: int = 0) -> BuiltPrompt:
    return build_prompt(shot, characters, location, VOCABULARY, film_seed=film_seed)


def brackets_open(prompt: str) -> int:
    """Walk the prompt as AUTOMATIC1111 does: an escaped bracket is text. Returns how many weights stand open."""
    depth, at = 0, 0
    while at < len(prompt):
        if prompt[at] == "\\":
            at += 1
        elif prompt[at] in "([":
            depth += 1
        elif prompt[at] in ")]":
            depth -= 1
        at += 1
        assert depth >= 0
    return depth


def test_a_prompt_goes_from_the_camera_over_the_people_and_the_place_to_the_light_within_the_style():
    fields = [part.field for part in built(SHOT, REYES).parts]
    assert fields == [
        "style",
        "shot_type",
        "camera_angle",
        "characters[0].name",
        "characters[0].face",
        "characters[0].hair",
        "characters[0].clothing",
        "action",
        "description",
        "location.type",
        "location.name",
        "location.description",
        "time_of_day",
        "weather",
        "lighting",
        "mood",
        "composition",
        "style",
    ]


def test_the_parts_joined_are_the_text():
    prompt = built(SHOT, REYES, WARD)
    assert "".join(part.text for part in prompt.parts) == prompt.text


def test_face_hair_and_clothing_carry_weights():
    text = built(SHOT, REYES).text
    assert "(freckles:1.2), (short brown hair:1.1), (orange pressure suit:1.2)" in text


def test_an_extreme_close_up_does_not_ask_for_clothes_that_are_out_of_the_frame():
    text = built(replace(SHOT, shot_type="extreme-close-up"), REYES).text
    assert "(freckles:1.3)" in text
    assert "pressure suit" not in text


def test_a_trait_that_the_analyser_could_not_see_is_left_out():
    assert "unknown" not in built(SHOT, replace(REYES, body="unknown", face=" Unknown ")).text.casefold()


def test_a_trait_said_twice_is_said_once_whatever_its_case():
    text = built(SHOT, replace(REYES, description="Freckles, tall", distinctive="TALL, a scar")).text
    assert [text.casefold().count(trait) for trait in ("freckles", "tall", "a scar")] == [1, 1, 1]


def test_two_characters_may_share_a_trait():
    assert built(SHOT, REYES, replace(WARD, hair=REYES.hair)).text.count("short brown hair") == 2


def test_a_description_does_not_repeat_what_a_character_wears():
    assert built(replace(SHOT, description="orange pressure suit, alone"), REYES).text.count("pressure suit") == 1


def test_rain_is_outside_of_an_interior():
    assert "window panes" in built(SHOT, location=BRIDGE).text
    assert "wet reflective ground" in built(SHOT, location=PAD).text


def test_the_negative_prompt_joins_the_general_the_styles_and_the_shots_without_repeats():
    negative = built(replace(SHOT, negative="Watermark, red balloon")).negative
    assert negative.startswith("low quality")
    assert negative.casefold().count("watermark") == 1
    assert "pastel" in negative
    assert negative.endswith("red balloon")


def test_brackets_keywords_and_networks_of_users_are_plain_text():
    text = built(replace(SHOT, description=r"a (loud) [sign] BREAK fire AND ice <lora:x:2> \o/")).text
    assert r"a \(loud\) \[sign\] break fire and ice lora:x:2 \\o/" in text


def test_a_style_without_a_placeholder_follows_the_shot():
    vocabulary = Vocabulary(
        {kind: [VOCABULARY.term(kind, word) for word in set(words.values())] for kind, words in kinds()},
        [Style("plain", "ink on paper", "")],
    )
    prompt = build_prompt(replace(SHOT, style="plain"), [], PAD, vocabulary)
    assert prompt.text.endswith(", ink on paper")


def test_an_unknown_word_is_refused_with_the_nearest():
    with pytest.raises(UnknownWord) as refusal:
        built(replace(SHOT, shot_type="closeupp"))
    assert isinstance(refusal.value, Invalid)
    assert (refusal.value.field, refusal.value.nearest) == ("shot_type", "close-up")
    assert "wide" in refusal.value.known
    assert str(refusal.value).endswith("did you mean 'close-up'?")


def test_an_unknown_word_that_resembles_none_names_all():
    with pytest.raises(UnknownWord, match="known are clear, overcast"):
        built(replace(SHOT, weather="qqqq"))


def test_spellings_of_the_trade_are_understood():
    assert built(replace(SHOT, shot_type="OTS")) == built(replace(SHOT, shot_type="Over the shoulder"))


@pytest.mark.parametrize("change", [{"seed": -1}, {"seed": 2**32}, {"shot_number": 0}, {"scene_id": ""}])
def test_a_shot_out_of_range_is_refused(change):
    with pytest.raises(InvalidValue, match=next(iter(change))):
        replace(SHOT, **change)


def kinds() -> list[tuple[Kind, dict[str, str]]]:
    return [(kind, dict(VOCABULARY.spellings[kind])) for kind in Kind]


@pytest.mark.parametrize(
    ("field", "word"), [(field, word) for field, words in VOCABULARY.spellings.items() for word in sorted(words)]
)
def test_every_spelling_gives_a_prompt(field, word):
    if field == "location_type":
        prompt = built(SHOT, REYES, location=replace(PAD, type=word))
    else:
        prompt = built(replace(SHOT, **{field: word}), REYES)
    assert brackets_open(prompt.text) == brackets_open(prompt.negative) == 0


@given(description=TEXT, action=TEXT, name=TEXT, hair=TEXT, place=TEXT, negative=TEXT)
def test_no_text_of_a_user_opens_or_closes_a_weight(description, action, name, hair, place, negative):
    shot = replace(SHOT, description=description, action=action, negative=negative)
    member = CastMember(name, hair=hair)
    prompt = build_prompt(shot, [member], replace(PAD, description=place), VOCABULARY)
    assert brackets_open(prompt.negative) == 0
    for part in prompt.parts:
        assert brackets_open(part.text) == 0
    assert prompt == build_prompt(shot, [member], replace(PAD, description=place), VOCABULARY)


@given(st.lists(st.sampled_from(["Scar", "scar", " tall ", "tall", "grey eyes", "GREY  eyes", "calm"]), max_size=12))
def test_no_trait_of_a_character_is_said_twice(traits):
    member = CastMember("Ward", description=", ".join(traits[::2]), distinctive=", ".join(traits[1::2]))
    said = [
        bare(phrase)
        for part in built(SHOT, member).parts
        if part.field.startswith("characters")
        for phrase in phrases(part.text.strip(", ").removeprefix("(").removesuffix(":1.2)"))
    ]
    assert len(said) == len(set(said))
    assert set(said) >= {bare(trait) for trait in traits}
