import importlib
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

import inversesr
from inversesr import api as notebook
from inversesr.errors import InputError, OldNameWarning

AFFINE = np.array([[0, -1.0, 0, 9], [1.0, 0, 0, -4], [0, 0.0, 4.0, 30], [0, 0, 0, 1]])


def thick(seed=0):
    data = np.random.default_rng(seed).uniform(50, 100, (12, 11, 6)).astype(np.float32)
    image = nibabel.Nifti1Image(data, AFFINE)
    image.set_qform(AFFINE, 1)
    image.set_sform(AFFINE, 2)
    return image


def thin():
    x, y, z = np.meshgrid(*[np.linspace(0, 3, n) for n in (16, 14, 24)], indexing="ij")
    data = (100 * (2 + np.sin(2 * x) + np.cos(3 * y + z))).astype(np.float32)
    return nibabel.Nifti1Image(data, np.eye(4))


def test_a_path_and_its_image_are_restored_to_the_same_voxels(tmp_path):
    nibabel.save(thick(), tmp_path / "scan.nii.gz")
    of_path = inversesr.restore(tmp_path / "scan.nii.gz", threads=1)
    of_name = inversesr.restore(str(tmp_path / "scan.nii.gz"), threads=1)
    of_image = inversesr.restore(thick(), threads=1)
    np.testing.assert_array_equal(of_path.volume.data, of_name.volume.data)
    np.testing.assert_array_equal(of_path.volume.data, of_image.volume.data)


def test_the_result_is_a_nibabel_image_in_the_world_of_the_scan():
    image = inversesr.restore(thick(), solver="spline").image
    assert isinstance(image, nibabel.Nifti1Image)
    assert image.shape == (12, 11, 24)
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (2, 1)
    for corner in ((-0.5, -0.5, -0.5), (11.5, 10.5, 5.5)):
        fine = (*corner[:2], (corner[2] + 0.5) * 4 - 0.5)
        np.testing.assert_allclose(
            image.affine @ [*fine, 1], AFFINE @ [*corner, 1], atol=1e-5, err_msg="edge moved"
        )


def test_choices_are_fields_of_config_and_override_it():
    config = inversesr.Config(solver="spline", spacing_mm=2.0)
    result = inversesr.restore(thick(), config, profile="gaussian")
    assert result.image.shape == (12, 11, 12)
    assert (result.config.solver, result.config.profile) == ("spline", "gaussian")


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"sharpness": 3}, "no choice 'sharpness'; expected solver,"),
        ({"thickness": 3}, "no choice 'thickness': did you mean thickness_mm"),
        ({"thickness_mm": "4"}, "thickness is '4'; expected a finite number of at least 0.05 mm"),
    ],
)
def test_a_choice_that_cannot_be_made_is_refused_in_one_sentence(choices, words):
    with pytest.raises(InputError, match=words):
        inversesr.restore(thick(), **choices)


def test_a_result_tells_in_short_what_it_is():
    found = repr(inversesr.restore(thick(), solver="spline"))
    assert found == "<scan restored by spline: 12 x 11 x 24 voxels>"


@pytest.mark.parametrize("scan", [None, 3, np.zeros((3, 3, 3)), []], ids=repr)
def test_what_is_no_scan_is_refused(scan):
    with pytest.raises(InputError, match="expected"):
        inversesr.restore(scan)


def test_an_image_is_not_changed_by_restoring_it():
    image = thick()
    before = image.get_fdata().copy()
    inversesr.restore(image, threads=1)
    np.testing.assert_array_equal(image.get_fdata(), before)


def test_no_module_hides_a_function_of_the_same_name():
    for path in Path(inversesr.__file__).parent.glob("*.py"):
        if not path.stem.startswith("__"):
            importlib.import_module(f"inversesr.{path.stem}")
    for name in ("restore", "simulate", "evaluate"):
        assert callable(getattr(inversesr, name))


def test_simulate_restore_evaluate_is_a_round_trip():
    truth = thin()
    scan = notebook.simulate(truth, thickness_mm=3.0)
    assert scan.shape == (16, 14, 8)
    scores = inversesr.evaluate(inversesr.restore(scan, threads=1).image, truth)
    assert scores.psnr_db > 20
    assert not scores.resampled


def test_evaluate_takes_a_mask_of_the_shape_of_truth():
    mask = np.zeros(thin().shape, bool)
    mask[2:14, 2:12, 2:20] = True
    assert inversesr.evaluate(thin(), thin(), mask).n_voxels == mask.sum()


def test_the_notebook_functions_are_loaded_when_first_used():
    code = (
        "import sys, inversesr; "
        "assert not {'torch', 'numpy', 'nibabel', 'monai'} & set(sys.modules); "
        "assert callable(inversesr.restore); assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'resotre'"):
        _ = inversesr.resotre


def test_a_mask_of_another_shape_is_refused_in_one_sentence():
    with pytest.raises(InputError, match=r"the mask has the shape \(3, 3, 3\); expected that of"):
        notebook.restore(thick(), solver="spline", mask=np.ones((3, 3, 3)))


def test_a_mask_is_no_matter_to_a_solver_without_a_fixed_prior():
    scan = thick()
    plain = notebook.restore(scan, solver="spline")
    masked = notebook.restore(scan, solver="spline", mask=np.ones(scan.shape, dtype=bool))
    assert np.array_equal(plain.volume.data, masked.volume.data)


def test_what_is_protected_is_read_and_kept_from_the_prior(tmp_path):
    scan = thick()
    marked = np.zeros(scan.shape, np.uint8)
    marked[2:6, 2:6] = 1
    nibabel.save(nibabel.Nifti1Image(marked, scan.affine), tmp_path / "lesion.nii.gz")
    settings = ("solver.adapt_steps=0",)
    found = inversesr.restore(
        scan, solver="unet", settings=settings, protect=str(tmp_path / "lesion.nii.gz")
    )
    assert 0.0 < float(found.prior_mask.data.mean()) < 1.0
    with pytest.raises(InputError, match="does not exist"):
        inversesr.restore(scan, protect=str(tmp_path / "absent.nii.gz"))


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float32])
def test_a_mask_of_any_type_marks_where_to_compare(kind):
    rng = np.random.default_rng(0)
    truth = nibabel.Nifti1Image(rng.uniform(1, 2, (14, 13, 12)).astype(np.float32), np.eye(4))
    data = truth.get_fdata(dtype=np.float32).copy()
    data[:7] += 1.0
    changed = nibabel.Nifti1Image(data, np.eye(4))
    inside = np.zeros((14, 13, 12), kind)
    inside[:7] = 1
    outside = 1 - inside.astype(np.uint8)
    assert inversesr.evaluate(changed, truth, inside).nmse > 0.1
    assert inversesr.evaluate(changed, truth, outside.astype(kind)).nmse == 0.0
    with pytest.raises(InputError, match="expected that of the truth"):
        inversesr.evaluate(changed, truth, inside[:5])


def test_what_a_result_was_called_before_works_and_warns():
    with pytest.warns(OldNameWarning, match="lock is now consistency"):
        result = inversesr.restore(thick(), solver="tv", lock="noise", threads=1)
    with pytest.warns(OldNameWarning, match=r"Result\.lock is now Result\.consistency"):
        assert result.lock == result.consistency == "noise"
    with pytest.warns(OldNameWarning, match=r"now Source\.before_consistency"):
        assert result.sources[0].before_lock is result.sources[0].before_consistency
