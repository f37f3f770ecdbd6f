"""Choices of a series are checked when they are made."""

import pytest

from inversesr.errors import InputError
from inversesr.workflows.series.config import SeriesConfig


@pytest.mark.parametrize(
    "wrong",
    [{"tr": 0.0}, {"tr": -1.0}, {"temporal": "smooth"}, {"solver": "latent-pnp"}, {"tr": "2"}],
)
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match="expected"):
        SeriesConfig(**wrong)


def test_the_mean_is_thinned_without_fine_tuning():
    assert "solver.adapt_steps=0" in SeriesConfig().of_a_volume(2.0).settings
    assert SeriesConfig(solver="tv").of_a_volume(2.0).settings == ()
    assert SeriesConfig(spacing_mm=1.0).of_a_volume(2.0).spacing_mm == 1.0
