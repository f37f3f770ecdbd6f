import numpy as np
import pytest
import torch

from inversesr.operators.fourier import Fourier, SampledFourier, opposite
from tests.support.laws import normal


@pytest.mark.parametrize("shape", [(4, 5, 6), (3, 4, 7)])
def test_it_is_the_sum_over_waves_about_the_middle(shape):
    x = normal(shape, 0, torch.complex128)
    expected = x.numpy()
    for axis, n in enumerate(shape):
        places = np.arange(n) - n // 2
        waves = np.exp(-2j * np.pi * np.outer(places, places) / n) / np.sqrt(n)
        expected = np.moveaxis(np.tensordot(waves, expected, (1, axis)), 0, axis)
    np.testing.assert_allclose(Fourier(shape)(x).numpy(), expected, atol=1e-12)


def test_power_is_kept_and_the_adjoint_is_the_inverse():
    A, x = Fourier((2, 4, 5), (-2, -1)), normal((2, 4, 5), 0, torch.complex128)
    torch.testing.assert_close(A(x).abs().square().sum(), x.abs().square().sum())
    torch.testing.assert_close(A.adjoint(A(x)), x)


@pytest.mark.parametrize("shape", [(4, 6), (5, 4), (3, 7)])
def test_the_k_space_of_a_real_image_is_the_conjugate_of_its_opposite(shape):
    k = Fourier(shape, (-2, -1))(normal(shape, 0) + 0j)
    torch.testing.assert_close(opposite(k, (-2, -1)), k.conj())


def test_only_measured_samples_are_in_the_data():
    measured = torch.zeros((2, 4, 5), dtype=torch.bool)
    measured[:, 1:3] = True
    x = normal((2, 4, 5), 0)
    y = SampledFourier(measured)(x)
    torch.testing.assert_close(y, Fourier((2, 4, 5))(x + 0j)[measured])
