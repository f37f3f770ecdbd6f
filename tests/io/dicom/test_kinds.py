import pytest

from inversesr.io.dicom.files import read_place
from inversesr.io.dicom.kinds import damage_of, doubt_of, other_of
from tests.support.dicom import affine_of, slices, stack, write


def judged(folder, change):
    made = slices(stack(), affine_of())
    for one in made:
        change(one)
    return read_place(write(folder, made), folder)


def typed(*words):
    return lambda ds: setattr(ds, "ImageType", list(words))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda ds: setattr(ds, "Modality", "CT"), "is CT; expected MR"),
        (lambda ds: delattr(ds, "Rows"), "holds no image"),
        (lambda ds: setattr(ds, "SOPClassUID", "1.2.840.10008.5.1.4.1.1.7"), "screenshot"),
        (typed("ORIGINAL", "PRIMARY", "P"), "phase of a complex image"),
        (typed("ORIGINAL", "PRIMARY", "I", "FFE"), "imaginary part"),
        (typed("DERIVED", "PRIMARY", "B0 MAP"), "field map"),
        (lambda ds: setattr(ds, "SamplesPerPixel", 3), "in colour"),
    ],
)
def test_what_is_no_scan_is_told(tmp_path, change, told):
    assert told in other_of(judged(tmp_path, change))


@pytest.mark.parametrize(
    ("change", "doubt"),
    [
        (typed("ORIGINAL", "PRIMARY", "LOCALIZER"), "a scout"),
        (lambda ds: setattr(ds, "SeriesDescription", "3-Plane Loc"), "a scout"),
        (lambda ds: setattr(ds, "SeriesDescription", "AAHScout_32ch"), "a scout"),
        (lambda ds: setattr(ds, "SeriesDescription", "Survey_MST"), "a scout"),
        (typed("DERIVED", "SECONDARY", "MPR"), "a reformat"),
        (typed("DERIVED", "SECONDARY", "PROJECTION IMAGE"), "a projection"),
        (typed("DERIVED", "PRIMARY", "DIFFUSION", "ADC"), "a diffusion map"),
        (typed("DERIVED", "SECONDARY"), "a derived image"),
        (lambda ds: setattr(ds, "ManufacturerModelName", "inversesr"), "a result of this program"),
        (typed("ORIGINAL", "PRIMARY", "MPR"), ""),
        (lambda ds: setattr(ds, "SeriesDescription", "T2 local shim"), ""),
        (lambda _ds: None, ""),
    ],
)
def test_what_is_no_scan_as_it_was_taken_is_doubted(tmp_path, change, doubt):
    instances = judged(tmp_path, change)
    assert doubt_of(instances) == doubt
    assert not other_of(instances)


def test_instances_that_are_cut_short_are_named(tmp_path):
    write(tmp_path, slices(stack(), affine_of()))
    for name in ("IM0001.dcm", "IM0004.dcm"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-50])
    told = damage_of(read_place(tmp_path, tmp_path))
    assert "2 of 6" in told
    assert "instance 2, 5" in told


def test_a_series_without_voxels_is_told(tmp_path):
    told = damage_of(judged(tmp_path, lambda ds: delattr(ds, "PixelData")))
    assert told.startswith("has no voxels")
