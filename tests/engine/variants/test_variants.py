"""No variant leaks into what is drawn after it, and what cannot be merged changes nothing."""

import random
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from engine.errors import ModelUnusable, Refused
from engine.models.entry import Entry
from engine.request import LoraUse, RenderRequest
from engine.variants import Variants, live, permitted

PLENTY = 1 << 30
FIRST = "mid_block.attentions.0.proj_in"
SECOND = "up_blocks.0.upsamplers.0.conv"


@pytest.fixture
def stocked(checkpoint, shelf, halves):
    """A shelf with two LoRAs that share a layer."""
    for name, paths in (("hat", [FIRST, SECOND]), ("scarf", [FIRST])):
        tensors = {}
        for seed, path in enumerate(paths):
            made = halves(checkpoint.unet.get_submodule(path).weight.shape, seed)
            tensors |= {f"unet.{path}.lora_A.weight": made["down"], f"unet.{path}.lora_B.weight": made["up"]}
        shelf.add(name, tensors)
    return shelf


def same(first, second):
    return all(torch.equal(first[key], second[key]) for key in first)


USES = [
    (),
    (LoraUse("hat", 0.5),),
    (LoraUse("scarf", 1.0),),
    (LoraUse("hat", 0.5), LoraUse("scarf", 1.0)),
    (LoraUse("hat", -2.0),),
]


@pytest.mark.parametrize("budget", [0, 20_000, PLENTY])
def test_after_any_sequence_the_weights_are_those_of_a_fresh_merge(checkpoint, stocked, snapshot, budget):
    fresh = {}
    for use in USES:
        Variants(checkpoint, stocked, 0).use(())
        variants = Variants(checkpoint, stocked, 0)
        variants.use(use)
        fresh[use] = snapshot(checkpoint)
        variants.use(())
    variants, dice = Variants(checkpoint, stocked, budget), random.Random(3)
    for use in dice.choices(USES, k=10):
        variants.use(use)
        assert same(snapshot(checkpoint), fresh[use])


def test_without_loras_the_weights_are_the_checkpoints_bytes(checkpoint, stocked, snapshot):
    before, variants = snapshot(checkpoint), Variants(checkpoint, stocked, PLENTY)
    variants.use((LoraUse("hat"), LoraUse("scarf")))
    assert not same(snapshot(checkpoint), before)
    assert variants.use(()) == checkpoint.sha256
    assert same(snapshot(checkpoint), before)


def test_storages_stay_the_same_so_captured_graphs_stay_good(checkpoint, stocked):
    places = {name: each.data_ptr() for name, each in checkpoint.unet.named_parameters()}
    variants = Variants(checkpoint, stocked, PLENTY)
    for use in (*USES, *USES):
        variants.use(use)
    assert {name: each.data_ptr() for name, each in checkpoint.unet.named_parameters()} == places


def test_a_merged_variant_is_kept_within_the_budget(checkpoint, stocked):
    variants = Variants(checkpoint, stocked, PLENTY)
    assert not variants.ready(USES[1])
    wanted = variants.wanted_bytes(USES[1])
    variants.use(USES[1])
    size = variants.kept_bytes
    assert size == wanted > 0
    assert variants.wanted_bytes(USES[1]) == Variants(checkpoint, stocked, size - 1).wanted_bytes(USES[1]) == 0
    variants.use(())
    assert variants.ready(USES[1])
    small = Variants(checkpoint, stocked, size)
    for use in USES[1:]:
        small.use(use)
        assert small.kept_bytes <= size
    assert small.ready(USES[4])
    small.use(())
    assert not small.ready(USES[1])


def test_the_least_recently_used_variant_leaves(checkpoint, stocked):
    probe = Variants(checkpoint, stocked, PLENTY)
    probe.use(USES[1])
    size = probe.kept_bytes
    probe.use(())
    variants = Variants(checkpoint, stocked, 2 * size)
    hats = [(LoraUse("hat", scale),) for scale in (0.1, 0.2, 0.3)]
    for use in (hats[0], hats[1], hats[0], hats[2], ()):
        variants.use(use)
    assert [variants.ready(each) for each in hats] == [True, False, True]


