"""Every solver on every kind of measurement: the closed-form answer, or a sentence of refusal."""

import numpy as np
import pytest
import torch

from inversesr.errors import InputError
from inversesr.measurements.consistency import make_consistent
from inversesr.operators.inner_product import norm
from inversesr.priors.samplers import ddim
from inversesr.solvers import registry
from inversesr.solvers.latent import inversesr_ldm as ldm
from inversesr.solvers.latent.chain import short_path, start_levels
from inversesr.solvers.latent.few_step_noise import FewStepNoise, few_step_noise
from inversesr.solvers.latent.inversesr_dec import InverseSRDecoder, inversesr_dec
from inversesr.solvers.latent.inversesr_ldm import InverseSRLDM, inversesr_ldm
from inversesr.solvers.latent.map import LatentMAP, latent_map
from inversesr.solvers.latent.pnp import LatentPnP, latent_pnp
from inversesr.solvers.latent.split_gibbs import SplitGibbs, split_gibbs
from inversesr.solvers.setup import Setup
from inversesr.solvers.tv import single
from tests.support.convex import first_order, least_variation, second_order, variation
from tests.support.laws import dense
from tests.support.measurements import KINDS, SHAPE, SIGMA, gaussian_measurement, scaled
from tests.support.problems import generator, one_thread, quiet  # noqa: F401  (a fixture)

LAWS = {}
# the whole table takes two minutes
QUICK = ("slices with spoilt voxels", "k-space")
SOLVED = [pytest.param(k, marks=[] if k in QUICK else pytest.mark.slow) for k in KINDS]


def law(name):
    """Take a function as the law of a solver."""

    def keep(function):
        LAWS[name] = function
        return function

    return keep


def distance(z, closed):
    return float((z.flatten().double() - closed).norm() / closed.norm())


@law("spline")
def check_spline(case, _monkeypatch):
    m = case.measurement
    spline = registry.find("spline")
    assert torch.equal(spline.restore(m, Setup(spline, None, None, "off")).x, m.x0)


@law("tv")
def check_tv(case, monkeypatch):
    monkeypatch.setattr(single, "EDGES_AFTER", (10**9,))
    m = case.measurement
    terms = [
        (1.75, first_order(SHAPE, (1.0, 1.0, 1.0))),
        (1.0, second_order(SHAPE, (0.7, 0.7, 1.0))),
    ]
    matrix, y = dense(m.A).numpy(), m.y.double().numpy().ravel()
    expected = least_variation(matrix, y, m.sigma * y.size**0.5, terms)
    found = single.restore(m, Setup(single.SOLVER, single.TV(), None, "exact"))
    start = make_consistent(m.A, m.x0, m.y, m.sigma)
    least = variation(expected, terms)
    assert variation(found.x, terms) - least < 0.05 * (variation(start, terms) - least)
    misfit = norm(m.A(found.x) - m.y)
    assert misfit == pytest.approx(m.sigma * m.y.numel() ** 0.5, rel=1e-3)


@law("unet")
def check_unet(case, _monkeypatch):
    unet = registry.find("unet")
    with pytest.raises(InputError, match="found another kind of measurement: choose a solver"):
        unet.restore(case.measurement, Setup(unet, None, None, "exact"))


@law("diffusion")
def check_diffusion(case, _monkeypatch):
    diffusion = registry.find("diffusion")
    with pytest.raises(InputError, match="found another kind of measurement: choose a solver"):
        diffusion.restore(case.measurement, Setup(diffusion, None, None, "exact"))


@law("latent-pnp")
def check_pnp(case, _monkeypatch):
    options = LatentPnP(
        delta=False, fit_gain=False, image_sd=1.0, n_levels=16, sigma_high=8.0, warm_sd=1e3
    )
    found = latent_pnp(case.problem, case.prior, options, generator(), quiet)
    assert distance(found.z, case.posterior()[0]) < 0.12


@law("latent-map")
def check_map(case, _monkeypatch):
    options = LatentMAP(
        delta=False, fit_gain=False, stop_at_noise=False, sigma_low=0.01, prior_sigma=0.01,
        n_steps=300, learning_rate=0.05, perceptual_weight=0.0, warm_sd=1e3,
    )  # fmt: skip
    found = latent_map(case.problem, case.prior, options, generator(), quiet)
    assert distance(found.z, case.posterior()[0]) < 0.02


