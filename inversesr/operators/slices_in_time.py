"""Slices of a series, each measured at its own time and in the pose that the head had then.

    y_k(t) = [A W_t sum_j w(t, k, j) x_j]_k

x_j are the frames of the image, all of whose voxels are of one time; w interpolates between the
frames by Keys' cubic convolution at the time t + tau_k of slice k; W_t moves the head into the
pose of volume t; A makes slices.

Reference: Keys (1981), Cubic convolution interpolation for digital image processing, IEEE
Transactions on Acoustics, Speech, and Signal Processing 29(6):1153-1160,
doi:10.1109/TASSP.1981.1163711.
"""

from dataclasses import dataclass

import numpy as np
import torch

from inversesr.operators.compose import Algebra
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.resample import RigidResample
from inversesr.operators.slice_profile import Array
from inversesr.parallel import each
from inversesr.protocols import Shape

# Keys' parameter: exact for parabolas.
KEYS = -0.5
# Positions nearer to a frame than this are at it, so that frames and slices of one time are equal.
SAME_FRAME = 1e-6
# Volumes whose frames are held at a time, before they are added up in order.
AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class Instants:
    """Which frames make up each slice of each volume.

    Attributes:
        n_frames: Number of frames.
        first: First frame that each volume needs, shape (n_volumes,).
        weights: Weights of that frame and the next ones, shape (n_volumes, n_taps, n_slices).
    """

    n_frames: int
    first: tuple[int, ...]
    weights: torch.Tensor


def instants(positions: Array, n_frames: int) -> Instants:
    """Return how slices follow from frames.

    Before the first and after the last frame the image stays as it is there.

    Args:
        positions: When each slice was measured, counted in frames from the first one, shape
            (n_volumes, n_slices).
        n_frames: Number of frames, at least 1.
    """
    dense = _cubic_convolution(positions, n_frames)
    is_needed = (dense != 0.0).any(axis=1)
    first = is_needed.argmax(axis=1)
    last = n_frames - 1 - is_needed[:, ::-1].argmax(axis=1)
    n_taps = int((last - first).max()) + 1
    first = np.minimum(first, n_frames - n_taps)
    taps = first[:, None] + np.arange(n_taps)
    kept = np.take_along_axis(dense, taps[:, None, :], axis=2)
    weights = torch.from_numpy(np.ascontiguousarray(kept.swapaxes(1, 2)))
    return Instants(n_frames, tuple(int(n) for n in first), weights)


def _cubic_convolution(positions: Array, n_frames: int) -> Array:
    """Return weights of frames at positions, shape (*positions.shape, n_frames)."""
    inside = np.clip(positions, 0.0, n_frames - 1.0)
    nearest = np.round(inside)
    inside = np.where(np.abs(inside - nearest) < SAME_FRAME, nearest, inside)
    base = np.floor(inside).astype(int)
    dense = np.zeros((*positions.shape, n_frames))
    for step in range(-1, 3):
        distance = np.abs(inside - (base + step))
        near = ((KEYS + 2.0) * distance - (KEYS + 3.0)) * distance**2 + 1.0
        far = KEYS * (((distance - 5.0) * distance + 8.0) * distance - 4.0)
        weight = np.where(distance <= 1.0, near, np.where(distance < 2.0, far, 0.0))
        frame = np.clip(base + step, 0, n_frames - 1)[..., None]
        former = np.take_along_axis(dense, frame, axis=-1)
        np.put_along_axis(dense, frame, former + weight[..., None], axis=-1)
    return dense


@dataclass(frozen=True, eq=False)
class SlicesInTime(Algebra):
    """Slices of all volumes from all frames.

    Attributes:
        slices: A, from an image in the pose of a volume to its slices.
        moves: W, one a volume; None where the head did not move.
        instants: Which frames make up each slice.
        slice_axis: Axis of a volume across the slices.
    """

    slices: LinearOperator
    moves: tuple[RigidResample | None, ...]
    instants: Instants
    slice_axis: int

    @property
    def in_shape(self) -> Shape:
        """Frames, and the shape of each."""
        moved = next((move for move in self.moves if move is not None), None)
        image = self.slices.in_shape if moved is None else moved.in_shape
        return (self.instants.n_frames, *image)

    @property
    def out_shape(self) -> Shape:
        """Volumes, and the shape of each."""
        return (len(self.moves), *self.slices.out_shape)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Measure the frames x, shape in_shape."""
        return torch.stack(each(lambda t: self._seen(t, x), range(len(self.moves))))

    def adjoint(self, y: torch.Tensor) -> torch.Tensor:
        """Spread the slices y, shape out_shape, over the frames with the same weights."""
        x = torch.zeros(self.in_shape, dtype=y.dtype, device=y.device)
        for start in range(0, len(self.moves), AT_ONCE):
            some = range(start, min(start + AT_ONCE, len(self.moves)))
            for frames, near in each(lambda t: self._spread(t, y), some):
                x[frames] += near
        return x

    def _seen(self, t: int, x: torch.Tensor) -> torch.Tensor:
        frames, weights = self._of(t, x)
        move = self.moves[t]
        near = x[frames] if move is None else move(x[frames])
        seen = torch.stack([self.slices(frame) for frame in near])
        return (weights * seen).sum(dim=0)

    def _spread(self, t: int, y: torch.Tensor) -> tuple[slice, torch.Tensor]:
        frames, weights = self._of(t, y)
        move = self.moves[t]
        near = torch.stack([self.slices.adjoint(part) for part in weights * y[t]])
        return frames, near if move is None else move.adjoint(near)

    def _of(self, t: int, like: torch.Tensor) -> tuple[slice, torch.Tensor]:
        """Return the frames that a volume needs, and their weights, to multiply slices with."""
        weights = self.instants.weights[t]
        shape = [len(weights), 1, 1, 1]
        shape[1 + self.slice_axis] = weights.shape[1]
        first = self.instants.first[t]
        return slice(first, first + len(weights)), weights.to(like).reshape(shape)
