"""What a series is good for: signal over fluctuation in time, and finding what a task changes.

tSNR = mean / standard deviation about a straight line in time
t    = b / (standard deviation of b),      y = b h + a + c t + noise      for every voxel
"""

import numpy as np
from numpy.typing import NDArray

from inversesr.volume import Image

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def tsnr(y: Image) -> Image:
    """Return the temporal signal-to-noise ratio of each voxel; 0 where nothing changes.

    Args:
        y: Series, shape (n_volumes, ...), n_volumes at least 3.
    """
    n = len(y)
    design = np.stack([np.ones(n), np.linspace(-1.0, 1.0, n)], axis=1)
    _, left = _fitted(y, design)
    sd = np.sqrt(left / max(n - 2, 1))
    mean = y.mean(axis=0, dtype=np.float64)
    return np.where(sd > 1e-6 * np.abs(mean).max(), mean / np.maximum(sd, 1e-30), 0.0).astype(
        np.float32
    )


def t_map(y: Image, response: Array) -> Image:
    """Return the t value of a response in each voxel, by least squares.

    Args:
        y: Series, shape (n_volumes, ...).
        response: Expected course, at the times of the volumes, shape (n_volumes,).
    """
    n = len(y)
    design = np.stack([response, np.ones(n), np.linspace(-1.0, 1.0, n)], axis=1)
    beta, left = _fitted(y, design)
    variance = np.linalg.inv(design.T @ design)[0, 0] * left / max(n - 3, 1)
    return np.asarray(beta[0] / np.sqrt(np.maximum(variance, 1e-30)), dtype=np.float32)


def sensitivity(t: Image, is_active: Mask, is_silent: Mask, false_positives: float) -> float:
    """Return the share of active voxels that are found at a share of false positives.

    Args:
        t: t values.
        is_active: Voxels that are active.
        is_silent: Voxels that are not.
        false_positives: Share of silent voxels above the threshold, which is set by them.
    """
    threshold = np.quantile(t[is_silent], 1.0 - false_positives)
    return float(np.mean(t[is_active] > threshold))


def _fitted(y: Image, design: Array) -> tuple[Array, Array]:
    """Return coefficients, shape (n_columns, ...), and the sum of squares that is left."""
    flat = y.reshape(len(y), -1).astype(np.float64)
    beta = np.linalg.pinv(design) @ flat
    left = np.square(flat - design @ beta).sum(axis=0)
    return beta.reshape(-1, *y.shape[1:]), left.reshape(y.shape[1:])
