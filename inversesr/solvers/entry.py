"""What a solver says of itself: all that others ask of it. Each solver's file has one entry."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inversesr.measurements.protocol import Measurement
    from inversesr.priors.card import PriorCard
    from inversesr.priors.installed import OpenPrior
    from inversesr.protocols import Solution
    from inversesr.solvers.setup import Setup

LATENT = ("autoencoder", "denoiser")


def _as_they_are(options: Any, _prior: "OpenPrior | None") -> Any:  # noqa: ANN401 (any options)
    return options


@dataclass(frozen=True)
class SolverEntry:
    """A solver.

    Attributes:
        summary: What it does, in a sentence.
        options: Its options class, a frozen dataclass.
        restore: The function that restores what was measured.
        networks: Roles of the networks that it needs of a prior; none for a solver without one.
        needs_encoder: Whether it encodes images too.
        is_published: Whether it stays as published: it starts from the prior alone, and nothing
            is kept from the prior without being asked for.
        draws_samples: Whether it draws posterior samples.
        fuses_scans: Whether it takes several scans.
        is_consistent: Whether its image is made consistent with the scan.
        steps: Option that counts its steps, each of which takes equally long, or "".
        is_even: Whether a block of a scan takes the time of its share of the voxels.
        bytes_per_voxel: Peak memory a voxel of the fine grid; None where it was not measured.
        least_bytes: What it needs besides, whatever the size of the scan.
        calibration: Field of the prior's card that scales its error map, or "".
        without_prior: What the report says of a solver without a prior.
        complete: Fills in options whose default depends on the prior.
        name: Its name at the command line; `registry` gives it.
    """

    summary: str
    options: type
    restore: "Callable[[Measurement, Setup], Solution]"
    networks: tuple[str, ...] = ()
    needs_encoder: bool = False
    is_published: bool = False
    draws_samples: bool = False
    fuses_scans: bool = False
    is_consistent: bool = True
    steps: str = ""
    is_even: bool = True
    bytes_per_voxel: float | None = None
    least_bytes: float = 0.0
    calibration: str = ""
    without_prior: str = ""
    complete: "Callable[[Any, OpenPrior | None], Any]" = _as_they_are
    name: str = ""

    @property
    def has_prior(self) -> bool:
        """Whether it needs a prior."""
        return bool(self.networks)

    def is_served_by(self, card: "PriorCard") -> bool:
        """Whether a prior has all networks that it needs."""
        if not set(self.networks) <= set(card.networks):
            return False
        return card.latent.has_encoder or not self.needs_encoder

    @property
    def is_latent(self) -> bool:
        """Whether it works on latents of a prior."""
        return self.networks == LATENT

    @property
    def starts_from_unet(self) -> bool:
        """Whether its first guess is the U-Net's image, where the prior has one."""
        return self.is_latent and not self.is_published
