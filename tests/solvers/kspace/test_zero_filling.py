import torch

from inversesr.measurements.kspace import measure_kspace
from inversesr.solvers.kspace.protocol import Request
from inversesr.solvers.kspace.zero_filling import ZeroFilling, reconstruct
from tests.support.mri import scanned


def test_whole_k_space_gives_the_magnitude_of_the_truth():
    made = scanned(acceleration=1.0)
    measurement = measure_kspace(made.kspace)
    found = reconstruct(measurement, Request(ZeroFilling()))
    inside = (made.truth.abs() > 0) & (measurement.maps.abs().sum(0) > 0)
    error = (found.x * measurement.scale).abs() - made.truth.abs()
    assert error[inside].abs().max() < 0.03 * made.truth.abs().max()
    assert torch.isfinite(found.x.abs()).all()
