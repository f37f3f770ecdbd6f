"""Radiomics features of a region, as the Image Biomarker Standardisation Initiative defines them.

Families: intensity statistics, entropy and uniformity of the histogram, grey level co-occurrence
(3D, merged) and neighbourhood grey tone difference (3D). Tests compare each with the values that
the initiative publishes for its digital phantom.

Reference: see `texture`.
"""

import numpy as np
from numpy.typing import NDArray

from inversesr.dwi.texture import cooccurrence, tone_difference
from inversesr.errors import InputError

Array = NDArray[np.float64]
LEAST_VOXELS = 8
# Grey levels of ADC, mm2/s: 40 up to free water at 3e-3.
ADC_BIN_WIDTH = 7.5e-5


def features_of(
    image: NDArray[np.float32] | Array,
    mask: NDArray[np.bool_],
    bin_width: float = ADC_BIN_WIDTH,
    lowest: float = 0.0,
) -> dict[str, float]:
    """Return the features of a region.

    Args:
        image: Image of isotropic voxels, or nearly so, shape (X, Y, Z).
        mask: The region.
        bin_width: Width of a grey level, in units of the image (fixed bin size).
        lowest: Lower end of the first level; what is below counts to it.

    Returns:
        Name -> value; names are the tags of the IBSI's tables.

    Raises:
        InputError: the region is too small.
    """
    if int(mask.sum()) < LEAST_VOXELS:
        message = (
            f"the mask has {int(mask.sum())} voxels; expected at least {LEAST_VOXELS}: features "
            "of fewer mean nothing"
        )
        raise InputError(message)
    box = tuple(slice(int(i.min()), int(i.max()) + 1) for i in np.nonzero(mask))
    part, inside = np.asarray(image[box], dtype=np.float64), mask[box]
    levels = np.maximum(np.floor((part - lowest) / bin_width).astype(np.int64) + 1, 1) * inside
    values = part[inside]
    return {
        **statistics(values),
        **histogram(levels[inside]),
        **cooccurrence_features(cooccurrence(levels)),
        **tone_features(*tone_difference(levels)),
    }


def statistics(x: Array) -> dict[str, float]:
    """Return statistics of intensities, shape (n,)."""
    mean, var = float(x.mean()), float(x.var())
    sd = max(var, 1e-30) ** 0.5
    p10, p25, p75, p90 = np.percentile(x, [10, 25, 75, 90]).tolist()
    middle = x[(x >= p10) & (x <= p90)]
    median = float(np.median(x))
    return {
        "stat_mean": mean,
        "stat_var": var,
        "stat_skew": float(((x - mean) ** 3).mean()) / sd**3,
        "stat_kurt": float(((x - mean) ** 4).mean()) / sd**4 - 3.0,
        "stat_median": median,
        "stat_min": float(x.min()),
        "stat_p10": p10,
        "stat_p90": p90,
        "stat_max": float(x.max()),
        "stat_iqr": p75 - p25,
        "stat_range": float(np.ptp(x)),
        "stat_mad": float(np.abs(x - mean).mean()),
        "stat_rmad": float(np.abs(middle - middle.mean()).mean()),
        "stat_medad": float(np.abs(x - median).mean()),
        "stat_cov": sd / mean if mean else 0.0,
        "stat_qcod": (p75 - p25) / (p75 + p25) if p75 + p25 else 0.0,
        "stat_energy": float((x**2).sum()),
        "stat_rms": float((x**2).mean()) ** 0.5,
    }


def histogram(levels: NDArray[np.int64]) -> dict[str, float]:
    """Return entropy and uniformity of grey levels, shape (n,)."""
    p = np.bincount(levels) / levels.size
    return {"ih_entropy": _entropy(p), "ih_uniformity": float((p**2).sum())}


def _entropy(p: Array) -> float:
    p = p[p > 0.0]
    return float(-(p * np.log2(p)).sum())


