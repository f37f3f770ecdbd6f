"""K-space as a measurement of a complex image: whitened, scaled, with its coils.

    y = S F C x + sigma n

Where an encoded axis was sampled wholly, its Fourier transform is undone beforehand and S F C does
without it. Samples are scaled so that the bright end of the image is about 1, as priors want it.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from inversesr.acquisition.coil_maps import EspiritConfig, calibration_region, espirit
from inversesr.io.kspace.record import KSpace
from inversesr.operators.coils import Coils
from inversesr.operators.conjugate_gradient import Effort, least_squares
from inversesr.operators.fourier import Fourier
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.sampling import Sampling

# Percentile of the first guess that counts as the bright end, its iterations, and its damping.
BRIGHT_PERCENTILE, N_FIRST_STEPS, FIRST_DAMPING = 99.5, 8, 0.02
# Share of the samples, farthest from k = 0, that are taken for noise where nothing else tells it.
EDGE_SHARE = 0.05
MEDIAN_OF_NORMAL = 0.6744898


@dataclass(frozen=True, eq=False)
class KSpaceMeasurement:
    """Data y = A x + sigma n of a complex image x.

    Attributes:
        y: Samples, complex, shape A.out_shape.
        A: Forward operator of complex images.
        sigma: Standard deviation of the noise of each part of a sample.
        scale: What x is multiplied by to have the units of the samples.
        maps: Sensitivities, shape (n_coils, X, Y, Z).
        encoded: Which axes are encoded; slices are apart along the others.
        noise_source: Where sigma is from, in words.
    """

    y: Tensor
    A: LinearOperator
    sigma: float
    scale: float
    maps: Tensor
    encoded: tuple[int, ...]
    noise_source: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels of the image."""
        x, y, z = self.maps.shape[1:]
        return x, y, z

    def to(self, device: torch.device) -> "KSpaceMeasurement":
        """Return the measurement on a device; operators follow their argument."""
        return replace(self, y=self.y.to(device), maps=self.maps.to(device))


def measure_kspace(
    kspace: KSpace, noise: float | None = None, config: EspiritConfig | None = None
) -> KSpaceMeasurement:
    """Describe k-space as a measurement.

    Args:
        kspace: The data.
        noise: Standard deviation of each part of a sample, in the data's own units; None takes it
            from the noise scan, or else from the edge of k-space.
        config: How sensitivities are found, where they are not given.

    Raises:
        InputError: there is no calibration region.
    """
    samples = torch.from_numpy(np.ascontiguousarray(kspace.samples))
    measured = torch.from_numpy(np.ascontiguousarray(kspace.measured))
    maps = None if kspace.maps is None else torch.from_numpy(kspace.maps)
    sigma, source = noise, "given"
    if kspace.noise is not None:
        whitening = whitening_of(torch.from_numpy(kspace.noise))
        samples = mix(whitening, samples)
        maps = None if maps is None else mix(whitening, maps)
        sigma, source = (1.0, "noise scan") if noise is None else (noise, source)
    if sigma is None:
        sigma, source = noise_at_the_edge(samples, measured, kspace.encoded), "edge of k-space"
    if maps is None:
        maps = find_maps(samples, measured, kspace.encoded, config or EspiritConfig())
    y, A = posed(samples, measured, maps, kspace.encoded)
    first = least_squares(A, y, FIRST_DAMPING, Effort(0.0, N_FIRST_STEPS)).d.abs()
    inside = first[first > 0.05 * first.max()]
    scale = max(float(np.percentile(inside.numpy(), BRIGHT_PERCENTILE)), 1e-30)
    return KSpaceMeasurement(y / scale, A, sigma / scale, scale, maps, kspace.encoded, source)


