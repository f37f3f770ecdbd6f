"""Maps of diffusion: ADC (log-linear and robust), mean diffusivity and fractional anisotropy.

    ln S_v = ln S_0 - b_v ADC       weights mean S^2 of the shell: the inverse variance of ln S

All directions of a shell count alike, so that the ADC is that of their geometric mean. Weights of
their own would favour directions of slow diffusion.

Signals below the noise floor of magnitude images, sigma sqrt(pi / 2), say nothing of diffusion:
they are set to it before the logarithm. MD and FA are those of dipy's weighted tensor fit.

Reference: Salvador, Pena, Menon, Carpenter, Pickard, Bullmore (2005), Formal characterization and
extension of the linearized diffusion tensor model, Human Brain Mapping 24(2):144-155,
doi:10.1002/hbm.20076; noise floor: Gudbjartsson, Patz (1995), The Rician distribution of noisy
MRI data, Magnetic Resonance in Medicine 34(6):910-914, doi:10.1002/mrm.1910340618.
"""

import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from inversesr.errors import InputError
from inversesr.io.gradients import B0_LIMIT, Gradients

Image4 = NDArray[np.float32]
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# mm2/s: free water at body temperature has 3.0e-3; beyond this a fit went wrong.
MOST_ADC = 5e-3
# Geman-McClure weights reach a quarter at this many standard deviations of the residuals.
ROBUST_SCALE = 2.0
ROBUST_STEPS = 5
SIGMA_PER_MAD = 1.4826
# b-values that differ by less belong to one shell, s/mm2.
SHELL_WIDTH = 100.0
# Names and units of the maps: file label -> what it holds.
MEANINGS = {
    "adc": "apparent diffusion coefficient, log-linear fit, mm2/s",
    "adcrobust": "apparent diffusion coefficient, robust fit, mm2/s",
    "md": "mean diffusivity of the tensor, mm2/s",
    "fa": "fractional anisotropy of the tensor, 0 to 1",
}


def noise_floor(sigma: float) -> float:
    """Return the mean of magnitude data without any signal (Rayleigh).

    Args:
        sigma: Standard deviation of the noise in each of the two channels.
    """
    return float(sigma * np.sqrt(np.pi / 2.0))


def has_dipy() -> bool:
    """Whether the extra `[dwi]` is installed."""
    return find_spec("dipy") is not None


def check_dipy() -> None:
    """Refuse to go on where dipy is missing.

    Raises:
        InputError: it is.
    """
    if not has_dipy():
        message = (
            "FA and mean diffusivity are fitted by dipy, which is not installed: "
            "pip install 'inversesr[dwi]'"
        )
        raise InputError(message)


def diffusion_maps(
    data: Image4, gradients: Gradients, mask: Mask, sigma: float
) -> dict[str, NDArray[np.float32]]:
    """Return the maps of a series.

    Args:
        data: Volumes, shape (n_volumes, X, Y, Z).
        gradients: b-value and direction of each.
        mask: Where to fit, shape (X, Y, Z); maps are 0 elsewhere.
        sigma: Standard deviation of the noise.

    Returns:
        Name in `MEANINGS` -> map; "md" and "fa" only where there are six directions or more.

    Raises:
        InputError: dipy is not installed.
    """
    floor = max(noise_floor(sigma), 1e-6 * float(data.max()))
    signals = np.maximum(data[:, mask].T.astype(np.float64), floor)
    found = {
        "adc": adc_log_linear(signals, gradients.bvals),
        "adcrobust": adc_robust(signals, gradients.bvals),
    }
    if gradients.has_directions:
        found |= tensor(signals, gradients)
    return {name: _placed(values, mask) for name, values in found.items()}


def adc_log_linear(signals: Array, bvals: Array) -> Array:
    """Return the ADC of voxels by a weighted straight line through the logarithms.

    Args:
        signals: Above 0, shape (n_voxels, n_volumes).
        bvals: b-values in s/mm2, shape (n_volumes,).

    Returns:
        ADC in mm2/s, 0 to `MOST_ADC`, shape (n_voxels,).
    """
    return _slope(np.log(signals), bvals, _shell_weights(signals, bvals))[0]


