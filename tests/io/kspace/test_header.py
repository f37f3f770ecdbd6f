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
