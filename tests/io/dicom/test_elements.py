import pytest
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from inversesr.io.dicom.elements import number, numbers, text, texts


def test_a_name_of_a_person_is_one_text():
    ds = Dataset()
    ds.PatientName = "Roentgen^Wilhelmine"
    assert texts(ds, "PatientName") == ["Roentgen^Wilhelmine"]


def test_several_values_are_texts_of_their_own_without_margins():
    ds = Dataset()
    ds.ImageType = ["ORIGINAL ", "PRIMARY"]
    assert texts(ds, "ImageType") == ["ORIGINAL", "PRIMARY"]
    assert text(ds, "ImageType") == "ORIGINAL"


def test_what_is_not_stated_is_no_text_and_no_number():
    assert (text({}, "Rows"), numbers({}, "Rows"), number({}, "Rows")) == ("", (), None)


@pytest.mark.parametrize("value", ["nan", "inf", "five", "1e99", ""])
def test_what_is_no_sensible_number_is_none(value):
    assert numbers({"SliceThickness": value}, "SliceThickness") == ()


def test_a_value_that_pydicom_cannot_read_is_none():
    ds = Dataset()
    ds.add_new(Tag("SliceThickness"), "DS", "1")
    ds["SliceThickness"]._value = object()
    assert number(ds, "SliceThickness") is None
