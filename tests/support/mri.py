"""Small heads and their k-space."""

import numpy as np

from inversesr.acquisition.kspace_choices import KSpaceSimulation
from inversesr.acquisition.kspace_simulation import simulate_kspace
from inversesr.volume import Grid, Volume


def head(shape=(32, 32, 1)):
    """A textured ellipsoid, its bright end about 100."""
    axes = [(np.arange(n) - (n - 1) / 2) / max(n / 2, 1) for n in shape]
    u, v, w = np.meshgrid(*axes, indexing="ij")
    inside = u**2 + v**2 + (0 if shape[2] == 1 else 0.5) * w**2 < 0.6
    blocks = 60 + 30 * np.sign(np.sin(9 * u) * np.sin(8 * v + 1))
    texture = np.random.default_rng(0).uniform(0, 10, shape)
    data = (inside * (blocks + texture)).astype(np.float32)
    return Volume(data, Grid(shape, np.diag([1.5, 1.5, 4.0, 1.0])))


def scanned(shape=(32, 32, 1), **choices):
    """K-space of such a head under four coils."""
    choices = {"coils": 4, "calibration": 12, "mask": "random", **choices}
    return simulate_kspace(head(shape), KSpaceSimulation(**choices))
