import pytest
import torch

from inversesr.protocols import Solution
from inversesr.uncertainty.intervals import factor_of_expected, scale_spread, summarise


def samples(n, size=1):
    return torch.randn(n, size, 4, 5, generator=torch.Generator().manual_seed(0)).double()


def test_the_deviation_is_that_of_the_samples_and_quantiles_are_ordered_about_the_image():
    drawn = samples(9)
    x = drawn.mean(0) + 3.0
    found = summarise(x, drawn, (0.05, 0.25, 0.5, 0.95))
    assert torch.allclose(found.sd, drawn.std(0))
    assert torch.allclose(found.quantiles[0.5], x)
    ordered = torch.stack(list(found.quantiles.values()))
    assert bool((ordered.diff(dim=0) > 0.0).all())
    assert torch.allclose(found.quantiles[0.05] + found.quantiles[0.95], 2.0 * x)


@pytest.mark.parametrize("n", [2, 8])
def test_nine_tenths_of_further_samples_lie_between_the_quantiles_however_few_there_are(n):
    drawn = samples(n + 1, 2000)
    found = summarise(drawn[1:].mean(0), drawn[1:])
    inside = (drawn[0] > found.quantiles[0.05]) & (drawn[0] < found.quantiles[0.95])
    assert float(inside.double().mean()) == pytest.approx(0.9, abs=0.01)


def test_a_single_sample_says_nothing_of_its_spread():
    assert summarise(samples(1)[0], samples(1)) is None


def test_a_factor_moves_samples_from_their_mean_and_is_recorded():
    drawn = samples(5)
    solution = Solution(drawn.mean(0), "5 samples", 1, samples=drawn, facts={"passes": 3})
    found = scale_spread(solution, 1.5)
    assert torch.allclose(found.samples.mean(0), drawn.mean(0))
    assert torch.allclose(found.samples.std(0), 1.5 * drawn.std(0))
    assert found.facts == {"passes": 3, "sd_factor": 1.5}


def test_a_solution_without_samples_has_no_spread_to_scale():
    solution = Solution(samples(1)[0], "one pass", 1)
    assert scale_spread(solution, 2.0) is solution


@pytest.mark.parametrize("unit", [0.01, 700.0])
def test_samples_are_given_the_expected_spread_whatever_theirs_was(unit):
    drawn = unit * (100.0 + samples(6, 30))
    expected = torch.full_like(drawn[0], 5.0 * unit)
    for narrow in (1.0, 0.3):
        mean = drawn.mean(0)
        given = mean + narrow * (drawn - mean)
        factor = factor_of_expected(given, expected, 1.2)
        assert factor * float(given.std(0).median()) == pytest.approx(6.0 * unit, rel=0.05)


def test_only_the_head_decides_the_spread():
    drawn = 100.0 + samples(6, 30)
    with_air = torch.cat([drawn, torch.zeros_like(drawn)], dim=1)
    expected = torch.ones_like(drawn[0])
    around = torch.cat([expected, 900.0 * expected])
    found = factor_of_expected(with_air, around, 1.0)
    assert found == pytest.approx(factor_of_expected(drawn, expected, 1.0), rel=0.05)


def test_samples_that_do_not_differ_have_no_factor():
    assert factor_of_expected(torch.ones(3, 4, 5, 6), torch.ones(4, 5, 6), 1.0) is None
