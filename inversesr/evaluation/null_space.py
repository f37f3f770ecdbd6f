"""The part of an error that no slice has measured: what a solver had to know or guess.

e = x - x_true,      e_0 = e - A^+ A e,      PSNR_0 = 10 log10(range^2 / mean e_0^2)

Data consistency moves an image only within the range of A': PSNR_0 is the same before and after.
"""

from dataclasses import dataclass

import numpy as np
import torch

from inversesr.acquisition.foreground import foreground
from inversesr.errors import InputError
from inversesr.evaluation.metrics import intensity_range
from inversesr.evaluation.scores import LEAST_VOXELS, onto
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.proximal import project
from inversesr.volume import Grid, Volume


@dataclass(frozen=True, eq=False)
class NullSpaceScore:
    """Scores images against a known truth; see `null_space_score`.

    Attributes:
        A: Forward operator, fine grid -> scan grid.
        truth: The truth on the fine grid, shape A.in_shape.
        inside: Voxels that count, the same shape.
        data_range: Intensity range that the score refers to.
    """

    A: LinearOperator
    truth: torch.Tensor
    inside: torch.Tensor
    data_range: float

    def __call__(self, x: torch.Tensor) -> float:
        """Return the PSNR in dB of what no slice has measured; inf without any error.

        Args:
            x: Image on the fine grid in the intensities of the truth, shape A.in_shape.
        """
        error = x.to(self.truth) - self.truth
        unseen = project(self.A, error, torch.zeros_like(self.A(error))).x
        mean_square = float(unseen[self.inside].square().mean(dtype=torch.float64))
        if mean_square == 0.0:
            return float("inf")
        return float(10.0 * np.log10(self.data_range**2 / mean_square))


def null_space_score(A: LinearOperator, fine: Grid, truth: Volume) -> NullSpaceScore:
    """Prepare the score of images on a fine grid.

    Args:
        A: Forward operator, fine grid -> scan grid.
        fine: Grid of the images to score.
        truth: What they should be; its foreground counts. Beyond its edge the outermost voxels
            are repeated, as `simulate` does.

    Raises:
        InputError: the fine grid meets next to nothing of the foreground.
    """
    x, covered, _ = onto(truth, fine)
    is_foreground = foreground(truth.data).astype(np.float32)
    inside = covered & (onto(truth.with_data(is_foreground), fine)[0] > 0.5)
    if int(inside.sum()) < LEAST_VOXELS:
        message = (
            f"the image meets {int(inside.sum())} voxels of the truth's foreground; expected "
            f"{LEAST_VOXELS} at least: check that both are of the same subject"
        )
        raise InputError(message)
    data_range = intensity_range(truth.data)
    return NullSpaceScore(A, torch.from_numpy(x), torch.from_numpy(inside), data_range)
