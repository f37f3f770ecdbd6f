"""The command `inversesr bench solvers`: solvers side by side on the same slices."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from inversesr.cli.bench.groups import with_groups
from inversesr.cli.bench.options import Images, Slices, SolverChoice, given_or_template
from inversesr.cli.bench.output import Output, check_folder
from inversesr.cli.bench.tables import print_comparison, tell_row
from inversesr.errors import InputError
from inversesr.solvers.registry import REFERENCE_NAME

if TYPE_CHECKING:
    from inversesr.benchmarks.rows import Row

PLOT_SUFFIXES = (".png", ".pdf", ".svg")


@with_groups
def solvers(
    *,
    images: Images,
    until: Annotated[
        bool,
        typer.Option(
            "--until",
            help=f"Find when each solver has the final null-space PSNR of {REFERENCE_NAME}.",
        ),
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE.png", help="Also draw null-space PSNR against seconds."),
    ] = None,
    chosen: SolverChoice,
    slices: Slices,
    output: Output,
) -> None:
    """Compare solvers on the same slices, each in its own process.

    Quality, time, passes through the networks, and peak memory. By default all solvers that the
    prior allows, on touching box-shaped slices of 4 mm without noise.
    """
    _check_plot(plot)
    setup, tasks = chosen.setup(images.crop, is_traced=until), slices.tasks(chosen.seed)
    from inversesr.benchmarks.comparison import compare_solvers, runnable_solvers

    names = chosen.names or runnable_solvers(chosen.prior)
    if until and REFERENCE_NAME not in names:
        message = f"--until compares with {REFERENCE_NAME}: name it among the solvers"
        raise InputError(message)
    with given_or_template(images.truths) as truths:
        rows = compare_solvers(truths, tasks, names, output.keeping(tell_row), setup)
    output.finish(rows, print_comparison)
    if plot is not None:
        _draw(rows, plot)


def _check_plot(plot: Path | None) -> None:
    check_folder(plot)
    if plot is not None and plot.suffix.lower() not in PLOT_SUFFIXES:
        message = f"{plot} is not the name of a picture; expected {' or '.join(PLOT_SUFFIXES)}"
        raise InputError(message)


def _draw(rows: "Sequence[Row]", file: Path) -> None:
    from inversesr.report.figures import quality_against_time

    points = [
        (row.solver, row.solver_seconds, row.null_space_psnr_db)
        for row in rows
        if row.solver_seconds is not None and row.null_space_psnr_db is not None
    ]
    figure = quality_against_time(points, "PSNR of what no slice measured, dB")
    figure.savefig(file, dpi=130)
