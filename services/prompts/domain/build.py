"""From a shot to its prompt: camera, people, what happens, place, light, mood, composition, all within the style."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from services.prompts.domain.grammar import bare, emphasised, literal, phrases, without_repeats
from services.prompts.domain.seeds import derive_seed
from services.prompts.domain.shot import CastMember, Location, Shot
from services.prompts.domain.vocabulary import Emphasis, Kind, Style, Vocabulary

EVERY_SHOT_AVOIDS = (
    "low quality, blurry, jpeg artifacts, watermark, signature, caption text, logo, picture border, split screen, "
    "bad anatomy, deformed hands, extra fingers, extra limbs, distorted face, duplicated person"
)


@dataclass(frozen=True)
class Part:
    """A stretch of the prompt and the field that it comes from, e.g. ``characters[0].hair``."""

    field: str
    text: str


@dataclass(frozen=True)
class BuiltPrompt:
    """A prompt in AUTOMATIC1111's grammar. ``text`` is the texts of ``parts`` joined with nothing between them."""

    text: str
    negative: str
    parts: tuple[Part, ...]
    seed: int


def build_prompt(
    shot: Shot, characters: Sequence[CastMember], location: Location, vocabulary: Vocabulary, *, film_seed: int = 0
) -> BuiltPrompt:
    """Return the prompt of ``shot``; the same values always give the same one. Raises ``UnknownWord``.

    No phrase is said twice (case aside), but for traits that two characters share: each needs its own.
    """
    style = vocabulary.style(shot.style)
    parts = _within(style, [*_body(shot, characters, location, vocabulary, style)])
    return BuiltPrompt(
        text="".join(part.text for part in parts),
        negative=_negative(shot, style),
        parts=parts,
        seed=_seed(shot, characters, film_seed),
    )


def _seed(shot: Shot, characters: Sequence[CastMember], film_seed: int) -> int:
    if shot.seed is not None:
        return shot.seed
    return derive_seed(film_seed, (one.name for one in characters), shot.scene_id, shot.shot_number)


def _body(
    shot: Shot, characters: Sequence[CastMember], location: Location, vocabulary: Vocabulary, style: Style
) -> Iterator[Part]:
    said = {bare(phrase) for side in style.around() for phrase in phrases(side)}
    framing = vocabulary.term(Kind.SHOT_TYPE, shot.shot_type)
    yield from _fresh([("shot_type", framing.phrase)], said)
    if shot.camera_angle:
        yield from _fresh([("camera_angle", vocabulary.term(Kind.CAMERA_ANGLE, shot.camera_angle).phrase)], said)
    for index, character in enumerate(characters):
        seen: set[str] = set()
        yield from _subject(f"characters[{index}]", character, framing.emphasis, seen)
        said |= seen
    yield from _fresh([("action", literal(shot.action)), ("description", literal(shot.description))], said)
    yield from _fresh(_setting(shot, location, vocabulary), said)


def _subject(field: str, who: CastMember, emphasis: Emphasis, said: set[str]) -> Iterator[Part]:
    in_frame = 1.0 if emphasis.clothing else 0.0
    traits = (
        ("name", who.name, 1.0),
        ("description", who.description, 1.0),
        ("face", who.face, emphasis.face),
        ("skin", who.skin, emphasis.face and 1.0),
        ("distinctive", who.distinctive, emphasis.face),
        ("hair", who.hair, emphasis.hair),
        ("body", who.body, in_frame),
        ("clothing", who.clothing, emphasis.clothing),
        ("accessories", who.accessories, in_frame),
    )
    for trait, text, weight in traits:
        if weight and bare(text) != "unknown":
            yield from _fresh([(f"{field}.{trait}", literal(text))], said, weight)


def _setting(shot: Shot, location: Location, vocabulary: Vocabulary) -> Iterator[tuple[str, str]]:
    place = vocabulary.term(Kind.LOCATION_TYPE, location.type)
    yield "location.type", place.phrase
    yield "location.name", literal(location.name)
    yield "location.description", literal(location.description)
    words = (
        (Kind.TIME_OF_DAY, shot.time_of_day),
        (Kind.WEATHER, shot.weather),
        (Kind.LIGHTING, shot.lighting),
        (Kind.MOOD, shot.mood),
        (Kind.COMPOSITION, shot.composition),
    )
    for kind, word in words:
        if word:
            yield kind.value, vocabulary.term(kind, word).says(indoors=place.word == "interior")


def _fresh(text_by_field: Iterable[tuple[str, str]], said: set[str], weight: float = 1.0) -> Iterator[Part]:
    for field, text in text_by_field:
        if fresh := without_repeats(phrases(text), said):
            yield Part(field, emphasised(", ".join(fresh), weight))


def _within(style: Style, body: Sequence[Part]) -> tuple[Part, ...]:
    before, after = style.around()
    joined = [Part(part.field, part.text if index == 0 else f", {part.text}") for index, part in enumerate(body)]
    return tuple(part for part in (Part("style", before), *joined, Part("style", after)) if part.text)


def _negative(shot: Shot, style: Style) -> str:
    avoided = [*phrases(EVERY_SHOT_AVOIDS), *phrases(style.negative), *phrases(literal(shot.negative))]
    return ", ".join(without_repeats(avoided, set()))
