"""What a shot asks of the engine: how options come together, and which are refused before anything is accepted."""

from __future__ import annotations

from dataclasses import asdict, fields, replace
from typing import Any

import pytest

from continuity.api.common.v1.render_options_pb2 import RenderOptions as OptionsMessage
from continuity.api.rendering.v1.render_service_pb2 import SubmitShotsRequest
from continuity.kernel.errors import InvalidValue
from continuity.wire.conversion import from_message
from engine.request import HiresFix as EngineHiresFix
from engine.request import LoraUse as EngineLoraUse
from engine.request import RenderRequest
from engine.samplers.names import NAMES, SCHEDULES
from services.rendering.adapters.sdxl_options import SdxlChoice
from services.rendering.adapters.sdxl_rules import EngineRules
from services.rendering.domain.job import Job, submitted
from services.rendering.domain.render_options import (
    HiresFix,
    LoraUse,
    RenderOptions,
    SourceImage,
    merged,
    without_schedule,
)
from services.rendering.domain.shot import Shot
from services.rendering.domain.submission import Submission
from services.rendering.entrypoints.mapping import job_message, shots_asked
from services.rendering.handlers.accept_options import AcceptOptions
from services.rendering.handlers.ports import SourcePicture
from services.rendering.settings import Settings
from tests.unit.rendering.builders import PROJECT, shot, submission

PICTURE, MASK, LARGER, ABSENT = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
FULL = RenderOptions(
    checkpoint="juggernaut",
    steps=12,
    guidance=0.0,
    rescale=0.7,
    sampler="Euler a",
    schedule="normal",
    clip_skip=0,
    loras=(LoraUse("film-grain", -0.5), LoraUse("neon")),
    hires=HiresFix(2.0, 0.3, 8),
    refiner="sdxl-refiner",
    images=3,
    layout_strength=0.0,
    layout_guide="depth",
    identity_strength=0.0,
    source=SourceImage(PICTURE, MASK, 0.4),
    prompt="((red scarf)) <lora:rain:0.5> BREAK [[fog] (unclosed:1.2",
    negative="(crowd:1.4)]",
)


class Uploaded:
    """Pictures by their digest, all as large but one; remembers what was kept."""

    def __init__(self) -> None:
        self.kept: list[str] = []

    async def take(self, project: str, picture: bytes) -> SourcePicture:
        raise NotImplementedError

    async def keep(self, project: str, sha256: str) -> SourcePicture | None:
        self.kept.append(sha256)
        return None if sha256 == ABSENT else SourcePicture(sha256, 128 if sha256 == LARGER else 64, 64)


def accepts(uploaded: Uploaded | None = None, **settings: Any) -> AcceptOptions:
    rules = EngineRules(SdxlChoice(Settings(identity="off", **{"renderer": "sdxl", **settings})))
    return AcceptOptions(rules, uploaded or Uploaded())


def sized(*shots: Shot, film: RenderOptions | None = None) -> Submission:
    return replace(submission(*shots), options=film, width_px=1280, height_px=720)


async def refusal(*shots: Shot, film: RenderOptions | None = None, **settings: Any) -> InvalidValue:
    asked = sized(*shots, film=film)
    with pytest.raises(InvalidValue) as refused:
        await accepts(**settings)(PROJECT, asked)
    return refused.value


@pytest.mark.parametrize("name", [each.name for each in fields(RenderOptions)])
def test_a_field_of_the_shot_wins_over_the_films_and_the_others_stay(name: str) -> None:
    film = replace(FULL, loras=(LoraUse("other"),), source=None, steps=50, prompt="of the film", negative="")
    own = replace(RenderOptions(), **{name: getattr(FULL, name)})
    together = merged(film, own)
    assert together == replace(film, **{name: getattr(FULL, name)})


@pytest.mark.parametrize(
    ("film", "own", "sampler", "schedule"),
    [
        (("DPM++ 2M Karras", ""), ("", "sgm_uniform"), "DPM++ 2M", "sgm_uniform"),
        (("DPM++ 2M SGM Uniform", ""), ("", "karras"), "DPM++ 2M", "karras"),
        (("Euler", "exponential"), ("DPM++ 2M Karras", ""), "DPM++ 2M Karras", ""),
        (("Euler", "exponential"), ("DPM++ 2M", ""), "DPM++ 2M", "exponential"),
        (("Euler Karras", ""), ("DPM++ 2M", ""), "DPM++ 2M", ""),
        (("Euler", ""), ("DPM++ 2M Karras", "beta"), "DPM++ 2M Karras", "beta"),
    ],
)
def test_a_schedule_in_a_samplers_name_is_said_by_whoever_says_the_sampler(
    film: tuple[str, str], own: tuple[str, str], sampler: str, schedule: str
) -> None:
    together = merged(*(RenderOptions(sampler=name, schedule=said) for name, said in (film, own)))
    assert together
    assert (together.sampler, together.schedule) == (sampler, schedule)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_schedule_that_the_engine_reads_in_a_samplers_name_is_taken_out_of_it(name: str, schedule: str) -> None:
    assert without_schedule(name) == name
    for carrying in (f"{name}-{schedule}", f" {name} {schedule.replace('-', ' ').title()} "):
        assert without_schedule(carrying).strip() == name