def test_what_is_kept_is_given_up_and_what_is_live_stays_live(checkpoint, stocked, snapshot):
    variants = Variants(checkpoint, stocked, PLENTY)
    for use in USES[1:3]:
        variants.use(use)
    live = snapshot(checkpoint)
    variants.give_up()
    assert variants.kept_bytes == 0
    assert [variants.ready(each) for each in USES[1:3]] == [False, True]
    assert same(snapshot(checkpoint), live)


def test_untouched_weights_are_copied_once_and_the_copies_are_counted(checkpoint, stocked):
    variants = Variants(checkpoint, stocked, 0)
    sizes = {path: checkpoint.unet.get_submodule(path).weight.nbytes for path in (FIRST, SECOND)}
    assert variants.copied_bytes(()) == 0
    assert variants.copied_bytes(USES[2]) == sizes[FIRST]
    assert variants.copied_bytes(USES[3]) == sum(sizes.values())
    variants.use(USES[2])
    assert variants.copied_bytes(USES[3]) == sizes[SECOND]
    variants.use(USES[3])
    assert variants.copied_bytes(USES[1]) == 0


def test_copies_are_given_up_where_the_live_weights_are_untouched(checkpoint, stocked, snapshot):
    before, variants = snapshot(checkpoint), Variants(checkpoint, stocked, 0)
    for use in USES[1:3]:
        variants.use(use)
    variants.give_up()
    assert variants.copied_bytes(USES[1]) == checkpoint.unet.get_submodule(SECOND).weight.nbytes
    variants.use(())
    assert same(snapshot(checkpoint), before)
    variants.give_up()
    assert variants.copied_bytes(USES[1]) == variants.copied_bytes(USES[3]) > variants.copied_bytes(USES[2]) > 0
    merged = [variants.use(USES[1]), snapshot(checkpoint)][1]
    variants.use(())
    assert same(snapshot(checkpoint), before) and not same(merged, before)


def test_copies_stay_where_a_merge_failed_half_way(checkpoint, stocked, snapshot, monkeypatch):
    before, variants = snapshot(checkpoint), Variants(checkpoint, stocked, 0)
    write, written = live.LiveWeights._write, []

    def failing(self, layer, values):
        if written:
            raise MemoryError
        written.append(layer)
        write(self, layer, values)

    with monkeypatch.context() as patched, pytest.raises(MemoryError):
        patched.setattr(live.LiveWeights, "_write", failing)
        variants.use(USES[1])
    assert not same(snapshot(checkpoint), before)
    variants.give_up()
    variants.use(())
    assert same(snapshot(checkpoint), before)


def test_beside_a_gpu_copies_take_nothing_of_its_memory(checkpoint, stocked):
    variants = Variants(replace(checkpoint, device=torch.device("cuda")), stocked, 0)
    assert variants.copied_bytes(USES[1]) == 0


def test_a_variant_is_merged_without_being_kept_where_that_is_not_wanted(checkpoint, stocked, snapshot):
    variants = Variants(checkpoint, stocked, PLENTY)
    variants.use(USES[1])
    wanted = snapshot(checkpoint)
    other = Variants(checkpoint, stocked, PLENTY)
    variants.use(())
    assert other.use(USES[1], is_kept=False) == variants.name(USES[1])
    assert same(snapshot(checkpoint), wanted)
    assert other.kept_bytes == 0


def test_a_variant_has_its_name_before_it_is_merged(checkpoint, stocked):
    variants = Variants(checkpoint, stocked, PLENTY)
    names = [variants.name(use) for use in USES]
    assert variants.kept_bytes == 0
    assert names == [variants.use(use) for use in USES]
    assert names[0] == checkpoint.sha256


