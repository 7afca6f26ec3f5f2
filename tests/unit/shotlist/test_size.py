"""The size that a film asks for."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("aspect", [None, "16:9", "7:4"])
@pytest.mark.parametrize("written", ["1344x768", "1344×768"])
def test_a_film_may_say_the_size_of_its_pictures(read, film, written, aspect):
    film["film"] |= {"size": written} | ({"aspect": aspect} if aspect else {})
    assert read(film).film.size == (1344, 768)


@pytest.mark.parametrize("written", ["256x256", "2048x2048", "256x2048"])
def test_sides_go_from_256_to_2048(read, film, written):
    film["film"]["size"] = written
    assert str(read(film).film.size) == written


def test_a_table_has_the_size_in_the_row_of_the_film(read):
    table = "kind,name,title,size,scene,shot,shot_type,description,type,location\n"
    table += "film,,Test,1024x1024,,,,,,\nlocation,Pad,,,,,,a pad,exterior,\nshot,,,,a,1,wide,one,,Pad\n"
    assert read(table, ".csv").film.size == (1024, 1024)


@pytest.mark.parametrize(
    ("size", "nearest"),
    [
        ("1340x768", "1344x768"),
        ("1344x200", "1344x256"),
        ("2056x768", "2048x768"),
        ("4096x99999", "2048x2048"),
        ("999999999x99999999", "2048x2048"),
    ],
)
def test_sides_that_cannot_be_drawn_are_refused_with_the_limit_and_the_nearest_size(refuse, film, size, nearest):
    film["film"] |= {"size": size}
    (problem,) = refuse(film)
    assert (problem.path, problem.suggestion) == ("film.size", nearest)
    assert problem.message == f"{size!r}: sides are multiples of 8 from 256 to 2048 px"


@pytest.mark.parametrize(
    "size", ["big", "1344", "1344 x 768", "-8x8", "1344.0x768", "1x2x3", "0x768", "1344x" + "9" * 30]
)
def test_what_is_no_size_is_refused_saying_what_one_is(refuse, film, size):
    film["film"]["size"] = size
    (problem,) = refuse(film)
    assert problem.path == "film.size"
    assert "does not fit" in problem.message or "the most" in problem.message


@pytest.mark.parametrize("size", [1344, [1344, 768]])
def test_numbers_are_no_size(refuse, film, size):
    film["film"]["size"] = size
    (problem,) = refuse(film)
    assert problem.message.startswith("expected text")


@pytest.mark.parametrize(
    ("size", "aspect", "meant"),
    [
        ("1344x768", "1.85:1", "1344x728"),
        ("1344x768", "9:16", "432x768"),
        ("1024x1024", "16:9", "1024x576"),
        ("1024x1024", "40:1", None),
    ],
)
def test_a_size_that_the_films_aspect_contradicts_is_refused_at_its_place(refuse, film, size, aspect, meant):
    film["film"] |= {"size": size, "aspect": aspect}
    (problem,) = refuse(film)
    assert (problem.path, problem.suggestion) == ("film.size", meant)
    assert f"film.aspect is {aspect!r}; give one" in problem.message
    assert problem.line == 1
    assert problem.column > 1


def test_a_wrong_aspect_is_told_alone(refuse, film):
    film["film"] |= {"size": "1344x768", "aspect": "wide"}
    assert [problem.path for problem in refuse(film)] == ["film.aspect"]
