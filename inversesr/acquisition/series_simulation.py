"""A thick-slice series from one thin-slice head, by a code path of its own.

    y_k(t) = mean over the voxel of sum_c a_c(t + tau_k) s_c(pose_t x) + noise

s_c are the head and parts of it that change in time, a_c how: a task with a haemodynamic response,
a slow wave of the vessels and a network of the resting brain. The head is sampled by cubic splines
at many points a voxel, so that a test of the restoration does not test its model against itself.

Reference: Friston et al. (1998), Event-related fMRI: characterizing differential responses,
NeuroImage 7(1):30-40, doi:10.1006/nimg.1997.0306 (the response).
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d, map_coordinates, spline_filter
from scipy.spatial.transform import Rotation
from scipy.stats import gamma

from inversesr.acquisition.foreground import BRIGHT_PERCENTILE, foreground
from inversesr.operators.slice_profile import FWHM_PER_SIGMA
from inversesr.volume import Affine, Grid, Image, Volume

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
# Largest changes of intensity: by the task, the wave and the network.
SHARES = (0.03, 0.02, 0.02)
WAVE_HZ, NETWORK_HZ = 0.09, (0.01, 0.12)
N_WAVES = 8
N_PLACES = {"task": 8, "network": 5}
RADIUS_MM = {"task": (4.0, 7.0), "network": (8.0, 14.0)}
LEAST_EVENT_S, MEAN_EVENT_S = 4.0, 5.0
# Distance between points at which a voxel is sampled.
SAMPLE_MM = 1.0
# Full width at half maximum of the point spread within the slice, beside the voxel itself.
PSF_VOXELS = 1.0


@dataclass(frozen=True)
class SeriesTask:
    """What series is made.

    Attributes:
        voxel_mm: Voxel size within the slice, and of the truth.
        thickness_mm: Slice thickness.
        tr_s: Time between volumes.
        n_volumes: Number of volumes.
        n_at_once: Slices that are excited at once (multiband factor).
        motion_mm: Size of the motion, in mm and in degrees.
        noise: Rician noise as a share of the brightest intensity.
        seed: Seed of everything random.
    """

    voxel_mm: float = 2.0
    thickness_mm: float = 6.0
    tr_s: float = 3.0
    n_volumes: int = 40
    n_at_once: int = 1
    motion_mm: float = 1.0
    noise: float = 0.015
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Simulated:
    """A series and the truth behind it.

    Attributes:
        y: Thick slices, shape (n_volumes, *grid.shape).
        grid: Their voxels; slices lie along the last axis.
        fine: Voxels of the truth, in the pose of the first volume.
        slice_times_s: When each slice is measured after the start of its volume.
        poses: World of the first volume from world of each volume.
        task: What was made.
        parts: The head, and what changes with the task, the wave and the network, on `fine`.
        phases: What else decides how the parts change.
    """

    y: Image
    grid: Grid
    fine: Grid
    slice_times_s: Array
    poses: tuple[Affine, ...]
    task: SeriesTask
    parts: Image
    phases: "Phases" = field(repr=False)

    @property
    def is_active(self) -> Mask:
        """Where the task is seen, on `fine`."""
        head = np.maximum(self.parts[0], 1e-6)
        return np.asarray(self.parts[1] > 0.5 * SHARES[0] * head)

    def truth(self, time_s: float) -> Image:
        """Return the head at a moment, in the pose of the first volume."""
        return np.tensordot(self.phases.at(time_s), self.parts, axes=1).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Phases:
    """How parts of the head change in time.

    Attributes:
        events_s: When the task was done.
        waves: Frequency in Hz, phase and weight of each wave of the network, shape (n, 3).
    """

    events_s: Array
    waves: Array

    def at(self, time_s: float) -> Array:
        """Return the weight of the head and of its changing parts."""
        network = self.waves[:, 2] @ np.sin(
            2.0 * np.pi * self.waves[:, 0] * time_s + self.waves[:, 1]
        )
        wave = np.sin(2.0 * np.pi * WAVE_HZ * time_s)
        return np.array([1.0, self.response(time_s), wave, network])

    def response(self, time_s: float) -> float:
        """Return the response to the task, 1 at the top of one event's."""
        return float(haemodynamic_response(time_s - self.events_s).sum())


def haemodynamic_response(seconds: Array) -> Array:
    """Return the response to an event, by the difference of two gamma densities; its top is 1."""
    shape = gamma.pdf(seconds, 6.0) - gamma.pdf(seconds, 16.0) / 6.0
    return np.asarray(shape / 0.1755)