def test_loras_of_the_shot_win_as_a_whole() -> None:
    together = merged(FULL, RenderOptions(loras=(LoraUse("ink"),)))
    assert together
    assert together.loras == (LoraUse("ink"),)


def test_options_come_from_the_message_as_they_were_written_and_go_back() -> None:
    message = OptionsMessage(checkpoint="juggernaut", guidance=0, layout_strength=0, images=3)
    message.loras.add(name="film-grain")
    message.hires.strength = 0.3
    message.source.image_sha256 = PICTURE
    request = SubmitShotsRequest(film="W", options=message, commercial=True)
    request.shots.add(scene_id="1", shot_number=1).options.steps = 8
    asked = shots_asked(request)
    assert asked.commercial
    assert asked.options == RenderOptions(
        checkpoint="juggernaut",
        guidance=0.0,
        layout_strength=0.0,
        images=3,
        loras=(LoraUse("film-grain", 1.0),),
        hires=HiresFix(1.5, 0.3),
        source=SourceImage(PICTURE, "", 0.6),
    )
    assert asked.shots[0].options == RenderOptions(steps=8)
    job = submitted(replace(submission(*asked.shots), options=asked.options), 0, 101.0)
    told = job_message(job).shot.options
    assert from_message(told, RenderOptions) == replace(asked.options, steps=8)


def test_what_the_engine_takes_for_absent_fields_is_what_we_say() -> None:
    assert asdict(HiresFix()) == asdict(EngineHiresFix())
    assert LoraUse("x").scale == EngineLoraUse("x").scale
    assert SourceImage("x").strength == RenderRequest.strength


def test_options_are_content_and_of_the_jobs_each_has_its_own() -> None:
    plain = submission(shot(1), shot(2, options=RenderOptions(steps=8)))
    filmed = replace(plain, options=RenderOptions(sampler="heun"))
    assert len({each.content_hash for each in (plain, filmed, replace(plain, commercial=True))}) == 3
    jobs: list[Job] = [submitted(replace(filmed, commercial=True), place, 101.0) for place in (0, 1)]
    assert [job.shot.options for job in jobs] == [
        RenderOptions(sampler="heun"),
        RenderOptions(sampler="heun", steps=8),
    ]
    assert all(job.commercial for job in jobs)


async def test_options_that_the_engine_takes_are_accepted_and_what_they_name_is_kept() -> None:
    uploaded = Uploaded()
    await accepts(uploaded)(PROJECT, sized(shot(1, options=FULL)))
    assert uploaded.kept == [PICTURE, MASK]


async def test_pictures_that_many_shots_share_are_looked_for_once() -> None:
    uploaded = Uploaded()
    shots = [shot(number, options=RenderOptions(steps=number)) for number in range(2, 9)]
    await accepts(uploaded)(PROJECT, sized(*shots, film=RenderOptions(source=SourceImage(PICTURE))))
    assert uploaded.kept == [PICTURE]


@pytest.mark.parametrize(
    ("asked", "field", "said"),
    [
        ({"sampler": "eular"}, "sampler", "did you mean 'euler'?"),
        ({"schedule": "kerras"}, "schedule", "did you mean 'karras'?"),
        ({"sampler": "DDIM", "schedule": "karras"}, "schedule", "ddim knows normal"),
        ({"sampler": "DPM++ 2M Karras", "schedule": "exponential"}, "schedule", "'DPM++ 2M Karras' says karras"),
        ({"sampler": "Euler a Karras"}, "sampler", "euler-ancestral knows normal"),
        ({"checkpoint": "sdxl-turbo", "steps": 20}, "steps", "sdxl-turbo is drawn in 1 to 4"),
        ({"loras": (LoraUse("lcm-lora-sdxl"),), "guidance": 7.0}, "guidance", "lcm takes at most 2"),
        ({"hires": HiresFix(4.0)}, "hires.scale", "4096"),
        ({"hires": HiresFix(1.5, 0.01)}, "hires.strength", "of 20 steps it leaves none"),
        ({"layout_strength": 1.5}, "layout_strength", "from 0 to 1"),
        ({"layout_strength": 0.99, "steps": 10}, "layout_strength", "of 10 steps it leaves none"),
        ({"source": SourceImage(PICTURE, strength=0.01)}, "source.strength", "of 20 steps it leaves none"),
        ({"prompt": "a [red:blue:0.5] scarf"}, "prompt", "words that stay from step to step"),
        ({"negative": "[crowd|rain]"}, "negative", "words that stay from step to step"),
        ({"negative": "<lora:grain:1>"}, "negative", "in the prompt"),
        ({"prompt": "<lora:grain:5>"}, "prompt", "scale: a number from -4 to 4"),
        ({"prompt": "<lora:lcm:1>", "guidance": 7.0}, "guidance", "lcm takes at most 2"),
        ({"source": SourceImage(ABSENT)}, "source.image_sha256", "uploaded"),
        ({"source": SourceImage(PICTURE, ABSENT)}, "source.mask_sha256", "uploaded"),
        ({"source": SourceImage(PICTURE, LARGER)}, "source.mask_sha256", "as large as the picture, 64×64"),
    ],
    ids=str,
)
async def test_what_cannot_be_drawn_is_refused_by_the_path_of_its_field(
    asked: dict[str, Any], field: str, said: str
) -> None:
    options = RenderOptions(**asked)
    of_shot = await refusal(shot(1), shot(2, options=options))
    of_film = await refusal(shot(1), shot(2), film=options)
    assert (of_shot.field, of_film.field) == (f"shots[1].options.{field}", f"options.{field}")
    assert said in of_shot.limit


