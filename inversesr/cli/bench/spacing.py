"""The command `inversesr bench spacing`: results finer than 1 mm, at once or interpolated."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import CROP_HELP, Slices, SolverChoice
from inversesr.cli.bench.output import Output
from inversesr.cli.bench.tables import wide_console
from inversesr.config import AUTOMATIC

if TYPE_CHECKING:
    from inversesr.benchmarks.spacing import SpacingRow


@dataclass(frozen=True)
class Fineness:
    """What scan and result are made of."""

    crop: Annotated[int | None, typer.Option(metavar="N", help=CROP_HELP)] = None
    within: Annotated[
        int,
        typer.Option(min=1, metavar="N", help="Average N x N voxels within the slices too."),
    ] = 1
    spacing: Annotated[
        float | None,
        typer.Option(
            metavar="MM",
            help="Restore slices so far apart, and interpolate them to the truth's voxels "
            "[default: its voxels].",
        ),
    ] = None


@with_groups
def spacing(
    truths: Annotated[
        list[Path], typer.Argument(metavar="TRUTH...", help="Images of voxels below 1 mm.")
    ],
    *,
    wanted: Fineness,
    chosen: SolverChoice,
    slices: Slices,
    output: Output,
) -> None:
    """Compare ways to voxels finer than 1 mm.

    Restored there at once, restored at 1 mm and interpolated by a spline, or interpolated alone.
    By default the solver that `run` would take, on slices of 3 mm.
    """
    setup, tasks = chosen.setup(wanted.crop), slices.tasks(chosen.seed, (3.0,))
    names, tell = chosen.names or [AUTOMATIC], output.keeping(tell_way)
    from inversesr.benchmarks.spacing import Voxels, measure_spacing

    voxels = Voxels(wanted.within, wanted.spacing)
    output.finish(measure_spacing(truths, tasks, names, tell, setup, voxels), print_ways)


def tell_way(row: "SpacingRow") -> None:
    """Say on standard error what one way gave."""
    typer.echo(f"{row.image}, {row.task}: {row.solver}, {row.way}: {row.psnr_db:.2f} dB", err=True)


def print_ways(rows: "Sequence[SpacingRow]") -> None:
    """Print a table for each truth and degradation."""
    from rich.table import Table

    console = wide_console()
    for title in dict.fromkeys(f"{row.image}, {row.task}" for row in rows):
        table = Table(title=title, title_justify="left")
        for name in ("way", "solver", "voxels, mm"):
            table.add_column(name, no_wrap=True)
        for name in ("PSNR", "SSIM"):
            table.add_column(name, justify="right", no_wrap=True)
        for row in rows:
            if f"{row.image}, {row.task}" == title:
                figures = (f"{row.psnr_db:.2f}", f"{row.ssim:.4f}")
                table.add_row(row.way, row.solver, row.spacing_mm, *figures)
        console.print(table)
