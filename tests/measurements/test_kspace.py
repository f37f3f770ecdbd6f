import numpy as np
import pytest
import torch

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.acquisition.kspace_simulation import simulate_kspace
from inversesr.errors import InputError
from inversesr.io.kspace.record import KSpace
from inversesr.measurements.kspace import measure_kspace, whitening_of
from tests.support.laws import check_operator
from tests.support.mri import head, scanned


def test_the_operator_makes_the_samples_of_the_truth():
    made = scanned(acceleration=2.0)
    kspace = KSpace(made.kspace.samples, made.kspace.measured, (0, 1), maps=made.maps.numpy())
    measurement = measure_kspace(kspace)
    expected = measurement.y * measurement.scale
    assert torch.allclose(measurement.A(made.truth), expected, atol=1e-3 * expected.abs().max())
    check_operator(measurement.A, torch.float32, is_complex=True)


def test_images_are_scaled_to_a_bright_end_of_about_one():
    measurement = measure_kspace(scanned(acceleration=2.0).kspace)
    assert measurement.scale == pytest.approx(100.0, rel=0.2)


def test_the_noise_is_found_at_the_edge_of_k_space():
    made = scanned((96, 96, 1), acceleration=2.0, noise=0.2)
    measurement = measure_kspace(made.kspace)
    assert measurement.sigma * measurement.scale == pytest.approx(made.sigma, rel=0.15)
    assert measurement.noise_source == "edge of k-space"


def test_a_noise_scan_whitens_coils_that_share_noise():
    made = scanned(acceleration=2.0)
    rng = np.random.default_rng(0)
    mixing = np.eye(4) + 0.4 * rng.normal(size=(4, 4))
    noise = mixing @ (rng.normal(size=(4, 2000)) + 1j * rng.normal(size=(4, 2000)))
    whitening = whitening_of(torch.from_numpy(noise))
    white = whitening @ torch.from_numpy(noise)
    covariance = (white @ white.mH / (2 * 1999)).abs()
    assert torch.allclose(covariance, torch.eye(4, dtype=torch.float64), atol=0.05)
    kspace = KSpace(made.kspace.samples, made.kspace.measured, (0, 1), noise.astype("c8"))
    measurement = measure_kspace(kspace)
    assert measurement.noise_source == "noise scan"
    assert measurement.sigma * measurement.scale == pytest.approx(1.0)


def test_a_3d_scan_gets_maps_whose_phase_does_not_jump():
    config = KSpaceSimulation(
        coils=4, acceleration=2.0, calibration=12, mask="poisson", is_3d=True
    )
    made = simulate_kspace(head((10, 24, 24)), config)
    measurement = measure_kspace(made.kspace)
    beside = (measurement.maps[:, 1:] * measurement.maps[:, :-1].conj()).sum(0)
    middle = beside[:, 8:16, 8:16]
    assert middle.angle().abs().max() < 0.8


def test_k_space_without_a_middle_is_refused():
    made = scanned(acceleration=2.0)
    measured = made.kspace.measured.copy()
    measured[:, 15:17] = False
    with pytest.raises(InputError, match="calibration region"):
        measure_kspace(KSpace(made.kspace.samples * measured, measured, (0, 1)))
