import pytest
import torch

from inversesr.errors import InputError
from inversesr.io.kspace.record import KSpace
from inversesr.measurements.kspace import measure_kspace
from inversesr.priors.networks.image_denoiser import ImageDenoiser
from inversesr.solvers.kspace.diffusion import (
    Diffusion,
    denoise_slices,
    draw,
    levels_of,
    noise_variance,
    reconstruct,
    restore,
    slice_axis,
)
from inversesr.solvers.kspace.protocol import Request
from tests.support.mri import scanned


def measured(**choices):
    """K-space with its true coils."""
    made = scanned(**choices)
    kspace = KSpace(
        made.kspace.samples, made.kspace.measured, made.kspace.encoded, maps=made.maps.numpy()
    )
    return made, measure_kspace(kspace, noise=max(made.sigma, 1e-3))


def error(x, made, measurement):
    return float((x * measurement.scale - made.truth).abs().square().mean().sqrt())


def of_truth(made, measurement):
    """A denoiser that knows the answer."""
    truth = (made.truth / measurement.scale).to(torch.complex64)
    return lambda _x, _sigma, _step: truth


def wiener(sd):
    """The best denoiser of white Gaussian images."""
    return lambda x, sigma, _step: x * (sd**2 / (sd**2 + sigma**2))


def test_levels_fall_by_equal_factors():
    assert levels_of(3, 0.4, 0.004) == pytest.approx([0.4, 0.04, 0.004])


def test_a_denoiser_that_knows_the_answer_gives_it_in_noise():
    made, measurement = measured(acceleration=2.0, noise=0.2)
    x = restore(measurement, Diffusion(n_steps=6), of_truth(made, measurement))
    assert error(x, made, measurement) < 0.02 * made.sigma


def test_plain_consistency_copies_the_noise_and_adaptive_does_not():
    made, measurement = measured(acceleration=2.0, noise=0.2)
    errors = {
        rule: error(
            restore(measurement, Diffusion(consistency=rule), of_truth(made, measurement)),
            made,
            measurement,
        )
        for rule in ("adaptive", "plain")
    }
    assert errors["plain"] > 10 * errors["adaptive"]
    assert errors["plain"] > 0.3 * made.sigma


def test_samples_count_less_below_their_noise():
    adaptive, plain = Diffusion(), Diffusion(consistency="plain")
    shares = [noise_variance(0.05, adaptive, sigma) / sigma**2 for sigma in (0.5, 0.05, 0.005)]
    assert shares[0] < 0.02 < shares[1] < shares[2]
    assert {round(noise_variance(0.05, plain, s) / s**2, 6) for s in (0.5, 0.005)} == {0.0025}


def test_whole_data_without_noise_are_kept_whatever_the_denoiser_says():
    made, measurement = measured(acceleration=1.0)
    x = restore(measurement, Diffusion(cg_steps=20), lambda x, _sigma, _step: 0.9 * x)
    assert error(x, made, measurement) < 0.01 * float(made.truth.abs().max())


def test_samples_differ_by_seed_and_agree_with_the_data():
    _, measurement = measured(acceleration=2.0, noise=0.02)
    options = Diffusion(sample_steps=8)
    drawn = [
        draw(measurement, options, wiener(0.3), torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    misfit = torch.view_as_real(measurement.A(drawn[2]) - measurement.y).std()
    assert float(misfit) < 3 * measurement.sigma


def test_each_axis_is_denoised_in_turn_in_3d_and_slices_only_across():
    _, flat = measured(acceleration=2.0)
    assert [slice_axis(flat, step) for step in range(3)] == [2, 2, 2]
    _, deep = measured(
        shape=(8, 24, 24), acceleration=2.0, is_3d=True, mask="poisson", calibration=8
    )
    assert {slice_axis(deep, step) for step in range(3)} == {0, 1, 2}


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_slices_are_denoised_by_themselves(axis):
    net = ImageDenoiser((8, 8), (1, 1), 4)
    torch.nn.init.normal_(net.head.weight, generator=torch.Generator().manual_seed(0))
    x = torch.randn((9, 10, 11), dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    changed = x.clone()
    changed.select(axis, 4).zero_()
    change = (denoise_slices(net, x, 0.1, axis) - denoise_slices(net, changed, 0.1, axis)).abs()
    others = torch.arange(x.shape[axis]) != 4
    assert change.index_select(axis, others.nonzero()[:, 0]).max() == 0.0
    assert change.max() > 0.1


def test_without_a_prior_it_is_refused():
    _, measurement = measured(acceleration=2.0)
    with pytest.raises(InputError, match="needs a prior"):
        reconstruct(measurement, Request(Diffusion()))
