from itertools import permutations, product

import numpy as np
import pytest
import torch
from torch import nn

from inversesr.errors import InputError
from inversesr.priors.brainmask import (
    SPACING_MM,
    BrainMaskNet,
    brain_mask,
    brain_probability,
    one_piece,
    pad,
    respace,
    respacing_matrix,
    scale_intensities,
)
from inversesr.priors.bundle import NetworkCard
from inversesr.priors.networks import build_network
from inversesr.volume import Grid, Volume

SPACING = (1.0, 1.5, 4.0)
SHAPE = (48, 34, 14)


class Bright(nn.Module):
    """Stands in for a trained network: what is brighter than a level is brain."""

    multiple = 8

    def __init__(self, level=0.5):
        super().__init__()
        self.level = nn.Parameter(torch.tensor(level))

    def forward(self, x):
        return 40.0 * (x - self.level)


def grid_of(shape=SHAPE, spacing=SPACING):
    return Grid(shape, np.diag([*spacing, 1.0]))


def ball(grid, centre_mm, radius_mm):
    axes = [np.arange(n) * s for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    positions = np.meshgrid(*axes, indexing="ij")
    distance = sum((p - c) ** 2 for p, c in zip(positions, centre_mm, strict=True)) ** 0.5
    return (distance <= radius_mm).astype(np.float32)


def head():
    """A lopsided brain, so that no flip leaves it where it was."""
    grid = grid_of()
    data = np.maximum(ball(grid, (22, 22, 26), 14), 0.8 * ball(grid, (34, 30, 36), 9))
    return Volume(data, grid)


def stored_as(volume, order, flips):
    """The same scan in the world with its axes in another order, some backwards."""
    data, affine = volume.data.transpose(order), volume.grid.affine[:, [*order, 3]].copy()
    for axis in flips:
        data = np.flip(data, axis)
        affine[:3, 3] += affine[:3, axis] * (data.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(data), Grid(data.shape, affine))


ALL_FLIPS = [[axis for axis in range(3) if turned[axis]] for turned in product((0, 1), repeat=3)]


@pytest.mark.parametrize("order", list(permutations(range(3))))
@pytest.mark.parametrize("flips", ALL_FLIPS)
def test_the_same_places_in_the_world_are_marked_however_the_scan_is_stored(order, flips):
    volume = head()
    mask = brain_mask(Bright(), volume)
    other = brain_mask(Bright(), stored_as(volume, order, flips))
    expected = stored_as(volume.with_data(mask.astype(np.float32)), order, flips).data > 0
    assert np.array_equal(other, expected)


def test_the_mask_of_a_random_network_does_not_depend_on_how_the_scan_is_stored_either():
    net = BrainMaskNet((4, 4), (1, 1))
    generator = torch.Generator().manual_seed(0)
    for weight in net.parameters():
        nn.init.normal_(weight, std=0.5, generator=generator)
    nn.init.constant_(net.head.bias, 0.5)
    volume = head()
    mask = brain_mask(net, volume)
    assert 0 < mask.sum() < mask.size
    other = brain_mask(net, stored_as(volume, (2, 0, 1), [0, 1]))
    assert np.array_equal(
        other, stored_as(volume.with_data(mask.astype(np.float32)), (2, 0, 1), [0, 1]).data > 0
    )


def test_the_mask_lies_on_the_grid_of_the_scan_and_follows_its_object():
    volume = head()
    mask = brain_mask(Bright(), volume)
    assert mask.shape == volume.data.shape
    assert mask.dtype == np.bool_
    common = (mask & (volume.data > 0)).sum()
    assert 2 * common / (mask.sum() + (volume.data > 0).sum()) > 0.9


@pytest.mark.parametrize(("scale", "offset"), [(1e-3, 0.0), (3000.0, 0.0), (40.0, -20.0)])
def test_the_scale_of_the_intensities_does_not_matter(scale, offset):
    volume = head()
    scaled = volume.with_data(scale * volume.data + offset)
    assert np.array_equal(brain_mask(Bright(), scaled), brain_mask(Bright(), volume))


def test_only_the_largest_piece_is_kept_and_its_holes_are_filled():
    grid = grid_of((40, 40, 40), (2.0, 2.0, 2.0))
    shell = ball(grid, (40, 40, 40), 28) - ball(grid, (40, 40, 40), 10)
    speck = ball(grid, (72, 72, 72), 5)
    mask = brain_mask(Bright(), Volume(shell + speck, grid))
    assert mask[20, 20, 20]
    assert not mask[36, 36, 36]


def test_one_piece_keeps_a_mask_without_holes_as_it_is():
    mask = np.zeros((6, 6, 6), dtype=bool)
    mask[1:4, 2:5, 1:3] = True
    assert np.array_equal(one_piece(mask), mask)
    assert not one_piece(np.zeros((3, 3, 3), dtype=bool)).any()


@pytest.mark.parametrize(
    "net", [Bright(level=9.0), BrainMaskNet((4,), (1,))], ids=["sees nothing", "is untrained"]
)
def test_a_scan_in_which_nothing_is_found_is_refused_in_one_sentence(net):
    with pytest.raises(InputError, match=r"no brain was found .* or give a mask"):
        brain_mask(net, head())


@pytest.mark.parametrize("out_mm", [0.5, 2.0, 5.0])
def test_resampling_keeps_a_constant_and_refining_keeps_a_ramp(out_mm):
    n_out = round(40 / out_mm)
    matrix = respacing_matrix(n_out, out_mm, 20, 2.0)
    assert matrix.sum(dim=1) == pytest.approx(1.0)
    at_in = (torch.arange(20) - 9.5) * 2.0
    at_out = (torch.arange(n_out) - (n_out - 1) / 2) * out_mm
    inner = at_out.abs() < 15.0
    assert (matrix @ at_in)[inner] == pytest.approx(at_out[inner], abs=1e-4 + (out_mm == 5.0))


def test_coarsening_suppresses_what_the_coarse_voxels_cannot_hold():
    stripes = torch.tensor([0.0, 1.0]).repeat(21)[:41, None, None].expand(41, 2, 2)
    coarse = respace(stripes, [1.0, 2.0, 2.0], [21, 2, 2], [2.0, 2.0, 2.0])
    assert float((coarse[2:-2] - 0.5).abs().max()) < 0.01


def test_probability_is_unchanged_by_resampling_where_nothing_has_to_be_resampled():
    data = torch.rand((16, 16, 16), generator=torch.Generator().manual_seed(0))
    found = brain_probability(Bright(), data, [SPACING_MM] * 3)
    assert torch.allclose(found, torch.sigmoid(40.0 * (scale_intensities(data) - 0.5)), atol=1e-6)


def test_padding_lies_on_both_sides_alike_and_is_found_again():
    x = torch.rand((5, 8, 11), generator=torch.Generator().manual_seed(0))
    padded, place = pad(x, 8)
    assert padded.shape == (1, 1, 8, 8, 16)
    assert torch.equal(padded[0, 0][place], x)
    assert [side.start for side in place] == [1, 0, 2]
    assert float(padded.sum()) == pytest.approx(float(x.sum()))


def test_a_blank_image_is_scaled_to_zero():
    assert not scale_intensities(torch.full((4, 4, 4), 7.0)).any()


def test_sparse_images_are_scaled_by_their_extremes():
    image = torch.zeros(20, 20, 20)
    image[3, 3, 3] = 5.0
    assert float(scale_intensities(image).max()) == 1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_network_is_built_from_its_card_and_marks_volumes_of_any_size(dtype):
    card = NetworkCard(
        "BrainMaskNet", {"widths": [4, 8], "n_blocks": [1, 1]}, "brainmask.safetensors"
    )
    net = build_network(card)
    assert {t.shape for t in net.state_dict().values()}
    net = BrainMaskNet(**card.arguments).to(dtype)
    for shape in ((8, 12, 16), (4, 4, 20)):
        logits = net(torch.rand((1, 1, *shape)).to(dtype))
        assert logits.shape == (1, 1, *shape)
        assert logits.dtype == torch.float32
