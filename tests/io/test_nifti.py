import errno
import gzip
import os

import nibabel
import numpy as np
import pytest

from inversesr.errors import InputError, MachineError
from inversesr.io.nifti import (
    Scan,
    read_scan,
    scan_from_image,
    stored,
    to_image,
    write_volume,
)
from inversesr.volume import Grid, Volume

SHAPE = (7, 6, 5)
SECRET = b"SECRET^PATIENT"
OBLIQUE = np.array(
    [[0.0, -1.1, 0.4, 10.0], [0.9, 0.0, 0.3, -20.0], [0.1, 0.2, 3.9, 5.0], [0.0, 0.0, 0.0, 1.0]]
)


def voxels(shape=SHAPE, dtype=np.float32):
    return np.random.default_rng(0).uniform(0, 1000, shape).astype(dtype)


def image(data=None, affine=None, cls=nibabel.Nifti1Image):
    data = voxels() if data is None else data
    made = cls(data, np.diag([1.0, 1.0, 4.0, 1.0]) if affine is None else affine)
    made.header.set_xyzt_units("mm")
    return made


def save(path, *args, **kwargs):
    nibabel.save(image(*args, **kwargs), path)
    return path


def coded(sform_code, qform_code, sform=OBLIQUE, qform=None):
    """An image whose qform is a rigid pose of its own and whose sform may be sheared."""
    made = image(affine=OBLIQUE)
    rigid = np.diag([*np.linalg.norm(OBLIQUE[:3, :3], axis=0), 1.0])
    rigid[:3, 3] = (1.0, 2.0, 3.0)
    made.set_sform(sform if sform_code else None, sform_code)
    made.set_qform(rigid if qform is None else qform, qform_code)
    return nibabel.Nifti1Image.from_bytes(made.to_bytes())


def finer(scan):
    """The voxels of a scan on a grid four times as fine along the last axis."""
    grid = scan.volume.grid
    shape = (*grid.shape[:2], grid.shape[2] * 4)
    x, y, z = grid.spacing_mm
    fine = grid.respaced(shape, (x, y, z / 4))
    return Volume(np.repeat(scan.volume.data, 4, axis=2), fine)


# reading


# nibabel does not close an .mgh whose header it has read
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.mgz", "a.mgh"])
@pytest.mark.parametrize("codes", ["RAS", "LPS", "ASR", "IRP"])
def test_any_format_and_orientation_is_read_in_its_own_voxels_and_world(tmp_path, name, codes):
    ornt = nibabel.orientations.axcodes2ornt(codes)
    turn = nibabel.orientations.inv_ornt_aff(ornt, SHAPE)
    affine = np.diag([1.0, 1.5, 4.0, 1.0]) @ turn
    cls = nibabel.MGHImage if name.startswith("a.mg") else nibabel.Nifti1Image
    data = voxels()
    nibabel.save(cls(data, affine), tmp_path / name)
    scan = read_scan(tmp_path / name)
    assert scan.volume.data.dtype == np.float32
    np.testing.assert_array_equal(scan.volume.data, data)
    np.testing.assert_allclose(scan.volume.grid.affine, affine, atol=1e-4)
    assert scan.name == "a"


def test_nifti2_is_read_and_written_as_nifti2(tmp_path):
    scan = read_scan(save(tmp_path / "a.nii.gz", cls=nibabel.Nifti2Image))
    assert isinstance(to_image(scan.volume, scan), nibabel.Nifti2Image)


def test_scaled_integers_are_read_as_the_intensities_that_they_stand_for(tmp_path):
    made = image(voxels(dtype=np.int16))
    raw = np.asarray(made.dataobj)
    made.header.set_slope_inter(0.5, -20.0)
    nibabel.save(made, tmp_path / "kept.nii")
    blob = bytearray((tmp_path / "kept.nii").read_bytes())
    blob[112:120] = np.array([0.5, -20.0], "<f4").tobytes()
    blob[352:] = raw.astype("<i2").tobytes(order="F")
    (tmp_path / "a.nii").write_bytes(blob)
    scan = read_scan(tmp_path / "a.nii")
    np.testing.assert_allclose(scan.volume.data, raw * 0.5 - 20.0)


