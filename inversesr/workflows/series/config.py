"""Every choice of `inversesr series`. Imports no torch."""

from dataclasses import dataclass

from inversesr.config import (
    AUTOMATIC,
    BUILTIN_PRIOR,
    CONSISTENCY_NAMES,
    DEVICE_NAMES,
    PROFILE_NAMES,
    SMALLEST_SPACING_MM,
    Config,
    check_fields,
    option,
)

TEMPORAL_NAMES = ("low-rank", "tv", "none")
SPACE_NAMES = (AUTOMATIC, "unet", "tv", "spline")
SHORTEST_STEP_S = 0.01
# One pass on the mean of many volumes; the error of the mean says nothing of the volumes.
OF_THE_MEAN = ("solver.adapt_steps=0", "solver.expected_error=false")


@dataclass(frozen=True)
class SeriesConfig:
    """How a series is restored.

    Raises:
        InputError: a value is outside its range.
    """

    tr: float | None = option(
        None,
        "Time between the volumes that are written [default: that of the series].",
        unit="SECONDS",
        least=SHORTEST_STEP_S,
    )
    spacing_mm: float | None = option(
        None,
        "Distance between thin slices [default: the voxel size within the slice].",
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
    profile: str = option("rect", "Slice profile.", choices=PROFILE_NAMES)
    slice_timing: str | None = option(
        None,
        "When each slice is measured after the start of its volume, in seconds: a list, or a file "
        "with one number a slice [default: SliceTiming of the sidecar, else all at once].",
        unit="S,S,...|FILE",
    )
    motion: str | None = option(
        None,
        "Motion of the head, six numbers a volume as in SPM's rp_*.txt, or none for a head at "
        "rest [default: found].",
        unit="FILE|none",
    )
    solver: str = option(
        AUTOMATIC,
        "Method that thins the slices of the temporal mean; auto takes that of `inversesr run`.",
        choices=SPACE_NAMES,
    )
    prior: str = option(
        BUILTIN_PRIOR, "Prior of the solver, if it needs one: a name or a folder.", unit="NAME|DIR"
    )
    keep_motion: bool = option(
        False,  # noqa: FBT003
        "Keep what follows the motion of the head. By default it is taken from the changes of "
        "series of 28 volumes or more: interpolation of a moving head is never exact.",
    )
    temporal: str = option(
        "none",
        "What is known of the course in time: nothing (best for maps of activation), few shapes "
        "in each region (low-rank: nearest to the true course), or few changes (tv).",
        choices=TEMPORAL_NAMES,
    )
    consistency: str = option(
        AUTOMATIC,
        "Agreement with the measured slices: exact, to within the noise (auto), or off.",
        choices=CONSISTENCY_NAMES,
    )
    device: str = option("auto", "Where to compute.", choices=DEVICE_NAMES)
    threads: int | None = option(None, "Processor threads [default: all].", least=1)
    seed: int = option(0, "Seed of everything random.", least=0)

    def __post_init__(self) -> None:
        check_fields(self)

    def of_a_volume(self, spacing_mm: float) -> Config:
        """Return the choices by which one volume, such as the mean, is restored.

        Args:
            spacing_mm: Distance between thin slices, where none was asked for.
        """
        return Config(
            solver=self.solver,
            prior=self.prior,
            settings=OF_THE_MEAN if self.solver in (AUTOMATIC, "unet") else (),
            spacing_mm=self.spacing_mm or spacing_mm,
            thickness_mm=self.thickness_mm,
            profile=self.profile,
            device=self.device,
            seed=self.seed,
        )
