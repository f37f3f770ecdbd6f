import pytest
import torch

from inversesr.priors.networks.slab_normalisation import group_statistics


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Small networks on busy cores: threads that wait for one another cost more than they give."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def randn(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_statistics_of_slabs_are_those_of_the_whole_even_far_from_zero():
    norm = torch.nn.GroupNorm(4, 8)
    x = randn(1, 8, 13, 6, 7) * 0.5 + torch.arange(8.0).reshape(1, 8, 1, 1, 1) * 10.0
    mean, variance = group_statistics([part.contiguous() for part in x.split(3, dim=2)], norm)
    groups = x.double().reshape(4, -1)
    assert torch.allclose(mean, groups.mean(1), rtol=1e-6)
    assert torch.allclose(variance, groups.var(1, unbiased=False), rtol=1e-5)


def test_a_constant_group_has_no_variance():
    norm = torch.nn.GroupNorm(2, 4)
    mean, variance = group_statistics([torch.full((1, 4, 2, 3, 3), 0.25)] * 3, norm)
    assert torch.allclose(mean, torch.full((2,), 0.25, dtype=torch.float64))
    assert (variance < 1e-6).all()
