import numpy as np
import pytest
import torch
from torch import nn

from inversesr.acquisition.brain_network import (
    apply_network,
    brain_probability,
    normalised,
    resampling,
)


class Identity(nn.Module):
    """Stands in for the network: its logits are the image."""

    def forward(self, x):
        return x


def test_the_unit_and_the_offset_of_the_intensities_do_not_matter():
    image = torch.rand((9, 10, 11), generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(normalised(image), normalised(3000.0 + 40.0 * image))
    assert normalised(image).min() == 0.0
    assert normalised(image).max() == 1.0
    assert torch.equal(normalised(torch.full((4, 4, 4), 7.0)), torch.zeros((4, 4, 4)))


@pytest.mark.parametrize("shape", [(16, 8, 24), (13, 9, 2)])
def test_any_shape_comes_back_as_it_was(shape):
    image = torch.rand(shape, generator=torch.Generator().manual_seed(0))
    assert torch.equal(apply_network(Identity(), image), image)


@pytest.mark.parametrize("spacing_mm", [(1.0, 1.0, 1.0), (0.9, 0.9, 5.5), (3.0, 4.0, 2.0)])
def test_resampling_keeps_straight_lines_to_a_tenth_of_a_millimetre(spacing_mm):
    shape = (60, 50, 30)
    coarse = tuple(round(n * s / 3.0) for n, s in zip(shape, spacing_mm, strict=True))
    lines = [
        np.meshgrid(*[(np.arange(n) - (n - 1) / 2) * s for n, s in zip(ns, ss, strict=True)],
                    indexing="ij")
        for ns, ss in ((shape, spacing_mm), (coarse, (3.0,) * 3))
    ]  # fmt: skip
    there = resampling(shape, spacing_mm, coarse, (3.0,) * 3)
    for before, after in zip(*lines, strict=True):
        found = there(torch.from_numpy(before)).numpy()
        inner = tuple(slice(3, -3) for _ in range(3))
        np.testing.assert_allclose(found[inner], after[inner], atol=0.1)


def test_a_constant_stays_what_it_is():
    there = resampling((20, 31, 7), (1.0, 0.7, 6.0), (7, 7, 14), (3.0,) * 3)
    torch.testing.assert_close(there(torch.ones(20, 31, 7)), torch.ones(7, 7, 14))


def test_probabilities_lie_where_the_image_is_bright():
    data = np.zeros((40, 44, 12), dtype=np.float32)
    data[10:30, 12:30, 3:9] = 100.0
    found = brain_probability(data, (2.0, 2.0, 6.0), Identity())
    assert found.shape == data.shape
    assert found[20, 20, 6] > 0.7
    assert found[2, 2, 1] == pytest.approx(0.5)
