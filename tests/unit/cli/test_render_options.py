"""What a shot list asks of the diffusion engine, on its way to the service and back as files."""

import hashlib
import json
from pathlib import Path

import grpc
import pytest
from PIL import Image

from continuity.api.common.v1.render_options_pb2 import RenderOptions
from continuity.api.rendering.v1.render_service_pb2 import CheckOptionsRequest, SubmitShotsRequest, UploadSourceRequest
from continuity.kernel.errors import InvalidValue
from continuity.objects.port import ObjectDamaged
from tests.unit.cli.conftest import SHOT_LIST, Run
from tests.unit.client.studio import Studio

FILM = "film: {title: Weather Hold, style: cinematic, seed: 9"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def asking(shot_list: Path):
    """Write what film and first shot ask for into the list; return it."""

    def write(film: str = "", shot: str = "", text: str = SHOT_LIST) -> Path:
        text = text.replace(FILM, f"{FILM}, {film}") if film else text
        shot_list.write_text(text.replace("duration_s: 4", f"duration_s: 4, {shot}") if shot else text)
        return shot_list

    return write


def submitted(studio: Studio) -> SubmitShotsRequest:
    return [request for request in studio.requests if isinstance(request, SubmitShotsRequest)][-1]


def test_options_of_film_and_shot_reach_the_service_each_where_it_belongs(
    run: Run, asking, out: Path, studio: Studio
) -> None:
    film = "commercial: true, render: {checkpoint: sdxl, steps: 30, layout: {guide: canny, strength: 0.9}}"
    loras = "loras: {grain: -0.5, rain: 1}"
    shot = f"render: {{steps: 8, {loras}, hires: {{scale: 2}}, identity_strength: 0, prompt: '(red scarf:1.3)'}}"
    run("render", asking(film.replace("steps", "negative: '[crowd]', steps"), shot), "--out", out)
    request = submitted(studio)
    assert request.commercial
    layout = {"layout_guide": "canny", "layout_strength": 0.9}
    assert request.options == RenderOptions(checkpoint="sdxl", steps=30, negative="[crowd]", **layout)
    assert request.shots[0].options == RenderOptions(
        steps=8,
        loras=[{"name": "grain", "scale": -0.5}, {"name": "rain", "scale": 1}],
        hires={"scale": 2},
        identity_strength=0,
        prompt="(red scarf:1.3)",
    )
    assert request.shots[0].options.HasField("identity_strength")
    assert not request.shots[1].HasField("options")


def test_a_list_that_asks_for_nothing_sends_no_options(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    run("render", shot_list, "--out", out)
    request = submitted(studio)
    assert not request.HasField("options")
    assert not request.commercial


def test_the_command_line_wins_over_film_and_shots(run: Run, asking, out: Path, studio: Studio) -> None:
    shots = asking("render: {steps: 30, guidance: 4}", "render: {steps: 8, rescale: 0.5}")
    run("render", shots, "--out", out, "--steps", 12, "--images", 2, "--checkpoint", "turbo")
    request = submitted(studio)
    assert request.options == RenderOptions(checkpoint="turbo", steps=12, images=2, guidance=4)
    assert request.shots[0].options == RenderOptions(checkpoint="turbo", steps=12, images=2, rescale=0.5)
    assert not request.shots[1].HasField("options")


def test_other_options_are_another_submission(run: Run, asking, out: Path, studio: Studio) -> None:
    for steps in (8, 9, 8):
        run("render", asking(shot=f"render: {{steps: {steps}}}"), "--out", out)
    assert len(studio.submissions) == 2


def test_pictures_to_begin_with_are_uploaded_once_each(
    run: Run, asking, photo: Path, tmp_path: Path, out: Path, studio: Studio
) -> None:
    Image.new("L", (64, 64), 255).save(tmp_path / "mask.png")
    source = "render: {source: {image: ward.png, mask: mask.png, strength: 0.5}}"
    run("render", asking("render: {source: {image: ward.png}}", source), "--out", out)
    uploaded = {request.picture for request in studio.requests if isinstance(request, UploadSourceRequest)}
    assert uploaded == {photo.read_bytes(), (tmp_path / "mask.png").read_bytes()}
    assert studio.calls["UploadSource"] == 2
    image, mask = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (photo, tmp_path / "mask.png"))
    sent = submitted(studio).shots[0].options.source
    assert (sent.image_sha256, sent.mask_sha256, sent.strength) == (image, mask, 0.5)
    assert not submitted(studio).options.source.HasField("strength")


