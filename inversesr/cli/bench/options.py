"""Options that the subcommands of `inversesr bench` share, each declared once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.cli.console import Settings
from inversesr.config import AUTOMATIC, present_solver
from inversesr.solvers.options import check_settings
from inversesr.solvers.registry import (
    BASELINE_NAME,
    DEFAULT_NAME,
    FALLBACK_NAME,
    check_name,
)

if TYPE_CHECKING:
    from inversesr.benchmarks.comparison import Setup

Truths = Annotated[
    list[Path] | None,
    typer.Argument(
        metavar="TRUTH...",
        help="Thin-slice images [default: the MNI152 template of `inversesr demo`].",
    ),
]
CROP_HELP = "Keep N x N voxels about the middle of the slices [default: all]."
PICTURE_HELP = "Also draw what becomes of the first image beside the truth."
# those that take a minute or two a scan
QUICK_SOLVERS = (BASELINE_NAME, FALLBACK_NAME, DEFAULT_NAME)


@dataclass(frozen=True)
class Images:
    """Images whose truth is known, and how much of them is used."""

    truths: Truths = None
    crop: Annotated[
        int | None,
        typer.Option(metavar="N", help=CROP_HELP),
    ] = None


@dataclass(frozen=True)
class SolverChoice:
    """Which solvers run, and with what."""

    solver: Annotated[
        list[str] | None,
        typer.Option(help="Solver; may be repeated, or several separated by commas."),
    ] = None
    settings: Settings = None
    prior: Annotated[
        str, typer.Option(metavar="NAME|DIR", help="Prior of the solvers that need one.")
    ] = AUTOMATIC
    seed: Annotated[int, typer.Option(help="Seed of noise and solvers.")] = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "solver", read_solvers(self.solver))
        check_settings(self.settings or [])

    @property
    def names(self) -> list[str] | None:
        """The solvers that were named, each once, or None."""
        return self.solver

    def setup(
        self, crop: int | None = None, misstated_percent: float = 0.0, *, is_traced: bool = False
    ) -> "Setup":
        """Return what all runs of a benchmark share."""
        from inversesr.benchmarks.comparison import Setup

        settings, misstated = tuple(self.settings or ()), misstated_percent / 100.0
        return Setup(settings, self.prior, self.seed, crop, is_traced, misstated)


@dataclass(frozen=True)
class Slices:
    """Thick slices that are simulated: every combination of what is named."""

    thickness: Annotated[
        list[float] | None, typer.Option(metavar="MM", help="Slice thickness; may be repeated.")
    ] = None
    gap: Annotated[float, typer.Option(metavar="MM", help="Gap between slices.")] = 0.0
    profile: Annotated[list[str] | None, typer.Option(help="Slice profile; may be repeated.")] = (
        None
    )
    axis: Annotated[
        list[str] | None,
        typer.Option(
            metavar="R|A|S", help="Direction across the slices; may be repeated [default: S]."
        ),
    ] = None
    noise: Annotated[
        list[float] | None,
        typer.Option(
            metavar="PERCENT",
            help="Rician noise in percent of the brightest intensity; may be repeated.",
        ),
    ] = None

    def tasks(
        self,
        seed: int,
        thicknesses_mm: Sequence[float] = (4.0,),
        profiles: Sequence[str] = ("rect",),
        noise_percent: Sequence[float] = (0.0,),
    ) -> list[SimulateConfig]:
        """Return every combination of thickness, profile, noise and direction.

        Args:
            seed: Seed of the noise.
            thicknesses_mm: Taken where none is named.
            profiles: Likewise.
            noise_percent: Likewise.
        """
        chosen = product(
            self.thickness or thicknesses_mm,
            self.profile or profiles,
            self.noise or noise_percent,
            self.axis or ("S",),
        )
        return [
            SimulateConfig(t, self.gap, profile=p, noise=n / 100.0, axis=a, seed=seed)
            for t, p, n, a in chosen
        ]


def read_solvers(given: list[str] | None) -> list[str] | None:
    """Return the solvers that were named, each once, or None.

    Raises:
        InputError: there is no such solver.
    """
    if not given:
        return None
    named = [name.strip() for text in given for name in text.split(",")]
    names = [present_solver(name) for name in named if name]
    for name in names:
        if name != AUTOMATIC:
            check_name(name)
    return list(dict.fromkeys(names))


@contextmanager
def given_or_template(images: Sequence[Path] | None) -> Iterator[Sequence[Path]]:
    """Give the images that the user named, else the MNI152 template of the demo."""
    if images:
        yield images
        return
    from inversesr.workflows.demo import demo_head

    with demo_head() as head:
        yield [head]
