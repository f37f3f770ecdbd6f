"""Conformal calibration of expected errors: intervals that hold what they promise, group by group.

    |truth - x| <= q(g) sd,      q(g) = 90 % quantile of |truth - x| / sd in the group g

over people that no network was trained or tuned on. Voxels are grouped by what is known without
the truth: the error that a network expects, and how much fine detail there is around them within
the slice, as a multiple of it. Where the image is richer in detail than the network expects
errors, as in the cerebellum, errors are larger than it says; in flat tissue they are smaller.

Reference: Vovk (2012), Conditional validity of inductive conformal predictors, Proceedings of
Machine Learning Research 25:475-490, arXiv:1209.2673 (groups: "Mondrian"); Angelopoulos, Bates
(2023), Conformal prediction: a gentle introduction, Foundations and Trends in Machine Learning
16(4):494-591, doi:10.1561/2200000101 (normalised scores).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from inversesr.priors.card import IntervalCard
from inversesr.uncertainty.coverage import FITTED_LEVEL, width

# Voxels over which detail is averaged, along each axis.
REACH = 5
# A group with fewer voxels of a scan says nothing of it.
LEAST_VOXELS = 50
LEAST_SD = 1e-9


def detail_within(x: torch.Tensor, slice_axis: int) -> torch.Tensor:
    """Return the rms of the slope within the slice around each voxel, shape of x.

    Args:
        x: Image, shape (X, Y, Z).
        slice_axis: Axis across the slices.
    """
    power = torch.zeros_like(x)
    for axis in range(3):
        if axis != slice_axis:
            power += torch.gradient(x, dim=axis)[0].square() / 2.0
    mean = functional.avg_pool3d(power[None, None], REACH, 1, REACH // 2, count_include_pad=False)
    return mean[0, 0].sqrt()


def factors_of(
    table: IntervalCard, sd: torch.Tensor, detail: torch.Tensor, bright: float
) -> torch.Tensor:
    """Return by what the expected error of each voxel is to be multiplied.

    Args:
        table: The table.
        sd: Expected error, in the intensities of the scan.
        detail: Detail around each voxel, likewise; see `detail_within`.
        bright: Bright end of the intensities.
    """
    by_sd, by_detail = (
        torch.tensor(edges, dtype=sd.dtype, device=sd.device)
        for edges in (table.sd_edges, table.detail_edges)
    )
    factors = torch.tensor(table.factors, dtype=sd.dtype, device=sd.device)
    row = torch.bucketize(sd / bright, by_sd, right=True)
    column = torch.bucketize(detail / sd.clamp_min(LEAST_SD * bright), by_detail, right=True)
    return factors[row, column]


@dataclass(frozen=True, eq=False)
class GroupedErrors:
    """Errors of one scan beside what is known without the truth, voxel by voxel, shape (n,).

    Attributes:
        ratio: |error| over expected error.
        sd_share: Expected error, as a share of the bright end.
        detail_ratio: Detail around the voxel, over expected error.
    """

    ratio: NDArray[np.float32]
    sd_share: NDArray[np.float32]
    detail_ratio: NDArray[np.float32]


def fit_table(
    scans: Sequence[GroupedErrors],
    sd_edges: Sequence[float],
    detail_edges: Sequence[float],
    level: float = FITTED_LEVEL,
) -> IntervalCard:
    """Return the table at which intervals have their nominal coverage in every group.

    In each group every scan counts by the root of its number of voxels: a large one does not
    outweigh all others, and a few voxels do not count as much as many. A group that no scan has
    takes the factor of the nearest one with the same expected error.

    Args:
        scans: Errors of several scans.
        sd_edges: Edges between groups of the expected error.
        detail_edges: Edges between groups of detail over expected error.
        level: Nominal coverage.
    """
    needed = np.full((len(sd_edges) + 1, len(detail_edges) + 1), np.nan)
    placed = [
        (np.digitize(s.sd_share, sd_edges), np.digitize(s.detail_ratio, detail_edges))
        for s in scans
    ]
    for group in np.ndindex(*needed.shape):
        ratios = [
            scan.ratio[(row == group[0]) & (column == group[1])]
            for scan, (row, column) in zip(scans, placed, strict=True)
        ]
        ratios = [r for r in ratios if r.size >= LEAST_VOXELS]
        if ratios:
            needed[group] = _weighted_quantile(ratios, level) / width(level, np.inf)
    filled = _filled(needed)
    return IntervalCard(
        tuple(sd_edges),
        tuple(detail_edges),
        tuple(tuple(round(float(f), 4) for f in row) for row in filled),
    )


def _weighted_quantile(ratios: Sequence[NDArray[np.float32]], level: float) -> float:
    values = np.concatenate(ratios)
    weights = np.concatenate([np.full(r.size, r.size**-0.5) for r in ratios])
    order = np.argsort(values)
    reached = np.cumsum(weights[order]) / weights.sum()
    return float(values[order][min(int(np.searchsorted(reached, level)), values.size - 1)])


def _filled(needed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return a table whose empty groups have the factor of the nearest one; 1 without any."""
    known = np.argwhere(np.isfinite(needed))
    found = needed.copy()
    for group in np.argwhere(~np.isfinite(needed)):
        if not len(known):
            found[tuple(group)] = 1.0
            continue
        # groups of another expected error are further away than all of the same
        far = np.abs(known - group) @ np.array([needed.shape[1], 1])
        found[tuple(group)] = needed[tuple(known[np.argmin(far)])]
    return found