def adc_robust(signals: Array, bvals: Array) -> Array:
    """Return the ADC of voxels such that single volumes that do not fit hardly count.

    Iteratively reweighted least squares with Geman-McClure weights, for each voxel scaled by the
    median of its own residuals.

    Args:
        signals: See `adc_log_linear`.
        bvals: See `adc_log_linear`.

    Reference: Chang, Jones, Pierpaoli (2005), RESTORE: robust estimation of tensors by outlier
    rejection, Magnetic Resonance in Medicine 53(5):1088-1095, doi:10.1002/mrm.20426.
    """
    logs, base = np.log(signals), _shell_weights(signals, bvals)
    slope, intercept = _slope(logs, bvals, base)
    for _ in range(ROBUST_STEPS):
        # in units of the noise, which is 1 / S in the logarithm
        misfit = (logs - intercept[:, None] + slope[:, None] * bvals) * signals
        scale = SIGMA_PER_MAD * np.median(np.abs(misfit), axis=1, keepdims=True)
        shares = misfit / np.maximum(ROBUST_SCALE * scale, 1e-12 * signals.max())
        slope, intercept = _slope(logs, bvals, base / (1.0 + shares**2) ** 2)
    return slope


def _shell_weights(signals: Array, bvals: Array) -> Array:
    """Return the mean squared signal of the volumes of the same weighting."""
    shells = np.round(bvals / SHELL_WIDTH)
    weights = np.empty_like(signals)
    for shell in np.unique(shells):
        own = shells == shell
        weights[:, own] = (signals[:, own] ** 2).mean(axis=1, keepdims=True)
    return weights


def _slope(logs: Array, bvals: Array, weights: Array) -> tuple[Array, Array]:
    """Return ADC and ln S_0 by weighted least squares."""
    total = weights.sum(axis=1)
    mean_b = (weights * bvals).sum(axis=1) / total
    mean_log = (weights * logs).sum(axis=1) / total
    centred = bvals - mean_b[:, None]
    spread = (weights * centred**2).sum(axis=1)
    slope = -(weights * centred * logs).sum(axis=1) / np.maximum(spread, 1e-30)
    slope = np.clip(slope, 0.0, MOST_ADC)
    return slope, mean_log + slope * mean_b


def tensor(signals: Array, gradients: Gradients) -> dict[str, Array]:
    """Return mean diffusivity and fractional anisotropy of voxels by dipy.

    Args:
        signals: See `adc_log_linear`.
        gradients: b-value and direction of each volume.

    Raises:
        InputError: dipy is not installed.
    """
    check_dipy()
    with warnings.catch_warnings():
        # dipy warns of optional programs that are not there
        warnings.simplefilter("ignore")
        from dipy.core.gradients import gradient_table
        from dipy.reconst.dti import TensorModel

        bvecs = np.where(gradients.is_b0[:, None], 0.0, gradients.bvecs)
        # a weighted volume without a direction (a trace) is no measurement of a tensor
        used = gradients.is_b0 | (np.linalg.norm(bvecs, axis=1) > 0.0)
        table: Any = gradient_table(
            gradients.bvals[used], bvecs=_unit(bvecs[used]), b0_threshold=B0_LIMIT
        )
        model: Any = TensorModel
        fit = model(table, fit_method="WLS").fit(signals[:, used])
        md, fa = np.asarray(fit.md), np.asarray(fit.fa)
    return {"md": np.clip(md, 0.0, MOST_ADC), "fa": np.clip(np.nan_to_num(fa), 0.0, 1.0)}


def _unit(vectors: Array) -> Array:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.where(lengths > 0.0, vectors / np.maximum(lengths, 1e-12), 0.0))


def _placed(values: Array, mask: Mask) -> NDArray[np.float32]:
    image = np.zeros(mask.shape, dtype=np.float32)
    image[mask] = values
    return image


def tissue_mask(data: Image4, gradients: Gradients, sigma: float) -> Mask:
    """Return where a series shows a head: one piece, well above the noise, without holes.

    Args:
        data: Volumes, shape (n_volumes, X, Y, Z).
        gradients: b-value of each.
        sigma: Standard deviation of the noise.
    """
    from scipy import ndimage
    from skimage.filters import threshold_otsu

    b0 = ndimage.median_filter(data[gradients.is_b0].mean(axis=0), 3)
    # of the logarithm: fluid is several times as bright as tissue
    logs = np.log(np.maximum(b0, max(noise_floor(sigma), 1e-3 * float(b0.max()))))
    marked = ndimage.binary_opening(logs > threshold_otsu(logs))
    pieces, n = ndimage.label(marked)
    if n == 0:
        return np.asarray(b0 > 0.0)
    largest = 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return np.asarray(ndimage.binary_fill_holes(pieces == largest), dtype=np.bool_)
