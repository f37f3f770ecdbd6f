import numpy as np
import pytest
from scipy.signal import remez

from inversesr.operators.slice_profile import PROFILES, slice_matrix

NAMES = sorted(PROFILES)


def edges(n, spacing_mm=1.0):
    return (np.arange(n + 1) - n / 2.0) * spacing_mm


def centres(n, spacing_mm):
    return (np.arange(n) - (n - 1) / 2.0) * spacing_mm


def density(profile, u):
    """Profile from its cumulative distribution, at the middles of u, and those middles."""
    return np.diff(PROFILES[profile](u)) / np.diff(u), (u[1:] + u[:-1]) / 2.0


@pytest.mark.parametrize("profile", NAMES)
@pytest.mark.parametrize("spacing_mm", [3.0, 3.7, 5.5])
@pytest.mark.parametrize("thickness_mm", [2.3, 4.0, 7.1])
def test_every_row_is_a_weighted_mean(profile, spacing_mm, thickness_mm):
    matrix = slice_matrix(edges(40), centres(7, spacing_mm), thickness_mm, profile)
    assert matrix.shape == (7, 40)
    assert matrix.min() >= 0.0
    np.testing.assert_allclose(matrix.sum(axis=1), 1.0, atol=1e-12)


@pytest.mark.parametrize("profile", NAMES)
def test_turning_the_line_round_turns_the_matrix_round(profile):
    matrix = slice_matrix(edges(41, 0.7), centres(6, 4.4), 3.9, profile)
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-12)


@pytest.mark.parametrize("profile", NAMES)
def test_half_the_profile_lies_on_either_side_of_its_centre(profile):
    cdf = PROFILES[profile]
    u = np.linspace(0.0, 2.0, 50)
    np.testing.assert_allclose(cdf(u) + cdf(-u), 1.0, atol=1e-9)
    assert cdf(np.array([-9.0, 0.0, 9.0])) == pytest.approx([0.0, 0.5, 1.0], abs=1e-9)


@pytest.mark.parametrize("profile", NAMES)
def test_the_full_width_at_half_maximum_is_one_thickness(profile):
    height, u = density(profile, np.linspace(-1.5, 1.5, 3002))
    wide = u[height >= 0.5 * height.max()]
    assert wide[-1] - wide[0] == pytest.approx(1.0, abs=0.01)


def test_a_gaussian_slice_is_the_numerical_integral_of_a_gaussian():
    fine = edges(20)
    fwhm_mm, centre_mm = 4.0, 0.3
    samples = np.linspace(-10.0, 10.0, 20_001)[:-1] + 5e-4
    height = np.exp(-4.0 * np.log(2.0) * ((samples - centre_mm) / fwhm_mm) ** 2)
    expected = height.reshape(20, 1000).sum(axis=1) / height.sum()
    found = slice_matrix(fine, np.array([centre_mm]), fwhm_mm, "gaussian")[0]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_rect_slice_of_a_whole_number_of_voxels_is_their_plain_mean():
    matrix = slice_matrix(edges(12), centres(3, 4.0), 4.0, "rect")
    np.testing.assert_allclose(matrix, np.kron(np.eye(3), np.full((1, 4), 0.25)), atol=1e-12)


def test_a_rect_slice_of_a_fraction_of_a_voxel_takes_that_fraction():
    matrix = slice_matrix(edges(5), np.array([0.0]), 2.5, "rect")
    np.testing.assert_allclose(matrix[0], np.array([0.0, 0.75, 1.0, 0.75, 0.0]) / 2.5)


def test_voxels_in_a_gap_are_not_seen():
    matrix = slice_matrix(edges(15), centres(3, 5.0), 3.0, "rect")
    assert (matrix[:, [0, 4, 5, 9, 10, 14]] == 0.0).all()
    assert (matrix.sum(axis=0)[[1, 2, 3]] > 0.0).all()


def test_an_edge_slice_averages_the_part_that_is_inside():
    matrix = slice_matrix(edges(4), np.array([-2.0]), 4.0, "rect")
    np.testing.assert_allclose(matrix[0], [0.5, 0.5, 0.0, 0.0])


def test_a_slice_wholly_outside_the_grid_is_a_bug():
    with pytest.raises(ValueError, match="outside the fine grid"):
        slice_matrix(edges(4), np.array([10.0]), 4.0, "rect")


def inverse_slr(b):
    """Hard-pulse angles of a beta polynomial, with the minimum-phase alpha (Pauly 1991)."""
    n = len(b)
    size = 64 * n
    log_a = 0.5 * np.log(1.0 - np.abs(np.fft.fft(b, size)) ** 2)
    cepstrum = np.fft.ifft(log_a)
    cepstrum[1 : size // 2] *= 2.0
    cepstrum[size // 2 + 1 :] = 0.0
    a = np.fft.ifft(np.exp(np.fft.fft(cepstrum)))[:n].real.copy()
    angles = []
    for _ in range(n):
        angle = 2.0 * np.arctan2(b[0], a[0])
        c, s = np.cos(angle / 2.0), np.sin(angle / 2.0)
        a, b = (c * a + s * b)[:-1], (c * b - s * a)[1:]
        angles.append(angle)
    return np.array(angles[::-1])


def bloch(pulse, phase):
    """Transverse magnetisation after hard pulses about x with precession about z between them."""
    x, y, z = np.zeros_like(phase), np.zeros_like(phase), np.ones_like(phase)
    for angle in pulse:
        y, z = y * np.cos(angle) - z * np.sin(angle), y * np.sin(angle) + z * np.cos(angle)
        x, y = x * np.cos(phase) - y * np.sin(phase), x * np.sin(phase) + y * np.cos(phase)
    return np.hypot(x, y)


def test_the_slr_profile_is_what_the_bloch_equations_give_for_its_pulse():
    # time-bandwidth 4, 1 % ripples of Mxy; transition width of a 90 degree pulse (Pauly 1991)
    n, half_band, half_transition = 128, 4.0 / 128 / 2.0, 1.437 / 128 / 2.0
    bands = [0.0, half_band - half_transition, half_band + half_transition, 0.5]
    taps = remez(n, bands, [1.0, 0.0], weight=[1.0, 10.0])
    pulse = inverse_slr(np.sqrt(0.5) * taps)
    assert np.sum(pulse) == pytest.approx(np.pi / 2.0, rel=0.12)
    frequency = np.linspace(-3.0 * half_band, 3.0 * half_band, 1001)
    transverse = bloch(pulse, 2.0 * np.pi * frequency)
    wide = frequency[transverse >= 0.5 * transverse.max()]
    u = frequency / (wide[-1] - wide[0])
    edges_u = np.append(u, 2.0 * u[-1] - u[-2]) - (u[1] - u[0]) / 2.0
    found, _ = density("slr", edges_u)
    np.testing.assert_allclose(found / found.max(), transverse / transverse.max(), atol=0.02)
