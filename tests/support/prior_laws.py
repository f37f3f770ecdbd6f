"""The laws that every prior obeys."""

import torch

from inversesr.priors.protocol import Prior


def check_prior(prior: Prior, t: int = 1) -> None:
    """Check shapes, types, repeatability and gradients of a prior.

    Args:
        prior: What is examined.
        t: A timestep of its denoiser.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(prior.grid.shape, generator=generator)
    z = torch.randn(prior.latent_shape, generator=generator)
    calls = (
        (lambda: prior.encode(x), prior.latent_shape),
        (lambda: prior.decode(z), prior.grid.shape),
        (lambda: prior.denoise(z, t, None), prior.latent_shape),
    )
    for call, shape in calls:
        with torch.no_grad():
            first, second = call(), call()
        assert tuple(first.shape) == tuple(shape)
        assert first.dtype == torch.float32
        assert torch.isfinite(first).all()
        assert torch.equal(first, second)
    z.requires_grad_()
    for result in (prior.decode(z), prior.denoise(z, t, None)):
        (gradient,) = torch.autograd.grad(result.square().sum(), z)
        assert torch.isfinite(gradient).all()
        assert gradient.abs().max() > 0.0
