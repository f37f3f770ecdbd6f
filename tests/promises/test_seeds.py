"""The same seed gives the same image, another seed another one, wherever chance has a part."""

import numpy as np
import pytest

import inversesr
from inversesr.acquisition.simulation import simulate
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.io.nifti import Scan, to_image
from inversesr.solvers import registry
from tests.promises.test_uncertainty import nested_ellipsoids, thick
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.whole_priors import QUICK, write_whole_prior

# fine-tuning needs this many voxels along every axis
LARGE_ENOUGH = (32, 34, 32)
UNTUNED = (*QUICK, "solver.adapt_steps=0")
# few-step-noise begins from the image of the U-Net, and nothing else of it is random
DRAWING = [
    "latent-pnp",
    "latent-map",
    "split-gibbs",
    "inversesr-dec",
    pytest.param("inversesr-ldm", marks=pytest.mark.slow),
]
NOT_RANDOM = ["few-step-noise", "spline", "tv"]


@pytest.fixture(scope="module")
def scan():
    return thick(nested_ellipsoids(LARGE_ENOUGH))


@pytest.fixture(scope="module")
def small_scan():
    return thick(nested_ellipsoids((16, 18, 16)))


@pytest.fixture(scope="module")
def prior(tmp_path_factory):
    return write_whole_prior(tmp_path_factory.mktemp("priors") / "whole")


def images(scans, **choices):
    """Images of seed 1 twice, and of seed 2."""
    return [inversesr.restore(scans, seed=seed, **choices).volume.data for seed in (1, 1, 2)]


def test_the_seed_of_the_default_run_is_heeded(scan):
    # what the user gets who chooses nothing, but for the number of steps
    first, again, other = images(scan, settings=("solver.adapt_steps=1",))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_seed_of_samples_by_conditional_diffusion_is_heeded(small_scan, prior):
    chosen = {"solver": "diffusion", "prior": prior, "settings": UNTUNED, "samples": 2}
    results = [inversesr.restore(small_scan, seed=seed, **chosen) for seed in (1, 1, 2)]
    first, again, other = (result.sd.data for result in results)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("solver", ["auto", "unet", "diffusion", "few-step-noise"])
def test_the_seed_of_fine_tuning_is_heeded(scan, prior, solver):
    first, again, other = images(scan, solver=solver, prior=prior, settings=QUICK)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("solver", DRAWING)
def test_the_seed_of_what_a_latent_solver_draws_is_heeded(small_scan, prior, solver):
    # nothing of it comes from the U-Net, which is not fine-tuned
    first, again, other = images(small_scan, solver=solver, prior=prior, settings=UNTUNED)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_seed_of_the_deviation_of_samples_is_heeded(small_scan, prior):
    first, again, other = (
        inversesr.restore(small_scan, samples=2, prior=prior, settings=UNTUNED, seed=seed).sd.data
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_seed_of_registration_is_heeded():
    truth = nested_ellipsoids((40, 42, 44))
    scans = [simulate(truth, SimulateConfig(thickness_mm=4.0, axis=axis)) for axis in "SA"]
    first, again, other = images([to_image(s, Scan.made_here(s)) for s in scans], solver="tv")
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_seed_of_simulated_noise_is_heeded():
    truth = nested_ellipsoids((24, 24, 24))
    first, again, other = (
        simulate(truth, SimulateConfig(noise=0.02, seed=seed)).data for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("solver", NOT_RANDOM)
def test_where_nothing_is_random_no_seed_changes_anything(small_scan, prior, solver):
    choices = {"prior": prior, "settings": UNTUNED} if solver == "few-step-noise" else {}
    first, _, other = images(small_scan, solver=solver, **choices)
    np.testing.assert_array_equal(first, other)


def test_every_solver_is_known_to_be_random_or_not():
    named = {getattr(solver, "values", (solver,))[0] for solver in (*DRAWING, *NOT_RANDOM)}
    assert named | {"unet", "diffusion"} == set(registry.names())
