import numpy as np
import pytest

from inversesr.acquisition.knots import find_knots
from inversesr.operators.slice_interpolation import interpolation_matrix
from tests.support.heads import head_volume


def measured_slices(n=24):
    """Return noisy slices of a head, the first axis across them."""
    return np.moveaxis(head_volume((40, 44, n), folds=25.0).data, 2, 0).astype(np.float64)


def stored(kind, distance, first, n, *, rounded=True):
    """Return slices of a head interpolated at n places, distance and first in stored ones."""
    y = measured_slices()
    weights = interpolation_matrix(kind, (np.arange(n) - first) / distance, len(y))
    found = np.tensordot(weights, y, 1)
    return (np.round(found) if rounded else found).astype(np.float32)


def knots_of(y, least=1.3):
    return find_knots(y, y > 60.0, least)


@pytest.mark.parametrize("rounded", [True, False])
@pytest.mark.parametrize("kind", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("factor", [2, 3, 5])
def test_slices_that_fill_the_same_field_of_view_are_found(kind, factor, rounded):
    first = (factor - 1) / 2.0
    found = knots_of(stored(kind, float(factor), first, 24 * factor, rounded=rounded))
    assert found is not None
    assert (found.kind, found.distance) == (kind, pytest.approx(factor))
    assert (found.first - first) % factor == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("kind", ["linear", "cubic"])
@pytest.mark.parametrize(("distance", "n"), [(5.5, 127), (115 / 46, 58)])
def test_distances_that_are_no_whole_number_are_found(kind, distance, n):
    found = knots_of(stored(kind, distance, 0.0, n))
    assert found is not None
    assert (found.kind, found.distance) == (kind, pytest.approx(distance))


@pytest.mark.parametrize("kind", ["linear", "cubic"])
def test_a_cut_of_interpolated_slices_is_found(kind):
    found = knots_of(stored(kind, 4.0, 1.5, 96)[7:])
    assert found is not None
    assert found.distance == pytest.approx(4.0)
    assert (found.first - 1.5 + 7.0) % 4.0 == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("factor", [2, 4])
def test_zero_filled_slices_are_found(factor):
    found = knots_of(stored("fourier", float(factor), 0.0, 24 * factor))
    assert found is not None
    assert found.kind == "fourier"
    assert found.distance == pytest.approx(factor, rel=0.06)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("n", [16, 40, 110])
def test_measured_slices_are_not_taken_for_interpolated_ones(n, seed):
    y = np.moveaxis(head_volume((40, 44, n), folds=25.0, seed=seed).data, 2, 0)
    assert knots_of(y) is None


def test_a_smooth_phantom_without_noise_is_not_taken_for_interpolated():
    x, z = np.meshgrid(np.linspace(-1, 1, 900), np.linspace(-1, 1, 40))
    y = (700.0 * (1.2 - x**2 - z**2)).reshape(40, 30, 30).astype(np.float32)
    assert find_knots(y, y > -1e9, 1.3) is None


@pytest.mark.parametrize("n", [4, 11])
def test_a_few_slices_tell_nothing(n):
    assert knots_of(stored("linear", 2.0, 0.0, n)) is None


def test_a_constant_image_tells_nothing():
    y = np.full((30, 20, 20), 100.0, np.float32)
    assert knots_of(y) is None
