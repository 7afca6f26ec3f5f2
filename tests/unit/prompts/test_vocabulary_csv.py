from __future__ import annotations

import shutil

import pytest

from continuity.kernel.errors import InvalidValue
from services.prompts.adapters.vocabulary_csv import SERVICE, read_vocabulary
from services.prompts.domain.build import EVERY_SHOT_AVOIDS
from services.prompts.domain.grammar import bare, phrases
from services.prompts.domain.vocabulary import Kind, Style, Term, Vocabulary

VOCABULARY = read_vocabulary()
STYLES = sorted(set(VOCABULARY.spellings["style"].values()))
WORDS = {
    "shot_type": "extreme-close-up close-up medium-close-up medium cowboy full wide extreme-wide establishing "
    "over-the-shoulder two-shot pov insert",
    "camera_angle": "eye-level high-angle low-angle dutch overhead worms-eye",
    "composition": "rule-of-thirds centered symmetrical leading-lines framed golden-ratio",
    "lighting": "natural golden-hour dramatic soft hard low-key high-key backlit neon candlelight moonlight practical",
    "mood": "neutral peaceful tense joyful melancholic mysterious romantic epic ominous hopeful",
    "time_of_day": "dawn morning noon afternoon golden-hour dusk night",
    "weather": "clear overcast rain fog snow storm",
    "location_type": "interior exterior",
    "style": "cinematic noir documentary ghibli anime photorealistic fantasy watercolor oil_painting comic cyberpunk "
    "steampunk dark_gothic minimalist pixel_art impressionist art_nouveau",
}


@pytest.mark.parametrize("field", WORDS)
def test_every_word_of_the_trade_is_there(field):
    assert list(dict.fromkeys(VOCABULARY.spellings[field].values())) == WORDS[field].split()


@pytest.mark.parametrize("name", STYLES)
def test_no_style_avoids_what_it_or_every_shot_asks_for(name):
    style = VOCABULARY.style(name)
    wanted = {bare(phrase) for side in style.around() for phrase in phrases(side)}
    avoided = [bare(phrase) for phrase in phrases(f"{EVERY_SHOT_AVOIDS}, {style.negative}")]
    assert wanted
    assert not wanted & set(avoided)
    assert len(avoided) == len(set(avoided))


@pytest.fixture
def words(tmp_path):
    return shutil.copytree(SERVICE / "vocabulary", tmp_path / "vocabulary")


def test_a_style_is_added_by_a_line(tmp_path):
    table = tmp_path / "styles.csv"
    shutil.copy(SERVICE / "styles" / "styles.csv", table)
    with table.open("a", encoding="utf-8") as file:
        file.write('charcoal,"charcoal drawing, {prompt}",colour\n')
    assert read_vocabulary(styles=table).style("Charcoal") == Style("charcoal", "charcoal drawing, {prompt}", "colour")


def test_a_word_given_twice_is_refused_with_file_and_line(words):
    with (words / "mood.csv").open("a", encoding="utf-8") as file:
        file.write("tense,again,\n")
    with pytest.raises(InvalidValue, match=r"mood\.csv:12: 'tense'"):
        read_vocabulary(words)


def test_a_line_with_too_many_cells_is_refused(words):
    with (words / "mood.csv").open("a", encoding="utf-8") as file:
        file.write("wry,wry smile, dry,,\n")
    with pytest.raises(InvalidValue, match=r"mood\.csv:12: 'wry'"):
        read_vocabulary(words)


def test_a_weight_that_is_no_number_is_refused_with_file_and_line(words):
    with (words / "shot_type.csv").open("a", encoding="utf-8") as file:
        file.write("odd,odd shot,,much,1,1\n")
    with pytest.raises(InvalidValue, match=r"shot_type\.csv:15: 'odd'.*much"):
        read_vocabulary(words)


def test_a_table_without_its_columns_is_refused(words):
    (words / "mood.csv").write_text("word;phrase\ntense;tense\n", encoding="utf-8")
    with pytest.raises(InvalidValue, match=r"mood\.csv:1: .*word, phrase"):
        read_vocabulary(words)


def test_one_spelling_cannot_stand_for_two_words():
    with pytest.raises(InvalidValue, match="'calm' is not acceptable; it already spells 'peaceful'"):
        Vocabulary({Kind.MOOD: [Term("peaceful", "", ("calm",)), Term("Calm", "")]}, [])


def test_a_style_holds_the_shot_once():
    with pytest.raises(InvalidValue, match="once at most"):
        Style("twice", "{prompt} and {prompt}", "")