@pytest.mark.parametrize("trailing", [(1,), (1, 1)])
def test_trailing_dimensions_of_one_do_not_matter(tmp_path, trailing):
    data = voxels((*SHAPE, *trailing))
    scan = read_scan(save(tmp_path / "a.nii.gz", data))
    np.testing.assert_array_equal(scan.volume.data, data.reshape(SHAPE))


def test_a_volume_of_a_series_can_be_picked(tmp_path):
    data = voxels((*SHAPE, 3))
    path = save(tmp_path / "a.nii.gz", data)
    np.testing.assert_array_equal(read_scan(path, 2).volume.data, data[..., 2])
    with pytest.raises(InputError, match="no volume 3"):
        read_scan(path, 3)


def test_the_slice_axis_of_the_header_is_read():
    made = image()
    made.header.set_dim_info(slice=1)
    assert scan_from_image(made).slice_axis == 1


def test_an_image_without_codes_is_read_with_a_warning():
    made = image()
    made.set_sform(None, 0)
    made.set_qform(None, 0)
    (warning,) = scan_from_image(nibabel.Nifti1Image.from_bytes(made.to_bytes())).warnings
    assert "left and right" in warning


def test_forms_that_disagree_are_warned_about():
    warning = scan_from_image(coded(1, 1)).warnings[0]
    assert "disagree" in warning


@pytest.mark.parametrize("broken", [np.nan, 1e7, 1e38], ids=str)
def test_a_broken_qform_beside_a_good_sform_is_left_out_with_a_warning(tmp_path, broken):
    blob = bytearray(with_srow(np.diag([1, 1, 4, 1])[:3]))
    blob[252:254] = np.array([1], "<i2").tobytes()  # qform_code
    blob[268:272] = np.array([broken], "<f4").tobytes()  # qoffset_x
    (tmp_path / "a.nii").write_bytes(blob)
    scan = read_scan(tmp_path / "a.nii")
    (warning,) = scan.warnings
    assert "broken qform" in warning
    header = to_image(finer(scan), scan).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (1, 0)


# refusing


def spoilt(value, count):
    data = voxels()
    data.reshape(-1)[:count] = value
    return data


def rgb():
    return np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")])


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(voxels((9, 8)), "2D", id="2D"),
        pytest.param(voxels((*SHAPE, 3)), r"3 volumes.*--volume N`, N from 0 to 2", id="4D"),
        pytest.param(voxels((*SHAPE, 2, 2)), "5D", id="5D"),
        pytest.param(rgb(), "RGB", id="RGB"),
        pytest.param(voxels().astype(np.complex64), "complex", id="complex"),
        pytest.param(np.zeros(SHAPE, np.float32), "only zeros", id="all zeros"),
        pytest.param(np.full(SHAPE, 7, np.float32), "same intensity 7", id="constant"),
        pytest.param(spoilt(np.nan, 3), "3 NaN or Inf voxels of 210", id="NaN"),
        pytest.param(spoilt(np.inf, 4), "4 NaN or Inf voxels of 210", id="Inf"),
        pytest.param(spoilt(1e35, 1), "rescale", id="beyond the square root of float32"),
        pytest.param(voxels((7, 6, 2)), "at least 3 slices", id="two slices"),
    ],
)
def test_voxels_that_cannot_be_used_are_refused(tmp_path, data, sentence):
    with pytest.raises(InputError, match=sentence):
        read_scan(save(tmp_path / "a.nii.gz", data))


