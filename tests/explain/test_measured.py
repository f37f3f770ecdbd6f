import numpy as np
import pytest
import torch

from inversesr.explain.measured import (
    energies,
    measured_map,
    null_space_part,
    shares,
    take_apart,
    whole_energy,
)
from inversesr.operators.inner_product import inner
from inversesr.operators.proximal import project
from tests.support.problems import averaging, generator

SHAPE, WINDOW = (6, 5, 16), (1.0, 1.0, 2.0)
A = averaging(SHAPE, 4)


@pytest.fixture(scope="module")
def parts():
    x, s = torch.randn((2, *SHAPE), generator=generator())
    return take_apart(A, x + 5.0, s)


def test_the_energies_of_both_parts_add_up_to_that_of_the_image(parts):
    together = whole_energy(parts.measured) + whole_energy(parts.unmeasured)
    assert together == pytest.approx(whole_energy(parts.whole), rel=1e-6)
    assert abs(inner(parts.measured, parts.unmeasured)) < 1e-4 * together


def test_the_three_parts_add_up_to_the_image_and_two_of_them_are_in_no_slice(parts):
    x = torch.randn((2, *SHAPE), generator=generator())[0] + 5.0
    torch.testing.assert_close(parts.whole, x, atol=1e-5, rtol=1e-5)
    for part in (parts.interpolated, parts.added):
        assert float(A(part).abs().max()) < 1e-5
    torch.testing.assert_close(A(parts.measured), A(x), atol=1e-5, rtol=1e-5)


def test_nothing_is_added_in_the_consistent_image_of_the_spline():
    s = torch.randn(SHAPE, generator=generator(1))
    x = project(A, s, torch.randn(A.out_shape, generator=generator(2))).x
    assert whole_energy(take_apart(A, x, s).added) < 1e-8 * whole_energy(x)


def test_what_is_in_the_range_of_the_slices_is_measured_wholly():
    x = A.adjoint(torch.randn(A.out_shape, generator=generator(3)))
    found = energies(take_apart(A, x, x), WINDOW)
    assert shares(found, np.ones(SHAPE, dtype=bool)).detail == pytest.approx(1.0)
    np.testing.assert_allclose(measured_map(found, WINDOW, x.numpy()), 1.0, atol=1e-5)


def test_what_no_slice_shows_is_not_measured():
    x = null_space_part(A, torch.randn(SHAPE, generator=generator(4)))
    found = energies(take_apart(A, x, torch.zeros(SHAPE)), WINDOW)
    told = shares(found, np.ones(SHAPE, dtype=bool))
    assert told.intensity == pytest.approx(0.0, abs=1e-6)
    assert told.added == pytest.approx(1.0, abs=1e-5)
    assert measured_map(found, WINDOW, x.numpy()).max() < 0.01


def test_regions_that_make_up_the_image_have_its_energy(parts):
    found = energies(parts, WINDOW)
    left = np.zeros(SHAPE, dtype=bool)
    left[:3] = True
    total = whole_energy(parts.measured) + whole_energy(parts.unmeasured)
    known = 0.0
    for inside in (left, ~left):
        energy = sum(float(part[inside].sum()) for part in found.intensity)
        share = shares(found, inside).intensity
        known += share * energy
        assert share == pytest.approx(float(found.intensity[0][inside].sum()) / energy)
    assert known == pytest.approx(whole_energy(parts.measured), rel=1e-5)
    assert sum(float(p.sum()) for p in found.intensity) == pytest.approx(total, rel=1e-5)


def test_brightness_is_no_detail(parts):
    """A share of all intensities hides what the share of the detail tells."""
    told = shares(energies(parts, WINDOW), np.ones(SHAPE, dtype=bool))
    assert told.intensity > 0.95
    assert told.detail < 0.5


def test_air_is_in_no_doubt_and_has_no_share():
    nothing = torch.zeros(SHAPE)
    found = energies(take_apart(A, nothing, nothing), WINDOW)
    np.testing.assert_array_equal(measured_map(found, WINDOW, nothing.numpy()), 1.0)
    assert shares(found, np.ones(SHAPE, dtype=bool)).detail is None
