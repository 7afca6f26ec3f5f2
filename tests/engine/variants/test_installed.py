"""What was taken into the catalogue is what requests are drawn with, kind by kind."""

import numpy as np
import pytest

from engine.control import Controls
from engine.embeddings import embeddings_of
from engine.errors import Refused
from engine.identity import Identities
from engine.models.adoption import Terms, adopt
from engine.models.catalogue import Catalogue
from engine.models.tiny.adapters import (
    make_tiny_controlnet,
    make_tiny_embedding,
    make_tiny_image_encoder,
    make_tiny_ip_adapter,
)
from engine.models.tiny.lora import make_tiny_lora
from engine.request import LayoutGuide, LoraUse, Reference, RenderRequest
from engine.variants import Variants, permitted

FREE = Terms("openrail++", commercial=True)


@pytest.fixture(scope="module")
def catalogue(tmp_path_factory):
    made, folder = tmp_path_factory.mktemp("made"), tmp_path_factory.mktemp("models")
    for spelling in ("kohya", "kohya-blocks", "peft"):
        make_tiny_lora(made / f"{spelling}.safetensors", spelling)
        adopt(folder, made / f"{spelling}.safetensors", spelling, FREE)
    make_tiny_ip_adapter(made / "face.safetensors")
    make_tiny_image_encoder(made / "encoder")
    make_tiny_controlnet(made / "canny")
    make_tiny_embedding(made / "word.safetensors")
    for name in ("face.safetensors", "encoder", "canny", "word.safetensors"):
        adopt(folder, made / name, name.removesuffix(".safetensors"), FREE)
    make_tiny_lora(made / "unfree.safetensors", seed=9)
    adopt(folder, made / "unfree.safetensors", "unfree", Terms())
    return Catalogue(folder)


def test_the_three_spellings_of_one_lora_give_the_same_weights(checkpoint, catalogue, snapshot):
    variants, found, before = Variants(checkpoint, catalogue, 0), [], snapshot(checkpoint)
    for name in ("kohya", "kohya-blocks", "peft"):
        variants.use((LoraUse(name, 0.8),))
        found.append(snapshot(checkpoint))
    changed = [key for key, weight in found[0].items() if not np.array_equal(weight, before[key])]
    assert len(changed) > 50
    for key in changed:
        for other in found[1:]:
            np.testing.assert_allclose(other[key], found[0][key], atol=1e-6)


def test_people_a_layout_and_a_word(checkpoint, catalogue):
    picture = np.full((60, 80, 3), 130, np.uint8)
    request = RenderRequest(
        "1", "tiny", "word", references=(Reference(0, adapter="face"),), layout=LayoutGuide("canny"), commercial=True
    )
    identity = Identities(catalogue, 0).of(checkpoint, request, [picture], [])
    guide = Controls(catalogue, 0).of(checkpoint, request, picture)
    assert {*identity.sha256, guide.sha256}.isdisjoint({""})
    assert len({*identity.sha256.values(), guide.sha256}) == 3
    assert set(embeddings_of(["word"], checkpoint, catalogue, request)["word"]) == {0, 1}


def test_what_was_adopted_without_a_licence_is_not_for_commercial_projects(catalogue):
    request = RenderRequest("1", "tiny", "", commercial=True)
    assert permitted(catalogue, "kohya", "lora", request)
    with pytest.raises(Refused, match=r"loras: 'unfree'.*unknown; .*models remove unfree.* --licence"):
        permitted(catalogue, "unfree", "lora", request)