def with_srow(rows):
    made = image()
    made.header["sform_code"], made.header["qform_code"] = 1, 0
    made.header["vox_offset"] = 352
    made.header["srow_x"], made.header["srow_y"], made.header["srow_z"] = rows
    return bytes(made.header.binaryblock) + bytes(4) + voxels().tobytes(order="F")


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        pytest.param([[0] * 4] * 3, "voxels of 0 x 0 x 0 mm", id="zero"),
        pytest.param([[np.nan, 0, 0, 0], [0, 1, 0, 0], [0, 0, 4, 0]], "NaN or Inf", id="NaN"),
        pytest.param([[np.inf, 0, 0, 0], [0, 1, 0, 0], [0, 0, 4, 0]], "NaN or Inf", id="Inf"),
        pytest.param([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 4, 0]], "one plane", id="singular"),
        pytest.param([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 4e-3, 0]], "unit to mm", id="metres"),
        pytest.param([[1, 0, 0, 1e7], [0, 1, 0, 0], [0, 0, 4, 0]], "from the origin", id="far"),
    ],
)
def test_an_affine_that_cannot_be_used_is_refused(tmp_path, rows, sentence):
    (tmp_path / "a.nii").write_bytes(with_srow(rows))
    with pytest.raises(InputError, match=sentence):
        read_scan(tmp_path / "a.nii")


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        read_scan(tmp_path / "a.nii.gz")


def test_a_folder_is_refused_and_dcm2niix_named(tmp_path):
    with pytest.raises(InputError, match="dcm2niix"):
        read_scan(tmp_path)


def test_what_nibabel_mends_in_a_header_is_not_logged(tmp_path, capfd, caplog):
    blob = bytearray(with_srow(np.diag([1, 1, 4, 1])[:3]))
    blob[80:84] = np.array([-1.0], "<f4").tobytes()  # pixdim[1]
    (tmp_path / "a.nii").write_bytes(blob)
    read_scan(tmp_path / "a.nii")
    assert capfd.readouterr() == ("", "")
    assert caplog.records == []


def test_another_format_is_refused(tmp_path):
    (tmp_path / "a.dcm").write_bytes(b"DICM")
    with pytest.raises(InputError, match="convert it to NIfTI"):
        read_scan(tmp_path / "a.dcm")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mgz"])
