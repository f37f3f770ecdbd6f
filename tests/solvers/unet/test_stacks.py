import pytest
import torch

from inversesr.operators.compose import Composed, Diagonal, Stacked
from inversesr.operators.separable import SeparableOperator
from inversesr.solvers.unet import stacks
from inversesr.solvers.unet.stacks import mean_image, unet_stacks
from tests.support.laws import normal
from tests.support.operators import averaging

SHAPE, SIGMA = (12, 12, 12), 0.01


def along(axis):
    matrices = [None, None, None]
    matrices[axis] = averaging(3, 4.0, 4.0)
    return SeparableOperator(SHAPE, tuple(matrices))


def problem(sigma=SIGMA):
    """Three orthogonal stacks of an image, whitened, and an image that is off by 0.06."""
    truth = torch.rand(SHAPE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    operators = [along(axis) for axis in range(3)]
    scans = [A(truth) + sigma * normal(A.out_shape, n) for n, A in enumerate(operators)]
    weights = [torch.full(A.out_shape, 1.0 / sigma, dtype=torch.float64) for A in operators]
    parts = [Composed(Diagonal(w), A) for w, A in zip(weights, operators, strict=True)]
    y = torch.cat([(w * s).reshape(-1) for w, s in zip(weights, scans, strict=True)])
    return truth, Stacked(tuple(parts)), y, truth + 0.06 * normal(SHAPE, 9)


def quiet(_done, _total):
    """Report no progress."""


def test_the_image_agrees_with_all_stacks_to_their_noise_and_is_nearer_to_the_truth():
    truth, A, y, mean = problem()
    found = unet_stacks(A, y, mean, quiet)
    misfit = float((A(found.x) - y).square().mean().sqrt())
    assert float((A(mean) - y).square().mean().sqrt()) > 2.0
    assert misfit < 1.1
    assert float((found.x - truth).norm()) < 0.8 * float((mean - truth).norm())


def test_a_spoilt_slice_does_less_harm_than_its_square_would(monkeypatch):
    _, A, y, mean = problem()
    spoilt = y.clone()
    spoilt[: SHAPE[1] * 3] += 0.5 / SIGMA
    harm = {}
    for bend in (stacks.HUBER_BEND, 1e9):
        monkeypatch.setattr(stacks, "HUBER_BEND", bend)
        fair, found = (unet_stacks(A, data, mean, quiet).x for data in (y, spoilt))
        harm[bend] = float((found - fair)[:1].abs().mean())
    # the other stacks cannot undo a slab that a stack insists on
    assert harm[1e9] > 0.02
    assert harm[3.0] < 0.7 * harm[1e9]


def test_misfits_that_are_large_everywhere_spoil_no_slice(monkeypatch):
    """Where motion remains, every misfit is ten times the noise: the penalty stays a square."""
    _, A, y, mean = problem()
    y = y + 10.0 * normal(y.shape, 77)
    found = unet_stacks(A, y, mean, quiet)
    assert found.history["misfit_over_noise"][-1] > 3.0
    monkeypatch.setattr(stacks, "HUBER_BEND", 1e9)
    square = unet_stacks(A, y, mean, quiet)
    # measured: 0.005; where misfits count beyond three times the noise 0.16
    assert float((found.x - square.x).norm()) < 0.02 * float((square.x - mean).norm())


@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_images_are_averaged_where_they_reach(weight):
    a, b = normal(SHAPE, 0), normal(SHAPE, 1)
    reached = torch.full(SHAPE, weight)
    found = mean_image([a, b], [torch.ones(SHAPE), reached])
    torch.testing.assert_close(found, (a + weight * b) / (1.0 + weight), rtol=1e-5, atol=1e-6)


def test_where_no_image_reaches_the_first_one_stands():
    a, b = normal(SHAPE, 0), normal(SHAPE, 1)
    nothing = torch.zeros(SHAPE)
    torch.testing.assert_close(mean_image([a, b], [nothing, nothing]), a)
