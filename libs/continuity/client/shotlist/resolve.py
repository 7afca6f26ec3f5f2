"""From checked data to values: spellings become words, and shots take over what scene, location and film say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from continuity.client.shotlist.model import Character, Film, Location, Scene, Shot, ShotList
from continuity.client.shotlist.references import FIELDS, Fields, Words, entries, named
from continuity.client.shotlist.render_options import render_options
from continuity.client.shotlist.size import size_of

DEFAULT_STYLE = "cinematic"


def resolve(data: Any, folder: Path, words: Words) -> ShotList:
    """Return the shot list of ``data``, in which nothing is wrong any more."""
    film = _in_words({"style": DEFAULT_STYLE} | data["film"], words)
    locations = tuple(_location(name, fields, folder, words) for _, name, fields in named(data, "locations"))
    places = {location.name: location for location in locations}
    return ShotList(
        film=Film(**_with_size(_with_render(film, folder))),
        characters=tuple(_character(name, fields, folder) for _, name, fields in named(data, "characters")),
        locations=locations,
        scenes=tuple(_scene(fields, film["style"], places, words, folder) for _, fields in entries(data, "scenes")),
    )


def _character(name: str, fields: Fields, folder: Path) -> Character:
    return Character(**(fields | {"name": name, "photo": folder / fields["photo"]}))


def _location(name: str, fields: Fields, folder: Path, words: Words) -> Location:
    photo = folder / fields["photo"] if "photo" in fields else None
    kind = words.find("location_type", fields["type"])
    return Location(**(_in_words(fields, words) | {"name": name, "type": kind, "photo": photo}))


def _scene(fields: Fields, style: str, places: dict[str, Location], words: Words, folder: Path) -> Scene:
    inherited = {key: value for key, value in fields.items() if key in {*FIELDS, "location"}}
    shots = (_with_render(shot, folder) for _, shot in entries(fields, "shots"))
    made = tuple(_shot({"style": style} | inherited | shot, places, words) for shot in shots)
    return Scene(str(fields["id"]), fields.get("title", ""), made)


def _shot(fields: Fields, places: dict[str, Location], words: Words) -> Shot:
    place = places[fields["location"]]
    given: Fields = {"time_of_day": place.time_of_day, "weather": place.weather} | _in_words(fields, words)
    number, characters = int(given.pop("shot")), tuple(given.pop("characters", ()))
    return Shot(number=number, characters=characters, **given)


def _with_render(fields: Fields, folder: Path) -> Fields:
    return fields | {"render": render_options(fields["render"], folder)} if "render" in fields else fields


def _with_size(fields: Fields) -> Fields:
    return fields | {"size": size_of(fields["size"])} if "size" in fields else fields


def _in_words(fields: Fields, words: Words) -> Fields:
    return fields | {field: words.find(field, fields[field]) for field in FIELDS if field in fields}