@pytest.mark.parametrize("content", [b"", b"hello, I am text\n" * 99], ids=["empty", "text"])
def test_a_file_that_only_has_the_name_of_an_image_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=r"is plain text|is empty"):
        read_scan(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.mgz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_file_that_was_cut_off_is_refused(tmp_path, name, share):
    cls = nibabel.MGHImage if name == "a.mgz" else nibabel.Nifti1Image
    nibabel.save(cls(voxels(), np.diag([1.0, 1.0, 4.0, 1.0])), tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=r"intact|damaged"):
        read_scan(tmp_path / name)


def test_a_small_file_that_declares_more_than_memory_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.setattr("inversesr.io.checks.available_memory_bytes", lambda: 8 * 2**30)
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.float32)
    header.set_data_shape((2048, 1024, 1536))
    header.set_sform(np.eye(4), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    bomb = gzip.compress(header.binaryblock + bytes(4) + bytes(2**20))
    (tmp_path / "a.nii.gz").write_bytes(bomb)
    with pytest.raises(InputError, match=r"declares 24\.0 GiB of voxels, 8\.0 GiB"):
        read_scan(tmp_path / "a.nii.gz")


# writing


@pytest.mark.parametrize("sform_code", [0, 1, 4])
@pytest.mark.parametrize("qform_code", [0, 1, 3])
def test_the_codes_of_sform_and_qform_are_kept(tmp_path, sform_code, qform_code):
    scan = scan_from_image(coded(sform_code, qform_code))
    write_volume(tmp_path / "a.nii.gz", finer(scan), scan)
    header = nibabel.load(tmp_path / "a.nii.gz").header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (sform_code, qform_code)


@pytest.mark.parametrize("sform_code", [0, 1, 4])
@pytest.mark.parametrize("qform_code", [0, 1, 3])
def test_both_forms_place_the_centre_of_the_image_where_the_scan_had_it(sform_code, qform_code):
    source = coded(sform_code, qform_code)
    scan = scan_from_image(source)
    made = to_image(finer(scan), scan)
    middle = np.array([*(np.array(SHAPE) - 1) / 2.0, 1.0])
    fine_middle = np.array([3.0, 2.5, 9.5, 1.0])
    np.testing.assert_allclose(made.affine @ fine_middle, source.affine @ middle, atol=1e-4)
    for form in ("get_sform", "get_qform"):
        before, code = getattr(source, form)(coded=True)
        if code:
            after = getattr(made, form)()
            np.testing.assert_allclose(after @ fine_middle, before @ middle, atol=1e-4)
            step = after[:3, 2] * 4.0
            np.testing.assert_allclose(step, before[:3, 2], atol=1e-4)


def test_a_volume_on_the_scan_grid_keeps_both_affines():
    source = coded(2, 1)
    scan = scan_from_image(source)
    made = to_image(scan.volume, scan)
    np.testing.assert_allclose(made.get_sform(), source.get_sform(), atol=1e-5)
    np.testing.assert_allclose(made.get_qform(), source.get_qform(), atol=1e-5)


@pytest.mark.parametrize("unit", ["mm", "unknown"])
def test_what_is_written_says_millimetres(unit):
    made = image()
    made.header.set_xyzt_units(unit)
    scan = scan_from_image(made)
    assert to_image(scan.volume, scan).header.get_xyzt_units()[0] == "mm"


@pytest.mark.parametrize("output_type", ["float32", "input"])
def test_no_text_of_the_header_is_copied(tmp_path, output_type):
    made = image(voxels(dtype=np.int16))
    for name in ("descrip", "aux_file", "intent_name", "db_name"):
        made.header[name] = SECRET
    made.header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", SECRET))
    nibabel.save(made, tmp_path / "a.nii")
    assert (tmp_path / "a.nii").read_bytes().count(SECRET) == 5
    scan = read_scan(tmp_path / "a.nii")
    write_volume(tmp_path / "b.nii", finer(scan), scan, output_type)
    assert b"SECRET" not in (tmp_path / "b.nii").read_bytes()
    assert len(nibabel.load(tmp_path / "b.nii").header.extensions) == 0
    assert "SECRET" not in repr(scan)


def test_the_default_type_is_float32_and_loses_nothing(tmp_path):
    scan = scan_from_image(image(voxels(dtype=np.int16)))
    volume = scan.volume.with_data(scan.volume.data + 0.123)
    write_volume(tmp_path / "a.nii.gz", volume, scan)
    back = nibabel.load(tmp_path / "a.nii.gz")
    assert back.get_data_dtype() == np.float32
    np.testing.assert_array_equal(np.asarray(back.dataobj, np.float32), volume.data)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32])
def test_the_type_of_the_input_is_kept_to_one_quantisation_step(tmp_path, dtype):
    scan = scan_from_image(image(np.clip(voxels(), 0, 255).astype(dtype)))
    volume = scan.volume.with_data(voxels() * 1.7 - 300.0)
    write_volume(tmp_path / "a.nii.gz", volume, scan, "input")
    back = nibabel.load(tmp_path / "a.nii.gz")
    assert back.get_data_dtype() == dtype
    step = np.ptp(volume.data) / (2.0 ** (8 * np.dtype(dtype).itemsize) - 2)
    tolerance = max(step, 1e-6 * np.abs(volume.data).max())
    np.testing.assert_allclose(back.get_fdata(), volume.data, rtol=0, atol=tolerance)


def test_a_float_input_is_written_as_float32_on_request_of_its_own_type():
    scan = scan_from_image(image(voxels(dtype=np.float64)))
    assert to_image(scan.volume, scan, "input").get_data_dtype() == np.float32


def test_a_volume_made_here_is_written_in_scanner_coordinates():
    volume = Volume(voxels(), Grid(SHAPE, np.diag([1.0, 1.0, 4.0, 1.0])))
    made = to_image(volume, Scan.made_here(volume))
    assert (int(made.header["sform_code"]), int(made.header["qform_code"])) == (1, 1)
    np.testing.assert_allclose(made.affine, volume.grid.affine)


