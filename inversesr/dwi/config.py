"""Choices of a run on a diffusion series. Imports no torch."""

from dataclasses import dataclass

from inversesr.config import (
    BUILTIN_PRIOR,
    PROFILE_NAMES,
    SMALLEST_SPACING_MM,
    check_fields,
    option,
)


@dataclass(frozen=True)
class DwiConfig:
    """Choices of `inversesr dwi run`.

    Raises:
        InputError: a value is outside its range.
    """

    prior: str = option(BUILTIN_PRIOR, "Prior of the guides: a name or a folder.", unit="NAME|DIR")
    spacing_mm: float | None = option(
        None,
        "Distance between thin slices, rounded so that a whole number of them makes a slice "
        "[default: the voxel size within slices].",
        flag="--spacing",
        unit="MM",
        least=SMALLEST_SPACING_MM,
    )
    thickness_mm: float | None = option(
        None,
        "Slice thickness [default: sidecar JSON, else the distance between slices].",
        flag="--thickness",
        unit="MM",
        least=SMALLEST_SPACING_MM,
    )
    gap_mm: float | None = option(
        None, "Gap between slices [default: distance - thickness].", flag="--gap", unit="MM"
    )
    profile: str = option("rect", "Slice profile.", choices=PROFILE_NAMES)
    noise: float | None = option(
        None,
        "Noise standard deviation in the scan's own intensities [default: estimated].",
        least=0,
    )
    threads: int | None = option(None, "Processor threads [default: all].", least=1)
    seed: int = option(0, "Seed of everything random.", least=0)

    def __post_init__(self) -> None:
        check_fields(self)
