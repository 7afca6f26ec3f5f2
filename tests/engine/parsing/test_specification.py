import json
import pickle
import random

import pytest

from engine.errors import Refused
from engine.parsing import parse
from engine.request import HiresFix, LayoutGuide, LoraUse, Reference, RenderRequest

NEEDED = {"id": "job-1", "checkpoint": "sdxl", "prompt": "a cat"}


def spec(**fields: object) -> bytes:
    return json.dumps({**NEEDED, **fields}).encode()


def refusal(text: bytes) -> Refused:
    with pytest.raises(Refused) as refused:
        parse(text)
    return refused.value


def test_absent_and_null_fields_take_the_defaults():
    assert parse(spec()) == RenderRequest(**NEEDED)
    assert parse(spec(negative=None, layout=None, hires=None, deadline_s=None, loras=None)) == RenderRequest(**NEEDED)


def test_a_whole_request_is_read():
    request = parse(
        spec(
            negative="bad",
            project="film",
            priority=90,
            deadline_s=12.5,
            commercial=True,
            seed=2**32 - 1,
            images=8,
            steps=150,
            guidance=30,
            rescale=0.7,
            width_px=2048,
            height_px=256,
            sampler="euler",
            schedule="normal",
            clip_skip=2,
            strength=1,
            has_image=True,
            has_mask=True,
            layout={"kind": "img2img", "scale": 0.3},
            references=[{"picture": 0}, {"picture": 3, "scale": 1, "mask": 0, "adapter": "ip-adapter-plus"}],
            loras=[{"name": "ink"}, {"name": "oil", "scale": -4}],
            hires={"scale": 2, "strength": 0.5, "steps": 10},
            refiner="sdxl-refiner",
            preview_every=0,
            extra={"version": "1.2"},
        )
    )
    assert request == RenderRequest(
        **NEEDED,
        negative="bad",
        project="film",
        priority=90,
        deadline_s=12.5,
        commercial=True,
        seed=2**32 - 1,
        images=8,
        steps=150,
        guidance=30.0,
        rescale=0.7,
        width_px=2048,
        height_px=256,
        sampler="euler",
        schedule="normal",
        clip_skip=2,
        strength=1.0,
        has_image=True,
        has_mask=True,
        layout=LayoutGuide("img2img", 0.3),
        references=(Reference(0), Reference(3, 1.0, 0, "ip-adapter-plus")),
        loras=(LoraUse("ink"), LoraUse("oil", -4.0)),
        hires=HiresFix(2.0, 0.5, 10),
        refiner="sdxl-refiner",
        preview_every=0,
        extra={"version": "1.2"},
    )