@pytest.mark.parametrize("shape", [(6, 5, 4, 3), (6, 5, 4, 3, 1), (6, 5, 4, 3, 1, 1)])
def test_a_volume_is_picked_from_a_series_however_many_axes_of_length_one_follow(shape, tmp_path):
    data = np.random.default_rng(0).uniform(1, 9, shape).astype(np.float32)
    nibabel.save(nibabel.Nifti1Image(data, np.eye(4)), tmp_path / "series.nii.gz")
    found = read_scan(tmp_path / "series.nii.gz", 2).volume.data
    np.testing.assert_array_equal(found, data.reshape(6, 5, 4, 3)[..., 2])
    with pytest.raises(InputError, match="has no volume 3"):
        read_scan(tmp_path / "series.nii.gz", 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16])
def test_what_is_stored_is_what_is_read_back(dtype, tmp_path):
    data = np.random.default_rng(0).uniform(0, 300, (6, 5, 4)).astype(np.float32)
    source = scan_from_image(
        nibabel.Nifti1Image(np.arange(120).reshape(6, 5, 4).astype(dtype), np.eye(4))
    )
    volume = Volume(data, Grid((6, 5, 4), np.eye(4)))
    write_volume(tmp_path / "out.nii.gz", volume, source, "input")
    back = read_scan(tmp_path / "out.nii.gz").volume.data
    np.testing.assert_allclose(stored(volume, source, "input").data, back, rtol=1e-6)
    assert np.abs(back - data).max() > 0.0
    assert stored(volume, source) is volume


def test_the_case_of_a_suffix_does_not_matter(tmp_path):
    image = nibabel.Nifti1Image(np.arange(120.0).reshape(6, 5, 4), np.eye(4))
    nibabel.save(image, tmp_path / "s.nii.gz")
    (tmp_path / "s.nii.gz").rename(tmp_path / "S.NII.GZ")
    found = read_scan(tmp_path / "S.NII.GZ")
    assert found.name == "S"
    np.testing.assert_array_equal(found.volume.data, image.get_fdata())


def test_a_name_that_belies_the_compression_is_named(tmp_path):
    image = nibabel.Nifti1Image(np.arange(120.0).reshape(6, 5, 4), np.eye(4))
    nibabel.save(image, tmp_path / "a.nii")
    nibabel.save(image, tmp_path / "b.nii.gz")
    (tmp_path / "a.nii").rename(tmp_path / "c.nii.gz")
    (tmp_path / "b.nii.gz").rename(tmp_path / "d.nii")
    with pytest.raises(InputError, match="nor compressed as its name says"):
        read_scan(tmp_path / "c.nii.gz")
    with pytest.raises(InputError, match="but compressed"):
        read_scan(tmp_path / "d.nii")


def test_a_name_that_is_no_text_is_refused(tmp_path):
    with pytest.raises(InputError, match="rename the file, or set LC_ALL"):
        read_scan(tmp_path / os.fsdecode(b"bad\xff.nii.gz"))


def test_lengths_in_another_unit_are_warned_of():
    image = nibabel.Nifti1Image(np.arange(120.0).reshape(6, 5, 4), np.eye(4))
    image.header.set_xyzt_units(xyz="meter")
    assert any("in meters by its header" in w for w in scan_from_image(image).warnings)


def test_a_sidecar_that_the_disk_does_not_give_is_the_machines_fault(tmp_path, monkeypatch):
    save(tmp_path / "a.nii.gz")
    (tmp_path / "a.json").write_text("{}")

    def fail(_path):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("inversesr.io.sidecar.Path.read_bytes", fail)
    with pytest.raises(MachineError, match=r"the sidecar of a\.nii\.gz .*Input/output error"):
        read_scan(tmp_path / "a.nii.gz")