def test_several_takes_are_files_of_their_own_and_the_sheet_shows_the_first(
    run: Run, asking, out: Path, studio: Studio
) -> None:
    ended = run("render", asking(shot="render: {images: 3}"), "--out", out, "--json")
    assert ended.code == 0
    names = sorted(path.name for path in (out / "keyframes").iterdir())
    assert names == ["1-01-take2.png", "1-01-take3.png", "1-01.png", "1-02.png", "2-01.png"]
    shot, other, _ = ended.json["shots"]
    assert [(take["file"], take["seed"]) for take in shot["takes"]] == [
        ("keyframes/1-01.png", 7),
        ("keyframes/1-01-take2.png", 8),
        ("keyframes/1-01-take3.png", 9),
    ]
    for take in shot["takes"]:
        assert hashlib.sha256((out / take["file"]).read_bytes()).hexdigest() == take["sha256"]
    assert (shot["file"], len(other["takes"])) == ("keyframes/1-01.png", 1)
    sizes = sum(path.stat().st_size for path in (out / "keyframes").iterdir())
    assert ended.json["totals"]["size_bytes"] == sizes


def test_a_damaged_take_costs_no_other(run: Run, asking, out: Path, studio: Studio) -> None:
    shots = asking(shot="render: {images: 2}")
    run("render", shots, "--out", out)
    (out / "keyframes" / "1-01-take2.png").unlink()
    studio.refusals = {"DownloadKeyframe": [ObjectDamaged("default/keyframes/ab.png")]}
    ended = run("render", shots, "--out", out)
    assert ended.code == 1
    assert "  1-1 damaged: object default/keyframes/ab.png is damaged" in ended.out
    shot = json.loads((out / "manifest.json").read_text())["shots"][0]
    assert (shot["file"], shot["state"]) == ("keyframes/1-01.png", "damaged")
    assert [take["file"] for take in shot["takes"]] == ["keyframes/1-01.png", None]


@pytest.mark.parametrize(("option", "value"), [("--steps", 0), ("--steps", 151), ("--images", 9)])
def test_options_beyond_the_engines_limits_are_wrong_usage(
    run: Run, shot_list: Path, out: Path, studio: Studio, option: str, value: int
) -> None:
    assert run("render", shot_list, "--out", out, option, value).code == 2
    assert not studio.requests


def test_all_that_is_wrong_with_a_list_is_told_at_once_whoever_knows_it(
    run: Run, asking, out: Path, studio: Studio
) -> None:
    film = "render: {steps: 0, sampler: eulr, hires: {scale: 4, strength: 2}}"
    shots = asking(film, "render: {schedule: kerras, guidence: 3}", SHOT_LIST.replace("close-up", "closeupp"))
    ended = run("render", shots, "--out", out)
    places = {line.split(": ")[1]: line for line in ended.err.splitlines()}
    assert ended.code == 2
    assert list(places) == [
        "film.render.steps",
        "film.render.sampler",
        "film.render.hires.strength",
        "scenes[0].shots[0].render.schedule",
        "scenes[0].shots[0].render.guidence",
        "scenes[0].shots[1].shot_type",
    ]
    assert places["film.render.sampler"].startswith(f"{shots}:1:")
    assert "'eulr' is not acceptable; did you mean 'euler'?" in places["film.render.sampler"]
    assert "did you mean 'karras'?" in places["scenes[0].shots[0].render.schedule"]
    assert not studio.characters


def test_what_a_wrong_field_stands_beside_is_asked_about_all_the_same(run: Run, asking, out: Path) -> None:
    shots = asking("aspect: '1:2', render: {hires: {scale: 4, strength: 2}, layout: {guide: 1, strength: 1.5}}")
    told = {line.split(": ")[1] for line in run("render", shots, "--out", out).err.splitlines()}
    assert told == {"film.render.hires.scale", "film.render.hires.strength", "film.render.layout.guide"} | {
        "film.render.layout.strength"
    }


