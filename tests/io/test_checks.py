import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from inversesr.errors import InputError
from inversesr.io.checks import LEAST_SLICES, affine_fault, check_shape, check_voxels, stem

SHAPE = (20, 30, 10)


def affine_of(spacing_mm, rotation=(0.0, 0.0, 0.0), origin_mm=(0.0, 0.0, 0.0)):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec(rotation).as_matrix() * np.array(spacing_mm)
    affine[:3, 3] = origin_mm
    return affine


@pytest.mark.parametrize("seed", range(5))
def test_whether_an_affine_is_sound_does_not_depend_on_how_the_head_lies(seed):
    rotation = np.random.default_rng(seed).uniform(-3, 3, 3)
    for spacing_mm, is_sound in [((1, 1, 5), True), ((0.001, 1, 1), False), ((1, 90, 1), False)]:
        assert (affine_fault(affine_of(spacing_mm, rotation), SHAPE) == "") is is_sound


@pytest.mark.parametrize("axis", range(3))
def test_axes_in_one_plane_are_no_image(axis):
    affine = affine_of((1, 1, 5))
    affine[:3, axis] = affine[:3, (axis + 1) % 3]
    assert "lie in one plane" in affine_fault(affine, SHAPE)


@pytest.mark.parametrize("further", [(), (1,), (1, 1, 1)])
def test_axes_of_length_one_at_the_end_do_not_count(further):
    assert check_shape((*SHAPE, *further), "it", None) == (SHAPE, None)
    assert check_shape((*SHAPE, 4, *further), "it", 3) == (SHAPE, 3)


@pytest.mark.parametrize("axis", range(3))
def test_too_few_voxels_along_any_axis_are_refused(axis):
    shape = list(SHAPE)
    shape[axis] = LEAST_SLICES - 1
    with pytest.raises(InputError, match=f"at least {LEAST_SLICES} slices"):
        check_shape(tuple(shape), "it", None)


@pytest.mark.parametrize("n_bad", [1, 7])
def test_voxels_that_are_no_numbers_are_counted(n_bad):
    data = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
    data.flat[:n_bad] = np.nan
    with pytest.raises(InputError, match=f"has {n_bad} NaN or Inf voxels of 60"):
        check_voxels(data, "it", is_mask=False)


def test_one_intensity_everywhere_is_a_mask_but_no_scan():
    data = np.ones((3, 4, 5), np.float32)
    check_voxels(data, "it", is_mask=True)
    with pytest.raises(InputError, match="the same intensity 1 everywhere"):
        check_voxels(data, "it", is_mask=False)


@pytest.mark.parametrize(
    ("name", "expected"), [("a.nii.gz", "a"), ("a.b.nii", "a.b"), ("a.mgz", "a"), ("a.x", "a")]
)
def test_the_stem_is_the_name_without_the_suffix_of_an_image(tmp_path, name, expected):
    assert stem(tmp_path / name) == expected
