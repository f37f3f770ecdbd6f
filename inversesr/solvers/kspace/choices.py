"""Every choice of a reconstruction from k-space. Imports no torch."""

from dataclasses import dataclass

from inversesr.config import BUILTIN_PRIOR, DEVICE_NAMES, check_fields, option
from inversesr.solvers.kspace.registry import DEFAULT, METHODS


@dataclass(frozen=True)
class ReconConfig:
    """How an image is reconstructed.

    Raises:
        InputError: a value is outside its range.
    """

    solver: str = option(DEFAULT, "Method of reconstruction.", choices=tuple(METHODS))
    prior: str = option(
        BUILTIN_PRIOR, "Prior of the methods that need one: a name or a folder.", unit="NAME|DIR"
    )
    settings: tuple[str, ...] = option(
        (),
        "Option of the method, such as solver.n_steps=20; may be repeated.",
        flag="--set",
        unit="solver.NAME=VALUE",
        kind=list[str],
    )
    axes: str | None = option(
        None,
        "A letter for each axis of the array: c coils, x readout, y and z phase encoding, "
        "s slices [default: as the file says].",
        unit="LETTERS",
    )
    noise: float | None = option(
        None,
        "Noise standard deviation of each part of a sample, in the data's units; with a noise "
        "scan, in units of that [default: the noise scan, else the edge of k-space].",
        least=0,
    )
    samples: int | None = option(
        None, "Posterior samples; their mean and deviation are written.", least=2
    )
    crop: float = option(
        0.8, "Where the eigenvalue of ESPIRiT is below this, there is no signal.", least=0, most=1
    )
    device: str = option("auto", "Where to compute.", choices=DEVICE_NAMES)
    threads: int | None = option(None, "Threads [default: all cores].", least=1)
    seed: int = option(0, "Seed of samples.", least=0)

    def __post_init__(self) -> None:
        check_fields(self)
