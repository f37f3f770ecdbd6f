"""The best that can be done with latents if only their covariance is known: Wiener filters.

    z0 = a S (a^2 S + b^2)^-1 z_t        at every spatial frequency

S is the spectral density: a channels-by-channels matrix for each frequency. A trained
denoiser should do better at every noise level.
"""

from dataclasses import dataclass

import torch

# noise-to-signal ratios at which denoisers are compared
SIGMAS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
AXES = (2, 3, 4)


@dataclass(frozen=True, eq=False)
class StationaryGaussian:
    """Mean and spectral density of crops of one size.

    Attributes:
        mean: Mean by channel, shape (C, 1, 1, 1).
        density: Covariance of Fourier coefficients by frequency, shape (X, Y, Z, C, C), complex.
    """

    mean: torch.Tensor
    density: torch.Tensor

    def denoise(self, z_t: torch.Tensor, signal: float, noise: float) -> torch.Tensor:
        """Return the expected clean latents of noisy ones, shape (B, C, X, Y, Z)."""
        waves = torch.fft.fftn(z_t - signal * self.mean, dim=AXES, norm="ortho")
        identity = torch.eye(self.density.shape[-1], dtype=self.density.dtype)
        total = signal**2 * self.density + noise**2 * identity
        weights = torch.linalg.solve(total, signal * self.density)
        # both matrices are Hermitian and commute, so the order of the product does not matter
        clean = torch.einsum("xyzcd,bdxyz->bcxyz", weights, waves)
        z: torch.Tensor = torch.fft.ifftn(clean, dim=AXES, norm="ortho").real + self.mean
        return z

    def whitened(self) -> "StationaryGaussian":
        """Return the Gaussian of the same variances that knows no correlations."""
        variances = self.density.mean(dim=(0, 1, 2)).diagonal()
        return StationaryGaussian(self.mean, variances.diag().expand_as(self.density))


def fit(crops: torch.Tensor) -> StationaryGaussian:
    """Measure mean and spectral density of crops, shape (N, C, X, Y, Z)."""
    mean = crops.mean(dim=(0, *AXES))[:, None, None, None]
    waves = torch.fft.fftn(crops - mean, dim=AXES, norm="ortho")
    density = torch.einsum("bcxyz,bdxyz->xyzcd", waves, waves.conj()) / len(crops)
    return StationaryGaussian(mean, density)
