"""What follows the motion of the head in a series: errors of its interpolation, not changes of it.

    y(t) - A W_t m = sum_c q_c(t) b_c + ...

q_c are the courses of the motion over the whole series and a constant, b_c images of slices, found
by least squares. A moving head is never interpolated exactly, and what is left looks like its edges.

Reference: Friston et al. (1996), Movement-related effects in fMRI time-series, Magnetic Resonance
in Medicine 35(3):346-355, doi:10.1002/mrm.1910350312.
"""  # noqa: E501

from dataclasses import dataclass

import numpy as np
import torch

from inversesr.measurements.series import SeriesModel
from inversesr.operators.slice_profile import Array
from inversesr.workflows.series.mean import Read, still_operator

# Volumes from which on what follows the motion is told from what does not: four a course.
LEAST_VOLUMES, LEAST_MOTION = 28, 1e-3
AT_ONCE = 8


@dataclass(frozen=True, eq=False)
class Motion:
    """What follows the motion.

    Attributes:
        courses: q, orthonormal over all volumes, shape (n_volumes, n).
        images: b, shape (n, *shape of a volume).
    """

    courses: Array
    images: torch.Tensor

    def of(self, volumes: range) -> torch.Tensor:
        """Return what follows the motion in some volumes, shape (len(volumes), *volume)."""
        courses = torch.from_numpy(self.courses[volumes.start : volumes.stop]).to(self.images)
        found: torch.Tensor = torch.tensordot(courses, self.images, dims=1)
        return found


def find_motion(read: Read, model: SeriesModel, mean: torch.Tensor) -> Motion:
    """Find what follows the motion in what the mean does not explain.

    Args:
        read: Returns a volume by its number.
        model: Model of the series, with its poses.
        mean: What does not change, shape model.wide.shape.
    """
    courses = courses_of_motion(model)
    images = torch.zeros(courses.shape[1], *read(0).shape, dtype=mean.dtype, device=mean.device)
    for start in range(0, model.n_volumes, AT_ONCE):
        some = range(start, min(start + AT_ONCE, model.n_volumes))
        y = torch.stack([read(t) for t in some])
        left = y - still_operator(model, list(some))(mean[None])
        weights = torch.from_numpy(courses[some.start : some.stop].T.copy()).to(left)
        images += torch.tensordot(weights, left, dims=1)
    return Motion(courses, images)


def courses_of_motion(model: SeriesModel) -> Array:
    """Return an orthonormal basis of a constant and of the motion, shape (n_volumes, n).

    Of few volumes it is the constant alone: six courses more would explain most of what changes.

    Args:
        model: Model of the series, with its poses.
    """
    n = model.n_volumes
    columns = [np.ones(n)]
    moves = np.array([pose[:3].flatten() for pose in model.poses])
    moves -= moves.mean(axis=0)
    if n >= LEAST_VOLUMES and np.abs(moves).max() > 0.0:
        # a pose has twelve numbers and six freedoms: what is left of the others is curvature
        U, s, _ = np.linalg.svd(moves / np.maximum(np.abs(moves).max(axis=0), 1e-9))
        columns += [U[:, c] for c in range(6) if s[c] > LEAST_MOTION * s[0]]
    basis, _ = np.linalg.qr(np.stack(columns, axis=1))
    return np.ascontiguousarray(basis)
