"""What a shot list may ask of the diffusion engine."""

from __future__ import annotations

import pytest

from continuity.client.shotlist import (
    Hires,
    Layout,
    Lora,
    RenderOptions,
    ShotListInvalid,
    Source,
    read_draft,
    read_shot_list,
)
from continuity.client.shotlist.schema import properties
from tests.unit.shotlist.conftest import VOCABULARY
from tests.unit.shotlist.test_read_shot_list import EXAMPLE

EVERYTHING = """
film:
  title: Test
  commercial: true
  render: {checkpoint: sdxl, steps: 30, images: 2}
locations: [{name: Pad, type: exterior, description: a pad}]
scenes:
  - id: a
    location: Pad
    shots:
      - shot: 1
        shot_type: wide
        description: one
        render:
          steps: 8
          guidance: 4
          rescale: 0.7
          sampler: DPM++ 2M
          schedule: karras
          clip_skip: 1
          loras: [{name: film-grain, scale: -0.5}, {name: rain}]
          hires: {scale: 2, strength: 0.3, steps: 10}
          refiner: sdxl-refiner
          layout: {guide: canny, strength: 0.9}
          identity_strength: 0.4
          source: {image: ward.png, mask: ward.png, strength: 0.5}
          prompt: (red scarf:1.3), BREAK
          negative: |
            (crowd:1.4),
            blur
      - {shot: 2, shot_type: wide, description: two}
"""


def test_everything_that_the_engine_takes_is_read(read, tmp_path):
    film = read(EVERYTHING)
    first, second = (shot for _, shot in film.shots())
    assert film.film.commercial
    assert film.film.render == RenderOptions(checkpoint="sdxl", steps=30, images=2)
    assert first.render == RenderOptions(
        steps=8,
        guidance=4,
        rescale=0.7,
        sampler="DPM++ 2M",
        schedule="karras",
        clip_skip=1,
        loras=(Lora("film-grain", -0.5), Lora("rain", 1.0)),
        hires=Hires(2, 0.3, 10),
        refiner="sdxl-refiner",
        layout=Layout("canny", 0.9),
        identity_strength=0.4,
        source=Source(tmp_path / "ward.png", tmp_path / "ward.png", 0.5),
        prompt="(red scarf:1.3), BREAK",
        negative="(crowd:1.4),\nblur\n",
    )
    assert second.render is None


def test_json_reads_the_same(read, film):
    film["scenes"][0]["shots"][0]["render"] = {"steps": 8, "loras": {"b": 1, "a": 0.5}, "hires": {}}
    shot = next(shot for _, shot in read(film, ".json").shots())
    assert shot.render == RenderOptions(steps=8, loras=(Lora("b", 1.0), Lora("a", 0.5)), hires=Hires())


@pytest.mark.parametrize(
    ("given", "path", "message"),
    [
        ({"steps": 0}, "steps", "0: 1 is the least"),
        ({"steps": 10_000}, "steps", "10000: 150 is the most"),
        ({"steps": 2.5}, "steps", "expected a whole number, found the number 2.5"),
        ({"guidance": "NaN"}, "guidance", "expected a number, found 'NaN'"),
        ({"guidance": 31}, "guidance", "31: 30 is the most"),
        ({"rescale": -0.1}, "rescale", "-0.1: 0 is the least"),
        ({"clip_skip": 13}, "clip_skip", "13: 12 is the most"),
        ({"images": 9}, "images", "9: 8 is the most"),
        ({"identity_strength": 1.1}, "identity_strength", "1.1: 1 is the most"),
        ({"checkpoint": "../sdxl"}, "checkpoint", "'../sdxl' does not fit: Name of an installed model: letters,"),
        ({"checkpoint": "a..b"}, "checkpoint", "'a..b' does not fit: Name of an installed model"),
        ({"sampler": ""}, "sampler", "'': it must not be empty"),
        ({"loras": [{"scale": 1}]}, "loras[0].name", "'name' is missing"),
        ({"loras": [{"name": "a", "scale": 5}]}, "loras[0].scale", "5: 4 is the most"),
        ({"loras": {"a": -5}}, "loras.a", "-5: -4 is the least"),
        ({"loras": {"a": "much"}}, "loras.a", "expected a number, found 'much'"),
        ({"loras": {"/a": 1}}, "loras", "'/a' does not fit: Name of an installed LoRA"),
        ({"loras": {str(n): 1 for n in range(9)}}, "loras", "8 are the most, these are 9"),
        ({"loras": [{"name": str(n)} for n in range(9)]}, "loras", "8 are the most, these are 9"),
        ({"hires": {"scale": 5}}, "hires.scale", "5: 4 is the most"),
        ({"hires": 2}, "hires", "expected a mapping, found the number 2"),
        ({"layout": {"strength": 3}}, "layout.strength", "3: 2 is the most"),
        ({"source": {"mask": "ward.png"}}, "source.image", "'image' is missing"),
        ({"source": {"image": "none.png"}}, "source.image", "there is no file 'none.png' beside the shot list"),
        ({"source": {"image": "ward.png", "mask": "x"}}, "source.mask", "there is no file 'x' beside the shot list"),
        ({"source": {"image": "ward.png", "strength": 2}}, "source.strength", "2: 1 is the most"),
        ({"prompt": "x" * 2_001}, "prompt", "2000 characters are the most, these are 2001"),
        ({"negative": ["crowd"]}, "negative", "expected text, found a list"),
        ("fast", "", "expected a mapping, found 'fast'"),
    ],
)
@pytest.mark.parametrize("where", ["film", "scenes[0].shots[0]"])
def test_what_the_engine_would_refuse_is_refused_with_its_place(refuse, film, where, given, path, message):
    holder = film["film"] if where == "film" else film["scenes"][0]["shots"][0]
    holder["render"] = given
    told = {problem.path: problem.message for problem in refuse(film, ".json")}
    assert message in told[f"{where}.render.{path}".removesuffix(".")]


