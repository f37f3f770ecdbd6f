import numpy as np
import torch

from inversesr.io.kspace.record import KSpace
from inversesr.measurements.kspace import measure_kspace
from inversesr.solvers.kspace.cg_sense import CGSense, reconstruct
from inversesr.solvers.kspace.protocol import Request
from tests.support.mri import scanned


def with_true_maps(made):
    return measure_kspace(
        KSpace(made.kspace.samples, made.kspace.measured, (0, 1), maps=made.maps.numpy())
    )


def test_it_is_the_solution_of_the_normal_equations():
    made = scanned((16, 12, 1), acceleration=2.0, noise=0.05, calibration=4)
    measurement = with_true_maps(made)
    found = reconstruct(measurement, Request(CGSense(n_steps=400, damping=0.01)))
    A, x = measurement.A, found.x
    gradient = A.adjoint(A(x) - measurement.y) + 0.01 * x
    assert gradient.abs().max() < 1e-3 * A.adjoint(measurement.y).abs().max()


def test_four_coils_undo_an_acceleration_of_two():
    made = scanned(acceleration=2.0, mask="uniform", calibration=4)
    measurement = with_true_maps(made)
    found = reconstruct(measurement, Request(CGSense(n_steps=200, damping=1e-6)))
    error = found.x * measurement.scale - made.truth
    assert error.abs().square().mean().sqrt() < 0.02 * np.percentile(made.truth.abs(), 99)
    assert torch.isfinite(error.abs()).all()
