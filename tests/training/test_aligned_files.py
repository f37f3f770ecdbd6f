import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.nifti import write_template_space
from inversesr.training import aligned_files
from inversesr.training.aligned_files import (
    align_files,
    grid_card,
    mean_of,
    whole_brain_grid,
)
from inversesr.volume import Grid

SMALL = Grid((12, 14, 12), np.diag([-1.0, 1.0, 1.0, 1.0]))


@pytest.fixture
def data_dir(tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for subject in ("sub-01", "sub-02"):
        data = np.zeros(SMALL.shape, dtype=np.float32)
        data[2:10, 2:12, 2:10] = rng.uniform(50, 100, (8, 10, 8))
        nibabel.save(nibabel.Nifti1Image(data, SMALL.affine), folder / f"{subject}_T1w.nii.gz")
    (folder / "participants.tsv").write_text("participant_id\tage\tsex\nsub-01\t40\tF\n")
    return folder


@pytest.fixture
def small_grid(monkeypatch):
    monkeypatch.setattr(aligned_files, "whole_brain_grid", lambda: SMALL)


def write(path, values):
    voxels = np.zeros(SMALL.shape, dtype=np.uint8)
    voxels[2:10, 2:12, 2:10] = values
    write_template_space(path, voxels, SMALL)


@pytest.mark.usefixtures("small_grid")
def test_every_brain_becomes_a_file_and_what_is_there_is_left_alone(data_dir, tmp_path):
    template, output = data_dir / "sub-01_T1w.nii.gz", tmp_path / "out"
    first = list(align_files([data_dir], template, output))
    assert [file.name for _, file in first] == ["sub-01_T1w.nii.gz", "sub-02_T1w.nii.gz"]
    assert all(found is not None for found, _ in first)
    (output / "sub-02_T1w.nii.gz").unlink()
    again = list(align_files([data_dir], template, output))
    assert [found is None for found, _ in again] == [True, False]
    assert (output / "participants.tsv").read_text().endswith("sub-01\t40\tF\n")
    image = nibabel.load(output / "sub-01_T1w.nii.gz")
    assert image.shape == SMALL.shape
    assert np.array_equal(image.affine, SMALL.affine)
    assert image.header["sform_code"] == 4
    assert not list(output.glob(".*"))


def test_a_folder_of_aligned_brains_stands_for_their_mean(tmp_path):
    for name, value in (("a_T1w", 10), ("b_T1w", 30)):
        write(tmp_path / f"{name}.nii.gz", value)
    write(tmp_path / "c_seg.nii.gz", 200)
    assert set(np.unique(mean_of(tmp_path).data)) == {0.0, 20.0}
    for path in tmp_path.glob("*_T1w*"):
        path.unlink()
    with pytest.raises(InputError, match="label maps only"):
        mean_of(tmp_path)


def test_the_grid_is_that_of_the_published_prior_and_of_the_card():
    grid, card = whole_brain_grid(), grid_card()
    assert grid.shape == card.shape == (160, 224, 160)
    assert grid.axcodes == card.axcodes == "LAS"
    assert tuple(grid.affine[:3, 3]) == card.origin_mm
    assert (card.kind, card.pose) == ("fixed", "MNI152")