def cooccurrence_features(p: Array) -> dict[str, float]:
    """Return the features of a co-occurrence matrix, symmetric with sum 1."""
    n = len(p)
    i, j = np.meshgrid(np.arange(1, n + 1), np.arange(1, n + 1), indexing="ij")
    apart = np.abs(i - j)
    differences = np.bincount(apart.ravel(), weights=p.ravel(), minlength=n).astype(np.float64)
    sums = np.bincount((i + j).ravel(), weights=p.ravel()).astype(np.float64)
    k, s = np.arange(n), np.arange(len(sums))
    mean = float((i * p).sum())
    var = float(((i - mean) ** 2 * p).sum())
    diff_mean, sum_mean = float((k * differences).sum()), float((s * sums).sum())
    off = apart > 0
    found = {
        "joint_max": p.max(),
        "joint_avg": mean,
        "joint_var": var,
        "joint_entr": _entropy(p),
        "diff_avg": diff_mean,
        "diff_var": ((k - diff_mean) ** 2 * differences).sum(),
        "diff_entr": _entropy(differences),
        "sum_avg": sum_mean,
        "sum_var": ((s - sum_mean) ** 2 * sums).sum(),
        "sum_entr": _entropy(sums),
        "energy": (p**2).sum(),
        "contrast": (apart**2 * p).sum(),
        "dissimilarity": (apart * p).sum(),
        "inv_diff": (p / (1.0 + apart)).sum(),
        "inv_diff_norm": (p / (1.0 + apart / n)).sum(),
        "inv_diff_mom": (p / (1.0 + apart**2)).sum(),
        "inv_diff_mom_norm": (p / (1.0 + (apart / n) ** 2)).sum(),
        "inv_var": (p[off] / apart[off] ** 2).sum(),
        "corr": ((i * j * p).sum() - mean**2) / var if var > 0.0 else 1.0,
        "auto_corr": (i * j * p).sum(),
        "clust_tend": ((i + j - 2 * mean) ** 2 * p).sum(),
        "clust_shade": ((i + j - 2 * mean) ** 3 * p).sum(),
        "clust_prom": ((i + j - 2 * mean) ** 4 * p).sum(),
    }
    found |= _information(p)
    return {f"cm_{name}_3D_comb": float(value) for name, value in found.items()}


def _information(p: Array) -> dict[str, float]:
    """Return the two measures of information correlation."""
    margin = p.sum(axis=1)
    outer = np.outer(margin, margin)
    there = outer > 0.0
    joint, single = _entropy(p), _entropy(margin)
    cross = float(-(p[there] * np.log2(outer[there])).sum())
    independent = float(-(outer[there] * np.log2(outer[there])).sum())
    second = max(1.0 - np.exp(-2.0 * (independent - joint)), 0.0) ** 0.5
    return {
        "info_corr1": (joint - cross) / single if single > 0.0 else 0.0,
        "info_corr2": float(second),
    }


def tone_features(counts: Array, differences: Array) -> dict[str, float]:
    """Return the features of a neighbourhood grey tone difference matrix."""
    there = counts > 0
    level = (np.flatnonzero(there) + 1).astype(np.float64)
    total, s = counts.sum(), differences[there]
    p, n = counts[there] / total, int(there.sum())
    apart = level[:, None] - level[None, :]
    weighted = float((p * s).sum())
    between = float((p[:, None] * p[None, :] * apart**2).sum())
    busy = float(np.abs((level * p)[:, None] - (level * p)[None, :]).sum())
    joint = (p * s)[:, None] + (p * s)[None, :]
    strength = float(((p[:, None] + p[None, :]) * apart**2).sum())
    return {
        "ngt_coarseness_3D": 1.0 / max(weighted, 1e-6),
        "ngt_contrast_3D": between / max(n * (n - 1), 1) * float(s.sum()) / total,
        "ngt_busyness_3D": weighted / busy if n > 1 and busy > 0.0 else 0.0,
        "ngt_complexity_3D": float(
            (np.abs(apart) * joint / (p[:, None] + p[None, :])).sum() / total
        ),
        "ngt_strength_3D": strength / float(s.sum()) if s.sum() > 0.0 else 0.0,
    }


def agreement_icc(first: Array, second: Array) -> float:
    """Return the intraclass correlation for absolute agreement of two measurements, ICC(2,1).

    Args:
        first: One value a case, shape (n,).
        second: The same by another way.

    Reference: Shrout, Fleiss (1979), Intraclass correlations, Psychological Bulletin
    86(2):420-428, doi:10.1037/0033-2909.86.2.420.
    """
    x = np.stack([first, second], axis=1)
    n, k = x.shape
    grand = x.mean()
    rows = k * ((x.mean(axis=1) - grand) ** 2).sum() / (n - 1)
    columns = n * ((x.mean(axis=0) - grand) ** 2).sum() / (k - 1)
    rest = x - x.mean(axis=1, keepdims=True) - x.mean(axis=0, keepdims=True) + grand
    error = (rest**2).sum() / ((n - 1) * (k - 1))
    below = rows + (k - 1) * error + k * (columns - error) / n
    return float((rows - error) / below) if below > 0.0 else 1.0
