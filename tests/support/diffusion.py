"""Small diffusion series: two tissues with a fibre direction, and free water, as 4D files."""

import nibabel
import numpy as np

AFFINE = np.diag([-2.0, 2.0, 4.0, 1.0])


def directions(n):
    """Return unit vectors spread over a half sphere, shape (n, 3)."""
    k = np.arange(n) + 0.5
    z, turn = k / n, np.pi * (1 + 5**0.5) * k
    r = np.sqrt(1 - z**2)
    return np.stack([r * np.cos(turn), r * np.sin(turn), z], axis=1)


def weighting(n=7, b=1000.0):
    """Return b-values and vectors: one b0 and n directions."""
    return np.r_[0.0, np.full(n, b)], np.vstack([np.zeros(3), directions(n)])


def fine_head(shape=(16, 18, 24), n=7, noise=0.0, seed=0):
    """Return thin volumes (V, X, Y, Z), shape given, of a head with folds."""
    bvals, bvecs = weighting(n)
    x, y, z = np.meshgrid(*[np.linspace(-1, 1, s) for s in shape], indexing="ij")
    inside = x**2 + y**2 + z**2 < 0.9
    folds = 0.5 + 0.5 * np.tanh(4 * np.sin(7 * x + 5 * y) * np.cos(6 * z + 3 * y))
    s0 = inside * (900.0 + 500.0 * folds)
    radial = 0.6e-3 + 1.2e-3 * folds
    axial = 1.6e-3 + 0.4e-3 * folds
    along = (bvecs @ np.array([1.0, 0.0, 0.0])) ** 2
    adc = radial[None] + (axial - radial)[None] * along[:, None, None, None]
    signal = s0[None] * np.exp(-bvals[:, None, None, None] * adc)
    rng = np.random.default_rng(seed)
    real, imaginary = (noise * rng.standard_normal(signal.shape) for _ in range(2))
    return np.hypot(signal + real, imaginary).astype(np.float32)


def thickened(fine, k):
    """Return slices that are means of k thin ones."""
    v, x, y, z = fine.shape
    return fine.reshape(v, x, y, z // k, k).mean(axis=4)


def write_series(folder, data, name="sub-01_dwi", affine=AFFINE):
    """Write a 4D file with its b-values and vectors; return its path."""
    path = folder / f"{name}.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.moveaxis(data, 0, -1), affine), path)
    bvals, bvecs = weighting(len(data) - 1)
    np.savetxt(folder / f"{name}.bval", bvals[None], fmt="%g")
    np.savetxt(folder / f"{name}.bvec", bvecs.T, fmt="%.6f")
    return path
