"""How close an image is to the truth, inside a mask and with a stated data range."""

import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from inversesr.acquisition.foreground import BRIGHT_PERCENTILE, Mask, foreground
from inversesr.volume import Image

# Wang et al. (2004), Image quality assessment, doi:10.1109/TIP.2003.819861: 11 voxels, 1.5.
SSIM_SIGMA, SSIM_VOXELS = 1.5, 11


def psnr(x: Image, truth: Image, mask: Mask, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB inside the mask; inf for identical images."""
    error = float(np.mean(np.square(x[mask] - truth[mask], dtype=np.float64)))
    return float("inf") if error == 0.0 else float(10.0 * np.log10(data_range**2 / error))


def ssim(x: Image, truth: Image, mask: Mask, data_range: float) -> float:
    """Mean structural similarity inside the mask (3D, Gaussian window of sigma 1.5).

    The images are cropped to the mask and a margin of one window first: the result is the same.
    """
    # wider than the window reaches, so that a thin mask at the border leaves room for one
    margin = SSIM_VOXELS
    box = tuple(
        slice(max(0, int(indices.min()) - margin), int(indices.max()) + margin + 1)
        for indices in np.nonzero(mask)
    )
    _, similarity = structural_similarity(
        x[box],
        truth[box],
        data_range=data_range,
        gaussian_weights=True,
        sigma=SSIM_SIGMA,
        use_sample_covariance=False,
        full=True,
    )
    return float(np.mean(similarity[mask[box]]))


def nmse(x: Image, truth: Image, mask: Mask) -> float:
    """Squared error over squared truth inside the mask."""
    error = np.sum(np.square(x[mask] - truth[mask], dtype=np.float64))
    return float(error / np.sum(np.square(truth[mask], dtype=np.float64)))


def spectral_error(x: Image, truth: Image, mask: Mask, axis: int) -> float:
    """Root mean square difference of the power spectra along one axis, in dB; 0 for equal spectra.

    It is large where an image is too smooth along that axis, or too sharp, whatever lies where.

    Args:
        x: Image.
        truth: What it should be, same shape.
        mask: Voxels that count; both are zero elsewhere.
        axis: Axis that the spectra are taken along, averaged over the lines along it.

    Source: the log-spectral distance of Gray and Markel (1976), doi:10.1109/TASSP.1976.1162849.
    """
    return float(np.sqrt(np.mean(np.square(spectral_difference(x, truth, mask, axis)))))


def unseen_spectral_error(
    x: Image, truth: Image, mask: Mask, axis: int, slice_voxels: float
) -> float:
    """Mean absolute difference of the power spectra beyond what slices can show, in dB.

    Slices that lie d voxels apart show frequencies up to 1 / (2 d) cycles per voxel: beyond it all
    power is a solver's.

    Args:
        x: Image.
        truth: What it should be, same shape.
        mask: Voxels that count; both are zero elsewhere.
        axis: Axis across the slices.
        slice_voxels: Distance between slices in voxels of the image, above 1.
    """
    difference = spectral_difference(x, truth, mask, axis)
    beyond = np.fft.rfftfreq(x.shape[axis])[1:] > 0.5 / slice_voxels
    return float(np.mean(np.abs(difference[beyond])))


def spectral_difference(x: Image, truth: Image, mask: Mask, axis: int) -> NDArray[np.float64]:
    """Return the power spectrum of x over that of truth along an axis, in dB, without frequency 0.

    Arguments are those of `spectral_error`.
    """
    ratio = _power(x, mask, axis) / _power(truth, mask, axis)
    return np.asarray(10.0 * np.log10(ratio))


def _power(x: Image, mask: Mask, axis: int) -> NDArray[np.float64]:
    """Return the mean power at each frequency but zero, of lines along an axis."""
    lines = np.moveaxis(np.where(mask, x, 0.0), axis, -1)[mask.any(axis=axis)]
    # single precision: the spectrum of a whole head would take gigabytes in double
    power = np.square(np.abs(np.fft.rfft(lines.astype(np.float32), axis=-1)), dtype=np.float64)
    return np.asarray(np.maximum(power.mean(axis=0)[1:], np.finfo(np.float64).tiny))


def intensity_range(truth: Image) -> float:
    """Data range used when none is stated: 99.9th percentile of the foreground, minus minimum."""
    inside = truth[foreground(truth)]
    return float(np.percentile(inside, BRIGHT_PERCENTILE) - truth.min())
