import pytest

from inversesr.io.dicom.files import read_place
from inversesr.io.dicom.privacy import short_hash
from inversesr.io.dicom.series import group
from tests.support.dicom import affine_of, enhanced, header, slices, stack, write


def grouped(folder, made, **how):
    return group(read_place(write(folder, made, **how), folder))


def series(n=6, **facts):
    return slices(stack((12, 10, n)), affine_of(), **facts)


def test_files_of_a_series_are_one_image_in_the_order_of_their_numbers(tmp_path):
    (one,) = grouped(tmp_path, series()[::-1])
    assert [i.number for i in one.instances] == [1, 2, 3, 4, 5, 6]
    assert (one.key, one.label, one.plane) == ("4", "series 4 (T2 TSE axial)", "axial")
    assert (one.fault, one.doubt, one.n_volumes, one.is_thin) == ("", "", 1, False)


def test_mixed_series_are_told_apart_by_their_uid(tmp_path):
    made = [*series(), *series(series="2", number=7), *series(series="3", study="2", number=7)]
    found = {one.key: one for one in grouped(tmp_path, made)}
    hashes = {short_hash(header(series="2").SeriesInstanceUID),
              short_hash(header(series="3", study="2").SeriesInstanceUID)}  # fmt: skip
    assert set(found) == {"4", *hashes}
    assert all(len(one.instances) == 6 for one in found.values())


def test_echoes_of_one_series_are_images_of_their_own(tmp_path):
    made = [*series(), *series()]
    for n, one in enumerate(made):
        one.EchoTime = 12.0 if n < 6 else 98.0
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{n}"
    found = grouped(tmp_path, made)
    assert [(one.key, one.part) for one in found] == [("4-1", "echo 12 ms"), ("4-2", "echo 98 ms")]
    assert "T2 TSE axial, echo 98 ms" in found[1].label


def test_magnitude_and_phase_in_one_series_are_told_apart(tmp_path):
    made = [*series(), *series()]
    for n, one in enumerate(made):
        one.ImageType = ["ORIGINAL", "PRIMARY", "M" if n < 6 else "P"]
        one.SOPInstanceUID = one.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{n}"
    magnitude, phase = grouped(tmp_path, made)
    assert (magnitude.part, magnitude.fault) == ("magnitude", "")
    assert "phase" in phase.fault
    assert phase.is_other


def test_a_file_that_is_there_twice_is_left_out_and_told(tmp_path):
    write(tmp_path / "again", series())
    (one,) = grouped(tmp_path, series())
    assert len(one.instances) == 6
    assert one.notes == ("holds 6 files twice: the copies are left out",)
    assert not one.fault


def test_one_number_with_two_contents_is_refused(tmp_path):
    other = series()[2:3]
    other[0].PixelData = bytes(len(other[0].PixelData))
    write(tmp_path / "again", other)
    (one,) = grouped(tmp_path, series())
    assert "instance 3 twice, with different content" in one.fault


def test_an_enhanced_object_of_several_echoes_is_refused(tmp_path):
    (one,) = grouped(tmp_path, [enhanced(stack(), affine_of(), echoes=(12.0, 98.0))])
    assert "holds 2 images in one object (echo 12 ms and echo 98 ms)" in one.fault


def test_a_mosaic_is_a_series_of_volumes(tmp_path):
    made = series(2)
    for one in made:
        one.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]
    (one,) = grouped(tmp_path, made)
    assert (one.n_volumes, one.layout, one.fault) == (2, None, "")


@pytest.mark.parametrize(
    ("spacing", "is_thin"),
    [((1.0, 1.0, 1.0), True), ((0.5, 0.5, 1.0), True), ((2, 2, 2), True), ((1, 1, 1.2), False)],
)
def test_a_series_is_thin_where_a_run_would_refine_nothing(tmp_path, spacing, is_thin):
    (one,) = grouped(tmp_path, slices(stack(), affine_of(spacing)))
    assert one.is_thin is is_thin


def test_a_loss_by_compression_is_told(tmp_path):
    made = slices(stack((40, 36, 4)), affine_of())
    for one in made:
        one.LossyImageCompression = "01"
    (one,) = grouped(tmp_path, made)
    assert "with a loss" in one.notes[0]


def test_a_label_does_not_tell_the_patient(tmp_path):
    (one,) = grouped(tmp_path, series(description="T2 of Roentgen"))
    assert one.label == "series 4 (T2 of ***)"
