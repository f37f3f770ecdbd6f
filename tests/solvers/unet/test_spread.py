from dataclasses import replace

import pytest
import torch

from inversesr.priors.card import CARD_NAME, dump_card
from inversesr.priors.installed import open_prior
from inversesr.protocols import Solution
from inversesr.solvers.diffusion.solver import SOLVER, Diffusion
from inversesr.solvers.setup import Setup
from inversesr.solvers.unet.solver import deviation_to_expect
from inversesr.solvers.unet.spread import sd_factor
from tests.solvers.diffusion.test_solver import problem
from tests.support.problems import one_thread  # noqa: F401  (a fixture)
from tests.support.whole_priors import write_whole_prior


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_whole_prior(tmp_path_factory.mktemp("priors") / "whole", sd_factor=0.7)


@pytest.fixture
def task():
    return problem(shape=(16, 18, 20))


def with_share(folder, tmp_path, share):
    """The prior with another `sd_over_error`."""
    whole = open_prior(folder)
    there = tmp_path / "prior"
    there.mkdir()
    for file in whole.folder.iterdir():
        (there / file.name).symlink_to(file)
    (there / CARD_NAME).unlink()
    (there / CARD_NAME).write_text(dump_card(replace(whole.card, sd_over_error=share)))
    return open_prior(there)


def setup_of(prior):
    return Setup(SOLVER, Diffusion(), prior, "exact")


def solution_with(task, n):
    noise = torch.randn((n, *task.x0.shape), generator=torch.Generator().manual_seed(0))
    return Solution(task.x0, "one pass", 1, samples=task.x0 + noise)


def test_the_median_deviation_becomes_that_share_of_the_error_that_is_expected(
    folder, tmp_path, task
):
    prior, solution = with_share(folder, tmp_path, 2.0), solution_with(task, 3)
    factor = sd_factor(task, setup_of(prior), solution)
    judge = prior.error_net(torch.device("cpu"))
    expected = deviation_to_expect(judge, task, solution.x).median()
    found = factor * solution.samples.std(0).median()
    # the head is not the whole image
    assert float(found) == pytest.approx(2.0 * float(expected), rel=0.2)


@pytest.mark.parametrize("n_samples", [0, 1])
def test_too_few_samples_get_the_number_of_the_card(folder, tmp_path, task, n_samples):
    prior = with_share(folder, tmp_path, 2.0)
    solution = solution_with(task, 1)
    solution = replace(solution, samples=solution.samples if n_samples else None)
    assert sd_factor(task, setup_of(prior), solution) == 0.7


def test_without_a_share_in_the_card_its_number_counts(folder, task):
    assert sd_factor(task, setup_of(open_prior(folder)), solution_with(task, 3)) == 0.7
