import nibabel
import numpy as np

from inversesr.io.kspace.formats import read_kspace
from inversesr.io.kspace.write import write_image, write_kspace
from inversesr.volume import Grid
from tests.support.mri import scanned


def test_k_space_is_read_back_as_it_was(tmp_path):
    kspace = scanned(acceleration=2.0, noise=0.01, noise_scan=20).kspace
    write_kspace(tmp_path / "k.npz", kspace)
    back = read_kspace(tmp_path / "k.npz")
    assert np.array_equal(back.samples, kspace.samples)
    assert np.array_equal(back.measured, kspace.measured)
    assert np.array_equal(back.noise, kspace.noise)
    assert back.grid.same_as(kspace.grid)
    assert back.encoded == kspace.encoded


def test_images_say_whether_their_place_is_known(tmp_path):
    grid = Grid((2, 3, 4), np.diag([2.0, 3.0, 4.0, 1.0]))
    for name, place, code in (("a.nii.gz", grid, 1), ("b.nii.gz", None, 0)):
        write_image(tmp_path / name, np.ones((2, 3, 4), dtype=np.float32), place)
        header = nibabel.load(tmp_path / name).header
        assert (header["sform_code"], header["qform_code"]) == (code, code)
    assert np.allclose(nibabel.load(tmp_path / "a.nii.gz").affine, grid.affine)
