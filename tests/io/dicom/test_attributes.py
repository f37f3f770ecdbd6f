import pytest

from inversesr.io.dicom.attributes import PATIENT_AND_STUDY, Told, template
from inversesr.io.dicom.files import read_place
from inversesr.io.dicom.header import read_dataset
from inversesr.io.dicom.series import group
from tests.support.dicom import affine_of, enhanced, slices, stack, write

TOLD = Told(9004, "thin 1 mm T2 NOT FOR DIAGNOSIS", "made so", "solver=unet", "1.2.3")


def source(folder, files):
    (series,) = group(read_place(write(folder, files), folder))
    return series


def made(folder, files, told=TOLD):
    series = source(folder, files)
    return template(read_dataset(series.first.path)[0], [series], told)


def changed(**values):
    files = slices(stack(), affine_of())
    for one in files:
        for keyword, value in values.items():
            one[keyword] = one[keyword] if keyword in one else one.data_element(keyword)
            one[keyword]._value = value
    return files


def test_patient_study_and_acquisition_are_those_of_the_source(tmp_path):
    files = slices(stack(), affine_of())
    ds = made(tmp_path, files)
    for keyword in PATIENT_AND_STUDY:
        if keyword in files[0]:
            assert ds[keyword].value == files[0][keyword].value
    assert (ds.EchoTime, ds.RepetitionTime, ds.MagneticFieldStrength) == (98.0, 4000.0, 1.5)
    assert ds.SeriesDate == "20240229"


def test_what_it_is_is_said(tmp_path):
    ds = made(tmp_path, slices(stack(), affine_of()))
    assert list(ds.ImageType) == ["DERIVED", "SECONDARY", "OTHER"]
    assert "NOT FOR DIAGNOSIS" in ds.SeriesDescription
    assert (ds.DerivationDescription, ds.LossyImageCompression) == ("made so", "00")
    assert len(ds.SourceImageSequence) == 6
    scanner, program = ds.ContributingEquipmentSequence
    assert (scanner.Manufacturer, program.Manufacturer) == ("Unknown", "inversesr")
    assert (program.SoftwareVersions, program.ContributionDescription) == ("1.2.3", "solver=unet")


def test_private_and_unknown_tags_are_not_taken_over(tmp_path):
    files = slices(stack(), affine_of())
    for one in files:
        one.private_block(0x0029, "SIEMENS CSA HEADER", create=True).add_new(0x10, "OB", b"secret")
        one.StationName = "MRS1"
    ds = made(tmp_path, files)
    assert not [element for element in ds if element.tag.is_private]
    assert "StationName" not in ds


@pytest.mark.parametrize(
    ("keyword", "value"), [("StudyDate", "***"), ("EchoTime", "soon"), ("PatientSex", "?")]
)
def test_values_that_are_not_allowed_are_left_empty(tmp_path, keyword, value):
    ds = made(tmp_path, changed(**{keyword: value}))
    assert ds[keyword].value in (None, "")


def test_a_loss_is_not_forgotten(tmp_path):
    files = slices(stack(), affine_of())
    for one in files:
        one.LossyImageCompression, one.LossyImageCompressionRatio = "01", "12.5"
    ds = made(tmp_path, files)
    assert (ds.LossyImageCompression, ds.LossyImageCompressionRatio) == ("01", 12.5)


def test_a_loss_of_any_source_is_told_and_all_of_them_are_named(tmp_path):
    files = slices(stack(), affine_of())
    first = source(tmp_path / "first", files)
    for one in files:
        one.LossyImageCompression = "01"
    second = source(tmp_path / "second", files)
    ds = template(read_dataset(first.first.path)[0], [first, second], TOLD)
    assert ds.LossyImageCompression == "01"
    assert len(ds.SourceImageSequence) == 12


def test_an_enhanced_source_says_the_same_in_other_words(tmp_path):
    one = enhanced(stack(), affine_of())
    del one.ScanningSequence
    one.EchoPulseSequence, one.InversionRecovery = "SPIN", "YES"
    ds = made(tmp_path, [one])
    assert list(ds.ScanningSequence) == ["SE", "IR"]
    assert ds.EchoTime == 98.0


def test_a_long_description_is_cut(tmp_path):
    told = Told(1, "x" * 99, "y" * 2000, "z" * 2000, "1")
    ds = made(tmp_path, slices(stack(), affine_of()), told)
    assert (len(ds.SeriesDescription), len(ds.DerivationDescription)) == (64, 1024)
