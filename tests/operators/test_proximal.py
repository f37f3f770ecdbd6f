import numpy as np
import pytest
import torch

from inversesr.operators.conjugate_gradient import Effort
from inversesr.operators.proximal import nearest_within, project, prox
from inversesr.operators.separable import SeparableOperator
from inversesr.operators.slice_profile import slice_matrix
from inversesr.volume import voxel_centres
from tests.support.laws import Plain, normal, problem
from tests.support.operators import OPERATORS


def test_an_iteration_that_ends_too_early_says_so():
    A = Plain(OPERATORS["slices of a moved head"].operator)
    x0, y = problem(A)
    found = project(A, x0, y, Effort(1e-12, 1))
    assert not found.is_converged
    assert "stopped after 1 steps of conjugate gradients" in found.status


def test_data_that_no_image_can_meet_are_met_as_well_as_can_be_and_that_is_said():
    A = OPERATORS["a slice measured twice"].operator
    x0 = normal(A.in_shape, 0)
    y = normal(A.out_shape, 1)
    found = nearest_within(A, x0, y, 1e-3)
    assert not found.is_converged
    assert "times what was asked for" in found.status
    torch.testing.assert_close(found.x, project(A, x0, y).x)


@pytest.mark.parametrize("name", ["slices", "slices of a moved head"])
def test_no_noise_is_the_projection(name):
    A = OPERATORS[name].operator
    x0, y = problem(A)
    assert torch.equal(prox(A, x0, y, 1.0, 0.0).x, project(A, x0, y).x)
    assert torch.equal(nearest_within(A, x0, y, 0.0).x, project(A, x0, y).x)


def test_slices_that_overlap_widely_are_met_to_rounding_all_the_same():
    # 6 mm thick and 1 mm apart: what hardly shows in any slice is divided by little
    edges = np.arange(49) - 24.0
    slices = slice_matrix(edges, voxel_centres(44, 1.0), 6.0, "rect")
    assert np.linalg.cond(slices) > 500
    A = SeparableOperator((4, 4, 48), (None, None, slices))
    generator = torch.Generator().manual_seed(0)
    truth, x = (1000.0 * torch.rand(A.in_shape, generator=generator) for _ in range(2))
    y = A(truth)
    found = project(A, x, y).x
    assert float((A(found) - y).abs().max() / y.abs().max()) < 1e-6
