import json

import pytest

from previz import vocabulary
from previz.errors import InvalidField
from previz.spec import FaceBox, FrameSpec


def parsed(**fields: object) -> FrameSpec:
    return FrameSpec.from_json(json.dumps(fields).encode())


def test_absent_fields_take_the_defaults():
    assert parsed() == FrameSpec()


def test_a_whole_specification_is_read():
    spec = parsed(
        width_px=640,
        height_px=360,
        shot_type="close-up",
        location={"type": "exterior", "name": "Pad 39", "kind": "launch pad"},
        figures=[
            {
                "name": "Ada",
                "face_box": [0.25, 0.125, 0.5, 0.5],
                "palette": ["#102030"],
                "facing": -0.5,
                "screen_order": 1,
                "height_m": 1.52,
            }
        ],
    )
    ada = spec.figures[0]
    assert (spec.width_px, spec.shot_type, spec.location.type) == (640, "close-up", "exterior")
    assert ada.face_box == FaceBox(0.25, 0.125, 0.5, 0.5)
    assert ada.palette == ((16, 32, 48),)
    assert (ada.facing, ada.screen_order, ada.height_m) == (-0.5, 1, 1.52)


@pytest.mark.parametrize("field", ["shot_type", "camera_angle", "composition", "time_of_day", "weather"])
def test_an_unknown_word_is_refused_naming_field_value_and_limit(field):
    with pytest.raises(InvalidField) as refusal:
        parsed(**{field: "sideways"})
    assert refusal.value.field == field
    assert "'sideways'" in str(refusal.value)
    assert "one of" in str(refusal.value)


@pytest.mark.parametrize("field", ["style", "lighting", "mood"])
def test_unknown_style_words_are_kept(field):
    assert getattr(parsed(**{field: "brand-new"}), field) == "brand-new"


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"width_px": 0}, "width_px"),
        ({"width_px": 641}, "width_px"),
        ({"height_px": 100_000}, "height_px"),
        ({"height_px": "576"}, "height_px"),
        ({"width_px": True}, "width_px"),
        ({"seed": -1}, "seed"),
        ({"seed": 1.5}, "seed"),
        ({"mood": 7}, "mood"),
        ({"description": "x" * 5000}, "description"),
        ({"location": []}, None),
        ({"location": "office"}, "location"),
        ({"location": {"type": "underwater"}}, "location.type"),
        ({"figures": [{"facing": 2}]}, "figures[0].facing"),
        ({"figures": [{"height_m": 0.4}]}, "figures[0].height_m"),
        ({"figures": [{"height_m": 3.1}]}, "figures[0].height_m"),
        ({"figures": [{}, {"hair": "brown"}]}, "figures[1].hair"),
        ({"figures": [{"palette": ["#12345"]}]}, "figures[0].palette[0]"),
        ({"figures": [{"face_box": [0.1, 0.2, 0.3]}]}, "figures[0].face_box"),
        ({"figures": [{"face_box": [0.1, 0.2, 0, 0.3]}]}, "figures[0].face_box"),
        ({"figures": [{"face_box": [0.1, 0.2, 7, 0.3]}]}, "figures[0].face_box"),
        ({"figures": [{}] * 9}, "figures"),
        ({"figures": ["Ada"]}, "figures[0]"),
        ({"shot_typ": "wide"}, "shot_typ"),
        ({"shot_type": ["wide"]}, "shot_type"),
    ],
)
def test_a_bad_field_is_refused_by_its_path(fields, name):
    if name is None:
        assert parsed(**fields) == FrameSpec()
        return
    with pytest.raises(InvalidField) as refusal:
        parsed(**fields)
    assert refusal.value.field == name


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"\xff\xfe", b"nul", b"[" * 30_000, b"{" + b" " * 70_000 + b"}"])
def test_what_is_not_a_json_object_is_refused(text):
    with pytest.raises(InvalidField) as refusal:
        FrameSpec.from_json(text)
    assert refusal.value.field == "spec"


def test_not_a_number_is_refused():
    with pytest.raises(InvalidField):
        FrameSpec.from_json(b'{"figures": [{"facing": NaN}]}')


def test_every_word_of_the_vocabulary_is_accepted():
    for shot_type in vocabulary.SHOT_TYPES:
        assert parsed(shot_type=shot_type).shot_type == shot_type
