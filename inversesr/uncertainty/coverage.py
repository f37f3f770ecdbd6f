"""Coverage of intervals: how often they hold a truth, and the factor that corrects them.

interval at level p:  mean -+ t sd (1 + 1/n)^(1/2),       t = Student's quantile at (1 + p) / 2

For n samples of a Gaussian posterior, and the truth one more, that holds the truth with
probability p whatever n: few samples estimate a deviation badly, and Student's law knows it.

Reference: Geisser (1993), Predictive Inference: An Introduction, doi:10.1201/9780203742310.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from inversesr.volume import Image

LEVELS = (0.5, 0.8, 0.9, 0.95)
# The level that a factor is fitted to.
FITTED_LEVEL = 0.9


def width(level: float, n_samples: float) -> float:
    """Return half the width of an interval, in standard deviations of the samples.

    Args:
        level: Share of truths that it is to hold, in (0, 1); of opposite sign for the lower half.
        n_samples: Samples behind mean and deviation, at least 2; infinite where the deviation is
            no sample's.
    """
    quantile = float(stdtrit(n_samples - 1, 0.5 + level / 2.0))
    return float(quantile * np.sqrt(1.0 + 1.0 / n_samples))


@dataclass(frozen=True, eq=False)
class PredictedErrors:
    """Errors of a restored image and what was expected of them, voxel by voxel inside a mask.

    Attributes:
        error: Truth minus image, shape (n,), in the scan's intensities.
        sd: Standard deviation that is stated, likewise.
        n_samples: Number of samples, at least 2; infinite where the deviation is no sample's.
    """

    error: Image
    sd: Image
    n_samples: float

    @property
    def ratio(self) -> Image:
        """|error| / sd; infinite where samples do not differ but the truth does."""
        with np.errstate(divide="ignore", invalid="ignore"):
            found = np.abs(self.error) / self.sd
        return np.asarray(np.where(self.error == 0.0, 0.0, found), dtype=np.float32)


def errors_inside(
    x: Image, sd: Image, truth: Image, inside: NDArray[np.bool_], n_samples: float
) -> PredictedErrors:
    """Return errors and deviations inside a mask; all images have one shape."""
    return PredictedErrors(truth[inside] - x[inside], sd[inside], n_samples)


def coverage(errors: PredictedErrors, level: float, factor: float = 1.0) -> float:
    """Return the share of truths inside their intervals.

    Args:
        errors: Errors and deviations.
        level: Nominal coverage, in (0, 1).
        factor: By which every deviation is multiplied first.
    """
    return float(np.mean(errors.ratio <= factor * width(level, errors.n_samples)))


def crps(errors: PredictedErrors) -> float:
    """Return the mean continuous ranked probability score, in the scan's intensities.

        sd (w (2 Phi(w) - 1) + 2 phi(w) - pi^(-1/2)),      w = error / sd

    of a Gaussian about each voxel: small where it is narrow and right. Without any deviation it is
    the mean absolute error.

    Source: Gneiting and Raftery (2007), doi:10.1198/016214506000001437.
    """
    error, sd = errors.error.astype(np.float64), errors.sd.astype(np.float64)
    w = np.divide(error, sd, out=np.zeros_like(error), where=sd > 0.0)
    density = np.exp(-np.square(w) / 2.0) / np.sqrt(2.0 * np.pi)
    score = sd * (w * (2.0 * ndtr(w) - 1.0) + 2.0 * density - 1.0 / np.sqrt(np.pi))
    return float(np.mean(np.where(sd > 0.0, score, np.abs(error))))


def ensemble_crps(samples: Image, truth: Image) -> float:
    """Return the mean fair continuous ranked probability score of samples, likewise.

        mean_k |x_k - t|  -  sum_{j<k} |x_j - x_k| / (n (n - 1))

    Its expectation does not depend on how many samples there are, and is least where they are
    drawn from the distribution of the truth. A point estimate has its mean absolute error.

    Args:
        samples: Shape (n, ...), n at least 2.
        truth: Shape (...).

    Source: Ferro (2014), Fair scores for ensemble forecasts, doi:10.1002/qj.2270.
    """
    n = len(samples)
    error = np.mean(np.abs(samples - truth), dtype=np.float64)
    # the k-th smallest is subtracted from n - 1 - k others, and k are subtracted from it
    ranked = np.sort(samples, axis=0)
    between = sum((2 * k - n + 1) * float(ranked[k].mean(dtype=np.float64)) for k in range(n))
    return float(error - between / (n * (n - 1)))


def fit_factor(cases: list[PredictedErrors], level: float = FITTED_LEVEL) -> float:
    """Return the factor of all deviations at which intervals have their nominal coverage.

    Every case counts the same, however many voxels it has.

    Args:
        cases: Errors and deviations of several scans.
        level: Level at which the mean coverage over the cases is to be right.
    """
    needed = [np.sort(case.ratio / width(level, case.n_samples)) for case in cases]
    weights = np.concatenate([np.full(len(n), 1.0 / (len(n) * len(cases))) for n in needed])
    values = np.concatenate(needed)
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    index = min(int(np.searchsorted(reached, level)), len(values) - 1)
    return float(values[order[index]])
