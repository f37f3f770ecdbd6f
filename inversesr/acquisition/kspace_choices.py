"""Every choice of a simulated scan of k-space. Imports no torch."""

from dataclasses import dataclass

from inversesr.config import check_fields, option

MASK_KINDS = ("uniform", "random", "variable", "poisson")


@dataclass(frozen=True)
class KSpaceSimulation:
    """How undersampled k-space is made from an image.

    Raises:
        InputError: a value is outside its range.
    """

    coils: int = option(8, "Receiver coils on a ring about the head.", least=1)
    mask: str = option(
        "variable",
        "Samples that are taken: lines evenly apart, at random, at random with more of them in "
        "the middle, or points that keep their distance.",
        flag="--mask-kind",
        choices=MASK_KINDS,
    )
    acceleration: float = option(4.0, "Samples of all k-space to one that is taken.", least=1)
    calibration: int = option(24, "Side of the middle that is taken wholly.", least=0)
    noise: float = option(
        0.0, "Noise of each part of a sample, as a share of the brightest intensity.", least=0
    )
    noise_scan: int = option(0, "Samples of a noise scan to add.", least=0)
    is_3d: bool = option(
        False,  # noqa: FBT003
        "A 3D scan with two phase-encoded axes, in place of slices.",
        flag="--3d",
    )
    n_slices: int = option(
        1, "Slices about the middle of the image; 0 for all.", flag="--slices", least=0
    )
    axis: str = option("S", "Anatomical direction across the slices.", choices=("R", "A", "S"))
    seed: int = option(0, "Seed of mask, phase and noise.", least=0)

    def __post_init__(self) -> None:
        check_fields(self)
