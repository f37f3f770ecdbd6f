import numpy as np
import pytest
import torch

from inversesr.priors.card import IntervalCard
from inversesr.uncertainty.conformal import (
    GroupedErrors,
    detail_within,
    factors_of,
    fit_table,
)
from inversesr.uncertainty.coverage import width

TABLE = IntervalCard((0.1,), (1.0, 3.0), ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)))


def drawn(seed, n=20_000):
    """Errors that are larger than was expected where detail is rich, by a known factor."""
    rng = np.random.default_rng(seed)
    sd, detail = rng.uniform(0.01, 0.2, n), rng.uniform(0.0, 4.0, n)
    too_large = np.where(detail > 2.0, 3.0, 0.5)
    ratio = np.abs(rng.standard_normal(n)) * too_large
    return GroupedErrors(*(v.astype(np.float32) for v in (ratio, sd, detail)))


def test_unseen_scans_are_covered_in_every_group():
    table = fit_table([drawn(seed) for seed in range(4)], [0.1], [2.0])
    assert np.array(table.factors) == pytest.approx(np.array([[0.5, 3.0]] * 2), rel=0.05)
    new = drawn(9)
    factors = factors_of(
        table,
        torch.from_numpy(new.sd_share),
        torch.from_numpy(new.detail_ratio * new.sd_share),
        1.0,
    ).numpy()
    is_inside = new.ratio <= factors * width(0.9, np.inf)
    for rich in (False, True):
        for large in (False, True):
            group = ((new.detail_ratio > 2.0) == rich) & ((new.sd_share > 0.1) == large)
            assert is_inside[group].mean() == pytest.approx(0.9, abs=0.02)


def test_a_voxel_takes_the_factor_of_its_group_whatever_the_scale():
    sd = torch.tensor([0.05, 0.05, 0.05, 0.2, 0.2, 0.2])
    detail = sd * torch.tensor([0.5, 2.0, 5.0, 0.5, 2.0, 5.0])
    for scale in (1.0, 700.0):
        found = factors_of(TABLE, scale * sd, scale * detail, scale)
        assert found.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def test_a_group_without_voxels_takes_the_factor_of_its_neighbour():
    few = drawn(0)
    few = GroupedErrors(*(v[few.detail_ratio > 2.0] for v in vars(few).values()))
    table = fit_table([few], [0.1], [2.0])
    assert table.factors[0][0] == table.factors[0][1]
    assert table.factors[1][0] == table.factors[1][1]
    assert fit_table([], [0.1], [2.0]).factors == ((1.0, 1.0), (1.0, 1.0))


def alike(n, ratio, sd_share=0.05, detail_ratio=0.5):
    """A scan whose voxels are all of one group and have the same error."""
    values = (ratio, sd_share, detail_ratio)
    return GroupedErrors(*(np.full(n, value, np.float32) for value in values))


def test_an_empty_group_rather_takes_the_factor_of_one_with_the_same_expected_error():
    scans = [alike(100, 2.0, 0.05, 5.0), alike(100, 1.0, 0.2, 0.5)]
    table = fit_table(scans, TABLE.sd_edges, TABLE.detail_edges)
    assert np.array(table.factors) * width(0.9, np.inf) == pytest.approx(
        np.array([[2.0] * 3, [1.0] * 3]), abs=1e-3
    )


@pytest.mark.parametrize(("n_small", "quantile"), [(100, 1.0), (400, 2.0)])
def test_a_scan_counts_by_the_root_of_its_number_of_voxels(n_small, quantile):
    """Of weights 100 and 10 the first is more than 90 % of all, of 100 and 20 less."""
    table = fit_table([alike(10_000, 1.0), alike(n_small, 2.0)], (), ())
    assert table.factors[0][0] * width(0.9, np.inf) == pytest.approx(quantile, abs=1e-3)


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_detail_is_the_slope_within_the_slice(slice_axis):
    others = [axis for axis in range(3) if axis != slice_axis]
    ramps = torch.stack(torch.meshgrid(*3 * [torch.arange(12.0)], indexing="ij"))
    across = detail_within(5.0 * ramps[slice_axis], slice_axis)
    within = detail_within(3.0 * ramps[others[0]] + 3.0 * ramps[others[1]], slice_axis)
    assert float(across.abs().max()) == 0.0
    torch.testing.assert_close(within, torch.full_like(within, 3.0))
