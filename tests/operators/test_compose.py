import numpy as np
import pytest
import torch

from inversesr.operators.compose import Composed, Diagonal, Stacked
from inversesr.operators.resample import RigidResample
from inversesr.operators.separable import SeparableOperator
from inversesr.volume import Grid
from tests.support.laws import TOLERANCES, check_operator, dense, normal

DTYPES = list(TOLERANCES)


def averaging(shape, axis, seed):
    matrix = np.abs(normal((shape[axis] // 2, shape[axis]), seed).numpy())
    matrices = [None, None, None]
    matrices[axis] = matrix
    return SeparableOperator(shape, tuple(matrices))


def turned(shape):
    pose = np.eye(4)
    pose[:2, :2] = [[0.96, -0.28], [0.28, 0.96]]
    pose[:3, 3] = [0.3, -0.4, 0.2]
    return RigidResample(Grid((6, 7, 5), np.eye(4)), Grid(shape, np.eye(4)), pose)


@pytest.fixture
def composed():
    return Composed(averaging((5, 6, 8), 2, 0), turned((5, 6, 8)))


@pytest.fixture
def stacked(composed):
    return Stacked((composed, averaging((6, 7, 5), 0, 1), turned((4, 4, 4))))


@pytest.fixture
def weighted(composed):
    weights = normal(composed.out_shape, 3).abs()
    weights[0] = 0.0
    return Diagonal(weights) @ composed


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_product_obeys_the_laws(composed, dtype):
    check_operator(composed, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_stack_obeys_the_laws(stacked, dtype):
    check_operator(stacked, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_weighted_operator_obeys_the_laws(weighted, dtype):
    check_operator(weighted, dtype)


def test_the_matrix_of_a_product_is_the_product_of_the_matrices(composed):
    expected = dense(composed.outer) @ dense(composed.inner)
    torch.testing.assert_close(dense(composed), expected)


def test_the_matrix_of_a_stack_is_the_stack_of_the_matrices(stacked):
    expected = torch.cat([dense(operator) for operator in stacked.operators])
    torch.testing.assert_close(dense(stacked), expected)


def test_weights_scale_the_rows_of_the_matrix(weighted):
    expected = weighted.outer.weights.reshape(-1, 1) * dense(weighted.inner)
    torch.testing.assert_close(dense(weighted), expected)


def test_operators_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="cannot feed"):
        Composed(averaging((4, 4, 4), 0, 0), averaging((4, 4, 4), 1, 1))
