import subprocess
import sys
from typing import Any

import pytest

from engine.errors import Refused
from engine.samplers import POSSIBLE, chosen, sampler

USUAL = [
    ("Euler", None, ("euler", "normal")),
    ("Euler a", None, ("euler-ancestral", "normal")),
    ("DPM++ 2M Karras", None, ("dpmpp-2m", "karras")),
    ("DPM++ 2M", "Normal", ("dpmpp-2m", "normal")),
    ("DPM++ 2M Karras", "k", ("dpmpp-2m", "karras")),
    ("Euler Exponential", "Automatic", ("euler", "exponential")),
    ("DPM++ 2M SDE Exponential", None, ("dpmpp-2m-sde", "exponential")),
    ("DPM++ SDE", "Karras", ("dpmpp-sde", "karras")),
    ("dpmpp_2m_sde", "sgm_uniform", ("dpmpp-2m-sde", "sgm-uniform")),
    ("DDIM", None, ("ddim", "normal")),
    ("UniPC", "trailing", ("unipc", "sgm-uniform")),
    ("LCM", None, ("lcm", "normal")),
    ("Heun", "SGM Uniform", ("heun", "sgm-uniform")),
    ("DPM++ 2M SDE Karras", None, ("dpmpp-2m-sde", "karras")),
    (" dpm++  2m   sde ", "AUTOMATIC", ("dpmpp-2m-sde", "karras")),
    ("DPM++ 2M SGM Uniform", None, ("dpmpp-2m", "sgm-uniform")),
    ("Euler", "Automatic", ("euler", "normal")),
    ("Euler", "Simple", ("euler", "sgm-uniform")),
    ("DDIM", "ddim_uniform", ("ddim", "normal")),
    ("k_euler_ancestral", None, ("euler-ancestral", "normal")),
    ("k_dpmpp_2m", None, ("dpmpp-2m", "karras")),
    ("dpmpp_2m_sde_k", None, ("dpmpp-2m-sde", "karras")),
    ("euler_k", None, ("euler", "karras")),
    ("dpmpp_2m_sde_gpu", None, ("dpmpp-2m-sde", "karras")),
    ("uni_pc_bh2", None, ("unipc", "normal")),
]


@pytest.mark.parametrize(("name", "schedule", "own"), USUAL)
def test_a_usual_name_is_understood(name: str, schedule: str | None, own: tuple[str, str]) -> None:
    assert chosen(name, schedule) == own


@pytest.mark.parametrize("name", POSSIBLE)
def test_our_own_names_stay_as_they_are(name: str) -> None:
    assert [chosen(name, schedule) for schedule in POSSIBLE[name]] == [(name, each) for each in POSSIBLE[name]]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("eulre", "euler"),
        ("DPM++ 2N", "dpmpp-2m"),
        ("Unipcc", "unipc"),
        ("DPM++ 3M SDE", "dpmpp-2m-sde"),
        ("DPM++ 2M Karas", "dpmpp-2m-karras"),
        ("eular SGM unifrom", "euler-sgm-uniform"),
        ("LCM Karas", "lcm"),
    ],
)
def test_an_unknown_sampler_is_refused_with_the_nearest_name(name: str, nearest: str) -> None:
    with pytest.raises(Refused, match=rf"^sampler: '.*' is not acceptable; did you mean '{nearest}'\?"):
        chosen(name)


@pytest.mark.parametrize("name", ["Restart", "LMS", "LMS Karras", "DPM2 Karras"])
def test_another_sampler_is_not_taken_for_a_slip(name: str) -> None:
    with pytest.raises(Refused, match="is not acceptable; known are ddim, dpmpp-2m, "):
        chosen(name)


def test_an_empty_name_is_refused() -> None:
    with pytest.raises(Refused, match="sampler: ''"):
        chosen("")


def test_an_unknown_schedule_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(Refused, match=r"schedule: 'karas' .*did you mean 'karras'\?"):
        chosen("euler", "karas")


def test_a_schedule_that_a_sampler_lacks_is_refused_with_what_it_has() -> None:
    with pytest.raises(
        Refused, match="schedule: 'karras' is not acceptable; euler-ancestral knows normal, sgm-uniform"
    ):
        chosen("Euler a", "karras")


def test_a_schedule_is_refused_in_the_words_that_it_was_asked_for_in() -> None:
    with pytest.raises(Refused, match=r"^schedule: 'SGM Uniform' .*lcm knows normal"):
        chosen("LCM", "SGM Uniform")
    with pytest.raises(Refused, match=r"^sampler: 'Euler a Karras' .*euler-ancestral knows normal, sgm-uniform"):
        chosen("Euler a Karras")


@pytest.mark.parametrize("schedule", ["exponential", "Simple", "normal"])
def test_a_schedule_that_contradicts_the_samplers_name_is_refused(schedule: str) -> None:
    with pytest.raises(Refused, match=f"^schedule: '{schedule}' .*'DPM\\+\\+ 2M Karras' says karras"):
        chosen("DPM++ 2M Karras", schedule)


@pytest.mark.parametrize(
    ("name", "steps"), [("euler", 0), ("euler", 10_000), ("lcm", 51), ("ddim", -1), ("heun", 1000)]
)
def test_a_number_of_steps_that_a_sampler_cannot_take_is_refused(name: str, steps: int, config: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=f"steps: {steps} "):
        sampler(name, None, steps, config, 0)


def test_a_strength_that_leaves_no_step_is_refused(config: dict[str, Any]) -> None:
    with pytest.raises(Refused, match=r"strength: 0\.04 .*of 20 steps"):
        sampler("euler", "normal", 20, config, 0, strength=0.04)


def test_checking_names_does_not_import_torch() -> None:
    script = "import sys; from engine.samplers import chosen; chosen('Euler a'); sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", script], env={"PYTHONPATH": ":".join(sys.path)}, check=True)