@law("few-step-noise")
def check_few_steps(case, _monkeypatch):
    options = FewStepNoise(noise_term="gaussian", n_steps=300, learning_rate=0.05)
    found = few_step_noise(case.problem, case.prior, options, generator(), quiet)
    # with this denoiser the chain multiplies each wave by a factor: a Gaussian prior of its own
    prior = case.prior
    _, high = start_levels(is_warm=True)
    path = short_path(prior.schedule, prior.schedule.timestep_of(high), 4)
    factors = ddim(prior.schedule, prior.denoise, torch.ones(prior.latent_shape), path).double()
    mean, covariance = case.posterior()
    likelihood = torch.linalg.inv(covariance) - torch.diag(1.0 / prior.inner.variance.flatten())
    right = torch.linalg.solve(covariance, mean)
    precision = likelihood + torch.diag(factors.flatten() ** -2.0)
    assert distance(found.z, torch.linalg.solve(precision, right)) < 1e-2


@law("split-gibbs")
def check_gibbs(case, _monkeypatch):
    n, r = 60, 0.4
    # one noise level from first to last: a Gibbs sampler whose stationary law is known
    options = SplitGibbs(
        delta=False, fit_gain=False, image_sd=1.0, encoder_noise_gain=1.0, sigma_high=r,
        sigma_low=r, n_levels=8, n_denoiser_steps=8, n_samples=n,
    )  # fmt: skip
    found = split_gibbs(case.problem, case.prior, options, generator(), quiet)
    signal, noise = case.prior.schedule.level(case.prior.schedule.timestep_of(r))
    mean, covariance = case.posterior(noise_of_image=(noise / signal) ** 2)
    z, sd = found.z.reshape(n, -1).double(), covariance.diagonal().sqrt()
    assert float(((z.mean(0) - mean) / sd).abs().max()) < 4.0 / n**0.5
    assert float((z.std(0) / sd).mean()) == pytest.approx(1.0, abs=0.09)


@law("inversesr-dec")
def check_dec(case, _monkeypatch):
    options = InverseSRDecoder(
        data_term="l2", n_steps=400, learning_rate=0.02, perceptual_weight=0.0
    )
    found = inversesr_dec(case.problem, case.prior, options, generator(), quiet)
    assert found.history["loss"][-1] == pytest.approx(case.least_loss(), rel=0.02)


@law("inversesr-ldm")
def check_ldm(case, monkeypatch):
    monkeypatch.setattr(ldm, "N_SAMPLE_STEPS", 10)
    options = InverseSRLDM(data_term="l2", n_steps=60, perceptual_weight=0.0)
    found = inversesr_ldm(case.problem, case.prior, options, generator(), quiet)
    first, last = found.history["loss"][0], found.history["loss"][-1]
    # a linear chain reaches every latent; 60 steps come near to the least loss
    assert last - case.least_loss() < 0.05 * (first - case.least_loss())


def test_every_solver_has_its_law():
    assert set(LAWS) == set(registry.names())


@pytest.mark.parametrize("kind", SOLVED)
@pytest.mark.parametrize("solver", LAWS)
def test_a_solver_finds_the_closed_form_answer_or_refuses(solver, kind, monkeypatch):
    LAWS[solver](gaussian_measurement(kind), monkeypatch)


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_is_as_consistent_with_any_measurement_as_its_noise_lets_it(kind):
    m = gaussian_measurement(kind).measurement
    radius = SIGMA * m.y.numel() ** 0.5
    assert norm(m.A(make_consistent(m.A, m.x0, m.y, SIGMA)) - m.y) == pytest.approx(
        radius, rel=1e-3
    )


@pytest.mark.parametrize("kind", KINDS)
def test_data_in_other_units_are_those_of_the_image_in_other_units(kind):
    case = gaussian_measurement(kind)
    other = scaled(case, 30.0, 200.0)
    np.testing.assert_allclose(
        other.in_units(30.0, 200.0).numpy(), case.measurement.y.numpy(), atol=2e-4
    )
