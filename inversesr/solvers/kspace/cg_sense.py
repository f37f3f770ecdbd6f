"""SENSE by conjugate gradients: argmin |A x - y|^2 + damping |x|^2.

Without a damping of its own it is Wiener's: the noise as a share of the image's deviation.

Reference: Pruessmann, Weiger, Boernert, Boesiger (2001), Advances in sensitivity encoding with
arbitrary k-space trajectories, Magnetic Resonance in Medicine 46(4):638-651,
doi:10.1002/mrm.1241.
"""

from dataclasses import dataclass

from inversesr.config import check_fields, option
from inversesr.measurements.kspace import KSpaceMeasurement
from inversesr.operators.conjugate_gradient import Effort, least_squares
from inversesr.priors.networks.image_denoiser import PART_SD
from inversesr.solvers.kspace.protocol import Entry, Reconstruction, Request

LEAST_DAMPING = 1e-4


@dataclass(frozen=True)
class CGSense:
    """Options of `cg-sense`.

    Raises:
        InputError: a value is outside its range.
    """

    n_steps: int = option(30, "Iterations at the most.", least=1)
    damping: float | None = option(
        None, "Weight of |x|^2 [default: noise variance over that of images].", least=0
    )

    def __post_init__(self) -> None:
        check_fields(self, "solver.")


def reconstruct(measurement: KSpaceMeasurement, request: Request) -> Reconstruction:
    """Return the image of least squares."""
    damping = request.options.damping
    if damping is None:
        damping = max((measurement.sigma / PART_SD) ** 2, LEAST_DAMPING)
    effort = Effort(1e-4, request.options.n_steps)
    found = least_squares(measurement.A, measurement.y, damping, effort)
    status = "converged" if found.is_converged else f"stopped after {found.n_steps} steps"
    return Reconstruction(found.d, status, found.n_steps)


METHOD = Entry("SENSE: least squares by conjugate gradients.", CGSense, reconstruct)
