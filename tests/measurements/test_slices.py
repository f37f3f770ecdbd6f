from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import describe_acquisition, forward_operator
from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.measurements.slices import Task
from inversesr.operators.interpolation import spline
from inversesr.operators.proximal import project
from inversesr.operators.slice_interpolation import interpolation_matrix
from inversesr.volume import Grid, Volume
from tests.support.heads import head_volume
from tests.support.laws import check_operator, normal

SHAPE, SPACING_MM = (6, 7, 5), (1.0, 1.0, 4.0)
# a stack that is tilted and far from the origin
AFFINE = np.array(
    [[0.8, 0.0, -2.4, -40.0], [0.0, 1.0, 0.0, 12.0], [0.6, 0.0, 3.2, 90.0], [0.0, 0.0, 0.0, 1.0]]
)


def task_of(y=None, profile="rect", protect=None):
    y = normal(SHAPE, 0) if y is None else y
    scan = Scan.made_here(Volume(y.numpy().astype(np.float32), Grid(SHAPE, AFFINE)))
    acquisition = describe_acquisition(scan, Config(profile=profile))
    return Task(y, scan.volume.grid, acquisition, 0.1, protect)


@pytest.mark.parametrize("profile", ["rect", "gaussian"])
@pytest.mark.parametrize("factor", [1.0, 1.3])
def test_the_forward_operator_leads_from_the_fine_grid_to_the_scan(profile, factor):
    task = task_of(profile=profile).with_thickness(factor)
    assert task.A.in_shape == task.fine.shape
    assert task.A.out_shape == SHAPE
    check_operator(task.A)


def test_the_fine_grid_fills_the_place_of_the_scan():
    task = task_of()
    assert task.fine.shape == (6, 7, 20)
    assert task.fine.spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    for share in (0.0, 0.25, 1.0):
        corners = [
            grid.affine[:3, :3] @ (share * np.array(grid.shape) - 0.5) + grid.affine[:3, 3]
            for grid in (task.scan_grid, task.fine)
        ]
        np.testing.assert_allclose(*corners, atol=1e-9)


def test_a_scan_that_is_the_same_everywhere_starts_the_same_everywhere():
    task = task_of(torch.full(SHAPE, 7.0, dtype=torch.float64))
    torch.testing.assert_close(task.x0, torch.full(task.fine.shape, 7.0, dtype=torch.float64))
    torch.testing.assert_close(task.A(task.x0), task.y)


def test_a_mirrored_scan_has_a_mirrored_start():
    y = normal(SHAPE, 1)
    torch.testing.assert_close(task_of(y.flip(2)).x0, task_of(y).x0.flip(2))


def test_the_start_is_linear_in_the_scan():
    a, b = normal(SHAPE, 1), normal(SHAPE, 2)
    torch.testing.assert_close(task_of(2 * a - b).x0, 2 * task_of(a).x0 - task_of(b).x0)


def test_what_was_found_of_the_thickness_multiplies_up():
    task = task_of()
    # what is computed once must not outlive the thickness that it was computed for
    assert task.A.out_shape == SHAPE
    twice, once = task.with_thickness(0.8).with_thickness(1.5), task.with_thickness(1.2)
    assert twice.acquisition.thickness_mm == pytest.approx(once.acquisition.thickness_mm)
    x = normal(task.fine.shape, 3)
    torch.testing.assert_close(twice.A(x), once.A(x))
    stated = replace(task.acquisition, thickness_mm=4.8)
    torch.testing.assert_close(once.A(x), forward_operator(task.scan_grid, task.fine, stated)(x))
    assert not torch.allclose(once.A(x), task.A(x))


def test_another_thickness_changes_nothing_else_and_is_recorded():
    task = task_of(protect=torch.ones(SHAPE))
    found = task.with_thickness(1.25)
    assert found.fine.same_as(task.fine)
    assert found.y is task.y
    assert found.protect is task.protect
    assert task.acquisition.thickness_mm == 4.0
    *before, sentence = found.acquisition.assumptions
    assert tuple(before) == task.acquisition.assumptions
    assert sentence == "thickness 5 mm as fitted, 1.25 times what was stated"