def test_what_is_right_is_asked_for_beside_what_is_wrong(write, film):
    film["film"]["render"] = {"steps": 0, "guidance": 3, "hires": {"scale": 9, "steps": 4}, "loras": {"a": 9}}
    film["scenes"][0]["shots"][1]["render"] = {"sampler": "", "source": {"image": "none.png"}, "images": 2}
    draft = read_draft(write(film, ".json"), VOCABULARY)
    assert draft.film_options() == RenderOptions(guidance=3, hires=Hires(steps=4))
    assert draft.shot_options() == (None, RenderOptions(images=2))


def test_beyond_a_thousand_mistakes_nothing_is_asked_for(write, film):
    film["scenes"][0]["shots"] = [{"shot": n, "shot_type": "wide", "render": {"steps": "x"}} for n in range(1_200)]
    draft = read_draft(write(film, ".json"), VOCABULARY)
    assert set(draft.shot_options()) == {None}


def test_what_others_refuse_is_told_with_the_rest_and_what_the_list_does_not_say_without_a_place(write, film):
    film["film"]["render"] = {"sampler": "eulr", "steps": 0}
    draft = read_draft(write(film, ".json"), VOCABULARY)
    with pytest.raises(ShotListInvalid) as refusal:
        draft.complete([("options.sampler", "no such sampler"), ("--images", "too many")])
    by_path = {problem.path: problem for problem in refusal.value.problems}
    assert set(by_path) == {"--images", "film.render.sampler", "film.render.steps"}
    assert str(by_path["--images"]) == "--images: too many"
    assert str(by_path["film.render.sampler"]).endswith(": film.render.sampler: no such sampler")


def test_a_misspelled_option_is_told_with_line_column_and_what_was_meant(refuse):
    (problem,) = refuse(EVERYTHING.replace("guidance: 4", "guidence: 4"))
    assert (problem.line, problem.column, problem.suggestion) == (16, 11, "guidance")
    assert problem.path == "scenes[0].shots[0].render.guidence"


def test_a_table_has_no_column_for_options(refuse):
    table = "kind,scene,shot,shot_type,description,location,name,title,type,render\nfilm,,,,,,,T,,steps: 3\n"
    assert "unknown column 'render'" in {problem.message for problem in refuse(table, ".csv")}


def test_a_table_may_say_that_a_film_is_commercial(read):
    rows = ("film,,,,,,,T,,yes", "location,,,,d,,P,,exterior,", ",1,1,wide,d,P,,,,")
    film = read("kind,scene,shot,shot_type,description,location,name,title,type,commercial\n" + "\n".join(rows), ".csv")
    assert film.film.commercial


def test_the_example_with_options_is_read_and_the_readme_names_every_field():
    film = read_shot_list(EXAMPLE / "options.yaml", VOCABULARY)
    first, second = (shot.render for _, shot in film.shots())
    assert (film.film.commercial, film.film.render.steps, first.images) == (True, 6, 2)
    assert second.source.image.is_file()
    readme = (EXAMPLE / "README.md").read_text("utf-8")
    lines = "".join(line for line in readme.splitlines() if line.startswith("| `"))
    assert [name for name in properties("render") if f"`{name}`" not in lines] == []