async def test_of_a_film_and_a_shot_that_do_not_agree_the_one_who_said_it_is_named() -> None:
    wrong = await refusal(shot(1, options=RenderOptions(sampler="ddim")), film=RenderOptions(schedule="karras"))
    assert wrong.field == "options.schedule"


async def test_a_schedule_of_the_shot_is_drawn_with_though_the_films_sampler_carries_another() -> None:
    film = RenderOptions(sampler="DPM++ 2M Karras")
    await accepts()(PROJECT, sized(shot(1, options=RenderOptions(schedule="exponential")), film=film))


async def test_a_limit_that_a_shots_lora_brings_is_told_with_the_lora_though_the_film_says_the_value() -> None:
    of_few_steps = RenderOptions(loras=(LoraUse("grain"), LoraUse("lcm-lora-sdxl")))
    wrong = await refusal(shot(1), shot(2, options=of_few_steps), film=RenderOptions(guidance=7.0))
    assert (wrong.field, wrong.value) == ("options.guidance", 7.0)
    assert wrong.limit == "lcm takes at most 2, for the LoRA 'lcm-lora-sdxl'"


async def test_more_of_the_layout_than_img2img_takes_is_for_control_nets() -> None:
    options = RenderOptions(layout_strength=1.5, layout_guide="depth")
    await accepts()(PROJECT, sized(shot(1, options=options)))


@pytest.mark.parametrize("strength", [0.05, 0.2, 0.35, 0.6, 0.95])
@pytest.mark.parametrize("steps", [1, 5, 20])
async def test_as_many_steps_are_taken_as_the_engine_reckons(steps: int, strength: float) -> None:
    options = RenderOptions(steps=steps, source=SourceImage(PICTURE, strength=strength))
    asked = sized(shot(1, options=options))
    if int(steps * strength):
        await accepts()(PROJECT, asked)
    else:
        with pytest.raises(InvalidValue, match="leaves none"):
            await accepts()(PROJECT, asked)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"sampler": "eular"}, "CONTINUITY_SAMPLER: 'eular' is not acceptable; did you mean 'euler'?"),
        ({"schedule": "kerras"}, "CONTINUITY_SCHEDULE: 'kerras' is not acceptable; did you mean 'karras'?"),
        ({"sampler": "ddim", "schedule": "karras"}, "CONTINUITY_SCHEDULE: 'karras' is not acceptable; ddim knows"),
        ({"layout_guide": "a..b"}, "CONTINUITY_LAYOUT_GUIDE: 'a..b' is not acceptable; a name of"),
        ({"identity": "a..b"}, "CONTINUITY_IDENTITY: 'a..b' is not acceptable; a name of"),
        ({"checkpoint": "sdxl-turbo", "steps": 20}, "CONTINUITY_STEPS: 20 is not acceptable; sdxl-turbo is drawn in"),
    ],
    ids=str,
)
def test_a_setting_with_which_every_shot_would_be_refused_is_named(settings: dict[str, Any], said: str) -> None:
    rules = EngineRules(SdxlChoice(Settings(**{"renderer": "sdxl", "identity": "off", **settings})))
    with pytest.raises(InvalidValue) as refused:
        rules.check_settings()
    assert str(refused.value).startswith(said)


@pytest.mark.parametrize("settings", [{}, {"sampler": "ddim"}, {"checkpoint": "sdxl-turbo"}, {"layout_strength": 1.0}])
@pytest.mark.parametrize("renderer", ["previz", "sdxl", "sdxl-tiny"])
def test_settings_that_suit_each_other_are_taken(renderer: Any, settings: dict[str, Any]) -> None:
    EngineRules(SdxlChoice(Settings(renderer=renderer, identity="off", **settings))).check_settings()
