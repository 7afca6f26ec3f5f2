"""A group is compiled once, whatever is called how often; serving measures nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from engine.kernels.compiled import Compiled, class_of
from engine.kernels.compiler import OPTIONS, Missing
from engine.kernels.port import Eager


@pytest.fixture
def network():
    weights = torch.randn(8, 8, generator=torch.Generator().manual_seed(1))

    def call(latent, scale):
        return torch.nn.functional.gelu(latent @ weights) * scale

    return call


STEP = ("unet", "1024x576", "f00d")


def inputs(seed):
    generator = torch.Generator().manual_seed(seed)
    return {"latent": torch.randn(4, 8, generator=generator), "scale": torch.full((1,), 1.5)}


@pytest.fixture
def compilations():
    return []


@pytest.fixture
def kernels(compilations):
    def compiler(call, options):
        compilations.append(options)
        return call

    return Compiled("f00d", compiler=compiler)


def test_a_group_is_prepared_once_and_run_often(kernels, network, compilations):
    assert not kernels.ready(STEP)
    kernels.prepare(STEP, network, inputs(1))
    assert kernels.ready(STEP)
    for seed in range(5):
        assert torch.equal(kernels.run(STEP, network, inputs(seed)), network(**inputs(seed)))
    assert len(compilations) == 1


def test_each_group_has_kernels_of_its_own(kernels, network, compilations):
    for group in (("a",), ("b",), ("a",), ("b",)):
        kernels.run(group, network, inputs(1))
    assert len(compilations) == 2


def test_a_checkpoint_that_leaves_takes_its_kernels_with_it(kernels, network):
    kernels.prepare(STEP, network, inputs(1))
    kernels.prepare(("unet", "1024x576", "other"), network, inputs(1))
    kernels.forget("f00d")
    assert not kernels.ready(STEP)
    assert kernels.ready(("unet", "1024x576", "other"))


def test_eager_kernels_are_always_ready(network):
    assert Eager().ready(("anything",))
    assert torch.equal(Eager().run(("anything",), network, inputs(3)), network(**inputs(3)))


def test_only_tuning_measures():
    """torch's compiler chooses by timing with ``max_autotune``, and not even then where it is to be deterministic."""
    for name, options in OPTIONS.items():
        assert options["max_autotune"] is (name != "plain")
        assert options["deterministic"] is (name == "plain")


def test_the_compiler_knows_all_options():
    for options in OPTIONS.values():
        torch.compile(lambda: None, options=dict(options))


def test_a_class_is_the_call_and_its_shapes_and_no_checkpoint():
    one, other = class_of(("unet", "s", "f00d"), inputs(1)), class_of(("unet", "s", "beef"), inputs(2))
    assert one == other == "unet latent=float32[4,8] scale=float32[1]"
    assert class_of(("decode", "f00d"), inputs(1)) != one


def test_what_was_tuned_is_compiled_as_it_was_tuned_and_everything_else_without_measuring(network):
    asked = []
    kernels = Compiled("f00d", "tuned", [class_of(STEP, inputs(1))], compiler=lambda call, o: asked.append(o) or call)
    kernels.prepare(STEP, network, inputs(1))
    kernels.prepare(("decode",), network, inputs(1))
    assert asked == ["tuned", "plain"]


class Emptied:
    """A compiler whose caches hold nothing of what was tuned; ``held`` says from when on they do."""

    def __init__(self):
        self.asked = []
        self.held = False

    def __call__(self, call, options):
        self.asked.append(options)

        def called(**given):
            if options == "tuned" and not self.held:
                return torch._inductor.compile_fx.fx_codegen_and_compile(None, None, None)
            return call(**given)

        return called


@pytest.fixture
def emptied():
    return Emptied()


def half_lost(*classes, compiler):
    """Kernels of one artifact, in which these classes cannot be read."""
    return Compiled("f00d", "tuned", [class_of((each,), inputs(1)) for each in classes], compiler=compiler)