def test_a_thickness_that_was_stated_right_is_left_as_it_was():
    task = task_of()
    assert task.with_thickness(1.0) is task


def test_what_is_not_protected_on_the_fine_grid_is_what_is_not_protected_in_the_scan():
    step = torch.zeros(SHAPE, dtype=torch.float64)
    step[:, :, :2] = 1.0
    protected = task_of(protect=step).fine_protect
    # a spline through a step overshoots on both sides
    assert (float(protected.min()), float(protected.max())) == (0.0, 1.0)
    rest = task_of(protect=1.0 - step).fine_protect
    torch.testing.assert_close(rest, 1.0 - protected)
    # well within slices: the first is all protected, the last not at all
    assert float(protected[:, :, 2].min()) > 0.95
    assert float(protected[:, :, -3].max()) < 0.05


def test_without_a_mask_nothing_is_protected():
    assert task_of().fine_protect is None


def interpolated_task(kind):
    """Slices of 5 mm stored every millimetre, and the task as they were measured."""
    head = head_volume((40, 44, 24), (1.0, 1.0, 5.0), folds=25.0)
    weights = interpolation_matrix(kind, (np.arange(120) - 2.0) / 5.0, 24)
    y = (head.data.astype(np.float64) @ weights.T).astype(np.float32)
    tasks = []
    for volume in (Volume(y, Grid(y.shape, np.eye(4))), head):
        # the same place, so that both fine grids are the same
        acquisition = describe_acquisition(Scan.made_here(volume), Config())
        data = torch.from_numpy(volume.data).double()
        tasks.append(Task(data, volume.grid, acquisition, 1.0))
    return tasks


@pytest.mark.parametrize("kind", ["nearest", "linear", "cubic"])
def test_interpolated_slices_say_what_the_measured_ones_say(kind):
    stored, measured = interpolated_task(kind)
    assert stored.acquisition.interpolated is not None
    assert stored.fine.shape == measured.fine.shape
    check_operator(stored.A)
    torch.testing.assert_close(stored.x0, measured.x0, atol=1e-2, rtol=0)
    start = torch.zeros(stored.A.in_shape, dtype=torch.float64)
    found, expected = (project(t.A, start, t.y).x for t in (stored, measured))
    torch.testing.assert_close(found, expected, atol=1e-2, rtol=0)
    assert float((stored.A(found) - stored.y).abs().max()) < 0.01


def test_slices_that_are_about_known_are_interpolated_as_they_are_stored():
    task, _ = interpolated_task("cubic")
    rough = replace(task.acquisition.interpolated, is_exact=False)
    rough_task = replace(task, acquisition=replace(task.acquisition, interpolated=rough))
    torch.testing.assert_close(rough_task.x0, spline(task.y, task.scan_grid, task.fine))


def test_missing_slices_are_no_data_and_the_first_guess_goes_through_the_others():
    y = normal(SHAPE, 0)
    scan = Scan.made_here(Volume(y.numpy().astype(np.float32), Grid(SHAPE, AFFINE)))
    acquisition = describe_acquisition(scan, Config(missing="2"))
    kept = [0, 1, 3, 4]
    task = Task(y[..., kept].contiguous(), scan.volume.grid, acquisition, 0.1)
    assert task.A.out_shape == (6, 7, 4)
    check_operator(task.A)
    torch.testing.assert_close(task.seen[..., kept], task.y)
    assert task.seen.shape == SHAPE
    torch.testing.assert_close(task.x0, spline(task.seen, task.scan_grid, task.fine))
    exact = project(task.A, task.x0, task.y).x
    torch.testing.assert_close(task.A(exact), task.y, rtol=1e-4, atol=1e-4)
    expected = torch.zeros(20)
    expected[8:12] = 1.0
    torch.testing.assert_close(task.generated[2, 3].double(), expected.double())
    assert task_of().generated is None
