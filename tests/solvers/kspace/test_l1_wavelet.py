import pytest
import torch

from inversesr.measurements.kspace import measure_kspace
from inversesr.solvers.kspace import cg_sense
from inversesr.solvers.kspace.l1_wavelet import L1Wavelet, n_levels, reconstruct, soften
from inversesr.solvers.kspace.protocol import Request
from tests.support.mri import scanned


def test_soft_thresholds_shrink_sizes_and_keep_phases():
    c = torch.tensor([3.0 + 4.0j, 0.1j, 0.0])
    assert torch.allclose(soften(c, 1.0), torch.tensor([2.4 + 3.2j, 0.0, 0.0]))


def test_noise_is_lower_than_by_least_squares():
    made = scanned((48, 48, 1), acceleration=2.0, noise=0.15, mask="variable")
    measurement = measure_kspace(made.kspace, noise=made.sigma)

    def error(x):
        return float(((x * measurement.scale).abs() - made.truth.abs()).square().mean().sqrt())

    sparse = error(reconstruct(measurement, Request(L1Wavelet(n_steps=40))).x)
    assert sparse < 0.9 * error(cg_sense.reconstruct(measurement, Request(cg_sense.CGSense())).x)


def test_without_a_weight_it_fits_the_data():
    made = scanned(acceleration=2.0)
    measurement = measure_kspace(made.kspace)
    found = reconstruct(measurement, Request(L1Wavelet(n_steps=80, weight=0.0)))
    misfit = (measurement.A(found.x) - measurement.y).abs().square().sum().sqrt()
    assert misfit < 0.05 * measurement.y.abs().square().sum().sqrt()


@pytest.mark.parametrize(
    ("shape", "levels"), [((256, 230, 1), 4), ((16, 300, 1), 2), ((4, 4, 1), 1)]
)
def test_small_images_have_fewer_levels(shape, levels):
    assert n_levels(shape, (-3, -2)) == levels
