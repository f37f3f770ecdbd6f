"""A series of volumes as a measurement: each slice at its own time, in the pose of its volume.

    y_k(t) = [A W_t x(t TR + tau_k)]_k + noise

The image x has frames all of whose voxels are of one time. It lies in the pose of the volume to
which motion is referred and reaches a little farther than the slices, for what moves into them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np

from inversesr.acquisition.geometry import Acquisition, fine_grid, forward_operator
from inversesr.acquisition.registration import motion_mm
from inversesr.operators.resample import RigidResample
from inversesr.operators.separable import SeparableOperator
from inversesr.operators.slice_profile import Array
from inversesr.operators.slices_in_time import SlicesInTime, instants
from inversesr.volume import Affine, Grid

# A head that moves by less than this, at every corner of the image, is at rest.
STILL_MM = 0.02
# Fine voxels beyond the slices: a larger motion leaves nothing to be compared there.
MOST_BEYOND = 8


@dataclass(frozen=True, eq=False)
class SeriesModel:
    """How a series was measured, and what is to be known.

    Attributes:
        scan_grid: Voxels of each volume.
        acquisition: How slices were taken.
        slice_times_s: When each slice was measured after the start of its volume.
        tr_s: Time between volumes.
        frame_s: Time between frames.
        poses: World of the image from world of each volume.
    """

    scan_grid: Grid
    acquisition: Acquisition
    slice_times_s: Array
    tr_s: float
    frame_s: float
    poses: tuple[Affine, ...]

    @property
    def slice_axis(self) -> int:
        """Axis across the slices."""
        return self.acquisition.slice_axis

    @property
    def n_volumes(self) -> int:
        """Number of volumes."""
        return len(self.poses)

    @property
    def n_frames(self) -> int:
        """Number of frames: they last as long as the series."""
        return max(1, round(self.n_volumes * self.tr_s / self.frame_s))

    @cached_property
    def fine(self) -> Grid:
        """Voxels of the result, and of an image in the pose of a volume."""
        return fine_grid(self.scan_grid, self.acquisition)

    @cached_property
    def A(self) -> SeparableOperator:
        """From an image in the pose of a volume to its slices."""
        return forward_operator(self.scan_grid, self.fine, self.acquisition)

    @cached_property
    def n_beyond(self) -> int:
        """Fine voxels by which the image goes on beyond the slices, at either end."""
        if max(motion_mm(pose, self.fine) for pose in self.poses) < STILL_MM:
            return 0
        n, axis = self.fine.shape, self.slice_axis
        corners = np.array(np.meshgrid(*[(0, m - 1) for m in n])).reshape(3, -1)
        places = np.vstack([corners, np.ones(8)])
        fine_from_ras = np.linalg.inv(self.fine.affine)
        moved = [(fine_from_ras @ pose @ self.fine.affine @ places)[axis] for pose in self.poses]
        farthest = float(np.abs(np.array(moved) - corners[axis]).max())
        return min(int(np.ceil(farthest)), MOST_BEYOND)

    @cached_property
    def wide(self) -> Grid:
        """Voxels of the image: those of the result, and some beyond the slices."""
        shape = list(self.fine.shape)
        shape[self.slice_axis] += 2 * self.n_beyond
        return self.fine.respaced((shape[0], shape[1], shape[2]), self.fine.spacing_mm)

    def move(self, pose: Affine) -> RigidResample | None:
        """Return what brings the image into the pose of a volume; None where it is there."""
        if self.n_beyond == 0 and motion_mm(pose, self.fine) < STILL_MM:
            return None
        return RigidResample(self.wide, self.fine, pose)

    def operator(self, volumes: range, frames: range) -> SlicesInTime:
        """Return the operator of some of the volumes.

        Args:
            volumes: The volumes.
            frames: Frames by which they are explained.
        """
        starts = np.array(volumes)[:, None] * self.tr_s
        positions = (starts + self.slice_times_s) / self.frame_s - frames.start
        moves = tuple(self.move(self.poses[t]) for t in volumes)
        return SlicesInTime(self.A, moves, instants(positions, len(frames)), self.slice_axis)

    def frames_of(self, volumes: range) -> range:
        """Return the frames from the start of some volumes to their end."""
        ratio = self.tr_s / self.frame_s
        first, last = (int(np.ceil(t * ratio - 1e-9)) for t in (volumes.start, volumes.stop))
        return range(first, self.n_frames if volumes.stop == self.n_volumes else last)

    def volume_at(self, frame: int) -> int:
        """Return the volume that was being measured at a frame."""
        return min(int(frame * self.frame_s / self.tr_s + 1e-9), self.n_volumes - 1)


def windows(n_volumes: int, size: int, overlap: int) -> Sequence[tuple[range, range]]:
    """Divide volumes into windows: those that are restored, and those that are looked at for it.

    Args:
        n_volumes: Number of volumes.
        size: Largest number of volumes looked at.
        overlap: Number of volumes looked at before and after those that are restored.
    """
    if n_volumes <= size:
        return [(range(n_volumes), range(n_volumes))]
    step = max(1, size - 2 * overlap)
    n = -(-n_volumes // step)
    edges = [round(k * n_volumes / n) for k in range(n + 1)]
    found = []
    for start, stop in pairwise(edges):
        # at the ends a window reaches farther inwards, so that all are about as long
        low = min(max(0, start - overlap), max(0, n_volumes - size))
        high = min(max(stop + overlap, low + size), n_volumes)
        found.append((range(start, stop), range(low, high)))
    return found
