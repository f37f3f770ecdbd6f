import numpy as np
import pydicom
import pytest

from inversesr.io.dicom.header import component_of, looks_like_dicom, read_instance
from tests.support.dicom import affine_of, enhanced, slices, stack, write


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "a", slices(stack(), affine_of()))


def test_an_instance_says_where_it_lies_and_what_it_is(folder):
    one = read_instance(folder / "IM0002.dcm")
    assert (one.number, one.series_number, one.modality, one.shape) == (3, 4, "MR", (10, 12))
    assert (one.description, one.time, one.is_whole) == ("T2 TSE axial", "13:45", True)
    frame = one.frames[0]
    np.testing.assert_allclose(frame.position, (40.0, 30.0, 20.0), atol=1e-5)
    np.testing.assert_allclose(frame.spacing, (0.8, 0.9))
    assert (frame.thickness, frame.echo_ms, frame.component) == (4.0, 98.0, "MAGNITUDE")


def test_an_enhanced_object_has_a_frame_for_each_slice(tmp_path):
    write(tmp_path, [enhanced(stack(), affine_of())])
    one = read_instance(tmp_path / "IM0000.dcm")
    assert len(one.frames) == 6
    np.testing.assert_allclose([f.position[2] for f in one.frames], 10 + 5 * np.arange(6))
    assert {f.thickness for f in one.frames} == {4.0}


def test_a_file_without_preamble_is_known_by_its_first_tag(tmp_path):
    write(tmp_path, slices(stack(), affine_of()), preamble=False, suffix="")
    assert looks_like_dicom(tmp_path / "IM0000")
    assert read_instance(tmp_path / "IM0000").shape == (10, 12)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0" * 400, b"plain text, nothing more", b"\x08\x00" * 100, b"\0" * 128 + b"DICM"],
    ids=["nothing", "zeros", "text", "tags only", "magic only"],
)
def test_other_files_are_no_instance(tmp_path, content):
    (tmp_path / "a").write_bytes(content)
    assert read_instance(tmp_path / "a") is None


def test_every_cut_of_a_file_gives_an_answer(folder):
    whole = (folder / "IM0000.dcm").read_bytes()
    for length in range(0, len(whole) - 1, 37):
        (folder / "cut").write_bytes(whole[:length])
        one = read_instance(folder / "cut")
        assert one is None or not one.is_whole


def test_bits_that_flip_give_an_answer(folder):
    whole = bytearray((folder / "IM0000.dcm").read_bytes())
    rng = np.random.default_rng(0)
    for at in rng.integers(132, len(whole) - 300, 300):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << rng.integers(8)
        (folder / "flipped").write_bytes(damaged)
        read_instance(folder / "flipped")


@pytest.mark.parametrize(
    ("kinds", "part"),
    [
        (("ORIGINAL", "PRIMARY", "M", "NORM"), "MAGNITUDE"),
        (("ORIGINAL", "PRIMARY", "M_SE", "M", "SE"), "MAGNITUDE"),
        (("ORIGINAL", "PRIMARY", "PHASE MAP", "P", "FFE"), "PHASE"),
        (("ORIGINAL", "PRIMARY", "P", "ND"), "PHASE"),
        (("DERIVED", "SECONDARY", "R"), "REAL"),
        (("ORIGINAL", "PRIMARY", "OTHER"), ""),
        (("ORIGINAL", "P"), ""),
    ],
)
def test_the_part_of_a_complex_image_is_told_by_its_type(kinds, part):
    assert component_of(kinds) == part


def test_values_that_the_standard_does_not_allow_are_no_reason_to_stop(folder):
    ds = pydicom.dcmread(folder / "IM0000.dcm")
    ds["SliceThickness"]._value = "4 mm"
    ds["SeriesTime"]._value = "a quarter to two"
    ds["InstanceNumber"]._value = "1.5"
    pydicom.dcmwrite(folder / "odd.dcm", ds)
    one = read_instance(folder / "odd.dcm")
    assert (one.frames[0].thickness, one.time, one.number) == (None, "", 1)


def test_a_length_that_fits_no_value_is_no_reason_to_stop(folder):
    whole = bytearray((folder / "IM0000.dcm").read_bytes())
    whole[138:140] = b"\x3d\x00"  # of the group length, which has four bytes
    (folder / "long").write_bytes(whole)
    assert read_instance(folder / "long") is None
