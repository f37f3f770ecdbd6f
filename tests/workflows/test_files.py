import json

import nibabel
import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.errors import InputError
from inversesr.io.nifti import read_scan
from inversesr.workflows.files import evaluate_files, simulate_file

SECRET = b"SECRET^PATIENT"


@pytest.fixture
def truth(tmp_path):
    """A thin-slice image with smooth structure and text in its header."""
    x, y, z = np.meshgrid(*[np.linspace(0, 3, n) for n in (16, 14, 24)], indexing="ij")
    image = nibabel.Nifti1Image(
        (100 * (2 + np.sin(2 * x) + np.cos(3 * y + z))).astype(np.float32), np.eye(4)
    )
    image.header["descrip"] = SECRET
    nibabel.save(image, tmp_path / "truth.nii.gz")
    return tmp_path / "truth.nii.gz"


def test_a_simulated_scan_has_thick_slices_and_a_sidecar_that_says_so(truth, tmp_path):
    config = SimulateConfig(thickness_mm=3.0, gap_mm=1.0)
    simulate_file(truth, tmp_path / "thick.nii.gz", config)
    scan = read_scan(tmp_path / "thick.nii.gz")
    assert scan.volume.grid.spacing_mm == pytest.approx((1, 1, 4))
    assert scan.sidecar["SliceThickness"] == 3.0
    assert scan.sidecar["SpacingBetweenSlices"] == 4.0
    assert scan.sidecar["Simulation"]["profile"] == "rect"
    assert SECRET not in nibabel.load(tmp_path / "thick.nii.gz").header.binaryblock


def test_the_same_simulation_twice_writes_the_same_intensities(truth, tmp_path):
    config = SimulateConfig(noise=0.05, seed=7)
    for name in ("a.nii.gz", "b.nii.gz"):
        simulate_file(truth, tmp_path / name, config)
    a, b = (read_scan(tmp_path / name).volume.data for name in ("a.nii.gz", "b.nii.gz"))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", ["thick.nii.gz", "thick.json"])
def test_neither_image_nor_sidecar_is_replaced_unless_forced(truth, tmp_path, name):
    (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match="exists already"):
        simulate_file(truth, tmp_path / "thick.nii.gz", SimulateConfig())
    assert (tmp_path / name).read_text() == "{}"
    simulate_file(truth, tmp_path / "thick.nii.gz", SimulateConfig(), force=True)
    assert read_scan(tmp_path / "thick.nii.gz").sidecar["SliceThickness"] == 4.0


def test_a_simulation_is_never_written_over_its_own_input(truth):
    before = truth.read_bytes()
    with pytest.raises(InputError):
        simulate_file(truth, truth, SimulateConfig(), force=True)
    assert truth.read_bytes() == before


def test_only_nifti_is_written(truth, tmp_path):
    with pytest.raises(InputError, match=r"end it in \.nii\.gz"):
        simulate_file(truth, tmp_path / "thick.mgz", SimulateConfig())


def test_a_simulation_that_cannot_be_made_writes_nothing(truth, tmp_path):
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match="slices every"):
        simulate_file(truth, tmp_path / "new" / "a.nii.gz", SimulateConfig(thickness_mm=20.0))
    assert sorted(tmp_path.iterdir()) == before


def test_an_image_scores_perfectly_against_itself(truth):
    scores = evaluate_files(truth, truth)
    assert scores.nmse == 0.0
    assert scores.ssim == pytest.approx(1.0)
    assert not scores.resampled


def test_only_the_voxels_of_the_mask_are_compared(truth, tmp_path):
    scan = nibabel.load(truth)
    inside = np.zeros(scan.shape, np.uint8)
    inside[2:14, 2:12, 2:22] = 1
    nibabel.save(nibabel.Nifti1Image(inside, scan.affine), tmp_path / "mask.nii.gz")
    changed = np.where(inside > 0, scan.get_fdata(), 0.0).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(changed, scan.affine), tmp_path / "changed.nii.gz")
    assert evaluate_files(tmp_path / "changed.nii.gz", truth).nmse > 0.1
    scores = evaluate_files(tmp_path / "changed.nii.gz", truth, tmp_path / "mask.nii.gz")
    assert scores.nmse == 0.0
    assert scores.n_voxels == inside.sum()


def test_the_sidecar_of_a_simulation_is_json_without_surprises(truth, tmp_path):
    simulate_file(truth, tmp_path / "a.nii.gz", SimulateConfig(noise=0.02))
    assert json.loads((tmp_path / "a.json").read_text())["Simulation"]["noise"] == 0.02
