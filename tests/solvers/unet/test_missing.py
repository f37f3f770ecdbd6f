from dataclasses import replace

import numpy as np
import pytest
import torch

from inversesr.acquisition.geometry import describe_acquisition, fine_grid, forward_operator
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.config import Config
from inversesr.io.nifti import Scan
from inversesr.measurements.slices import Task
from inversesr.operators.interpolation import spline
from inversesr.operators.proximal import project
from inversesr.priors.networks.unet import SuperResolutionShape, SuperResolutionUNet
from inversesr.solvers.unet.missing import completed, find_holes, holes_of, sparser
from inversesr.solvers.unet.solver import Effort, unet
from inversesr.volume import Grid, Volume

N = 9
SHAPE = (20, 24, 4 * N)


def truth():
    """A smooth image, 1 mm voxels."""
    x, y, z = np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij")
    data = 100.0 + 30.0 * np.sin(0.1 * z + 0.3 * x) + 5.0 * np.cos(0.4 * y)
    return Volume(data.astype(np.float32), Grid(data.shape, np.diag([1.0, 1.0, 1.0, 1.0])))


def problem(missing, axis="S"):
    thick = simulate(truth(), SimulateConfig(axis=axis))
    scan = Scan.made_here(thick)
    acquisition = describe_acquisition(scan, Config(missing=missing))
    kept = [k for k in range(thick.grid.shape[acquisition.slice_axis])
            if k not in acquisition.missing]  # fmt: skip
    y = torch.from_numpy(thick.data).index_select(acquisition.slice_axis, torch.tensor(kept))
    return thick, Task(y.contiguous(), thick.grid, acquisition, 0.0)


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ((3,), [(2, (3,))]),
        ((3, 5), [(2, (3, 5))]),
        ((3, 6), [(2, (3,)), (2, (6,))]),
        ((3, 4), [(3, (3, 4))]),
        ((0, 4, 8), [(2, (4,))]),
        ((0, 1), []),
    ],
)
def test_holes_are_put_together_by_the_sparser_stack_that_lacks_them(missing, expected):
    found = find_holes(missing, N)
    assert [(holes.stride, holes.slices) for holes in found] == expected
    for holes in found:
        assert set(np.diff(holes.kept)) == {holes.stride}
        assert not set(holes.slices) & set(holes.kept)
        first, last = holes.slices[0], holes.slices[-1]
        assert holes.kept[0] < first
        assert holes.kept[-1] > last


def test_the_sparser_stack_lies_where_its_slices_lie():
    thick, task = problem("3")
    (holes,) = find_holes((3,), N)
    sparse = sparser(task, task.seen, holes)
    for n, k in enumerate(holes.kept):
        np.testing.assert_array_equal(sparse.y[..., n], thick.data[..., k])
        place = sparse.scan_grid.affine @ [0, 0, n, 1]
        np.testing.assert_allclose(place, thick.grid.affine @ [0, 0, k, 1])
    assert sparse.acquisition.thickness_mm == pytest.approx(4.0)
    assert sparse.acquisition.slice_spacing_mm == pytest.approx(8.0)


@pytest.mark.parametrize("axis", ["R", "A", "S"])
@pytest.mark.parametrize("missing", ["2", "0"])
def test_the_truth_gives_the_missing_slices_back(axis, missing):
    # what a perfect network would return is the image itself, on whichever grid it is asked for
    thick, task = problem(missing, axis)
    whole = truth()

    def restored(sparse):
        inverse = np.linalg.inv(whole.grid.affine) @ sparse.fine.affine
        places = np.indices(sparse.fine.shape).reshape(3, -1)
        i, j, k = inverse[:3, :3] @ places + inverse[:3, 3:]
        data = 100.0 + 30.0 * np.sin(0.1 * k + 0.3 * i) + 5.0 * np.cos(0.4 * j)
        return torch.from_numpy(data.reshape(sparse.fine.shape).astype(np.float32))

    found = completed(task, restored)
    assert found.acquisition.missing == ()
    expected = torch.from_numpy(thick.data)
    if missing == "0":  # nothing lies on its other side: it stays as interpolation left it
        torch.testing.assert_close(found.y, task.seen)
    else:
        torch.testing.assert_close(found.y, expected, rtol=2e-3, atol=0.5)


def test_what_was_measured_stays_as_it_is():
    _, task = problem("3,4,6")
    found = completed(task, lambda sparse: torch.zeros(sparse.fine.shape))
    kept = [k for k in range(N) if k not in (3, 4, 6)]
    torch.testing.assert_close(found.y[..., kept], task.y)


def test_the_share_of_holes_is_that_of_what_is_generated():
    _, task = problem("2,5,6")
    total = sum(share for _, share in holes_of(task))
    torch.testing.assert_close(total.float(), task.generated[0, 0])


def test_a_network_that_changes_nothing_leaves_the_spline_over_the_gap_consistent():
    _, task = problem("4")
    net = SuperResolutionUNet(
        SuperResolutionShape(widths=(4, 4, 4), n_blocks=(1, 1, 1), n_embedding=4)
    )
    found = unet(task, net, Effort(), lambda _n, _of: None)
    assert found.status.startswith("missing slices generated")
    assert found.x.shape == task.fine.shape
    near = spline(task.seen, task.scan_grid, task.fine)
    assert float((found.x - near).abs().mean()) < 0.05 * float(near.std())


def test_it_is_seen_through_the_slices_of_the_scan_itself():
    # a hole between slices of a stack with gaps has the thickness of its slices
    thick = simulate(truth(), SimulateConfig(thickness_mm=2.0, gap_mm=2.0))
    scan = Scan.made_here(thick)
    acquisition = describe_acquisition(scan, Config(missing="3", thickness_mm=2.0))
    y = torch.from_numpy(np.delete(thick.data, 3, axis=2))
    task = Task(y, thick.grid, acquisition, 0.0)
    x = torch.randn((*SHAPE[:2], 64), generator=torch.Generator().manual_seed(0))

    def restored(sparse):
        return x[..., : sparse.fine.shape[2]]

    found = completed(task, restored).y[..., 3]
    whole = replace(acquisition, missing=())
    (holes,) = find_holes((3,), 9)
    sparse = sparser(task, task.seen, holes)
    assert sparse.fine.shape[2] == 8 * len(holes.kept)
    dense = sparse.scan_grid.respaced((*SHAPE[:2], 2 * len(holes.kept) - 1), (1.0, 1.0, 4.0))
    A = forward_operator(dense, fine_grid(sparse.scan_grid, sparse.acquisition), whole)
    expected = A(project(sparse.A, restored(sparse), sparse.y).x)[..., 3 - holes.kept[0]]
    torch.testing.assert_close(found, expected)
