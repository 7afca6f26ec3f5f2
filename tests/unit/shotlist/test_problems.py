from __future__ import annotations

import copy
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from continuity.client.shotlist import RenderOptions, ShotListInvalid, read_draft, read_shot_list
from continuity.client.shotlist.source import MAX_BYTES
from continuity.kernel.errors import Invalid
from tests.unit.shotlist.conftest import VOCABULARY

WRONG = """\
film:
  title: Test
  stile: noir
  style: nior
characters:
  - {name: Ward, photo: nobody.png}
  - {name: ward, photo: ward.png, height_m: tall}
locations:
  - {name: Pad, type: outer, description: a pad}
scenes:
  - id: a
    location: Pda
    shots:
      - shot: 1
        shot_type: clos-up
        description: one
        characters: [Wart, Ward, Ward]
      - shot: 1
        shot_type: wide
        description: ''
        duration_s: 0
        seed: -1
      - shot: two
        shot_type: wide
"""


def test_everything_wrong_is_told_at_once_with_line_column_and_what_was_meant(refuse):
    told = [(p.line, p.column, p.path, p.message, p.suggestion) for p in refuse(WRONG)]
    assert told == [
        (3, 3, "film.stile", "unknown key 'stile'", None),
        (4, 10, "film.style", "unknown style 'nior'", "noir"),
        (6, 25, "characters[0].photo", "there is no file 'nobody.png' beside the shot list", None),
        (7, 12, "characters[1].name", "'ward' stands here again, first at line 6, column 12", None),
        (7, 45, "characters[1].height_m", "expected a number, found 'tall'", None),
        (9, 23, "locations[0].type", "unknown location_type 'outer'", "exterior"),
        (12, 15, "scenes[0].location", "unknown location 'Pda'", "Pad"),
        (15, 20, "scenes[0].shots[0].shot_type", "unknown shot_type 'clos-up'", "close-up"),
        (17, 22, "scenes[0].shots[0].characters[0]", "unknown character 'Wart'", "Ward"),
        (17, 34, "scenes[0].shots[0].characters[2]", "'Ward' is in this shot already", None),
        (18, 15, "scenes[0].shots[1].shot", "shot 1 of scene a stands here again, first at line 14, column 15", None),
        (20, 22, "scenes[0].shots[1].description", "'': it must not be empty", None),
        (21, 21, "scenes[0].shots[1].duration_s", "0: it must be above 0", None),
        (22, 15, "scenes[0].shots[1].seed", "-1: 0 is the least", None),
        (23, 9, "scenes[0].shots[2].description", "'description' is missing", None),
        (23, 15, "scenes[0].shots[2].shot", "expected a whole number, found 'two'", None),
    ]


def test_a_refusal_is_an_invalid_that_reads_as_lines_for_an_editor(write):
    path = write(WRONG)
    with pytest.raises(Invalid) as refusal:
        read_shot_list(path, VOCABULARY)
    assert f"{path}:4:10: film.style: unknown style 'nior'; did you mean 'noir'?" in str(refusal.value).splitlines()


def test_json_problems_have_places(refuse, film):
    film["scenes"][0]["shots"][1]["shot_type"] = "clos-up"
    text = json.dumps(film, indent="\t")
    line = next(number for number, row in enumerate(text.splitlines(), 1) if "clos-up" in row)
    (problem,) = refuse(text, ".json")
    assert (problem.line, problem.column) == (line, len('\t\t\t\t\t"shot_type": ') + 1)


def test_table_problems_have_places(refuse):
    problems = refuse(
        "kind,scene,shot,shot_type,description,location,name,title,style,type,moood\n"
        "film,,,,,,,T,noir,,\n"
        "film,,,,,,,T,noir,,\n"
        "location,,,,d,,Pad,,,exterior,\n"
        "charakter,,,,,,Ward,,,,\n"
        ",1,one,wide,d,Pad,,,,,,,extra\n"
        ',1,2,"clos-up",d,Pda,,,,,\n'
        ",,3,wide,d,Pad,,,,,\n"
        ",1,4,wide,d,Pad,Ward,,,,\n",
        ".csv",
    )
    assert [(p.line, p.column, p.message, p.suggestion) for p in problems] == [
        (1, 70, "unknown column 'moood'", "mood"),
        (3, 1, "this film has a row already", None),
        (5, 1, "unknown kind 'charakter'", "character"),
        (6, 4, "expected a whole number, found 'one'", None),
        (6, 25, "'extra' stands in no column", None),
        (7, 6, "unknown shot_type 'clos-up'", "close-up"),
        (7, 18, "unknown location 'Pda'", "Pad"),
        (8, 1, "'scene' is missing", None),
        (9, 17, "unknown key 'name'", None),
    ]


