"""References change what they cover and nothing else, whoever shares the batch."""

import copy
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from diffusers.models.attention_processor import AttnProcessor2_0
from transformers import CLIPImageProcessorPil

from engine.errors import ModelUnusable, Refused
from engine.identity import SLOTS, Identities, Identity, install
from engine.identity.adapter import Adapter
from engine.identity.attention import places
from engine.identity.pictures import clip_input, mask_at, squared
from engine.request import Reference, RenderRequest

FILE = "ip-adapter-plus-face_sdxl_vit-h.safetensors"
SIDE = 32
PLENTY = 1 << 30


def seen_bytes(checkpoint):
    """What one picture takes: keys and values of two halves and 16 tokens in each layer, float32."""
    return 2 * 2 * 16 * sum(each.stop - each.start for each in places(checkpoint.unet).values()) * 4


def asked(*references, commercial=False):
    return RenderRequest("1", "tiny", "two people", references=references, commercial=commercial)


@pytest.fixture
def identities(shelf):
    return Identities(shelf, PLENTY)


@pytest.fixture
def two(identities, checkpoint, people, halves):
    """Two people side by side."""
    request = asked(Reference(0, 0.7, 0, "face"), Reference(1, 0.4, 1, "face"))
    return identities.of(checkpoint, request, people, halves)


def inputs(rows, seed=0):
    made = torch.Generator().manual_seed(seed)
    return {
        "sample": torch.randn(rows, 4, SIDE, SIDE, generator=made),
        "timestep": torch.full((rows,), 500.0),
        "encoder_hidden_states": torch.randn(rows, 77, 56, generator=made),
        "added_cond_kwargs": {
            "text_embeds": torch.randn(rows, 40, generator=made),
            "time_ids": torch.full((rows, 6), 256.0),
        },
    }