def whitening_of(noise: Tensor) -> Tensor:
    """Return the matrix that makes the noise of coils independent, each part of variance 1.

    Args:
        noise: Samples without signal, shape (n_coils, n).
    """
    noise = noise.to(torch.complex128)
    noise = noise - noise.mean(dim=1, keepdim=True)
    covariance = noise @ noise.mH / (2.0 * (noise.shape[1] - 1))
    floor = 1e-12 * covariance.diagonal().real.max()
    covariance = covariance + floor * torch.eye(len(noise), dtype=torch.complex128)
    whitening: Tensor = torch.linalg.inv(torch.linalg.cholesky(covariance))
    return whitening


def mix(matrix: Tensor, coils: Tensor) -> Tensor:
    """Replace coils by mixtures of them, shape (n_coils, X, Y, Z)."""
    return torch.einsum("dc,cxyz->dxyz", matrix.to(coils), coils)


def noise_at_the_edge(samples: Tensor, measured: Tensor, encoded: tuple[int, ...]) -> float:
    """Estimate the noise of each part from the samples farthest from k = 0, robustly."""
    squared = torch.zeros(measured.shape)
    for axis in encoded:
        n = measured.shape[axis]
        k = (torch.arange(n) - n // 2) / (n / 2.0)
        squared = squared + (k**2).reshape([-1 if a == axis else 1 for a in range(3)])
    radii = squared[measured]
    values = torch.view_as_real(samples[:, measured])
    n_edge = max(int(EDGE_SHARE * len(radii)), min(len(radii), 16))
    farthest = radii.topk(n_edge).indices
    return float(values[:, farthest].abs().median() / MEDIAN_OF_NORMAL)


def find_maps(
    samples: Tensor, measured: Tensor, encoded: tuple[int, ...], config: EspiritConfig
) -> Tensor:
    """Find sensitivities slice by slice.

    In 3D a slice is one across the readout, to which the middle of k-space is transformed.

    Raises:
        InputError: there is no calibration region.
    """
    n_coils, *shape = samples.shape
    if n_coils == 1:
        return torch.ones((1, *shape), dtype=torch.complex64)
    box = calibration_region(measured, encoded, config.calibration)
    middle = samples[(slice(None), *box)]
    if len(encoded) == 2:
        found = [espirit(middle[..., z], (shape[0], shape[1]), config)[0] for z in range(shape[2])]
        return torch.stack(found, dim=-1)
    # zeros about the middle: sensitivities are smooth, so a coarse readout suffices
    padded = torch.zeros((n_coils, shape[0], *middle.shape[2:]), dtype=middle.dtype)
    padded[:, box[0]] = middle
    slices = Fourier(tuple(padded.shape), (-3,)).adjoint(padded)
    found = [espirit(slices[:, x], (shape[1], shape[2]), config)[0] for x in range(shape[0])]
    return in_phase(torch.stack(found, dim=1))


def in_phase(maps: Tensor) -> Tensor:
    """Take away what the phase jumps by from slice to slice along the first axis."""
    kept = [maps[:, 0]]
    for x in range(1, maps.shape[1]):
        product = (kept[-1].conj() * maps[:, x]).sum()
        kept.append(maps[:, x] * torch.exp(-1j * product.angle()))
    return torch.stack(kept, dim=1)


def posed(
    samples: Tensor, measured: Tensor, maps: Tensor, encoded: tuple[int, ...]
) -> tuple[Tensor, LinearOperator]:
    """Return the samples as one vector a coil, and the operator that makes them of an image."""
    n_coils = len(samples)
    whole = tuple(axis for axis in encoded if is_whole(measured, axis))
    left = tuple(axis - 3 for axis in encoded if axis not in whole)
    if whole:
        axes = tuple(axis - 3 for axis in whole)
        samples = Fourier(tuple(samples.shape), axes).adjoint(samples)
    A: LinearOperator = Coils(maps)
    if left:
        A = Fourier(tuple(samples.shape), left) @ A
    sampling = Sampling(measured, (n_coils,))
    return sampling(samples), sampling @ A


def is_whole(measured: Tensor, axis: int) -> bool:
    """Whether a mask is the same all along an axis."""
    first = measured.narrow(axis, 0, 1)
    return bool((measured == first).all())
