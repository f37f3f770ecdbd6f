import numpy as np
import pytest
import torch

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.acquisition.kspace_simulation import ring_of_coils, simulate_kspace
from inversesr.errors import InputError
from inversesr.operators.fourier import Fourier
from inversesr.volume import Grid, Volume


def image(shape=(24, 32, 2)):
    data = np.random.default_rng(0).uniform(50, 100, shape).astype(np.float32)
    return Volume(data, Grid(shape, np.eye(4)))


def test_whole_k_space_without_noise_gives_the_image_back():
    made = simulate_kspace(image(), KSpaceSimulation(acceleration=1.0))
    coils = Fourier(made.kspace.samples.shape, (-3, -2)).adjoint(
        torch.from_numpy(made.kspace.samples)
    )
    combined = (made.maps.conj() * coils).sum(0)
    assert torch.allclose(combined, made.truth, atol=1e-3)
    assert np.allclose(made.truth.abs().numpy(), image().data, rtol=1e-5)


def test_what_is_not_taken_is_zero_and_noise_is_of_the_size_asked_for():
    config = KSpaceSimulation(acceleration=2.0, calibration=8, noise=0.05)
    noisy = simulate_kspace(image(), config)
    clean = simulate_kspace(image(), KSpaceSimulation(acceleration=2.0, calibration=8))
    assert not noisy.kspace.samples[:, ~noisy.kspace.measured].any()
    difference = (noisy.kspace.samples - clean.kspace.samples)[:, noisy.kspace.measured]
    assert difference.real.std() == pytest.approx(noisy.sigma, rel=0.03)
    assert noisy.sigma == pytest.approx(5.0, rel=0.01)


def test_a_3d_scan_is_encoded_along_three_axes_and_its_readout_is_whole():
    config = KSpaceSimulation(acceleration=3.0, calibration=4, mask="poisson", is_3d=True)
    made = simulate_kspace(image((8, 24, 24)), config)
    assert made.kspace.encoded == (0, 1, 2)
    assert (made.kspace.measured == made.kspace.measured[:1]).all()


def test_coils_of_a_ring_see_different_sides():
    maps = ring_of_coils(4, (16, 16, 1))[..., 0].abs()
    assert maps[0, 15, 8] > 2 * maps[0, 0, 8]
    assert torch.allclose(maps.square().sum(0), torch.ones(16, 16))
    assert torch.equal(ring_of_coils(1, (3, 3, 1)).abs(), torch.ones(1, 3, 3, 1))


def test_a_noise_scan_is_drawn_on_request():
    config = KSpaceSimulation(acceleration=1.0, noise=0.05, noise_scan=500)
    made = simulate_kspace(image(), config)
    assert made.kspace.noise.shape == (8, 500)
    assert made.kspace.noise.imag.std() == pytest.approx(made.sigma, rel=0.05)


def test_an_empty_image_is_refused():
    empty = Volume(np.zeros((8, 8, 1), dtype=np.float32), Grid((8, 8, 1), np.eye(4)))
    with pytest.raises(InputError, match="nothing above 0"):
        simulate_kspace(empty, KSpaceSimulation())
