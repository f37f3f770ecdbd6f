import pytest
import torch

from inversesr.operators.inner_product import inner, n_numbers, norm, squared_modulus, white_noise
from tests.support.laws import normal


def test_a_complex_number_counts_as_two_real_ones():
    a, b = normal((4, 5), 0, torch.complex128), normal((4, 5), 1, torch.complex128)
    expected = (a.real * b.real + a.imag * b.imag).sum()
    assert inner(a, b) == pytest.approx(float(expected))
    assert norm(a) == pytest.approx(float(a.abs().square().sum().sqrt()))
    assert n_numbers(a) == 40
    assert n_numbers(a.real) == 20
    torch.testing.assert_close(squared_modulus(a), a.abs().square())


def test_sums_of_many_small_numbers_lose_nothing():
    a = torch.full((1 << 20,), 1e-3)
    a[0] = 1e4
    assert inner(a, a) == pytest.approx(1e8 + ((1 << 20) - 1) * 1e-6, rel=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.complex128])
def test_noise_has_variance_one_in_every_real_number(dtype):
    like = torch.zeros(100_000, dtype=dtype)
    noise = white_noise(like, torch.Generator().manual_seed(0))
    assert noise.dtype == dtype
    assert inner(noise, noise) / n_numbers(noise) == pytest.approx(1.0, abs=0.02)