@pytest.mark.parametrize("name", ["id", "checkpoint", "prompt"])
def test_what_nothing_can_be_drawn_without_has_to_be_there(name):
    fields = {key: value for key, value in NEEDED.items() if key != name}
    assert refusal(json.dumps(fields).encode()).field == name
    assert refusal(spec(**{name: "  "})).field == name


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"steps": 0}, "steps"),
        ({"steps": 151}, "steps"),
        ({"steps": 10_000}, "steps"),
        ({"steps": 2.0}, "steps"),
        ({"steps": "20"}, "steps"),
        ({"steps": True}, "steps"),
        ({"steps": 10**400}, "steps"),
        ({"guidance": -0.1}, "guidance"),
        ({"guidance": 30.1}, "guidance"),
        ({"guidance": False}, "guidance"),
        ({"rescale": 1.01}, "rescale"),
        ({"width_px": 248}, "width_px"),
        ({"width_px": 1023}, "width_px"),
        ({"height_px": 2056}, "height_px"),
        ({"seed": -1}, "seed"),
        ({"seed": 2**32}, "seed"),
        ({"images": 0}, "images"),
        ({"images": 9}, "images"),
        ({"priority": 101}, "priority"),
        ({"strength": 1.5}, "strength"),
        ({"clip_skip": 13}, "clip_skip"),
        ({"deadline_s": 0}, "deadline_s"),
        ({"deadline_s": 1e9}, "deadline_s"),
        ({"commercial": 1}, "commercial"),
        ({"has_image": "yes"}, "has_image"),
        ({"prompt": "x" * 20_001}, "prompt"),
        ({"prompt": "x" * 100_000}, "prompt"),
        ({"prompt": 7}, "prompt"),
        ({"prompt": "a\x00b"}, "prompt"),
        ({"prompt": "a\ud800b"}, "prompt"),
        ({"negative": "x" * 20_001}, "negative"),
        ({"checkpoint": "../../etc/passwd"}, "checkpoint"),
        ({"checkpoint": ".hidden"}, "checkpoint"),
        ({"checkpoint": "a/b"}, "checkpoint"),
        ({"checkpoint": "x" * 201}, "checkpoint"),
        ({"checkpoint": ["sdxl"]}, "checkpoint"),
        ({"refiner": "a..b"}, "refiner"),
        ({"layout": "img2img"}, "layout"),
        ({"layout": {}}, "layout.kind"),
        ({"layout": {"kind": "img2img", "scale": 1.1}}, "layout.scale"),
        ({"layout": {"kind": "canny", "scale": 2.1}}, "layout.scale"),
        ({"layout": {"kind": "canny", "weight": 1}}, "layout.weight"),
        ({"references": {}}, "references"),
        ({"references": [{"picture": 0}] * 5}, "references"),
        ({"references": [{}]}, "references[0].picture"),
        ({"references": [{"picture": 0}, {"picture": 4}]}, "references[1].picture"),
        ({"references": [{"picture": 0, "mask": -1}]}, "references[0].mask"),
        ({"references": [{"picture": 0, "scale": 1.1}]}, "references[0].scale"),
        ({"references": ["Ada"]}, "references[0]"),
        ({"references": [None]}, "references[0]"),
        ({"loras": [{"name": "a"}] * 9}, "loras"),
        ({"loras": [{"name": "a", "scale": 4.1}]}, "loras[0].scale"),
        ({"loras": [{"scale": 1}]}, "loras[0].name"),
        ({"loras": [{"name": "a"}] * 8, "prompt": "<lora:b:1>"}, "loras"),
        ({"prompt": "<lora:../a:1>"}, "prompt"),
        ({"prompt": "<lora:a:9>"}, "prompt"),
        ({"prompt": "<lora:a:nan>"}, "prompt"),
        ({"prompt": "<lora:a:strong>"}, "prompt"),
        ({"prompt": "<lora:a:0.5:0.8>"}, "prompt"),
        ({"prompt": "<hypernet:a:1>"}, "prompt"),
        ({"negative": "<lora:a:1>"}, "negative"),
        ({"hires": {"scale": 0.9}}, "hires.scale"),
        ({"hires": {"scale": 4.1}}, "hires.scale"),
        ({"hires": {"scale": 3}, "width_px": 2048}, "hires.scale"),
        ({"hires": {"strength": -1}}, "hires.strength"),
        ({"hires": {"steps": 0}}, "hires.steps"),
        ({"hires": []}, "hires"),
        ({"preview_every": -1}, "preview_every"),
        ({"extra": {"a": 1}}, "extra.a"),
        ({"extra": {str(i): "" for i in range(65)}}, "extra"),
        ({"extra": []}, "extra"),
        ({"extra": {"k" * 81: "a"}}, "extra"),
        ({"extra": {"\ud800": "a"}}, "extra"),
    ],
)
def test_a_value_outside_its_limits_is_refused_by_its_name(fields, name):
    assert refusal(spec(**fields)).field == name


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("name", ["guidance", "strength", "deadline_s", "seed"])
def test_a_number_that_is_not_finite_is_refused(number, name):
    assert refusal(f'{{"{name}": {number}, '.encode() + spec()[1:]).field == name


def test_an_unknown_field_is_refused_with_the_nearest_one():
    found = refusal(spec(stepps=20))
    assert found.field == "stepps"
    assert "did you mean 'steps'?" in str(found)


def test_a_field_that_stands_twice_is_refused():
    assert refusal(b'{"id": "a", "checkpoint": "b", "prompt": "c", "seed": 1, "seed": 2}').field == "seed"


