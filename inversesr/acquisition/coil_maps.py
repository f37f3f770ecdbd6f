"""Coil sensitivities out of the middle of k-space (ESPIRiT).

    V V' = projection on what blocks of k-space can be,      G(r) c(r) = c(r)

Each block of k x k samples of all coils lies in a space that the calibration region spans. In
image space that says that the sensitivities at a place are an eigenvector, to the eigenvalue 1, of
a small matrix G: one column and row a coil. Its elements are smooth: they are the Fourier
transforms of what V V' relates over each distance, so no kernel is ever transformed by itself.

Reference: Uecker, Lai, Murphy, Virtue, Elad, Pauly, Vasanawala, Lustig (2014), ESPIRiT: an
eigenvalue approach to autocalibrating parallel MRI, Magnetic Resonance in Medicine 71(3):990-1001,
doi:10.1002/mrm.24751.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from inversesr.errors import InputError

# Shorter sides of the calibration region than this cannot tell the coils apart.
LEAST_CALIBRATION = 8
CHUNK = 1 << 14


@dataclass(frozen=True)
class EspiritConfig:
    """How sensitivities are found.

    Attributes:
        kernel: Side of a block of k-space in samples.
        calibration: Largest side of the calibration region in samples.
        threshold: Singular values below this share of the largest are noise.
        crop: Where the eigenvalue is below this there is no signal: sensitivities are zero.
    """

    kernel: int = 6
    calibration: int = 24
    threshold: float = 0.02
    crop: float = 0.8


def calibration_region(measured: Tensor, axes: tuple[int, ...], most: int) -> tuple[slice, ...]:
    """Find the largest box about k = 0 that was sampled fully.

    Args:
        measured: Which samples were measured, bool, shape (X, Y, Z).
        axes: Axes that are encoded; the box is whole along the others.
        most: Largest side.

    Returns:
        A slice an axis.

    Raises:
        InputError: a side of the box is too short.
    """
    starts = [n // 2 if axis in axes else 0 for axis, n in enumerate(measured.shape)]
    stops = [n // 2 + 1 if axis in axes else n for axis, n in enumerate(measured.shape)]

    def box() -> tuple[slice, ...]:
        return tuple(slice(a, b) for a, b in zip(starts, stops, strict=True))

    is_growing = bool(measured[box()].all())
    while is_growing:
        is_growing = False
        for axis in axes:
            for ends, step in ((starts, -1), (stops, 1)):
                before = ends[axis]
                ends[axis] += step
                fits = starts[axis] >= 0 and stops[axis] <= measured.shape[axis]
                if fits and stops[axis] - starts[axis] <= most and bool(measured[box()].all()):
                    is_growing = True
                else:
                    ends[axis] = before
    sides = [stops[axis] - starts[axis] for axis in axes]
    if min(sides) < min(LEAST_CALIBRATION, *(measured.shape[axis] for axis in axes)):
        message = (
            "found no calibration region: k-space is sampled fully only over "
            f"{' x '.join(str(n) for n in sides)} samples about its middle; expected at least "
            f"{LEAST_CALIBRATION} along each encoded axis: give coil maps with --maps"
        )
        raise InputError(message)
    return box()


def espirit(
    calibration: Tensor, shape: tuple[int, int], config: EspiritConfig | None = None
) -> tuple[Tensor, Tensor]:
    """Find the sensitivities of coils over a slice.

    Args:
        calibration: The middle of k-space, complex, shape (n_coils, a, b), k = 0 at (a // 2,
            b // 2).
        shape: Pixels of the slice.
        config: How.

    Returns:
        Sensitivities, complex, shape (n_coils, X, Y), sum |c|^2 = 1 or 0 at each pixel, their
        phase relative to the mean coil of the calibration; and the eigenvalue, shape (X, Y).
    """
    config = config or EspiritConfig()
    n_coils = len(calibration)
    sides = [min(config.kernel, n) for n in calibration.shape[1:]]
    blocks = calibration.unfold(1, sides[0], 1).unfold(2, sides[1], 1)
    blocks = blocks.permute(1, 2, 0, 3, 4).reshape(-1, n_coils * sides[0] * sides[1])
    blocks = blocks.to(torch.complex128)
    values, vectors = torch.linalg.eigh(blocks.mH @ blocks)
    strong = values > config.threshold**2 * values[-1]
    # a block b is a column of its samples, so what blocks can be is spanned by conjugate vectors
    V = vectors[:, strong].conj()
    projection = (V @ V.mH).to(torch.complex64)
    G = pixel_matrices(projection.reshape(n_coils, *sides, n_coils, *sides), shape)
    maps, eigenvalues = strongest(G / (sides[0] * sides[1]))
    maps = referenced(maps, calibration) * (eigenvalues > config.crop)
    return maps, eigenvalues


def pixel_matrices(projection: Tensor, shape: tuple[int, int]) -> Tensor:
    """Return G at every pixel, shape (X, Y, n_coils, n_coils).

    Args:
        projection: V V', shape (n_coils, k, l, n_coils, k, l).
        shape: Pixels.
    """
    n_coils, k, length = projection.shape[:3]
    by_distance = torch.zeros((n_coils, n_coils, *shape), dtype=projection.dtype)
    for a in range(k):
        for b in range(length):
            # element (c, d) relates sample (a, b) of coil c to every sample of coil d
            part = projection[:, a, b]
            rows = (a - torch.arange(k)) % shape[0]
            columns = (b - torch.arange(length)) % shape[1]
            by_distance[:, :, rows[:, None], columns[None]] += part
    G = torch.fft.fftshift(torch.fft.ifft2(by_distance, norm="forward"), dim=(-2, -1))
    moved: Tensor = G.permute(2, 3, 0, 1)
    return moved


def strongest(G: Tensor) -> tuple[Tensor, Tensor]:
    """Return the strongest eigenvector at each pixel, coils first, and its eigenvalue."""
    shape, n_coils = G.shape[:2], G.shape[-1]
    vectors, values = [], []
    for chunk in torch.split(G.reshape(-1, n_coils, n_coils), CHUNK):
        found = torch.linalg.eigh(chunk)
        vectors.append(found.eigenvectors[..., -1])
        values.append(found.eigenvalues[..., -1])
    maps = torch.cat(vectors).reshape(*shape, n_coils).permute(2, 0, 1)
    return maps.contiguous(), torch.cat(values).reshape(shape)


def referenced(maps: Tensor, calibration: Tensor) -> Tensor:
    """Make the phase of sensitivities smooth: that of the coils' strongest mixture is zero."""
    flat = calibration.flatten(1)
    mixture = torch.linalg.eigh(flat @ flat.mH).eigenvectors[:, -1].to(maps)
    reference = torch.einsum("c,cxy->xy", mixture.conj(), maps)
    return maps * torch.exp(-1j * reference.angle())[None]
