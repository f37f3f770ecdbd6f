import numpy as np
import pytest
import torch

from inversesr.acquisition.foreground import foreground
from inversesr.acquisition.geometry import describe_acquisition, fine_grid, forward_operator
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.evaluation.metrics import intensity_range, psnr
from inversesr.evaluation.null_space import null_space_score
from inversesr.io.nifti import Scan
from inversesr.operators.proximal import project
from inversesr.volume import Grid, Volume
from tests.support.problems import averaging

SHAPE = (12, 10, 16)
GRID = Grid(SHAPE, np.eye(4))


def image(seed=0):
    data = np.random.default_rng(seed).uniform(40, 90, SHAPE).astype(np.float32)
    data[:2] = 0.0
    return Volume(data, GRID)


@pytest.fixture
def score():
    return null_space_score(averaging(SHAPE), GRID, image())


def test_an_error_in_the_range_of_the_slices_is_ignored(score):
    x = score.truth + torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    seen = 20.0 * torch.randn(score.A.out_shape, generator=torch.Generator().manual_seed(2))
    # to the rounding of float32: the part that is added is ten times as large as the rest
    assert score(x + score.A.adjoint(seen)) == pytest.approx(score(x), abs=1e-4)


def test_data_consistency_changes_nothing(score):
    x = score.truth + torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    assert score(project(score.A, x, score.A(score.truth)).x) == pytest.approx(score(x), abs=1e-4)


def test_of_an_error_that_no_slice_sees_nothing_is_ignored(score):
    truth = image()
    hidden = np.tile(np.array([3.0, -3.0], dtype=np.float32), SHAPE[2] // 2)
    x = truth.data + hidden
    expected = psnr(x, truth.data, foreground(truth.data), intensity_range(truth.data))
    assert score(torch.from_numpy(x)) == pytest.approx(expected, abs=1e-4)


def test_the_truth_itself_has_no_error(score):
    assert score(score.truth) == float("inf")


@pytest.mark.parametrize("thickness_mm", [4.0, 5.0])
def test_a_fine_grid_that_sticks_out_is_scored_where_the_truth_is(thickness_mm):
    truth = image()
    thick = Scan.made_here(simulate(truth, SimulateConfig(thickness_mm=thickness_mm)))
    acquisition = describe_acquisition(thick, Config(thickness_mm=thickness_mm))
    fine = fine_grid(thick.volume.grid, acquisition)
    score = null_space_score(forward_operator(thick.volume.grid, fine, acquisition), fine, truth)
    assert int(score.inside.sum()) == int(foreground(truth.data).sum())
    assert sorted(score.truth[score.inside].tolist()) == sorted(
        truth.data[foreground(truth.data)].tolist()
    )


def test_an_image_of_somewhere_else_is_refused():
    affine = np.eye(4)
    affine[:3, 3] = 500.0
    with pytest.raises(InputError, match="meets 0 voxels"):
        null_space_score(averaging(SHAPE), Grid(SHAPE, affine), image())
