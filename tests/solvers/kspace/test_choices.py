import pytest

from inversesr.errors import InputError
from inversesr.solvers.kspace.choices import ReconConfig


@pytest.mark.parametrize("wrong", [{"solver": "grappa"}, {"samples": 1}, {"noise": -1.0}])
def test_impossible_choices_are_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        ReconConfig(**wrong)
