"""Generates the voxels of a scan within a mask from those about it.

    minimise  |x|_TV     subject to  x_i = y_i  outside the mask

The prior of least variation (or another solver that takes any measurement) fills the region on the
scan's own voxels; what was measured stays as it is, bit by bit. Only the neighbourhood of the mask
is looked at.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from inversesr.acquisition.geometry import Acquisition
from inversesr.config import AUTOMATIC
from inversesr.measurements.linear import LinearMeasurement, linear_measurement
from inversesr.operators.sampling import Sampling
from inversesr.priors.installed import open_prior
from inversesr.solvers import registry
from inversesr.solvers.options import options_of
from inversesr.solvers.protocol import Progress
from inversesr.solvers.setup import Setup
from inversesr.volume import Image, Volume
from inversesr.workflows.fill_choices import FillConfig

# What lies farther from the mask than this has no part in it.
MARGIN_MM = 24.0
Box = tuple[slice, slice, slice]


def fill_region(
    volume: Volume, mask: Image, acquisition: Acquisition, choices: FillConfig, progress: Progress
) -> Image:
    """Return an image whose voxels within a mask were generated.

    Args:
        volume: The image.
        mask: Above 0 where it is to be filled, shape volume.grid.shape.
        acquisition: How it was taken; tells the axis across its slices.
        choices: Solver and prior.
        progress: Called with a phase, the steps done and their total.

    Raises:
        InputError: the solver takes slices only.
    """
    inside = mask > 0
    if not inside.any():
        return volume.data
    box = _box_about(inside, volume.grid.spacing_mm)
    part, hole = volume.cropped(box), inside[box]
    is_measured = torch.from_numpy(~hole)
    A = Sampling(is_measured)
    first_guess = torch.from_numpy(_nearest_filled(part.data, hole))
    y = A(torch.from_numpy(part.data))
    measurement = linear_measurement(y, A, 0.0, first_guess, part.grid)
    measurement = replace(measurement, slice_axis=acquisition.slice_axis)
    x = _solved(measurement, choices, progress)
    filled = volume.data.copy()
    filled[box] = np.where(hole, x.float().cpu().numpy(), part.data)
    return filled


def _solved(
    measurement: LinearMeasurement, choices: FillConfig, progress: Progress
) -> torch.Tensor:
    """Return the image that a solver finds."""
    name = registry.FALLBACK_NAME if choices.solver == AUTOMATIC else choices.solver
    entry = registry.find(name)
    options = options_of(entry, choices.settings) if choices.solver == name else entry.options()
    prior = open_prior(choices.prior) if entry.has_prior else None
    setup = Setup(entry, entry.complete(options, prior), prior, "exact", choices.seed, progress)
    return entry.restore(measurement, setup).x


def _nearest_filled(data: Image, hole: NDArray[np.bool_]) -> Image:
    """Return an image whose hole has the intensities of the nearest voxels that were measured."""
    nearest = distance_transform_edt(hole, return_distances=False, return_indices=True)
    return np.ascontiguousarray(data[tuple(nearest)])


def _box_about(inside: NDArray[np.bool_], spacing_mm: Sequence[float]) -> Box:
    """Return the box of a mask with a margin."""
    sides = []
    for indices, n, spacing in zip(np.nonzero(inside), inside.shape, spacing_mm, strict=True):
        margin = int(np.ceil(MARGIN_MM / spacing))
        sides.append(slice(max(0, int(indices.min()) - margin),
                           min(n, int(indices.max()) + margin + 1)))  # fmt: skip
    return sides[0], sides[1], sides[2]
