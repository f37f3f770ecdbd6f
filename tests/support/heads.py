"""Images that look like a head to what judges scans: smooth tissue with folds, in noisy air."""

import numpy as np

from inversesr.volume import Grid, Volume


def head_volume(shape=(48, 52, 12), spacing_mm=(3.6, 3.6, 15.0), seed=0, noise=4.0, folds=9.0):
    """Return a head of up to about 700, other folds for other seeds."""
    rng = np.random.default_rng(seed)
    places = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    tissue = np.clip(1.1 - sum(np.square(place) for place in places), 0, 1)
    waves = 1.0
    for _ in range(3):
        direction, phase = rng.normal(size=3), rng.uniform(0, 6)
        direction *= folds / np.linalg.norm(direction)
        wave = sum(d * place for d, place in zip(direction, places, strict=True))
        waves = waves * (1 + 0.25 * np.sin(wave + phase))
    data = np.hypot(
        600 * tissue * waves + rng.normal(0, noise, shape), rng.normal(0, noise, shape)
    )
    return Volume(data.astype(np.float32), Grid(shape, np.diag([*spacing_mm, 1.0])))
