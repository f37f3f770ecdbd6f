import numpy as np
import pytest

from inversesr.acquisition.noise_windows import by_window, on_grid, settled


def drawn(shape=(40, 40, 16), slope=2.0):
    """Values of one law, times what grows along the first axis."""
    grows = 1.0 + slope * (np.arange(shape[0]) + 0.5)[:, None, None] / shape[0]
    values = np.random.default_rng(0).uniform(1.0, 3.0, shape)
    return (grows * values).astype(np.float32), np.broadcast_to(grows, shape)


def test_windows_follow_what_varies_slowly():
    values, grows = drawn()
    found = settled(values, by_window(values, (1.0, 1.0, 1.0)))
    # the low quantile of the values alone is 1.2
    assert found is not None
    shown = on_grid(found, values.shape) / (1.2 * grows)
    assert np.percentile(np.abs(shown - 1.0), 90.0) < 0.1


def test_windows_without_values_are_filled_from_their_neighbours():
    values, _ = drawn(slope=0.0)
    values[:20] = np.nan
    windows = by_window(values, (1.0, 1.0, 1.0))
    assert np.isnan(windows).any()
    assert settled(values, windows) == pytest.approx(1.2, rel=0.15)


def test_nothing_is_told_where_nothing_is_known():
    nothing = np.full((40, 40, 16), np.nan, np.float32)
    assert settled(nothing, by_window(nothing, (1.0, 1.0, 1.0))) is None
