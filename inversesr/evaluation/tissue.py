"""Fluid, grey and white matter of a T1-weighted brain, and how well two segmentations agree.

    p_k(i)  ~  w_k / s_k exp(-(x_i - m_k)^2 / 2 s_k^2  +  b sum_{j next to i} p_k(j))
    m_k, w_k, s_k  from p,     a few times over

A mixture of three Gaussians, their variances halfway towards their mean, fitted by expectation
maximisation with a Markov prior in the mean-field approximation, after N4 has removed the bias
field. It knows no anatomy: an image and its restoration are segmented by what they show alone,
and in the same way.

References: Zhang, Brady and Smith (2001), doi:10.1109/42.906424 (mixture and Markov prior);
Tustison et al. (2010), doi:10.1109/TMI.2010.2046908 (N4).
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import SimpleITK
from numpy.typing import NDArray
from scipy.ndimage import correlate1d
from scipy.special import logsumexp

from inversesr.acquisition.foreground import Mask
from inversesr.errors import InputError
from inversesr.volume import Image

Labels = NDArray[np.int8]
Array = NDArray[np.float64]

# In the order of their brightness in T1, labels 1, 2 and 3; 0 is outside.
TISSUES = ("fluid", "grey", "white")
N_STEPS = 15
# b: six equal neighbours weigh as much as 1.9 standard deviations
COUPLING = 0.3
# A common variance is wrong for fluid, which partial volumes widen; free ones run away.
OWN_SHARE, LEAST_WIDTH = 0.5, 1e-3
LEAST_VOXELS = 1000
# N4 works on one of four voxels along each axis, which is finer than any bias field.
SHRINK, N4_STEPS = 4, (20, 20, 20)
# Ends of the intensities that count.
ENDS = (0.5, 99.5)
# The fit begins from every three of these levels, on a histogram.
N_BINS, N_START_LEVELS, N_START_STEPS = 200, 9, 40


@dataclass(frozen=True)
class TissueAgreement:
    """How well a segmentation agrees with that of the truth, tissue by tissue.

    Attributes:
        dice: Tissue -> overlap, 2 |a and b| / (|a| + |b|), 0 to 1; 1 where both have none.
        volume: Tissue -> volume over that in the truth; infinite where the truth has none.
    """

    dice: dict[str, float]
    volume: dict[str, float]


@dataclass(frozen=True, eq=False)
class Mixture:
    """Three Gaussians.

    Attributes:
        means: Their means, shape (3,).
        shares: Their shares of the voxels, likewise.
        variances: Their variances, likewise.
    """

    means: Array
    shares: Array
    variances: Array


def segment(x: Image, brain: Mask, start: Mixture | None = None) -> Labels:
    """Segment a T1-weighted brain.

    Args:
        x: Image, shape (X, Y, Z). In other contrasts the labels stand for rising brightness.
        brain: Its brain, with the fluid in and about it; all else gets 0.
        start: Where the fit begins; None for the likeliest mixture, see `likeliest_mixture`. All
            images of one brain begin at that of one of them: noise cannot lead them apart.

    Returns:
        Labels of the same shape, counted from 1 in the order of `TISSUES`.

    Raises:
        InputError: the brain has too few voxels, or one intensity only.
    """
    values = _values(x, brain)
    found = np.zeros(x.shape, dtype=np.int8)
    mixture = _likeliest(values) if start is None else start
    found[brain] = 1 + _posterior(values, brain, mixture).argmax(axis=0)
    return found


def likeliest_mixture(x: Image, brain: Mask) -> Mixture:
    """Return the likeliest mixture of the intensities of a brain.

    Arguments and failures are those of `segment`.
    """
    return _likeliest(_values(x, brain))


def _values(x: Image, brain: Mask) -> Array:
    """Return the intensities of a brain without its bias field, the ends cut off."""
    n = int(brain.sum())
    if n < LEAST_VOXELS:
        message = f"{n} voxels are brain; expected at least {LEAST_VOXELS}: give a larger --crop"
        raise InputError(message)
    if np.ptp(np.percentile(x[brain], ENDS)) == 0.0:
        message = "the brain has one intensity only; expected an image with tissues to tell apart"
        raise InputError(message)
    values = without_bias(x, brain)[brain].astype(np.float64)
    low, high = np.percentile(values, ENDS)
    return np.asarray(np.clip(values, low, high))


def without_bias(x: Image, brain: Mask) -> Image:
    """Return an image without its bias field, by N4 within the brain, whose mean it keeps."""
    image = SimpleITK.GetImageFromArray(x.astype(np.float32))
    mask = SimpleITK.GetImageFromArray(brain.astype(np.uint8))
    shrink = [min(SHRINK, max(1, n // 8)) for n in image.GetSize()]
    n4 = SimpleITK.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations(N4_STEPS)
    n4.Execute(SimpleITK.Shrink(image, shrink), SimpleITK.Shrink(mask, shrink))
    field = np.exp(SimpleITK.GetArrayFromImage(n4.GetLogBiasFieldAsImage(image)))
    even = x / field
    # N4 knows a field but for a factor
    scale = x[brain].mean(dtype=np.float64) / even[brain].mean(dtype=np.float64)
    return np.asarray(scale * even, dtype=np.float32)


def agreement(found: Labels, truth: Labels) -> TissueAgreement:
    """Compare two segmentations of one brain.

    Args:
        found: Segmentation of the image to judge.
        truth: That of the truth, same shape.
    """
    dice, volume = {}, {}
    for label, name in enumerate(TISSUES, 1):
        a, b = found == label, truth == label
        n_a, n_b = int(a.sum()), int(b.sum())
        dice[name] = 2.0 * int((a & b).sum()) / (n_a + n_b) if n_a + n_b else 1.0
        volume[name] = n_a / n_b if n_b else (float("inf") if n_a else 1.0)
    return TissueAgreement(dice, volume)


def _posterior(values: Array, brain: Mask, mixture: Mixture) -> Array:
    """Return the probability of each tissue, shape (3, n), of the voxels of a brain."""
    field: Array | float = 0.0
    for _ in range(N_STEPS):
        p = _responsibilities(values, mixture, field)
        mixture = _fitted(values, p, np.ones_like(values), OWN_SHARE)
        field = COUPLING * np.stack([_of_neighbours(one, brain) for one in p])
    return _responsibilities(values, mixture, field)


def _likeliest(values: Array) -> Mixture:
    """Return the likeliest mixture without neighbours, from every start on a coarse lattice.

    One start alone ends in two halves of one tissue where another one is rare; and so do
    variances that are free from the start.
    """
    counts, edges = np.histogram(values, N_BINS)
    levels, weight = (edges[:-1] + edges[1:]) / 2.0, counts.astype(np.float64)
    lattice = np.linspace(levels[0], levels[-1], N_START_LEVELS)
    width = (lattice[1] - lattice[0]) / 2.0
    best, likelihood = None, -np.inf
    for means in combinations(lattice.tolist(), len(TISSUES)):
        mixture = Mixture(np.array(means), np.full(3, 1.0 / 3.0), np.full(3, width**2))
        for _ in range(N_START_STEPS):
            p = _responsibilities(levels, mixture)
            mixture = _fitted(levels, p, weight)
        found = float(weight @ logsumexp(_energy(levels, mixture), axis=0))
        if found > likelihood:
            best, likelihood = mixture, found
    assert best is not None
    order = np.argsort(best.means)
    return Mixture(best.means[order], best.shares[order], best.variances[order])


def _energy(values: Array, mixture: Mixture) -> Array:
    """Return the logarithm of share times density for each tissue, but for a constant."""
    variances = mixture.variances[:, None]
    distance = np.square(values - mixture.means[:, None]) / variances
    shares = np.log(np.maximum(mixture.shares, 1e-12))[:, None]
    return np.asarray(shares - 0.5 * (distance + np.log(variances)))


def _responsibilities(values: Array, mixture: Mixture, field: Array | float = 0.0) -> Array:
    energy = _energy(values, mixture) + field
    p = np.exp(energy - energy.max(axis=0))
    return np.asarray(p / p.sum(axis=0))


def _fitted(values: Array, p: Array, weight: Array, own_share: float = 0.0) -> Mixture:
    """Return the mixture that suits probabilities of tissues best.

    Args:
        values: Intensities, shape (n,).
        p: Probabilities of tissues, shape (3, n).
        weight: How much each intensity counts, shape (n,).
        own_share: Share of a tissue's own variance in its variance; the rest is the common one.
    """
    p = p * weight
    n = np.maximum(p.sum(axis=1), 1e-12)
    means = p @ values / n
    squares = np.sum(p * np.square(values - means[:, None]), axis=1)
    common = squares.sum() / n.sum()
    variances = own_share * squares / n + (1.0 - own_share) * common
    least = (LEAST_WIDTH * np.ptp(values)) ** 2
    return Mixture(means, n / n.sum(), np.maximum(variances, least))


def _of_neighbours(p: Array, brain: Mask) -> Array:
    """Return the sum of a probability over the six neighbours of each voxel of a brain."""
    whole = np.zeros(brain.shape, dtype=np.float32)
    whole[brain] = p
    total = np.zeros(p.shape)
    for axis in range(3):
        total += correlate1d(whole, [1.0, 0.0, 1.0], axis=axis, mode="constant")[brain]
    return total