def test_the_name_says_which_loras_in_which_order_at_which_scale(checkpoint, stocked):
    variants = Variants(checkpoint, stocked, PLENTY)
    names = [variants.use(use) for use in (*USES, (LoraUse("scarf", 1.0), LoraUse("hat", 0.5)))]
    assert len(set(names)) == len(names)
    assert names[:5] == [variants.use(use) for use in USES]
    other = Variants(replace(checkpoint, sha256="another"), stocked, 0)
    assert other.use(USES[1]) != names[1]


UNUSABLE = {
    "unet.nowhere.lora_A.weight": "no layer for its key 'unet.nowhere.lora_A.weight'",
    f"unet.{FIRST}.lora_magnitude_vector": "no layer for its key",
    "lora_unet_down_blocks_9_proj.hada_w1_a": "no layer for its key",
}


@pytest.mark.parametrize("key", UNUSABLE)
def test_a_key_that_is_not_known_is_an_error_and_changes_nothing(checkpoint, stocked, snapshot, key):
    stocked.add("odd", {key: torch.ones(2, 2)})
    before, variants = snapshot(checkpoint), Variants(checkpoint, stocked, PLENTY)
    with pytest.raises(ModelUnusable) as raised:
        variants.use((LoraUse("hat"), LoraUse("odd")))
    assert UNUSABLE[key] in str(raised.value)
    assert same(snapshot(checkpoint), before)
    assert variants.use(()) == checkpoint.sha256


def test_a_lora_for_another_base_is_named_with_its_first_key(checkpoint, stocked):
    tensors = {
        f"lora_unet_{FIRST.replace('.', '_')}.lora_down.weight": torch.ones(4, 768),
        f"lora_unet_{FIRST.replace('.', '_')}.lora_up.weight": torch.ones(320, 4),
    }
    stocked.add("sd15", tensors)
    with pytest.raises(ModelUnusable, match=r"'sd15'.*lora_unet_mid.*\(320, 4\) times \(4, 768\)"):
        Variants(checkpoint, stocked, 0).use((LoraUse("sd15"),))


@pytest.mark.parametrize("fault", ["half", "nan", "twice", "empty", "rank", "alpha", "scalar"])
def test_a_damaged_lora_is_refused(checkpoint, stocked, halves, fault):
    made = halves(checkpoint.unet.get_submodule(FIRST).weight.shape)
    down, up = {f"unet.{FIRST}.lora_A.weight": made["down"]}, {f"unet.{FIRST}.lora_B.weight": made["up"]}
    tensors = {
        "half": down,
        "nan": {**down, f"unet.{FIRST}.lora_B.weight": made["up"] * float("nan")},
        "twice": {**down, **up, f"lora_unet_{FIRST.replace('.', '_')}.lora_up.weight": made["up"].clone()},
        "empty": {},
        "alpha": {**down, **up, f"unet.{FIRST}.alpha": torch.ones(3)},
        "scalar": {f"unet.{FIRST}.lora_A.weight": torch.tensor(1.0), f"unet.{FIRST}.lora_B.weight": torch.tensor(1.0)},
        "rank": {**down, f"unet.{FIRST}.lora_B.weight": made["up"][:, :2]},
    }[fault]
    stocked.add("odd", tensors)
    with pytest.raises(ModelUnusable, match="'odd'"):
        Variants(checkpoint, stocked, 0).use((LoraUse("odd"),))


@pytest.mark.parametrize("words", ["{", "[1]", '{"unet.lora_alpha": "much"}', '{"unet.alpha_pattern": 3}'])
def test_words_beside_the_tensors_that_make_no_sense_are_refused(checkpoint, stocked, halves, words):
    made = halves(checkpoint.unet.get_submodule(FIRST).weight.shape)
    tensors = {f"unet.{FIRST}.lora_A.weight": made["down"], f"unet.{FIRST}.lora_B.weight": made["up"]}
    stocked.add("odd", tensors, {"lora_adapter_metadata": words})
    with pytest.raises(ModelUnusable, match="'odd'"):
        Variants(checkpoint, stocked, 0).use((LoraUse("odd"),))


