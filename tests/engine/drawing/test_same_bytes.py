"""A request's bytes are its own: whoever shares its batch, whichever slot it has, whoever leaves on the way."""

import random

import numpy as np
import pytest
import torch

from engine.drawing import conditions, evaluation
from engine.drawing.loop import reference_loop
from engine.errors import NotAPicture
from engine.work import Finished, Picture

KINDS = [
    {},
    {"sampler": "euler-a", "schedule": "normal", "steps": 4},
    {"guidance": 1.0},
    {"prompt": "a harbour, " * 40, "steps": 2},
    {"rescale": 0.7, "width_px": 256, "height_px": 256},
    {"images": 2, "steps": 2},
    {"image": True, "strength": 0.7},
    {"image": True, "mask": True, "strength": 1.0, "sampler": "euler-a", "schedule": "normal"},
]


@pytest.fixture
def requests(prepared, photograph):
    """Two requests of each kind."""
    mask = np.zeros(photograph.shape[:2], np.uint8)
    mask[20:90, 30:200] = 255
    pictures = {"image": photograph, "mask": mask}
    made = []
    for number, kind in enumerate(KINDS * 2):
        told = {name: pictures[name] if value is True else value for name, value in kind.items()}
        made.append(prepared(id=str(number), seed=1000 + number, **told))
    return made


def chosen(works, drawer, randomness):
    """Any work, with any others that may share its batch, in any order."""
    first = randomness.choice(list(works.values()))
    unit = first.next
    company = [each for each in works.values() if each is not first and each.next.group == unit.group]
    if unit.group is None:
        return [first]
    together = [first, *randomness.sample(company, min(len(company), drawer.slots(unit.group) - 1))]
    randomness.shuffle(together)
    return together


def test_company_order_and_cancelling_change_no_byte(drawer, requests):
    alone = {each.request.id: [p.pixels for p in reference_loop(drawer, each)] for each in requests}
    randomness = random.Random(1)
    waiting = randomness.sample(requests, len(requests))
    works, drawn, largest = {}, {}, 0
    while works or waiting:
        while waiting and len(works) < 8:
            work = drawer.begin(waiting.pop())
            works[work.id] = work
        together = chosen(works, drawer, randomness)
        largest = max(largest, len(together))
        for work, outcome in zip(together, drawer.run(together), strict=True):
            drawn.setdefault(work.id, []).extend(each.pixels for each in outcome if isinstance(each, Picture))
            is_cancelled = work.id in ("0", "3", "8") and randomness.random() < 0.2
            if is_cancelled or any(isinstance(each, Finished) for each in outcome):
                work.close()
                del works[work.id]
    assert largest > 1
    assert any(len(drawn[name]) == len(alone[name]) for name in alone)
    for name, pixels in drawn.items():
        for mine, other in zip(pixels, alone[name], strict=False):
            assert np.array_equal(mine, other), name


def test_each_slot_gives_the_same_bytes(drawer, prepared):
    (reference,) = reference_loop(drawer, prepared(seed=9))
    for slot in range(4):
        works = [drawer.begin(prepared(id=str(each), seed=9 if each == slot else each + 50)) for each in range(4)]
        assert drawer.slots(works[0].next.group) == 1
        told = []
        for work in works:
            drawer.run([work])
            drawer.run([work])
        while works[0].next.phase == "step":
            assert drawer.slots(works[0].next.group) == 4
            drawer.run(works)
        (told,) = drawer.run([works[slot]])
        assert np.array_equal(told[0].pixels, reference.pixels)


def test_a_request_that_goes_wrong_goes_wrong_alone(drawer, prepared):
    (reference,) = reference_loop(drawer, prepared(seed=3))
    works = [drawer.begin(prepared(seed=3)), drawer.begin(prepared(id="wrong", guidance=1e38))]
    for work in works:
        drawer.run([work])
        drawer.run([work])
    while works[0].next.phase == "step":
        outcomes = drawer.run(works)
    assert isinstance(outcomes[1], NotAPicture)
    ((picture, _finished),) = drawer.run(works[:1])
    assert np.array_equal(picture.pixels, reference.pixels)


def test_what_goes_wrong_in_the_evaluation_is_everybodys_error_and_the_next_request_is_drawn(
    drawer, prepared, monkeypatch
):
    works = [drawer.begin(prepared(id=str(seed), seed=seed)) for seed in (1, 2)]
    for work in works:
        drawer.run([work])
        drawer.run([work])
    with monkeypatch.context() as broken:
        broken.setattr(evaluation, "_halved", lambda *_: 1 / 0)
        outcomes = drawer.run(works)
    assert [type(each) for each in outcomes] == [ZeroDivisionError] * 2
    assert len(reference_loop(drawer, prepared())) == 1


def test_a_sticky_error_of_the_device_is_not_one_requests(drawer, prepared, monkeypatch):
    work = drawer.begin(prepared())
    drawer.run([work])

    def broken(*_, **__):
        raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(conditions, "encode", broken)
    with pytest.raises(torch.AcceleratorError):
        drawer.run([work])
