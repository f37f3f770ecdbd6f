import numpy as np
import pytest
import torch

from inversesr.measurements.consistency import agreement, automatic_consistency, make_consistent
from inversesr.operators.separable import SeparableOperator
from tests.support.laws import normal

MATRIX = np.kron(np.eye(4), np.full((1, 3), 1.0 / 3.0))


@pytest.fixture
def A():
    return SeparableOperator((5, 6, 12), (None, None, MATRIX))


@pytest.fixture
def y(A):
    return 100.0 + 20.0 * normal(A.out_shape, 1, torch.float32)


@pytest.fixture
def x(A):
    return 100.0 + 20.0 * normal(A.in_shape, 2, torch.float32)


def test_exact_data_consistency_reproduces_the_scan(A, x, y):
    found = agreement(A(make_consistent(A, x, y, 0.0)), y, 2)
    assert found.largest_share < 1e-5


def test_exact_data_consistency_adds_each_slice_its_own_residual(A, x, y):
    # for plain means the correction is the residual itself, spread over the slice
    expected = x + (y - A(x)).repeat_interleave(3, dim=2)
    torch.testing.assert_close(make_consistent(A, x, y, 0.0), expected)


def test_data_consistency_to_within_the_noise_leaves_just_the_noise(A, x, y):
    assert agreement(A(make_consistent(A, x, y, 2.5)), y, 2).rms == pytest.approx(2.5, rel=1e-4)


def test_an_image_that_agrees_is_left_alone(A, x):
    assert make_consistent(A, x, A(x), 1.0) is x
    torch.testing.assert_close(make_consistent(A, x, A(x), 0.0), x)


@pytest.mark.parametrize("slice_axis", [0, 1, 2])
def test_agreement_is_the_plain_statistics_of_the_difference(y, slice_axis):
    other = y + normal(y.shape, 3, torch.float32)
    found = agreement(other, y, slice_axis)
    difference = other.double().numpy() - y.double().numpy()
    others = tuple(axis for axis in range(3) if axis != slice_axis)
    assert found.rms == pytest.approx(np.sqrt(np.mean(difference**2)), rel=1e-6)
    assert found.largest == pytest.approx(np.abs(difference).max(), rel=1e-6)
    assert found.largest_share == pytest.approx(found.largest / np.ptp(y.numpy()), rel=1e-6)
    by_slice = np.sqrt(np.mean(difference**2, axis=others))
    assert found.rms_by_slice == pytest.approx(by_slice, rel=1e-5)


def test_a_noisy_scan_is_met_to_within_its_noise_and_another_one_exactly(y):
    y = torch.cat([torch.zeros_like(y), y])  # air, and tissue
    bright = float(y.max())
    assert automatic_consistency(y, 0.02 * bright) == ("exact", ())
    assert automatic_consistency(y, 0.03 * bright, "exact") == ("exact", ())
    assert automatic_consistency(y, 0.02 * bright, "noise") == ("noise", ())
    consistency, (sentence,) = automatic_consistency(y, 0.03 * bright)
    assert consistency == "noise"
    assert "--consistency exact" in sentence


@pytest.mark.parametrize("offset", [0.0, 3000.0, -500.0])
@pytest.mark.parametrize(("sigma", "expected"), [(10.0, "exact"), (40.0, "noise")])
def test_an_offset_of_the_intensities_does_not_change_data_consistency(offset, sigma, expected):
    y = torch.linspace(0.0, 1000.0, 8000).reshape(20, 20, 20) + offset
    assert automatic_consistency(y, sigma)[0] == expected


def test_thin_slices_are_met_exactly_only_where_they_are_quiet(y):
    bright = float(torch.quantile(y, 0.999))
    found = [
        automatic_consistency(y, share * bright, is_nearly_isotropic=True)[0]
        for share in (0.005, 0.02)
    ]
    assert found == ["exact", "noise"]
    assert automatic_consistency(y, 0.02 * bright, "exact", is_nearly_isotropic=True)[0] == "exact"