def test_an_unknown_sampler_is_refused_with_the_nearest_one():
    with pytest.raises(Refused, match="did you mean 'euler-ancestral'"):
        parse(spec(sampler="eulr-a"))
    with pytest.raises(Refused, match="did you mean 'karras'"):
        parse(spec(schedule="karas"))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"sampler": "DPM++ 2M Karras"}, ("dpmpp-2m", "karras")),
        ({"sampler": "Euler a"}, ("euler-ancestral", "normal")),
        ({"sampler": "ddim"}, ("ddim", "normal")),
        ({"sampler": "DPM++ 2M SDE", "schedule": "Exponential"}, ("dpmpp-2m-sde", "exponential")),
        ({"schedule": "normal"}, ("dpmpp-2m", "normal")),
    ],
)
def test_samplers_are_taken_by_their_usual_names(asked, found):
    request = parse(spec(**asked))
    assert (request.sampler, request.schedule) == found


def test_a_fast_checkpoint_gives_what_a_request_leaves_out():
    request = parse(spec(checkpoint="sdxl-turbo"))
    assert (request.steps, request.guidance, request.sampler, request.schedule) == (
        1,
        0.0,
        "euler-ancestral",
        "sgm-uniform",
    )
    assert parse(spec(checkpoint="sdxl-turbo", steps=3)).steps == 3
    assert parse(spec(checkpoint="sdxl-turbo", sampler="lcm")).schedule == "normal"


def test_loras_that_the_prompt_names_follow_those_of_the_request():
    tagged = parse(spec(prompt="a cat <lora:film:0.8>, <LORA: Night_v2 >rain <3", loras=[{"name": "ink"}]))
    assert tagged.prompt == "a cat , rain <3"
    assert tagged.loras == (LoraUse("ink"), LoraUse("film", 0.8), LoraUse("Night_v2"))
    assert parse(spec(prompt="a <lora:lcm-lora-sdxl:1>")).sampler == "lcm"


@pytest.mark.timeout(20)
@pytest.mark.parametrize("hostile", ["<lora:" * 3_000, "<lora:" + "a" * 19_000, "<lora:a:" + ":" * 19_000 + ">"])
def test_no_tags_hold_the_reader_up(hostile):
    try:
        parse(spec(prompt=hostile))
    except Refused as refused:
        assert len(str(refused)) < 500


def test_a_fast_lora_gives_what_a_request_leaves_out():
    assert parse(spec(loras=[{"name": "lcm-sdxl"}])).sampler == "lcm"


@pytest.mark.parametrize(("field", "value"), [("steps", 20), ("guidance", 7.5)])
def test_a_fast_checkpoint_is_not_drawn_with_what_burns_its_pictures(field, value):
    assert refusal(spec(checkpoint="sdxl-turbo", **{field: value})).field == field


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b"\xff\xfe{}",
        spec().decode().encode("utf-16"),
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"steps": ' + b"9" * 10_000 + b"}",
        b" " * (256 * 1024 + 1),
    ],
)
def test_what_is_no_json_object_is_refused_as_the_spec(text):
    assert refusal(text).field in ("spec",)


def test_a_refusal_stays_short_whatever_was_sent():
    assert len(str(refusal(spec(**{"x" * 10_000: "y" * 10_000})))) < 1500
    assert len(str(refusal(spec(extra={"x" * 100_000: 1})))) < 500
    assert "\n" not in str(refusal(spec(**{"a\nb": 1})))


def test_a_refusal_goes_through_a_pickle():
    found = refusal(spec(steps=0))
    assert str(pickle.loads(pickle.dumps(found))) == str(found)


def test_random_values_are_read_or_refused_and_nothing_else_happens():
    rng = random.Random(4)
    values = [None, True, 0, -1, 1.5, 10**30, "", "x", "é\x00", [], [[]], [{}], {}, {"a": {}}, [1, None], "img2img"]
    names = list(RenderRequest.__dataclass_fields__)
    for _ in range(1000):
        fields = {rng.choice(names): rng.choice(values) for _ in range(rng.randrange(1, 4))}
        try:
            parse(spec(**fields))
        except Refused as refused:
            assert refused.field.split(".")[0].split("[")[0] in fields
