import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.nifti import Scan, write_volume
from inversesr.training.tissue_template import write_template
from inversesr.volume import Grid, Volume

GRID = Grid((16, 16, 16), np.diag([-1.0, 1.0, 1.0, 1.0]))


def write(path, labels):
    volume = Volume(labels.astype(np.float32), GRID)
    write_volume(path, volume, Scan.made_here(volume))


@pytest.fixture
def labels():
    found = np.zeros(GRID.shape)
    found[:8] = 41
    found[8:12] = 24
    found[12:, :8] = 3
    return found


def test_shares_of_tissues_are_counted_by_block_on_both_sides(labels, tmp_path):
    write(tmp_path / "a_seg.nii.gz", labels)
    write(tmp_path / "b_seg.nii.gz", np.where(labels == 24, 2, labels))
    write(tmp_path / "c_seg.nii.gz", np.where(labels == 3, 24, labels))
    write(tmp_path / "d_T1w.nii.gz", labels)
    assert write_template([tmp_path], tmp_path / "mean.npz") == 2
    kept = np.load(tmp_path / "mean.npz")
    assert (kept["white"][:2] == 255).all()
    assert (kept["white"][2:] == 0).all()
    assert (kept["fluid"][2] == 255).all()
    assert (kept["fluid"][3, :2] == 128).all()
    assert (kept["brain"][3, 2:] == 0).all()
    assert kept["affine"][:3, 3] == pytest.approx([-1.5, 1.5, 1.5])
    assert kept["affine"][0, 0] == -4.0


def test_maps_without_the_fluid_about_the_brain_are_refused(labels, tmp_path):
    write(tmp_path / "b_seg.nii.gz", np.where(labels == 24, 2, labels))
    with pytest.raises(InputError, match="label 24"):
        write_template([tmp_path], tmp_path / "mean.npz")


@pytest.mark.parametrize("name", ["mean.nii", "nowhere/mean.npz"])
def test_a_file_that_cannot_be_written_is_refused_before_any_work(name, tmp_path):
    with pytest.raises(InputError, match=r"expected a name ending in \.npz"):
        write_template([], tmp_path / name)
