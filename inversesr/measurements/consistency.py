"""Agreement of a restored image with the slices that were measured.

make_consistent(x) = x + A'(A A')^-1 (y - A x)        the nearest image that reproduces y
"""

from dataclasses import dataclass

import torch

from inversesr.acquisition.foreground import air_level
from inversesr.config import AUTOMATIC
from inversesr.operators.inner_product import n_numbers
from inversesr.operators.protocol import LinearOperator
from inversesr.operators.proximal import nearest_within

BRIGHT_QUANTILE = 0.999
# Noise that is met exactly, as a share of the scan's bright end. Measured: at 2 % both ways are
# about as good, at 3 % the exact one is up to 0.9 dB worse, and may be below splines.
LARGEST_EXACT_NOISE = 0.025
# The same for slices nearly as thin as the result, where exact agreement is a deconvolution. At
# 0.5 % the exact image is the better one, at 1 % it may be below splines (docs/decisions, 027).
LARGEST_EXACT_NOISE_OF_THIN = 0.009


@dataclass(frozen=True)
class Agreement:
    """How well A x reproduces y.

    Attributes:
        rms: Root mean square of A x - y, in the scan's intensities.
        largest: Largest absolute difference.
        largest_share: The same as a share of the scan's intensity range.
        rms_by_slice: Root mean square within each slice.
    """

    rms: float
    largest: float
    largest_share: float
    rms_by_slice: tuple[float, ...]


def automatic_consistency(
    y: torch.Tensor, sigma: float, wanted: str = AUTOMATIC, *, is_nearly_isotropic: bool = False
) -> tuple[str, tuple[str, ...]]:
    """Return the data consistency that was asked for; for "auto", the one that suits a scan.

    An exactly consistent image has the noise of the slices. Above a few percent of the
    intensities that costs more than consistency gains.

    Args:
        y: Scan.
        sigma: Standard deviation of its noise.
        wanted: "auto", "exact", "noise" or "off".
        is_nearly_isotropic: Whether the slices are hardly thicker than the voxels of the result.

    Returns:
        Data consistency, "exact" or "noise" for "auto", and what a reader should know of the
        choice, in sentences.
    """
    if wanted != AUTOMATIC:
        return wanted, ()
    bright = torch.kthvalue(y.flatten(), max(1, round(BRIGHT_QUANTILE * y.numel()))).values
    share = sigma / max(float(bright) - air_level(y.cpu().numpy()), 1e-30)
    if share <= (LARGEST_EXACT_NOISE_OF_THIN if is_nearly_isotropic else LARGEST_EXACT_NOISE):
        return "exact", ()
    if is_nearly_isotropic:
        return "noise", (
            f"the slices are nearly as thin as those of the result, and noisy ({share:.1%} of the "
            "brightest tissue): the result agrees with them to within their noise, which exact "
            "agreement would amplify; give --consistency exact to reproduce them",
        )
    return "noise", (
        f"the scan is noisy ({share:.1%} of its brightest tissue): the result agrees with it to "
        "within its noise; give --consistency exact to reproduce the slices, noise and all",
    )


def make_consistent(
    A: LinearOperator, x: torch.Tensor, y: torch.Tensor, sigma: float
) -> torch.Tensor:
    """Return the image nearest to x that agrees with the scan.

    Args:
        A: Forward operator.
        x: Image, shape A.in_shape.
        y: Scan, shape A.out_shape.
        sigma: Noise standard deviation to which the scan is to be met; 0 for exactly.
    """
    return nearest_within(A, x, y, sigma * n_numbers(y) ** 0.5).x


def agreement(y_of_x: torch.Tensor, y: torch.Tensor, slice_axis: int) -> Agreement:
    """Compare a restored image, degraded again, with the scan.

    Args:
        y_of_x: A x, the shape of y.
        y: Scan.
        slice_axis: Axis across the slices.
    """
    difference = (y_of_x - y).double()
    squared = difference.square()
    within = [axis for axis in range(y.ndim) if axis != slice_axis]
    largest = float(difference.abs().max())
    return Agreement(
        rms=float(squared.mean().sqrt()),
        largest=largest,
        largest_share=largest / float(y.max() - y.min()),
        rms_by_slice=tuple(squared.mean(dim=within).sqrt().tolist()),
    )
