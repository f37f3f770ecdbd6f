"""Thick slices from thin ones, by a code path of its own.

    y(slice) = sum_k w_k x(slice + offset_k) + noise,     x(.) by cubic spline interpolation

The image is sampled at many offsets across the slice and averaged with the profile's weights. The
solvers' forward model integrates voxels instead, so a test of a solver on simulated scans does
not test it against itself.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform, map_coordinates, spline_filter
from scipy.spatial.transform import Rotation

from inversesr.acquisition.foreground import BRIGHT_PERCENTILE, foreground
from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.errors import InputError
from inversesr.operators.slice_profile import PROFILES
from inversesr.volume import Affine, Grid, Image, Volume

WORLD_AXES = {"R": 0, "A": 1, "S": 2}
# Distance between samples across a slice, and how far the profile reaches, in thicknesses.
SAMPLE_STEP_MM = 0.25
LEAST_SAMPLES = 16
PROFILE_REACH = {"rect": 0.5, "gaussian": 1.5, "slr": 1.5}
SPLINE_MARGIN = 12
# offsets across a slice, and their weights
Samples = tuple[NDArray[np.float64], NDArray[np.float64]]


def simulate(truth: Volume, config: SimulateConfig) -> Volume:
    """Make a thick-slice scan.

    Args:
        truth: Thin-slice image.
        config: Thickness, gap, profile, direction, tilt and noise.

    Returns:
        The scan, with the voxels of truth along two axes and thick slices along the third. An
        untilted scan starts at a voxel edge of truth and covers all of it.

    Raises:
        InputError: there would be fewer than 3 slices, or they are thinner than those of truth.
    """
    axis = slice_axis_towards(truth.grid, config.axis)
    grid = _thick_grid(truth.grid, axis, config)
    truth_from_scan = np.linalg.inv(truth.grid.affine) @ grid.affine
    clean = _average(truth, grid, truth_from_scan, axis, config)
    if config.noise == 0.0:
        return Volume(clean, grid)
    bright = float(np.percentile(truth.data[foreground(truth.data)], BRIGHT_PERCENTILE))
    return Volume(_rician(clean, config.noise * bright, config.seed), grid)


def slice_axis_towards(grid: Grid, world_axis: str) -> int:
    """Return the voxel axis that runs most nearly along R, A or S."""
    return int(np.argmax(np.abs(grid.directions[WORLD_AXES[world_axis]])))


def _thick_grid(grid: Grid, axis: int, config: SimulateConfig) -> Grid:
    spacing = config.thickness_mm + config.gap_mm
    thin, n_thin = grid.spacing_mm[axis], grid.shape[axis]
    n = int(np.ceil(n_thin * thin / spacing - 1e-6))
    if n < 3:
        message = (
            f"slices every {spacing:.4g} mm are {n} in an image of {n_thin * thin:.4g} mm; "
            "expected at least 3: give a smaller --thickness"
        )
        raise InputError(message)
    if spacing <= thin:
        message = (
            f"slices every {spacing:.4g} mm are not coarser than the image's {thin:.4g} mm: give "
            "a larger --thickness, or an image of thin slices"
        )
        raise InputError(message)
    # whole voxels stick out before the first one, so that a fine grid can fall onto truth's
    before = np.floor((n * spacing - n_thin * thin) / 2.0 / thin + 1e-6)
    scan_to_thin = np.eye(4)
    scan_to_thin[axis, axis] = spacing / thin
    scan_to_thin[axis, 3] = spacing / thin / 2.0 - 0.5 - before
    shape = list(grid.shape)
    shape[axis] = n
    thick = Grid((shape[0], shape[1], shape[2]), grid.affine @ scan_to_thin)
    return thick if config.rotate == 0.0 else _tilted(thick, axis, config.rotate)


def _tilted(grid: Grid, axis: int, degrees: float) -> Grid:
    """Rotate a grid about its centre, around its first in-plane axis."""
    pivot = next(a for a in range(3) if a != axis)
    turn = Rotation.from_rotvec(np.deg2rad(degrees) * grid.directions[:, pivot]).as_matrix()
    middle = grid.affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2.0) + grid.affine[:3, 3]
    affine = np.eye(4)
    affine[:3, :3] = turn @ grid.affine[:3, :3]
    affine[:3, 3] = middle + turn @ (grid.affine[:3, 3] - middle)
    return Grid(grid.shape, affine)


def _average(
    truth: Volume, grid: Grid, truth_from_scan: Affine, axis: int, config: SimulateConfig
) -> Image:
    """Weighted mean of the image at offsets across each slice."""
    spacing = config.thickness_mm + config.gap_mm
    offsets_mm, weights = _profile_samples(config)
    average = _average_along if config.rotate == 0.0 else _average_tilted
    total = average(truth.data, grid, truth_from_scan, axis, (offsets_mm / spacing, weights))
    # interpolation overshoots below zero at sharp edges, where a magnitude cannot go
    magnitude = np.clip(total, min(0.0, float(truth.data.min())), None)
    return np.asarray(magnitude, dtype=np.float32)


def _average_along(
    x: Image, grid: Grid, truth_from_scan: Affine, axis: int, samples: Samples
) -> NDArray[np.float64]:
    """Average where slices are parallel to the voxels: interpolation acts along one axis alone.

    The matrix of that axis is what interpolation and average make of each unit vector.
    """
    n = x.shape[axis]
    scale, first = truth_from_scan[axis, axis], truth_from_scan[axis, 3]
    units = np.pad(np.eye(n), ((SPLINE_MARGIN, SPLINE_MARGIN), (0, 0)), mode="edge")
    matrix = np.zeros((grid.shape[axis], n))
    for offset, weight in zip(*samples, strict=True):
        rows = scale * (np.arange(grid.shape[axis]) + offset) + first + SPLINE_MARGIN
        places = np.meshgrid(rows, np.arange(n), indexing="ij")
        matrix += weight * map_coordinates(units, places, order=3, mode="nearest")
    return np.moveaxis(np.tensordot(x.astype(np.float64), matrix, axes=(axis, 1)), -1, axis)


def _average_tilted(
    x: Image, grid: Grid, truth_from_scan: Affine, axis: int, samples: Samples
) -> NDArray[np.float64]:
    """Average along any direction."""
    padded = np.pad(x.astype(np.float64), SPLINE_MARGIN, mode="edge")
    coefficients = spline_filter(padded, output=np.float32)
    total = np.zeros(grid.shape, dtype=np.float64)
    for offset, weight in zip(*samples, strict=True):
        shifted = truth_from_scan.copy()
        shifted[:3, 3] += truth_from_scan[:3, axis] * offset + SPLINE_MARGIN
        total += weight * affine_transform(
            coefficients, shifted, output_shape=grid.shape, prefilter=False, mode="nearest"
        )
    return total


def _profile_samples(config: SimulateConfig) -> Samples:
    """Offsets across a slice in mm, and their weights."""
    reach = PROFILE_REACH[config.profile]
    width = 2.0 * reach * config.thickness_mm
    n = max(LEAST_SAMPLES, int(np.ceil(width / SAMPLE_STEP_MM)))
    edges = np.linspace(-reach, reach, n + 1)
    weights = np.diff(PROFILES[config.profile](edges))
    return (edges[:-1] + edges[1:]) / 2.0 * config.thickness_mm, weights / weights.sum()


def _rician(clean: Image, sigma: float, seed: int) -> Image:
    """Magnitude of the image with complex Gaussian noise."""
    rng = np.random.default_rng(seed)
    real = clean + sigma * rng.standard_normal(clean.shape, dtype=np.float32)
    imaginary = sigma * rng.standard_normal(clean.shape, dtype=np.float32)
    found: Image = np.hypot(real, imaginary).astype(np.float32)
    return found