def simulate_series(head: Volume, task: SeriesTask) -> Simulated:
    """Make a thick-slice series of a thin-slice head.

    Args:
        head: Thin-slice image, voxels of about 1 mm; slices are made along its last axis.
        task: What series is made.
    """
    rng = np.random.default_rng(task.seed)
    parts = _parts(head, rng)
    duration = task.n_volumes * task.tr_s
    phases = _phases(duration, rng)
    poses = _poses(head.grid, task, rng)
    extent = np.array(head.grid.shape) * head.grid.spacing_mm
    n = (extent // np.array([task.voxel_mm, task.voxel_mm, task.thickness_mm])).astype(int)
    thick = (task.voxel_mm, task.voxel_mm, task.thickness_mm)
    grid = head.grid.respaced((int(n[0]), int(n[1]), int(n[2])), thick)
    n_thin = round(n[2] * task.thickness_mm / task.voxel_mm)
    fine = grid.respaced((int(n[0]), int(n[1]), n_thin), (task.voxel_mm,) * 3)
    times = interleaved(int(n[2]), task.tr_s, task.n_at_once)
    # what echo-planar sequences resolve within the slice
    width = PSF_VOXELS * task.voxel_mm / FWHM_PER_SIGMA
    for axis in (0, 1):
        per_axis = width / head.grid.spacing_mm[axis]
        parts = [gaussian_filter1d(part, per_axis, axis=axis) for part in parts]
    filtered = [spline_filter(parts[0], output=np.float32), *parts[1:]]
    y = np.empty((task.n_volumes, *grid.shape), np.float32)
    for t, pose in enumerate(poses):
        seen = _sampled(filtered, head.grid, grid, pose)
        weights = np.array([phases.at(t * task.tr_s + tau) for tau in times])
        y[t] = np.einsum("cxyk,kc->xyk", seen, weights)
    sigma = task.noise * float(np.percentile(head.data[foreground(head.data)], BRIGHT_PERCENTILE))
    real, imaginary = sigma * rng.standard_normal((2, *y.shape), dtype=np.float32)
    shown = _sampled(filtered, head.grid, fine, np.eye(4))
    y = np.hypot(np.maximum(y, 0.0) + real, imaginary)
    return Simulated(y, grid, fine, times, tuple(poses), task, shown, phases)


def interleaved(n_slices: int, tr_s: float, n_at_once: int = 1) -> Array:
    """Return when slices are measured: every second one first, several at once."""
    n_groups = -(-n_slices // n_at_once)
    order = [*range(0, n_groups, 2), *range(1, n_groups, 2)]
    starts = np.empty(n_groups)
    starts[order] = np.arange(n_groups) * tr_s / n_groups
    return np.asarray(np.tile(starts, n_at_once)[:n_slices])


def _parts(head: Volume, rng: np.random.Generator) -> list[Image]:
    """Return the head and what changes of it."""
    inside = np.argwhere(head.data > 0.3 * np.percentile(head.data, BRIGHT_PERCENTILE))
    parts = [head.data]
    where = np.stack(np.meshgrid(*map(np.arange, head.grid.shape), indexing="ij"), axis=-1)
    spacing = np.array(head.grid.spacing_mm)
    maps = []
    for name in ("task", "network"):
        shape = np.zeros(head.grid.shape, np.float32)
        for _ in range(N_PLACES[name]):
            centre, radius = inside[rng.integers(len(inside))], rng.uniform(*RADIUS_MM[name])
            distance = np.linalg.norm((where - centre) * spacing, axis=-1)
            shape = np.maximum(shape, 1.0 / (1.0 + np.exp(2.0 * (distance - radius))))
        maps.append(shape)
    slope = where @ (rng.standard_normal(3) / np.array(head.grid.shape))
    vessels = 0.5 + 0.5 * np.sin(2.0 * np.pi * slope)
    for share, shape in zip(SHARES, (maps[0], vessels, maps[1]), strict=True):
        parts.append((share * shape * head.data).astype(np.float32))
    return parts


def _phases(duration_s: float, rng: np.random.Generator) -> Phases:
    gaps = LEAST_EVENT_S + rng.exponential(MEAN_EVENT_S, int(duration_s))
    events = np.cumsum(gaps)
    low, high = NETWORK_HZ
    waves = np.stack(
        [rng.uniform(low, high, N_WAVES), rng.uniform(0.0, 2.0 * np.pi, N_WAVES),
         rng.uniform(0.2, 0.5, N_WAVES)], axis=1,
    )  # fmt: skip
    return Phases(events[events < duration_s], waves)


def _poses(grid: Grid, task: SeriesTask, rng: np.random.Generator) -> list[Affine]:
    """Return a slow wandering with small jerks, which begins at the identity."""
    steps = rng.standard_normal((task.n_volumes, 6)) * 0.25
    walk = np.cumsum(steps, axis=0)
    walk -= walk[0]
    walk *= task.motion_mm / max(float(np.abs(walk).max()), 1e-9)
    centre = grid.affine[:3, :3] @ ((np.array(grid.shape) - 1) / 2.0) + grid.affine[:3, 3]
    poses = []
    for motion in walk:
        pose = np.eye(4)
        pose[:3, :3] = Rotation.from_euler("xyz", motion[:3], degrees=True).as_matrix()
        pose[:3, 3] = centre - pose[:3, :3] @ centre + motion[3:]
        poses.append(pose)
    return poses


def _sampled(filtered: list[Image], own: Grid, grid: Grid, pose: Affine) -> Image:
    """Return the mean of images over the voxels of a grid that lies in another pose."""
    n_points = [max(1, round(size / SAMPLE_MM)) for size in grid.spacing_mm]
    shape = tuple(n * m for n, m in zip(grid.shape, n_points, strict=True))
    dense = grid.respaced(shape, tuple(np.array(grid.spacing_mm) / n_points))  # type: ignore[arg-type]
    own_from_dense = np.linalg.inv(own.affine) @ pose @ dense.affine
    places = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij")).reshape(3, -1)
    coordinates = own_from_dense[:3, :3] @ places + own_from_dense[:3, 3:]
    split = [size for n, m in zip(grid.shape, n_points, strict=True) for size in (n, m)]
    # the head by cubic splines; what changes by a few percent of it by straight lines
    seen = [map_coordinates(filtered[0], coordinates, order=3, prefilter=False, mode="nearest")]
    seen += [map_coordinates(part, coordinates, order=1, mode="nearest") for part in filtered[1:]]
    means = [image.reshape(split).mean(axis=(1, 3, 5)) for image in seen]
    return np.stack(means).astype(np.float32)