@pytest.mark.parametrize(
    ("content", "line", "column", "message"),
    [
        ("film:\n\ttitle: x\n", 2, 1, "this is a tab"),
        ("a: &x [1]\nb: *x\n", 1, 4, "anchors and aliases"),
        ("a: *x\n", 1, 4, "anchors and aliases"),
        ("a: &a [*a]\n", 1, 4, "anchors and aliases"),
        ("film: !!python/object/apply:os.getcwd []\n", 1, 7, "tags"),
        ("a: 1\n---\nb: 2\n", 2, 1, "one document"),
        ("film: [\n", 2, 1, "this is not YAML"),
        ("{[a]: 1}\n", 1, 2, "a key is plain text"),
        ("[" * 5000, 1, 17, "nests deeper than 16"),
        ("- a\n" * 210_000, 200_000, 3, "more than 200000 values"),
        ("", 1, 1, "the file is empty"),
        ("# nothing\n", 1, 1, "the file is empty"),
        (b"film:\n  title: caf\xe9\n", 2, 13, "this is not UTF-8"),
        (b"\xff\xfea\x00", 1, 1, "this is not UTF-8"),
        ("film:\n  title: a\x00b\n", 2, 11, "U+0000 is not text"),
        (b" " * (MAX_BYTES + 1), 1, 1, "too large; 4 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_on_is_refused_where_it_breaks(refuse, content, line, column, message):
    (problem,) = refuse(content)
    assert (problem.line, problem.column) == (line, column)
    assert message in problem.message


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        ('{"film": 1,}', 1, 12),
        ("[" * 100_000, 1, 1),
        ("film: x", 1, 1),
        ('{"a":\n "\t"}', 2, 3),
        ("[" * 40 + "]" * 40, 1, 17),
    ],
)
def test_json_that_cannot_be_read_on_is_refused_where_it_breaks(refuse, content, line, column):
    (problem,) = refuse(content, ".json")
    assert (problem.line, problem.column) == (line, column)


@pytest.mark.parametrize(
    ("content", "line", "column"),
    [('kind,scene\nshot,"a\n', 2, 6), ('kind\n"a"b\n', 2, 1), ("kind,scene\n\n", 1, 1), ("a\n" * 200_001, 200_001, 1)],
)
def test_a_table_that_cannot_be_read_on_is_refused_where_it_breaks(refuse, content, line, column):
    (problem,) = refuse(content, ".csv")
    assert (problem.line, problem.column) == (line, column)


@pytest.mark.parametrize("suffix", [".yaml", ".json"])
def test_a_key_given_twice_is_refused_and_points_to_the_first(refuse, film, suffix):
    text = json.dumps(film, indent=1).replace('"title": "Test",', '"title": "Test",\n  "title": "Other",')
    (problem,) = refuse(text, suffix)
    assert (problem.line, problem.column, problem.path) == (4, 3, "film.title")
    assert problem.message == "the key 'title' stands here again, first at line 3"


@pytest.mark.parametrize("escape", ["\\u0000", "\\ud800", "\\u0085\\u0086"])
def test_a_character_that_is_no_text_is_refused_when_escaped_too(refuse, film, escape):
    (problem,) = refuse(json.dumps(film).replace('"Test"', f'"{escape}"'), ".json")
    assert problem.path == "film.title"
    assert "is not text" in problem.message


@pytest.mark.parametrize(
    ("change", "path", "message"),
    [
        ({"duration_s": 601}, "duration_s", "601: 600 is the most"),
        ({"duration_s": True}, "duration_s", "expected a number, found True"),
        ({"duration_s": "NaN"}, "duration_s", "expected a number, found 'NaN'"),
        ({"seed": 2**32}, "seed", "4294967296: 4294967295 is the most"),
        ({"seed": 1.5}, "seed", "expected a whole number, found the number 1.5"),
        ({"shot": 0}, "shot", "0: 1 is the least"),
        ({"action": "a" * 501}, "action", "500 characters are the most, these are 501"),
        ({"characters": "Ward"}, "characters", "expected a list, found 'Ward'"),
        ({"characters": [1, {}]}, "characters[0]", "expected text, found the number 1"),
        ({"characters": ["Ward"] * 13}, "characters", "8 are the most, these are 13"),
        ({"mood": ["tense"]}, "mood", "expected text, found a list"),
        ({"weather": "qqq"}, "weather", "unknown weather 'qqq'; known are clear, overcast, rain, fog, snow, storm"),
        ({"shot_typ": "wide"}, "shot_typ", "unknown key 'shot_typ'"),
    ],
)
def test_a_wrong_value_of_a_shot_is_refused(refuse, film, change, path, message):
    film["scenes"][0]["shots"][0] |= change
    told = {problem.path: problem.message for problem in refuse(film, ".json")}
    assert message in told[f"scenes[0].shots[0].{path}"]


def test_not_a_number_is_no_number_in_json(refuse, film):
    film["scenes"][0]["shots"][0]["duration_s"] = float("nan")
    (problem,) = refuse(film, ".json")
    assert problem.message == "expected a number, found 'NaN'"


def test_more_than_two_thousand_shots_are_refused(refuse, film):
    film["scenes"][0]["shots"] = [{"shot": n, "shot_type": "wide", "description": "d"} for n in range(1, 2002)]
    (problem,) = refuse(film, ".json")
    assert (problem.path, problem.message) == ("scenes", "2000 shots are the most, these are 2001")


def test_a_shot_needs_a_place(refuse, film):
    del film["scenes"][0]["location"]
    paths = [problem.path for problem in refuse(film)]
    assert paths == ["scenes[0].shots[0].location", "scenes[0].shots[1].location"]


@pytest.mark.parametrize("scene_id", ["../up", "a/b", ".hidden", "", "a b", -1, "x" * 41])
def test_a_scene_id_must_do_as_a_file_name(refuse, film, scene_id):
    film["scenes"][0]["id"] = scene_id
    assert "scenes[0].id" in {problem.path for problem in refuse(film)}


def test_scenes_of_one_id_are_refused(refuse, film):
    film["scenes"].append(film["scenes"][0] | {"id": "A"})
    paths = [problem.path for problem in refuse(film)]
    assert paths == ["scenes[1].id", "scenes[1].shots[0].shot", "scenes[1].shots[1].shot"]


def test_a_name_inside_of_a_mapping_of_names_is_refused(refuse, film):
    film["characters"] = {"Ward": {"name": "Other", "photo": "ward.png"}}
    (problem,) = refuse(film)
    assert (problem.path, problem.message) == ("characters.Ward.name", "this does not belong here: its key is the name")


@pytest.mark.parametrize("document", ["3", "[]", '"x"', "null", '{"film": [], "characters": 3, "scenes": [[]]}'])
def test_a_document_of_another_shape_is_refused(refuse, document):
    assert refuse(document, ".json")


@pytest.mark.parametrize("name", ["missing.yaml", "folder.yaml", "list.txt"])
def test_what_is_no_shot_list_file_is_refused(tmp_path, name):
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "list.txt").write_text("film: x")
    with pytest.raises(ShotListInvalid) as refusal:
        read_shot_list(tmp_path / name, VOCABULARY)
    assert len(refusal.value.problems) == 1


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=9)
    | st.sampled_from(["Ward", "Pad", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "shot", "id"]), inner),
    max_leaves=6,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(value=ANYTHING, choice=st.randoms(use_true_random=False))
def test_any_value_anywhere_is_read_or_refused(write, film, value, choice):
    film = copy.deepcopy(film)
    film["film"]["render"] = {"guidance": 3, "loras": {"a": 1}, "hires": {"steps": 9}, "layout": {"guide": "img2img"}}
    film["scenes"][0]["shots"][0]["render"] = {"loras": [{"name": "a"}], "source": {"image": "ward.png"}, "steps": 2}
    holder = film
    while True:
        step = choice.choice([*holder] if isinstance(holder, dict) else range(len(holder)))
        if not isinstance(holder[step], dict | list) or not holder[step] or choice.random() < 0.2:
            break
        holder = holder[step]
    holder[step] = value
    draft = read_draft(write(film, ".json"), VOCABULARY)
    for options in (draft.film_options(), *draft.shot_options()):
        assert options is None or isinstance(options, RenderOptions)
    try:
        draft.complete()
    except ShotListInvalid as refusal:
        assert all(problem.line == 1 and problem.column >= 1 and problem.message for problem in refusal.problems)


def test_a_photograph_with_an_impossible_name_is_missing(refuse, film):
    film["characters"][0]["photo"] = "x" * 900
    (problem,) = refuse(film)
    assert problem.path == "characters[0].photo"
