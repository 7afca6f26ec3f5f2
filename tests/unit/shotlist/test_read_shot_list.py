from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from continuity.client.shotlist import Character, Shot, read_shot_list
from continuity.client.shotlist.schema import properties, schema
from tests.unit.shotlist.conftest import VOCABULARY

EXAMPLE = Path(__file__).parents[3] / "examples" / "film"


def test_the_example_film_reads_the_same_from_its_three_files():
    yaml, json, csv = (read_shot_list(EXAMPLE / f"shotlist.{kind}", VOCABULARY) for kind in ("yaml", "json", "csv"))
    assert yaml == json == csv


def test_the_example_film_shows_every_shot_type_that_a_film_needs():
    film = read_shot_list(EXAMPLE / "shotlist.yaml", VOCABULARY)
    types = {shot.shot_type for _, shot in film.shots()}
    assert (len(film.characters), len(film.scenes), len([*film.shots()])) == (2, 3, 12)
    assert {location.type for location in film.locations} == {"interior", "exterior"}
    assert types >= {"wide", "medium", "close-up", "extreme-close-up", "over-the-shoulder", "establishing", "two-shot"}
    assert "pov" in types


def test_the_example_film_names_every_word_of_the_vocabulary():
    readme = (EXAMPLE / "README.md").read_text("utf-8")
    lines = [line for line in readme.splitlines() if line.startswith("| `")]
    for field, words in VOCABULARY.items():
        if field != "location_type":
            assert any(line.startswith(f"| `{field}` | {', '.join(dict.fromkeys(words.values()))} |") for line in lines)


def test_a_shot_takes_what_it_leaves_out_from_scene_location_and_film(read, film):
    film["scenes"][0]["shots"][1] |= {"mood": "epic", "weather": "snow"}
    first, second = (shot for _, shot in read(film).shots())
    assert (first.mood, first.weather, first.style, first.location) == ("tense", "fog", "noir", "Pad")
    assert (second.mood, second.weather, second.lighting) == ("epic", "snow", None)


def test_spellings_become_words(read, film):
    film["scenes"][0]["shots"][0] |= {"shot_type": "ECU", "camera_angle": "Low Angle", "style": "Oil Painting"}
    shot = next(shot for _, shot in read(film).shots())
    assert (shot.shot_type, shot.camera_angle, shot.style) == ("extreme-close-up", "low-angle", "oil_painting")


def test_photographs_are_found_beside_the_file(read, film, tmp_path):
    assert read(film).characters == (Character("Ward", tmp_path / "ward.png"),)


def test_characters_may_be_a_mapping_of_names(read, film):
    listed = read(film)
    film["characters"] = {"Ward": {"photo": "ward.png"}}
    film["locations"] = {"Pad": {key: film["locations"][0][key] for key in ("type", "description", "weather")}}
    assert read(film) == listed


def test_a_key_without_a_value_is_left_out(read, film):
    film["scenes"][0]["shots"][0] |= {"mood": None, "seed": None}
    shot = next(shot for _, shot in read(film).shots())
    assert (shot.mood, shot.seed) == ("tense", None)


def test_yaml_reads_no_and_clock_times_as_text(read, film):
    text = """
film: {title: no, style: noir}
locations: [{name: 12:30, type: INT, description: 2024-05-01}]
scenes: [{id: 010, location: 12:30, shots: [{shot: 1, shot_type: pov, description: yes, seed: 4294967295}]}]
"""
    shot_list = read(text)
    assert (shot_list.film.title, shot_list.locations[0].description) == ("no", "2024-05-01")
    assert shot_list.scenes[0].shots[0] == Shot(1, "pov", "yes", "12:30", "noir", seed=4294967295)


def test_json_may_be_indented_with_tabs_and_escaped(read, film):
    text = '{\n\t"film": {"title": "\\ud83c\\udfac \\u00e9 \\/", "style": "noir"},'
    text += '"locations": {"P": {"type": "ext", "description": "d"}},'
    text += '"scenes": [{"id": 1, "location": "P", "shots": [{"shot": 1e0, "shot_type": "cu", "description": "d"}]}]}'
    shot_list = read(text, ".json")
    assert shot_list.film.title == "🎬 é /"
    assert shot_list.scenes[0].shots[0].number == 1


def test_a_table_from_a_spreadsheet_is_read(read):
    text = (
        "\ufeffKind;Scene;Shot;Shot Type;Description;Characters;Location;"
        "Name;Title;Style;Photo;Type;Keep Background\r\n"
        "film;;;;;;;;T;noir;;;\r\n"
        "character;;;;;;;Ward;;;ward.png;;yes\r\n"
        ";;;;;;;;;;;;\r\n"
        "location;;;;a pad;;;Pad;;;;exterior;\r\n"
        ';x;3;CU;"says ""go""\r\nand leaves";"Ward;";Pad;;;;;;;;\r\n'
    )
    shot_list = read(text, ".csv")
    assert shot_list.characters[0].keep_background
    assert shot_list.scenes[0].id == "x"
    assert shot_list.scenes[0].shots == (
        Shot(3, "close-up", 'says "go"\r\nand leaves', "Pad", "noir", characters=("Ward",)),
    )


def test_a_list_of_two_thousand_shots_is_read(read, film):
    film["scenes"][0]["shots"] = [{"shot": n, "shot_type": "wide", "description": "d"} for n in range(1, 2001)]
    assert len([*read(film, ".json").shots()]) == 2000


def test_the_schema_is_a_schema_and_describes_every_property():
    Draft202012Validator.check_schema(schema())
    for definition in schema()["$defs"]:
        assert all(described.get("description") for described in properties(definition).values())


@pytest.mark.parametrize("definition", ["film", "location", "scene", "shot"])
def test_the_schema_offers_the_words_of_the_vocabulary(definition):
    offered = {name: described.get("examples") for name, described in properties(definition).items()}
    for name, examples in offered.items():
        kind = "location_type" if (definition, name) == ("location", "type") else name
        if kind in VOCABULARY:
            assert examples == list(dict.fromkeys(VOCABULARY[kind].values()))


def test_a_film_without_a_style_is_cinematic(read, film):
    del film["film"]["style"]
    assert {shot.style for _, shot in read(film).shots()} == {"cinematic"}
