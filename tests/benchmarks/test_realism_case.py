import numpy as np
import pytest

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.benchmarks.comparison import Setup
from inversesr.benchmarks.realism_case import Study, make_case, restore_case
from inversesr.errors import InputError
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.tissues import painted_brain, tissue_labels
from tests.support.whole_priors import write_whole_prior

LABELS = tissue_labels()
TASK = SimulateConfig(thickness_mm=4.0)


def case_of(crop=None, task=TASK):
    return make_case("brain", painted_brain(LABELS), LABELS > 0, task, crop)


def test_a_case_is_cropped_within_the_slices_as_is_its_brain():
    case = case_of(crop=20)
    assert case.truth.data.shape == case.brain.shape == case.labels.shape == (20, 20, 32)
    assert np.array_equal(case.brain, LABELS[6:26, 6:26] > 0)
    assert case.scan.volume.data.shape == (20, 20, 8)
    assert not case.smooth[~case.brain].any()


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (TASK, "4|0 mm rect"),
        (SimulateConfig(3.0, 1.0, "gaussian", "A", 0.02), "3|1 mm gaussian along A, 2 % noise"),
    ],
)
def test_the_degradation_is_told_in_words(task, words):
    assert case_of(task=task).words == words


@pytest.mark.parametrize("solver", ["tv", "unet"])
def test_the_image_is_the_one_that_a_run_gives(tmp_path, solver, one_thread):  # noqa: ARG001, F811
    from inversesr.workflows.restore import restore

    case, settings = case_of(crop=20), ("solver.adapt_steps=0",) if solver == "unet" else ()
    setup = Setup(settings, write_whole_prior(tmp_path / "tiny") if settings else "builtin")
    found = restore_case(case, solver, Study(setup))
    expected = restore([case.scan], setup.config(solver, case.task, case.truth.grid)).volume
    np.testing.assert_allclose(found.x, expected.data, rtol=1e-5, atol=1e-3)
    assert found.samples is None
    assert found.n_behind == np.inf


def test_interpolation_stays_as_it_is():
    from inversesr.workflows.restore import restore

    case = case_of(crop=20)
    expected = restore([case.scan], Setup().config("spline", case.task, case.truth.grid)).volume
    np.testing.assert_allclose(restore_case(case, "spline", Study()).x, expected.data, rtol=1e-5)


def test_samples_lie_about_the_image_and_their_factor_is_known(tmp_path, one_thread):  # noqa: ARG001, F811
    prior = write_whole_prior(tmp_path / "tiny", sd_factor=3.0)
    settings = ("solver.adapt_steps=0", "solver.n_denoiser_steps=2")
    found = restore_case(case_of(crop=20), "diffusion", Study(Setup(settings, prior), 3))
    assert found.samples.shape == (3, *found.x.shape)
    assert found.factor == 3.0
    np.testing.assert_allclose(found.sd, found.samples.std(axis=0, ddof=1), atol=1e-4)


def test_one_sample_is_refused():
    with pytest.raises(InputError, match="samples is 1; a spread needs at least 2"):
        Study(n_samples=1)
