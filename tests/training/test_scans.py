import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.training.scans import find_scans, read_scan, read_scans


def save(path, array, zooms):
    nibabel.save(nibabel.Nifti1Image(array, np.diag([*zooms, 1.0])), path)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    image = np.zeros((14, 16, 18), dtype=np.float32)
    image[2:12, 2:14, 2:16] = rng.uniform(50, 100, (10, 12, 14))
    save(tmp_path / "sub-01_T1w.nii.gz", image, (0.8, 0.8, 1.0))
    labels = np.zeros((12, 12, 12), dtype=np.int16)
    labels[2:10, 2:10, 2:10] = 2
    save(tmp_path / "sub-01_dseg.nii.gz", labels, (1.0, 1.0, 1.0))
    return tmp_path


def test_a_coarser_axis_is_not_sharp(folder):
    assert read_scan(folder / "sub-01_T1w.nii.gz").sharp_axes == (0, 1)


def test_background_is_cropped_and_white_is_the_brightest_byte(folder):
    scan = read_scan(folder / "sub-01_T1w.nii.gz")
    assert scan.voxels.shape == (10, 12, 14)
    assert int(scan.voxels.max()) == 255


def test_a_fine_scan_is_kept_at_one_millimetre_as_well(folder):
    scans = read_scans(find_scans([folder]))
    assert [(s.is_labels, tuple(s.voxels.shape)) for s in scans] == [
        (False, (10, 12, 14)),
        (False, (8, 10, 14)),
        (True, (8, 8, 8)),
    ]


def test_a_folder_without_scans_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="expected"):
        find_scans([tmp_path])


def test_a_damaged_scan_is_not_trained_on(folder):
    path = next(folder.glob("*.nii.gz"))
    blob = bytearray(path.read_bytes())
    blob[-6] ^= 1
    path.write_bytes(blob)
    with pytest.raises(InputError, match="is damaged"):
        read_scan(path)