@pytest.mark.parametrize("loras", ["{grian: 0.5, rain: 1}", "[{name: grian, scale: 0.5}, {name: rain}]"])
def test_models_that_are_not_installed_are_told_where_they_are_named(
    run: Run, asking, out: Path, studio: Studio, tmp_path: Path, loras: str
) -> None:
    about = {"kind": "lora", "architecture": "sdxl", "licence": "MIT", "commercial": True, "files": {}}
    for name in ("grain", "rain"):
        (tmp_path / "models" / name).mkdir(parents=True)
        (tmp_path / "models" / name / "model.json").write_text(json.dumps(about))
    studio.models = tmp_path / "models"
    shots = asking(shot=f"render: {{checkpoint: nope, loras: {loras}}}")
    checkpoint, lora = run("render", shots, "--out", out, "--json").json["error"]["problems"]
    assert checkpoint["path"] == "scenes[0].shots[0].render.checkpoint"
    assert lora["message"].startswith("'grian' is not acceptable; did you mean 'grain'?")
    line = shots.read_text().splitlines()[lora["line"] - 1]
    assert line[lora["column"] - 1 :].startswith("grian")


def test_what_the_command_line_says_is_told_as_its_own(run: Run, asking, out: Path) -> None:
    shots = asking(shot="render: {checkpoint: sdxl-turbo, steps: 4, sampler: eulr}")
    ended = run("render", shots, "--out", out, "--steps", 100)
    first, second = ended.err.splitlines()
    assert first == "--steps: 100 is not acceptable; sdxl-turbo is drawn in 1 to 4"
    assert second.startswith(f"{shots}:10:")


def test_a_list_that_asks_for_nothing_is_not_asked_about(run: Run, shot_list: Path, out: Path, studio: Studio) -> None:
    assert run("render", shot_list, "--out", out).code == 0
    assert not studio.calls["CheckOptions"]


@pytest.mark.parametrize("answer", [grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INVALID_ARGUMENT], ids=str)
def test_services_that_cannot_be_asked_say_it_when_shots_are_handed_in(
    run: Run, asking, out: Path, studio: Studio, answer: grpc.StatusCode
) -> None:
    studio.faults = {"CheckOptions": [answer]}
    assert run("render", asking("render: {sampler: eulr}"), "--out", out).code == 0


@pytest.mark.parametrize(
    ("field", "path"),
    [
        ("options.sampler", "film.render.sampler"),
        ("shots[0].options.layout_strength", "scenes[0].shots[0].render.layout.strength"),
        ("shots[0].options.loras[0].name", "scenes[0].shots[0].render.loras[0].name"),
        ("shots[0].options.source.image_sha256", "scenes[0].shots[0].render.source.image"),
    ],
)
def test_what_the_service_refuses_is_told_at_its_place_in_the_list(
    run: Run, asking, out: Path, studio: Studio, field: str, path: str
) -> None:
    shot = "render: {layout: {strength: 2}, loras: [{name: rain}], source: {image: ward.png}}"
    shots = asking("render: {sampler: Eulr}", shot)
    studio.faults = {"CheckOptions": [grpc.StatusCode.UNIMPLEMENTED]}
    studio.refusals = {"SubmitShots": [InvalidValue(field=field, value="x", limit="did you mean 'y'?")]}
    ended = run("render", shots, "--out", out, "--json")
    (problem,) = ended.json["error"]["problems"]
    assert ended.code == 2
    assert problem["path"] == path
    line = shots.read_text().splitlines()[problem["line"] - 1][problem["column"] - 1 :]
    assert line.startswith(
        {"sampler": "Eulr", "strength": "2", "name": "rain", "image": "ward.png"}[path.rsplit(".", maxsplit=1)[-1]]
    )
    assert ended.err.splitlines()[-1].endswith(f"{path}: 'x' is not acceptable; did you mean 'y'?")


@pytest.mark.parametrize("field", ["options.checkpoint", "shots[7].options.sampler", "request_id", ""])
def test_what_the_list_does_not_say_is_told_as_the_service_tells_it(
    run: Run, shot_list: Path, out: Path, studio: Studio, field: str
) -> None:
    studio.refusals = {"SubmitShots": [InvalidValue(field=field, value="x", limit="no")]}
    ended = run("render", shot_list, "--out", out)
    assert (ended.code, ended.err.splitlines()[-1]) == (2, f"continuity: {field}: 'x' is not acceptable; no")


@pytest.mark.parametrize(
    ("film", "shot", "path"),
    [
        ("", "render: {source: {image: mine.yaml}}", "scenes[0].shots[0].render.source.image"),
        ("", "render: {source: {image: ward.png, mask: mine.yaml}}", "scenes[0].shots[0].render.source.mask"),
        ("render: {source: {image: mine.yaml}}", "render: {source: {image: mine.yaml}}", "film.render.source.image"),
    ],
)
def test_a_picture_that_is_none_is_told_at_the_place_that_names_it_first(
    run: Run, asking, tmp_path: Path, out: Path, studio: Studio, film: str, shot: str, path: str
) -> None:
    (tmp_path / "mine.yaml").write_text("no picture")
    ended = run("render", asking(film, shot), "--out", out, "--json")
    (problem,) = ended.json["error"]["problems"]
    assert (ended.code, problem["path"]) == (2, path)
    assert problem["message"].startswith("photo is of an unknown kind; it must be a photograph in JPEG, PNG")
    assert not studio.calls["UploadSource"]


