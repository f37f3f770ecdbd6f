import numpy as np
import pytest

from inversesr.dwi import maps
from inversesr.dwi.maps import (
    adc_log_linear,
    adc_robust,
    diffusion_maps,
    noise_floor,
    tensor,
    tissue_mask,
)
from inversesr.errors import InputError
from inversesr.io.gradients import Gradients
from tests.support.diffusion import fine_head, weighting

B = np.array([0.0, 500.0, 1000.0, 1000.0, 2000.0])
ADC = np.array([[0.5e-3], [1e-3], [2.5e-3]])


def test_adc_of_exact_signals_is_exact():
    signals = 800.0 * np.exp(-B * ADC)
    for fit in (adc_log_linear, adc_robust):
        np.testing.assert_allclose(fit(signals, B), ADC[:, 0], rtol=1e-9)


def test_a_volume_that_does_not_fit_hardly_moves_the_robust_adc():
    b = np.r_[0.0, 0.0, np.full(10, 1000.0)]
    noise = np.random.default_rng(0).normal(0, 2, (200, 12))
    signals = 800.0 * np.exp(-b * 1e-3) + noise
    signals[:, 5] *= 0.4
    plain, robust = (np.abs(fit(signals, b) - 1e-3).mean() for fit in (adc_log_linear, adc_robust))
    assert robust < 0.2 * plain


def test_bright_signals_count_more_as_their_logarithm_is_less_noisy():
    rng = np.random.default_rng(1)
    clean = 800.0 * np.exp(-B * 1.5e-3) * np.ones((4000, 1))
    signals = np.abs(clean + rng.normal(0, 15, clean.shape))
    weighted = adc_log_linear(signals, B)
    plain = -np.polyfit(B, np.log(signals).T, 1)[0]
    assert weighted.std() < 0.8 * plain.std()


def test_adc_of_a_fibre_is_that_of_the_mean_of_its_directions():
    b = np.r_[0.0, np.full(3, 2000.0)]
    along = np.array([0.0, 1.7e-3, 0.3e-3, 0.4e-3])
    signals = 500.0 * np.exp(-b * along)[None]
    assert adc_log_linear(signals, b)[0] == pytest.approx(0.8e-3, rel=1e-9)


def test_the_floor_is_the_mean_of_noise_alone():
    rng = np.random.default_rng(2)
    air = np.hypot(*rng.normal(0, 3.0, (2, 100_000)))
    assert noise_floor(3.0) == pytest.approx(air.mean(), rel=0.01)


def test_signals_below_the_floor_count_as_the_floor():
    gradients = Gradients(np.array([0.0, 1000.0]), np.array([[0.0, 0, 0], [1, 0, 0]]))
    data = np.array([100.0, 0.001], dtype=np.float32).reshape(2, 1, 1, 1)
    found = diffusion_maps(data, gradients, np.ones((1, 1, 1), bool), sigma=8.0)
    assert found["adc"][0, 0, 0] == pytest.approx(np.log(100 / noise_floor(8.0)) / 1000, rel=1e-4)
    assert "fa" not in found


def test_tensors_of_a_fibre_are_those_of_their_eigenvalues():
    pytest.importorskip("dipy")
    bvals, bvecs = weighting(12)
    diffusion = np.diag([1.7e-3, 0.3e-3, 0.4e-3])
    signals = 500.0 * np.exp(-bvals * np.einsum("vi,ij,vj->v", bvecs, diffusion, bvecs))[None]
    found = tensor(signals, Gradients(bvals, bvecs))
    e = np.diag(diffusion)
    fa = np.sqrt(1.5 * ((e - e.mean()) ** 2).sum() / (e**2).sum())
    assert found["md"][0] == pytest.approx(0.8e-3, rel=1e-3)
    assert found["fa"][0] == pytest.approx(fa, rel=1e-3)


def test_the_head_is_found_without_its_surroundings():
    data = fine_head(noise=5.0)
    bvals, bvecs = weighting()
    found = tissue_mask(data, Gradients(bvals, bvecs), 5.0)
    truth = fine_head()[0] > 0
    assert (found & truth).sum() * 2 / (found.sum() + truth.sum()) > 0.95


def test_maps_are_zero_outside_the_mask():
    mask = np.zeros((16, 18, 24), bool)
    mask[8, 9, 12] = True
    gradients = Gradients(*weighting())
    found = diffusion_maps(fine_head(), gradients, mask, 1.0)
    assert all(np.count_nonzero(image) <= 1 for image in found.values())
    assert found["adc"][8, 9, 12] > 0


def test_without_dipy_one_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setattr(maps, "find_spec", lambda _name: None)
    with pytest.raises(InputError, match=r"pip install 'inversesr\[dwi\]'"):
        tensor(np.ones((1, 8)), Gradients(*weighting()))
