import pytest
import torch

from inversesr.operators.wavelet import HIGH, LOW, Wavelet, split
from tests.support.laws import normal


def test_filters_are_orthonormal_and_blind_to_cubics():
    low, high = torch.tensor(LOW, dtype=torch.float64), torch.tensor(HIGH, dtype=torch.float64)
    assert low.square().sum() == pytest.approx(1.0)
    assert float(low @ high) == pytest.approx(0.0, abs=1e-12)
    k = torch.arange(len(LOW), dtype=torch.float64)
    for power in range(4):
        assert float((high * k**power).sum()) == pytest.approx(0.0, abs=1e-8)


def test_details_of_a_constant_line_are_zero():
    averages, details = split(torch.ones(3, 16, dtype=torch.float64), -1).chunk(2, dim=-1)
    assert details.abs().max() < 1e-12
    assert torch.allclose(averages, torch.full_like(averages, 2.0**0.5))


def test_an_odd_image_comes_back_whole():
    wavelet = Wavelet((1, 13, 10), (-2, -1), 2)
    x = normal((1, 13, 10), 0, torch.complex128)
    assert wavelet.out_shape == (1, 16, 12)
    assert torch.allclose(wavelet.adjoint(wavelet(x)), x)


def test_coefficients_are_those_of_pywavelets():
    pywt = pytest.importorskip("pywt")
    x = normal((1, 32, 32), 3)
    found = split(split(x, -2), -1)[0]
    approximation = pywt.dwt2(x[0].numpy(), "db4", mode="periodization")[0]
    # the library begins its blocks at another place
    energies = [found[:16, :16].square().sum(), torch.tensor(approximation).square().sum()]
    assert float(energies[0]) == pytest.approx(float(energies[1]), rel=0.2)