@torch.no_grad()
def drawn(checkpoint, given, references=None):
    return checkpoint.unet(**given, cross_attention_kwargs=references, return_dict=False)[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_without_references_the_bytes_are_those_of_stock_attention(checkpoint, dtype):
    checkpoint.unet.to(dtype)
    given = inputs(2)
    given = {name: each if isinstance(each, dict) else each.to(dtype) for name, each in given.items()}
    given["added_cond_kwargs"] = {name: each.to(dtype) for name, each in given["added_cond_kwargs"].items()}
    checkpoint.unet.set_attn_processor(AttnProcessor2_0())
    stock = drawn(checkpoint, given)
    install(checkpoint.unet)
    assert torch.equal(drawn(checkpoint, given), stock)


def test_references_change_the_picture(checkpoint, two):
    install(checkpoint.unet)
    given = inputs(2)
    batch = Identity.batch([two], 1, True, SIDE, SIDE)
    assert (drawn(checkpoint, given, batch) - drawn(checkpoint, given)).abs().mean() > 1e-3


def test_a_reference_of_scale_zero_adds_exactly_nothing(checkpoint, identities, people):
    install(checkpoint.unet)
    given = inputs(2)
    nobody = identities.of(checkpoint, asked(Reference(0, 0.0, None, "face")), people, [])
    for each in (nobody, identities.empty(checkpoint)):
        assert torch.equal(
            drawn(checkpoint, given, Identity.batch([each], 1, True, SIDE, SIDE)), drawn(checkpoint, given)
        )


def test_a_mask_that_is_black_everywhere_adds_exactly_nothing(checkpoint, identities, people):
    install(checkpoint.unet)
    given = inputs(2)
    black = [np.zeros((256, 256), np.uint8)]
    nobody = identities.of(checkpoint, asked(Reference(0, 0.9, 0, "face")), people, black)
    assert torch.equal(
        drawn(checkpoint, given, Identity.batch([nobody], 1, True, SIDE, SIDE)), drawn(checkpoint, given)
    )


def test_who_else_is_in_the_batch_changes_no_bytes(checkpoint, identities, two, people, halves):
    install(checkpoint.unet)
    other = identities.of(checkpoint, asked(Reference(2, 1.0, None, "plus")), people, halves)
    mine, theirs = inputs(2, seed=1), inputs(2, seed=2)
    zeros = {name: torch.zeros_like(each) for name, each in mine.items() if name != "added_cond_kwargs"}
    zeros["added_cond_kwargs"] = {name: torch.zeros_like(each) for name, each in mine["added_cond_kwargs"].items()}

    def rows(*slots):
        """Four slots of two rows each, all first rows before all second ones."""

        def joined(name, of=lambda each: each):
            tensors = [of(each)[name] for each in slots]
            return torch.cat([tensor[half : half + 1] for half in (0, 1) for tensor in tensors])

        added = {name: joined(name, lambda each: each["added_cond_kwargs"]) for name in mine["added_cond_kwargs"]}
        return {name: joined(name) for name in zeros if name != "added_cond_kwargs"} | {"added_cond_kwargs": added}

    alone = drawn(checkpoint, rows(mine, zeros, zeros, zeros), Identity.batch([two], 4, True, SIDE, SIDE))
    companies = [
        ((mine, theirs, mine, zeros), [two, other, other]),
        ((mine, theirs, theirs, theirs), [two, None, other, two]),
    ]
    for slots, who in companies:
        crowd = drawn(checkpoint, rows(*slots), Identity.batch(who, 4, True, SIDE, SIDE))
        assert torch.equal(crowd[[0, 4]], alone[[0, 4]])
        assert not torch.equal(crowd[[1, 5]], alone[[1, 5]])


@pytest.mark.parametrize("guided", [True, False])
@pytest.mark.parametrize("slots", [1, 4])
def test_tensors_have_one_shape_however_many_people_there_are(
    identities, checkpoint, people, halves, two, guided, slots
):
    one = identities.of(checkpoint, asked(Reference(0, 0.7, None, "face")), people, [])
    batches = [Identity.batch([each], slots, guided, 24, 40) for each in (one, two, identities.empty(checkpoint))]
    shapes = [{name: tuple(each.shape) for name, each in batch.items()} for batch in batches]
    assert shapes[0] == shapes[1] == shapes[2]
    rows = slots * (2 if guided else 1)
    assert shapes[0]["reference_shares"] == (rows, 2, SLOTS, 24 * 40)
    assert shapes[0]["reference_keys"][:3] == (rows, SLOTS, 16)


def test_a_person_acts_only_inside_the_mask(two, halves):
    shares = two.shares(SIDE, SIDE)
    border = 110 // 8
    for level, side in ((0, SIDE), (1, SIDE // 2)):
        first, second = shares[level, :2, : side * side].unflatten(-1, (side, side))
        edge = border * side // SIDE
        assert torch.allclose(first[:, : edge - 1], torch.tensor(0.7)), "inside the first one's mask"
        assert torch.equal(first[:, edge + 3 :], torch.zeros_like(first[:, edge + 3 :]))
        assert torch.allclose(second[:, edge + 3 :], torch.tensor(0.4))
        assert torch.equal(second[:, : edge - 2], torch.zeros_like(second[:, : edge - 2]))
    assert torch.equal(shares[:, 2:], torch.zeros_like(shares[:, 2:]))


def test_levels_of_odd_sides_have_as_many_positions_as_the_denoisers(checkpoint, identities, people, halves):
    install(checkpoint.unet)
    person = identities.of(checkpoint, asked(Reference(0, 0.7, 0, "face")), people, halves)
    given = inputs(2)
    given["sample"] = torch.randn(2, 4, 19, 33, generator=torch.Generator().manual_seed(0))
    assert drawn(checkpoint, given, Identity.batch([person], 1, True, 19, 33)).shape == (2, 4, 19, 33)
    assert [each.numel() for each in mask_at(halves[0], 19, 33, 3)] == [19 * 33, 10 * 17, 5 * 9]


def test_pictures_are_what_clips_own_preprocessing_makes_of_a_square(people):
    stock = CLIPImageProcessorPil(size={"shortest_edge": 224}, crop_size=224)
    for picture in people:
        wanted = stock([squared(picture)], return_tensors="pt").pixel_values
        torch.testing.assert_close(clip_input(picture, 224), wanted, atol=1e-5, rtol=0)


def test_padding_keeps_the_whole_picture(people):
    tall, _, wide = people
    assert np.array_equal(squared(tall)[:, 15:75], tall)
    assert np.array_equal(squared(wide)[35:85], wide)
    assert clip_input(np.zeros((10, 100, 3), np.uint8), 20)[0, :, 0].abs().max() < 0.02


def test_two_adapters_share_their_encoder_and_may_meet_in_one_request(identities, checkpoint, people):
    both = identities.of(
        checkpoint, asked(Reference(0, 0.5, None, "face"), Reference(0, 0.5, None, "plus")), people, []
    )
    assert not torch.equal(both.keys[:, 0], both.keys[:, 1])
    assert set(both.sha256) == {"face", "plus", "encoder"}
    assert len(identities._adapters._encoders) == 1


def test_the_least_recently_used_adapter_leaves(shelf, checkpoint, people):
    identities = Identities(shelf, 1)
    face, plus = asked(Reference(0, 0.5, None, "face")), asked(Reference(0, 0.5, None, "plus"))
    first = identities.of(checkpoint, face, people, [])
    assert identities.wanted_bytes(checkpoint, face) == 0
    identities.of(checkpoint, plus, people, [])
    assert identities.wanted_bytes(checkpoint, plus) == 0
    assert identities.wanted_bytes(checkpoint, face) > 0
    assert torch.equal(identities.of(checkpoint, face, people, []).keys, first.keys)


def test_what_is_to_be_loaded_is_known_beforehand(identities, checkpoint, people):
    face, plus = asked(Reference(0, 0.5, None, "face")), asked(Reference(0, 0.5, None, "plus"))
    before = identities.wanted_bytes(checkpoint, face)
    identities.of(checkpoint, face, people, [])
    assert before == identities.weight_bytes
    assert identities.wanted_bytes(checkpoint, face) == 0
    assert 0 < identities.wanted_bytes(checkpoint, plus) < before, "they share the encoder"
    assert identities.wanted_bytes(checkpoint, asked()) == 0


def test_adapters_are_given_up_and_what_they_saw_stays(identities, checkpoint, people):
    face = asked(Reference(0, 0.5, None, "face"))
    before = identities.wanted_bytes(checkpoint, face)
    seen = identities.of(checkpoint, face, people, [])
    identities.give_up()
    assert identities.weight_bytes == 0
    assert identities.wanted_bytes(checkpoint, face) == before, "the encoder has gone too"
    assert torch.equal(identities.of(checkpoint, face, people, []).keys, seen.keys)


@pytest.fixture
def looks(monkeypatch):
    """Which pictures adapters were shown, by their shapes."""
    shown, seen = [], Adapter.seen
    monkeypatch.setattr(Adapter, "seen", lambda self, picture: shown.append(picture.shape) or seen(self, picture))
    return shown


NAMES = ["a" * 64, "b" * 64, "c" * 64]


def test_a_picture_is_looked_at_once_by_each_adapter_and_gives_the_same_bytes(identities, checkpoint, people, looks):
    face, plus = asked(Reference(1, 0.5, None, "face")), asked(Reference(1, 0.5, None, "plus"))
    first, again, other = (identities.of(checkpoint, each, people, [], NAMES) for each in (face, face, plus))
    assert looks == [people[1].shape] * 2
    assert torch.equal(first.keys, again.keys)
    assert torch.equal(first.values, again.values)
    assert first.sha256 == again.sha256
    assert not torch.equal(first.keys, other.keys)


def test_a_picture_without_a_name_is_looked_at_each_time(identities, checkpoint, people, looks):
    for _ in range(2):
        identities.of(checkpoint, asked(Reference(1, 0.5, None, "face")), people, [])
    assert len(looks) == 2
    assert identities.seen_bytes == 0


def test_for_pictures_that_are_known_no_adapter_is_loaded(shelf, checkpoint, people, looks):
    identities = Identities(shelf, 8 * 2 * seen_bytes(checkpoint))
    face, plus = (asked(Reference(0, 0.5, None, name)) for name in ("face", "plus"))
    for each in (face, plus):
        identities.of(checkpoint, each, people, [], NAMES)
    assert identities.wanted_bytes(checkpoint, face, NAMES) == 0 < identities.wanted_bytes(checkpoint, face)
    identities.of(checkpoint, face, people, [], NAMES)
    assert identities.wanted_bytes(checkpoint, face) > 0
    assert len(looks) == 2


def test_the_licence_counts_for_pictures_that_are_known_too(identities, shelf, checkpoint, people):
    face = Reference(0, 0.5, None, "face")
    identities.of(checkpoint, asked(face), people, [], NAMES)
    shelf.held["encoder"] = replace(shelf.held["encoder"], commercial=False)
    with pytest.raises(Refused, match="forbids commercial use"):
        identities.of(checkpoint, asked(face, commercial=True), people, [], NAMES)


def test_what_was_seen_is_bounded_and_the_longest_unused_leaves(shelf, checkpoint, people, looks):
    one = seen_bytes(checkpoint)
    identities = Identities(shelf, 8 * 2 * one)
    for picture in (0, 1, 0, 2, 0, 1):
        identities.of(checkpoint, asked(Reference(picture, 0.5, None, "face")), people, [], NAMES)
        assert identities.seen_bytes <= 2 * one
    assert looks == [people[each].shape for each in (0, 1, 2, 1)]
    identities.give_up()
    assert identities.seen_bytes == 0


def test_however_small_they_are_few_are_kept(shelf, checkpoint, people, looks, monkeypatch):
    monkeypatch.setattr("engine.identity.identities._MOST_SIGHTS", 2)
    identities = Identities(shelf, 1 << 40)
    for picture in (0, 1, 0, 2, 0, 1):
        identities.of(checkpoint, asked(Reference(picture, 0.5, None, "face")), people, [], NAMES)
    assert identities.seen_bytes == 2 * seen_bytes(checkpoint)
    assert looks == [people[each].shape for each in (0, 1, 2, 1)]


def test_another_image_encoder_sees_something_else(identities, shelf, checkpoint, people, looks):
    face = asked(Reference(0, 0.5, None, "face"))
    identities.of(checkpoint, face, people, [], NAMES)
    shelf.held["encoder"] = replace(shelf.held["encoder"], files={**shelf.held["encoder"].files, "more.json": "0" * 64})
    assert identities.wanted_bytes(checkpoint, face, NAMES) > 0


def test_a_request_without_references_has_no_identity(identities, checkpoint):
    assert identities.of(checkpoint, asked(), [], []) is None


def test_an_adapter_for_another_base_is_named_with_its_first_key(identities, checkpoint, people, tiny):
    narrow = copy.copy(checkpoint.unet)
    other = replace(checkpoint, unet=narrow)
    other.unet.register_to_config(cross_attention_dim=999)
    try:
        with pytest.raises(ModelUnusable, match=r"'face'.*ip_adapter\.1\.to_k_ip\.weight.*\(16, 56\).*\(16, 999\)"):
            identities.of(other, asked(Reference(0, 0.5, None, "face")), people, [])
    finally:
        checkpoint.unet.register_to_config(cross_attention_dim=56)


def test_a_file_that_is_no_adapter_is_refused(shelf, checkpoint, people, adapter_folder, tmp_path):
    (tmp_path / "encoder").mkdir()
    path = tmp_path / "encoder" / "model.safetensors"
    path.write_bytes((adapter_folder / "encoder" / "model.safetensors").read_bytes())
    shelf.held["face"] = replace(shelf.held["face"], path=path.parent, files={})
    with pytest.raises(ModelUnusable, match=r"'face'.*no IP-Adapter of the plus kind"):
        Identities(shelf, 0).of(checkpoint, asked(Reference(0, 0.5, None, "face")), people, [])


@pytest.mark.parametrize(
    ("name", "file"), [("face", FILE), ("encoder", "config.json"), ("encoder", "model.safetensors")]
)
def test_what_was_replaced_on_disk_is_refused(shelf, checkpoint, people, adapter_folder, tmp_path, name, file):
    shutil.copytree(adapter_folder / name, tmp_path / name)
    content = (adapter_folder / name / file).read_bytes()
    (tmp_path / name / file).write_bytes(content[:-1] + (b"\0" if file == FILE else b"  "))
    shelf.held[name] = replace(shelf.held[name], path=tmp_path / name)
    with pytest.raises(ModelUnusable, match=f"'{name}'.*{file} is not what was installed"):
        Identities(shelf, 0).of(checkpoint, asked(Reference(0, 0.5, None, "face")), people, [])


def test_an_encoder_in_the_adapters_own_folder_is_verified_too(shelf, checkpoint, people, adapter_folder, tmp_path):
    shutil.copytree(adapter_folder / "face", tmp_path / "face")
    shutil.copytree(adapter_folder / "encoder", tmp_path / "face" / "image_encoder")
    inner = {f"image_encoder/{name}": digest for name, digest in shelf.held["encoder"].files.items()}
    entry = shelf.held["face"]
    shelf.held["face"] = replace(entry, path=tmp_path / "face", files={**entry.files, **inner})
    request = asked(Reference(0, 0.5, None, "face"))
    assert Identities(shelf, 0).of(checkpoint, request, people, []) is not None
    (tmp_path / "face" / "image_encoder" / "config.json").write_text("{}")
    with pytest.raises(ModelUnusable, match=r"config\.json is not what was installed"):
        Identities(shelf, 0).of(checkpoint, request, people, [])


def test_an_adapter_without_its_encoder_says_which_one_it_wants(shelf, checkpoint, people):
    del shelf.held["encoder"]
    with pytest.raises(ModelUnusable, match="no image encoder of width 32 is installed"):
        Identities(shelf, 0).of(checkpoint, asked(Reference(0, 0.5, None, "face")), people, [])


@pytest.mark.parametrize("name", ["face", "encoder"])
def test_a_commercial_project_gets_neither_adapter_nor_encoder_that_forbid_it(shelf, checkpoint, people, name):
    shelf.held[name] = replace(shelf.held[name], licence="cc-by-nc-4.0", commercial=False)
    request = asked(Reference(0, 0.5, None, "face"), commercial=True)
    with pytest.raises(Refused, match=rf"references: '{name}'.*cc-by-nc-4\.0"):
        Identities(shelf, 0).of(checkpoint, request, people, [])


@pytest.mark.parametrize(
    ("reference", "field"), [(Reference(3, 0.5), "references[0].picture"), (Reference(0, 0.5, 2), "references[0].mask")]
)
def test_a_reference_to_what_is_not_there_is_refused(identities, checkpoint, people, halves, reference, field):
    with pytest.raises(Refused) as raised:
        identities.of(checkpoint, asked(replace(reference, adapter="face")), people, halves)
    assert raised.value.field == field


def test_nothing_is_traced_again_for_other_people_scales_or_masks(checkpoint, identities, two, people, halves):
    install(checkpoint.unet)
    traced = []

    def counted(graph, _examples):
        traced.append(graph)
        return graph.forward

    unet = torch.compile(checkpoint.unet, backend=counted, fullgraph=True, dynamic=False)
    other = identities.of(checkpoint, asked(Reference(2, 0.3, 1, "plus")), people, halves)
    with torch.no_grad():
        for each in (two, other, identities.empty(checkpoint)):
            batch = Identity.batch([each], 1, True, SIDE, SIDE)
            unet(**inputs(2), cross_attention_kwargs=batch, return_dict=False)
    assert len(traced) == 1
