"""4D files: what is read, written and refused."""

import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError
from inversesr.io.series import read_motion, read_numbers, read_series, write_series
from inversesr.volume import Grid


def save(path, shape=(4, 5, 6, 3), tr=2.0, unit="sec"):
    data = np.random.default_rng(0).uniform(1, 9, shape).astype(np.float32)
    image = nibabel.Nifti1Image(data, np.diag([2.0, 2.0, 4.0, 1.0]))
    if len(shape) == 4:
        image.header.set_zooms((2.0, 2.0, 4.0, tr))
        image.header.set_xyzt_units("mm", unit)
    nibabel.save(image, path)
    return data


@pytest.mark.parametrize(("tr", "unit"), [(2.0, "sec"), (2000.0, "msec")])
def test_volumes_come_first_and_times_are_in_seconds(tmp_path, tr, unit):
    data = save(tmp_path / "bold.nii.gz", tr=tr, unit=unit)
    found = read_series(tmp_path / "bold.nii.gz")
    assert np.array_equal(found.y, np.moveaxis(data, -1, 0))
    assert np.allclose(found.scan.volume.data, data.mean(axis=-1), atol=1e-5)
    assert found.header_tr_s == pytest.approx(2.0)


def test_times_of_slices_are_read_from_the_header(tmp_path):
    save(tmp_path / "bold.nii")
    image = nibabel.load(tmp_path / "bold.nii")
    image.header.set_dim_info(slice=2)
    image.header["slice_code"], image.header["slice_end"] = 3, 5
    image.header.set_slice_duration(0.3)
    nibabel.save(image, tmp_path / "timed.nii")
    times = read_series(tmp_path / "timed.nii").header_times_s
    assert times == pytest.approx((0.0, 0.9, 0.3, 1.2, 0.6, 1.5))


@pytest.mark.parametrize("shape", [(4, 5, 6), (4, 5, 6, 1)])
def test_one_volume_is_refused(tmp_path, shape):
    save(tmp_path / "t1.nii.gz", shape)
    with pytest.raises(InputError, match="one volume; expected a 4D series"):
        read_series(tmp_path / "t1.nii.gz")


def test_a_series_of_one_slice_is_refused(tmp_path):
    save(tmp_path / "thin.nii.gz", (4, 5, 1, 6))
    with pytest.raises(InputError, match="at least 3 slices"):
        read_series(tmp_path / "thin.nii.gz")


def test_frames_are_written_with_their_time_and_place(tmp_path):
    save(tmp_path / "bold.nii.gz")
    source = read_series(tmp_path / "bold.nii.gz").scan
    fine = Grid((4, 5, 12), np.diag([2.0, 2.0, 2.0, 1.0]))
    frames = np.random.default_rng(1).uniform(size=(4, 5, 12, 6)).astype(np.float32)
    write_series(tmp_path / "out.nii.gz", frames, fine, source, 1.0)
    image = nibabel.load(tmp_path / "out.nii.gz")
    assert np.array_equal(image.get_fdata(dtype=np.float32), frames)
    assert np.allclose(image.header.get_zooms(), (2.0, 2.0, 2.0, 1.0))
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert np.allclose(image.affine, fine.affine)


def test_motion_is_six_numbers_a_volume(tmp_path):
    file = tmp_path / "rp.txt"
    file.write_text("0 0 0 0 0 0\n1,2,3,0.1,0.2,0.3\n")
    assert read_motion(file, 2)[1].tolist() == [1, 2, 3, 0.1, 0.2, 0.3]
    with pytest.raises(InputError, match="2 lines of 6 numbers; expected 3 lines"):
        read_motion(file, 3)
    file.write_text("0 0 0 0 0 5\n")
    with pytest.raises(InputError, match="may be in degrees"):
        read_motion(file, 1)
    file.write_text("trans_x\n")
    with pytest.raises(InputError, match="no number"):
        read_motion(file, 1)
    with pytest.raises(InputError, match="does not exist"):
        read_motion(tmp_path / "no.txt", 1)


def test_more_than_four_dimensions_are_refused_but_those_of_one(tmp_path):
    save(tmp_path / "one.nii", (4, 5, 6, 3, 1))
    assert read_series(tmp_path / "one.nii").y.shape == (3, 4, 5, 6)
    save(tmp_path / "two.nii", (4, 5, 6, 3, 2))
    with pytest.raises(InputError, match=r"is 5D .*; expected a 4D series"):
        read_series(tmp_path / "two.nii")


def test_a_header_that_names_no_unit_of_time_counts_in_seconds(tmp_path):
    save(tmp_path / "bold.nii", tr=2.5, unit="unknown")
    assert read_series(tmp_path / "bold.nii").header_tr_s == pytest.approx(2.5)


@pytest.mark.parametrize(("text", "fault"), [("", "holds no numbers"), ("1 nan", "not finite")])
def test_text_without_numbers_is_refused(tmp_path, text, fault):
    (tmp_path / "motion.txt").write_text(text)
    with pytest.raises(InputError, match=fault):
        read_numbers(tmp_path / "motion.txt")