def test_a_picture_that_the_service_alone_refuses_changes_no_character(
    run: Run, asking, tmp_path: Path, out: Path, studio: Studio
) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "mine.png")
    refused = InvalidValue(field="picture", value="black", limit="it must show something")
    studio.refused_pictures = {(tmp_path / "mine.png").read_bytes(): refused}
    ended = run("render", asking("", "render: {source: {image: mine.png}}"), "--out", out, "--json")
    (problem,) = ended.json["error"]["problems"]
    assert (problem["path"], problem["message"]) == ("scenes[0].shots[0].render.source.image", str(refused))
    assert not studio.characters


def test_a_picture_that_is_too_large_is_told_at_its_place(
    run: Run, asking, tmp_path: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "large.png").write_bytes(bytes(9_000))
    monkeypatch.setattr("continuity.cli.files.MAX_PHOTO_BYTES", 8_000)
    ended = run("render", asking(shot="render: {source: {image: large.png}}"), "--out", out)
    assert ended.code == 2
    assert "scenes[0].shots[0].render.source.image: photo: '9000 bytes'" in ended.err


@pytest.mark.parametrize("name", ["../x", "a..b", " sdxl", "x" * 201])
def test_a_checkpoint_that_no_model_can_be_called_is_wrong_usage(
    run: Run, shot_list: Path, out: Path, studio: Studio, name: str
) -> None:
    ended = run("render", shot_list, "--out", out, "--checkpoint", name)
    assert ended.code == 2
    assert "does not fit: Name of an installed model" in ended.err
    assert not studio.requests


def test_the_licence_guard_of_the_environment_is_sent_whatever_the_services_have(
    run: Run, shot_list: Path, out: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("render", shot_list, "--out", out)
    monkeypatch.setenv("CONTINUITY_COMMERCIAL", "true")
    run("render", shot_list, "--out", out)
    assert submitted(studio).commercial
    assert len(studio.submissions) == 2


def test_the_environment_takes_the_guard_from_no_film(
    run: Run, asking, out: Path, studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONTINUITY_COMMERCIAL", "false")
    run("render", asking("commercial: true"), "--out", out)
    assert submitted(studio).commercial


def test_the_size_of_the_film_reaches_the_service(run: Run, asking, out: Path, studio: Studio) -> None:
    run("render", asking("size: 1344x768"), "--out", out)
    assert (submitted(studio).width_px, submitted(studio).height_px) == (1344, 768)


def test_the_size_of_the_command_line_wins_and_is_what_options_are_checked_at(
    run: Run, asking, out: Path, studio: Studio
) -> None:
    run("render", asking("size: 1344x768, render: {steps: 8}"), "--out", out, "--size", "512x512")
    asked = [request for request in studio.requests if isinstance(request, SubmitShotsRequest | CheckOptionsRequest)]
    assert {type(request) for request in asked} == {SubmitShotsRequest, CheckOptionsRequest}
    assert {(request.width_px, request.height_px) for request in asked} == {(512, 512)}


@pytest.mark.parametrize("size", ["big", "1340x768", "1344x128", "2056x768", "1344"])
def test_a_size_of_the_command_line_that_cannot_be_drawn_is_refused_with_the_limit(
    run: Run, shot_list: Path, out: Path, size: str
) -> None:
    ended = run("render", shot_list, "--out", out, "--size", size)
    told = " ".join(ended.err.replace("│", " ").split())
    assert ended.code == 2
    assert f"'{size}' is no size such as 1344x768; sides are multiples of 8 from 256 to 2048 px" in told
    assert "--size" in told


def test_a_size_of_the_command_line_that_the_films_aspect_contradicts_is_told_with_all_else(
    run: Run, asking, out: Path, studio: Studio
) -> None:
    shots = asking("aspect: '9:16', render: {steps: 0}")
    ended = run("render", shots, "--out", out, "--size", "1344x768")
    assert ended.code == 2
    assert "--size: '1344x768' is 1.75:1, and film.aspect is '9:16'; give one; 432x768 has that aspect" in ended.err
    assert "film.render.steps" in ended.err
    assert not studio.characters
