"""What is said of the errors of an image, against truths that are known."""

import math

import numpy as np
import pytest

import inversesr
from inversesr.acquisition.foreground import foreground
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.io.nifti import Scan, to_image
from inversesr.priors.card import IntervalCard
from inversesr.uncertainty.coverage import coverage, errors_inside
from inversesr.volume import Grid, Volume
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.whole_priors import QUICK, change_shipped_prior, write_whole_prior

PLAIN = ("solver.adapt_steps=0",)


def nested_ellipsoids(shape):
    """A head of five brightnesses, which no network of the package has seen."""
    axes = np.meshgrid(*(np.linspace(-1.0, 1.0, n) for n in shape), indexing="ij")
    data = np.zeros(shape, np.float32)
    for size, brightness in ((0.9, 60.0), (0.7, 100.0), (0.45, 40.0), (0.2, 90.0)):
        radius = sum((x / (size * s)) ** 2 for x, s in zip(axes, (1.0, 0.8, 0.9), strict=True))
        data[radius < 1.0] = brightness
    return Volume(data, Grid(shape, np.eye(4)))


def thick(truth):
    """The scan of a truth, in slices of 4 mm."""
    scan = simulate(truth, SimulateConfig(thickness_mm=4.0))
    return to_image(scan, Scan.made_here(scan))


def test_intervals_of_the_deviation_map_hold_nine_tenths_of_a_simulated_truth():
    truth = nested_ellipsoids((64, 64, 64))
    result = inversesr.restore(thick(truth), settings=PLAIN)
    errors = errors_inside(
        result.volume.data, result.sd.data, truth.data, foreground(truth.data), math.inf
    )
    assert coverage(errors, 0.9) == pytest.approx(0.9, abs=0.05)


def test_the_deviation_map_is_widened_by_the_factor_of_the_priors_card(tmp_path):
    scan = thick(nested_ellipsoids((24, 24, 24)))
    plain, wide = (
        inversesr.restore(scan, settings=PLAIN, prior=change_shipped_prior(
            tmp_path / f"by{factor:g}", error_factor=factor))
        for factor in (1.0, 3.0)
    )  # fmt: skip
    np.testing.assert_allclose(wide.sd.data, 3.0 * plain.sd.data, rtol=1e-5)
    np.testing.assert_array_equal(wide.volume.data, plain.volume.data)
    assert wide.facts["error_factor"] == 3.0
    shipped = inversesr.restore(scan, settings=PLAIN)
    factor = shipped.facts["error_factor"]
    np.testing.assert_allclose(shipped.sd.data, factor * plain.sd.data, rtol=1e-5)


def test_the_deviation_map_is_widened_group_by_group_by_the_table_of_the_priors_card(tmp_path):
    scan = thick(nested_ellipsoids((24, 24, 24)))
    tables = {
        "none": None,
        "same": IntervalCard((), (), ((3.0,),)),
        "split": IntervalCard((), (1.0,), ((2.0, 5.0),)),
    }
    plain, same, split = (
        inversesr.restore(scan, settings=PLAIN, prior=change_shipped_prior(
            tmp_path / name, intervals=table))
        for name, table in tables.items()
    )  # fmt: skip
    np.testing.assert_allclose(same.sd.data, 3.0 * plain.sd.data, rtol=1e-5)
    found = split.sd.data / plain.sd.data
    assert np.unique(found.round(2)).tolist() == [2.0, 5.0]
    np.testing.assert_array_equal(split.volume.data, plain.volume.data)


def test_samples_and_their_quantiles_are_widened_by_the_factor_of_the_priors_card(tmp_path):
    scan = thick(nested_ellipsoids((24, 24, 24)))
    plain, wide = (
        inversesr.restore(scan, samples=3, settings=QUICK[:-1], prior=write_whole_prior(
            tmp_path / f"by{factor:g}", sd_factor=factor))
        for factor in (1.0, 2.5)
    )  # fmt: skip
    np.testing.assert_allclose(wide.sd.data, 2.5 * plain.sd.data, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(wide.volume.data, plain.volume.data, atol=1e-3)
    for q, image in wide.quantiles.items():
        away = plain.quantiles[q].data - plain.volume.data
        np.testing.assert_allclose(image.data - wide.volume.data, 2.5 * away, atol=1e-2)
