import pytest

from inversesr.errors import InputError
from inversesr.workflows.fill_choices import FillConfig, check_asked


def test_choices_reach_the_run_that_generates():
    config = FillConfig(solver="tv", thickness_mm=4.0, seed=3).as_config((2, 5))
    assert (config.solver, config.thickness_mm, config.seed) == ("tv", 4.0, 3)
    assert config.missing == "2,5"
    assert config.consistency == "exact"


@pytest.mark.parametrize("choices", [{"extend_mm": 0}, {"extend_mm": 100.0}, {"samples": 0}])
def test_values_outside_their_range_are_refused(choices):
    with pytest.raises(InputError, match="expected"):
        FillConfig(**choices)


def test_something_must_be_asked_for():
    with pytest.raises(InputError, match="give --slices, --find, --extend or --mask"):
        check_asked(FillConfig(), has_mask=False)
    check_asked(FillConfig(), has_mask=True)
    check_asked(FillConfig(find=True), has_mask=False)
