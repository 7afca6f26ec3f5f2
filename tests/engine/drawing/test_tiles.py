"""Tiles cover everything, have one shape, and leave no seam."""

from itertools import pairwise

import pytest
import torch

from engine.drawing import image
from engine.drawing.autoencoder import decode, encode
from engine.drawing.tiles import Canvas, Tile, tiles


@pytest.mark.parametrize("size", [(128, 128), (129, 128), (144, 252), (256, 256), (88, 384), (300, 130)])
def test_tiles_cover_all_and_overlap(size):
    height, width = size
    cover = tiles(height, width, 128, 16)
    assert len({(each.height, each.width) for each in cover}) == 1
    seen = torch.zeros(height, width)
    for each in cover:
        assert each.top + each.height <= height
        assert each.left + each.width <= width
        seen[each.top : each.top + each.height, each.left : each.left + each.width] += 1
    assert seen.min() >= 1
    for one, next_one in pairwise(cover):
        if one.top == next_one.top:
            assert next_one.left - one.left <= one.width - 16


def test_a_megapixel_goes_through_in_one_and_more_in_tiles():
    assert image.autoencoder_tiles(1536, 640) == (Tile(0, 0, 80, 192),)
    assert image.autoencoder_tiles(1024, 1024) == (Tile(0, 0, 128, 128),)
    assert len(image.autoencoder_tiles(2016, 1152)) == 6
    assert {(each.height, each.width) for each in image.autoencoder_tiles(2016, 1152)} == {(128, 128)}


@pytest.mark.parametrize("scale", [1, 8])
def test_what_every_tile_agrees_on_comes_out_as_it_was(scale):
    whole = torch.randn(1, 3, 60 * scale, 90 * scale, generator=torch.Generator().manual_seed(1))
    canvas = Canvas(60, 90, 8, scale)
    for each in tiles(60, 90, 32, 8):
        rows = slice(each.top * scale, (each.top + each.height) * scale)
        columns = slice(each.left * scale, (each.left + each.width) * scale)
        canvas.add(each, whole[:, :, rows, columns])
    torch.testing.assert_close(canvas.whole(), whole, atol=1e-5, rtol=0)


def test_a_tile_fades_out_where_another_begins():
    canvas = Canvas(8, 24, 8, 1)
    canvas.add(Tile(0, 0, 8, 16), torch.zeros(1, 1, 8, 16))
    canvas.add(Tile(0, 8, 8, 16), torch.ones(1, 1, 8, 16))
    middle = canvas.whole()[0, 0, 4]
    assert (middle[:8] == 0).all()
    assert (middle[16:] == 1).all()
    assert (middle.diff() >= 0).all()
    assert middle.diff().max() < 0.2


@torch.no_grad()
def test_the_tiles_of_a_picture_are_near_the_picture_in_one(tiny, monkeypatch):
    """Not equal: the decoder's attention and its norms see one tile at a time."""
    latent = torch.randn(1, 4, 48, 48, generator=torch.Generator().manual_seed(2))
    latent = torch.nn.functional.avg_pool2d(latent, 9, 1, 4) * 8
    whole = decode(tiny, latent)
    canvas = Canvas(48, 48, 16, 8)
    for each in tiles(48, 48, 32, 16):
        cut = latent[:, :, each.top : each.top + each.height, each.left : each.left + each.width]
        canvas.add(each, decode(tiny, cut))
    assert float((canvas.whole() - whole).abs().mean()) < 0.3 * float(whole.std())


@torch.no_grad()
def test_what_encoding_gives_is_eight_times_smaller(tiny):
    assert encode(tiny, torch.zeros(1, 3, 64, 96)).shape == (1, 8, 8, 12)
