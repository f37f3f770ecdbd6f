import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.comparison import Setup
from inversesr.benchmarks.spacing import Voxels, coarser, measure_spacing, whole_groups
from inversesr.errors import InputError
from inversesr.io.nifti import Scan, write_volume
from inversesr.volume import Grid, Volume

SHAPE = (19, 18, 30)


def head(spacing_mm=0.5):
    places = np.meshgrid(*[np.linspace(-1, 1, n) for n in SHAPE], indexing="ij")
    data = 100.0 * (sum(p**2 for p in places) < 0.8) * (2.0 + np.cos(9 * places[2]))
    return Volume(data.astype(np.float32), Grid(SHAPE, np.diag([spacing_mm] * 3 + [1.0])))


@pytest.fixture
def truth(tmp_path):
    write_volume(tmp_path / "head.nii.gz", head(), Scan.made_here(head()))
    return tmp_path / "head.nii.gz"


@pytest.mark.parametrize(("within", "first"), [(1, "0.5 x 0.5 x 0.5"), (3, "0.5 x 0.5 x 0.5")])
def test_three_ways_lead_to_the_voxels_of_the_truth(truth, within, first):
    told = []
    task = SimulateConfig(thickness_mm=2.0)
    rows = measure_spacing([truth], [task], ["tv"], told.append, Setup(), Voxels(within))
    assert told == rows
    assert [(r.way, r.solver) for r in rows] == [
        ("interpolated", "spline"),
        ("restored there", "tv"),
        ("restored at 1 mm, then spline", "tv"),
    ]
    assert [r.spacing_mm for r in rows[:2]] == [first, first]
    # within the slice only what is coarser than 1 mm is refined
    assert rows[2].spacing_mm == ("0.5 x 0.5 x 1" if within == 1 else "1 x 1 x 1")
    assert rows[1].psnr_db > rows[0].psnr_db
    assert all(0.0 < r.ssim <= 1.0 for r in rows)
    assert ("3 x 3 voxels within" in rows[0].task) == (within == 3)


def test_other_thin_slices_are_interpolated_to_the_truth_s_voxels(truth):
    task = SimulateConfig(thickness_mm=2.0)
    rows = measure_spacing([truth], [task], ["tv"], setup=Setup(), voxels=Voxels(thin_mm=0.4))
    assert [r.spacing_mm for r in rows] == ["0.5 x 0.5 x 0.4"] * 2 + ["0.5 x 0.5 x 1"]
    with pytest.raises(InputError, match=r"thin slices are 1.2 mm long"):
        Voxels(thin_mm=1.2)


def test_a_truth_of_1_mm_is_refused(tmp_path):
    write_volume(tmp_path / "head.nii.gz", head(1.0), Scan.made_here(head(1.0)))
    with pytest.raises(
        InputError, match=r"voxels of head.nii.gz are 1 mm long .* at most 0.95 mm"
    ):
        measure_spacing([tmp_path / "head.nii.gz"], [SimulateConfig()], ["tv"])


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_coarser_voxels_average_whole_groups_where_these_are(axis):
    truth = whole_groups(head(), axis, 2)
    assert all(n % 2 == 0 for a, n in enumerate(truth.grid.shape) if a != axis)
    assert truth.grid.shape[axis] == SHAPE[axis]
    found = coarser(truth, axis, 2)
    spacing = [0.5 if a == axis else 1.0 for a in range(3)]
    assert found.grid.spacing_mm == pytest.approx(spacing)
    box = tuple(slice(0, 1) if a == axis else slice(0, 2) for a in range(3))
    assert found.data[0, 0, 0] == pytest.approx(truth.data[box].mean())
    corner = [0.0 if a == axis else 0.5 for a in range(3)]
    np.testing.assert_allclose(
        found.grid.affine @ [0, 0, 0, 1], truth.grid.affine @ [*corner, 1], atol=1e-9
    )
