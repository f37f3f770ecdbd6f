import pytest

from inversesr.errors import InputError
from inversesr.io.kspace.header import parse_header
from tests.support.raw_data import header


def test_both_spaces_are_read():
    found = parse_header(header(x=16, recon_x=8), "scan.h5")
    assert found.encoded.shape == (16, 14, 1)
    assert found.wanted.shape == (8, 14, 1)
    assert found.encoded.field_mm[0] == 32.0
    assert found.centres == (7, None)


def test_a_spiral_is_refused_and_tools_are_named():
    with pytest.raises(InputError, match=r"spiral trajectory.*BART"):
        parse_header(header(trajectory="spiral"), "scan.h5")


@pytest.mark.parametrize("text", ["", "<a/>", "no xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><a/>"])
def test_a_header_that_is_none_is_refused(text):
    with pytest.raises(InputError, match=r"scan.h5"):
        parse_header(text, "scan.h5")


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("<z>1</z></matrixSize>", "<z>0</z></matrixSize>", "encodedSpace has a side of nothing"),
        ("<y>28</y>", "<y>-28</y>", "encodedSpace has a side of nothing"),
        ("<z>1</z></matrixSize>", "</matrixSize>", "encodedSpace/matrixSize/z is missing"),
        ("<x>16</x>", "<x>wide</x>", "could not convert"),
    ],
)
def test_a_header_without_what_an_image_needs_is_refused_and_that_is_named(old, new, fault):
    text = header()
    assert old in text
    with pytest.raises(InputError, match=f"lacks what an image needs .*{fault}"):
        parse_header(text.replace(old, new), "scan.h5")
