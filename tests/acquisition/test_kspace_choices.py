import pytest

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.errors import InputError


@pytest.mark.parametrize("wrong", [{"coils": 0}, {"acceleration": 0.5}, {"mask": "spiral"}])
def test_what_no_scanner_does_is_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        KSpaceSimulation(**wrong)
