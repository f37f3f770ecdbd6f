"""A small T1-like brain of three tissues: white within grey within fluid, in black."""

import numpy as np

from inversesr.volume import Grid, Volume

LEVELS = (0.0, 25.0, 70.0, 100.0)


def tissue_labels(shape=(32, 32, 32)):
    """Return 0 outside, 1 fluid, 2 grey, 3 white, with folds."""
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    radius = np.sqrt(x**2 + y**2 + z**2) + 0.05 * np.sin(9 * x) * np.cos(8 * y + 7 * z)
    return np.select([radius < 0.5, radius < 0.72, radius < 0.86], [3, 2, 1], 0).astype(np.int8)


def painted_brain(labels, noise=3.0, seed=0, spacing_mm=1.0):
    """Return the labels painted as T1; what lies outside is exactly 0."""
    rng = np.random.default_rng(seed)
    data = np.array(LEVELS)[labels] + noise * rng.standard_normal(labels.shape)
    data = np.where(labels > 0, np.maximum(data, 1.0), 0.0).astype(np.float32)
    return Volume(data, Grid(labels.shape, np.diag([spacing_mm] * 3 + [1.0])))
