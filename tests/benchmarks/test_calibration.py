import nibabel
import numpy as np
import pytest

from inversesr.benchmarks.calibration import by_region, crop_for_slices, measure_calibration
from inversesr.config import Config
from inversesr.errors import InputError
from inversesr.uncertainty.coverage import errors_inside
from inversesr.volume import Grid, Volume
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.whole_priors import write_whole_prior

FAST = ("solver.adapt_steps=0", "solver.n_denoiser_steps=2")


@pytest.fixture
def image(tmp_path):
    data = np.random.default_rng(0).uniform(20, 90, (20, 18, 16)).astype(np.float32)
    nibabel.save(
        nibabel.Nifti1Image(data, np.diag([1.0, 1.0, 0.9, 1.0])), tmp_path / "head.nii.gz"
    )
    return tmp_path / "head.nii.gz"


def prior_of(folder, **changes):
    return write_whole_prior(folder, **changes)


def test_a_wider_spread_in_the_card_covers_more_and_needs_that_much_less(image, tmp_path):
    found = []
    for factor in (1.0, 4.0):
        prior = prior_of(tmp_path / f"by{factor:g}", sd_factor=factor)
        config = Config(prior=prior, settings=FAST, samples=3)
        found.append(measure_calibration([image], [(3.6, 0.0)], config, crop=16))
    (narrow, mean), (wide, _) = found
    assert mean.covered == narrow.covered
    assert mean.needed_factor == narrow.needed_factor
    assert wide.factor == 4.0
    assert wide.covered["90%"] > narrow.covered["90%"]
    assert wide.needed_factor == pytest.approx(narrow.needed_factor / 4.0, rel=1e-3)
    assert wide.rms_error == pytest.approx(narrow.rms_error, rel=1e-5)
    assert list(narrow.covered.values()) == sorted(narrow.covered.values())


def test_slices_with_a_gap_are_rounded_to_whole_voxels(image, tmp_path):
    config = Config(prior=prior_of(tmp_path / "tiny"), settings=FAST, samples=2)
    row, _ = measure_calibration([image], [(1.0, 2.5)], config, crop=16)
    # the sharpest axis has voxels of 0.9 mm: one in four is seen
    assert row.thickness_mm == pytest.approx(0.9)
    assert row.thickness_mm + row.gap_mm == pytest.approx(3.6)
    assert row.mean_width > 0.0
    assert 0.0 < row.crps < row.rms_error


def test_a_crop_holds_whole_slices_and_lies_where_it_did():
    data = np.random.default_rng(0).uniform(1, 2, (40, 42, 44)).astype(np.float32)
    whole = Volume(data, Grid(data.shape, np.diag([1.0, 0.8, 1.0, 1.0])))
    part = crop_for_slices(whole, 4.0, 24)
    assert part.grid.shape == (24, 20, 24)
    corner = np.linalg.solve(whole.grid.affine, part.grid.affine[:, 3])[:3].round().astype(int)
    assert part.data[0, 0, 0] == whole.data[tuple(corner)]


def test_a_solver_that_says_nothing_of_its_errors_is_refused(image):
    with pytest.raises(
        InputError, match="tv says nothing of its errors; expected one of unet, split-"
    ):
        measure_calibration([image], [(4.0, 0.0)], Config("tv"))


def test_one_sample_is_refused_before_any_work(image):
    with pytest.raises(InputError, match="at least 2"):
        measure_calibration([image], [(4.0, 0.0)], Config(samples=1))


def test_slices_that_overlap_are_refused(image):
    with pytest.raises(InputError, match="the gap is negative"):
        measure_calibration([image], [(4.0, -1.0)], Config())


def test_coverage_is_told_by_region_of_a_label_map_on_any_grid():
    shape = (20, 20, 20)
    truth = Volume(np.ones(shape, np.float32), Grid(shape, np.eye(4)))
    truth.data[:2] = 0.0
    # twice as fine, mirrored: 1007 where x is below 10 mm, 8 beyond
    fine = np.full((40, 40, 40), 8.0, np.float32)
    fine[20:] = 1007.0
    affine = np.diag([-0.5, 0.5, 0.5, 1.0])
    affine[:3, 3] = [19.7, -0.25, -0.25]
    x = truth.data.copy()
    x[12:] += 5.0
    inside = truth.data > 0
    errors = errors_inside(x, np.ones(shape, np.float32), truth.data, inside, np.inf)
    found = by_region(errors, truth, Volume(fine, Grid(fine.shape, affine)))
    assert found == {"3": 1.0, "8": pytest.approx(0.2)}


def test_as_many_label_maps_as_images_are_needed(image, tmp_path):
    config = Config(prior=prior_of(tmp_path / "tiny"), settings=FAST, samples=2)
    with pytest.raises(InputError, match="2 label maps for 1 images"):
        measure_calibration([image], [(3.6, 0.0)], config, crop=16, labels=[image, image])
