import json

import nibabel
import numpy as np
import pytest

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.errors import InputError
from inversesr.io.kspace.record import KSpace
from inversesr.io.kspace.write import write_kspace
from inversesr.solvers.kspace.choices import ReconConfig
from inversesr.volume import Grid
from inversesr.workflows.kspace_simulation import simulate_kspace_file
from inversesr.workflows.recon import (
    cut,
    grid_of,
    recon_file,
)
from tests.support.mri import head, scanned


@pytest.fixture
def kspace_file(tmp_path):
    write_kspace(tmp_path / "k.npz", scanned(acceleration=2.0).kspace)
    return tmp_path / "k.npz"


def test_magnitude_phase_and_record_are_written_beside_the_file(kspace_file):
    made = scanned(acceleration=2.0)
    found, names = recon_file(kspace_file, ReconConfig(solver="cg-sense"))
    magnitude = nibabel.load(names["magnitude"])
    phase = nibabel.load(names["phase"]).get_fdata()
    assert names["magnitude"].name == "k_part-mag_desc-recon.nii.gz"
    assert np.allclose(magnitude.affine, made.kspace.grid.affine)
    inside = made.truth.abs().numpy() > 20
    error = magnitude.get_fdata()[inside] - made.truth.abs().numpy()[inside]
    assert np.sqrt(np.mean(error**2)) < 10.0
    assert np.allclose(np.exp(1j * phase), np.exp(1j * np.angle(found.image)), atol=1e-4)
    record = json.loads(names["record"].read_text())
    assert record["solver"]["used"] == "cg-sense"
    assert record["data"]["coils"] == 4
    assert record["data"]["acceleration"] == pytest.approx(2.0, rel=0.05)


def test_results_are_not_overwritten_unless_forced(kspace_file):
    config = ReconConfig(solver="zero-filling")
    recon_file(kspace_file, config)
    with pytest.raises(InputError, match="--force"):
        recon_file(kspace_file, config)
    recon_file(kspace_file, config, force=True)


def test_the_magnitude_may_have_any_name(kspace_file, tmp_path):
    image = tmp_path / "out" / "brain.nii.gz"
    _, names = recon_file(kspace_file, ReconConfig(solver="zero-filling"), image)
    assert image.is_file()
    assert names["phase"].name == "brain_part-phase_desc-recon.nii.gz"


def test_samples_of_a_method_that_draws_none_are_refused_before_reading(tmp_path):
    with pytest.raises(InputError, match="draws none"):
        recon_file(tmp_path / "missing.npz", ReconConfig(solver="cg-sense", samples=3))


def test_an_oversampled_image_is_cut_about_its_middle():
    x = np.arange(16).reshape(16, 1, 1) * np.ones((16, 4, 1))
    assert cut(x, (8, 4, 1))[:, 0, 0].tolist() == list(range(4, 12))
    assert cut(x, None).shape == (16, 4, 1)


def test_an_image_that_would_be_interpolated_keeps_its_voxels_over_the_same_field():
    samples = np.ones((1, 8, 8, 1), dtype=np.complex64)
    grid = Grid((16, 16, 1), np.diag([1.0, 1.0, 5.0, 1.0]))
    kspace = KSpace(
        samples, np.ones((8, 8, 1), dtype=bool), (0, 1), grid=grid, image_shape=(16, 16, 1)
    )
    found = grid_of(kspace)
    assert found.shape == (8, 8, 1)
    assert found.spacing_mm == pytest.approx((2.0, 2.0, 5.0))


def test_a_simulated_file_is_reconstructed_to_its_truth(tmp_path):
    volume = head((32, 30, 5))
    nibabel.save(nibabel.Nifti1Image(volume.data, volume.grid.affine), tmp_path / "head.nii.gz")
    config = KSpaceSimulation(coils=4, acceleration=2.0, calibration=10)
    simulate_kspace_file(tmp_path / "head.nii.gz", tmp_path / "k.npz", config)
    _, names = recon_file(tmp_path / "k.npz", ReconConfig(solver="cg-sense"))
    truth = nibabel.load(tmp_path / "k_truth.nii.gz")
    found = nibabel.load(names["magnitude"])
    assert np.allclose(found.affine, truth.affine)
    assert np.corrcoef(found.get_fdata().ravel(), truth.get_fdata().ravel())[0, 1] > 0.98
