import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from inversesr.errors import InputError
from inversesr.io.forms import NO_PLACE, SAME_PLACE_MM, centred, forms_of, shear_doubts
from inversesr.volume import Grid

SHAPE = (96, 100, 10)
GOOD = np.diag([1.0, 1.0, 6.0, 1.0])
GOOD[:3, 3] = [-48, -50, -30]


def header(sform=GOOD, qform=GOOD, codes=(1, 1), **fields):
    made = nibabel.Nifti1Header()
    made.set_data_shape(SHAPE)
    made.set_sform(sform, codes[0])
    made.set_qform(qform, codes[1])
    for name, value in fields.items():
        made[name] = value
    return made


def affine_of(turn, sizes, origin=(0, 0, 0)):
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_rotvec(turn).as_matrix() * np.array(sizes)
    affine[:3, 3] = origin
    return affine


@pytest.mark.parametrize("near_half_turn", [False, True])
def test_rounding_in_a_header_is_no_disagreement_however_the_head_is_turned(near_half_turn):
    rng = np.random.default_rng(0)
    largest = 0.0
    for _ in range(300):
        axis = rng.normal(size=3)
        angle = np.pi - rng.uniform(0, 1e-3) if near_half_turn else rng.uniform(0, np.pi)
        affine = affine_of(
            axis / np.linalg.norm(axis) * angle, (0.5, 0.5, 5), rng.normal(0, 99, 3)
        )
        made = header(affine, affine)
        made.set_data_shape((512, 512, 40))
        forms = forms_of(made, (512, 512, 40), "it")
        assert forms.warnings == ()
        apart = Grid((512, 512, 40), forms.sform).farthest_mm(Grid((512, 512, 40), forms.qform))
        largest = max(largest, apart)
    assert largest < SAME_PLACE_MM
    assert largest > 0.1 or not near_half_turn  # a lower limit would cry wolf


@pytest.mark.parametrize("code", [6, 77, 32767])
@pytest.mark.parametrize("name", ["sform_code", "qform_code"])
def test_a_form_with_a_code_of_no_meaning_is_there_and_told_of(name, code):
    other = {"sform_code": "qform_code", "qform_code": "sform_code"}[name]
    forms = forms_of(header(**{name: code, other: 0}), SHAPE, "it")
    np.testing.assert_allclose(forms.affine, GOOD, atol=1e-4)
    assert any(f"unknown {name} of {code}" in told for told in forms.warnings)
    assert max(forms.sform_code, forms.qform_code) == 2


@pytest.mark.parametrize("code", [-1, -32768])
def test_a_form_with_a_code_below_zero_is_not_there(code):
    forms = forms_of(header(sform_code=code, qform_code=code), SHAPE, "it")
    assert NO_PLACE in forms.warnings


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("factor", [0.0, 1.0, -1.0, -3.0, 7.0])
def test_of_the_factor_of_a_qform_only_the_sign_counts(factor, sign):
    pixdim = [factor, sign * 1, 1, sign * 6, 1, 1, 1, 1]
    forms = forms_of(header(codes=(0, 1), pixdim=pixdim), SHAPE, "it")
    expected = GOOD @ np.diag([1.0, 1.0, -1.0 if factor < 0 else 1.0, 1.0])
    np.testing.assert_allclose(forms.affine, expected, atol=1e-4)


@pytest.mark.parametrize("wrong", [0.0, 1.0, 5.9, np.nan, np.inf])
@pytest.mark.parametrize("qform_code", [0, 1])
def test_voxel_sizes_of_the_header_that_are_not_those_of_the_sform_are_told(wrong, qform_code):
    made = header(codes=(1, qform_code), pixdim=[1, 1, 1, wrong, 1, 1, 1, 1])
    forms = forms_of(made, SHAPE, "it")
    assert any("pixdim" in told and "1 x 1 x 6 mm" in told for told in forms.warnings)
    assert (forms.qform_code, forms.sform_code) == (0, 1)
    np.testing.assert_allclose(forms.affine, GOOD)


def test_voxel_sizes_that_are_rounded_are_not_told_of():
    forms = forms_of(header(codes=(1, 0), pixdim=[1, 1, 1, 6.02, 1, 1, 1, 1]), SHAPE, "it")
    assert forms.warnings == ()


def test_of_a_sheared_image_pixdim_may_be_the_distance_between_planes():
    sheared = GOOD.copy()
    sheared[1, 2] = 6 * np.tan(np.deg2rad(20))
    for size in (6.0, 6 / np.cos(np.deg2rad(20))):
        made = header(sform=sheared, codes=(1, 0), pixdim=[1, 1, 1, size, 1, 1, 1, 1])
        assert not any("pixdim" in told for told in forms_of(made, SHAPE, "it").warnings)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"quatern_b": 3.0}, "quaternion is no rotation"),
        ({"qoffset_x": np.nan}, "NaN or Inf"),
        ({"pixdim": [1, 1, 1, 0, 1, 1, 1, 1]}, "1 x 1 x 0 mm"),
    ],
)
def test_a_broken_form_alone_is_refused_with_its_cause(fields, words):
    with pytest.raises(InputError, match=words):
        forms_of(header(codes=(0, 1), **fields), SHAPE, "it")


@pytest.mark.parametrize("degrees", [0.02, 1.0, 20.0])
def test_shear_is_told_where_others_cannot_read_it(degrees):
    sheared = GOOD.copy()
    sheared[1, 2] = 6 * np.tan(np.deg2rad(degrees))
    (told,) = shear_doubts(Grid(SHAPE, sheared), has_qform=False)
    assert f"{degrees:.3g} degrees" in told
    assert "cannot read" in told
    assert bool(shear_doubts(Grid(SHAPE, sheared), has_qform=True)) == (degrees > 0.1)


def test_an_image_without_a_place_lies_about_the_middle_as_nibabel_has_it():
    image = nibabel.Nifti1Image(np.zeros(SHAPE, np.uint8), None)
    image.header.set_zooms((0.9, 0.8, 5))
    expected = image.header.get_base_affine()
    np.testing.assert_allclose(centred(np.array([0.9, 0.8, 5.0]), SHAPE), expected, atol=1e-5)
    np.testing.assert_allclose(
        np.abs(centred(np.array([0.0, np.nan, -1.0]), SHAPE))[:3, :3], np.eye(3)
    )
