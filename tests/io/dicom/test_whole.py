import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from inversesr.io.dicom.header import read_instance
from tests.support.dicom import affine_of, implicit, slices, stack, write


def written(folder, **how):
    write(folder, slices(stack((40, 36, 1)), affine_of()), **how)
    return folder / "IM0000.dcm"


@pytest.mark.parametrize("compress", [None, RLELossless, JPEG2000Lossless, JPEGLSLossless])
def test_a_file_is_whole_until_it_is_cut(tmp_path, compress):
    file = written(tmp_path, compress=compress)
    assert read_instance(file).is_whole
    file.write_bytes(file.read_bytes()[:-9])
    assert not read_instance(file).is_whole


def test_a_file_without_types_is_whole_until_it_is_cut(tmp_path):
    write(tmp_path, implicit(slices(stack(), affine_of())))
    file = tmp_path / "IM0000.dcm"
    assert read_instance(file).is_whole
    file.write_bytes(file.read_bytes()[:-2])
    assert not read_instance(file).is_whole


def test_a_file_of_the_other_order_of_bytes_is_whole(tmp_path):
    made = slices(stack(), affine_of())[0]
    made.file_meta.TransferSyntaxUID = ExplicitVRBigEndian
    made["PixelData"].VR = "OW"
    made.save_as(tmp_path / "a.dcm", implicit_vr=False, little_endian=False)
    assert read_instance(tmp_path / "a.dcm").is_whole


def test_a_deflated_file_is_left_to_the_converter(tmp_path):
    made = slices(stack(), affine_of())[0]
    made.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert read_instance(tmp_path / "a.dcm").is_whole


def test_a_header_without_voxels_is_not_whole(tmp_path):
    made = slices(stack(), affine_of())[0]
    del made.PixelData
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert not read_instance(tmp_path / "a.dcm").is_whole


def test_fewer_voxels_than_declared_are_not_whole(tmp_path):
    made = slices(stack(), affine_of())[0]
    made.Rows = 11
    made.save_as(tmp_path / "a.dcm", enforce_file_format=True)
    assert not read_instance(tmp_path / "a.dcm").is_whole
