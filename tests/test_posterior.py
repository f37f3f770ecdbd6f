import pytest
import torch

from inversesr.solvers import posterior
from inversesr.solvers.posterior import summarise


def samples(n):
    return torch.randn(n, 3, 4, 5, generator=torch.Generator().manual_seed(0)).double()


def test_mean_deviation_and_quantiles_are_those_of_the_samples():
    drawn = samples(9)
    found = summarise(drawn)
    assert torch.allclose(found.mean, drawn.mean(0))
    assert torch.allclose(found.sd, drawn.std(0))
    assert torch.equal(found.quantiles[0.5], drawn.median(0).values)
    assert bool((found.quantiles[0.05] <= found.quantiles[0.95]).all())


def test_slabs_do_not_change_the_quantiles(monkeypatch):
    whole = summarise(samples(5)).quantiles
    monkeypatch.setattr(posterior, "SLAB_VOXELS", 7)
    for q, image in summarise(samples(5)).quantiles.items():
        assert torch.equal(image, whole[q])


def test_a_single_sample_has_no_spread():
    assert float(summarise(samples(1)).sd.abs().max()) == pytest.approx(0.0)
