import pytest
import torch

from inversesr.priors.networks.tiling import Tiling, crop, pad, tile_starts, tile_window


@pytest.mark.parametrize("n_voxels", [5, 16, 17, 24, 25, 40])
def test_tiles_cover_every_voxel(n_voxels):
    covered = torch.zeros(n_voxels)
    for start in tile_starts(n_voxels, Tiling(size=16, overlap=8)):
        covered[start : start + 16] += 1
    assert covered.min() >= 1


def test_a_tile_counts_less_towards_the_faces_where_it_meets_others():
    window = tile_window(torch.Size((9, 12, 5)), 4)[:, :, 0]
    assert window.max() == 1.0
    assert torch.equal(window, window.flip(0))
    assert torch.equal(window, window.flip(1))
    assert (window[:5].diff(dim=0) >= 0).all()
    assert window.min() > 0.0


@pytest.mark.parametrize("shape", [(8, 8, 8), (9, 13, 17), (1, 1, 5)])
def test_cropping_takes_away_what_padding_added(shape):
    x = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    padded = pad(x)
    assert all(n % 8 == 0 for n in padded.shape[2:])
    assert torch.equal(crop(padded[0, 0], x.shape), x)
