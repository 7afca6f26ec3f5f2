from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.prompts.adapters.vocabulary_csv import read_vocabulary
from services.prompts.domain.build import build_prompt
from services.prompts.domain.seeds import derive_seed
from services.prompts.domain.shot import CastMember, Location, Shot

VOCABULARY = read_vocabulary()
SHOT = Shot("1", 2, "medium")
WARD = CastMember("Ward")


def seed_of(shot: Shot, *characters: CastMember, film_seed: int = 0) -> int:
    return build_prompt(shot, characters, Location("Pad", "exterior"), VOCABULARY, film_seed=film_seed).seed


def test_the_derivation_never_changes():
    assert derive_seed(7, ["Ward", "Reyes"], "1", 2) == 3050635249


def test_the_same_people_in_the_same_shot_keep_their_seed_when_words_change():
    changed = replace(SHOT, description="another line", lighting="soft", style="anime")
    assert seed_of(SHOT, WARD) == seed_of(changed, replace(WARD, clothing="red coat"))


def test_film_cast_scene_and_shot_each_change_the_seed():
    seeds = [
        seed_of(SHOT, WARD),
        seed_of(SHOT, WARD, film_seed=1),
        seed_of(SHOT),
        seed_of(replace(SHOT, scene_id="12"), WARD),
        seed_of(replace(SHOT, shot_number=22), WARD),
    ]
    assert len(set(seeds)) == len(seeds)


def test_a_seed_in_the_shot_wins():
    assert seed_of(replace(SHOT, seed=0), WARD) == 0


@given(st.integers(), st.lists(st.text()), st.text(), st.integers())
def test_a_seed_has_32_bits_and_no_order_of_names(film_seed, names, scene, shot):
    seed = derive_seed(film_seed, names, scene, shot)
    assert 0 <= seed < 2**32
    assert seed == derive_seed(film_seed, reversed(names), scene, shot)
