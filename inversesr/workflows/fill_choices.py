"""What the command `fill` can be asked for. Imports no torch."""

from dataclasses import dataclass

from inversesr.config import (
    AUTOMATIC,
    BUILTIN_PRIOR,
    DEVICE_NAMES,
    PROFILE_NAMES,
    Config,
    check_fields,
    option,
)
from inversesr.errors import InputError


@dataclass(frozen=True)
class FillConfig:
    """What is generated in a scan, and how.

    Raises:
        InputError: a value is outside its range, or nothing is to be generated.
    """

    slices: str | None = option(
        None, "Slices to generate, counted from 0, such as 4,7-9.", unit="N,N-N"
    )
    find: bool = option(
        False,  # noqa: FBT003
        "Find slices that are dark, bright, displaced or doubled, and generate them.",
    )
    extend_mm: float | None = option(
        None,
        "Add slices at both ends of the stack, over this length.",
        flag="--extend",
        unit="MM",
        above=0,
        most=60,
    )
    solver: str = option(
        AUTOMATIC,
        "Method that generates; auto takes that of `run` for slices, and tv within a mask.",
    )
    prior: str = option(BUILTIN_PRIOR, "Prior of the solvers that need one.", unit="NAME|DIR")
    settings: tuple[str, ...] = option(
        (),
        "Option of the solver; may be repeated.",
        flag="--set",
        unit="solver.NAME=VALUE",
        kind=list[str],
    )
    samples: int | None = option(
        None,
        "Images to draw that are all as likely, by a solver that draws samples, which auto then "
        "takes; each is written.",
        least=1,
    )
    thickness_mm: float | None = option(
        None,
        "Slice thickness [default: sidecar JSON, else the distance between slices].",
        flag="--thickness",
        unit="MM",
        above=0,
    )
    profile: str = option("rect", "Slice profile.", choices=PROFILE_NAMES)
    noise: float | None = option(
        None, "Noise standard deviation in the scan's own intensities [default: estimated].",
        least=0,
    )  # fmt: skip
    voxel_size: str | None = option(
        None, "Voxel sizes in mm along the three axes, in place of the header's.", unit="X,Y,Z"
    )
    volume: int | None = option(None, "Which volume of a 4D series to use.", least=0)
    device: str = option("auto", "Where to compute.", choices=DEVICE_NAMES)
    threads: int | None = option(None, "Processor threads [default: all].", least=1)
    seed: int = option(0, "Seed of everything random.", least=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "settings", tuple(self.settings))
        check_fields(self)

    def as_config(self, missing: tuple[int, ...] = ()) -> Config:
        """Return the choices of a run that restores the scan without some of its slices."""
        shared = {
            name: getattr(self, name)
            for name in (
                "solver", "prior", "settings", "samples", "thickness_mm", "profile", "noise",
                "voxel_size", "volume", "device", "threads", "seed",
            )
        }  # fmt: skip
        named = ",".join(str(n) for n in missing) or None
        return Config(**shared, missing=named, consistency="exact")


def check_asked(choices: FillConfig, *, has_mask: bool) -> None:
    """Refuse to fill nothing.

    Raises:
        InputError: nothing was named that is to be generated.
    """
    asked = (choices.slices is not None, choices.find, choices.extend_mm is not None, has_mask)
    if not any(asked):
        message = "nothing is to be filled: give --slices, --find, --extend or --mask"
        raise InputError(message)
