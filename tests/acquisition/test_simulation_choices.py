import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.errors import InputError

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *[("thickness_mm", v) for v in (0.0, -1.0, NAN, INF)],
        *[("gap_mm", v) for v in (-4.0, -9.0, NAN, INF)],
        *[("noise", v) for v in (-0.1, 1.0, 2.0, NAN)],
        *[("rotate", v) for v in (NAN, INF)],
        ("axis", "X"),
        ("profile", "sharp"),
        ("seed", -1),
    ],
)
def test_a_simulation_outside_its_range_is_refused(name, value):
    with pytest.raises(InputError, match="expected"):
        SimulateConfig(**{name: value})


def test_slices_that_overlap_have_a_negative_gap():
    assert SimulateConfig(thickness_mm=4.0, gap_mm=-1.5).gap_mm == -1.5
