"""The command `inversesr bench picture`: solvers side by side, as one PNG."""

from pathlib import Path
from typing import Annotated

import typer

from inversesr.acquisition.simulation_choices import SimulateConfig
from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import QUICK_SOLVERS, given_or_template, read_solvers
from inversesr.cli.console import Settings


@with_groups
def picture(
    *,
    truth: Annotated[
        Path | None,
        typer.Argument(
            metavar="TRUTH",
            help="Thin-slice image [default: the MNI152 template of `inversesr demo`].",
        ),
    ] = None,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="PNG", help="File to write.")],
    solver: Annotated[
        list[str] | None,
        typer.Option(
            help="Solver; may be repeated, or several separated by commas [default: "
            f"{', '.join(QUICK_SOLVERS)}]."
        ),
    ] = None,
    settings: Settings = None,
    thickness: Annotated[float, typer.Option(metavar="MM", help="Slice thickness.")] = 4.0,
) -> None:
    """Draw the truth, what solvers restore, and their errors.

    One PNG with coronal and sagittal planes; solvers see thick slices made from TRUTH.
    """
    names, task = read_solvers(solver) or QUICK_SOLVERS, SimulateConfig(thickness_mm=thickness)
    from inversesr.benchmarks.picture import picture_solvers

    with given_or_template([truth] if truth else None) as (image,):
        picture_solvers(image, task, names, output, settings or [], tell_quality)
    typer.echo(f"picture: {output}")


def tell_quality(solver: str, psnr_db: float) -> None:
    """Print what one solver reached."""
    typer.echo(f"{solver:14s} PSNR {psnr_db:6.2f} dB")