def test_tuned_kernels_that_are_not_in_the_caches_are_chosen_by_rules_and_never_tuned_anew(network, emptied, caplog):
    kernels = half_lost("unet", compiler=emptied)
    assert torch.equal(kernels.run(STEP, network, inputs(1)), network(**inputs(1)))
    assert emptied.asked == ["tuned", "plain"]
    assert "cannot be read" in caplog.text


def test_pictures_name_other_kernels_where_tuned_ones_were_not_found(network, emptied):
    lost, all_lost, same = (half_lost("unet", "decode", compiler=emptied) for _ in range(3))
    assert lost.sha256 == "f00d"
    for kernels, groups in ((lost, ["unet"]), (all_lost, ["unet", "decode"]), (same, ["decode", "unet"])):
        for each in groups:
            kernels.prepare((each,), network, inputs(1))
    assert len({"f00d", lost.sha256, all_lost.sha256}) == 3
    assert all_lost.sha256 == same.sha256, "the same kernels, whatever came first"
    assert len(lost.sha256) == 64


def test_a_class_that_was_not_found_stays_chosen_by_rules_as_its_name_says(network, emptied):
    kernels = half_lost("unet", compiler=emptied)
    kernels.prepare(STEP, network, inputs(1))
    name, emptied.held = kernels.sha256, True
    kernels.prepare(("unet", "1024x576", "another checkpoint"), network, inputs(1))
    assert emptied.asked == ["tuned", "plain", "plain"]
    assert kernels.sha256 == name


def test_reading_leaves_the_compiler_as_it_was(network):
    from torch._inductor import compile_fx

    from engine.kernels.compiler import reading_only

    before = compile_fx.fx_codegen_and_compile
    with pytest.raises(Missing), reading_only():
        compile_fx.fx_codegen_and_compile()
    with pytest.raises(ZeroDivisionError), reading_only():
        raise ZeroDivisionError
    assert compile_fx.fx_codegen_and_compile is before


def test_a_call_is_compiled_for_more_classes_than_torch_allows_by_itself(network):
    """torch gives up at the ninth; SDXL's sizes alone are nine."""
    kernels = Compiled("", compiler=lambda call, _: torch.compile(call, dynamic=False, fullgraph=True, backend="eager"))
    for width in range(1, 13):
        kernels.run(("unet", width), network, {"latent": torch.ones(width, 8), "scale": torch.ones(1)})
    assert len(kernels.made) == 12


@pytest.mark.slow
def test_what_was_tuned_is_found_again_by_a_process_that_only_reads(tmp_path):
    tuned, served = (_process(tmp_path, name, tmp_path / name) for name in ("tune", "serve"))
    assert tuned["measured"] > 0
    assert served["hits"] == 1 and served["misses"] == 0 and served["warnings"] == []
    assert served["sum"] == tuned["sum"]


def _process(folder, part, caches):
    ran = subprocess.run(
        [sys.executable, Path(__file__).with_name("tuned_once.py"), part, folder],
        capture_output=True, text=True, check=False, timeout=280,
        env=os.environ | {
            "TORCHINDUCTOR_CACHE_DIR": str(caches), "PYTHONPATH": os.pathsep.join(sys.path),
            "TORCHINDUCTOR_VEC_ISA_OK": "1",  # the processor is believed: trying its instructions takes ten seconds
        },
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


@pytest.mark.slow
def test_what_torch_compiles_gives_what_the_call_gives(network):
    kernels = Compiled("")
    for seed in range(3):
        torch.testing.assert_close(kernels.run(STEP, network, inputs(seed)), network(**inputs(seed)))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_captured_call_sees_new_inputs_and_new_weights():
    weights = torch.eye(8, device="cuda")

    def call(latent):
        return latent @ weights

    kernels = Compiled("")
    first = torch.ones(4, 8, device="cuda")
    assert torch.equal(kernels.run(STEP, call, {"latent": first}), first)
    assert torch.equal(kernels.run(STEP, call, {"latent": first * 3}), first * 3)
    weights.mul_(2)
    assert torch.equal(kernels.run(STEP, call, {"latent": first}), first * 2)
