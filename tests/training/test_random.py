import pytest
import torch

from inversesr.training.random import happens, integer, normal, uniform


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_uniform_numbers_fill_their_interval(generator):
    numbers = [uniform(2.0, 4.0, generator) for _ in range(500)]
    assert 2.0 <= min(numbers) < 2.1
    assert 3.9 < max(numbers) <= 4.0


def test_normal_numbers_have_unit_spread(generator):
    numbers = torch.tensor([normal(generator) for _ in range(2000)])
    assert float(numbers.mean()) == pytest.approx(0.0, abs=0.1)
    assert float(numbers.std()) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize(("probability", "expected"), [(0.0, {False}), (1.0, {True})])
def test_certainty_is_certain(probability, expected, generator):
    assert {happens(probability, generator) for _ in range(50)} == expected


def test_every_integer_below_the_limit_is_drawn(generator):
    assert {integer(3, generator) for _ in range(100)} == {0, 1, 2}