def test_a_file_that_is_cut_short_is_refused(checkpoint, stocked):
    path = stocked.add("cut", {"unet.x.lora_A.weight": torch.ones(64, 64)})
    path.write_bytes(path.read_bytes()[:-100])
    stocked.put(replace(stocked.entry("cut"), files={}))
    with pytest.raises(ModelUnusable, match=r"'cut'.*is damaged"):
        Variants(checkpoint, stocked, 0).use((LoraUse("cut"),))


def test_a_cut_file_is_told_of_by_its_models_name_and_no_path_of_the_server(checkpoint, stocked):
    path = stocked.add("cut", {"unet.x.lora_A.weight": torch.ones(64, 64)})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelUnusable) as caught:
        Variants(checkpoint, stocked, 1 << 30).wanted_bytes((LoraUse("cut"),))
    assert caught.value.name == "cut"
    assert f"{path.name} is damaged" in caught.value.reason
    assert "/tmp" not in str(caught.value)


def test_a_pickle_is_never_opened(checkpoint, stocked, tmp_path):
    folder = tmp_path / "pickled"
    folder.mkdir()
    (folder / "lora.ckpt").write_bytes(b"\x80\x04.")
    stocked.put(Entry("pickled", "lora", "sdxl", "mit", True, folder, {"lora.ckpt": "0"}))
    with pytest.raises(ModelUnusable, match="pickles are not opened"):
        Variants(checkpoint, stocked, 0).use((LoraUse("pickled"),))


def test_a_merge_that_fails_half_way_leaves_no_trace(checkpoint, stocked, snapshot, monkeypatch):
    before, variants = snapshot(checkpoint), Variants(checkpoint, stocked, PLENTY)
    merged = variants._sum

    def failing(layer, changes):
        if layer[1] == SECOND:
            raise torch.OutOfMemoryError
        return merged(layer, changes)

    monkeypatch.setattr(variants, "_sum", failing)
    with pytest.raises(torch.OutOfMemoryError):
        variants.use((LoraUse("hat"),))
    variants.use(())
    assert same(snapshot(checkpoint), before)
    assert variants.kept_bytes == 0


@pytest.mark.parametrize(("commercial", "allowed"), [(False, True), (True, False)])
def test_a_commercial_project_gets_no_weights_that_forbid_it(shelf, tmp_path, commercial, allowed):
    shelf.put(Entry("hat", "lora", "sdxl", "cc-by-nc-4.0", False, tmp_path))
    request = RenderRequest("1", "tiny", "a hat", commercial=commercial)
    if allowed:
        assert permitted(shelf, "hat", "lora", request).name == "hat"
    else:
        with pytest.raises(Refused, match=r"loras: 'hat'.*cc-by-nc-4\.0"):
            permitted(shelf, "hat", "lora", request)


def test_a_model_of_another_kind_is_refused(shelf, tmp_path):
    shelf.put(Entry("canny", "controlnet", "sdxl", "mit", True, tmp_path))
    with pytest.raises(Refused, match=r"loras: 'canny'.*kind controlnet"):
        permitted(shelf, "canny", "lora", RenderRequest("1", "tiny", ""))


def test_two_files_in_one_folder_are_refused(shelf, checkpoint, tmp_path):
    for name in ("a", "b"):
        save_file({"x": torch.ones(1)}, tmp_path / f"{name}.safetensors")
    shelf.put(Entry("pair", "lora", "sdxl", "mit", True, tmp_path))
    with pytest.raises(ModelUnusable, match=r"one safetensors file is wanted, it has a\.safetensors, b\.safetensors"):
        Variants(checkpoint, shelf, 0).use((LoraUse("pair"),))
