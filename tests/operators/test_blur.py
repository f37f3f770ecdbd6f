import numpy as np
import pytest
import torch

from inversesr.operators.blur import gaussian_blur


def test_a_constant_image_stays_as_it_is():
    A = gaussian_blur((7, 6, 5), (1.0, 0.8, 2.0), (2.0, 1.5, 3.0))
    image = torch.full((7, 6, 5), 3.0, dtype=torch.float64)
    torch.testing.assert_close(A(image), image)


@pytest.mark.parametrize("spacing", [0.5, 1.0])
def test_a_point_becomes_a_gaussian_of_the_stated_width(spacing):
    fwhm, n = 4.0, 81
    A = gaussian_blur((n, 1, 1), (spacing, 1.0, 1.0), (fwhm, 0.0, 0.0))
    point = torch.zeros((n, 1, 1), dtype=torch.float64)
    point[n // 2] = 1.0
    seen = A(point)[:, 0, 0].numpy()
    x = (np.arange(n) - n // 2) * spacing
    variance = float((seen * x**2).sum() / seen.sum())
    # averaging over a voxel adds the variance of a box
    expected = (fwhm / 2.3548) ** 2 + spacing**2 / 12.0
    assert variance == pytest.approx(expected, rel=1e-2)


def test_an_axis_without_blur_is_left_alone():
    A = gaussian_blur((4, 4, 4), (1.0, 1.0, 1.0), (0.0, 2.0, 0.0))
    assert A.matrices[0] is None
    assert A.matrices[1] is not None
    assert A.matrices[2] is None
