import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.masks import read_labels, read_mask, read_regions
from inversesr.io.nifti import Scan, read_scan, write_volume
from inversesr.volume import Grid, Volume

SHAPE = (7, 6, 5)
AFFINE = np.diag([1.0, 1.0, 4.0, 1.0])


def save(path, data, affine=AFFINE):
    nibabel.save(nibabel.Nifti1Image(data, affine), path)
    return path


def moved(x_mm):
    affine = AFFINE.copy()
    affine[0, 3] += x_mm
    return affine


def block(shape=SHAPE):
    data = np.zeros(shape, np.uint8)
    data[2:5, 2:5, 1:4] = 1
    return data


def test_a_mask_on_another_grid_is_brought_onto_the_scan_by_world_position(tmp_path):
    data = np.zeros((14, 6, 5), np.uint8)
    data[6:10] = 1
    path = save(tmp_path / "m.nii.gz", data, np.diag([0.5, 1.0, 4.0, 1.0]))
    inside, remarks = read_mask(path, Grid(SHAPE, AFFINE))
    assert np.flatnonzero(inside.any(axis=(1, 2))).tolist() == [3, 4]
    assert remarks == ()


def test_a_mask_elsewhere_is_refused(tmp_path):
    path = save(tmp_path / "m.nii.gz", block())
    with pytest.raises(InputError, match="marks nothing inside"):
        read_mask(path, Grid(SHAPE, moved(500.0)))


def test_a_mask_may_be_the_same_everywhere(tmp_path):
    path = save(tmp_path / "m.nii", np.ones(SHAPE, np.uint8))
    assert read_mask(path, Grid(SHAPE, AFFINE))[0].all()


def test_an_empty_mask_is_named_as_such(tmp_path):
    path = save(tmp_path / "m.nii", np.zeros(SHAPE, np.uint8))
    with pytest.raises(InputError, match="marks nothing: expected a mask"):
        read_mask(path, Grid(SHAPE, AFFINE))


@pytest.mark.parametrize("shift_mm", [0.0, 0.1])
def test_a_mask_on_the_voxels_of_the_scan_is_used_without_a_word(tmp_path, shift_mm):
    path = save(tmp_path / "m.nii.gz", block(), moved(shift_mm))
    inside, remarks = read_mask(path, Grid(SHAPE, AFFINE))
    np.testing.assert_array_equal(inside, block() > 0)
    assert remarks == ()


@pytest.mark.parametrize("affine", [moved(2.0), np.diag([-1.0, 1.0, 4.0, 1.0]), np.eye(4)])
def test_a_mask_of_the_shape_of_the_scan_in_another_place_is_told_of_with_the_distance(
    tmp_path, affine
):
    grid = Grid(SHAPE, AFFINE)
    path = save(tmp_path / "m.nii.gz", np.ones(SHAPE, np.uint8), affine)
    _, remarks = read_mask(path, grid)
    assert any(f"lies up to {Grid(SHAPE, affine).farthest_mm(grid):.3g} mm" in r for r in remarks)


def test_a_mask_that_sticks_out_of_the_scan_is_told_of_with_its_share(tmp_path):
    path = save(tmp_path / "m.nii.gz", np.ones((10, 6, 5), np.uint8))
    _, (remark,) = read_mask(path, Grid(SHAPE, AFFINE))
    assert "30% of m.nii.gz lies outside" in remark


def test_what_is_odd_about_a_mask_is_told_with_the_scan(tmp_path):
    scan = read_scan(save(tmp_path / "a.nii.gz", np.arange(210.0).reshape(SHAPE)))
    path = save(tmp_path / "m.nii.gz", block(), moved(2.0))
    (nothing, region), told = read_regions([None, path], scan)
    assert nothing is None
    assert region.dtype == np.float32
    assert len(told.warnings) == len(scan.warnings) + 1


def test_voxel_sizes_that_are_stated_hold_for_a_mask_drawn_on_the_scan(tmp_path):
    sizes = (1.0, 1.0, 6.0)
    scan = save(tmp_path / "a.nii.gz", np.arange(210.0).reshape(SHAPE), np.eye(4))
    grid = read_scan(scan, voxel_size=sizes).volume.grid
    path = save(tmp_path / "m.nii.gz", block(), np.eye(4))
    inside, remarks = read_mask(path, grid, sizes)
    np.testing.assert_array_equal(inside, block() > 0)
    assert not any("elsewhere" in remark for remark in remarks)


def test_a_damaged_mask_is_refused(tmp_path):
    path = save(tmp_path / "m.nii.gz", block())
    blob = bytearray(path.read_bytes())
    blob[-6] ^= 1
    path.write_bytes(blob)
    with pytest.raises(InputError, match="is damaged"):
        read_mask(path, Grid(SHAPE, AFFINE))


def test_labels_are_brought_to_a_grid_by_their_place_and_stay_whole(tmp_path):
    labels = np.zeros((4, 4, 4), np.float32)
    labels[1, 2, 3] = 42.0
    volume = Volume(labels, Grid((4, 4, 4), np.diag([2.0, 2.0, 2.0, 1.0])))
    write_volume(tmp_path / "labels.nii.gz", volume, Scan.made_here(volume))
    found = read_labels(tmp_path / "labels.nii.gz", Grid((8, 8, 8), np.eye(4)))
    assert set(np.unique(found)) == {0, 42}
    assert found[2, 4, 6] == 42
    away = np.eye(4)
    away[:3, 3] = 100.0
    with pytest.raises(InputError, match="labels nothing inside"):
        read_labels(tmp_path / "labels.nii.gz", Grid((8, 8, 8), away))
    write_volume(tmp_path / "half.nii.gz", volume.with_data(labels / 4), Scan.made_here(volume))
    with pytest.raises(InputError, match="holds fractions"):
        read_labels(tmp_path / "half.nii.gz", volume.grid)
